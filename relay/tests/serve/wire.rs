//! `/wire`, and the bridge behind it: a native seed, the relay, a tab.

use std::collections::HashSet;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use serde_json::json;
use tombolo_core::key::{PeerId, SwarmKey};
use tombolo_core::wire::handshake::{Handshake, Reserved};

use crate::relay::{PATIENCE, Relay, eventually};
use crate::socket::{Message, Socket};
use crate::torrent::{PIECE, Sample};
use crate::trade::Seed;

const BLOCK: usize = 16 * 1024;

fn handshake(swarm: SwarmKey) -> Vec<u8> {
    Handshake {
        reserved: Reserved::OURS,
        swarm,
        peer_id: PeerId(*b"-XX0000-abcdefghijkl"),
    }
    .encode()
    .to_vec()
}

/// A tab's end of the byte stream.
pub(crate) struct Tab {
    socket: Socket,
    /// The body that goes down, if that is not the socket.
    down: Option<TcpStream>,
    received: Vec<u8>,
    /// What the relay promised, and whether it lets us ask.
    has: HashSet<u32>,
    unchoked: bool,
}

impl Tab {
    /// Shakes hands; says that it has nothing and is interested.
    pub(crate) fn open(relay: SocketAddr, swarm: SwarmKey) -> Self {
        Self::over(Socket::open(relay, "/wire"), swarm)
    }

    /// The same over a WebSocket that is there.
    pub(crate) fn over(socket: Socket, swarm: SwarmKey) -> Self {
        Self::greet(socket, None, swarm)
    }

    /// The same with a body for what goes down.
    pub(crate) fn split(relay: SocketAddr, swarm: SwarmKey) -> Self {
        let socket = Socket::open(relay, "/wire?down=cafe");
        let mut down = TcpStream::connect(relay).unwrap();
        down.set_read_timeout(Some(PATIENCE)).unwrap();
        // Of HTTP 1.0, whose bodies come as they are.
        write!(down, "GET /wire?down=cafe HTTP/1.0\r\nHost: {relay}\r\n\r\n").unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(0);
            let last = head.len() - 1;
            down.read_exact(&mut head[last..]).unwrap();
        }
        assert!(head.starts_with(b"HTTP/1.0 200"), "{}", String::from_utf8_lossy(&head));
        Self::greet(socket, Some(down), swarm)
    }

    fn greet(socket: Socket, down: Option<TcpStream>, swarm: SwarmKey) -> Self {
        let mut tab = Self {
            socket,
            down,
            received: Vec::new(),
            has: HashSet::new(),
            unchoked: false,
        };
        // Messages may be cut anyhow.
        let (head, tail) = (&handshake(swarm)[..50], &handshake(swarm)[50..]);
        tab.socket.send(2, head);
        tab.socket.send(2, tail);
        let answer = tab.bytes(Handshake::LEN);
        assert_eq!(&answer[..20], b"\x13BitTorrent protocol");
        assert_eq!(&answer[28..48], swarm.0);
        tab.socket.send(2, &[0, 0, 0, 1, 15, 0, 0, 0, 1, 2]);
        tab
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        while self.received.len() < count {
            if let Some(down) = &mut self.down {
                let mut bytes = vec![0; 64 << 10];
                let length = down.read(&mut bytes).unwrap();
                assert!(length > 0, "the body ended");
                self.received.extend(&bytes[..length]);
                continue;
            }
            match self.socket.receive() {
                Message::Binary(bytes) => self.received.extend(bytes),
                other => panic!("{other:?}"),
            }
        }
        self.received.drain(..count).collect()
    }

    /// The next message: its id and its payload.
    fn message(&mut self) -> (u8, Vec<u8>) {
        loop {
            let length = u32::from_be_bytes(self.bytes(4).try_into().unwrap()) as usize;
            if length == 0 {
                continue;
            }
            let message = self.bytes(length);
            let (id, payload) = (message[0], message[1..].to_vec());
            match id {
                0 => self.unchoked = false,
                1 => self.unchoked = true,
                4 => drop(self.has.insert(u32::from_be_bytes(payload[..4].try_into().unwrap()))),
                5 => {
                    let bit = |index: &u32| payload[(index / 8) as usize] >> (7 - index % 8) & 1 == 1;
                    self.has.extend((0..payload.len() as u32 * 8).filter(bit));
                }
                14 => self.has.extend(0..64),
                _ => {}
            }
            return (id, payload);
        }
    }

    fn wait_for(&mut self, id: u8) -> Vec<u8> {
        loop {
            let (got, payload) = self.message();
            if got == id {
                return payload;
            }
        }
    }

    /// Fetches one piece once it may be asked for, all its blocks at once.
    pub(crate) fn piece(&mut self, index: u32) -> Vec<u8> {
        while !self.unchoked || !self.has.contains(&index) {
            self.message();
        }
        for begin in (0..PIECE as u32).step_by(BLOCK) {
            let mut request = vec![0, 0, 0, 13, 6];
            request.extend([index, begin, BLOCK as u32].into_iter().flat_map(u32::to_be_bytes));
            self.socket.send(2, &request);
        }
        let mut piece = vec![0; PIECE];
        for _ in 0..PIECE / BLOCK {
            let block = self.wait_for(7);
            assert_eq!(block[..4], index.to_be_bytes());
            let begin = u32::from_be_bytes(block[4..8].try_into().unwrap()) as usize;
            piece[begin..begin + BLOCK].copy_from_slice(&block[8..]);
        }
        piece
    }
}

#[test]
fn refused_info_hashes_close_with_their_codes() {
    let closed = |relay: &Relay| {
        let mut socket = Socket::open(relay.address("http"), "/wire");
        socket.send(2, &handshake(SwarmKey([1; 20])));
        socket.receive()
    };
    let list = Relay::start(&["--bridge", "list"]);
    assert!(matches!(closed(&list), Message::Close(4403, reason) if !reason.is_empty()));
    let off = Relay::start(&["--bridge", "off"]);
    assert!(matches!(closed(&off), Message::Close(4403, _)));
    let open = Relay::start(&[]);
    assert!(matches!(closed(&open), Message::Close(4404, reason) if !reason.is_empty()));
}

#[test]
fn another_protocol_and_foreign_origins_are_refused() {
    let relay = Relay::start(&[]);
    let mut socket = Socket::open(relay.address("http"), "/wire");
    socket.send(2, b"GET / HTTP/1.1\r\n\r\n");
    assert!(matches!(socket.receive(), Message::Close(1002, _)));
    let foreign = Socket::try_open(relay.address("http"), "/wire", "Origin: https://evil.example\r\n");
    assert!(foreign.err().unwrap().starts_with("HTTP/1.1 403"));
    assert!(Socket::try_open(relay.address("http"), "/announce", "Origin: https://evil.example\r\n").is_ok());
}

#[test]
fn a_tab_gets_what_only_a_native_seed_has_and_again_after_the_relay_was_killed() {
    let (sample, folder) = (Sample::new(8 * PIECE, 2), tempfile::tempdir().unwrap());
    let seed = Seed::start(&sample);
    let mut relay = Relay::start_in(folder.path(), &["--allow-local"]);
    let hash = sample.swarm().to_string();
    // Only the hash and a peer: the metadata comes from it.
    assert_eq!(relay.json("POST /api/torrents", &json!({"info_hash": hash})).0, 201);
    let peers = json!({"peers": [seed.address.to_string()]});
    assert_eq!(
        relay.json(&format!("POST /api/torrents/{hash}/peers"), &peers).1["accepted"],
        1
    );
    let mut tab = Tab::open(relay.address("http"), sample.swarm());
    assert!(tab.piece(3) == sample.content[3 * PIECE..4 * PIECE]);
    let stats = relay.stats();
    assert_eq!((&stats["peers_wire"], &stats["peers_web"]), (&json!(1), &json!(1)));
    assert_eq!(stats["bytes_web_out"], PIECE);
    assert_eq!(
        stats["bytes_native_in"], PIECE,
        "what was asked for, and not the whole torrent"
    );
    eventually("the piece and the peers are on disk", || {
        let known = std::fs::read_to_string(folder.path().join("swarms.json")).unwrap_or_default();
        let kept = folder.path().join(format!("torrents/{hash}.torrent")).exists();
        (known.contains(&seed.address.to_string()) && kept && relay.stats()["cache_bytes"] == PIECE).then_some(())
    });
    relay.signal("KILL");
    relay.wait();
    drop(tab);
    let relay = Relay::start_in(folder.path(), &["--allow-local"]);
    eventually("the relay is in the swarm again", || {
        (relay.stats()["cache_bytes"] == PIECE).then_some(())
    });
    let mut tab = Tab::open(relay.address("http"), sample.swarm());
    assert!(tab.piece(3) == sample.content[3 * PIECE..4 * PIECE]);
    assert_eq!(relay.stats()["bytes_native_in"], 0, "it was in the cache");
    assert!(
        tab.piece(5) == sample.content[5 * PIECE..6 * PIECE],
        "the seed was found again"
    );
    assert_eq!(relay.stats()["panics"], 0);
    seed.stop();
}

#[test]
fn what_goes_down_may_be_a_body() {
    let sample = Sample::new(4 * PIECE, 5);
    let (seed, relay) = (Seed::start(&sample), Relay::start(&[]));
    let hash = sample.swarm().to_string();
    relay.json("POST /api/torrents", &json!({"info_hash": hash}));
    let peers = json!({"peers": [seed.address.to_string()]});
    relay.json(&format!("POST /api/torrents/{hash}/peers"), &peers);
    let mut tab = Tab::split(relay.address("http"), sample.swarm());
    assert!(tab.piece(2) == sample.content[2 * PIECE..3 * PIECE]);
    assert_eq!(relay.stats()["peers_wire"], 1);
    let down = tab.down.take();
    drop(tab);
    eventually("the body ends with its socket", || {
        let mut rest = Vec::new();
        down.as_ref().unwrap().read_to_end(&mut rest).ok()
    });
    eventually("the link is over", || (relay.stats()["peers_wire"] == 0).then_some(()));
    seed.stop();
}

#[test]
fn pages_of_other_origins_may_read_what_they_may_ask() {
    let relay = Relay::start(&[]);
    let origin = "Origin: http://127.0.9.1:5000";
    for request in ["OPTIONS /api/torrents", "GET /wire?down=x", "GET /stats.json"] {
        let mut stream = TcpStream::connect(relay.address("http")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let host = relay.address("http");
        write!(
            stream,
            "{request} HTTP/1.1\r\nHost: {host}\r\n{origin}\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = vec![0; 2048];
        let length = stream.read(&mut answer).unwrap();
        let head = String::from_utf8_lossy(&answer[..length]).to_lowercase();
        assert!(
            head.contains("access-control-allow-origin: http://127.0.9.1:5000"),
            "{request}: {head}"
        );
    }
}

#[test]
fn natives_that_announce_to_our_tracker_are_ways_to_find_peers() {
    let sample = Sample::new(4 * PIECE, 3);
    let (seed, relay) = (Seed::start(&sample), Relay::start(&[]));
    let escaped: String = sample.swarm().0.iter().map(|byte| format!("%{byte:02x}")).collect();
    let port = seed.address.port();
    relay.get(&format!(
        "/announce?info_hash={escaped}&peer_id=-XX0000-seedseedseed&port={port}&left=0"
    ));
    let mut tab = Tab::open(relay.address("http"), sample.swarm());
    assert!(tab.piece(0) == sample.content[..PIECE]);
    seed.stop();
}
