//! `/wire`: the BEP 3 byte stream in binary WebSocket messages, between the relay and its own tabs.
//!
//! The tab speaks first; its handshake names the swarm. A refused one is told by a close code. After the handshake the socket goes to
//! the torrent's shard, and nothing but the framing lies between it and the session. What goes down may go another way, see
//! [`down`](super::down).

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tombolo_core::key::SwarmKey;

use super::Relay;
use super::bridge::Refusal;
use super::down::{Outlet, Split};
use super::websocket::frame::{self, Decoder, Part, opcode};
use crate::shard::{Carrier, Fresh, Place, answer};
use crate::stream::Stream;

/// The policy refuses the info-hash.
const REFUSED: u16 = 4403;

/// There is no way to find peers of the info-hash.
const NO_PEERS: u16 = 4404;

/// How long the other end may take to close after us.
const LINGER: Duration = Duration::from_secs(2);

/// A message may be as long as it likes: it is a part of a stream, and never held.
const LIMIT: u64 = u64::MAX;

/// A `/wire` socket before its handshake.
pub(crate) struct Wire {
    pub(crate) stream: Stream,
    pub(crate) decoder: Decoder,
    input: BytesMut,
    /// Where the tab wants what goes down, if not here.
    down: Option<Outlet>,
}

impl Wire {
    /// A socket after its upgrade, with what was read beyond it.
    pub(crate) fn new(stream: Stream, read: &Bytes, down: Option<Outlet>) -> Self {
        Self {
            down,
            stream,
            decoder: Decoder::new(LIMIT),
            input: BytesMut::from(&read[..]),
        }
    }

    /// The next bytes of the stream that are here already.
    fn decoded(&mut self) -> io::Result<(Bytes, Vec<Bytes>)> {
        let (mut data, mut replies) = (BytesMut::new(), Vec::new());
        loop {
            match self.decoder.next(&mut self.input) {
                Ok(None) => return Ok((data.freeze(), replies)),
                Ok(Some(Part::Data { data: part, .. })) => data.extend_from_slice(&part),
                Ok(Some(Part::Ping(payload))) => replies.push(frame::message(opcode::PONG, &payload)),
                Ok(Some(Part::Pong)) => {}
                Ok(Some(Part::Close(_))) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Err(fault) => return Err(io::Error::new(io::ErrorKind::InvalidData, fault.reason())),
            }
        }
    }

    /// Closes with a code, and waits a moment for the other end to do the same: unread bytes would take the code with them.
    async fn close(mut self, code: u16, reason: &str) {
        let closing = async {
            self.stream.write_all(&frame::close(code, reason)).await?;
            self.stream.shutdown().await?;
            let mut rest = [0; 4096];
            while self.stream.read(&mut rest).await? > 0 {}
            io::Result::Ok(())
        };
        // Closed either way.
        let _ = tokio::time::timeout(LINGER, closing).await;
    }
}

impl Fresh for Wire {
    async fn receive(&mut self) -> io::Result<Bytes> {
        loop {
            let (data, replies) = self.decoded()?;
            for reply in replies {
                self.stream.write_all(&reply).await?;
            }
            if !data.is_empty() {
                return Ok(data);
            }
            if self.stream.read_buf(&mut self.input).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    async fn send(&mut self, bytes: Bytes) -> io::Result<()> {
        if let Some(down) = &self.down {
            return down.send(bytes).await.map_err(|_| io::ErrorKind::BrokenPipe.into());
        }
        self.stream.write_all(&frame::message(opcode::BINARY, &bytes)).await
    }
}

/// Serves a `/wire` socket until it is handed to its shard, or closed.
pub(crate) async fn serve(relay: Arc<Relay>, mut wire: Wire, address: SocketAddr, place: Place) {
    let mut refusal = None;
    let admit = |swarm: SwarmKey| match relay.bridge.admit(swarm, || relay.tracker.natives(swarm)) {
        Ok(_) => relay.shards.answers_as(swarm),
        Err(reason) => {
            refusal = Some(reason);
            None
        }
    };
    let greeting = match (answer(&mut wire, admit).await, refusal) {
        (Ok(greeting), _) => greeting,
        (Err(_), Some(Refusal::NoPeers)) => return wire.close(NO_PEERS, Refusal::NoPeers.message()).await,
        (Err(_), Some(reason)) => return wire.close(REFUSED, reason.message()).await,
        (Err(error), None) => return wire.close(1002, &error.to_string()).await,
    };
    let Wire {
        stream, decoder, down, ..
    } = wire;
    let carrier = match (down, stream) {
        (Some(down), stream) => Ok(Carrier::Split(Box::new(Split::new(stream, down)), decoder)),
        (None, Stream::Plain(stream)) => stream.into_std().map(|stream| Carrier::Wire(stream, decoder)),
        (None, Stream::Tls(stream)) => Ok(Carrier::Secure(stream, decoder)),
    };
    if let Ok(carrier) = carrier {
        relay.shards.arrive(greeting, carrier, Some(address), Some(place));
    }
}
