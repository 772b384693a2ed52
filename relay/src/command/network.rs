//! The flags by which `get` and `seed` find peers.

use std::net::{Ipv4Addr, SocketAddr};

use clap::Args;
use tombolo_core::event::Source;

use super::failure::Failure;
use super::flags::{Finders, Threads, Trackers, Traffic};
use super::listener::Listener;
use super::node::Settings;
use crate::limits::Limits;
use crate::outside::is_local;
use crate::storage::Folder;

/// How peers are found and reached.
#[derive(Args, Debug)]
pub(super) struct Network {
    /// A peer to connect to; may be repeated
    #[arg(long, value_name = "HOST:PORT")]
    peer: Vec<String>,
    #[command(flatten)]
    trackers: Trackers,
    /// Announce to every tracker of a tier, not only to the first that answers
    #[arg(long)]
    announce_to_all: bool,
    #[command(flatten)]
    finders: Finders,
    /// Talk to loopback and private addresses that others name
    #[arg(long)]
    allow_local: bool,
    /// Where to take native peers, or `off` [default: any free port]
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<Listener>,
    /// Where to have WebRTC, or `off` [default: any free port, where a tracker speaks WebSocket]
    #[arg(long, value_name = "ADDR:PORT")]
    rtc: Option<Listener>,
    #[command(flatten)]
    traffic: Traffic,
    #[command(flatten)]
    threads: Threads,
}

impl Network {
    /// The trackers that replace the torrent's own.
    pub(super) fn trackers(&self) -> Option<Vec<String>> {
        self.trackers.replacement()
    }

    /// How many threads to use.
    pub(super) fn threads(&self) -> usize {
        self.threads.count()
    }

    /// Whether it was said where native peers are taken.
    pub(super) const fn listens(&self) -> bool {
        self.listen.is_some()
    }

    /// What a node is started with.
    pub(super) fn settings(&self, source: Source, folder: Folder) -> Result<Settings, Failure> {
        let anywhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let own = self.announce_to_all.then(|| own_trackers(&source)).flatten();
        let trackers = self.trackers().or(own);
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
        let state = folder.writable.then(|| folder.dir.join(".tombolo").join("dht"));
        Ok(Settings {
            finding: self.finders.settings(allow_local, state),
            peers,
            folder,
            tcp: true,
            utp: true,
            encryption: self.traffic.encryption.into(),
            listen: self.listen.map_or(Some(anywhere), Listener::address),
            rtc,
            trackers,
            allow_local,
            limits: Limits {
                up: self.traffic.limits().0,
                down: self.traffic.limits().1,
                ..Limits::default()
            },
            unlimited: false,
            super_seed: false,
            threads: self.threads(),
            source,
        })
    }
}

/// The trackers of a .torrent, whose tiers would be tried one tracker at a time (BEP 12); those of a link are all asked as it is.
fn own_trackers(source: &Source) -> Option<Vec<String>> {
    match source {
        Source::Metainfo(metainfo) => Some(metainfo.trackers.concat()),
        Source::Magnet(_) => None,
    }
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
