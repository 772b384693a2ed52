//! What the page tells the engine when it starts it.

use js_sys::Array;
use tombolo_core::gather::Gather;
use wasm_bindgen::JsValue;

use crate::platform::{self, member, text_member};

/// What the page tells the engine when it starts it.
#[derive(Clone, Debug)]
pub(crate) struct Boot {
    /// The page's address, up to its folder: ends with `/`.
    pub(crate) base: String,
    /// When the page's clock began, in ms since 1970.
    pub(crate) time_origin: f64,
    /// When the worker's clock began, in ms since 1970.
    pub(crate) worker_origin: f64,
    /// Whether the page can make peer connections.
    pub(crate) webrtc: bool,
    /// Trackers instead of all others, if any are named.
    pub(crate) trackers: Vec<String>,
    /// Trackers of the user's own, for all torrents that are not private.
    pub(crate) extra: Vec<String>,
    /// `off`, or a relay's address; the page's own origin if `None`.
    pub(crate) relay: Option<String>,
    /// Addresses of native peers for the relay.
    pub(crate) peers: Vec<String>,
    /// Whether the page is on a loopback address: then nothing outside is asked that no parameter names.
    pub(crate) loopback: bool,
    /// Limit on the rate of sending, bytes a second.
    pub(crate) up: Option<u64>,
    /// Limit on the rate of receiving, bytes a second.
    pub(crate) down: Option<u64>,
}

impl Boot {
    /// Reads the page's message; what is missing is left out.
    pub(crate) fn read(boot: &JsValue) -> Self {
        Self {
            base: text_member(boot, "base").unwrap_or_default(),
            time_origin: member(boot, "timeOrigin").as_f64().unwrap_or(0.0),
            worker_origin: platform::time_origin(),
            webrtc: member(boot, "webrtc").is_truthy(),
            trackers: texts(&member(boot, "trackers")),
            extra: texts(&member(boot, "extra")),
            relay: text_member(boot, "relay"),
            peers: texts(&member(boot, "peers")),
            loopback: member(boot, "loopback").is_truthy(),
            up: rate(&member(boot, "up")),
            down: rate(&member(boot, "down")),
        }
    }
}

/// The texts of a list.
pub(crate) fn texts(list: &JsValue) -> Vec<String> {
    let items = Array::is_array(list).then(|| Array::from(list));
    items.map_or_else(Vec::new, |items| {
        items.iter().filter_map(|item| item.as_string()).gather()
    })
}

/// A rate in bytes a second; none when it is null or 0.
pub(crate) fn rate(value: &JsValue) -> Option<u64> {
    value.as_f64().filter(|rate| *rate >= 1.0).map(|rate| rate as u64)
}
