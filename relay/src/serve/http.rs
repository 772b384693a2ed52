//! The HTTP port: sends each request to what answers it.
//!
//! Cost: an idle connection is one file handle and some 10 KiB; slow ones are cut off by time, greedy addresses by number.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE,
    HeaderValue, ORIGIN, VARY,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tombolo_core::tracker::http::{Kind, path_asks};
use tombolo_core::tracker::registry::Answer;

use super::guard::{Ends, Pass};
use super::quick::{self, Begun};
use super::reply::{self, Reply};
use super::websocket::handshake;
use super::wire::{self, Wire};
use super::{Relay, api, down, stats, tracker};
use crate::stream::Stream;

/// How long the head of a request may take.
pub(super) const HEAD: Duration = Duration::from_secs(10);

/// The longest head of a request that is read: an announce has less than 2 KiB.
const MAX_HEAD: usize = 32 << 10;

/// Connections that wait for us to accept them.
pub(crate) const BACKLOG: u32 = 4_096;

/// Serves a connection of which `first` has come already: what tracker clients ask is answered as long as nothing else is asked, all
/// the rest is for hyper.
pub(super) async fn connection(relay: Arc<Relay>, stream: TcpStream, ends: Ends, pass: Pass, first: Bytes) {
    // Small answers must not wait for an acknowledgement.
    let _ = stream.set_nodelay(true);
    let mut stream = match &relay.settings.tls {
        Some(tls) => tls.accept(stream).await,
        None => Some(Stream::Plain(stream)),
    };
    let Some(stream) = stream.take() else { return };
    let Some(stream) = quick::serve(&relay, stream, ends, first).await else {
        return;
    };
    let pass = Arc::new(pass);
    let service = service_fn(move |request| {
        let (relay, pass) = (relay.clone(), pass.clone());
        async move { Ok::<_, Infallible>(answer(&relay, ends, request, pass).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(MAX_HEAD)
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    // A client that breaks off is no news.
    let _ = connection.await;
}

/// Answers one request.
async fn answer(relay: &Arc<Relay>, ends: Ends, request: Request<Incoming>, pass: Arc<Pass>) -> Reply {
    let path = request.uri().path();
    if handshake::is_upgrade(request.headers()) {
        return match path {
            "/wire" => guarded(relay, ends, &request).unwrap_or_else(|| upgrade_wire(relay, ends, request, pass)),
            "/" => upgrade_tracker(relay, ends, request, pass),
            _ if path_asks(path).is_some_and(|(kind, _)| kind == Kind::Announce) => {
                upgrade_tracker(relay, ends, request, pass)
            }
            _ => reply::text(StatusCode::NOT_FOUND, "there is no such WebSocket\n"),
        };
    }
    match path {
        _ if path_asks(path).is_some() => tracked(relay, ends, &request),
        "/health" => reply::text(StatusCode::OK, "ok\n"),
        "/wire" | "/api" | "/stats" | "/stats.json" | "/metrics" => asked(relay, ends, request).await,
        _ if path.starts_with("/api/") => asked(relay, ends, request).await,
        _ if !relay.guard.host(ends, request.headers()) => wrong_host(),
        _ if is_read(&request) => relay.settings.page.serve(path, request.headers()).await,
        _ => reply::text(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered here\n"),
    }
}

/// Answers what only some origins may ask, and lets their pages read it.
async fn asked(relay: &Arc<Relay>, ends: Ends, request: Request<Incoming>) -> Reply {
    if let Some(refusal) = guarded(relay, ends, &request) {
        return refusal;
    }
    let origin = request.headers().get(ORIGIN).cloned();
    let path = request.uri().path();
    let mut reply = match path {
        _ if request.method() == Method::OPTIONS => preflight(),
        "/wire" => match down::token(request.uri().query()) {
            Some(token) if request.method() == Method::GET => relay.downs.open(token),
            _ => reply::text(StatusCode::BAD_REQUEST, "this is a WebSocket\n"),
        },
        "/stats" | "/stats.json" | "/metrics" => stats::answer(relay, ends, &request).await,
        _ if !relay.rates.api(ends.remote.ip()) => {
            let message = "your address asks too often";
            reply::refusal(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", message)
        }
        _ => api::answer(relay, ends, request).await,
    };
    if let Some(origin) = origin {
        let headers = reply.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(VARY, HeaderValue::from_static("origin"));
    }
    reply
}

/// What a page of another origin may ask (the Fetch standard's preflight).
fn preflight() -> Reply {
    let mut reply = reply::text(StatusCode::NO_CONTENT, "");
    let headers = reply.headers_mut();
    for (name, value) in [
        (ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, DELETE"),
        (ACCESS_CONTROL_ALLOW_HEADERS, "authorization, content-type"),
        (ACCESS_CONTROL_MAX_AGE, "600"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    reply
}

fn wrong_host() -> Reply {
    reply::refusal(StatusCode::MISDIRECTED_REQUEST, "host", "this relay has another name")
}

/// The refusal of a request that was not meant for this relay, or that a foreign page makes.
fn guarded(relay: &Relay, ends: Ends, request: &Request<Incoming>) -> Option<Reply> {
    if !relay.guard.host(ends, request.headers()) {
        return Some(wrong_host());
    }
    let foreign = !relay.guard.origin(request.headers());
    foreign.then(|| {
        reply::refusal(
            StatusCode::FORBIDDEN,
            "origin",
            "pages of this origin may not ask this relay",
        )
    })
}

/// Announces and scrapes over HTTP, for everyone, where the request was none that `quick` reads.
fn tracked(relay: &Arc<Relay>, ends: Ends, request: &Request<Incoming>) -> Reply {
    let query = request.uri().query().unwrap_or_default();
    let Some(asked) = path_asks(request.uri().path()).filter(|_| is_read(request)) else {
        return reply::text(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered here\n");
    };
    let mut body = Vec::new();
    tracker::http::answer(relay, ends, asked, query, (&mut Answer::default(), &mut body));
    let mut response = reply::text(StatusCode::OK, body);
    response
        .headers_mut()
        .insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}

fn is_read(request: &Request<Incoming>) -> bool {
    matches!(*request.method(), Method::GET | Method::HEAD)
}

fn upgrade_wire(relay: &Arc<Relay>, ends: Ends, request: Request<Incoming>, pass: Arc<Pass>) -> Reply {
    let relay = relay.clone();
    let token = down::token(request.uri().query()).map(str::to_owned);
    upgrade(request, move |stream, read| async move {
        // Where the body does not come, all goes through the socket.
        let down = match token {
            Some(token) => relay.downs.claim(&token).await,
            None => None,
        };
        wire::serve(relay, Wire::new(stream, &read, down), ends.remote, pass).await;
    })
}

fn upgrade_tracker(relay: &Arc<Relay>, ends: Ends, request: Request<Incoming>, pass: Arc<Pass>) -> Reply {
    let relay = relay.clone();
    let passkey = path_asks(request.uri().path()).and_then(|(_, passkey)| passkey.map(str::to_owned));
    upgrade(request, move |stream, read| async move {
        tracker::socket::serve(relay, stream, read, ends, passkey).await;
        drop(pass);
    })
}

/// Answers 101, and goes on with the bare socket.
fn upgrade<F>(request: Request<Incoming>, then: impl FnOnce(Stream, Bytes) -> F + Send + 'static) -> Reply
where
    F: Future<Output = ()> + Send + 'static,
{
    let Some(headers) = handshake::accept(request.headers()).filter(|_| request.method() == Method::GET) else {
        let mut refusal = reply::text(StatusCode::BAD_REQUEST, "not a WebSocket of version 13\n");
        refusal
            .headers_mut()
            .insert(hyper::header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        return refusal;
    };
    tokio::spawn(async move {
        let Ok(upgraded) = hyper::upgrade::on(request).await else {
            return;
        };
        let Ok(parts) = upgraded.downcast::<TokioIo<Begun>>() else {
            return;
        };
        let (stream, unread) = parts.io.into_inner().into_parts();
        let read = if unread.is_empty() {
            parts.read_buf
        } else {
            [parts.read_buf, unread].concat().into()
        };
        then(stream, read).await;
    });
    let mut response = reply::text(StatusCode::SWITCHING_PROTOCOLS, "");
    *response.headers_mut() = headers;
    response
}
