//! Bytes of web seeds (BEP 19, BEP 17), as far as their servers let pages ask (CORS).

use js_sys::Uint8Array;
use tombolo_core::event::{Event, Job, Refused};
use wasm_bindgen::prelude::Closure;

use crate::engine::{Core, turn};
use crate::platform::callback;

impl Core {
    /// Asks for bytes and hands them on as they come.
    pub(crate) fn start_stream(&mut self, job: Job, url: &str, start: Option<u64>, length: u64) {
        let chunk = move |bytes: Uint8Array| turn(|core| core.tell(Event::Streamed(job, bytes.to_vec().into())));
        let end = move |status: f64, retry: f64| {
            turn(|core| {
                core.bodies.remove(&job);
                core.tell(Event::StreamEnded(job, result(status as u16, retry)));
            });
        };
        let body = self
            .host
            .range(url, (start, length), callback(chunk), Closure::new(end));
        self.bodies.insert(job, body);
    }
}

fn result(status: u16, retry: f64) -> Result<(), Refused> {
    if matches!(status, 200..=299) {
        return Ok(());
    }
    let why = match status {
        0 => String::from("it cannot be reached, or lets no page ask"),
        _ => format!("HTTP {status}"),
    };
    Err(Refused {
        status,
        retry: (retry >= 0.0).then_some(retry as u32),
        why,
    })
}
