//! The relay, from the tab's side: asking it to join a torrent's native swarm, the `/wire` link to it, and what it tells of
//! its native peers.
//!
//! The request and the WebSocket set out at the same time; the handshake is sent when both are there and the session has the
//! torrent. A relay that is gone is tried again, later each time, by a random share sooner or later so that the tabs of a
//! restarted relay do not come all at once.

mod poll;

use tombolo_core::event::{Link, Torrent};
use tombolo_core::gather::Gather;
use tombolo_core::key::hex;

use crate::base64;
use crate::boot::Boot;
use crate::engine::{Core, turn};
use crate::entry::{Entry, Notice};
use crate::json;
use crate::platform::{self, Request, Timer, member, text_member};
use crate::task::spawn;

/// WebSocket close code of a relay that does not serve the torrent.
const REFUSED: u16 = 4403;
/// WebSocket close code of a relay that knows no way to find peers.
const NO_WAY: u16 = 4404;

/// The first wait before a relay is tried again, and the longest, in ms.
const RETRY: f64 = 1000.0;
const LONGEST_RETRY: f64 = 30_000.0;
/// The wait before a relay is asked again that knew no way to find peers, in ms.
const NO_WAY_RETRY: f64 = 60_000.0;

/// How often the relay is asked for its peers while the page is visible, and while it is not, in ms.
const POLL: f64 = 1000.0;
const HIDDEN_POLL: f64 = 10_000.0;
/// How often the relay is asked whether it lives while there is no torrent, in ms.
const IDLE_POLL: f64 = 15_000.0;

/// The most bytes of an answer of the relay.
const ANSWER_LIMIT: usize = 4 << 20;

/// Whether the relay is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// None is wanted.
    Off,
    /// It was not heard of yet.
    Connecting,
    /// It answers.
    Connected,
    /// It does not answer any more.
    Gone,
}

/// The relay as all torrents share it.
pub(crate) struct Relay {
    /// Its address without a `/` at its end; none where none is wanted.
    base: Option<String>,
    /// The same, or else the page's own.
    home: String,
    /// Whether it is only assumed: the page's own origin.
    assumed: bool,
    pub(crate) state: State,
    ping: Option<f64>,
    /// Its cache: bytes in it, and the most.
    cache: Option<(u64, u64)>,
    failures: u32,
    retry_at: Option<f64>,
    polled_at: f64,
    pub(crate) visible: bool,
    /// Bodies do not come through from it.
    pub(crate) no_body: bool,
    timer: Timer,
    reported: String,
}

/// What there is between one torrent and the relay.
#[derive(Debug, Default)]
pub(crate) struct RelayLink {
    /// Not for this torrent.
    pub(crate) off: bool,
    /// The relay has joined.
    pub(crate) joined: bool,
    /// When it joined first, in ms.
    pub(crate) joined_at: Option<f64>,
    link: Option<Link>,
    /// It is being found out whether there is a body for the way down.
    claiming: bool,
    /// The WebSocket is open.
    is_open: bool,
    asking: bool,
    polling: bool,
    /// When to try again, in ms.
    retry_at: Option<f64>,
    /// Its native peers, as it tells them: a JSON list, empty before it has.
    natives: String,
    /// How many those are.
    pub(crate) native_count: usize,
    /// How many it knows.
    pub(crate) known: u64,
    /// What it sent to web peers, and how much of that out of its cache.
    sent: (u64, u64),
    /// The share of what it sends that comes out of its cache, from 0 to 1.
    pub(crate) cached_share: f64,
}

impl RelayLink {
    /// Its native peers as a JSON list.
    pub(crate) fn natives_json(&self) -> &str {
        if self.natives.is_empty() { "[]" } else { &self.natives }
    }

    fn forget_natives(&mut self) {
        self.natives.clear();
        self.native_count = 0;
    }
}

impl Relay {
    /// The relay that the page's address names, or the page's own origin.
    pub(crate) fn new(boot: &Boot, timer: Timer) -> Self {
        let wanted = boot.relay.as_deref() != Some("off");
        let url = boot.relay.as_deref().filter(|_| wanted).unwrap_or(&boot.base);
        let home = url.trim_end_matches('/');
        let home = match home.strip_prefix("ws") {
            Some(rest) => ["http", rest].concat(),
            None => String::from(home),
        };
        let base = wanted.then(|| home.clone());
        Self {
            state: if base.is_some() { State::Connecting } else { State::Off },
            base,
            home,
            assumed: boot.relay.is_none(),
            ping: None,
            cache: None,
            failures: 0,
            retry_at: None,
            no_body: false,
            polled_at: 0.0,
            visible: true,
            timer,
            reported: String::new(),
        }
    }

    /// The address of its tracker. Tabs may meet at the page's own tracker even where no relay is wanted.
    pub(crate) fn tracker(&self) -> String {
        format!("{}/announce", web_socket(&self.home))
    }

    fn wire(&self) -> Option<String> {
        let base = self.base.as_deref().filter(|_| self.state != State::Off)?;
        Some(format!("{}/wire", web_socket(base)))
    }

    fn api(&self, path: &str) -> Option<String> {
        let base = self.base.as_deref().filter(|_| self.state != State::Off)?;
        Some(format!("{base}{path}"))
    }
}

/// The WebSocket address of the same place.
fn web_socket(base: &str) -> String {
    ["ws", base.strip_prefix("http").unwrap_or(base)].concat()
}

/// How long to wait after that many failures, in ms; `share` is random from 0 to 1.
fn back_off(failures: u32, share: f64) -> f64 {
    let wait = (RETRY * f64::from(1_u32 << failures.saturating_sub(1).min(10))).min(LONGEST_RETRY);
    wait * (0.5 + share)
}

/// What is asked of the relay for a torrent.
fn join_request(entry: &Entry) -> String {
    json::object(|o| match (&entry.metainfo, &entry.magnet) {
        (Some(metainfo), None) => o.text("torrent", &base64::encode(&crate::create::with_trackers(metainfo))),
        (_, Some(magnet)) => o.text("magnet", &magnet.to_string()),
        (None, None) => o.text("info_hash", &hex(&entry.swarm().0)),
    })
}

impl Core {
    /// Asks the relay for a torrent, over both ways at once.
    pub(crate) fn join_relay(&mut self, torrent: Torrent) {
        let (Some(wire), Some(url)) = (self.relay.wire(), self.relay.api("/api/torrents")) else {
            return;
        };
        let Some(entry) = self.torrents.get_mut(&torrent) else {
            return;
        };
        if entry.relay.off || entry.relay.asking || entry.paused || entry.hashes.is_none() {
            return;
        }
        entry.relay.retry_at = None;
        entry.relay.asking = true;
        let body = join_request(entry);
        let peers = self.relay_peers(torrent);
        let host = self.host.clone();
        spawn(async move {
            let request = Request {
                method: "POST",
                url: &url,
                json: Some(&body),
                limit: ANSWER_LIMIT,
            };
            let answer = host
                .request(request)
                .await
                .map(|response| (response.status, response.body));
            if let (Ok((200 | 201, _)), Some((url, body))) = (&answer, peers) {
                let request = Request {
                    url: &url,
                    json: Some(&body),
                    ..request
                };
                // The relay says in its log which addresses its policy refuses.
                let _ = host.request(request).await;
            }
            turn(|core| core.relay_answered(torrent, answer));
        });
        self.claim_wire(torrent, wire);
    }

    /// Opens the WebSocket, once it is known whether there is a body for the way down.
    fn claim_wire(&mut self, torrent: Torrent, url: String) {
        let Some(entry) = self.torrents.get_mut(&torrent) else {
            return;
        };
        if entry.relay.link.is_some() || std::mem::replace(&mut entry.relay.claiming, true) {
            return;
        }
        let (host, no_body) = (self.host.clone(), self.relay.no_body);
        spawn(async move {
            let claim = if no_body { None } else { host.claim().await };
            turn(|core| {
                let is_wanted = core.torrents.get_mut(&torrent).is_some_and(|entry| {
                    entry.relay.claiming = false;
                    !entry.relay.off && entry.relay.retry_at.is_none()
                });
                let link = is_wanted.then(|| core.open_wire(torrent, &url, claim)).flatten();
                if let Some(entry) = core.torrents.get_mut(&torrent) {
                    entry.relay.link = link;
                }
            });
        });
    }

    /// The native peers that the link or the page's address names: where to post them, and what.
    fn relay_peers(&self, torrent: Torrent) -> Option<(String, String)> {
        let entry = self.torrents.get(&torrent)?;
        let mut peers = self.boot.peers.clone();
        if let Some(magnet) = &entry.magnet {
            magnet.peers.iter().for_each(|peer| peers.push(peer.to_string()));
        }
        let url = self
            .relay
            .api(&format!("/api/torrents/{}/peers", hex(&entry.swarm().0)))?;
        let body = json::object(|o| o.list("peers", |l| peers.iter().for_each(|peer| l.text(peer))));
        (!peers.is_empty()).then_some((url, body))
    }

    fn relay_answered(&mut self, torrent: Torrent, answer: Result<(u16, Vec<u8>), String>) {
        let now = self.now;
        let Some(entry) = self.torrents.get_mut(&torrent) else {
            return;
        };
        entry.relay.asking = false;
        match answer {
            Ok((200 | 201, _)) => {
                entry.relay.joined = true;
                entry.relay.joined_at.get_or_insert(now);
                self.relay_is_there();
                self.greet_relay(torrent);
            }
            Ok((404 | 405 | 501, _)) if self.relay.assumed => self.relay_is_none(),
            Ok((status @ 400..=499, body)) => {
                let why = refusal(&body).unwrap_or_else(|| format!("it answered {status}"));
                self.relay_refuses(torrent, &why, None);
            }
            Ok((status, _)) => self.relay_failed(torrent, &format!("it answered {status}")),
            Err(why) => self.relay_failed(torrent, &why),
        }
        self.schedule_relay();
    }

    /// The WebSocket is open.
    pub(crate) fn wire_opened(&mut self, torrent: Torrent, link: Link) {
        if let Some(entry) = self
            .torrents
            .get_mut(&torrent)
            .filter(|entry| entry.relay.link == Some(link))
        {
            entry.relay.is_open = true;
            self.greet_relay(torrent);
        }
    }

    /// Sends the handshake once everything is there for it.
    pub(crate) fn greet_relay(&mut self, torrent: Torrent) {
        let Some(entry) = self.torrents.get(&torrent) else {
            return;
        };
        let relay = &entry.relay;
        if let Some(link) = relay.link.filter(|_| relay.joined && relay.is_open && entry.live) {
            self.greet(link);
        }
    }

    /// The relay closed the WebSocket, or it broke.
    pub(crate) fn wire_closed(&mut self, torrent: Torrent, link: Link, code: u16, reason: &str) {
        let Some(entry) = self.torrents.get(&torrent) else {
            return;
        };
        if entry.relay.link != Some(link) {
            return;
        }
        match code {
            REFUSED => self.relay_refuses(torrent, reason, None),
            NO_WAY => self.relay_refuses(torrent, reason, Some(NO_WAY_RETRY)),
            _ => self.relay_failed(torrent, "the connection broke"),
        }
    }

    /// The link to the relay is forgotten.
    pub(crate) fn wire_dropped(&mut self, torrent: Torrent, link: Link) {
        let Some(entry) = self.torrents.get_mut(&torrent) else {
            return;
        };
        if entry.relay.link == Some(link) {
            entry.relay.link = None;
            entry.relay.is_open = false;
            entry.relay.joined = false;
            if !entry.relay.off && entry.relay.retry_at.is_none() && !entry.paused {
                entry.relay.retry_at = Some(self.now + back_off(1, random_share()));
            }
            self.schedule_relay();
        }
    }

    fn relay_refuses(&mut self, torrent: Torrent, why: &str, again: Option<f64>) {
        let now = self.now;
        self.note(torrent, "warning", format!("the relay refuses: {why}"));
        self.relay_is_there();
        let Some(entry) = self.torrents.get_mut(&torrent) else {
            return;
        };
        entry.notice(Notice::RelayRefused(String::from(why)));
        entry.relay.off = again.is_none();
        entry.relay.retry_at = again.map(|wait| now + wait);
        if let Some(link) = entry.relay.link {
            self.drop_link(link);
        }
    }

    fn relay_failed(&mut self, torrent: Torrent, why: &str) {
        self.note(torrent, "warning", format!("relay: {why}"));
        self.relay_is_gone();
        let retry_at = self.relay.retry_at;
        let Some(entry) = self.torrents.get_mut(&torrent) else {
            return;
        };
        entry.relay.retry_at = retry_at;
        entry.relay.forget_natives();
        if let Some(link) = entry.relay.link {
            self.drop_link(link);
        }
        self.schedule_relay();
    }

    fn relay_is_there(&mut self) {
        self.relay.failures = 0;
        self.relay.retry_at = None;
        self.relay.state = State::Connected;
        self.report_relay();
    }

    fn relay_is_gone(&mut self) {
        if self.relay.retry_at.is_none_or(|at| at <= self.now) {
            self.relay.failures += 1;
            self.relay.retry_at = Some(self.now + back_off(self.relay.failures, random_share()));
        }
        self.relay.state = State::Gone;
        self.relay.ping = None;
        self.report_relay();
    }

    /// The page's origin is no relay: it was worth asking.
    fn relay_is_none(&mut self) {
        self.relay.state = State::Off;
        let links: Vec<Link> = self.torrents.values().filter_map(|entry| entry.relay.link).gather();
        links.into_iter().for_each(|link| self.drop_link(link));
        self.report_relay();
    }

    /// Tries again at once what waits for another try.
    pub(crate) fn reconnect_relay(&mut self) {
        let now = self.now;
        self.relay.retry_at = Some(now);
        for entry in self.torrents.values_mut().filter(|entry| entry.relay.link.is_none()) {
            entry.relay.retry_at = Some(now);
        }
        self.schedule_relay();
    }

    /// Goes on without the relay for this torrent.
    pub(crate) fn leave_relay(&mut self, torrent: Torrent) {
        let Some(entry) = self.torrents.get_mut(&torrent) else {
            return;
        };
        entry.relay.off = true;
        entry.relay.retry_at = None;
        entry
            .notices
            .retain(|notice| !matches!(notice, Notice::RelayRefused(_)));
        if let Some(link) = entry.relay.link {
            self.lost(link);
        }
    }

    /// The relay's timer has rung: tries again what is due, and asks how things are.
    pub(crate) fn relay_due(&mut self) {
        let now = self.now;
        self.relay.timer.rung();
        let is_due = |entry: &&Entry| entry.relay.retry_at.is_some_and(|at| at <= now);
        let due: Vec<Torrent> = self
            .torrents
            .values()
            .filter(is_due)
            .map(|entry| entry.torrent)
            .gather();
        due.into_iter().for_each(|torrent| self.join_relay(torrent));
        if now - self.relay.polled_at >= self.poll_interval() - 1.0 {
            self.relay.polled_at = now;
            self.poll_relay();
        }
        self.schedule_relay();
    }

    fn poll_interval(&self) -> f64 {
        match (
            self.relay.visible,
            self.torrents.values().any(|entry| entry.relay.joined),
        ) {
            (true, true) => POLL,
            (true, false) => IDLE_POLL,
            (false, _) => HIDDEN_POLL,
        }
    }

    /// Sets the timer for what comes next.
    pub(crate) fn schedule_relay(&mut self) {
        if self.relay.state == State::Off {
            return;
        }
        let retries = self.torrents.values().filter_map(|entry| entry.relay.retry_at);
        let poll = self.relay.polled_at + self.poll_interval();
        let next = retries.fold(poll, f64::min);
        let now = self.now;
        self.relay.timer.set(next, now);
    }
}

/// The relay's own words for why it refuses.
fn refusal(body: &[u8]) -> Option<String> {
    let told = poll::parse(body)?;
    let error = member(&told, "error");
    let error = if error.is_object() { error } else { told };
    text_member(&error, "message").or_else(|| text_member(&error, "code"))
}

/// A random number from 0 to 1.
fn random_share() -> f64 {
    f64::from(u16::from_le_bytes(platform::random())) / f64::from(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_come_later_and_later_and_never_stop() {
        let waits: Vec<f64> = (1..9).map(|failures| back_off(failures, 0.5)).collect();
        assert_eq!(waits, [1e3, 2e3, 4e3, 8e3, 16e3, 30e3, 30e3, 30e3]);
        assert_eq!((back_off(1, 0.0), back_off(1, 1.0)), (500.0, 1500.0));
        assert_eq!(back_off(u32::MAX, 0.5), 30e3);
    }

    #[test]
    fn addresses_keep_their_security() {
        assert_eq!(web_socket("https://http.example"), "wss://http.example");
        assert_eq!(web_socket("http://127.0.0.1:8080"), "ws://127.0.0.1:8080");
    }
}
