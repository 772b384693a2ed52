//! The tracker over UDP (BEP 15, BEP 41).
//!
//! A connection number is a keyed hash of the address it was given to, so none is remembered, and a forged source address never gets more
//! than the 16 bytes that say the number. The secret in it is drawn anew every two minutes and the one before still counts, so a number is good
//! for two to four minutes. Packets are read and written in batches: under load a system call moves up to 32 of them each way. Each
//! socket has a thread of its own that waits for it alone. As a task of the runtime it lost a quarter of its CPU time to switching:
//! whichever worker waits for events is woken by every packet that comes while another one answers, and takes that one's core.

use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, IoSlice, IoSliceMut, PipeReader, PipeWriter};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use quinn_udp::{BATCH_SIZE, RecvMeta, UdpSockRef, UdpSocketState};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::addr::SocketAddrArg as _;
use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, sendmmsg};
use tokio::net::UdpSocket;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tombolo_core::tracker::http::path_asks;
use tombolo_core::tracker::query::AnnounceReply;
use tombolo_core::tracker::registry::Answer;
use tombolo_core::tracker::udp::{Connection, Family, Request, Response};

use super::native::{self, Native};
use super::{Face, Pass};
use crate::serve::Relay;
use crate::udp::{Kind, Udp};

/// Room for packets that the kernel joined, as it may for one who sends many; a little more than 64 KiB, so that the beginnings of the
/// rooms, which are mostly all that is used, do not share one place in the processor's cache.
const RUN: usize = (64 << 10) + 192;

/// Peers in one answer: so many of IPv6 fit into one unfragmented packet.
const MAX_PEERS: u32 = 70;

/// How long a secret is the newest.
const EPOCH: Duration = Duration::from_secs(120);

/// Batches after which it is asked whether it is over.
const TURN: usize = 16;

/// What connection numbers are made by.
struct Numbers {
    keyed: RandomState,
    newest: [u64; 2],
    before: [u64; 2],
    since: Instant,
}

impl Numbers {
    fn new(now: Instant) -> Self {
        Self {
            keyed: RandomState::new(),
            newest: secret(),
            // Nobody was ever given a number by it.
            before: secret(),
            since: now,
        }
    }

    /// Changes the secret when it is time to; both, where nobody asked for so long that the newest is too old as well.
    fn turn(&mut self, now: Instant) {
        let age = now.saturating_duration_since(self.since);
        if age >= EPOCH {
            self.before = if age < 2 * EPOCH { self.newest } else { secret() };
            self.newest = secret();
            self.since = now;
        }
    }

    fn of(&self, address: IpAddr) -> Connection {
        self.number(self.newest, address)
    }

    fn is_good(&self, connection: Connection, address: IpAddr) -> bool {
        connection == self.of(address) || connection == self.number(self.before, address)
    }

    /// With 0 as its first byte, by which a tracker's packets are known where others share the port.
    fn number(&self, secret: [u64; 2], address: IpAddr) -> Connection {
        Connection(self.keyed.hash_one((secret, address)) >> 8)
    }
}

fn secret() -> [u64; 2] {
    [super::random(), super::random()]
}

/// Answers packets until this is dropped.
pub(crate) async fn serve(relay: Arc<Relay>, socket: UdpSocket) {
    // The thread ends when this end of the pipe is closed.
    let (ended, _open) = match start(relay, socket) {
        Ok(both) => both,
        Err(error) => return tracing::error!(%error, "no UDP tracker"),
    };
    if ended.await.is_err() {
        tracing::error!("the UDP tracker has ended");
    }
}

/// Starts the thread. It ends when the pipe is closed; then the receiver is told.
fn start(relay: Arc<Relay>, socket: UdpSocket) -> io::Result<(oneshot::Receiver<()>, PipeWriter)> {
    let mut desk = Desk::new(relay, socket.into_std()?)?;
    let (closed, open) = io::pipe()?;
    let (end, ended) = oneshot::channel();
    let runtime = Handle::current();
    std::thread::Builder::new().name("udp-tracker".into()).spawn(move || {
        // A swarm that is joined starts tasks.
        let _entered = runtime.enter();
        while desk.wait(&closed) {
            desk.work();
        }
        drop((desk, end));
    })?;
    Ok((ended, open))
}

/// Answers packets that come to a socket of native peers too, for as long as that runs. One by one: a tracker that is to answer very many
/// has a socket of its own.
pub(crate) fn serve_beside(relay: Arc<Relay>, socket: &Udp) {
    let clerk = Mutex::new((Clerk::new(relay), Vec::new()));
    let answer = move |socket: &Udp, packet: &[u8], (from, to): (SocketAddr, IpAddr)| {
        let mut clerk = clerk.lock().unwrap_or_else(PoisonError::into_inner);
        let (clerk, output) = &mut *clerk;
        clerk.numbers.turn(Instant::now());
        clerk.take(packet, (from, to), output);
        if !output.is_empty() {
            socket.send(output, from);
            output.clear();
        }
    };
    socket.take(Kind::Tracker, Box::new(answer));
}

/// Who makes the answers.
struct Clerk {
    relay: Arc<Relay>,
    numbers: Numbers,
    answer: Answer,
}

/// What is kept from one batch to the next.
struct Desk {
    clerk: Clerk,
    socket: std::net::UdpSocket,
    local: SocketAddr,
    state: UdpSocketState,
    input: Vec<u8>,
    /// The answers of a batch, one after the other, and who gets which part.
    output: Vec<u8>,
    parts: Vec<(SocketAddr, usize)>,
}

impl Desk {
    fn new(relay: Arc<Relay>, socket: std::net::UdpSocket) -> io::Result<Self> {
        Ok(Self {
            clerk: Clerk::new(relay),
            local: socket.local_addr()?,
            state: UdpSocketState::new(UdpSockRef::from(&socket))?,
            socket,
            input: vec![0; BATCH_SIZE * RUN],
            output: Vec::new(),
            parts: Vec::new(),
        })
    }

    /// Waits until there is something to read. False: it is over.
    fn wait(&self, closed: &PipeReader) -> bool {
        let mut both = [
            PollFd::new(&self.socket, PollFlags::IN),
            PollFd::new(closed, PollFlags::IN),
        ];
        match poll(&mut both, None) {
            Ok(_) => both[1].revents().is_empty(),
            Err(error) => error == Errno::INTR,
        }
    }

    /// Answers what is there, for some batches.
    fn work(&mut self) {
        self.clerk.numbers.turn(Instant::now());
        for _ in 0..TURN {
            match self.receive() {
                Ok(count) => {
                    self.send();
                    if count < BATCH_SIZE {
                        return;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // An earlier answer could not be delivered.
                Err(_) => {}
            }
        }
    }

    /// Reads a batch and puts its answers to the output; how many were read.
    fn receive(&mut self) -> io::Result<usize> {
        let mut input = std::mem::take(&mut self.input);
        let mut metas = [RecvMeta::default(); BATCH_SIZE];
        let read = {
            let mut chunks = input.chunks_mut(RUN);
            let mut slices: [_; BATCH_SIZE] =
                std::array::from_fn(|_| IoSliceMut::new(chunks.next().unwrap_or_default()));
            self.state.recv(UdpSockRef::from(&self.socket), &mut slices, &mut metas)
        };
        for (meta, run) in metas.iter().take(*read.as_ref().unwrap_or(&0)).zip(input.chunks(RUN)) {
            let local = meta.dst_ip.unwrap_or_else(|| self.local.ip());
            let run = run.get(..meta.len).unwrap_or_default();
            for packet in run.chunks(meta.stride.max(1)) {
                let before = self.output.len();
                self.clerk.take(packet, (meta.addr, local), &mut self.output);
                if self.output.len() > before {
                    self.parts.push((meta.addr, self.output.len() - before));
                }
            }
        }
        self.input = input;
        read
    }

    /// Sends the answers of a batch. What does not fit into the socket's buffer is dropped, as the network might: clients ask again.
    fn send(&mut self) {
        let mut rest = &self.output[..];
        for batch in self.parts.chunks(BATCH_SIZE) {
            let to: Vec<_> = batch.iter().map(|(to, _)| to.as_any()).collect();
            let slices: Vec<_> = batch
                .iter()
                .map(|(_, length)| {
                    let (packet, after) = rest.split_at_checked(*length).unwrap_or_default();
                    rest = after;
                    [IoSlice::new(packet)]
                })
                .collect();
            let mut controls: [_; BATCH_SIZE] = std::array::from_fn(|_| SendAncillaryBuffer::default());
            let messages = to.iter().zip(&slices).zip(&mut controls);
            let mut messages: Vec<_> = messages
                .map(|((to, slice), control)| MMsgHdr::new_with_addr(to, slice, control))
                .collect();
            let mut from = 0;
            while from < messages.len() {
                match sendmmsg(&self.socket, &mut messages[from..], SendFlags::DONTWAIT) {
                    Ok(sent) if sent > 0 => from += sent,
                    Err(Errno::INTR) => {}
                    // It is about the first of them alone.
                    _ => from += 1,
                }
            }
        }
        self.output.clear();
        self.parts.clear();
    }
}

impl Clerk {
    fn new(relay: Arc<Relay>) -> Self {
        Self {
            relay,
            numbers: Numbers::new(Instant::now()),
            answer: Answer::default(),
        }
    }

    /// Puts the answer to a packet to the output, if it gets one.
    fn take(&mut self, packet: &[u8], way: (SocketAddr, IpAddr), output: &mut Vec<u8>) {
        if let Some(response) = self.response(packet, way) {
            response.encode(family(way.0), output);
            if let Response::Announce(_, reply) = response {
                self.answer.addresses = reply.peers;
            }
        }
    }

    /// What is sent back; nothing to a packet that is malformed or has a wrong number, or to an address that asks too often.
    fn response(&mut self, packet: &[u8], (from, local): (SocketAddr, IpAddr)) -> Option<Response> {
        let request = Request::decode(packet).ok()?;
        if request
            .connection()
            .is_some_and(|connection| !self.numbers.is_good(connection, from.ip()))
        {
            return None;
        }
        let is_connect = matches!(request, Request::Connect(_));
        let relay = self.relay.clone();
        if !is_connect && !relay.rates.tracker(from.ip()) {
            return None;
        }
        let tracker = &relay.tracker;
        Some(match request {
            Request::Connect(transaction) => Response::Connect(transaction, self.numbers.of(from.ip())),
            Request::Announce {
                transaction,
                mut announce,
                ip,
                url_data,
                ..
            } => {
                if let Err(failure) = tracker.admit(Face::Udp, announce.swarm, pass(&relay, &url_data)) {
                    return Some(Response::Error(transaction, failure.reason));
                }
                announce.numwant = announce.numwant.map(|wanted| wanted.min(MAX_PEERS));
                let asked = Native {
                    request: &announce,
                    remote: from.ip(),
                    local,
                    said: ip.map(IpAddr::V4).filter(|_| from.is_ipv4()),
                    also: None,
                    family: Some(family(from)),
                };
                native::announce(&relay, &asked, &mut self.answer);
                let reply = AnnounceReply {
                    peers: std::mem::take(&mut self.answer.addresses),
                    ..tracker.reply(self.answer.counts, tracker.settings.interval)
                };
                Response::Announce(transaction, reply)
            }
            Request::Scrape {
                transaction, swarms, ..
            } => {
                tracker.asked.scrapes.fetch_add(1, Ordering::Relaxed);
                // No option of a scrape could bring a passkey.
                match tracker.access.pass(None) {
                    Err(error) => Response::Error(transaction, error.to_string()),
                    Ok(_) => Response::Scrape(
                        transaction,
                        swarms.into_iter().map(|swarm| tracker.scrape(swarm)).collect(),
                    ),
                }
            }
        })
    }
}

/// What the path is worth that the options of an announce give (BEP 41).
fn pass(relay: &Relay, url_data: &[u8]) -> Pass {
    let path = url_data.split(|&byte| byte == b'?').next().unwrap_or_default();
    let path = std::str::from_utf8(path).unwrap_or_default();
    relay
        .tracker
        .access
        .pass(path_asks(path).and_then(|(_, passkey)| passkey))
}

const fn family(from: SocketAddr) -> Family {
    if from.is_ipv4() { Family::V4 } else { Family::V6 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_good_for_its_address_and_its_time() {
        let start = Instant::now();
        let (mine, other) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut numbers = Numbers::new(start);
        let first = numbers.of(mine);
        assert!(numbers.is_good(first, mine) && !numbers.is_good(first, other));
        numbers.turn(at(119));
        assert_eq!(numbers.of(mine), first);
        numbers.turn(at(130));
        let second = numbers.of(mine);
        assert!(numbers.is_good(first, mine) && second != first);
        numbers.turn(at(251));
        assert!(!numbers.is_good(first, mine) && numbers.is_good(second, mine));
        numbers.turn(at(1_000));
        assert!(!numbers.is_good(second, mine), "nobody asked for long");
    }
}
