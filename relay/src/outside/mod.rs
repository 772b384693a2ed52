//! Everything outside that is no peer: trackers over WebSocket, HTTP, HTTPS and UDP, and web seeds.
//!
//! Invariants: every action is answered by events as the core words it, every attempt has a bound in time; no address is talked to that
//! the policy refuses, whatever name or redirection led to it. Cost: a task for each WebSocket, request and conversation.

mod address;
mod datagram;
mod fetch;
mod http;
pub mod once;
mod stream;
#[cfg(test)]
mod tests;
mod web_seed;
mod websocket;

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tombolo_core::event::{Action, Event, Job, Socket};
use tombolo_core::tracker::udp::Family;

pub(crate) use address::stand_in;
pub use tombolo_core::address::is_local;

use crate::proxy::Way;

/// The program and its version, as HTTP servers are told.
const USER_AGENT: &str = concat!("Tombolo/", env!("CARGO_PKG_VERSION"));

/// How long it may take until a tracker is reached, and again until it has answered.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(15);

/// With whom may be talked.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Whether loopback and private addresses are allowed.
    pub allow_local: bool,
    /// The only addresses used, if not both kinds are.
    pub only: Option<Family>,
    /// From where and through what connections are made.
    pub way: Way,
}

/// Does the tracker actions of a session.
pub struct Outside {
    shared: Arc<Shared>,
}

struct Shared {
    policy: Policy,
    deliver: Box<dyn Fn(Event) + Send + Sync>,
    sockets: Open<Socket, String>,
    conversations: Open<Job, Bytes>,
    streams: Open<Job, ()>,
    idle: web_seed::Idle,
}

/// What is open, by its handle: where to put what is to be sent, and how to end it.
struct Open<K, T>(Mutex<HashMap<K, (mpsc::UnboundedSender<T>, AbortHandle)>>);

impl<K: Eq + Hash, T> Open<K, T> {
    fn new() -> Self {
        Self(Mutex::default())
    }

    fn with<R>(&self, look: impl FnOnce(&mut HashMap<K, (mpsc::UnboundedSender<T>, AbortHandle)>) -> R) -> R {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sends on an open one; gives the message back when there is none.
    fn send(&self, handle: &K, message: T) -> Option<T> {
        self.with(|open| match open.get(handle) {
            Some((sender, _)) => sender.send(message).err().map(|error| error.0),
            None => Some(message),
        })
    }

    /// Takes one out and ends its task.
    fn abort(&self, handle: &K) {
        self.with(|open| {
            if let Some((_, task)) = open.remove(handle) {
                task.abort();
            }
        });
    }

    /// Takes one out: its task ends when it has sent what it was given.
    fn remove(&self, handle: &K) {
        self.with(|open| open.remove(handle));
    }
}

impl Outside {
    /// Starts. To be called, and used, within a tokio runtime; `deliver` is called from its tasks.
    pub fn start(policy: Policy, deliver: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self {
            shared: Arc::new(Shared {
                policy,
                deliver: Box::new(deliver),
                sockets: Open::new(),
                conversations: Open::new(),
                streams: Open::new(),
                idle: web_seed::Idle::default(),
            }),
        }
    }

    /// Does an action: [`Action::Connect`], `Text`, `Disconnect`, `Fetch`, `Stream`, `Abort`, `Datagram` or `Hangup`. Others are passed over.
    pub fn perform(&self, action: Action) {
        match action {
            Action::Connect(socket, url) => self.connect(socket, url),
            Action::Text(socket, text) => drop(self.shared.sockets.send(&socket, text)),
            Action::Disconnect(socket) => self.shared.sockets.remove(&socket),
            Action::Fetch { job, url, limit } => {
                let shared = Arc::clone(&self.shared);
                tokio::spawn(async move {
                    let body = fetch::fetch(&shared.policy, &url, limit).await;
                    (shared.deliver)(Event::Fetched(job, body));
                });
            }
            Action::Stream {
                job,
                url,
                start,
                length,
            } => self.stream(job, web_seed::Wanted { url, start, length }),
            Action::Abort(job) => self.shared.streams.abort(&job),
            Action::Datagram(job, to, data) => {
                if let Some(data) = self.shared.conversations.send(&job, data) {
                    self.converse(job, to, data);
                }
            }
            Action::Hangup(job) => self.shared.conversations.abort(&job),
            _ => {}
        }
    }

    fn connect(&self, socket: Socket, url: String) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let shared = Arc::clone(&self.shared);
        self.shared.sockets.with(|open| {
            let task = tokio::spawn(async move {
                let ended = websocket::run(&shared.policy, &url, receiver, |message| {
                    (shared.deliver)(match message {
                        websocket::Message::Open => Event::Connected(socket),
                        websocket::Message::Text(text) => Event::Text(socket, text),
                    });
                });
                if let Err(reason) = ended.await {
                    shared.sockets.remove(&socket);
                    (shared.deliver)(Event::Disconnected(socket, reason));
                }
            });
            open.insert(socket, (sender, task.abort_handle()));
        });
    }

    fn stream(&self, job: Job, wanted: web_seed::Wanted) {
        // Nothing is ever sent to it.
        let (sender, _) = mpsc::unbounded_channel();
        let shared = Arc::clone(&self.shared);
        self.shared.streams.with(|open| {
            let task = tokio::spawn(async move {
                let receive = |data| (shared.deliver)(Event::Streamed(job, data));
                let ended = web_seed::stream(&shared.policy, &shared.idle, &wanted, receive).await;
                shared.streams.remove(&job);
                (shared.deliver)(Event::StreamEnded(job, ended));
            });
            open.insert(job, (sender, task.abort_handle()));
        });
    }

    fn converse(&self, job: Job, to: String, first: Bytes) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let shared = Arc::clone(&self.shared);
        // The receiver is alive: it goes into the task below.
        let _ = sender.send(first);
        self.shared.conversations.with(|open| {
            let task = tokio::spawn(async move {
                let receive = |family, data| (shared.deliver)(Event::Datagram(job, Ok((family, data))));
                if let Err(reason) = datagram::run(&shared.policy, &to, receiver, receive).await {
                    shared.conversations.remove(&job);
                    (shared.deliver)(Event::Datagram(job, Err(reason)));
                }
            });
            open.insert(job, (sender, task.abort_handle()));
        });
    }
}

/// Ends every conversation; nothing is delivered any more.
impl Drop for Outside {
    fn drop(&mut self) {
        self.shared
            .sockets
            .with(|open| open.drain().for_each(|(_, (_, task))| task.abort()));
        self.shared
            .conversations
            .with(|open| open.drain().for_each(|(_, (_, task))| task.abort()));
        self.shared
            .streams
            .with(|open| open.drain().for_each(|(_, (_, task))| task.abort()));
    }
}
