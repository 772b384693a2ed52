//! Announces over UDP: several sockets with many announces each on their way, moved by as few system calls as possible, so that this
//! end is not what is measured.

use std::io::{IoSlice, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use quinn_udp::{BATCH_SIZE, RecvMeta, UdpSockRef, UdpSocketState};
use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, sendmmsg};
use tombolo_core::key::{PeerId, SwarmKey};
use tombolo_core::tracker::query::AnnounceRequest;
use tombolo_core::tracker::udp::{Connection, Family, Request, Response, Transaction};

use crate::{Peer, evenly, peer, port};

/// Sockets.
const SOCKETS: usize = 4;

/// Announces on their way, of one socket.
const WINDOW: usize = 64;

/// After so long without any answer, those on their way are taken for lost.
const LOST: Duration = Duration::from_millis(100);

struct Asker {
    socket: UdpSocket,
    state: UdpSocketState,
    connection: Connection,
    under_way: usize,
    heard: Instant,
}

fn open(address: SocketAddr) -> Option<Asker> {
    let socket = UdpSocket::bind("127.0.0.1:0").ok()?;
    socket.connect(address).ok()?;
    socket.set_read_timeout(Some(Duration::from_millis(200))).ok()?;
    socket.send(&Request::Connect(Transaction(1)).encode()).ok()?;
    let mut packet = [0; 64];
    let length = socket.recv(&mut packet).ok()?;
    let Ok(Response::Connect(_, connection)) = Response::decode(&packet[..length], Family::V4) else {
        return None;
    };
    socket.set_nonblocking(true).ok()?;
    Some(Asker {
        state: UdpSocketState::new(UdpSockRef::from(&socket)).ok()?,
        socket,
        connection,
        under_way: 0,
        heard: Instant::now(),
    })
}

/// Whether a tracker is there.
pub(crate) fn answers(address: SocketAddr) -> bool {
    open(address).is_some()
}

fn packet(connection: Connection, number: u32, (hash, id, is_seed): Peer) -> Vec<u8> {
    let announce = AnnounceRequest {
        port: port(number),
        left: Some(u64::from(!is_seed)),
        numwant: Some(30),
        key: Some(number),
        ..AnnounceRequest::new(SwarmKey(hash), PeerId(id))
    };
    Request::Announce {
        connection,
        transaction: Transaction(number),
        announce,
        ip: None,
        url_data: Vec::new(),
    }
    .encode()
}

/// Announces peers again and again; how many were answered.
pub(crate) fn load(address: SocketAddr, time: Duration, peers: u32) -> u64 {
    let began = Instant::now();
    let mut number = 0;
    ask(address, || {
        number = (number + 1) % peers;
        (began.elapsed() < time).then(|| (number, peer(number, crate::SWARMS)))
    })
}

/// Announces each of so many peers once; how many were answered.
pub(crate) fn announce_all(address: SocketAddr, peers: u32) -> u64 {
    let mut left = 0..peers;
    ask(address, || left.next().map(|number| (number, evenly(number, peers))))
}

/// Announces what `next` gives; how many were answered.
fn ask(address: SocketAddr, mut next: impl FnMut() -> Option<(u32, Peer)>) -> u64 {
    let mut askers: Vec<_> = (0..SOCKETS).map(|_| open(address).expect("a tracker")).collect();
    let mut memory = vec![0; BATCH_SIZE * (64 << 10)];
    let (mut answered, mut ended) = (0, false);
    while !ended || askers.iter().any(|asker| asker.under_way > 0) {
        for asker in &mut askers {
            let got = receive(asker, &mut memory);
            answered += got as u64;
            asker.under_way = asker.under_way.saturating_sub(got);
            if got > 0 {
                asker.heard = Instant::now();
            } else if asker.under_way > 0 && asker.heard.elapsed() > LOST {
                asker.under_way = 0;
            }
            // Not one by one: the tracker, too, has more from a batch.
            if !ended && asker.under_way <= WINDOW / 2 {
                let packets: Vec<_> = (asker.under_way..WINDOW)
                    .map_while(|_| next())
                    .map(|(number, peer)| packet(asker.connection, number, peer))
                    .collect();
                ended = packets.len() < WINDOW - asker.under_way;
                asker.under_way += packets.len();
                send(&asker.socket, &packets);
            }
        }
    }
    answered
}

fn send(socket: &UdpSocket, packets: &[Vec<u8>]) {
    let slices: Vec<_> = packets.iter().map(|packet| [IoSlice::new(packet)]).collect();
    let mut buffers: Vec<_> = packets.iter().map(|_| SendAncillaryBuffer::default()).collect();
    let mut messages: Vec<_> = slices
        .iter()
        .zip(&mut buffers)
        .map(|(slice, buffer)| MMsgHdr::new(slice, buffer))
        .collect();
    let mut from = 0;
    while from < messages.len() {
        match sendmmsg(socket, &mut messages[from..], SendFlags::empty()) {
            Ok(sent) => from += sent,
            Err(_) => std::thread::yield_now(),
        }
    }
}

/// Takes in the answers that are there; how many.
fn receive(asker: &Asker, memory: &mut [u8]) -> usize {
    let mut slices = Vec::with_capacity(BATCH_SIZE);
    slices.extend(memory.chunks_mut(64 << 10).map(IoSliceMut::new));
    let mut metas = [RecvMeta::default(); BATCH_SIZE];
    let Ok(count) = asker
        .state
        .recv(UdpSockRef::from(&asker.socket), &mut slices, &mut metas)
    else {
        return 0;
    };
    metas[..count]
        .iter()
        .zip(&slices)
        .flat_map(|(meta, slice)| slice[..meta.len].chunks(meta.stride))
        .filter(|packet| packet.starts_with(&[0, 0, 0, 1]))
        .count()
}
