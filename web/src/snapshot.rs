//! A torrent as the page draws it: numbers as JSON, and per-piece arrays of which only the changed range is sent.

use js_sys::{Object, Uint8Array, Uint16Array};
use tombolo_core::event::{Torrent, Transport};
use tombolo_core::gather::Gather;
use tombolo_core::key::hex;
use tombolo_core::magnet::Magnet;
use tombolo_core::metainfo::Metainfo;
use tombolo_core::status::{PeerStatus, State, Status, TrackerState, TrackerStatus};
use tombolo_core::swarm::Priority;
use tombolo_core::swarm::picker::Phase;
use wasm_bindgen::JsValue;

use crate::engine::Core;
use crate::entry::{Entry, Notice};
use crate::json::{self, List};
use crate::platform::set_member;
use crate::timeline::Moment;

/// What the page has of a torrent.
#[derive(Debug, Default)]
pub(crate) struct Pushed {
    text: String,
    map: Vec<u8>,
    counts: Vec<u16>,
    source: Vec<u8>,
}

/// All that a snapshot is made of.
struct View<'a> {
    entry: &'a Entry,
    status: Option<&'a Status>,
    peers: &'a [PeerStatus],
    trackers: &'a [TrackerStatus],
    phase: Option<Phase>,
    done: Vec<u64>,
    relay_rtc: u64,
    now: f64,
}

/// The range in which two lists of the same length differ.
fn difference<T: PartialEq>(before: &[T], after: &[T]) -> Option<(usize, usize)> {
    let differ = |(a, b): (&T, &T)| a != b;
    let first = before.iter().zip(after).position(differ)?;
    let last = before.iter().zip(after).rposition(differ)?;
    Some((first, last + 1))
}

fn union(a: Option<(usize, usize)>, b: Option<(usize, usize)>) -> Option<(usize, usize)> {
    match (a, b) {
        (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
        (a, b) => a.or(b),
    }
}

impl Core {
    /// Gives the page a torrent's snapshot, if anything of it has changed.
    pub(crate) fn push_snapshot(&mut self, torrent: Torrent) {
        let time = self.time();
        let status = self.session.status(time, torrent);
        let peers = self.session.peers(time, torrent);
        let trackers = self.session.trackers(time, torrent);
        let Some(entry) = self.torrents.get(&torrent) else {
            return;
        };
        let view = View {
            entry,
            status: status.as_ref(),
            peers: &peers,
            trackers: &trackers,
            phase: self.session.phase(torrent),
            done: self.done_by_file(torrent, entry),
            relay_rtc: self.reporter.relay_rtc(torrent),
            now: self.now,
        };
        let text = view.text();
        let (mut map, mut counts) = (Vec::new(), Vec::new());
        self.session.piece_map(torrent, &mut map);
        self.session.availability(torrent, &mut counts);
        let source = if map.is_empty() {
            Vec::new()
        } else {
            entry.source.clone()
        };
        let pushed = self.reporter.snapshots.get_or_insert_with(torrent, Pushed::default);
        let range = if pushed.map.len() == map.len() {
            let pieces = union(difference(&pushed.map, &map), difference(&pushed.counts, &counts));
            union(pieces, difference(&pushed.source, &source))
        } else {
            (!map.is_empty()).then_some((0, map.len()))
        };
        if range.is_none() && pushed.text == text {
            return;
        }
        let changes = range.map_or(JsValue::NULL, |(from, to)| {
            let changes = Object::new();
            set_member(&changes, "from", &JsValue::from_f64(from as f64));
            set_member(
                &changes,
                "map",
                &Uint8Array::from(map.get(from..to).unwrap_or_default()),
            );
            set_member(
                &changes,
                "counts",
                &Uint16Array::from(counts.get(from..to).unwrap_or_default()),
            );
            set_member(
                &changes,
                "source",
                &Uint8Array::from(source.get(from..to).unwrap_or_default()),
            );
            changes.into()
        });
        self.host.snapshot(&text, &changes);
        *pushed = Pushed {
            text,
            map,
            counts,
            source,
        };
    }

    /// Verified bytes of each file. O(files + pieces).
    fn done_by_file(&self, torrent: Torrent, entry: &Entry) -> Vec<u64> {
        let (Some(metainfo), Some(held)) = (&entry.metainfo, self.session.held(torrent)) else {
            return Vec::new();
        };
        let layout = &metainfo.layout;
        let done = |start: u64, end: u64| {
            let pieces = layout
                .pieces_of(start, end)
                .filter(|piece| held.contains(piece.index()));
            let overlap = pieces.map(|piece| {
                let offset = layout.offset(piece);
                (offset + u64::from(layout.piece_length(piece))).min(end) - offset.max(start)
            });
            overlap.sum()
        };
        metainfo
            .files
            .iter()
            .map(|file| done(file.offset, file.offset + file.length))
            .gather()
    }
}

impl View<'_> {
    fn text(&self) -> String {
        let entry = self.entry;
        let metainfo = entry.metainfo.as_deref();
        json::object(|o| {
            o.number("torrent", entry.torrent.0);
            match entry.hashes {
                Some(_) => o.text("infoHash", &hex(&entry.swarm().0)),
                None => o.null("infoHash"),
            }
            o.text("magnet", &self.magnet());
            o.text("name", &entry.name);
            o.flag("nameConfirmed", metainfo.is_some());
            o.flag("own", entry.own);
            o.flag("kept", entry.passing.is_none());
            o.text("phase", self.phase());
            o.flag(
                "seeding",
                self.status.is_some_and(|status| status.state == State::Seeding),
            );
            o.float("hashed", entry.hashed);
            o.flag("private", metainfo.is_some_and(|metainfo| metainfo.private));
            o.optional_text("comment", metainfo.and_then(|metainfo| metainfo.comment.as_deref()));
            o.optional_text(
                "createdBy",
                metainfo.and_then(|metainfo| metainfo.created_by.as_deref()),
            );
            o.list("steps", |l| self.steps(l));
            self.geometry(o, metainfo);
            self.numbers(o);
            o.list("files", |l| self.files(l, metainfo));
            o.list("peers", |l| self.peers.iter().for_each(|peer| self.peer(l, peer)));
            o.raw("natives", entry.relay.natives_json());
            o.number("nativesKnown", entry.relay.known);
            o.list("trackers", |l| {
                self.trackers.iter().for_each(|tracker| write_tracker(l, tracker))
            });
            o.list("notices", |l| {
                entry.notices.iter().for_each(|notice| write_notice(l, notice))
            });
        })
    }

    /// The link that leads others here.
    fn magnet(&self) -> String {
        let Some(hashes) = self.entry.hashes else {
            return String::new();
        };
        let mut magnet = self.entry.magnet.clone().unwrap_or_else(|| Magnet::new(hashes));
        magnet.name = Some(self.entry.name.clone());
        magnet.peers.clear();
        magnet.select_only = None;
        if let Some(metainfo) = self.entry.metainfo.as_ref().filter(|_| magnet.trackers.is_empty()) {
            magnet.trackers = metainfo.trackers.iter().flatten().cloned().gather();
        }
        for tracker in self.trackers {
            if !magnet.trackers.contains(&tracker.url) {
                magnet.trackers.push(tracker.url.clone());
            }
        }
        magnet.to_string()
    }

    fn phase(&self) -> &'static str {
        let entry = self.entry;
        match self.status.map(|status| status.state) {
            _ if entry.failure.is_some() => "error",
            None if entry.own => "hashing",
            _ if entry.paused => "paused",
            None | Some(State::Metadata) => "adding",
            Some(State::Checking) => "checking",
            Some(State::Downloading | State::Bridging) => "downloading",
            Some(State::Seeding) => "done",
            Some(State::Paused) => "paused",
        }
    }

    fn steps(&self, l: &mut List<'_>) {
        let timeline = &self.entry.timeline;
        let added = timeline.at(Moment::Added).unwrap_or(0.0);
        let mut steps = Vec::new();
        let mut step = |at: Option<f64>, key: &'static str, details: String| {
            if let Some(at) = at {
                steps.push((at, key, details));
            }
        };
        let trackers = self.trackers.len();
        step(Some(added), "link", json::object(|o| o.number("trackers", trackers)));
        let working = self
            .trackers
            .iter()
            .find(|tracker| tracker.state == TrackerState::Working);
        let told = json::object(|o| {
            o.optional_text("url", working.map(|tracker| tracker.url.as_str()));
            o.number("peers", working.map_or(0, |tracker| tracker.peers));
        });
        step(timeline.at(Moment::Announced), "tracker", told);
        let relay = &self.entry.relay;
        let joined = json::object(|o| {
            o.number("asked", relay.known);
            o.number("known", relay.known);
        });
        step(relay.joined_at, "relay", joined);
        let native = relay.native_count;
        let tabs = self.peers.iter().filter(|peer| kind(peer) == "tab").count();
        let peers = json::object(|o| {
            o.number("tabs", tabs);
            o.number("native", native);
            o.number("count", tabs + native);
        });
        step(timeline.at(Moment::FirstPeer), "peers", peers);
        if self.entry.magnet.is_some() {
            let (have, total) = self.status.and_then(|status| status.metadata).unwrap_or((0, 0));
            let begins = timeline
                .at(Moment::FirstPeer)
                .filter(|_| total > 0 || self.entry.metainfo.is_some());
            let text = json::object(|o| {
                o.number("have", have);
                o.number("total", total);
            });
            step(begins, "metadata", text);
        }
        step(timeline.at(Moment::FirstByte), "first-byte", String::from("{}"));
        step(timeline.at(Moment::FirstPiece), "first-piece", String::from("{}"));
        if let Some(failure) = &self.entry.failure {
            step(Some(self.now), "problem", json::object(|o| o.text("title", failure)));
        }
        for (at, key, details) in steps {
            l.object(|o| {
                o.number("at", (at - added).round() as i64);
                o.text("key", key);
                o.text("text", "");
                o.raw("details", &details);
            });
        }
    }

    fn geometry(&self, o: &mut json::Object<'_>, metainfo: Option<&Metainfo>) {
        let layout = metainfo.map(|metainfo| &metainfo.layout);
        o.number("length", metainfo.map_or(0, Metainfo::content_length));
        o.number("pieceLength", layout.map_or(0, |layout| layout.nominal_piece_length()));
        o.number("pieces", layout.map_or(0, |layout| layout.pieces()));
    }

    fn numbers(&self, o: &mut json::Object<'_>) {
        let Some(status) = self.status else {
            [
                "wanted",
                "have",
                "haveWanted",
                "received",
                "uploaded",
                "down",
                "up",
                "availability",
                "known",
                "upRate",
            ]
            .iter()
            .for_each(|key| o.number(key, 0));
            o.null("eta");
            o.null("ratio");
            o.text("order", "random-first");
            self.sources(o, "sources", [0.0; 4]);
            self.sources(o, "rates", [0.0; 4]);
            return;
        };
        o.number("wanted", status.wanted);
        o.number("have", status.have);
        o.number("haveWanted", status.have_wanted);
        o.number("received", status.received.total());
        o.number("uploaded", status.sent.total());
        o.number("down", status.down);
        o.number("up", status.up);
        o.number("upRate", status.up);
        let left = status.wanted.saturating_sub(status.have_wanted);
        o.optional("eta", (status.down > 0 && left > 0).then(|| left.div_ceil(status.down)));
        let total = status.received.total();
        // Infinite, hence null, while nothing came.
        o.float("ratio", status.sent.total() as f64 / total as f64);
        o.float("availability", f64::from(status.copies) / 1000.0);
        o.number("known", status.known);
        let order = match self.phase {
            None | Some(Phase::RandomFirst) => "random-first",
            Some(Phase::RarestFirst) => "rarest-first",
            Some(Phase::Endgame) => "endgame",
            Some(Phase::Done) => "done",
        };
        o.text("order", order);
        let relay = (status.received.wire + self.relay_rtc) as f64;
        let tabs = status.received.rtc.saturating_sub(self.relay_rtc) as f64;
        let (native, server) = (status.received.native as f64, status.received.http as f64);
        self.sources(o, "sources", [tabs, relay, native, server]);
        let rate = |kind_of: &str| -> f64 {
            let peers = self.peers.iter().filter(|peer| kind(peer) == kind_of);
            peers.map(|peer| peer.down as f64).sum()
        };
        self.sources(o, "rates", [rate("tab"), rate("relay"), rate("native"), rate("server")]);
    }

    /// Bytes by where they come from: what comes through the relay is its cache's or native peers'.
    fn sources(&self, o: &mut json::Object<'_>, key: &str, [tabs, relay, native, server]: [f64; 4]) {
        let cached = relay * self.entry.relay.cached_share;
        o.object(key, |o| {
            o.float("tabs", tabs.round());
            o.float("native", (native + relay - cached).round());
            o.float("relay", cached.round());
            o.float("server", server.round());
        });
    }

    fn files(&self, l: &mut List<'_>, metainfo: Option<&Metainfo>) {
        let Some(metainfo) = metainfo else { return };
        for (index, file) in metainfo.files.iter().enumerate() {
            let mut pieces = metainfo.layout.pieces_of(file.offset, file.offset + file.length);
            let first = pieces.next();
            let last = pieces.next_back().or(first);
            l.object(|o| {
                o.number("index", index);
                o.list("path", |l| file.path.elements().for_each(|element| l.text(element)));
                o.number("length", file.length);
                o.flag("pad", file.pad);
                o.number("done", self.done.get(index).copied().unwrap_or(0));
                o.text("priority", priority_name(self.entry.priority(index)));
                o.number("firstPiece", first.map_or(0, |piece| piece.index()));
                o.number("lastPiece", last.map_or(0, |piece| piece.index()));
            });
        }
    }

    fn peer(&self, l: &mut List<'_>, peer: &PeerStatus) {
        let pieces = self
            .entry
            .metainfo
            .as_ref()
            .map_or(0, |metainfo| metainfo.layout.pieces());
        let id = &peer.peer_id.0;
        l.object(|o| {
            o.number("link", peer.link.0);
            o.text("client", &peer.client);
            o.text("short", &hex(&id[id.len() - 2..]));
            let transport = match peer.transport {
                Transport::Rtc => "WebRTC",
                Transport::Wire => "WebSocket",
                Transport::Tcp => "TCP",
                Transport::Utp => "uTP",
                Transport::Http => "web seed",
            };
            o.text("transport", transport);
            o.text("kind", kind(peer));
            o.text("flags", &peer.flags());
            o.float(
                "has",
                if pieces == 0 {
                    0.0
                } else {
                    peer.pieces as f64 / pieces as f64
                },
            );
            o.number("down", peer.down);
            o.number("up", peer.up);
            o.number("received", peer.received);
            o.number("sent", peer.sent);
            o.flag("choked", !peer.unchoked);
        });
    }
}

/// What a peer is to the page.
const fn kind(peer: &PeerStatus) -> &'static str {
    match peer.transport {
        Transport::Wire => "relay",
        Transport::Rtc if peer.relay => "relay",
        Transport::Rtc => "tab",
        Transport::Tcp | Transport::Utp => "native",
        Transport::Http => "server",
    }
}

fn write_tracker(l: &mut List<'_>, tracker: &TrackerStatus) {
    l.object(|o| {
        o.text("url", &tracker.url);
        let state = match tracker.state {
            TrackerState::Idle => "idle",
            TrackerState::Announcing => "announcing",
            TrackerState::Working => "working",
            TrackerState::Failed => "failed",
        };
        o.text("state", state);
        o.optional("age", tracker.age.map(|micros| micros / 1_000_000));
        o.number("peers", tracker.peers);
        o.optional("seeds", tracker.seeds);
        o.optional_text("error", tracker.error.as_deref());
        o.number("failures", tracker.failures);
        o.optional("next", tracker.next.map(|micros| micros.div_ceil(1_000_000)));
    });
}

fn write_notice(l: &mut List<'_>, notice: &Notice) {
    let (code, level) = match notice {
        Notice::Full(_) => ("quota", "act"),
        Notice::RelayRefused(_) => ("relay-refused", "act"),
        Notice::Banned(_) => ("banned", "know"),
        Notice::FileGone(_) => ("file-gone", "act"),
    };
    l.object(|o| {
        o.text("code", code);
        o.text("level", level);
        o.object("details", |o| match notice {
            Notice::Full(needed) => o.number("needed", needed),
            Notice::RelayRefused(reason) => o.text("reason", reason),
            Notice::Banned(client) => o.text("client", client),
            Notice::FileGone(name) => o.text("name", name),
        });
    });
}

/// The page's word for a priority.
pub(crate) const fn priority_name(priority: Priority) -> &'static str {
    match priority {
        Priority::Skip => "skip",
        Priority::Low => "low",
        Priority::Normal => "normal",
        Priority::High => "high",
    }
}

/// The priority that the page means.
pub(crate) fn priority_of(name: &str) -> Option<Priority> {
    let all = [Priority::Skip, Priority::Low, Priority::Normal, Priority::High];
    all.into_iter().find(|priority| priority_name(*priority) == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_sent() {
        assert_eq!(difference(&[1, 2, 3, 4], &[1, 9, 3, 8]), Some((1, 4)));
        assert_eq!(difference(&[1, 2], &[1, 2]), None);
        assert_eq!(union(Some((1, 4)), Some((0, 2))), Some((0, 4)));
        assert_eq!(union(None, Some((3, 5))), Some((3, 5)));
        assert_eq!(union(None, None), None);
    }

    #[test]
    fn priorities_have_names_both_ways() {
        for name in ["skip", "low", "normal", "high"] {
            assert_eq!(priority_of(name).map(priority_name), Some(name));
        }
        assert_eq!(priority_of("urgent"), None);
    }
}
