//! The relay's tracker: one table, asked over HTTP, WebSocket and UDP.
//!
//! The table is cut by info-hash into parts with a lock each, so that announces for different swarms do not wait for each other. The
//! relay's own peer is an entry like any other in the swarms that it is in; offers to it are answered here. Native peers that announce
//! themselves are handed to the bridge, which joins a swarm where native and web peers have come together. Cost of an announce: O(peers wanted).

pub(super) mod access;
pub(super) mod http;
mod native;
pub(super) mod snapshot;
pub(super) mod socket;
mod sockets;
pub(super) mod udp;

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tombolo_core::key::{PeerId, SwarmKey};
use tombolo_core::rng::Rng;
use tombolo_core::time::{Span, Time};
use tombolo_core::tracker::query::{AnnounceReply, AnnounceRequest, Failure, ScrapeCounts};
use tombolo_core::tracker::registry::{Answer, Asker, Place, Registry, RegistryConfig, WebPeer};
use tombolo_core::tracker::ws::Reply;

use super::{Addresses, Relay, ServeConfig};
use access::{Access, Pass};
use sockets::Sockets;

/// Parts of the table: more than there are threads.
const PARTS: usize = 16;

/// Swarms that the table holds: some 130 bytes each.
const MAX_SWARMS: usize = 2_000_000;

/// Peers that an announce is given where it does not say how many it wants.
const NUMWANT: usize = 50;

/// Peers that an announce is given at most.
const MAX_NUMWANT: usize = 200;

/// The connection by which our own peer is reached.
const OURSELVES: u64 = 0;

/// Seconds after which web peers are to announce again when our own peer has joined their swarm: so soon do they offer
/// themselves to it, instead of in two minutes. Our own tabs make ten of it.
const SOON: u32 = 2;

/// How often the silent are forgotten, and our own entries renewed.
const ROUND: Duration = Duration::from_millis(500);

/// How the tracker answers.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    interval: u32,
    peer_ttl: Duration,
    max_peers: usize,
    allow_local: bool,
    full_scrape: bool,
    /// Where native peers find us.
    own: Vec<SocketAddr>,
}

impl Settings {
    pub(super) fn of(config: &ServeConfig, listening: &Addresses) -> Self {
        Self {
            interval: u32::try_from(config.interval.as_secs()).unwrap_or(u32::MAX),
            peer_ttl: config.peer_ttl,
            max_peers: config.max_peers,
            allow_local: config.allow_local,
            full_scrape: config.full_scrape,
            own: listening.tcp.clone(),
        }
    }
}

struct Part {
    registry: Registry,
    rng: Rng,
}

/// What was asked since the start.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// Announces over HTTP, UDP and WebSocket.
    pub(super) announces: [AtomicU64; 3],
    pub(super) scrapes: AtomicU64,
    /// Announces that were refused by list or passkey.
    pub(super) refused: AtomicU64,
}

/// The faces, as they are counted.
#[derive(Clone, Copy, Debug)]
enum Face {
    Http,
    Udp,
    Web,
}

/// The tracker's table and its sockets.
pub(super) struct Tracker {
    settings: Settings,
    peer_id: PeerId,
    started: Instant,
    parts: Vec<Mutex<Part>>,
    sockets: Sockets,
    next: AtomicU64,
    access: Arc<Access>,
    /// Held while the table is written to disk.
    saving: Mutex<()>,
    pub(super) asked: Asked,
}

impl Tracker {
    /// An empty table. `peer_id` is our own.
    pub(super) fn new(settings: Settings, peer_id: PeerId, access: Arc<Access>) -> Self {
        let config = RegistryConfig {
            peer_ttl: Span::from_micros(u64::try_from(settings.peer_ttl.as_micros()).unwrap_or(u64::MAX)),
            max_peers: settings.max_peers,
            max_swarms: MAX_SWARMS / PARTS,
        };
        let part = || {
            let (table, dice) = (random(), random());
            Mutex::new(Part {
                registry: Registry::new(config, table),
                rng: Rng::new(dice),
            })
        };
        Self {
            settings,
            peer_id,
            started: Instant::now(),
            parts: (0..PARTS).map(|_| part()).collect(),
            sockets: Sockets::default(),
            next: AtomicU64::new(OURSELVES + 1),
            access,
            saving: Mutex::new(()),
            asked: Asked::default(),
        }
    }

    /// From an origin that lies before the start, so that a peer that was silent before it has its time.
    fn now(&self) -> Time {
        let since = self.settings.peer_ttl + self.started.elapsed();
        Time::from_micros(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
    }

    fn part(&self, swarm: SwarmKey) -> MutexGuard<'_, Part> {
        // The last byte: some clients' test torrents share their first.
        let index = usize::from(swarm.0[19]) % PARTS;
        self.parts[index].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, part: usize, look: impl FnOnce(&mut Part) -> T) -> Option<T> {
        let part = self.parts.get(part)?;
        Some(look(&mut part.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Takes an announce and fills `answer`, which whoever asks often keeps, so that none allocates.
    fn announce(&self, asker: &Asker<'_>, answer: &mut Answer) {
        let now = self.now();
        let mut part = self.part(asker.request.swarm);
        let Part { registry, rng } = &mut *part;
        registry.announce(now, rng, asker, answer);
    }

    /// Counts an announce, and says why it is refused.
    fn admit(&self, face: Face, swarm: SwarmKey, pass: Pass) -> Result<(), Failure> {
        self.asked.announces[face as usize].fetch_add(1, Ordering::Relaxed);
        let refused = match self.access.still(pass) {
            Err(error) => error.to_string(),
            Ok(()) if self.access.serves(swarm) => return Ok(()),
            Ok(()) => String::from("this tracker does not serve this info-hash"),
        };
        self.asked.refused.fetch_add(1, Ordering::Relaxed);
        Err(Failure {
            reason: refused,
            retry_in_minutes: None,
        })
    }

    /// Native peers of a swarm.
    pub(super) fn natives(&self, swarm: SwarmKey) -> Vec<SocketAddr> {
        let request = self.own_announce(swarm);
        // Without a port we are answered and not kept.
        let place = Place::Native(SocketAddr::from(([0, 0, 0, 0], 0)));
        let asker = Asker {
            request: &request,
            place,
            numwant: MAX_NUMWANT,
            family: None,
        };
        let mut answer = Answer::default();
        self.announce(&asker, &mut answer);
        answer.addresses
    }

    /// Enters our own web peer into a swarm, or renews it. The others there, as many as are wanted.
    fn enter(&self, swarm: SwarmKey, numwant: usize) -> (ScrapeCounts, Vec<WebPeer>) {
        let request = self.own_announce(swarm);
        let asker = Asker {
            request: &request,
            place: Place::Web(OURSELVES),
            numwant,
            family: None,
        };
        let mut answer = Answer::default();
        self.announce(&asker, &mut answer);
        (answer.counts, answer.web)
    }

    /// Enters our own web peer into a swarm, and asks the others there to offer themselves soon.
    fn gather(&self, swarm: SwarmKey) {
        let (counts, peers) = self.enter(swarm, MAX_NUMWANT);
        let again = self.reply(counts, SOON);
        for peer in peers {
            self.sockets
                .put(peer.connection, socket::framed(&Reply::Announced(swarm, again.clone())));
        }
    }

    fn reply(&self, counts: ScrapeCounts, interval: u32) -> AnnounceReply {
        AnnounceReply {
            interval,
            complete: Some(counts.complete),
            incomplete: Some(counts.incomplete),
            ..AnnounceReply::default()
        }
    }

    fn own_announce(&self, swarm: SwarmKey) -> AnnounceRequest {
        AnnounceRequest::new(swarm, self.peer_id)
    }

    /// The counts of a swarm; zeros, too, of one that is not served.
    fn scrape(&self, swarm: SwarmKey) -> ScrapeCounts {
        if self.access.serves(swarm) {
            self.part(swarm).registry.scrape(swarm)
        } else {
            ScrapeCounts::default()
        }
    }

    /// The counts of every swarm, if that is switched on.
    fn scrape_all(&self) -> Option<Vec<(SwarmKey, ScrapeCounts)>> {
        self.settings.full_scrape.then(|| {
            self.each(|part| part.registry.iter().collect::<Vec<_>>())
                .flatten()
                .collect()
        })
    }

    /// Swarms, and peers in them.
    pub(super) fn size(&self) -> (usize, usize) {
        self.each(|part| (part.registry.swarms(), part.registry.peers()))
            .fold((0, 0), |(a, b), (c, d)| (a + c, b + d))
    }

    fn each<'a, T: 'a>(&'a self, look: impl Fn(&mut Part) -> T + 'a) -> impl Iterator<Item = T> + 'a {
        self.parts
            .iter()
            .map(move |part| look(&mut part.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Where a native peer is said to be: with port 0, so that it is answered and not kept, where it must not be handed out.
    fn place(&self, ip: IpAddr, port: u16) -> Place {
        let kept = self.settings.allow_local || !crate::outside::is_local(ip);
        Place::Native(SocketAddr::new(ip.to_canonical(), if kept { port } else { 0 }))
    }

    /// Our own address for a native peer that reached us at `local`.
    fn own_address(&self, local: IpAddr) -> Option<SocketAddr> {
        let at = |own: &&SocketAddr| own.ip() == local || own.ip().is_unspecified() && own.is_ipv4() == local.is_ipv4();
        self.settings
            .own
            .iter()
            .find(at)
            .map(|own| SocketAddr::new(local, own.port()))
    }
}

/// What is said to an address that asks too often.
fn too_often() -> Failure {
    Failure {
        reason: "your address asks too often".into(),
        retry_in_minutes: Some(1),
    }
}

/// Forgets silent peers, and keeps our own entries as the swarms are that we are in, for ever.
pub(super) async fn forget(relay: Arc<Relay>) {
    let tracker = &relay.tracker;
    let mut entered = HashSet::new();
    loop {
        tokio::time::sleep(ROUND).await;
        let now = tracker.now();
        tracker.each(|part| part.registry.expire(now)).for_each(drop);
        if !relay.answers {
            continue;
        }
        let swarms: HashSet<SwarmKey> = relay.bridge.swarms().into_iter().collect();
        for swarm in &swarms {
            tracker.enter(*swarm, 0);
        }
        // Left standing, it would be a web peer to whoever is native, and bring us back.
        for swarm in entered.difference(&swarms) {
            let mut part = tracker.part(*swarm);
            part.registry.leave(*swarm, tracker.peer_id, Place::Web(OURSELVES));
        }
        entered = swarms;
    }
}

/// A seed of no meaning. Without entropy the relay would not have started.
fn random() -> u64 {
    let mut bytes = [0; 8];
    let _ = getrandom::fill(&mut bytes);
    u64::from_ne_bytes(bytes)
}
