//! What carries the bytes of a link: a socket, a uTP connection, and either of them encrypted.
//!
//! Invariant: nothing is copied that need not be. A socket reads into the shard's buffers and writes from the session's own slices;
//! encryption works in place on what is received and copies what is sent, since blocks are shared.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::io::poll_read_buf;
use tombolo_core::mse::Ciphers;

use super::buffers::Buffers;
use crate::udp::UtpStream;

/// Slices of one vectored write: a batch of 16 blocks is 32 and more.
const SLICES: usize = 64;

/// Bytes encrypted at once.
const ENCRYPTED: usize = 64 << 10;

/// A stream of bytes to a peer.
pub(crate) trait Stream: Unpin {
    /// The next bytes; none: the stream is over.
    fn poll_receive(&mut self, context: &mut Context<'_>, buffers: &mut Buffers) -> Poll<io::Result<BytesMut>>;
    /// Takes bytes from the front of `queue`, which is not empty; how many.
    fn poll_send(&mut self, context: &mut Context<'_>, queue: &mut VecDeque<Bytes>) -> Poll<io::Result<usize>>;
    /// Ready when nothing that was taken waits in the stream itself.
    fn poll_sent(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>>;
    /// Says that nothing more is sent.
    fn poll_close(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>>;
}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {
    fn poll_receive(&mut self, context: &mut Context<'_>, buffers: &mut Buffers) -> Poll<io::Result<BytesMut>> {
        Poll::Ready(match ready!(poll_read_buf(Pin::new(self), context, buffers.room())) {
            Ok(0) => Ok(BytesMut::new()),
            Ok(_) => Ok(buffers.take()),
            Err(error) => Err(error),
        })
    }

    fn poll_send(&mut self, context: &mut Context<'_>, queue: &mut VecDeque<Bytes>) -> Poll<io::Result<usize>> {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let count = queue
            .iter()
            .zip(&mut slices)
            .map(|(bytes, slice)| *slice = IoSlice::new(bytes))
            .count();
        let written = ready!(Pin::new(self).poll_write_vectored(context, &slices[..count]))?;
        drop_front(queue, written);
        Poll::Ready(Ok(written))
    }

    /// A TLS stream keeps written bytes until it is flushed.
    fn poll_sent(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self).poll_flush(context)
    }

    fn poll_close(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self).poll_shutdown(context)
    }
}

impl Stream for UtpStream {
    fn poll_receive(&mut self, context: &mut Context<'_>, _: &mut Buffers) -> Poll<io::Result<BytesMut>> {
        Self::poll_receive(self, context)
    }

    fn poll_send(&mut self, context: &mut Context<'_>, queue: &mut VecDeque<Bytes>) -> Poll<io::Result<usize>> {
        Self::poll_send(self, context, queue)
    }

    fn poll_sent(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.finish();
        Poll::Ready(Ok(()))
    }
}

/// A stream that is encrypted both ways.
pub(crate) struct Encrypted<S> {
    stream: S,
    ciphers: Ciphers,
    /// What is encrypted and not sent.
    waiting: VecDeque<Bytes>,
}

impl<S> Encrypted<S> {
    pub(crate) const fn new(stream: S, ciphers: Ciphers) -> Self {
        Self {
            stream,
            ciphers,
            waiting: VecDeque::new(),
        }
    }
}

impl<S: Stream> Encrypted<S> {
    /// Sends what waits.
    fn poll_waiting(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.waiting.is_empty() {
            if ready!(self.stream.poll_send(context, &mut self.waiting))? == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: Stream> Stream for Encrypted<S> {
    fn poll_receive(&mut self, context: &mut Context<'_>, buffers: &mut Buffers) -> Poll<io::Result<BytesMut>> {
        let mut data = ready!(self.stream.poll_receive(context, buffers))?;
        self.ciphers.receive.apply(&mut data);
        Poll::Ready(Ok(data))
    }

    fn poll_send(&mut self, context: &mut Context<'_>, queue: &mut VecDeque<Bytes>) -> Poll<io::Result<usize>> {
        ready!(self.poll_waiting(context))?;
        let length = queue.iter().map(Bytes::len).sum::<usize>().min(ENCRYPTED);
        let mut encrypted = BytesMut::with_capacity(length);
        for bytes in queue.iter() {
            let part = bytes.len().min(length - encrypted.len());
            encrypted.extend_from_slice(&bytes[..part]);
        }
        drop_front(queue, length);
        self.ciphers.send.apply(&mut encrypted);
        self.waiting.push_back(encrypted.freeze());
        // What the stream does not take now waits here.
        match self.poll_waiting(context) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            _ => Poll::Ready(Ok(length)),
        }
    }

    fn poll_sent(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_waiting(context))?;
        self.stream.poll_sent(context)
    }

    fn poll_close(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_waiting(context))?;
        self.stream.poll_close(context)
    }
}

/// Takes bytes off the front of a queue.
fn drop_front(queue: &mut VecDeque<Bytes>, mut count: usize) {
    while let Some(first) = queue.front_mut() {
        if first.len() > count {
            first.advance(count);
            return;
        }
        count -= first.len();
        queue.pop_front();
    }
}
