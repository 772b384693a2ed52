//! The flags by which `get` and `seed` find peers.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use tombolo_core::event::Source;
use tombolo_core::mse::Policy;

use super::failure::Failure;
use super::listener::Listener;
use super::node::Settings;
use super::units::parse_size;
use crate::finding;
use crate::outside::is_local;
use crate::system;

/// Whether native connections are encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Encryption {
    /// Both kinds are accepted; the encryption handshake is tried first.
    Prefer,
    /// Encrypted connections alone.
    Require,
    /// Plaintext connections alone.
    Off,
}

impl From<Encryption> for Policy {
    fn from(encryption: Encryption) -> Self {
        match encryption {
            Encryption::Prefer => Self::Prefer,
            Encryption::Require => Self::Require,
            Encryption::Off => Self::Off,
        }
    }
}

/// How peers are found and reached.
#[derive(Args, Debug)]
pub(super) struct Network {
    /// A peer to connect to; may be repeated
    #[arg(long, value_name = "HOST:PORT")]
    peer: Vec<String>,
    /// A tracker, instead of the torrent's own; may be repeated
    #[arg(long, value_name = "URL")]
    tracker: Vec<String>,
    /// Ask no tracker
    #[arg(long, conflicts_with = "tracker")]
    no_trackers: bool,
    /// Do not use the DHT
    #[arg(long)]
    no_dht: bool,
    /// A node of the DHT to begin with instead of well-known ones, or `none`; may be repeated
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "no_dht")]
    dht_bootstrap: Vec<String>,
    /// Do not look for peers on the local network
    #[arg(long)]
    no_lsd: bool,
    /// The interface to look for local peers on, by its address [default: that of `--listen`, if it is not loopback]
    #[arg(long, value_name = "ADDR", conflicts_with = "no_lsd")]
    lsd_interface: Option<IpAddr>,
    /// Do not ask the router for a port
    #[arg(long)]
    no_portmap: bool,
    /// Talk to loopback and private addresses that others name
    #[arg(long)]
    allow_local: bool,
    /// Where to take native peers, or `off` [default: any free port]
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<Listener>,
    /// Where to have WebRTC, or `off` [default: any free port, where a tracker speaks WebSocket]
    #[arg(long, value_name = "ADDR:PORT")]
    rtc: Option<Listener>,
    /// Whether native connections are encrypted
    #[arg(long, default_value = "prefer")]
    encryption: Encryption,
    /// Send at most so many bytes a second
    #[arg(long, value_name = "N", value_parser = parse_size)]
    up: Option<u64>,
    /// Receive at most so many bytes a second
    #[arg(long, value_name = "N", value_parser = parse_size)]
    down: Option<u64>,
    /// Threads [default: one a core]
    #[arg(long)]
    threads: Option<usize>,
}

impl Network {
    /// The trackers that replace the torrent's own.
    pub(super) fn trackers(&self) -> Option<Vec<String>> {
        trackers(&self.tracker, self.no_trackers)
    }

    /// How many threads to use.
    pub(super) fn threads(&self) -> usize {
        self.threads.unwrap_or_else(system::threads).max(1)
    }

    /// What a node is started with.
    pub(super) fn settings(&self, source: Source, dir: PathBuf, writable: bool) -> Result<Settings, Failure> {
        let anywhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let trackers = self.trackers();
        let rtc = match self.rtc {
            Some(listener) => listener.address(),
            None => speaks_websocket(&source, trackers.as_deref()).then_some(anywhere),
        };
        let mut peers = Vec::new();
        for peer in &self.peer {
            peers.extend(resolve(peer)?);
        }
        // Whoever names a peer of a local network wants to talk to that network.
        let allow_local = self.allow_local || peers.iter().any(|peer: &SocketAddr| is_local(peer.ip()));
        if let Source::Magnet(magnet) = &source {
            let named = magnet.peers.iter().filter_map(|peer| resolve(&peer.to_string()).ok());
            peers.extend(named.flatten());
        }
        let finding = finding::Settings {
            dht: !self.no_dht,
            bootstrap: bootstrap(&self.dht_bootstrap),
            lsd: !self.no_lsd,
            lsd_interface: self.lsd_interface,
            portmap: !self.no_portmap,
            allow_local,
            confined: false,
            listening: Vec::new(),
            state: writable.then(|| dir.join(".tombolo").join("dht")),
        };
        Ok(Settings {
            finding,
            peers,
            dir,
            writable,
            tcp: true,
            utp: true,
            encryption: self.encryption.into(),
            listen: self.listen.map_or(Some(anywhere), Listener::address),
            rtc,
            trackers,
            allow_local,
            limits: (self.up, self.down),
            unlimited: false,
            threads: self.threads(),
            source,
        })
    }
}

/// The nodes of the DHT to begin with; `None`: the well-known ones.
pub(super) fn bootstrap(named: &[String]) -> Option<Vec<String>> {
    let nodes = named.iter().filter(|name| *name != "none").cloned();
    (!named.is_empty()).then(|| nodes.collect())
}

/// The trackers that replace the torrent's own; `None` replaces none.
pub(super) fn trackers(named: &[String], none: bool) -> Option<Vec<String>> {
    (none || !named.is_empty()).then(|| named.to_vec())
}

/// Whether any tracker that will be asked speaks WebSocket: then there may be peers that speak WebRTC.
fn speaks_websocket(source: &Source, trackers: Option<&[String]>) -> bool {
    let is_websocket = |url: &String| url.starts_with("ws:") || url.starts_with("wss:");
    match (trackers, source) {
        (Some(trackers), _) => trackers.iter().any(is_websocket),
        (None, Source::Metainfo(metainfo)) => metainfo.trackers.iter().flatten().any(is_websocket),
        (None, Source::Magnet(magnet)) => magnet.trackers.iter().any(is_websocket),
    }
}

/// The addresses of `HOST:PORT`.
fn resolve(peer: &str) -> Result<Vec<SocketAddr>, Failure> {
    use std::net::ToSocketAddrs;
    match peer.to_socket_addrs() {
        Ok(addresses) => Ok(addresses.collect()),
        Err(error) => Err(Failure::refused("bad-peer", format!("{peer}: {error}"))),
    }
}
