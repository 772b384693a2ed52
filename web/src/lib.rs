//! The browser peer: the whole engine, which runs in one dedicated worker of the page.
//!
//! The protocol is `tombolo-core`'s alone; this crate performs its actions with what a worker has: WebSockets, data channels
//! that the page transfers, `fetch`, and synchronous files in the origin's private file system. There is one engine a worker, and the
//! functions here are what `worker.js` calls of it; everything that happens goes through [`engine::turn`].

mod add;
mod base64;
mod boot;
mod command;
mod create;
mod engine;
mod entry;
#[cfg(any(test, target_arch = "wasm32"))]
mod heap;
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
mod task;
mod timeline;
mod trackers;
mod web_seed;

use js_sys::{Function, Object};
use tombolo_core::digest;
use wasm_bindgen::prelude::*;
use web_sys::RtcDataChannel;

use crate::boot::Boot;
use crate::engine::turn;
use crate::platform::{Host, set_member};
use crate::task::spawn;

/// Starts the engine with what the page says of itself; `started` is called with its description.
#[wasm_bindgen]
pub fn start(boot: JsValue, host: Host, started: Function) {
    spawn(async move {
        let opfs = host.has_storage().await;
        engine::start(Boot::read(&boot), host);
        turn(|core| {
            core.poll_relay();
            core.schedule_relay();
            core.report_relay();
        });
        // It does not throw.
        let _ = started.call1(&JsValue::NULL, &description(opfs));
    });
}

fn description(opfs: bool) -> Object {
    let description = Object::new();
    set_member(&description, "version", &env!("CARGO_PKG_VERSION").into());
    set_member(&description, "opfs", &opfs.into());
    let limit = if opfs {
        JsValue::NULL
    } else {
        JsValue::from_f64(storage::LIMIT as f64)
    };
    set_member(&description, "limit", &limit);
    description
}

/// Does what the page asks for; `answer` is called with the value, or else with null and `{code, message, details}`.
#[wasm_bindgen]
pub fn command(name: String, arguments: JsValue, answer: Function) {
    spawn(async move {
        let (value, refusal) = match command::run(name, arguments).await {
            Ok(value) => (value, JsValue::UNDEFINED),
            Err(refusal) => (JsValue::NULL, refusal.into()),
        };
        // It does not throw.
        let _ = answer.call2(&JsValue::NULL, &value, &refusal);
    });
}

/// The page transferred a data channel.
#[wasm_bindgen]
pub fn channel(offer: u32, channel: JsValue) {
    // Or something that looks like one, where the page forwards messages.
    let channel: RtcDataChannel = channel.unchecked_into();
    turn(|core| core.add_channel(offer, channel));
}

/// The page described its end of a connection.
#[wasm_bindgen]
pub fn described(offer: u32, description: String) {
    turn(|core| core.described(offer, description));
}

/// The page could not make a connection, or lost it.
#[wasm_bindgen]
pub fn unconnected(offer: u32) {
    turn(|core| core.unconnected(offer));
}

/// The service worker wants to read a file.
#[wasm_bindgen]
pub fn stream(request: JsValue) {
    turn(|core| core.open_stream(&request));
}

/// The page was shown or hidden.
#[wasm_bindgen]
pub fn visible(visible: bool) {
    turn(|core| {
        core.reporter.visible = visible;
        core.relay.visible = visible;
        core.schedule_relay();
    });
}

/// SHA-1 where the browser has none to give.
#[wasm_bindgen]
pub fn sha1(bytes: &[u8]) -> Vec<u8> {
    digest::sha1(&[bytes]).to_vec()
}
