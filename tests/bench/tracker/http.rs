//! Announces over HTTP: many threads with one request each, over a connection each time or over one that stays.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};

use crate::{PEERS, Peer, SWARMS, evenly, peer, percent, port};

/// Requests at the same time.
const THREADS: u8 = 32;

/// Announces peers again and again; how many were answered.
pub(crate) fn load(address: SocketAddr, time: Duration, kept: bool) -> u64 {
    let (next, until) = (AtomicU32::new(0), Instant::now() + time);
    announce(address, kept, || {
        let number = next.fetch_add(1, Ordering::Relaxed) % PEERS;
        (Instant::now() < until).then(|| (number, peer(number, SWARMS)))
    })
}

/// Announces each of so many peers once; how many were answered.
pub(crate) fn announce_all(address: SocketAddr, peers: u32) -> u64 {
    let next = AtomicU32::new(0);
    announce(address, true, || {
        let number = next.fetch_add(1, Ordering::Relaxed);
        (number < peers).then(|| (number, evenly(number, peers)))
    })
}

/// Announces what `next` gives; how many were answered.
fn announce(address: SocketAddr, kept: bool, next: impl Fn() -> Option<(u32, Peer)> + Sync) -> u64 {
    let answered = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (answered, next) = (&answered, &next);
            scope.spawn(move || {
                let mut stream = None;
                while let Some((number, peer)) = next() {
                    let open = match stream.take() {
                        Some(open) => open,
                        None => connect(address, thread),
                    };
                    if let Some(open) = ask(open, address, (number, peer), kept) {
                        answered.fetch_add(1, Ordering::Relaxed);
                        stream = kept.then_some(open);
                    }
                }
            });
        }
    });
    answered.into_inner()
}

/// From an address of the thread's own, since one has no more than some 28,000 ports; ended by a reset, so that none is left waiting.
fn connect(address: SocketAddr, thread: u8) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).expect("a socket");
    socket.set_linger(Some(Duration::ZERO)).expect("an option");
    socket
        .bind(&SocketAddr::from(([127, 0, 1, thread + 1], 0)).into())
        .expect("an address");
    socket.connect(&address.into()).expect("a tracker");
    socket.into()
}

/// Asks once; the stream if there was an answer.
fn ask(
    mut stream: TcpStream,
    address: SocketAddr,
    (number, (hash, id, is_seed)): (u32, Peer),
    kept: bool,
) -> Option<TcpStream> {
    let request = format!(
        "GET /announce?info_hash={}&peer_id={}&port={}&uploaded=0&downloaded=0&left={}&corrupt=0&key={number:08X}&numwant=50\
         &compact=1&no_peer_id=1&supportcrypto=1&redundant=0 HTTP/1.1\r\nHost: {address}\r\nUser-Agent: load/1\r\n\
         Accept-Encoding: gzip\r\nConnection: {}\r\n\r\n",
        percent(&hash),
        percent(&id),
        port(number),
        u8::from(!is_seed),
        if kept { "keep-alive" } else { "close" },
    );
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = [0; 4_096];
    let mut have = 0;
    loop {
        let read = stream.read(answer.get_mut(have..)?).ok()?;
        have += read;
        if is_whole(&answer[..have]) {
            return Some(stream);
        }
        if read == 0 {
            return None;
        }
    }
}

/// Whether an answer is there in full, and no refusal.
fn is_whole(answer: &[u8]) -> bool {
    let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") else {
        return false;
    };
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))
        .and_then(|length| length.trim().parse::<usize>().ok());
    let body = &answer[end + 4..];
    Some(body.len()) >= length && body.starts_with(b"d8:complete")
}
