//! The tracker's three faces over one table.

use std::net::{SocketAddr, UdpSocket};

use serde_json::{Value, json};
use tombolo_core::key::{PeerId, SwarmKey};
use tombolo_core::tracker::http::{parse_announce, parse_scrape};
use tombolo_core::tracker::query::{AnnounceReply, AnnounceRequest};
use tombolo_core::tracker::udp::{Connection, Family, Request, Response, Transaction};

use crate::relay::{PATIENCE, Relay, eventually};
use crate::socket::{Message, Socket};

const SWARM: SwarmKey = SwarmKey(*b"\x00\xff%&=+ ?#swarm-of-te");

pub(crate) fn escaped(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("%{byte:02x}")).collect()
}

fn query(peer: u8, more: &str) -> String {
    let (swarm, id) = (escaped(&SWARM.0), escaped(&[peer; 20]));
    format!(
        "/announce?info_hash={swarm}&peer_id={id}&port={}&uploaded=0&downloaded=0{more}",
        7000 + u16::from(peer)
    )
}

fn announce(relay: &Relay, peer: u8, more: &str) -> AnnounceReply {
    let (status, body) = relay.get(&query(peer, more));
    assert_eq!(status, 200);
    parse_announce(&body).unwrap()
}

fn address(peer: u8) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 7000 + u16::from(peer)))
}

#[test]
fn peers_meet_over_http() {
    let relay = Relay::start(&["--interval", "77", "--peer-ttl", "1"]);
    let first = announce(&relay, 1, "&left=0&compact=1");
    assert_eq!(
        (first.interval, first.complete, first.incomplete),
        (77, Some(1), Some(0))
    );
    assert!(first.peers.is_empty());
    let second = announce(&relay, 2, "&left=5&compact=0");
    assert_eq!(
        (second.complete, second.incomplete, second.peers),
        (Some(1), Some(1), vec![address(1)])
    );
    announce(&relay, 1, "&left=0&event=stopped");
    assert_eq!(announce(&relay, 3, "&left=5&compact=1").peers, [address(2)]);
    eventually("silent peers are forgotten", || {
        (relay.stats()["swarm_peers"] == 0).then_some(())
    });
}

#[test]
fn refusals_are_bencoded_for_everyone() {
    let relay = Relay::start(&[]);
    for path in [
        "/announce",
        "/announce?info_hash=short",
        "/scrape?info_hash=short",
        "/scrape",
    ] {
        let (status, body) = relay.ask(&format!("GET {path}"), &["Origin: https://elsewhere.example"], "");
        assert_eq!(status, 200, "{path}");
        assert!(body.starts_with(b"d14:failure reason"), "{path}");
    }
    announce(&relay, 1, "&left=0");
    let (_, body) = relay.get(&format!("/scrape?info_hash={}", escaped(&SWARM.0)));
    let counts = parse_scrape(&body).unwrap();
    assert_eq!((counts[0].0, counts[0].1.complete), (SWARM, 1));
}

#[test]
fn the_same_peers_over_udp() {
    let relay = Relay::start(&[]);
    announce(&relay, 1, "&left=0");
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(relay.address("udp")).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let ask = |request: Request| {
        socket.send(&request.encode()).unwrap();
        let mut packet = [0; 2048];
        let length = socket.recv(&mut packet).unwrap();
        Response::decode(&packet[..length], Family::V4).unwrap()
    };
    let Response::Connect(Transaction(5), connection) = ask(Request::Connect(Transaction(5))) else {
        panic!()
    };
    let request = AnnounceRequest {
        port: 7009,
        left: Some(1),
        ..AnnounceRequest::new(SWARM, PeerId([9; 20]))
    };
    let packet = |connection, transaction| Request::Announce {
        connection,
        transaction: Transaction(transaction),
        announce: request.clone(),
        ip: None,
        url_data: Vec::new(),
    };
    // A forged number gets no answer: the next one that comes is to the request after it.
    socket.send(&packet(Connection(connection.0 ^ 1), 6).encode()).unwrap();
    let Response::Announce(Transaction(7), reply) = ask(packet(connection, 7)) else {
        panic!()
    };
    assert_eq!(
        (reply.complete, reply.incomplete, reply.peers),
        (Some(1), Some(1), vec![address(1)])
    );
}

pub(crate) fn latin(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

fn web(peer: u8, more: Value) -> String {
    web_in(SWARM, peer, more)
}

/// An announce of a web peer, with what is `more` of it.
pub(crate) fn web_in(swarm: SwarmKey, peer: u8, more: Value) -> String {
    let mut message = json!({
        "action": "announce", "info_hash": latin(&swarm.0), "peer_id": latin(&[peer; 20]),
        "uploaded": 0, "downloaded": 0, "left": 5, "numwant": 5,
    });
    message
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    message.to_string()
}

/// The next message of the tracker.
pub(crate) fn heard(socket: &mut Socket) -> Value {
    match socket.receive() {
        Message::Text(text) => serde_json::from_str(&text).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn offer(id: u8, sdp: &str) -> Value {
    json!({"offer_id": latin(&[id; 20]), "offer": {"type": "offer", "sdp": sdp}})
}

#[test]
fn offers_and_answers_find_their_peers() {
    let relay = Relay::start(&[]);
    let mut first = Socket::open(relay.address("http"), "/announce?key=1");
    first.text(&web(1, json!({"event": "started", "offers": []})));
    assert_eq!(heard(&mut first)["incomplete"], 1);
    let mut second = Socket::open(relay.address("http"), "/");
    second.text(&web(2, json!({"offers": [offer(200, "v=0\r\n\"quoted\" é")]})));
    assert_eq!(heard(&mut second)["incomplete"], 2);
    let got = heard(&mut first);
    assert_eq!(
        (&got["offer"]["sdp"], &got["offer"]["type"]),
        (&json!("v=0\r\n\"quoted\" é"), &json!("offer"))
    );
    assert_eq!(
        (&got["peer_id"], &got["offer_id"]),
        (&json!(latin(&[2; 20])), &json!(latin(&[200; 20])))
    );
    let answer = json!({"to_peer_id": latin(&[2; 20]), "offer_id": latin(&[200; 20]), "answer": {"type": "answer", "sdp": "yes"}});
    first.text(&web(1, answer));
    let got = heard(&mut second);
    assert_eq!(
        (&got["answer"]["sdp"], &got["peer_id"]),
        (&json!("yes"), &json!(latin(&[1; 20])))
    );
}

#[test]
fn a_tab_that_comes_again_replaces_its_old_socket() {
    let relay = Relay::start(&[]);
    let mut old = Socket::open(relay.address("http"), "/announce");
    old.text(&web(1, json!({"offers": []})));
    heard(&mut old);
    let mut new = Socket::open(relay.address("http"), "/announce");
    new.text(&web(1, json!({"offers": []})));
    assert_eq!(heard(&mut new)["incomplete"], 1);
    drop(old);
    let mut other = Socket::open(relay.address("http"), "/announce");
    other.text(&web(2, json!({"offers": [offer(1, "a")]})));
    assert_eq!(heard(&mut other)["incomplete"], 2);
    assert_eq!(heard(&mut new)["offer"]["sdp"], "a");
    drop((new, other));
    eventually("closed sockets are forgotten", || {
        (relay.stats()["swarm_peers"] == 0).then_some(())
    });
}

#[test]
fn our_own_peer_is_in_the_table_while_the_relay_is_in_the_swarm() {
    let relay = Relay::start(&[]);
    let hash = SWARM.to_string();
    let peers = |count: u32| {
        eventually("our own entry", || {
            (relay.stats()["swarm_peers"] == count).then_some(())
        })
    };
    assert_eq!(relay.json("POST /api/torrents", &json!({"info_hash": hash})).0, 201);
    peers(1);
    assert_eq!(relay.json(&format!("DELETE /api/torrents/{hash}"), &Value::Null).0, 200);
    peers(0);
}

#[test]
fn what_a_socket_may_not_send() {
    let relay = Relay::start(&[]);
    let mut socket = Socket::open(relay.address("http"), "/announce");
    for message in ["", "[]", "{\"action\":\"announce\"}", "{\"action\":\"scrape\"}"] {
        socket.text(message);
        assert!(heard(&mut socket)["failure reason"].is_string(), "{message}");
    }
    socket.text(&web(1, json!({"offers": []})));
    assert_eq!(heard(&mut socket)["incomplete"], 1);
    // A frame that announces 2^40 bytes.
    socket.send(0, b"");
    assert!(matches!(socket.receive(), Message::Close(1002, _)));
}
