//! A data channel as an ordered stream of bytes.
//!
//! Message boundaries mean nothing to the peer wire protocol, so many small frames travel in one message, up to what
//! the other end takes. Nothing is queued here: what does not fit below the window waits with the caller, and what is
//! not received waits in the stack, whose receive window then closes. Cost: one copy of what is sent.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use webrtc::data_channel::{DataChannel, DataChannelEvent};

use super::Error;
use super::connection::Connection;
use super::port::lock;
use super::window::Window;

/// How often a waiting sender looks again should the driver have stopped telling.
const LIVENESS: Duration = Duration::from_millis(100);

/// An open data channel. Dropping the last channel of a connection closes the connection.
pub struct Channel {
    data: Arc<dyn DataChannel>,
    connection: Arc<Connection>,
    window: Mutex<Window>,
    message: usize,
    closed: AtomicBool,
}

impl Channel {
    pub(super) fn new(data: Arc<dyn DataChannel>, connection: Arc<Connection>) -> Self {
        let window = Mutex::new(Window::new(connection.window()));
        let message = connection.message();
        connection.join();
        Self {
            data,
            connection,
            window,
            message,
            closed: AtomicBool::new(false),
        }
    }

    /// The next bytes, or None when either end has closed. Cancel safe; for one caller at a time.
    pub async fn recv(&self) -> Option<Bytes> {
        loop {
            let event = tokio::select! {
                event = self.data.poll() => event,
                () = self.connection.ended() => None,
            };
            match event? {
                DataChannelEvent::OnMessage(message) if message.data.is_empty() => {}
                DataChannelEvent::OnMessage(message) => {
                    // Taking it may open the receive window again.
                    self.connection.pulse().beat();
                    return Some(message.data.freeze());
                }
                DataChannelEvent::OnClose | DataChannelEvent::OnClosing | DataChannelEvent::OnError => return None,
                _ => {}
            }
        }
    }

    /// Waits until something may be sent and tells how many bytes fit, at least one.
    ///
    /// # Errors
    /// `Closed` when either end has closed.
    pub async fn writable(&self) -> Result<usize, Error> {
        loop {
            let progress = self.connection.pulse().round();
            let room = self.room().await?;
            if room > 0 {
                return Ok(room);
            }
            tokio::select! {
                () = progress => {}
                () = self.connection.ended() => return Err(Error::Closed),
                () = tokio::time::sleep(LIVENESS) => {}
            }
        }
    }

    /// Bytes that may be sent at once; 0 when what is under way fills the window.
    ///
    /// # Errors
    /// `Closed` when either end has closed.
    pub async fn room(&self) -> Result<usize, Error> {
        if self.closed.load(Ordering::Acquire) || self.connection.has_ended() {
            return Err(Error::Closed);
        }
        let outstanding = self.data.outstanding_bytes().await.map_err(|_| Error::Closed)?;
        Ok(lock(&self.window).room(Instant::now(), outstanding))
    }

    /// Sends frames in order, in as few messages as the other end's bound allows, waiting for room before each.
    ///
    /// Not cancel safe: dropped early, an unknown part has been sent.
    ///
    /// # Errors
    /// `Closed` when either end has closed.
    pub async fn send(&self, frames: Vec<Bytes>) -> Result<(), Error> {
        let mut left: usize = frames.iter().map(Bytes::len).sum();
        let mut frames = frames.into_iter();
        let mut frame = Bytes::new();
        while left > 0 {
            let length = self.writable().await?.min(left).min(self.message);
            let mut message = BytesMut::with_capacity(length);
            while message.len() < length {
                if frame.is_empty() {
                    let Some(next) = frames.next() else { break };
                    frame = next;
                }
                let part = frame.split_to(frame.len().min(length - message.len()));
                message.extend_from_slice(&part);
            }
            left -= length;
            lock(&self.window).sent(Instant::now(), length);
            self.data.send(message).await.map_err(|_| Error::Closed)?;
        }
        Ok(())
    }

    /// Largest message that the other end takes, as far as we make use of it.
    pub fn message(&self) -> usize {
        self.message
    }

    /// Where the peer sends from.
    pub fn remote_address(&self) -> Option<SocketAddr> {
        self.connection.remote_address()
    }

    #[cfg(test)]
    pub(super) fn inbox(&self) -> &super::port::Inbox {
        self.connection.inbox()
    }

    /// Closes this channel, and the connection when it was the last one.
    pub async fn close(&self) {
        if !self.closed.swap(true, Ordering::AcqRel) {
            let _ = self.data.close().await;
            self.connection.leave();
        }
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        if !self.closed.swap(true, Ordering::AcqRel) {
            self.connection.leave();
        }
    }
}
