//! What the page is told: what the session reports, first times, counters for `probe()`.
//!
//! Everything is pushed, and only when it has changed: counters at most every [`PROBE_EVERY`] ms, snapshots (see
//! [`crate::snapshot`]) at most four times a second while the page is visible. Between two pushes nothing is computed.

use tombolo_core::event::{Link, Opened, Report, StorageError, Torrent, Transport};
use tombolo_core::gather::Gather;
use tombolo_core::key::hex;
use tombolo_core::map::Map;

use crate::engine::Core;
use crate::entry::{Entry, Notice};
use crate::json;
use crate::platform::Timer;
use crate::snapshot::Pushed;
use crate::timeline::Moment;

/// The least time between two pushes of counters, in ms: the page promises that they are at most 100 ms old.
const PROBE_EVERY: f64 = 50.0;
/// The least time between two pushes of snapshots, in ms.
const SNAPSHOT_EVERY: f64 = 250.0;
/// The same while nobody looks.
const HIDDEN_SNAPSHOT_EVERY: f64 = 1000.0;

/// What was pushed, and when the next push may be.
pub(crate) struct Reporter {
    probe: Timer,
    snapshot: Timer,
    /// The counters pushed last, without events.
    probes: Map<Torrent, String>,
    pub(crate) snapshots: Map<Torrent, Pushed>,
    /// PIECE bytes from relays that are reached over WebRTC, by link; links that are closed stay.
    relay_bytes: Map<(Torrent, Link), u64>,
    pub(crate) visible: bool,
}

impl Reporter {
    /// Nothing was pushed yet.
    pub(crate) const fn new(probe: Timer, snapshot: Timer) -> Self {
        Self {
            probe,
            snapshot,
            probes: Map::new(),
            snapshots: Map::new(),
            relay_bytes: Map::new(),
            visible: true,
        }
    }

    /// Something may have changed at `now`.
    pub(crate) fn changed(&mut self, now: f64) {
        self.probe.set(now + PROBE_EVERY, now);
        let every = if self.visible {
            SNAPSHOT_EVERY
        } else {
            HIDDEN_SNAPSHOT_EVERY
        };
        self.snapshot.set(now + every, now);
    }

    /// Forgets a torrent.
    pub(crate) fn forget(&mut self, torrent: Torrent) {
        self.forget_pushed(torrent);
        self.relay_bytes.retain(|(of, _), _| *of != torrent);
    }

    /// What was pushed of a torrent is to be pushed again.
    pub(crate) fn forget_pushed(&mut self, torrent: Torrent) {
        self.probes.remove(&torrent);
        self.snapshots.remove(&torrent);
    }

    /// PIECE bytes that came from relays over WebRTC.
    pub(crate) fn relay_rtc(&self, torrent: Torrent) -> u64 {
        let links = self.relay_bytes.from(&(torrent, Link(0)));
        let links = links.take_while(|((of, _), _)| *of == torrent);
        links.map(|(_, bytes)| bytes).sum()
    }
}

impl Core {
    /// Takes what the session reports.
    pub(crate) fn take_report(&mut self, torrent: Torrent, report: Report) {
        match report {
            Report::Metadata(metainfo) => {
                self.note(torrent, "phase", format!("metadata: {}", metainfo.name));
                self.mark(torrent, Moment::Metadata);
            }
            Report::Checked => {
                self.mark(torrent, Moment::Ready);
                self.disown_bad(torrent);
                self.note(torrent, "phase", String::from("checked"));
            }
            Report::Verified(piece, transport) => self.verified(torrent, piece.index(), transport),
            Report::Complete => {
                self.mark(torrent, Moment::Done);
                self.note(torrent, "phase", String::from("done"));
            }
            Report::PeerOpened(_) => {
                self.mark(torrent, Moment::FirstPeer);
            }
            Report::PeerClosed(link, reason) => {
                let why = reason.map_or_else(|| String::from("by the other end"), |reason| reason.to_string());
                self.note(torrent, "wire close", format!("{}: {why}", link.0));
            }
            Report::HashFailed(piece) => {
                self.note(torrent, "error", format!("piece {} failed its hash", piece.index()));
            }
            Report::Banned(link) => self.banned(torrent, link),
            Report::Announced(url, peers) => {
                self.mark(torrent, Moment::Announced);
                self.note(torrent, "phase", format!("announced to {url}: {peers} peers"));
            }
            Report::TrackerFailed(url, why) => self.note(torrent, "warning", format!("{url}: {why}")),
            Report::WebSeedFailed(url, why) => self.note(torrent, "warning", format!("{url}: {why}")),
            Report::TrackerWarning(url, why) => self.note(torrent, "warning", format!("{url} says: {why}")),
            Report::StorageFailed(error) => self.storage_failed(torrent, error),
            Report::BadMetadata(why) => {
                self.note(torrent, "error", format!("the metadata cannot be used: {why}"));
                if let Some(entry) = self.torrents.get_mut(&torrent) {
                    entry.failure = Some(why);
                }
            }
            // Storage that waits for room: here the torrent is paused and its user asked. The rest only native peers report.
            _ => {}
        }
    }

    /// A link is past its handshake.
    pub(crate) fn link_opened(&mut self, opened: &Opened) {
        let transport = if opened.transport == Transport::Wire {
            "relay"
        } else {
            "webrtc"
        };
        let id = opened.greeting.peer_id.0;
        self.note(
            opened.torrent,
            "wire",
            format!("{transport} {}", hex(&id[id.len() - 4..])),
        );
    }

    fn verified(&mut self, torrent: Torrent, piece: usize, transport: Transport) {
        self.mark(torrent, Moment::FirstPiece);
        self.streams.stirred = true;
        let Some(entry) = self.torrents.get_mut(&torrent) else {
            return;
        };
        let from = match transport {
            Transport::Rtc => 1,
            Transport::Wire if entry.relay.cached_share > 0.5 => 3,
            Transport::Wire | Transport::Tcp | Transport::Utp => 2,
            Transport::Http => 4,
        };
        if let Some(source) = entry.source.get_mut(piece) {
            *source = from;
        }
    }

    fn banned(&mut self, torrent: Torrent, link: Link) {
        let time = self.time();
        let peers = self.session.peers(time, torrent);
        let client = peers.into_iter().find(|peer| peer.link == link).map(|peer| peer.client);
        let client = client.unwrap_or_else(|| String::from("a peer"));
        self.note(torrent, "ban", format!("{}: {client} sent bad data", link.0));
        if let Some(entry) = self.torrents.get_mut(&torrent) {
            entry.notice(Notice::Banned(client));
        }
    }

    fn storage_failed(&mut self, torrent: Torrent, error: StorageError) {
        let time = self.time();
        let needed = self
            .session
            .status(time, torrent)
            .map_or(0, |status| status.wanted - status.have_wanted);
        let Some(entry) = self.torrents.get_mut(&torrent) else {
            return;
        };
        let text = match error {
            StorageError::Full => {
                entry.notice(Notice::Full(needed));
                String::from("there is no room left")
            }
            StorageError::Other(why) if entry.own => {
                entry.notice(Notice::FileGone(entry.name.clone()));
                why
            }
            StorageError::Other(why) => {
                entry.failure = Some(why.clone());
                why
            }
        };
        entry.paused = true;
        self.note(torrent, "error", format!("storage: {text}"));
    }

    /// Notes when the first byte of a PIECE came. Costs nothing once it has.
    pub(crate) fn watch_for_first_byte(&mut self, torrent: Torrent) {
        let waits = |entry: &Entry| entry.timeline.at(Moment::FirstByte).is_none();
        if self.torrents.get(&torrent).is_some_and(waits) {
            let time = self.time();
            let status = self.session.status(time, torrent);
            if status.is_some_and(|status| status.received.total() > 0) {
                self.mark(torrent, Moment::FirstByte);
            }
        }
    }

    /// Notes a moment if it is the first of its kind.
    pub(crate) fn mark(&mut self, torrent: Torrent, moment: Moment) {
        let now = self.now;
        if let Some(entry) = self.torrents.get_mut(&torrent) {
            entry.timeline.mark(moment, now);
        }
    }

    /// Notes something for the log.
    pub(crate) fn note(&mut self, torrent: Torrent, kind: &'static str, text: String) {
        let now = self.now;
        if let Some(entry) = self.torrents.get_mut(&torrent) {
            entry.timeline.note(now, kind, text);
        }
    }

    /// It is time to push counters.
    pub(crate) fn probe_due(&mut self) {
        self.reporter.probe.rung();
        let torrents: Vec<Torrent> = self.torrents.keys().copied().gather();
        torrents.into_iter().for_each(|torrent| self.push_probe(torrent));
    }

    /// It is time to push snapshots.
    pub(crate) fn snapshot_due(&mut self) {
        self.reporter.snapshot.rung();
        let torrents: Vec<Torrent> = self.torrents.keys().copied().gather();
        torrents.into_iter().for_each(|torrent| self.push_snapshot(torrent));
    }

    /// Tells the page a torrent's counters, if they or its log have changed.
    pub(crate) fn push_probe(&mut self, torrent: Torrent) {
        let time = self.time();
        let status = self.session.status(time, torrent);
        for peer in self.session.peers(time, torrent) {
            if peer.relay && peer.transport == Transport::Rtc {
                self.reporter.relay_bytes.insert((torrent, peer.link), peer.received);
            }
        }
        let relay_rtc = self.reporter.relay_rtc(torrent);
        let (origin, offset) = (self.boot.time_origin, self.clock_offset());
        let Some(entry) = self.torrents.get_mut(&torrent) else {
            return;
        };
        let events = entry.timeline.take_events();
        let write = |o: &mut json::Object<'_>| {
            o.number("torrent", torrent.0);
            counters(o, entry, offset);
            let zero = || (0, 0, 0, 0, 0, 0);
            let numbers = status.as_ref().map_or_else(zero, |s| {
                (
                    s.have,
                    s.received.total(),
                    s.received.wire + relay_rtc,
                    s.sent.total(),
                    s.peers,
                    s.pieces,
                )
            });
            o.number("have", numbers.0);
            o.number("received", numbers.1);
            o.number("receivedFromRelay", numbers.2);
            o.number("uploaded", numbers.3);
            o.number("peers", numbers.4);
            o.number("verified", numbers.5);
            o.float("origin", origin);
        };
        let text = json::object(write);
        if events.is_empty() && self.reporter.probes.get(&torrent) == Some(&text) {
            return;
        }
        let mut report = text.clone();
        report.pop();
        report.push_str(",\"events\":");
        report.push_str(&json::list(|l| {
            for event in &events {
                l.list(|l| {
                    l.number((event.at + offset).round() as i64);
                    l.text(event.kind);
                    l.text(&event.text);
                });
            }
        }));
        report.push('}');
        self.host.report("probe", &report);
        self.reporter.probes.insert(torrent, text);
    }

    /// What to add to the worker's time for the page's.
    pub(crate) fn clock_offset(&self) -> f64 {
        self.boot.worker_origin - self.boot.time_origin
    }
}

fn counters(o: &mut json::Object<'_>, entry: &Entry, offset: f64) {
    o.object("t", |o| {
        for (name, at) in entry.timeline.times() {
            o.float(name, at + offset);
        }
    });
    match entry.hashes {
        Some(_) => o.text("infoHash", &hex(&entry.swarm().0)),
        None => o.null("infoHash"),
    }
    let layout = entry.metainfo.as_ref().map(|metainfo| metainfo.layout.clone());
    let length = entry.metainfo.as_ref().map_or(0, |metainfo| metainfo.content_length());
    o.number("length", length);
    o.number("pieces", layout.map_or(0, |layout| layout.pieces()));
}
