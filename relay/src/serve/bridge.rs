//! Which swarms the relay is in, who may put it there, and what it remembers of them.
//!
//! Invariants: with the bridge off it is in none; with a list, in none but those of the list. At most [`MAX_SWARMS`]; one that no web
//! peer has used for [`IDLE`] is left again, with its cache, unless it was named at the start. What is needed to go on after the relay
//! was killed is on disk at most a second after it is known.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tombolo_core::event::{Add, Event, Mode, Source, Torrent, Transport};
use tombolo_core::key::{InfoHashes, SwarmKey};
use tombolo_core::magnet::Magnet;
use tombolo_core::metainfo::Metainfo;

use super::state::{Remembered, State};
use super::tracker::access::Access;
use crate::outside;
use crate::shards::Shards;

/// Swarms that the relay is in at most.
const MAX_SWARMS: usize = 2_000;

/// Native peers that are remembered of a swarm.
const MAX_PEERS: usize = 200;

/// How long a swarm stays without a web peer in it.
const IDLE: Duration = Duration::from_secs(600);

/// How often the swarms are looked after.
const ROUND: Duration = Duration::from_millis(1_000);

/// Who may put the relay into a swarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Anyone.
    Open,
    /// Anyone, if the swarm is on the list.
    List,
    /// Nobody.
    Off,
}

/// Why the relay does not join a swarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The policy does not allow it.
    NotAllowed,
    /// It is in as many swarms as it may be.
    Full,
    /// There is no way to find peers.
    NoPeers,
}

impl Refusal {
    /// As the API names it.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::NotAllowed => "not-allowed",
            Self::Full => "full",
            Self::NoPeers => "no-peers",
        }
    }

    /// In words.
    pub(crate) const fn message(self) -> &'static str {
        match self {
            Self::NotAllowed => "this relay does not serve this torrent",
            Self::Full => "this relay serves as many torrents as it can",
            Self::NoPeers => "this relay knows no way to find peers of this torrent",
        }
    }
}

/// A swarm that the relay is in.
#[derive(Clone, Debug)]
struct Joined {
    magnet: Magnet,
    pinned: bool,
    peers: BTreeSet<SocketAddr>,
    /// When a web peer was last in it, or it was asked for.
    used: Instant,
}

/// Settings of the bridge.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) policy: Policy,
    pub(crate) allowed: HashSet<SwarmKey>,
    /// What the tracker must not serve is not bridged either.
    pub(crate) access: Arc<Access>,
    /// How peers are reached, and which may be dialled.
    pub(crate) outside: outside::Policy,
    /// Peers can be found without anybody naming any: in the DHT, or on the local network.
    pub(crate) finds: bool,
    /// Our own trackers' addresses: announcing to ourselves would meet ourselves.
    pub(crate) own: Vec<SocketAddr>,
}

/// The swarms that the relay is in.
pub(crate) struct Bridge {
    shards: Shards,
    state: State,
    settings: Settings,
    joined: Mutex<HashMap<Torrent, Joined>>,
}

impl Bridge {
    /// A bridge in no swarm yet.
    pub(crate) fn new(shards: Shards, state: State, settings: Settings) -> Arc<Self> {
        Arc::new(Self {
            shards,
            state,
            settings,
            joined: Mutex::default(),
        })
    }

    fn joined(&self) -> MutexGuard<'_, HashMap<Torrent, Joined>> {
        self.joined.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the policy lets the relay into a swarm.
    pub(crate) fn allows(&self, hashes: InfoHashes) -> bool {
        if hashes.swarms().any(|swarm| self.settings.access.denies(swarm)) {
            return false;
        }
        match self.settings.policy {
            Policy::Open => true,
            Policy::List => hashes.swarms().any(|swarm| self.settings.allowed.contains(&swarm)),
            Policy::Off => false,
        }
    }

    /// The torrent of a swarm that the relay is in.
    pub(crate) fn find(&self, swarm: SwarmKey) -> Option<Torrent> {
        self.shards.find(swarm)
    }

    /// The torrents of all swarms that the relay is in.
    pub(crate) fn torrents(&self) -> Vec<Torrent> {
        self.joined().keys().copied().collect()
    }

    /// The swarms that the relay is in, those of hybrids under both names.
    pub(crate) fn swarms(&self) -> Vec<SwarmKey> {
        self.joined()
            .values()
            .flat_map(|joined| joined.magnet.hashes.swarms().collect::<Vec<_>>())
            .collect()
    }

    /// Joins a swarm, or gives more ways to find its peers. True: it was not in it before.
    ///
    /// # Errors
    /// The policy refuses, or there are too many.
    pub(crate) async fn join(&self, source: Source, pinned: bool) -> Result<(Torrent, bool), Refusal> {
        let magnet = match &source {
            Source::Magnet(magnet) => magnet.clone(),
            Source::Metainfo(metainfo) => magnet_of(metainfo),
        };
        if !self.allows(magnet.hashes) {
            return Err(Refusal::NotAllowed);
        }
        let peers = self.resolve(&magnet).await;
        if let Some(torrent) = magnet.hashes.swarms().find_map(|swarm| self.find(swarm)) {
            self.enrich(torrent, source, &magnet, peers).await;
            return Ok((torrent, false));
        }
        if self.joined().len() >= MAX_SWARMS {
            return Err(Refusal::Full);
        }
        let remembered = Remembered {
            magnet: magnet.to_string(),
            pinned,
            peers,
        };
        Ok((self.add(source, magnet, remembered), true))
    }

    fn add(&self, source: Source, magnet: Magnet, remembered: Remembered) -> Torrent {
        if let Source::Metainfo(metainfo) = &source {
            self.keep(metainfo);
        }
        let Remembered { pinned, peers, .. } = remembered;
        let (trackers, first) = (self.trackers(&magnet), peers.clone());
        let mode = Mode::Bridge { prefetch: pinned };
        let added = self.shards.add(|torrent| Add {
            torrent,
            source,
            mode,
            trackers: Some(trackers),
            peers,
            priorities: Vec::new(),
        });
        let torrent = match added {
            Ok(torrent) => torrent,
            // Another request was faster.
            Err(torrent) => return torrent,
        };
        let joined = Joined {
            magnet,
            pinned,
            peers: first.into_iter().collect(),
            used: Instant::now(),
        };
        // It is on disk within a round: a flood of joins must not write the list once for each.
        self.joined().insert(torrent, joined);
        torrent
    }

    /// Takes in what a further request for a swarm brings: peers, and the metainfo where it was missing.
    async fn enrich(&self, torrent: Torrent, source: Source, magnet: &Magnet, peers: Vec<SocketAddr>) {
        if let Some(joined) = self.joined().get_mut(&torrent) {
            joined.used = Instant::now();
        }
        let lacks_metadata = self
            .shards
            .look(torrent, move |view| view.session.metainfo(torrent).is_none())
            .await;
        let known = self.joined().get(&torrent).cloned();
        let news = known.as_ref().is_some_and(|known| {
            magnet
                .trackers
                .iter()
                .any(|tracker| !known.magnet.trackers.contains(tracker))
                && known.peers.is_empty()
        });
        let metainfo = matches!(source, Source::Metainfo(_));
        match known {
            Some(mut known) if lacks_metadata == Some(true) && (metainfo || news) => {
                known.magnet.trackers.extend(magnet.trackers.iter().cloned());
                known.peers.extend(peers);
                self.leave(torrent);
                let peers = known.peers.into_iter().collect();
                let remembered = Remembered {
                    magnet: known.magnet.to_string(),
                    pinned: known.pinned,
                    peers,
                };
                let source = if metainfo {
                    source
                } else {
                    Source::Magnet(known.magnet.clone())
                };
                self.add(source, known.magnet, remembered);
            }
            _ => self.peers(torrent, peers),
        }
    }

    /// Hands native peers to a swarm.
    pub(crate) fn peers(&self, torrent: Torrent, peers: Vec<SocketAddr>) {
        let peers: Vec<_> = peers.into_iter().filter(|peer| self.may_dial(*peer)).collect();
        if peers.is_empty() {
            return;
        }
        if let Some(joined) = self.joined().get_mut(&torrent) {
            let room = MAX_PEERS.saturating_sub(joined.peers.len());
            joined.peers.extend(peers.iter().copied().take(room));
        }
        self.shards.send(torrent, Event::Peers(torrent, peers));
    }

    /// Whether the address policy lets a peer be dialled.
    pub(crate) fn may_dial(&self, peer: SocketAddr) -> bool {
        let outside::Policy { allow_local, way, .. } = &self.settings.outside;
        peer.port() != 0 && (*allow_local || !outside::is_local(peer.ip()) || way.is_stand_in(peer))
    }

    /// A swarm that a tab asks for by `/wire`, or in which native and web peers have announced themselves to our own tracker:
    /// joined if it must be. `natives`: the peers of it that the tracker knows.
    ///
    /// # Errors
    /// The policy refuses, there are too many, or no peers can be found.
    pub(crate) fn admit(&self, swarm: SwarmKey, natives: impl FnOnce() -> Vec<SocketAddr>) -> Result<Torrent, Refusal> {
        let hashes = InfoHashes::from(tombolo_core::key::InfoHashV1(swarm.0));
        if let Some(torrent) = self.find(swarm) {
            if let Some(joined) = self.joined().get_mut(&torrent) {
                joined.used = Instant::now();
            }
            return Ok(torrent);
        }
        if !self.allows(hashes) {
            return Err(Refusal::NotAllowed);
        }
        if self.joined().len() >= MAX_SWARMS {
            return Err(Refusal::Full);
        }
        let peers: Vec<_> = natives()
            .into_iter()
            .filter(|peer| self.may_dial(*peer))
            .take(MAX_PEERS)
            .collect();
        if peers.is_empty() && !self.settings.finds {
            return Err(Refusal::NoPeers);
        }
        let magnet = Magnet::new(hashes);
        let source = self.source(&magnet);
        let remembered = Remembered {
            magnet: magnet.to_string(),
            pinned: false,
            peers,
        };
        Ok(self.add(source, magnet, remembered))
    }

    /// Joins the swarms of the last time that the policy still allows.
    pub(crate) fn restore(&self) {
        for remembered in self.state.swarms() {
            let Ok(magnet) = Magnet::parse(&remembered.magnet) else {
                continue;
            };
            if self.allows(magnet.hashes) && magnet.hashes.swarms().all(|swarm| self.find(swarm).is_none()) {
                // Who was named the last time is named anew, or is like any other.
                let remembered = Remembered {
                    pinned: false,
                    ..remembered
                };
                self.add(self.source(&magnet), magnet, remembered);
            }
        }
    }

    /// The metainfo that was kept, or the magnet.
    fn source(&self, magnet: &Magnet) -> Source {
        let kept = magnet.hashes.swarms().find_map(|swarm| self.state.metainfo(swarm));
        kept.map_or_else(
            || Source::Magnet(magnet.clone()),
            |metainfo| Source::Metainfo(Arc::new(metainfo)),
        )
    }

    /// Keeps a metainfo that came from peers or from a tab.
    pub(crate) fn keep(&self, metainfo: &Metainfo) {
        if let Err(error) = self.state.keep_metainfo(metainfo) {
            tracing::error!(info_hash = %metainfo.hashes.swarm(), %error, "a metainfo is not kept");
        }
    }

    /// Looks after the swarms, for ever.
    pub(crate) async fn tend(self: Arc<Self>) {
        let mut written = Vec::new();
        loop {
            tokio::time::sleep(ROUND).await;
            for torrent in self.torrents() {
                self.visit(torrent).await;
            }
            let remembered = self.remembered();
            if remembered != written {
                self.remember();
                written = remembered;
            }
        }
    }

    /// Learns what peers a swarm has, and leaves it if nobody uses it.
    async fn visit(&self, torrent: Torrent) {
        let seen = self.shards.look(torrent, move |view| {
            let peers = view.session.peers(view.now, torrent);
            let native = |peer: &tombolo_core::status::PeerStatus| {
                matches!(peer.transport, Transport::Tcp | Transport::Utp) && !peer.inbound
            };
            let natives: Vec<_> = peers
                .iter()
                .filter(|peer| native(peer))
                .filter_map(|peer| peer.address)
                .collect();
            (view.web_links(torrent), natives)
        });
        let Some((web, natives)) = seen.await else { return };
        let idle = {
            let mut joined = self.joined();
            let Some(joined) = joined.get_mut(&torrent) else { return };
            if web > 0 {
                joined.used = Instant::now();
            }
            let room = MAX_PEERS.saturating_sub(joined.peers.len());
            joined.peers.extend(natives.into_iter().take(room));
            let denied = joined
                .magnet
                .hashes
                .swarms()
                .any(|swarm| self.settings.access.denies(swarm));
            denied || !joined.pinned && joined.used.elapsed() > IDLE
        };
        if idle {
            let swarms: Vec<_> = self
                .joined()
                .get(&torrent)
                .map(|joined| joined.magnet.hashes.swarms().collect())
                .unwrap_or_default();
            self.leave(torrent);
            // What the shard still does for it ends before the files go.
            let _ = self.shards.look(torrent, |_| ()).await;
            let state = self.state.clone();
            let _ = tokio::task::spawn_blocking(move || swarms.into_iter().for_each(|swarm| state.forget(swarm))).await;
        }
    }

    /// Leaves a swarm.
    pub(crate) fn leave(&self, torrent: Torrent) {
        self.joined().remove(&torrent);
        self.shards.remove(torrent);
    }

    fn remembered(&self) -> Vec<Remembered> {
        let way = &self.settings.outside.way;
        let mut remembered: Vec<_> = self
            .joined()
            .values()
            .map(|joined| Remembered {
                magnet: joined.magnet.to_string(),
                pinned: joined.pinned,
                // Names are in the magnet; what stands for them now, will not later.
                peers: joined
                    .peers
                    .iter()
                    .copied()
                    .filter(|peer| !way.is_stand_in(*peer))
                    .collect(),
            })
            .collect();
        remembered.sort_by(|a, b| a.magnet.cmp(&b.magnet));
        remembered
    }

    fn remember(&self) {
        if let Err(error) = self.state.remember(&self.remembered()) {
            tracing::error!(%error, "the swarms are not remembered");
        }
    }

    /// The trackers of a magnet without our own.
    fn trackers(&self, magnet: &Magnet) -> Vec<String> {
        magnet
            .trackers
            .iter()
            .filter(|url| !self.is_own(url))
            .cloned()
            .collect()
    }

    fn is_own(&self, url: &str) -> bool {
        let Some((_, rest)) = url.split_once("://") else {
            return false;
        };
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = host.replace("localhost", "127.0.0.1");
        host.parse::<SocketAddr>().is_ok_and(|address| {
            self.settings.own.iter().any(|own| {
                own.port() == address.port()
                    && (own.ip() == address.ip() || own.ip().is_unspecified() && address.ip().is_loopback())
            })
        })
    }

    /// The addresses of some hosts. A name that is not answered for in time has none; a proxy is left to resolve it.
    pub(crate) async fn addresses(&self, peers: Vec<(String, u16)>) -> Vec<SocketAddr> {
        let policy = &self.settings.outside;
        let mut addresses = Vec::new();
        for (host, port) in peers.into_iter().take(MAX_PEERS) {
            if let Ok(ip) = host.parse() {
                addresses.push(SocketAddr::new(ip, port));
                continue;
            }
            if policy.way.has_proxy() {
                addresses.extend(outside::stand_in(policy, &host, port));
                continue;
            }
            let looking = tokio::net::lookup_host((host, port));
            if let Ok(Ok(found)) = tokio::time::timeout(Duration::from_secs(2), looking).await {
                addresses.extend(found);
            }
        }
        addresses
    }

    /// The addresses of the peers that a magnet names.
    async fn resolve(&self, magnet: &Magnet) -> Vec<SocketAddr> {
        let names = magnet.peers.iter().map(|peer| (peer.host.clone(), peer.port));
        let resolved = self.addresses(names.collect()).await;
        resolved
            .into_iter()
            .filter(|peer| self.may_dial(*peer))
            .take(MAX_PEERS)
            .collect()
    }
}

/// The magnet of a torrent that is known in full.
fn magnet_of(metainfo: &Metainfo) -> Magnet {
    let mut magnet = Magnet::new(metainfo.hashes);
    magnet.name = Some(metainfo.name.clone());
    magnet.trackers = metainfo.trackers.iter().flatten().cloned().collect();
    magnet
}
