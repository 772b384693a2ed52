//! The handshake on a new connection, in and out (BEP 3), over whatever carries it: drives the core's [`Door`], and before it
//! the handshake that hides it ([`mse`]) where the policy wants it.
//!
//! What came after the handshake goes to the session with it; nothing is read twice. A connection that does not finish its
//! handshake in [`PATIENCE`] is dropped.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tombolo_core::door::{Door, Greeting, Progress};
use tombolo_core::key::{PeerId, SwarmKey};
use tombolo_core::mse::{self, Alias, Ciphers, Handshake, Policy};

use crate::rtc::Channel;
use crate::udp::UtpStream;

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
    /// Whether there is a node of the DHT here, as peers are told (BEP 5).
    pub(crate) dht: bool,
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

impl Fresh for UtpStream {
    async fn receive(&mut self) -> io::Result<Bytes> {
        let received = std::future::poll_fn(|context| Self::poll_receive(self, context)).await?;
        if received.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(received.freeze())
    }

    async fn send(&mut self, bytes: Bytes) -> io::Result<()> {
        let mut queue = VecDeque::from([bytes]);
        while queue.iter().any(|bytes| !bytes.is_empty()) {
            std::future::poll_fn(|context| Self::poll_send(self, context, &mut queue)).await?;
        }
        Ok(())
    }
}

/// A connection past the hidden handshake, or one of which some bytes were read already.
struct Begun<'a, F> {
    fresh: &'a mut F,
    /// What was read and not looked at, decrypted.
    read: Bytes,
    ciphers: Option<Ciphers>,
}

impl<F: Fresh> Fresh for Begun<'_, F> {
    async fn receive(&mut self) -> io::Result<Bytes> {
        if !self.read.is_empty() {
            return Ok(std::mem::take(&mut self.read));
        }
        let received = self.fresh.receive().await?;
        let Some(ciphers) = &mut self.ciphers else {
            return Ok(received);
        };
        let mut received = BytesMut::from(received);
        ciphers.receive.apply(&mut received);
        Ok(received.freeze())
    }

    async fn send(&mut self, bytes: Bytes) -> io::Result<()> {
        let Some(ciphers) = &mut self.ciphers else {
            return self.fresh.send(bytes).await;
        };
        let mut bytes = BytesMut::from(bytes);
        ciphers.send.apply(&mut bytes);
        self.fresh.send(bytes.freeze()).await
    }
}

/// As [`knock`], with the hidden handshake before it; and the ciphers that were agreed on.
///
/// # Errors
/// As of [`knock`], or the peer does not know the hidden handshake.
pub(crate) async fn knock_hidden(
    fresh: &mut impl Fresh,
    policy: Policy,
    swarm: SwarmKey,
    local: Local,
) -> io::Result<(Greeting, Option<Ciphers>)> {
    let mut door = outgoing(swarm, local);
    let first = door.take_output().unwrap_or_default();
    let handshake = Handshake::outgoing(policy, swarm, first, &entropy()?);
    let knocking = async {
        let mut begun = hide(fresh, handshake, Bytes::new(), |_| Some(swarm)).await?;
        let greeting = pass(&mut begun, door, |_| Some(local)).await?;
        Ok((greeting, begun.ciphers))
    };
    within_patience(knocking).await
}

/// As [`answer`], for a peer that may hide its handshake; and the ciphers that were agreed on. `named` gives the swarm of an alias.
///
/// # Errors
/// As of [`answer`], or the policy forbids the way in which it begins.
pub(crate) async fn answer_any(
    fresh: &mut impl Fresh,
    policy: Policy,
    named: impl Fn(Alias) -> Option<SwarmKey> + Send,
    admit: impl FnMut(SwarmKey) -> Option<Local> + Send,
) -> io::Result<(Greeting, Option<Ciphers>)> {
    let answering = async {
        let mut begin = BytesMut::new();
        let hidden = loop {
            begin.extend_from_slice(&fresh.receive().await?);
            if let Some(hidden) = mse::is_hidden(&begin) {
                break hidden;
            }
        };
        if !policy.accepts(hidden) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let read = begin.freeze();
        let mut begun = if hidden {
            let handshake = Handshake::incoming(policy, &entropy()?);
            hide(fresh, handshake, read, named).await?
        } else {
            let ciphers = None;
            Begun { fresh, read, ciphers }
        };
        let greeting = pass(&mut begun, Door::incoming(), admit).await?;
        Ok((greeting, begun.ciphers))
    };
    within_patience(answering).await
}

/// The hidden handshake, of which `read` was read already.
async fn hide<F: Fresh>(
    fresh: &mut F,
    mut handshake: Handshake,
    mut read: Bytes,
    named: impl Fn(Alias) -> Option<SwarmKey> + Send,
) -> io::Result<Begun<'_, F>> {
    loop {
        let mut progress = handshake.receive(&read).map_err(io::Error::other)?;
        if let mse::Progress::Asked(alias) = progress {
            let swarm = named(alias).ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "an unknown torrent"))?;
            progress = handshake.admit(swarm).map_err(io::Error::other)?;
        }
        if let Some(output) = handshake.take_output() {
            fresh.send(output).await?;
        }
        if let mse::Progress::Open(ciphers, read) = progress {
            return Ok(Begun { fresh, read, ciphers });
        }
        read = fresh.receive().await?;
    }
}

fn entropy() -> io::Result<mse::Entropy> {
    let mut entropy = mse::Entropy::default();
    getrandom::fill(&mut entropy).map_err(io::Error::other)?;
    Ok(entropy)
}

/// Shakes hands on a connection that is for one swarm: we speak first.
///
/// # Errors
/// The connection breaks, or the peer speaks something else or of another swarm, or is ourselves, or takes too long.
pub(crate) async fn knock(fresh: &mut impl Fresh, swarm: SwarmKey, local: Local) -> io::Result<Greeting> {
    within_patience(pass(fresh, outgoing(swarm, local), |_| None)).await
}

fn outgoing(swarm: SwarmKey, local: Local) -> Door {
    let door = match local.v2 {
        Some(v2) => Door::outgoing_hybrid(swarm, v2, local.id),
        None => Door::outgoing(swarm, local.id),
    };
    door.with_dht(local.dht)
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
            door = door.with_dht(local.dht);
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
        Local {
            id,
            v2: None,
            dht: id.0[0] == 1,
        }
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
        assert!(here.reserved.dht() && !there.reserved.dht());
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
