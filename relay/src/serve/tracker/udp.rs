//! The tracker over UDP (BEP 15).
//!
//! A connection number is a keyed hash of the address and the time, so none is remembered: one is good for two to four minutes, and a
//! forged source address never gets more than the 16 bytes that say the number.

use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use tokio::net::UdpSocket;
use tombolo_core::tracker::query::AnnounceReply;
use tombolo_core::tracker::udp::{Connection, Family, Request, Response};

use super::announce_native;
use crate::serve::Relay;

/// The longest packet read: a scrape of 74 swarms has 1,496 bytes.
const PACKET: usize = 2048;

/// Peers in one answer: so many of IPv6 fit into one unfragmented packet.
const MAX_PEERS: u32 = 70;

/// Seconds after which connection numbers change.
const EPOCH: u64 = 120;

struct Numbers {
    key: RandomState,
    started: Instant,
}

impl Numbers {
    fn epoch(&self) -> u64 {
        self.started.elapsed().as_secs() / EPOCH
    }

    fn of(&self, address: IpAddr, epoch: u64) -> Connection {
        Connection(self.key.hash_one((address, epoch)))
    }

    fn is_good(&self, connection: Connection, address: IpAddr) -> bool {
        let epoch = self.epoch();
        connection == self.of(address, epoch) || epoch > 0 && connection == self.of(address, epoch - 1)
    }
}

/// Answers packets for ever.
pub(crate) async fn serve(relay: Arc<Relay>, socket: UdpSocket) {
    let numbers = Numbers {
        key: RandomState::new(),
        started: Instant::now(),
    };
    let Ok(local) = socket.local_addr() else { return };
    let mut packet = [0; PACKET];
    loop {
        if socket.readable().await.is_err() {
            continue;
        }
        loop {
            match socket.try_recv_from(&mut packet) {
                Ok((length, from)) => {
                    if let Some(reply) = answer(&relay, &numbers, &packet[..length], (from, local)) {
                        // A full buffer drops it, as the network might: the client asks again.
                        let _ = socket.try_send_to(&reply, from);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // An earlier answer could not be delivered.
                Err(_) => {}
            }
        }
    }
}

/// What is sent back; nothing to a packet that is malformed or has a wrong number, or to an address that asks too often.
fn answer(relay: &Relay, numbers: &Numbers, packet: &[u8], (from, local): (SocketAddr, SocketAddr)) -> Option<Vec<u8>> {
    let request = Request::decode(packet).ok()?;
    if request
        .connection()
        .is_some_and(|connection| !numbers.is_good(connection, from.ip()))
    {
        return None;
    }
    let is_connect = matches!(request, Request::Connect(_));
    if !is_connect && !relay.rates.tracker(from.ip()) {
        return None;
    }
    let family = if from.is_ipv4() { Family::V4 } else { Family::V6 };
    let response = match request {
        Request::Connect(transaction) => Response::Connect(transaction, numbers.of(from.ip(), numbers.epoch())),
        Request::Announce {
            transaction,
            mut announce,
            ..
        } => {
            announce.numwant = announce.numwant.map(|wanted| wanted.min(MAX_PEERS));
            let interval = relay.tracker.settings.interval;
            announce_native(relay, &announce, (from.ip(), local.ip()), Some(family), |answer| {
                let reply = AnnounceReply {
                    peers: std::mem::take(&mut answer.addresses),
                    ..relay.tracker.reply(answer.counts, interval)
                };
                Response::Announce(transaction, reply)
            })
        }
        Request::Scrape {
            transaction, swarms, ..
        } => Response::Scrape(
            transaction,
            swarms.into_iter().map(|swarm| relay.tracker.scrape(swarm)).collect(),
        ),
    };
    let mut reply = Vec::new();
    response.encode(family, &mut reply);
    Some(reply)
}
