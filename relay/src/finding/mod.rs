//! Finding peers without trackers: a node of the DHT, local discovery, and a port at the router, one of each in a process.
//!
//! Shards ask ([`Ask`]) and get peers by their own events; the protocols are machines of the core, here they only get datagrams and time.
//! Invariants: with loopback listeners nothing leaves loopback; state is written under the folder given and nowhere else.

mod dht;
mod lsd;
mod portmap;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tombolo_core::dht::Figures;
use tombolo_core::event::{Event, Torrent};
use tombolo_core::key::SwarmKey;
use tombolo_core::time::Time;

use crate::proxy::Way;
use crate::shard::ShardConfig;
use crate::shards::Shards;
use crate::udp::Udp;

/// Where a node that knows nobody begins: nodes that clients have run for that purpose for years.
pub const BOOTSTRAP: [&str; 4] = [
    "router.bittorrent.com:6881",
    "dht.transmissionbt.com:6881",
    "dht.libtorrent.org:25401",
    "router.utorrent.com:6881",
];

/// What shards ask.
#[derive(Debug)]
pub enum Ask {
    /// Find peers of a torrent, known by these names, and announce it.
    Lookup(Torrent, Vec<SwarmKey>),
    /// A node of the DHT may be there.
    Node(SocketAddr),
    /// How the node of the DHT does. Without one the answer does not come.
    Figures(oneshot::Sender<Figures>),
}

/// What to use.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Be a node of the DHT.
    pub dht: bool,
    /// Where to begin (`host:port`); `None`: at [`BOOTSTRAP`].
    pub bootstrap: Option<Vec<String>>,
    /// Look for peers on the local network.
    pub lsd: bool,
    /// The interface for that, by its address, instead of that of the listeners.
    pub lsd_interface: Option<IpAddr>,
    /// Ask the router for a port.
    pub portmap: bool,
    /// Speak to loopback and private addresses.
    pub allow_local: bool,
    /// Everything that listens does so on loopback.
    pub confined: bool,
    /// Where TCP peers are taken; UDP uses the same ports.
    pub listening: Vec<SocketAddr>,
    /// From where and through what all this is done.
    pub way: Way,
    /// The file that the DHT's table is kept in.
    pub state: Option<PathBuf>,
}

impl Settings {
    /// Whether all listeners are on loopback: then nothing may leave it.
    fn is_loopback(&self) -> bool {
        let listens = !self.listening.is_empty();
        self.confined || (listens && self.listening.iter().all(|address| address.ip().is_loopback()))
    }

    /// The same as far as it can be done through a proxy, where nothing of our own can be reached: by the DHT alone, asking only.
    fn hidden(self) -> Self {
        Self {
            lsd: false,
            portmap: false,
            listening: Vec::new(),
            ..self
        }
    }

    /// Whether there is to be a node of the DHT: on loopback only if it is told where to begin.
    pub fn has_dht(&self) -> bool {
        self.dht && (!self.is_loopback() || self.bootstrap.is_some())
    }

    /// Whether local peers are looked for: on loopback only if that is named as the interface.
    pub fn has_lsd(&self) -> bool {
        self.lsd && (!self.is_loopback() || self.lsd_interface.is_some())
    }

    fn has_portmap(&self) -> bool {
        self.portmap && !self.listening.is_empty() && !self.is_loopback()
    }

    /// Where to have sockets of our own.
    fn places(&self) -> Vec<SocketAddr> {
        let port = |v6| {
            let listens = self.listening.iter().find(|address| address.is_ipv6() == v6);
            listens.map_or(0, SocketAddr::port)
        };
        let own = |ip: &IpAddr| SocketAddr::new(*ip, port(ip.is_ipv6()));
        match (self.way.own_addresses(), &self.listening[..]) {
            ([], []) => vec![own(&Ipv4Addr::UNSPECIFIED.into())],
            ([], listening) => listening.to_vec(),
            (from, _) => from.iter().map(own).collect(),
        }
    }

    /// The interface of local discovery in one family, by its address; `None`: there is nothing to announce in it.
    fn interface(&self, v6: bool) -> Option<IpAddr> {
        let of = |ip: &IpAddr| ip.is_ipv6() == v6;
        let listens = self.listening.iter().map(SocketAddr::ip).find(of)?;
        let from = self.way.own_addresses();
        match self.lsd_interface.filter(of) {
            Some(named) => Some(named),
            None if from.is_empty() => Some(listens),
            None => from.iter().copied().find(of),
        }
    }

    fn port(&self) -> Option<u16> {
        self.listening.first().map(SocketAddr::port)
    }

    fn bootstrap(&self) -> Vec<String> {
        match &self.bootstrap {
            Some(names) => names.clone(),
            None => BOOTSTRAP.map(String::from).to_vec(),
        }
    }
}

/// The sockets, opened before anything is asked, so that peers can be told of their port.
pub struct Finding {
    settings: Settings,
    sockets: Vec<Arc<Udp>>,
    /// Whether nobody else reads them.
    own: bool,
    asks: mpsc::UnboundedReceiver<Ask>,
    sender: mpsc::UnboundedSender<Ask>,
}

/// What runs. Dropping it leaves it running.
pub struct Running {
    asks: mpsc::UnboundedSender<Ask>,
    tasks: Vec<JoinHandle<()>>,
    stop: Option<mpsc::Sender<oneshot::Sender<()>>>,
    mapped: portmap::Mapped,
}

impl Finding {
    /// Takes the UDP sockets that there are, which somebody else reads, or opens its own; to be called within a runtime. `None`: there is
    /// nothing to find peers by.
    ///
    /// # Errors
    /// No UDP socket can be had.
    pub fn open(settings: Settings, shared: &[Arc<Udp>]) -> io::Result<Option<Self>> {
        let mut settings = settings;
        if settings.way.has_proxy() {
            settings = settings.hidden();
            // Not beside it, if it carries no datagrams.
            settings.dht &= !shared.is_empty();
        }
        if !(settings.has_dht() || settings.has_lsd() || settings.has_portmap()) {
            return Ok(None);
        }
        let mut sockets = shared.to_vec();
        let own = settings.has_dht() && shared.is_empty();
        if own {
            for address in settings.places() {
                sockets.push(open(address)?);
            }
        }
        let (sender, asks) = mpsc::unbounded_channel();
        Ok(Some(Self {
            settings,
            sockets,
            own,
            asks,
            sender,
        }))
    }

    /// Lets sessions ask it.
    pub(crate) fn equip(&self, shard: &mut ShardConfig) {
        shard.session.finds = self.finds();
        shard.session.dht_port = self.dht_port();
        shard.finder = Some(self.sender.clone());
    }

    /// Whether peers can be looked for at all.
    pub(crate) fn finds(&self) -> bool {
        self.settings.has_dht() || self.settings.has_lsd()
    }

    /// The UDP port of the node of the DHT, if there is one.
    fn dht_port(&self) -> Option<u16> {
        let first = self.sockets.first().filter(|_| self.settings.has_dht());
        first.map(|socket| socket.local_address().port())
    }

    /// Begins; what is found goes to these shards.
    pub fn run(self, shards: Shards) -> Running {
        let Self {
            settings,
            sockets,
            own,
            mut asks,
            sender,
        } = self;
        let clock = Clock::default();
        let mut tasks: Vec<_> = sockets
            .iter()
            .filter(|_| own)
            .map(|socket| tokio::spawn(socket.clone().run()))
            .collect();
        let mapped = portmap::Mapped::default();
        let (external, port) = watch::channel(settings.port());
        if settings.has_portmap() {
            tasks.push(tokio::spawn(portmap::run(
                (settings.listening.clone(), settings.way.own_addresses().to_vec()),
                mapped.clone(),
                external,
            )));
        }
        let (mut dht_asks, mut stop) = (None, None);
        if settings.has_dht() {
            let (sender, receiver) = mpsc::unbounded_channel();
            let (stopper, stopped) = mpsc::channel(1);
            let node = dht::Node::new(&settings, sockets, shards.clone(), clock);
            tasks.push(tokio::spawn(node.run(receiver, stopped, port)));
            (dht_asks, stop) = (Some(sender), Some(stopper));
        }
        let mut lsd_asks = None;
        if settings.has_lsd()
            && let Some(port) = settings.port()
        {
            let (sender, receiver) = mpsc::unbounded_channel();
            let interfaces = [false, true].map(|v6| settings.interface(v6));
            tasks.push(tokio::spawn(lsd::run(
                lsd::Place { port, interfaces },
                receiver,
                shards,
                clock,
            )));
            lsd_asks = Some(sender);
        }
        tasks.push(tokio::spawn(async move {
            while let Some(ask) = asks.recv().await {
                // A receiver that is gone has no more use for it.
                if let (Ask::Lookup(_, swarms), Some(lsd)) = (&ask, &lsd_asks) {
                    let _ = lsd.send(swarms.clone());
                }
                if let Some(dht) = &dht_asks {
                    let _ = dht.send(ask);
                }
            }
        }));
        Running {
            asks: sender,
            tasks,
            stop,
            mapped,
        }
    }
}

impl Running {
    /// Where to ask it something.
    pub(crate) fn asks(&self) -> mpsc::UnboundedSender<Ask> {
        self.asks.clone()
    }

    /// Ends: the table is written out, the router's port given back.
    pub async fn stop(self) {
        let ending = async {
            if let Some(stop) = &self.stop {
                let (sender, stopped) = oneshot::channel();
                if stop.send(sender).await.is_ok() {
                    let _ = stopped.await;
                }
            }
            self.mapped.release().await;
        };
        // A router that does not answer is not waited for: the port is leased.
        let _ = tokio::time::timeout(std::time::Duration::from_secs(2), ending).await;
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// How the node of the DHT does; `None`: there is none.
pub(crate) async fn figures(asks: &mpsc::UnboundedSender<Ask>) -> Option<Figures> {
    let (sender, answer) = oneshot::channel();
    asks.send(Ask::Figures(sender)).ok()?;
    answer.await.ok()
}

/// A UDP socket on that port; on another one where it is taken, for nothing depends on it.
fn open(address: SocketAddr) -> io::Result<Arc<Udp>> {
    Udp::bind(address).or_else(|_| Udp::bind(SocketAddr::new(address.ip(), 0)))
}

/// Tells the shard of a torrent of peers.
fn deliver(shards: &Shards, swarm: SwarmKey, peers: Vec<SocketAddr>) {
    if let Some(torrent) = shards.find(swarm) {
        shards.send(torrent, Event::Peers(torrent, peers));
    }
}

/// Time as the machines want it.
#[derive(Clone, Copy, Debug)]
struct Clock(Instant);

impl Default for Clock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Clock {
    fn now(self) -> Time {
        Time::from_micros(u64::try_from(self.0.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    /// Resolves at a moment; never if there is none.
    async fn until(self, at: Option<Time>) {
        match at.and_then(|at| self.0.checked_add(std::time::Duration::from_micros(at.as_micros()))) {
            Some(at) => tokio::time::sleep_until(at.into()).await,
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_loopback_only_what_is_named_is_used() {
        let settings = |listening: &str| Settings {
            dht: true,
            lsd: true,
            listening: vec![listening.parse().unwrap()],
            ..Settings::default()
        };
        let public = settings("0.0.0.0:6881");
        assert!(public.has_dht() && public.has_lsd());
        let mut local = settings("127.0.0.1:6881");
        assert!(!local.has_dht() && !local.has_lsd());
        local.bootstrap = Some(Vec::new());
        local.lsd_interface = Some(Ipv4Addr::LOCALHOST.into());
        assert!(local.has_dht() && local.has_lsd());
        (local.dht, local.lsd) = (false, false);
        assert!(!local.has_dht() && !local.has_lsd());
    }

    #[test]
    fn what_is_opened_is_at_the_addresses_named() {
        let parse = |list: &[&str]| {
            list.iter()
                .map(|address| address.parse().unwrap())
                .collect::<Vec<SocketAddr>>()
        };
        let settings = |listening: &[&str], from: &[&str]| Settings {
            listening: parse(listening),
            way: Way::new(None, from.iter().map(|ip| ip.parse().unwrap()).collect()),
            ..Settings::default()
        };
        for (listening, from, places, interfaces) in [
            (&[][..], &[][..], &["0.0.0.0:0"][..], [None, None]),
            (
                &["127.0.0.1:5", "[::1]:6"],
                &[],
                &["127.0.0.1:5", "[::1]:6"],
                [Some("127.0.0.1"), Some("::1")],
            ),
            (&[], &["127.0.0.9"], &["127.0.0.9:0"], [None, None]),
            (
                &["0.0.0.0:5"],
                &["127.0.0.9", "::1"],
                &["127.0.0.9:5", "[::1]:0"],
                [Some("127.0.0.9"), None],
            ),
            (&["0.0.0.0:5"], &["::1"], &["[::1]:0"], [None, None]),
        ] {
            let settings = settings(listening, from);
            assert_eq!(settings.places(), parse(places), "{listening:?} {from:?}");
            let expected = interfaces.map(|ip| ip.map(|ip| ip.parse().unwrap()));
            assert_eq!(
                [false, true].map(|v6| settings.interface(v6)),
                expected,
                "{listening:?} {from:?}"
            );
        }
    }
}
