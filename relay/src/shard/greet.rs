//! The handshake on a new connection, in and out (BEP 3), over whatever carries it: drives the core's [`Door`].
//!
//! What came after the handshake goes to the session with it; nothing is read twice. A connection that does not finish its
//! handshake in [`PATIENCE`] is dropped.

use std::future::Future;
use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tombolo_core::door::{Door, Greeting, Progress};
use tombolo_core::key::{PeerId, SwarmKey};

use crate::rtc::Channel;

/// How long a handshake may take, from the connection to its last byte.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// What one read of a handshake takes in: it, and the bitfield of a small torrent.
const READ: usize = 4096;

/// Who we are to a peer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Local {
    /// Our name.
    pub(crate) id: PeerId,
    /// The v2 name of the swarm, where it is a hybrid's: peers that speak v2 are told it (BEP 52).
    pub(crate) v2: Option<SwarmKey>,
}

/// A connection on which no handshake has been yet.
pub(crate) trait Fresh: Send {
    /// The next bytes. An end is an error.
    fn receive(&mut self) -> impl Future<Output = io::Result<Bytes>> + Send;
    /// Sends all of it.
    fn send(&mut self, bytes: Bytes) -> impl Future<Output = io::Result<()>> + Send;
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Fresh for S {
    async fn receive(&mut self) -> io::Result<Bytes> {
        let mut buffer = BytesMut::with_capacity(READ);
        match self.read_buf(&mut buffer).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(buffer.freeze()),
        }
    }

    async fn send(&mut self, bytes: Bytes) -> io::Result<()> {
        self.write_all(&bytes).await?;
        self.flush().await
    }
}

/// A data channel before its handshake.
pub(crate) struct FreshChannel<'a>(pub(crate) &'a Channel);

impl Fresh for FreshChannel<'_> {
    async fn receive(&mut self) -> io::Result<Bytes> {
        self.0.recv().await.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    async fn send(&mut self, bytes: Bytes) -> io::Result<()> {
        self.0.send(vec![bytes]).await.map_err(io::Error::other)
    }
}

/// Shakes hands on a connection that is for one swarm: we speak first.
///
/// # Errors
/// The connection breaks, or the peer speaks something else or of another swarm, or is ourselves, or takes too long.
pub(crate) async fn knock(fresh: &mut impl Fresh, swarm: SwarmKey, local: Local) -> io::Result<Greeting> {
    let door = match local.v2 {
        Some(v2) => Door::outgoing_hybrid(swarm, v2, local.id),
        None => Door::outgoing(swarm, local.id),
    };
    within_patience(pass(fresh, door, |_| None)).await
}

/// Shakes hands with a peer that names the swarm. `admit` says who we are there, or `None` to refuse.
///
/// # Errors
/// As of [`knock`], or it is refused.
pub(crate) async fn answer(
    fresh: &mut impl Fresh,
    admit: impl FnMut(SwarmKey) -> Option<Local> + Send,
) -> io::Result<Greeting> {
    within_patience(pass(fresh, Door::incoming(), admit)).await
}

async fn within_patience<T>(shaking: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(PATIENCE, shaking)
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

async fn pass(
    fresh: &mut impl Fresh,
    mut door: Door,
    mut admit: impl FnMut(SwarmKey) -> Option<Local> + Send,
) -> io::Result<Greeting> {
    loop {
        if let Some(output) = door.take_output() {
            fresh.send(output).await?;
        }
        let received = fresh.receive().await?;
        let mut progress = door.receive(received).map_err(io::Error::other)?;
        if let Progress::Asked(swarm) = progress {
            let local = admit(swarm).ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "an unknown torrent"))?;
            progress = door.admit_hybrid(local.id, local.v2).map_err(io::Error::other)?;
        }
        if let Progress::Open(greeting) = progress {
            if let Some(output) = door.take_output() {
                fresh.send(output).await?;
            }
            return Ok(greeting);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SWARM: SwarmKey = SwarmKey([5; 20]);

    const fn named(id: u8) -> Local {
        let id = PeerId([id; 20]);
        Local { id, v2: None }
    }

    #[tokio::test]
    async fn two_ends_find_each_other_and_lose_no_byte() {
        let (mut left, mut right) = tokio::io::duplex(30);
        let outgoing = async {
            let greeting = knock(&mut left, SWARM, named(1)).await.unwrap();
            left.write_all(b"more").await.unwrap();
            greeting
        };
        let incoming = async {
            let greeting = answer(&mut right, |swarm| (swarm == SWARM).then_some(named(2)))
                .await
                .unwrap();
            let mut more = greeting.rest.to_vec();
            while more.len() < 4 {
                more.push(right.read_u8().await.unwrap());
            }
            assert_eq!(more, b"more");
            greeting
        };
        let (there, here) = tokio::join!(outgoing, incoming);
        assert_eq!(there.peer_id, PeerId([2; 20]));
        assert_eq!((here.peer_id, here.swarm), (PeerId([1; 20]), SWARM));
    }

    #[tokio::test]
    async fn an_unknown_swarm_and_another_protocol_are_refused_unanswered() {
        let hello = Door::outgoing(SWARM, PeerId([1; 20])).take_output().unwrap();
        for sent in [hello, Bytes::from_static(b"GET / HTTP/1.1\r\n")] {
            let (mut left, mut right) = tokio::io::duplex(100);
            left.write_all(&sent).await.unwrap();
            assert!(answer(&mut right, |_| None).await.is_err());
            drop(right);
            let mut reply = Vec::new();
            left.read_to_end(&mut reply).await.unwrap();
            assert!(reply.is_empty());
        }
    }
}
