//! Takes the HTTP port's connections, and answers by itself what nearly all of them ask: one announce.
//!
//! Under load such a connection costs four system calls, and no task, timer or allocation of its own: when it is taken, its first bytes
//! have come; they are read and answered, and the connection is closed. Where they are still on their way it is given a task, and what
//! is asked there that is no announce or scrape goes to [`http`](super::http), the bytes that were read first.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use rustix::net::{RecvFlags, SendFlags, SocketFlags, acceptfrom_with, getsockname, recv, send};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, Interest, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tombolo_core::tracker::http::{Asked, Head, MAX_HEAD};
use tombolo_core::tracker::registry::Answer;

use super::guard::Ends;
use super::http::HEAD;
use super::{Relay, http, tracker};
use crate::stream::Stream;

/// What one read takes in: an announce has some 600 bytes.
const READ: usize = 4 << 10;

/// Connections after which others on this thread have their turn.
const TURN: usize = 64;

/// How long to wait where there are no file handles, most likely: others must close first.
const FULL: Duration = Duration::from_millis(50);

/// The answer's head, but for its length and how the connection goes on.
const REPLY: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=utf-8\r\ncache-control: no-store\r\n\
    x-content-type-options: nosniff\r\naccess-control-allow-origin: *\r\n";

/// What is kept from one answer to the next.
#[derive(Default)]
struct Desk {
    answer: Answer,
    body: Vec<u8>,
    output: Vec<u8>,
}

impl Desk {
    /// Puts the answer to the output.
    fn answer(&mut self, relay: &Relay, ends: Ends, asked: &Asked<'_>) {
        let Self { answer, body, output } = self;
        body.clear();
        tracker::http::answer(relay, ends, (asked.kind, asked.passkey), asked.query, (answer, body));
        output.extend_from_slice(REPLY);
        if !asked.keep {
            output.extend_from_slice(b"connection: close\r\n");
        }
        output.extend_from_slice(b"content-length: ");
        output.extend_from_slice(body.len().to_string().as_bytes());
        output.extend_from_slice(b"\r\n\r\n");
        output.extend_from_slice(body);
    }
}

/// Takes connections for ever.
pub(super) async fn listen(relay: Arc<Relay>, listener: TcpListener) {
    let Ok(local) = listener.local_addr() else { return };
    // Tokio's listener makes a stream of each connection, which costs more than to answer it. As a stream itself, it can be waited for.
    let listener = listener.into_std().map(|listener| OwnedFd::from(listener).into());
    let Ok(listener) = listener.and_then(TcpStream::from_std) else {
        return;
    };
    let mut desk = Desk::default();
    loop {
        if listener.readable().await.is_err() {
            continue;
        }
        for _ in 0..TURN {
            match listener.try_io(Interest::READABLE, || accept(&listener)) {
                Ok((stream, remote)) => take(&relay, stream, Ends { local, remote }, &mut desk),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => tokio::time::sleep(FULL).await,
            }
        }
        tokio::task::yield_now().await;
    }
}

fn accept(listener: &impl AsFd) -> io::Result<(OwnedFd, SocketAddr)> {
    let (stream, remote) = acceptfrom_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC)?;
    let remote = remote.and_then(|remote| SocketAddr::try_from(remote).ok());
    Ok((stream, remote.ok_or(io::ErrorKind::InvalidInput)?))
}

/// Answers a connection at once if it asks for one answer and has done so, else gives it a task.
fn take(relay: &Arc<Relay>, stream: OwnedFd, mut ends: Ends, desk: &mut Desk) {
    let Some(pass) = relay.gate.enter(ends.remote.ip(), relay.settings.limits) else {
        return;
    };
    if ends.local.ip().is_unspecified() {
        let Some(local) = getsockname(&stream).ok().and_then(|local| local.try_into().ok()) else {
            return;
        };
        ends.local = local;
    }
    let mut input = [0; READ];
    let mut first = &[][..];
    if relay.settings.tls.is_none() {
        first = match recv(&stream, &mut input, RecvFlags::empty()) {
            Ok((0, _)) => return,
            Ok((length, _)) => input.get(..length).unwrap_or_default(),
            Err(_) => first,
        };
        if let Head::Asked(asked) = Head::read(first)
            && !asked.keep
            && asked.length == first.len()
        {
            desk.output.clear();
            desk.answer(relay, ends, &asked);
            // A fresh connection takes it whole, or is of no use.
            let _ = send(&stream, &desk.output, SendFlags::NOSIGNAL);
            return;
        }
    }
    let first = Bytes::copy_from_slice(first);
    if let Ok(stream) = TcpStream::from_std(stream.into()) {
        tokio::spawn(http::connection(relay.clone(), stream, ends, pass, first));
    }
}

/// Answers what tracker clients ask, until a connection ends, or asks for something else: that is given back.
pub(super) async fn serve(relay: &Relay, mut stream: Stream, ends: Ends, first: Bytes) -> Option<Begun> {
    let mut input = BytesMut::from(first);
    let mut desk = Desk::default();
    loop {
        desk.output.clear();
        let (mut other, mut keep) = (false, true);
        while keep && !other {
            match Head::read(&input) {
                Head::Asked(asked) => {
                    desk.answer(relay, ends, &asked);
                    keep = asked.keep;
                    let length = asked.length;
                    input.advance(length);
                }
                Head::Other => other = true,
                Head::Partial => break,
            }
        }
        if !desk.output.is_empty() {
            tokio::time::timeout(HEAD, stream.write_all(&desk.output))
                .await
                .ok()?
                .ok()?;
        }
        if !keep {
            let _ = stream.shutdown().await;
            return None;
        }
        if other {
            return Some(Begun {
                first: input.freeze(),
                stream,
            });
        }
        more(&mut stream, &mut input).await?;
    }
}

/// Waits until more has come of what is asked next, or enough of it.
async fn more(stream: &mut Stream, input: &mut BytesMut) -> Option<()> {
    let whole = async {
        loop {
            input.reserve(READ);
            if stream.read_buf(input).await.ok()? == 0 {
                return None;
            }
            if Head::read(input) != Head::Partial || input.len() >= MAX_HEAD {
                return Some(());
            }
        }
    };
    tokio::time::timeout(HEAD, whole).await.ok()?
}

/// A connection of which the first bytes have been read.
pub(super) struct Begun {
    first: Bytes,
    stream: Stream,
}

impl Begun {
    /// The connection, and what is left of the first bytes.
    pub(super) fn into_parts(self) -> (Stream, Bytes) {
        (self.stream, self.first)
    }
}

impl AsyncRead for Begun {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.first.is_empty() {
            return Pin::new(&mut this.stream).poll_read(cx, buffer);
        }
        let length = this.first.len().min(buffer.remaining());
        buffer.put_slice(&this.first.split_to(length));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Begun {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
