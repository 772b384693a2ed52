//! The settings of a session.

use alloc::string::String;

use crate::key::PeerId;
use crate::swarm::{choker, depth};

/// The settings of a session. The defaults suit a person's own computer.
#[derive(Clone, Debug)]
pub struct Config {
    /// How we name ourselves to peers and trackers (BEP 20).
    pub peer_id: PeerId,
    /// Our name and version, as the extended handshake says it (BEP 10).
    pub client: String,
    /// Whether we are a relay: we promise what others hold, and other relays must not count that as a source.
    pub relay: bool,
    /// The port on which we take links, 0 if none.
    pub port: u16,
    /// Whether the shell can dial addresses.
    pub dials: bool,
    /// Whether the shell can look for peers ([`Action::Lookup`](crate::event::Action::Lookup)).
    pub finds: bool,
    /// Whether linked native peers are told of each other (BEP 11).
    pub pex: bool,
    /// Whether the shell can dial through NATs over uTP ([`Action::Punch`](crate::event::Action::Punch), BEP 55).
    pub punches: bool,
    /// The UDP port of our node of the DHT, while there is one (BEP 5).
    pub dht_port: Option<u16>,
    /// Whether loopback and private addresses are taken from peers and handed to them.
    pub allow_local: bool,
    /// Whether the shell can negotiate WebRTC connections.
    pub offers: bool,
    /// Whether a torrent that is whole is first seeded with as little upload as can be (BEP 16).
    pub super_seed: bool,
    /// Bytes of pieces that may be in memory between request and storage. One piece is always allowed.
    pub memory: u64,
    /// Bytes of verified pieces that all bridged torrents together may keep.
    pub cache: u64,
    /// Links that one torrent may have.
    pub max_peers: usize,
    /// Links that all torrents together may have.
    pub max_links: usize,
    /// Dials under way at a time, of all torrents together.
    pub half_open: usize,
    /// Peers that are unchoked at a time, the optimistic one included.
    pub unchoke_slots: usize,
    /// Upload limit in bytes a second.
    pub up: Option<u64>,
    /// Download limit in bytes a second.
    pub down: Option<u64>,
    /// Upload limit of each torrent in bytes a second, until it is given one of its own.
    pub torrent_up: Option<u64>,
    /// Download limit of each torrent.
    pub torrent_down: Option<u64>,
    /// The most requests that may be outstanding on one link. 512 are 8 MiB.
    pub max_requests: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            peer_id: PeerId(*b"-TO0100-000000000000"),
            client: String::from(concat!("Tombolo ", env!("CARGO_PKG_VERSION"))),
            relay: false,
            port: 0,
            dials: true,
            finds: false,
            pex: true,
            punches: false,
            dht_port: None,
            allow_local: true,
            offers: false,
            super_seed: false,
            memory: 64 << 20,
            cache: 256 << 20,
            max_peers: 80,
            max_links: usize::MAX,
            half_open: 50,
            unchoke_slots: choker::SLOTS,
            up: None,
            down: None,
            torrent_up: None,
            torrent_down: None,
            max_requests: depth::CAP,
        }
    }
}
