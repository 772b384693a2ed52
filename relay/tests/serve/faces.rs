//! What the faces of the tracker have in common, and every parameter of the one over HTTP.

use std::net::{SocketAddr, UdpSocket};

use serde_json::{Value, json};
use tombolo_core::key::{PeerId, SwarmKey};
use tombolo_core::tracker::http::{parse_announce, parse_scrape};
use tombolo_core::tracker::query::{AnnounceEvent, AnnounceReply, AnnounceRequest, ScrapeCounts};
use tombolo_core::tracker::udp::{Connection, Family, Request, Response, Transaction};

use crate::relay::{PATIENCE, Relay};
use crate::socket::Socket;
use crate::tracker::{escaped, heard, latin, web_in};

pub(crate) const SWARM: SwarmKey = SwarmKey(*b"\x01\xfe%&=+ ?#swarm-of-th");

/// A relay that listens on both loopback addresses.
fn both() -> Relay {
    Relay::start(&[
        "--listen",
        "127.0.0.1:0",
        "--listen",
        "[::1]:0",
        "--udp",
        "127.0.0.1:0",
        "--udp",
        "[::1]:0",
    ])
}

fn address(relay: &Relay, kind: &str, at: usize) -> SocketAddr {
    relay.ready["all"][kind][at].as_str().unwrap().parse().unwrap()
}

/// An announce over HTTP.
pub(crate) fn announce(relay: &Relay, at: SocketAddr, peer: u8, more: &str) -> AnnounceReply {
    let (swarm, id) = (escaped(&SWARM.0), escaped(&[peer; 20]));
    let path = format!("/announce?info_hash={swarm}&peer_id={id}{more}");
    let (status, body) = relay.ask_at(at, &format!("GET {path}"), &[], "");
    assert_eq!(status, 200);
    parse_announce(&body).unwrap()
}

/// A client of the UDP tracker.
pub(crate) struct Udp {
    socket: UdpSocket,
    family: Family,
    connection: Connection,
}

impl Udp {
    pub(crate) fn open(to: SocketAddr) -> Self {
        let local = if to.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
        let socket = UdpSocket::bind(local).unwrap();
        socket.connect(to).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut udp = Self {
            socket,
            family: if to.is_ipv4() { Family::V4 } else { Family::V6 },
            connection: Connection(0),
        };
        let Response::Connect(_, connection) = udp.ask(&Request::Connect(Transaction(1))) else {
            panic!()
        };
        udp.connection = connection;
        udp
    }

    fn ask(&self, request: &Request) -> Response {
        self.socket.send(&request.encode()).unwrap();
        let mut packet = [0; 2048];
        let length = self.socket.recv(&mut packet).unwrap();
        Response::decode(&packet[..length], self.family).unwrap()
    }

    pub(crate) fn announce(&self, peer: u8, left: u64, event: AnnounceEvent, url_data: &str) -> Response {
        let announce = AnnounceRequest {
            port: 7000 + u16::from(peer),
            left: Some(left),
            event,
            key: Some(5),
            ..AnnounceRequest::new(SWARM, PeerId([peer; 20]))
        };
        self.ask(&Request::Announce {
            connection: self.connection,
            transaction: Transaction(2),
            announce,
            ip: None,
            url_data: url_data.into(),
        })
    }

    fn scrape(&self) -> ScrapeCounts {
        let request = Request::Scrape {
            connection: self.connection,
            transaction: Transaction(3),
            swarms: vec![SWARM],
        };
        let Response::Scrape(_, counts) = self.ask(&request) else {
            panic!()
        };
        counts[0]
    }
}

#[test]
fn one_address_serves_udp_trackers_utp_and_the_dht() {
    // An address that only this process uses.
    let [a, b, ..] = std::process::id().to_le_bytes();
    let at = format!("127.{a}.{b}.7:6969");
    let relay = Relay::start(&["--udp", &at, "--tcp", &at, "--dht-bootstrap", "none"]);
    assert_eq!((&relay.ready["udp"], &relay.ready["tcp"]), (&json!(at), &json!(at)));
    let udp = Udp::open(relay.address("udp"));
    udp.announce(1, 5, AnnounceEvent::Started, "");
    assert_eq!(udp.scrape().incomplete, 1);
    let answer = |question: &[u8]| {
        udp.socket.send(question).unwrap();
        let mut packet = [0; 2048];
        let length = udp.socket.recv(&mut packet).unwrap();
        packet[..length].to_vec()
    };
    // ST_SYN is answered by ST_STATE for that connection (BEP 29).
    let syn = [0x41, 0, 0x12, 0x34, 0, 0, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0, 1, 0, 0];
    assert_eq!(answer(&syn)[..4], [0x21, 0, 0x12, 0x34]);
    let ping = answer(b"d1:ad2:id20:aaaaaaaaaaaaaaaaaaaae1:q4:ping1:t2:xy1:y1:qe");
    let ping = ping.escape_ascii().to_string();
    assert!(ping.contains("1:t2:xy1:") && ping.ends_with("1:y1:re"), "{ping}");
    let stats = relay.stats();
    assert_eq!(
        (&stats["dht_reachable"], &stats["dht_searches"]),
        (&json!(true), &json!(0)),
        "a stranger has asked"
    );
    assert!(Relay::start(&[]).stats()["dht_reachable"].is_null(), "there is no node");
}

/// The counts of a scrape, which all faces give alike.
fn scrapes(relay: &Relay, udp: &Udp, web: &mut Socket) -> (u32, u32, u32) {
    let hash = escaped(&SWARM.0);
    let (_, body) = relay.get(&format!("/scrape?info_hash={hash}"));
    let counts = parse_scrape(&body).unwrap()[0].1;
    assert_eq!(udp.scrape(), counts);
    web.text(&json!({"action": "scrape", "info_hash": [latin(&SWARM.0)]}).to_string());
    let answer = heard(web);
    let file = &answer["files"][latin(&SWARM.0)];
    let count = |name: &str| file[name].as_u64().unwrap() as u32;
    assert_eq!(
        (count("complete"), count("incomplete"), count("downloaded")),
        (counts.complete, counts.incomplete, counts.downloaded)
    );
    (counts.complete, counts.incomplete, counts.downloaded)
}

#[test]
fn who_completed_by_any_face_is_counted_on_all() {
    // The relay's own peer would count too.
    let relay = Relay::start(&["--bridge", "off"]);
    let (at, udp) = (relay.address("http"), Udp::open(relay.address("udp")));
    let mut web = Socket::open(at, "/announce");
    announce(&relay, at, 1, "&port=1&left=5&event=started");
    udp.announce(2, 5, AnnounceEvent::Started, "");
    web.text(&web_in(SWARM, 3, json!({"left": 5, "event": "started", "offers": []})));
    heard(&mut web);
    assert_eq!(scrapes(&relay, &udp, &mut web), (0, 3, 0));
    for _ in 0..2 {
        announce(&relay, at, 1, "&port=1&left=0&event=completed");
        udp.announce(2, 0, AnnounceEvent::Completed, "/announce?x=1");
        web.text(&web_in(
            SWARM,
            3,
            json!({"left": 0, "event": "completed", "offers": []}),
        ));
        heard(&mut web);
        assert_eq!(scrapes(&relay, &udp, &mut web), (3, 0, 3));
    }
    // One that was whole when it came has not become so.
    let whole = announce(&relay, at, 4, "&port=4&left=0&event=started");
    assert_eq!(scrapes(&relay, &udp, &mut web), (4, 0, 3));
    assert!(whole.peers.is_empty(), "a seed is offered no seeds");
}

/// What a client sends that sends all it can, with 200 peers wanted.
#[test]
fn the_golden_announce_is_answered() {
    let relay = Relay::start(&[]);
    let at = relay.address("http");
    announce(&relay, at, 1, "&port=7001&left=1");
    let all = "&port=51413&uploaded=0&downloaded=0&left=732766208&corrupt=0&key=8C0FFEE1&event=started&numwant=200&compact=1\
               &no_peer_id=1&supportcrypto=1&redundant=0&ipv6=192.168.1.5";
    let reply = announce(&relay, at, 2, all);
    assert_eq!((reply.complete, reply.incomplete), (Some(0), Some(2)));
    assert_eq!(reply.peers, [SocketAddr::from(([127, 0, 0, 1], 7001))]);
    let none = announce(&relay, at, 2, "&port=51413&left=5&numwant=0");
    assert!(none.peers.is_empty());
    // The private address was passed over: it is there once.
    assert_eq!(relay.stats()["swarm_peers"], 2);
}

#[test]
fn peers_have_addresses_of_both_families() {
    let relay = both();
    let (v4, v6) = (address(&relay, "http", 0), address(&relay, "http", 1));
    // One that is reached by both, as it says itself; one of each.
    announce(&relay, v4, 1, "&port=7001&left=1&ipv6=%3A%3A1");
    announce(&relay, v6, 2, "&port=7002&left=1&ipv4=127.0.0.1%3A7777");
    announce(&relay, v6, 3, "&port=7003&left=1&ipv6=2001%3Adb8%3A%3A5");
    let sorted = |mut peers: Vec<SocketAddr>| {
        peers.sort_unstable();
        peers.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let all = [
        "127.0.0.1:7001",
        "127.0.0.1:7777",
        "[::1]:7001",
        "[::1]:7002",
        "[::1]:7003",
    ];
    for form in ["&compact=1", "&compact=0", "&compact=0&no_peer_id=1"] {
        let reply = announce(&relay, v4, 9, &format!("&port=7009&left=1{form}"));
        assert_eq!(
            (sorted(reply.peers), reply.incomplete),
            (all.map(String::from).to_vec(), Some(4))
        );
    }
    let over = |at: usize| {
        let udp = Udp::open(address(&relay, "udp", at));
        let Response::Announce(_, reply) = udp.announce(8, 1, AnnounceEvent::Periodic, "") else {
            panic!()
        };
        sorted(reply.peers)
    };
    assert_eq!(over(0), ["127.0.0.1:7001", "127.0.0.1:7009", "127.0.0.1:7777"]);
    assert_eq!(over(1), ["[::1]:7001", "[::1]:7002", "[::1]:7003"]);
    // Both go with the one announce.
    announce(&relay, v4, 1, "&port=7001&left=1&ipv6=%3A%3A1&event=stopped");
    let left = announce(&relay, v4, 9, "&port=7009&left=1");
    assert_eq!((left.peers.len(), left.incomplete), (5, Some(4)));
}

#[test]
fn what_a_peer_on_this_machine_says_of_its_address_counts() {
    let relay = Relay::start(&[]);
    let at = relay.address("http");
    announce(&relay, at, 1, "&port=7001&left=1&ip=203.0.113.7");
    announce(&relay, at, 2, "&port=7002&left=1&ip=a.name.example");
    let reply = announce(&relay, at, 3, "&port=7003&left=1");
    let mut peers: Vec<_> = reply.peers.iter().map(ToString::to_string).collect();
    peers.sort_unstable();
    assert_eq!(peers, ["127.0.0.1:7002", "203.0.113.7:7001"]);
}

#[test]
fn web_peers_of_both_families_are_one_swarm() {
    let relay = both();
    let mut first = Socket::open(address(&relay, "http", 0), "/announce");
    first.text(&web_in(SWARM, 1, json!({"offers": []})));
    heard(&mut first);
    let offer = json!({"offer_id": latin(&[7; 20]), "offer": {"type": "offer", "sdp": "over IPv6"}});
    let mut second = Socket::open(address(&relay, "http", 1), "/announce");
    second.text(&web_in(SWARM, 2, json!({"offers": [offer]})));
    assert_eq!(heard(&mut second)["incomplete"], 2);
    assert_eq!(heard(&mut first)["offer"]["sdp"], "over IPv6");
}

#[test]
fn a_connection_may_ask_again_and_then_for_something_else() {
    use std::io::{Read as _, Write as _};
    let relay = Relay::start(&[]);
    let at = relay.address("http");
    let mut stream = std::net::TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let (swarm, id) = (escaped(&SWARM.0), escaped(&[1; 20]));
    let announce = format!("GET /announce?info_hash={swarm}&peer_id={id}&port=1&left=1 HTTP/1.1\r\nHost: {at}\r\n\r\n");
    let health = format!("GET /health HTTP/1.1\r\nHost: {at}\r\n\r\n");
    let last = announce.replacen("\r\n", "\r\nConnection: close\r\n", 1);
    // In pieces that end anywhere; what comes after the last is not read.
    for piece in [&announce, &announce, &health, &announce, &last]
        .map(String::as_bytes)
        .concat()
        .chunks(97)
    {
        stream.write_all(piece).unwrap();
    }
    let mut answers = String::new();
    stream.read_to_string(&mut answers).unwrap();
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 5);
    assert_eq!(answers.matches("d8:complete").count(), 4);
    assert!(answers.contains("ok\n"));
}

/// The numbers that people see.
#[test]
fn the_page_of_numbers() {
    let relay = Relay::start(&[]);
    announce(&relay, relay.address("http"), 1, "&port=1&left=1");
    assert_eq!(relay.stats()["announces_http"], 1);
    let page = String::from_utf8(relay.get("/stats").1).unwrap();
    assert!(page.contains("<dt>Announces by HTTP</dt><dd>1</dd>"), "{page}");
    let folder = tempfile::tempdir().unwrap();
    let strict = Relay::start_in(folder.path(), &[]);
    let token = std::fs::read_to_string(folder.path().join("token")).unwrap();
    use base64::Engine as _;
    let basic = base64::engine::general_purpose::STANDARD.encode(format!("me:{token}"));
    let signed = format!("Authorization: Basic {basic}");
    assert_eq!(strict.ask("GET /stats", &[], "").0, 401);
    assert_eq!(strict.ask("GET /stats", &[&signed], "").0, 200);
    assert_eq!(strict.ask("GET /api/torrents", &[&signed], "").0, 401);
    let value: Value = serde_json::from_slice(&strict.ask("GET /stats.json", &[&signed], "").1).unwrap();
    assert_eq!(value["error"]["code"], "unauthorised");
}
