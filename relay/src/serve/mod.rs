//! `tombolo serve`: tracker, bridge, API and the page on one HTTP port, and the listeners for native peers.
//!
//! `http` takes requests and `quick` the commonest of them, `guard` says who may ask and `rates` how often, `tracker` answers announces over HTTP, WebSocket and UDP from
//! one table, `bridge` holds the swarms that the relay is in, `wire` and WebRTC bring tabs to them, `state` is what survives. Everything
//! here runs on one many-threaded runtime; the swarms run in [`shards`](crate::shards).

mod api;
mod bridge;
pub(crate) mod down;
mod guard;
mod http;
mod listeners;
mod page;
mod people;
mod quick;
mod rates;
mod reply;
mod state;
mod stats;
mod tls;
mod tracker;
pub(crate) mod websocket;
mod wire;

use std::collections::HashSet;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tombolo_core::config::Config;
use tombolo_core::event::{Report, Source};
use tombolo_core::key::{PeerId, SwarmKey};
use tombolo_core::mse::Policy;
use tombolo_core::tracker::passkey::Passkeys;

pub use bridge::Policy as BridgePolicy;
pub use listeners::Addresses;
pub use tls::{Tls, TlsError};
pub use tracker::access::AccessConfig;

use crate::finding::{self, Finding};
use crate::lease;
use crate::limits::{self, Limits};
use crate::lists::Lists;
use crate::rtc::{Options, Rtc};
use crate::shard::ShardConfig;
use crate::shards::{Reports, Shards};
use crate::udp::{self, Udp};
use crate::{journal, outside, storage};
use bridge::Bridge;
use down::Downs;
use guard::{Gate, Guard};
use listeners::Listeners;
use page::Page;
use rates::Rates;
use state::State;
use tracker::Tracker;
use tracker::access::Access;

/// Peers of one swarm that the relay itself is linked with.
const MAX_LINKS: usize = 500;

/// Peers that the relay itself is linked with in all: half of what file handles allow.
const ALL_LINKS: usize = 10_000;

/// The same without limits.
const MANY_LINKS: usize = 20_000;

/// WebRTC connections without limits: each takes some 100 KiB.
const MANY_CHANNELS: usize = 10_000;

/// Bytes of pieces between request and storage, at most.
const MEMORY: u64 = 96 << 20;

/// What a relay is started with.
#[derive(Clone, Debug)]
pub struct ServeConfig {
    /// The folder that it writes under.
    pub data: PathBuf,
    /// Where it listens.
    pub listen: Addresses,
    /// Whether native connections are hidden and encrypted.
    pub encryption: Policy,
    /// Bytes of pieces that it may keep.
    pub cache: u64,
    /// Who may put it into a swarm.
    pub bridge: BridgePolicy,
    /// Swarms to join at once.
    pub add: Vec<Source>,
    /// Swarms of the allow-list beside those.
    pub allow: Vec<SwarmKey>,
    /// How long a tracker peer may be silent.
    pub peer_ttl: Duration,
    /// How often tracker peers are asked to announce.
    pub interval: Duration,
    /// Peers that the tracker keeps of one swarm.
    pub max_peers: usize,
    /// What its part in swarms may use, and whom it talks to.
    pub session: Limits,
    /// Whether there are rates, and limits by address and by swarm. Memory and single messages are bounded either way.
    pub limits: bool,
    /// Whether loopback and private addresses are talked to and handed out.
    pub allow_local: bool,
    /// By what native peers are found beside trackers; where it listens is filled in.
    pub finding: finding::Settings,
    /// Whom the tracker serves, and with which swarms.
    pub access: AccessConfig,
    /// Whether a scrape may ask for everything.
    pub full_scrape: bool,
    /// Names under which other than loopback listeners answer; any if empty.
    pub hosts: Vec<String>,
    /// Further origins that `/wire` and `/api` take.
    pub origins: Vec<String>,
    /// TLS for the HTTP listeners; none without.
    pub tls: Option<Tls>,
    /// The API's token; one is made and kept if `None`.
    pub token: Option<String>,
    /// A folder to serve the page from instead of the embedded one.
    pub page: Option<PathBuf>,
    /// Threads.
    pub threads: usize,
}

/// Why a relay does not start.
#[derive(Debug)]
pub struct ServeError {
    /// As scripts know it.
    pub code: &'static str,
    /// In words.
    pub message: String,
}

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ServeError {}

/// The settings that requests are answered by.
struct Settings {
    cache: u64,
    limits: bool,
    page: Page,
    tls: Option<Tls>,
    /// Where the tracker's peers are kept.
    snapshot: PathBuf,
}

/// A relay, as all its tasks see it.
struct Relay {
    settings: Settings,
    started: Instant,
    guard: Guard,
    gate: Arc<Gate>,
    rates: Rates,
    shards: Shards,
    tracker: Tracker,
    bridge: Arc<Bridge>,
    downs: Arc<Downs>,
    /// Whether tabs can be answered over WebRTC.
    answers: bool,
    /// Who looks for peers, where anybody does.
    finder: Option<mpsc::UnboundedSender<finding::Ask>>,
}

/// A relay that runs. Dropping it leaves it running.
pub struct Running {
    relay: Arc<Relay>,
    finding: Option<finding::Running>,
    tasks: Vec<JoinHandle<()>>,
    /// Where it listens.
    pub listening: Addresses,
}

/// Starts a relay; to be called within a many-threaded runtime.
///
/// # Errors
/// A listener cannot be opened, or the data folder cannot be used.
pub async fn start(config: ServeConfig) -> Result<Running, ServeError> {
    let unusable = |error: io::Error| ServeError {
        code: "data",
        message: format!("cannot use {}: {error}", config.data.display()),
    };
    let state = State::open(&config.data).map_err(unusable)?;
    let token = match &config.token {
        Some(token) => token.clone(),
        None => state.token().map_err(unusable)?,
    };
    let passkeys = config
        .access
        .private
        .then(|| state.passkeys())
        .transpose()
        .map_err(unusable)?;
    let access = Arc::new(Access::open(&config.access, passkeys)?);
    let listeners = Listeners::open(&config.listen)?;
    let rtc = open_rtc(&config)?;
    let mut listening = listeners.addresses();
    listening.rtc = rtc.as_ref().map_or_else(Vec::new, |rtc| rtc.local_addresses());
    let out = outgoing(&config, listeners.utp()).await?;
    let finding = open_finding(&config, &listening, &out).map_err(unusable)?;
    let endpoints = (out, rtc.clone(), finding.as_ref());
    let shard = shard_config(&config, &listening, endpoints).map_err(unusable)?;
    let (shards, reports) = Shards::start(&shard, shard_count(config.threads)).map_err(unusable)?;
    let finds = finding.as_ref().is_some_and(Finding::finds);
    let finding = finding.map(|finding| finding.run(shards.clone()));
    let relay = Arc::new(Relay {
        settings: Settings {
            cache: config.cache,
            limits: config.limits,
            tls: config.tls.clone(),
            page: config.page.clone().map_or(Page::Embedded, Page::Folder),
            snapshot: state.snapshot(),
        },
        started: Instant::now(),
        guard: Guard {
            allow_local: config.allow_local,
            token,
            hosts: config.hosts.clone(),
            origins: config.origins.clone(),
        },
        gate: Arc::default(),
        downs: Arc::default(),
        rates: Rates::new(config.limits),
        tracker: Tracker::new(
            tracker::Settings::of(&config, &listening),
            shards.peer_id(),
            access.clone(),
        ),
        bridge: Bridge::new(
            shards.clone(),
            state,
            bridging(&config, &listening, finds, access.clone()),
        ),
        shards,
        answers: rtc.is_some(),
        finder: finding.as_ref().map(finding::Running::asks),
    });
    tracker::snapshot::restore(&relay.tracker, &relay.settings.snapshot);
    let mut tasks = listeners.serve(&relay);
    tasks.push(tokio::spawn(access.watch()));
    tasks.push(tokio::spawn(tracker::snapshot::keep(relay.clone())));
    tasks.push(tokio::spawn(relay.bridge.clone().tend()));
    tasks.push(tokio::spawn(lease::run(relay.shards.clone(), shard.session)));
    tasks.push(tokio::spawn(limits::reread_lists(relay.shards.clone())));
    tasks.push(tokio::spawn(tracker::forget(relay.clone())));
    tasks.push(tokio::spawn(listen_to(relay.clone(), reports)));
    if let Some(rtc) = rtc {
        tasks.push(tokio::spawn(accept_channels(relay.clone(), rtc)));
    }
    join_all(&relay, &config).await;
    Ok(Running {
        relay,
        finding,
        tasks,
        listening,
    })
}

/// Joins the swarms of the last time, and those that are named.
async fn join_all(relay: &Arc<Relay>, config: &ServeConfig) {
    for source in &config.add {
        if let Err(refusal) = relay.bridge.join(source.clone(), true).await {
            tracing::error!(reason = refusal.message(), "a torrent is not added");
        }
    }
    relay.bridge.restore();
}

fn open_rtc(config: &ServeConfig) -> Result<Option<Arc<Rtc>>, ServeError> {
    if config.listen.rtc.is_empty() {
        return Ok(None);
    }
    let mut options = Options {
        allow_local: config.allow_local,
        ..Options::default()
    };
    if !config.limits {
        options.connections = MANY_CHANNELS;
    }
    match Rtc::bind(&config.listen.rtc, options) {
        Ok(rtc) => Ok(Some(Arc::new(rtc))),
        Err(crate::rtc::Error::Bind(error)) => Err(listeners::failure("WebRTC", &config.listen.rtc, &error)),
        Err(error) => Err(ServeError {
            code: "rtc",
            message: error.to_string(),
        }),
    }
}

/// By what sockets native peers and nodes of the DHT are reached. A relay that is in no swarm of its own needs none.
async fn outgoing(config: &ServeConfig, listening: Vec<Arc<Udp>>) -> Result<Vec<Arc<Udp>>, ServeError> {
    if config.bridge == BridgePolicy::Off {
        return Ok(listening);
    }
    let way = &config.session.way;
    let addresses = || {
        way.own_addresses()
            .iter()
            .map(|own| SocketAddr::new(*own, 0))
            .collect::<Vec<_>>()
    };
    let out = udp::outgoing(way, &listening).await;
    out.map_err(|error| listeners::failure("UDP", &addresses(), &error))
}

/// How many shards: each further one shares its cores with the sockets, the disk and WebRTC.
fn shard_count(threads: usize) -> usize {
    threads.div_ceil(2)
}

/// By what native peers are found. A relay that is in no swarm of its own needs none of it.
fn open_finding(config: &ServeConfig, listening: &Addresses, utp: &[Arc<Udp>]) -> io::Result<Option<Finding>> {
    if config.bridge == BridgePolicy::Off {
        return Ok(None);
    }
    let settings = finding::Settings {
        confined: listening.are_loopback(),
        listening: listening.tcp.clone(),
        way: config.session.way.clone(),
        ..config.finding.clone()
    };
    Finding::open(settings, utp)
}

fn shard_config(
    config: &ServeConfig,
    listening: &Addresses,
    (utp, rtc, finding): (Vec<Arc<Udp>>, Option<Arc<Rtc>>, Option<&Finding>),
) -> io::Result<ShardConfig> {
    let mut shard = ShardConfig {
        session: Config {
            peer_id: peer_id()?,
            relay: true,
            port: listening.tcp.first().map_or(0, SocketAddr::port),
            dials: true,
            allow_local: config.allow_local,
            punches: !utp.is_empty() && !config.session.way.has_proxy(),
            offers: rtc.is_some(),
            memory: MEMORY,
            cache: config.cache,
            max_peers: if config.limits { MAX_LINKS } else { MANY_LINKS },
            max_links: if config.limits { ALL_LINKS } else { usize::MAX },
            ..Config::default()
        },
        storage: storage::Policy::Cache {
            dir: config.data.clone(),
        },
        disk_threads: config.threads.max(1),
        outside: outside::Policy {
            allow_local: config.allow_local,
            ..outside::Policy::default()
        },
        tcp: true,
        utp,
        encryption: config.encryption,
        rtc,
        allow_local: config.allow_local,
        lists: Lists::default(),
        finder: None,
    };
    config.session.apply(&mut shard);
    if let Some(finding) = finding {
        finding.equip(&mut shard);
    }
    Ok(shard)
}

/// What signs the passkeys of the relay of that folder.
///
/// # Errors
/// The folder cannot be used.
pub(crate) fn passkeys(data: &Path) -> io::Result<Passkeys> {
    State::open(data)?.passkeys()
}

/// A peer id of ours (BEP 20).
pub(crate) fn peer_id() -> io::Result<PeerId> {
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz012345";
    let mut id = *b"-TO0100-000000000000";
    let mut random = [0; 12];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    for (letter, random) in id.iter_mut().skip(8).zip(random) {
        *letter = LETTERS[usize::from(random % 32)];
    }
    Ok(PeerId(id))
}

fn bridging(config: &ServeConfig, listening: &Addresses, finds: bool, access: Arc<Access>) -> bridge::Settings {
    let hashes = config.add.iter().map(|source| match source {
        Source::Magnet(magnet) => magnet.hashes,
        Source::Metainfo(metainfo) => metainfo.hashes,
    });
    let allowed: HashSet<SwarmKey> = hashes.flat_map(|hashes| hashes.swarms().collect::<Vec<_>>()).collect();
    bridge::Settings {
        policy: config.bridge,
        allowed: allowed.into_iter().chain(config.allow.iter().copied()).collect(),
        access,
        outside: outside::Policy {
            allow_local: config.allow_local,
            way: config.session.way.clone(),
            ..outside::Policy::default()
        },
        finds,
        own: listening.http.iter().chain(&listening.udp).copied().collect(),
    }
}

/// Takes note of what happens in the shards.
async fn listen_to(relay: Arc<Relay>, mut reports: Reports) {
    while let Some((torrent, report)) = reports.recv().await {
        journal::report(torrent, &report);
        if let Report::Metadata(metainfo) | Report::Layers(metainfo) = report {
            let bridge = relay.bridge.clone();
            // One after the other, so that the newer one stays. Only further reports wait for it.
            let _ = tokio::task::spawn_blocking(move || bridge.keep(&metainfo)).await;
        }
    }
}

/// Takes further data channels that tabs open on connections that they have: one for each torrent.
async fn accept_channels(relay: Arc<Relay>, rtc: Arc<Rtc>) {
    while let Some(channel) = rtc.accept().await {
        tokio::spawn(relay.shards.clone().accept_channel(channel));
    }
}

impl Running {
    /// Stops: trackers are told, storage and the tracker's table are written out. At most 4.5 seconds, but for a slow disk.
    pub async fn stop(self) {
        for task in &self.tasks {
            task.abort();
        }
        let found = async {
            if let Some(finding) = self.finding {
                finding.stop().await;
            }
        };
        let relay = self.relay.clone();
        let kept =
            tokio::task::spawn_blocking(move || tracker::snapshot::save(&relay.tracker, &relay.settings.snapshot));
        let (_, (), kept) = tokio::join!(self.relay.shards.stop(), found, kept);
        if let Ok(Err(error)) = kept {
            tracing::warn!(%error, "the tracker's peers are not kept");
        }
    }
}
