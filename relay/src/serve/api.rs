//! `/api`: what the relay is in, and what tabs and scripts ask of it. See `docs/http-api.md`.
//!
//! Seeing one torrent and asking for one is what `/wire` lets any tab do, so our own page may; all else takes the token.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::{Method, Request, StatusCode};
use serde_json::{Value, json};
use tombolo_core::event::{Event, Source, Torrent, Transport};
use tombolo_core::key::{SwarmKey, unhex};
use tombolo_core::magnet::Magnet;
use tombolo_core::metainfo::Metainfo;
use tombolo_core::status::{PeerStatus, State, Status};

use super::Relay;
use super::bridge::Refusal;
use super::guard::Ends;
use super::reply::{self, Reply};
use crate::shard::View;

/// The longest body read: a .torrent of 8 MiB in base64.
const MAX_BODY: usize = 12 << 20;

/// How long a body may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Peers of one request.
const MAX_PEERS: usize = 200;

/// Answers a request to `/api`.
pub(crate) async fn answer(relay: &Arc<Relay>, ends: Ends, request: Request<Incoming>) -> Reply {
    let trusted = relay.guard.authorised(ends, request.headers());
    let page = trusted || relay.guard.is_from_page(request.headers());
    let path = request.uri().path().to_owned();
    let parts: Vec<&str> = path.trim_matches('/').split('/').skip(1).collect();
    let unauthorised = || reply::refusal(StatusCode::UNAUTHORIZED, "unauthorised", "this needs the relay's token");
    match (request.method().clone(), &parts[..]) {
        (Method::GET, ["torrents"]) if trusted => list(relay).await,
        (Method::GET, ["torrents", hash]) if page => with(relay, hash, |torrent| show(relay, torrent)).await,
        (Method::DELETE, ["torrents", hash]) if trusted => with(relay, hash, |torrent| remove(relay, torrent)).await,
        (Method::POST, ["torrents"]) if page => match body(request).await {
            Ok(body) => add(relay, &body).await,
            Err(refusal) => refusal,
        },
        (Method::POST, ["torrents", hash, "pause"]) if trusted => match body(request).await {
            Ok(body) => with(relay, hash, |torrent| pause(relay, torrent, body)).await,
            Err(refusal) => refusal,
        },
        (Method::POST, ["torrents", hash, "peers"]) if page => match body(request).await {
            Ok(body) => with(relay, hash, |torrent| peers(relay, torrent, body)).await,
            Err(refusal) => refusal,
        },
        (Method::GET | Method::DELETE, ["torrents", _]) | (Method::POST, ["torrents", _, "peers" | "pause"]) => {
            unauthorised()
        }
        (Method::GET | Method::POST, ["torrents"]) => unauthorised(),
        (_, ["torrents"] | ["torrents", _] | ["torrents", _, "peers" | "pause"]) => reply::refusal(
            StatusCode::METHOD_NOT_ALLOWED,
            "method",
            "this path does not answer that method",
        ),
        _ => reply::refusal(StatusCode::NOT_FOUND, "not-found", "there is no such path"),
    }
}

fn bad(code: &str, message: &str) -> Reply {
    reply::refusal(StatusCode::BAD_REQUEST, code, message)
}

fn refused(refusal: Refusal) -> Reply {
    let status = if refusal == Refusal::Full {
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        StatusCode::FORBIDDEN
    };
    reply::refusal(status, refusal.code(), refusal.message())
}

/// The JSON that came with a request.
async fn body(request: Request<Incoming>) -> Result<Value, Reply> {
    let reading = Limited::new(request.into_body(), MAX_BODY).collect();
    let body = match tokio::time::timeout(PATIENCE, reading).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(_)) => {
            return Err(reply::refusal(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too-large",
                "the body is too long",
            ));
        }
        Err(_) => {
            return Err(reply::refusal(
                StatusCode::REQUEST_TIMEOUT,
                "timeout",
                "the body did not come",
            ));
        }
    };
    serde_json::from_slice(&body).map_err(|_| bad("bad-json", "the body is not JSON"))
}

/// Does something with the torrent of that hash.
async fn with<F: Future<Output = Reply>>(relay: &Relay, hash: &str, then: impl FnOnce(Torrent) -> F) -> Reply {
    let Some(swarm) = swarm(hash) else {
        return bad("bad-hash", "an info-hash has 40 hexadecimal digits, or 64");
    };
    match relay.bridge.find(swarm) {
        Some(torrent) => then(torrent).await,
        None => reply::refusal(StatusCode::NOT_FOUND, "not-found", "this relay is not in that swarm"),
    }
}

/// A v1 info-hash, or a v2 one cut short.
fn swarm(hash: &str) -> Option<SwarmKey> {
    unhex::<20>(hash.get(..40)?)
        .filter(|_| hash.len() == 40 || unhex::<32>(hash).is_some())
        .map(SwarmKey)
}

async fn add(relay: &Arc<Relay>, body: &Value) -> Reply {
    let source = match source(body) {
        Ok(source) => source,
        Err(refusal) => return *refusal,
    };
    let hashes = match &source {
        Source::Magnet(magnet) => magnet.hashes,
        Source::Metainfo(metainfo) => metainfo.hashes,
    };
    match relay.bridge.join(source, false).await {
        Ok((torrent, new)) => {
            let natives = hashes.swarms().flat_map(|swarm| relay.tracker.natives(swarm)).collect();
            relay.bridge.peers(torrent, natives);
            let status = if new { StatusCode::CREATED } else { StatusCode::OK };
            reply::json(status, &json!({"info_hash": hashes.swarm().to_string()}))
        }
        Err(refusal) => refused(refusal),
    }
}

/// What a request to add a torrent names.
fn source(body: &Value) -> Result<Source, Box<Reply>> {
    let text = |field: &str| body.get(field).and_then(Value::as_str);
    if let Some(base64) = text("torrent") {
        let bytes = STANDARD
            .decode(base64)
            .map_err(|_| Box::new(bad("bad-base64", "the torrent is not base64")))?;
        let metainfo =
            Metainfo::parse(&Bytes::from(bytes)).map_err(|error| Box::new(bad("bad-metainfo", &error.to_string())))?;
        return Ok(Source::Metainfo(Arc::new(metainfo)));
    }
    let Some(magnet) = text("magnet").or_else(|| text("info_hash")) else {
        return Err(Box::new(bad("bad-request", "name a magnet, a torrent or an info_hash")));
    };
    Magnet::parse(magnet)
        .map(Source::Magnet)
        .map_err(|error| Box::new(bad("bad-magnet", &error.to_string())))
}

async fn peers(relay: &Arc<Relay>, torrent: Torrent, body: Value) -> Reply {
    let Some(list) = body.get("peers").and_then(Value::as_array) else {
        return bad("bad-request", "name peers as HOST:PORT");
    };
    let hosts: Vec<(String, u16)> = list
        .iter()
        .filter_map(Value::as_str)
        .filter_map(host_port)
        .take(MAX_PEERS)
        .collect();
    let addresses: Vec<SocketAddr> = relay.bridge.addresses(hosts).await;
    let allowed: Vec<_> = addresses
        .iter()
        .copied()
        .filter(|address| relay.bridge.may_dial(*address))
        .collect();
    let (accepted, named) = (allowed.len(), list.len());
    relay.bridge.peers(torrent, allowed);
    reply::json(
        StatusCode::OK,
        &json!({"accepted": accepted, "refused": named.saturating_sub(accepted)}),
    )
}

fn host_port(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Some((host.to_owned(), port.parse().ok().filter(|port| *port != 0)?))
}

async fn pause(relay: &Arc<Relay>, torrent: Torrent, body: Value) -> Reply {
    let Some(paused) = body.get("paused").and_then(Value::as_bool) else {
        return bad("bad-request", "say whether it is to be paused");
    };
    relay.shards.send(torrent, Event::Pause(torrent, paused));
    reply::json(StatusCode::OK, &json!({"paused": paused}))
}

async fn remove(relay: &Arc<Relay>, torrent: Torrent) -> Reply {
    relay.bridge.leave(torrent);
    reply::json(StatusCode::OK, &json!({}))
}

async fn list(relay: &Arc<Relay>) -> Reply {
    let mut torrents = Vec::new();
    for torrent in relay.bridge.torrents() {
        torrents.extend(
            relay
                .shards
                .look(torrent, move |view| summary(view, torrent))
                .await
                .flatten(),
        );
    }
    torrents.sort_by(|a, b| a["info_hash"].as_str().cmp(&b["info_hash"].as_str()));
    reply::json(StatusCode::OK, &json!({"torrents": torrents}))
}

async fn show(relay: &Arc<Relay>, torrent: Torrent) -> Reply {
    let limit = relay.settings.cache;
    let shown = relay.shards.look(torrent, move |view| {
        let mut shown = summary(view, torrent)?;
        let pieces = view
            .session
            .metainfo(torrent)
            .map_or(0, |metainfo| metainfo.layout.pieces());
        let peers = view.session.peers(view.now, torrent);
        let natives: Vec<_> = peers
            .iter()
            .filter(|peer| !peer.transport.is_web())
            .map(|peer| native(peer, pieces))
            .collect();
        shown["natives"] = natives.into();
        shown["cache"] = json!({"bytes": view.session.cached(), "limit": limit});
        Some(shown)
    });
    match shown.await.flatten() {
        Some(shown) => reply::json(StatusCode::OK, &shown),
        None => reply::refusal(StatusCode::NOT_FOUND, "not-found", "this relay is not in that swarm"),
    }
}

/// One torrent in short.
fn summary(view: &mut View<'_>, torrent: Torrent) -> Option<Value> {
    let status: Status = view.session.status(view.now, torrent)?;
    let metainfo = view.session.metainfo(torrent);
    let (name, length) = metainfo.map_or((None, 0), |metainfo| {
        (Some(metainfo.name.clone()), metainfo.content_length())
    });
    let peers = view.session.peers(view.now, torrent);
    let count = |of: fn(Transport) -> bool| peers.iter().filter(|peer| of(peer.transport)).count();
    Some(json!({
        "info_hash": status.hashes.swarm().to_string(),
        "name": name,
        "length": length,
        "state": state(status.state),
        "cached": status.have,
        "peers_web": count(Transport::is_web),
        "peers_wire": peers.iter().filter(|peer| peer.transport == Transport::Wire).count(),
        "peers_native": count(Transport::is_native),
        "known": status.known,
        "down": status.down,
        "up": status.up,
        "bytes_native_in": status.received.native,
        "bytes_native_out": status.sent.native,
        "bytes_web_in": status.received.web(),
        "bytes_web_out": status.sent.web(),
        "bytes_from_cache": status.sent_cached,
        "hash_failures": status.hash_failures,
    }))
}

const fn state(state: State) -> &'static str {
    match state {
        State::Metadata => "metadata",
        State::Checking => "checking",
        State::Downloading => "downloading",
        State::Seeding => "seeding",
        State::Bridging => "bridging",
        State::Paused => "paused",
    }
}

/// A native peer or a web seed, as the page shows it.
fn native(peer: &PeerStatus, pieces: usize) -> Value {
    let id: String = peer.peer_id.to_string();
    json!({
        "client": peer.client,
        "short": id.get(id.len().saturating_sub(4)..),
        "transport": match peer.transport {
            Transport::Utp => "uTP",
            Transport::Http => "web seed",
            _ => "TCP",
        },
        "down": peer.down,
        "up": peer.up,
        "received": peer.received,
        "sent": peer.sent,
        "choked": !peer.unchoked,
        "has": if pieces == 0 { 0.0 } else { peer.pieces as f64 / pieces as f64 },
        "flags": peer.flags(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_of_both_lengths_and_nothing_else() {
        assert_eq!(swarm(&"ab".repeat(20)), Some(SwarmKey([0xab; 20])));
        assert_eq!(swarm(&"AB".repeat(32)), Some(SwarmKey([0xab; 20])));
        for hash in ["", "ab", &"ab".repeat(21), &"xy".repeat(20), "é".repeat(20).as_str()] {
            assert_eq!(swarm(hash), None, "{hash}");
        }
    }

    #[test]
    fn peers_are_hosts_and_ports() {
        assert_eq!(host_port("[::1]:80"), Some(("::1".into(), 80)));
        assert_eq!(host_port("a.example:6881"), Some(("a.example".into(), 6881)));
        for text in ["a.example", "1.2.3.4:0", "1.2.3.4:70000", ":"] {
            assert_eq!(host_port(text), None, "{text}");
        }
    }
}
