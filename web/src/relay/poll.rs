//! What the relay tells of itself and of its torrents, asked for once a second while somebody looks.

use js_sys::Array;
use tombolo_core::event::Torrent;
use wasm_bindgen::JsValue;

use tombolo_core::key::hex;

use super::{ANSWER_LIMIT, State};
use crate::engine::{Core, turn};
use crate::entry::Entry;
use crate::json;
use crate::platform::{Request, member};
use crate::task::spawn;

impl Core {
    /// Asks the relay how its torrents are doing, or whether it lives.
    pub(crate) fn poll_relay(&mut self) {
        let joined = |entry: &&mut Entry| entry.relay.joined && !entry.relay.polling;
        let mut asked = Vec::new();
        for entry in self.torrents.values_mut().filter(joined) {
            entry.relay.polling = true;
            asked.push((entry.torrent, format!("/api/torrents/{}", hex(&entry.swarm().0))));
        }
        if asked.is_empty() {
            self.ask_health();
        }
        for (torrent, path) in asked {
            let Some(url) = self.relay.api(&path) else { continue };
            let host = self.host.clone();
            let asked_at = self.now;
            spawn(async move {
                let answer = host.request(get(&url)).await;
                turn(|core| {
                    let Some(entry) = core.torrents.get_mut(&torrent) else {
                        return;
                    };
                    entry.relay.polling = false;
                    if let Ok(response) = answer.as_ref().map(|response| &response.body) {
                        core.relay_told(torrent, response, asked_at);
                    }
                });
            });
        }
    }

    fn ask_health(&self) {
        let Some(url) = self.relay.api("/health") else { return };
        let host = self.host.clone();
        let asked_at = self.now;
        spawn(async move {
            let answer = host.request(get(&url)).await;
            turn(|core| match answer {
                Ok(response) if response.status == 200 => {
                    core.relay.ping = Some(core.now - asked_at);
                    core.relay_is_there();
                }
                Ok(_) if core.relay.assumed => core.relay_is_none(),
                _ => core.relay_is_gone(),
            });
        });
    }

    /// Takes what the relay tells of a torrent.
    fn relay_told(&mut self, torrent: Torrent, body: &[u8], asked_at: f64) {
        let Some(told) = parse(body) else { return };
        self.relay.ping = Some(self.now - asked_at);
        let cache = member(&told, "cache");
        if let (Some(bytes), Some(limit)) = (number(&cache, "bytes"), number(&cache, "limit")) {
            self.relay.cache = Some((bytes, limit));
        }
        let Some(entry) = self.torrents.get_mut(&torrent) else {
            return;
        };
        let relay = &mut entry.relay;
        relay.forget_natives();
        let natives = member(&told, "natives");
        if Array::is_array(&natives) {
            relay.native_count = Array::from(&natives).length() as usize;
            relay.natives = js_sys::JSON::stringify(&natives).map_or_else(|_| String::new(), String::from);
        }
        relay.known = number(&told, "known").unwrap_or(relay.native_count as u64);
        let sent = (
            number(&told, "bytes_web_out").unwrap_or(0),
            number(&told, "bytes_from_cache").unwrap_or(0),
        );
        let fresh = (sent.0.saturating_sub(relay.sent.0), sent.1.saturating_sub(relay.sent.1));
        if fresh.0 > 0 {
            relay.cached_share = (fresh.1 as f64 / fresh.0 as f64).min(1.0);
        }
        relay.sent = sent;
        self.report_relay();
    }

    /// Tells the page how the relay is doing, if that has changed.
    pub(crate) fn report_relay(&mut self) {
        let relay = &self.relay;
        let joined = self.torrents.values().filter(|entry| entry.relay.joined);
        let (natives, swarms) = joined.fold((0, 0), |sum, entry| (sum.0 + entry.relay.native_count, sum.1 + 1));
        let wired = self.links.values().any(crate::link::LinkState::is_wire);
        let text = json::object(|o| {
            o.optional_text("url", relay.base.as_deref());
            let state = match relay.state {
                State::Off => "off",
                State::Connecting => "connecting",
                State::Connected => "connected",
                State::Gone => "gone",
            };
            o.text("state", state);
            o.optional("ping", relay.ping.map(|ping| ping.round() as u64));
            match relay.cache {
                Some((bytes, limit)) => o.object("cache", |o| {
                    o.number("bytes", bytes);
                    o.number("limit", limit);
                }),
                None => o.null("cache"),
            }
            o.optional_text("transport", wired.then_some("WebSocket"));
            let retry = relay.retry_at.filter(|_| relay.state == State::Gone);
            o.optional(
                "retry",
                retry.map(|at| ((at - self.now) / 1000.0).max(0.0).ceil() as u64),
            );
            o.number("natives", natives);
            o.number("swarms", swarms);
        });
        if text != self.relay.reported {
            self.host.report("relay", &text);
            self.relay.reported = text;
        }
    }
}

const fn get(url: &str) -> Request<'_> {
    Request {
        method: "GET",
        url,
        json: None,
        limit: ANSWER_LIMIT,
    }
}

/// What JSON says; none if it is none.
pub(super) fn parse(body: &[u8]) -> Option<JsValue> {
    js_sys::JSON::parse(std::str::from_utf8(body).ok()?).ok()
}

fn number(object: &JsValue, name: &str) -> Option<u64> {
    member(object, name).as_f64().map(|number| number as u64)
}
