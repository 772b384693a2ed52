//! The way down of a `/wire` as the body of a GET. Browsers read a body several times as fast as WebSocket messages.
//!
//! The tab chooses a token and asks for both at once: the WebSocket `/wire?down=TOKEN`, whose messages then only go up, and
//! `GET /wire?down=TOKEN`. Whichever comes first waits for the other for [`PATIENCE`]. Invariant: at most [`WAITING`] wait.

use std::collections::HashMap;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::StatusCode;
use hyper::header::{HeaderName, HeaderValue};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::PollSender;

use super::reply::{self, Body, Reply};
use super::websocket::frame;
use crate::stream::Stream;

/// How long one half waits for the other.
const PATIENCE: Duration = Duration::from_secs(5);

/// Halves that wait at a time. More are turned away: they go on without.
const WAITING: usize = 4096;

/// Parts that wait for the browser to take them: one more than it is taking, so that it never waits for us.
const DEPTH: usize = 2;

/// The longest token, in bytes.
const TOKEN: usize = 64;

/// Where the bytes of a body are put.
pub(crate) type Outlet = mpsc::Sender<Bytes>;

enum Half {
    Body(Outlet),
    Socket(oneshot::Sender<Outlet>),
}

/// Halves that wait for each other.
pub(crate) struct Downs {
    waiting: Mutex<HashMap<String, Half>>,
    patience: Duration,
}

impl Default for Downs {
    fn default() -> Self {
        Self::patient(PATIENCE)
    }
}

impl Downs {
    fn patient(patience: Duration) -> Self {
        Self {
            waiting: Mutex::default(),
            patience,
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Half>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers the GET of that token with a body that ends when its socket does, or when none comes.
    pub(crate) fn open(self: &Arc<Self>, token: &str) -> Reply {
        let (outlet, body) = mpsc::channel(DEPTH);
        self.join(token, outlet);
        let mut reply = reply::reply(StatusCode::OK, "application/octet-stream", Bytes::new());
        // A proxy that gathers the body before it passes it on would hold everything up.
        let headers = reply.headers_mut();
        headers.insert(
            HeaderName::from_static("x-accel-buffering"),
            HeaderValue::from_static("no"),
        );
        *reply.body_mut() = Body::Stream(body);
        reply
    }

    /// Gives a body to its socket, or has it wait for one. Looked up and entered under one lock, or each half could miss the other.
    fn join(self: &Arc<Self>, token: &str, outlet: Outlet) {
        let mut waiting = self.lock();
        match waiting.remove(token) {
            // It may have given up just now: then the body ends.
            Some(Half::Socket(socket)) => drop(socket.send(outlet)),
            // One token is one body: the first of two loses its place.
            Some(Half::Body(_)) | None if waiting.len() < WAITING => {
                waiting.insert(token.to_owned(), Half::Body(outlet));
                let (downs, token) = (self.clone(), token.to_owned());
                tokio::spawn(async move {
                    tokio::time::sleep(downs.patience).await;
                    downs.lock().remove(&token);
                });
            }
            _ => {}
        }
    }

    /// The body of that token, once it is asked for; `None` if it is not in time.
    pub(crate) async fn claim(&self, token: &str) -> Option<Outlet> {
        let outlet = {
            let mut waiting = self.lock();
            match waiting.remove(token) {
                Some(Half::Body(outlet)) => return Some(outlet),
                _ if waiting.len() >= WAITING => return None,
                _ => {
                    let (socket, outlet) = oneshot::channel();
                    waiting.insert(token.to_owned(), Half::Socket(socket));
                    outlet
                }
            }
        };
        let outlet = tokio::time::timeout(self.patience, outlet).await;
        if outlet.is_err() {
            self.lock().remove(token);
        }
        outlet.ok()?.ok()
    }
}

/// The token of a query; `None` if it asks for no way down of its own.
pub(crate) fn token(query: Option<&str>) -> Option<&str> {
    let mut fields = query?.split('&');
    let token = fields.find_map(|field| field.strip_prefix("down="))?;
    (!token.is_empty() && token.len() <= TOKEN).then_some(token)
}

/// A `/wire` whose way up is a WebSocket and whose way down is a body.
pub(crate) struct Split {
    up: Stream,
    down: PollSender<Bytes>,
}

impl Split {
    /// Puts the halves together.
    pub(crate) fn new(up: Stream, down: Outlet) -> Self {
        let down = PollSender::new(down);
        Self { up, down }
    }
}

impl AsyncRead for Split {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().up).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Split {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    /// Takes all of it as one part.
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let down = &mut self.get_mut().down;
        let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        ready!(down.poll_reserve(cx)).map_err(gone)?;
        let mut part = BytesMut::with_capacity(slices.iter().map(|slice| slice.len()).sum());
        slices.iter().for_each(|slice| part.extend_from_slice(slice));
        let length = part.len();
        down.send_item(part.freeze()).map_err(gone)?;
        Poll::Ready(Ok(length))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Ends the body, and closes the socket.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.down.is_closed() {
            this.down.close();
            // Lost only where the socket is full, and then its end says the same.
            let _ = Pin::new(&mut this.up).poll_write(cx, &frame::close(1000, ""));
        }
        Pin::new(&mut this.up).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_may_name_a_token() {
        let long = format!("down={}", "x".repeat(TOKEN + 1));
        for (query, expected) in [
            (None, None),
            (Some(""), None),
            (Some("up=1"), None),
            (Some("down="), None),
            (Some(long.as_str()), None),
            (Some("a=b&down=cafe&c"), Some("cafe")),
        ] {
            assert_eq!(token(query), expected, "{query:?}");
        }
    }

    #[tokio::test]
    async fn whichever_half_comes_first_waits_for_the_other() {
        let downs = Arc::new(Downs::default());
        let _body = downs.open("one");
        assert!(downs.claim("one").await.is_some());
        let claim = tokio::spawn({
            let downs = downs.clone();
            async move { downs.claim("two").await.is_some() }
        });
        tokio::task::yield_now().await;
        let _body = downs.open("two");
        assert!(claim.await.unwrap());
        assert!(downs.lock().is_empty());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn halves_that_come_together_never_miss_each_other() {
        let downs = Arc::new(Downs::patient(Duration::from_secs(60)));
        for round in 0..2_000 {
            let token = round.to_string();
            let (one, other) = (downs.clone(), downs.clone());
            let (named, claimed) = (token.clone(), token);
            let body = tokio::spawn(async move { one.open(&named) });
            let socket = tokio::spawn(async move { other.claim(&claimed).await });
            let _body = body.await.unwrap();
            assert!(socket.await.unwrap().is_some(), "round {round}");
        }
    }

    #[tokio::test]
    async fn a_half_whose_other_does_not_come_is_forgotten() {
        let downs = Arc::new(Downs::patient(Duration::from_millis(5)));
        let mut reply = downs.open("one");
        let Body::Stream(body) = reply.body_mut() else {
            panic!("a body in memory")
        };
        assert_eq!(body.recv().await, None);
        assert!(downs.claim("two").await.is_none());
        assert!(downs.lock().is_empty());
    }
}
