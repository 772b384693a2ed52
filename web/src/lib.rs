//! The browser peer: the whole engine, which runs in one dedicated worker of the page.
//!
//! The protocol is `tombolo-core`'s alone; this crate performs its actions with what a worker has: WebSockets, data channels
//! that the page transfers, `fetch`, and synchronous files in the origin's private file system. [`Engine`] is what `worker.js`
//! holds; everything that happens goes through [`engine::Handle::turn`].

mod add;
mod base64;
mod boot;
mod command;
mod create;
mod engine;
mod entry;
mod json;
mod keep;
mod link;
mod perform;
pub mod platform;
mod refusal;
mod relay;
mod report;
mod sdp;
mod signal;
mod snapshot;
mod socket;
mod storage;
mod stream;
mod timeline;
mod trackers;

use js_sys::{Object, Promise};
use sha1::{Digest, Sha1};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::future_to_promise;
use web_sys::RtcDataChannel;

use crate::boot::Boot;
use crate::engine::Handle;
use crate::platform::{Host, set_member};

/// The engine, as the worker's script holds it.
#[wasm_bindgen]
#[allow(missing_debug_implementations)]
pub struct Engine {
    handle: Handle,
}

#[wasm_bindgen]
impl Engine {
    /// Starts the engine with what the page says of itself; resolves with `{engine, description}`.
    pub async fn start(boot: JsValue, host: Host) -> JsValue {
        let opfs = host.has_storage().await;
        let handle = Handle::start(Boot::read(&boot), host);
        handle.turn(|core| {
            core.poll_relay();
            core.schedule_relay();
            core.report_relay();
            core.report_usage();
        });
        let description = Object::new();
        set_member(&description, "version", &env!("CARGO_PKG_VERSION").into());
        set_member(&description, "opfs", &opfs.into());
        let limit = if opfs {
            JsValue::NULL
        } else {
            JsValue::from_f64(storage::LIMIT as f64)
        };
        set_member(&description, "limit", &limit);
        let started = Object::new();
        set_member(&started, "description", &description);
        set_member(&started, "engine", &Self { handle }.into());
        started.into()
    }

    /// Does what the page asks for; rejects with `{code, message, details}`.
    pub fn command(&self, name: String, arguments: JsValue) -> Promise {
        let handle = self.handle.clone();
        future_to_promise(async move { command::run(handle, name, arguments).await.map_err(JsValue::from) })
    }

    /// The page transferred a data channel.
    pub fn channel(&self, offer: u32, channel: JsValue) {
        // Or something that looks like one, where the page forwards messages.
        let channel: RtcDataChannel = channel.unchecked_into();
        self.handle.turn(|core| core.add_channel(offer, channel));
    }

    /// The page described its end of a connection.
    pub fn described(&self, offer: u32, description: String) {
        self.handle.turn(|core| core.described(offer, description));
    }

    /// The page could not make a connection, or lost it.
    pub fn unconnected(&self, offer: u32) {
        self.handle.turn(|core| core.unconnected(offer));
    }

    /// The service worker wants to read a file.
    pub fn stream(&self, request: JsValue) {
        self.handle.turn(|core| core.open_stream(&request));
    }

    /// The page was shown or hidden.
    pub fn visible(&self, visible: bool) {
        self.handle.turn(|core| {
            core.reporter.visible = visible;
            core.relay.visible = visible;
            core.schedule_relay();
        });
    }
}

/// SHA-1 where the browser has none to give.
#[wasm_bindgen]
pub fn sha1(bytes: &[u8]) -> Vec<u8> {
    Sha1::digest(bytes).to_vec()
}
