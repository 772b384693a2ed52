//! The flags by which `get` and `seed` find peers.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use clap::Args;
use tombolo_core::event::Source;

use super::failure::Failure;
use super::flags::{Finders, Threads, Trackers, Traffic};
use super::limits::Limits;
use super::listener::Listener;
use super::node::Settings;
use crate::outside::{Policy, is_local, stand_in};
use crate::proxy::Way;
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

    /// What a node is started with.
    pub(super) fn settings(&self, source: Source, folder: Folder, limits: &Limits) -> Result<Settings, Failure> {
        let limits = limits.read(self.traffic.rates)?;
        let way = &limits.way;
        let any = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let anywhere = SocketAddr::new(way.own_addresses().first().copied().unwrap_or(any), 0);
        let own = self.announce_to_all.then(|| own_trackers(&source)).flatten();
        let trackers = self.trackers().or(own);
        let rtc = match self.rtc {
            Some(listener) => listener.address(),
            None => speaks_websocket(&source, trackers.as_deref()).then_some(anywhere),
        };
        // Whoever hides behind a proxy does not open a door beside it.
        let open = (!way.has_proxy()).then_some(anywhere);
        let mut peers = Vec::new();
        for peer in &self.peer {
            peers.extend(
                resolve(way, peer, true).map_err(|why| Failure::refused("bad-peer", format!("{peer}: {why}")))?,
            );
        }
        // Whoever names a peer of a local network wants to talk to that network.
        let is_there = |peer: &SocketAddr| is_local(peer.ip()) && !way.is_stand_in(*peer);
        let allow_local = self.allow_local || peers.iter().any(is_there);
        if let Source::Magnet(magnet) = &source {
            let named = magnet.peers.iter().map(ToString::to_string);
            peers.extend(named.filter_map(|peer| resolve(way, &peer, allow_local).ok()).flatten());
        }
        let state = folder.writable.then(|| folder.dir.join(".tombolo").join("dht"));
        Ok(Settings {
            finding: self.finders.settings(allow_local, state),
            peers,
            folder,
            tcp: true,
            utp: true,
            encryption: self.traffic.encryption.into(),
            listen: self.listen.map_or(open, Listener::address),
            rtc: rtc.filter(|_| !way.has_proxy()),
            trackers,
            allow_local,
            limits,
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

/// The addresses of `HOST:PORT`, or what stands for it where a proxy is to resolve it.
fn resolve(way: &Way, peer: &str, allow_local: bool) -> Result<Vec<SocketAddr>, String> {
    use std::net::ToSocketAddrs;
    if !way.has_proxy() {
        let found = peer.to_socket_addrs().map_err(|error| error.to_string())?;
        return Ok(found.collect());
    }
    let (host, port) = peer.rsplit_once(':').ok_or("it has no port")?;
    let port = port.parse().map_err(|_| "it has no port")?;
    let policy = Policy {
        allow_local,
        way: way.clone(),
        ..Policy::default()
    };
    stand_in(&policy, host, port).map(|address| vec![address])
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use tombolo_core::key::InfoHashV1;
    use tombolo_core::magnet::Magnet;

    use super::*;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        network: Network,
        #[command(flatten)]
        limits: Limits,
    }

    #[test]
    fn listeners_are_where_they_were_said_or_at_the_address_named() {
        let listeners = |flags: &str| {
            let fixed = ["x", "--tracker", "ws://127.0.0.1:1"];
            let flags = Flags::parse_from(fixed.into_iter().chain(flags.split_whitespace()));
            let source = Source::Magnet(Magnet::new(InfoHashV1([1; 20]).into()));
            let folder = Folder::read_only("/nonexistent".into());
            let found = flags.network.settings(source, folder, &flags.limits).unwrap();
            [found.listen, found.rtc].map(|at| at.map_or_else(|| "off".into(), |at| at.to_string()))
        };
        for (flags, listen, rtc) in [
            ("", "0.0.0.0:0", "0.0.0.0:0"),
            ("--bind 127.0.0.9", "127.0.0.9:0", "127.0.0.9:0"),
            ("--bind ::1 --bind 127.0.0.9", "[::1]:0", "[::1]:0"),
            ("--bind 127.0.0.9 --listen 127.0.0.1:5 --rtc off", "127.0.0.1:5", "off"),
            ("--proxy socks5://127.0.0.1", "off", "off"),
            (
                "--proxy socks5://127.0.0.1 --listen 127.0.0.1:5 --rtc 127.0.0.1:6",
                "127.0.0.1:5",
                "off",
            ),
        ] {
            assert_eq!(listeners(flags), [listen, rtc], "{flags}");
        }
    }
}
