//! The WebSockets to trackers: one for each URL, shared by all torrents, opened when there is something to say.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::context::Context;
use crate::event::{Action, Socket};
use crate::map::Map;

/// Messages that wait for a WebSocket to open: more torrents than that announce again later.
const MAX_WAITING: usize = 1_000;

/// The WebSockets to trackers.
#[derive(Debug, Default)]
pub(crate) struct Sockets {
    lines: Map<Socket, Line>,
}

#[derive(Debug)]
struct Line {
    url: String,
    /// What waits for it to open; `None` when it is open.
    waiting: Option<Vec<String>>,
}

impl Sockets {
    /// The WebSocket to a URL.
    fn of(&self, url: &str) -> Option<Socket> {
        self.lines
            .iter()
            .find(|(_, line)| line.url == url)
            .map(|(socket, _)| *socket)
    }
}

impl Context {
    /// Sends a message to the tracker at `url`, connecting first where needed.
    pub(crate) fn send_text(&mut self, url: &str, text: String) {
        if let Some(socket) = self.sockets.of(url) {
            match self.sockets.lines.get_mut(&socket) {
                Some(Line {
                    waiting: Some(waiting), ..
                }) if waiting.len() < MAX_WAITING => waiting.push(text),
                Some(Line { waiting: None, .. }) => self.act(Action::Text(socket, text)),
                _ => {}
            }
            return;
        }
        let socket = Socket(self.unique());
        self.sockets.lines.insert(
            socket,
            Line {
                url: url.to_string(),
                waiting: Some(alloc::vec![text]),
            },
        );
        self.act(Action::Connect(socket, url.to_string()));
    }

    /// Sends a message if the WebSocket to that tracker is open.
    pub(crate) fn send_text_if_open(&mut self, url: &str, text: String) {
        let line = self
            .sockets
            .of(url)
            .and_then(|socket| Some((socket, self.sockets.lines.get(&socket)?)));
        if let Some((socket, Line { waiting: None, .. })) = line {
            self.act(Action::Text(socket, text));
        }
    }

    /// A WebSocket is open: what waited goes out.
    pub(crate) fn connected(&mut self, socket: Socket) {
        let waiting = self.sockets.lines.get_mut(&socket).and_then(|line| line.waiting.take());
        for text in waiting.into_iter().flatten() {
            self.act(Action::Text(socket, text));
        }
    }

    /// A WebSocket is gone; its URL, if we knew it.
    pub(crate) fn disconnected(&mut self, socket: Socket) -> Option<String> {
        let line = self.sockets.lines.remove(&socket)?;
        Some(line.url)
    }

    /// Where a WebSocket leads.
    pub(crate) fn url_of(&self, socket: Socket) -> Option<String> {
        self.sockets.lines.get(&socket).map(|line| line.url.clone())
    }
}
