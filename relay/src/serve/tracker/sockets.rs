//! The WebSockets of web peers, by number: where an offer or an answer for one of them is put.
//!
//! What a socket does not take in time is dropped with the message, never held: a slow reader costs at most [`QUEUE`] messages.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use bytes::Bytes;
use tokio::sync::mpsc::{self, Receiver, Sender};

/// Messages that wait for one socket: the offers of some announces.
const QUEUE: usize = 128;

/// All sockets.
#[derive(Default)]
pub(super) struct Sockets {
    open: RwLock<HashMap<u64, Sender<Bytes>>>,
}

impl Sockets {
    /// Enters a socket; what is put to it comes out of the receiver.
    pub(super) fn open(&self, connection: u64) -> Receiver<Bytes> {
        let (sender, receiver) = mpsc::channel(QUEUE);
        self.open
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(connection, sender);
        receiver
    }

    /// Takes a socket out.
    pub(super) fn close(&self, connection: u64) {
        self.open
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&connection);
    }

    /// Puts a frame to a socket. False: it is gone or does not keep up.
    pub(super) fn put(&self, connection: u64, frame: Bytes) -> bool {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        open.get(&connection)
            .is_some_and(|sender| sender.try_send(frame).is_ok())
    }
}
