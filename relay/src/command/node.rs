//! One torrent and the peer that trades it: what `get`, `seed` and `peer` have in common.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::net::TcpListener;
use tombolo_core::config::Config;
use tombolo_core::event::{Add, Event, Mode, Report, Source, Torrent};
use tombolo_core::layout::Layout;
use tombolo_core::mse::Policy;
use tombolo_core::status::Status;
use tombolo_core::swarm::Priority;

use super::failure::Failure;
use crate::finding::{self, Finding};
use crate::limits::{self, Limits};
use crate::lists::Lists;
use crate::rtc::{Options, Rtc};
use crate::shard::ShardConfig;
use crate::shards::{Reports, Shards};
use crate::storage::{self, Folder};
use crate::udp::{self, Udp};
use crate::{journal, outside};

/// Links of one torrent.
const MAX_PEERS: usize = 200;

/// The same without limits.
const MANY_PEERS: usize = 2_000;

/// What a node is started with.
#[derive(Debug)]
pub(super) struct Settings {
    /// What to trade.
    pub(super) source: Source,
    /// Where the content is, or is to be.
    pub(super) folder: Folder,
    /// Whether TCP is used.
    pub(super) tcp: bool,
    /// Whether uTP is used.
    pub(super) utp: bool,
    /// Whether native connections are hidden and encrypted.
    pub(super) encryption: Policy,
    /// Where to take TCP and uTP connections.
    pub(super) listen: Option<SocketAddr>,
    /// Where to have WebRTC; without it there is none.
    pub(super) rtc: Option<SocketAddr>,
    /// Trackers instead of the torrent's own.
    pub(super) trackers: Option<Vec<String>>,
    /// Peers known beforehand.
    pub(super) peers: Vec<SocketAddr>,
    /// Whether loopback and private addresses are talked to.
    pub(super) allow_local: bool,
    /// By what peers are found beside trackers; where it listens is filled in.
    pub(super) finding: finding::Settings,
    /// What it may use, and whom it talks to.
    pub(super) limits: Limits,
    /// Whether many more peers are taken than a person's computer should.
    pub(super) unlimited: bool,
    /// Whether a first copy is to appear with as little upload as can be (BEP 16).
    pub(super) super_seed: bool,
    /// Threads for hashing and the disk.
    pub(super) threads: usize,
}

/// A running node.
pub(super) struct Node {
    shards: Shards,
    /// What happens.
    pub(super) reports: Reports,
    torrent: Torrent,
    finding: Option<finding::Running>,
    /// The port of TCP and uTP, or that of WebRTC where there is neither.
    pub(super) port: u16,
}

impl Node {
    /// Starts, within a runtime.
    ///
    /// # Errors
    /// An address cannot be listened at, the torrent cannot be traded yet, or there are no threads.
    pub(super) async fn start(settings: Settings) -> Result<Self, Failure> {
        let (listener, udp) = listeners(&settings).await?;
        let way = &settings.limits.way;
        let out = if settings.utp {
            let out = udp::outgoing(way, udp.as_slice()).await;
            out.map_err(|error| Failure::io("cannot send from the address named", &error))?
        } else {
            Vec::new()
        };
        let rtc = settings
            .rtc
            .map(|address| bind_rtc(address, settings.allow_local))
            .transpose()?;
        let tcp_port = listener.as_ref().and_then(|listener| listener.local_addr().ok());
        let utp_port = udp
            .as_ref()
            .filter(|_| settings.listen.is_some())
            .map(|udp| udp.local_address());
        let native_port = tcp_port.or(utp_port);
        let rtc_port = rtc.as_ref().and_then(|rtc| rtc.local_addresses().first().copied());
        let port = native_port.map_or(0, |address| address.port());
        let finding = finding::Settings {
            listening: native_port.into_iter().collect(),
            way: way.clone(),
            ..settings.finding.clone()
        };
        let finding = Finding::open(finding, &out).map_err(|error| Failure::io("no UDP", &error))?;
        let mut config = config(&settings, port, (out, rtc))?;
        if let Some(finding) = &finding {
            finding.equip(&mut config);
        }
        let (shards, reports) = Shards::start(&config, 1).map_err(|error| Failure::io("cannot start", &error))?;
        let torrent = shards.add(|torrent| add(torrent, settings));
        tokio::spawn(limits::reread_lists(shards.clone()));
        // The only torrent of new shards: it cannot be there already.
        let torrent = torrent.unwrap_or_else(|torrent| torrent);
        if let Some(listener) = listener {
            tokio::spawn(shards.clone().listen(listener));
        }
        if let Some(udp) = udp {
            tokio::spawn(udp.clone().run());
            if utp_port.is_some() {
                tokio::spawn(shards.clone().listen_utp(udp));
            }
        }
        Ok(Self {
            finding: finding.map(|finding| finding.run(shards.clone())),
            shards,
            reports,
            torrent,
            port: native_port.or(rtc_port).map_or(0, |address| address.port()),
        })
    }

    /// How the torrent is doing, and its layout once that is known.
    pub(super) async fn status(&self) -> Option<(Status, Option<Layout>)> {
        let torrent = self.torrent;
        let look = self.shards.look(torrent, move |view| {
            let status = view.session.status(view.now, torrent)?;
            let layout = view.session.metainfo(torrent).map(|metainfo| metainfo.layout.clone());
            Some((status, layout))
        });
        look.await.flatten()
    }

    /// Tells the torrent of a peer.
    pub(super) fn connect(&self, peer: SocketAddr) {
        self.shards.send(self.torrent, Event::Peers(self.torrent, vec![peer]));
    }

    /// The next thing that happens.
    pub(super) async fn report(&mut self) -> Option<Report> {
        let (torrent, report) = self.reports.recv().await?;
        journal::report(torrent, &report);
        Some(report)
    }

    /// Tells trackers, writes out what is to be remembered, ends.
    pub(super) async fn stop(&mut self) {
        let finding = self.finding.take();
        let found = async {
            if let Some(finding) = finding {
                finding.stop().await;
            }
        };
        tokio::join!(self.shards.stop(), found);
    }
}

/// Attempts to find a port that is free both for TCP and for UDP, where any port will do.
const PORTS: usize = 8;

/// Opens what TCP and uTP need, on one port. Where both are used, uTP may be missing.
async fn listeners(settings: &Settings) -> Result<(Option<TcpListener>, Option<Arc<Udp>>), Failure> {
    let bind = |address| Udp::bind(address).map_err(|error| Failure::io(format!("cannot listen at {address}"), &error));
    let Some(address) = settings.listen else {
        // To dial only; where addresses are named to do so from, by sockets there.
        let anywhere = (Ipv4Addr::UNSPECIFIED, 0).into();
        let way = &settings.limits.way;
        let dials = settings.utp && way.own_addresses().is_empty() && !way.has_proxy();
        return Ok((None, dials.then(|| bind(anywhere)).transpose()?));
    };
    if !settings.tcp {
        return Ok((None, settings.utp.then(|| bind(address)).transpose()?));
    }
    let mut listener = listen(address).await?;
    // What a proxy carries is not listened for beside it.
    if !settings.utp || settings.limits.way.has_proxy() {
        return Ok((Some(listener), None));
    }
    for _ in 0..PORTS {
        let bound = listener
            .local_addr()
            .map_err(|error| Failure::io("no address", &error))?;
        match bind(bound) {
            Ok(udp) => return Ok((Some(listener), Some(udp))),
            Err(_) if address.port() == 0 => listener = listen(address).await?,
            Err(failure) => {
                tracing::warn!(reason = failure.message, "no uTP");
                return Ok((Some(listener), None));
            }
        }
    }
    Ok((Some(listener), None))
}

async fn listen(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address)
        .await
        .map_err(|error| Failure::io(format!("cannot listen at {address}"), &error))
}

fn bind_rtc(address: SocketAddr, allow_local: bool) -> Result<Arc<Rtc>, Failure> {
    let options = Options {
        allow_local,
        ..Options::default()
    };
    match Rtc::bind(&[address], options) {
        Ok(rtc) => Ok(Arc::new(rtc)),
        Err(crate::rtc::Error::Bind(error)) => Err(Failure::io(format!("cannot listen at {address}"), &error)),
        Err(error) => Err(Failure::running("rtc", error.to_string())),
    }
}

fn config(
    settings: &Settings,
    port: u16,
    (utp, rtc): (Vec<Arc<Udp>>, Option<Arc<Rtc>>),
) -> Result<ShardConfig, Failure> {
    let peer_id = crate::serve::peer_id().map_err(|error| Failure::io("no randomness", &error))?;
    let mut config = ShardConfig {
        session: Config {
            peer_id,
            port,
            dials: settings.tcp || settings.utp,
            allow_local: settings.allow_local,
            punches: !utp.is_empty() && !settings.limits.way.has_proxy(),
            offers: rtc.is_some(),
            max_peers: if settings.unlimited { MANY_PEERS } else { MAX_PEERS },
            super_seed: settings.super_seed,
            ..Config::default()
        },
        storage: storage::Policy::Files(settings.folder.clone()),
        disk_threads: settings.threads,
        outside: outside::Policy {
            allow_local: settings.allow_local,
            ..outside::Policy::default()
        },
        tcp: settings.tcp,
        utp,
        encryption: settings.encryption,
        rtc,
        allow_local: settings.allow_local,
        lists: Lists::default(),
        finder: None,
    };
    settings.limits.apply(&mut config);
    Ok(config)
}

fn add(torrent: Torrent, settings: Settings) -> Add {
    Add {
        torrent,
        priorities: priorities(&settings.source),
        source: settings.source,
        mode: Mode::Whole,
        trackers: settings.trackers,
        peers: settings.peers,
    }
}

/// The files that a magnet link selects (BEP 53); all where it says nothing.
fn priorities(source: &Source) -> Vec<Priority> {
    let Source::Magnet(magnet) = source else {
        return Vec::new();
    };
    let Some(selected) = &magnet.select_only else {
        return Vec::new();
    };
    let count = tombolo_core::magnet::MAX_SELECTED as usize;
    let mut priorities = vec![Priority::Skip; count];
    for &file in selected {
        if let Some(priority) = priorities.get_mut(file as usize) {
            *priority = Priority::Normal;
        }
    }
    priorities
}
