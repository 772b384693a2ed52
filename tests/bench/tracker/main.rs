//! What trackers do with a second of a core, and what they keep of a peer: ours beside those that are installed.
//!
//! `cargo bench -p tombolo-relay --bench tracker [-- NAME…]` prints a table. One tracker at a time on loopback, asked over one face
//! by this process until it is warm and then for some seconds; what counts is the CPU time that its process took meanwhile. aquatic's
//! three binaries and opentracker are found by `PATH`; rows of what is missing are left out.

mod http;
mod server;
mod udp;
mod ws;

use std::net::SocketAddr;
use std::time::Duration;

use server::Server;

/// How long each row is measured.
const MEASURED: Duration = Duration::from_secs(6);

/// How long a tracker is asked before.
const WARM_UP: Duration = Duration::from_secs(2);

/// Peers of one tracker under load.
const PEERS: u32 = 200_000;

/// Swarms that they are in: some of 6, some of thousands.
const SWARMS: u32 = 10_000;

/// Peers by which memory is measured over UDP.
const MANY: u32 = 1_000_000;

/// The same over HTTP, which takes longer.
const FEWER: u32 = 500_000;

/// Peers in one swarm where memory is measured.
const EVEN: u32 = 20;

/// What a row of the table is: a face, and how it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Face {
    Udp,
    /// A connection for every announce.
    Http,
    /// Connections that stay.
    HttpKept,
    /// Announces without offers.
    Ws,
    /// Announces with five offers, all of them answered.
    WsOffers,
}

impl Face {
    const fn name(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Http => "HTTP, a connection each",
            Self::HttpKept => "HTTP, connections kept",
            Self::Ws => "WebSocket, no offers",
            Self::WsOffers => "WebSocket, 5 offers answered",
        }
    }

    /// Announces until `stop`; how many were answered.
    fn load(self, address: SocketAddr, time: Duration) -> u64 {
        match self {
            Self::Udp => udp::load(address, time, PEERS),
            Self::Http => http::load(address, time, false),
            Self::HttpKept => http::load(address, time, true),
            Self::Ws => ws::load(address, time, 0),
            Self::WsOffers => ws::load(address, time, 5),
        }
    }
}

/// A peer: its swarm, its id, and whether it is a seed.
type Peer = ([u8; 20], [u8; 20], bool);

/// A peer under load: which swarm it is in, and what it says of itself. Always the same for the same number.
fn peer(number: u32, swarms: u32) -> Peer {
    let mixed = u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    // Squared, so that the first swarms are the largest.
    let swarm = ((((mixed * mixed) >> 32) * u64::from(swarms)) >> 32) as u32;
    let mut hash = *b"................swrm";
    hash[..4].copy_from_slice(&swarm.wrapping_mul(0x9e37_79b1).to_be_bytes());
    hash[4..8].copy_from_slice(&swarm.to_be_bytes());
    let mut id = *b"-LT2110-............";
    id[8..12].copy_from_slice(&number.to_be_bytes());
    id[12..16].copy_from_slice(&number.wrapping_mul(0x85eb_ca6b).to_be_bytes());
    (hash, id, number.is_multiple_of(3))
}

/// One of so many peers in swarms of the same size.
fn evenly(number: u32, peers: u32) -> Peer {
    let (mut hash, id, is_seed) = peer(number, 1);
    let swarm = number % (peers / EVEN);
    hash[..4].copy_from_slice(&swarm.wrapping_mul(0x9e37_79b1).to_be_bytes());
    hash[8..12].copy_from_slice(&swarm.to_be_bytes());
    (hash, id, is_seed)
}

/// The port of a peer. Hardly two of a swarm have the same, for some trackers know peers by their address alone.
const fn port(number: u32) -> u16 {
    (number.wrapping_mul(0x9e37_79b1) >> 16) as u16 | 1
}

fn percent(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("%{byte:02x}")).collect()
}

fn measure(name: &str, face: Face) {
    let Some(server) = Server::start(name, face) else {
        return;
    };
    face.load(server.address, WARM_UP);
    let before = server.cpu();
    let answered = face.load(server.address, MEASURED);
    let took = server.cpu() - before;
    println!(
        "| {} | {name} | {:.0} | {:.0} | {:.2} |",
        face.name(),
        answered as f64 / took,
        answered as f64 / MEASURED.as_secs_f64(),
        took / MEASURED.as_secs_f64()
    );
}

fn weigh(name: &str, face: Face) {
    let Some(server) = Server::start(name, face) else {
        return;
    };
    let before = server.memory();
    let (peers, _held) = match face {
        Face::Udp => (udp::announce_all(server.address, MANY), None),
        Face::Http | Face::HttpKept => (http::announce_all(server.address, FEWER), None),
        Face::Ws | Face::WsOffers => (u64::from(ws::MANY), Some(ws::hold(server.address))),
    };
    println!(
        "| {} | {name} | {:.0} |",
        face.name(),
        (server.memory() - before) / peers as f64
    );
}

fn main() {
    let chosen: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let wanted = |row: &str| chosen.is_empty() || chosen.iter().any(|part| row.contains(part.as_str()));
    println!("| face | tracker | announces per CPU second | a second | cores |\n|---|---|---|---|---|");
    for face in [Face::Udp, Face::Http, Face::HttpKept, Face::Ws, Face::WsOffers] {
        for name in ["tombolo", "aquatic", "opentracker"] {
            if wanted(&format!("{name} {}", face.name())) {
                measure(name, face);
            }
        }
    }
    println!("\n| face | tracker | bytes a peer |\n|---|---|---|");
    for face in [Face::Udp, Face::HttpKept, Face::Ws] {
        for name in ["tombolo", "aquatic", "opentracker"] {
            if wanted(&format!("{name} memory {}", face.name())) {
                weigh(name, face);
            }
        }
    }
}
