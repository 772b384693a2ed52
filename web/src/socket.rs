//! WebSockets to trackers: text in, text out, whatever it says.

use tombolo_core::event::{Event, Socket};
use wasm_bindgen::prelude::*;
use web_sys::{CloseEvent, MessageEvent, WebSocket};

use crate::engine::{Core, turn};
use crate::platform::{Callback, callback, message};
use crate::task::spawn;

/// A tracker's WebSocket with its callbacks.
pub(crate) struct TrackerSocket {
    socket: WebSocket,
    _open: Callback,
    _message: Callback,
    _close: Callback,
}

impl Core {
    pub(crate) fn connect_tracker(&mut self, socket: Socket, url: &str) {
        match WebSocket::new(url) {
            Ok(web_socket) => self.listen_to_tracker(socket, web_socket),
            Err(error) => self.tell(Event::Disconnected(socket, message(&error))),
        }
    }

    fn listen_to_tracker(&mut self, socket: Socket, web_socket: WebSocket) {
        let open = callback(move |_: JsValue| turn(|core| core.tell(Event::Connected(socket))));
        let message = {
            callback(move |event: MessageEvent| {
                if let Some(text) = event.data().as_string() {
                    turn(|core| core.tell(Event::Text(socket, text)));
                }
            })
        };
        let close = callback(move |event: CloseEvent| {
            turn(|core| core.tracker_closed(socket, &event));
        });
        web_socket.set_onopen(Some(open.as_ref().unchecked_ref()));
        web_socket.set_onmessage(Some(message.as_ref().unchecked_ref()));
        web_socket.set_onclose(Some(close.as_ref().unchecked_ref()));
        let state = TrackerSocket {
            socket: web_socket,
            _open: open,
            _message: message,
            _close: close,
        };
        self.sockets.insert(socket, state);
    }

    pub(crate) fn tell_tracker(&self, socket: Socket, text: &str) {
        if let Some(state) = self.sockets.get(&socket) {
            // A failure is followed by the close event.
            let _ = state.socket.send_with_str(text);
        }
    }

    pub(crate) fn disconnect_tracker(&mut self, socket: Socket) {
        let Some(state) = self.sockets.remove(&socket) else {
            return;
        };
        state.socket.set_onopen(None);
        state.socket.set_onmessage(None);
        state.socket.set_onclose(None);
        let _ = state.socket.close();
        release_later(state);
    }

    fn tracker_closed(&mut self, socket: Socket, event: &CloseEvent) {
        let Some(state) = self.sockets.remove(&socket) else {
            return;
        };
        let why = match (event.code(), event.reason()) {
            (1006, _) => String::from("no connection"),
            (code, reason) if reason.is_empty() => format!("closed with code {code}"),
            (code, reason) => format!("closed with code {code}: {reason}"),
        };
        self.tell(Event::Disconnected(socket, why));
        release_later(state);
    }
}

/// Frees callbacks when none of them can be running any more.
fn release_later(state: TrackerSocket) {
    spawn(async move { drop(state) });
}
