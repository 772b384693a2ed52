//! Datagrams through a SOCKS5 proxy that carries them (RFC 1928, section 7): uTP, a UDP tracker and the DHT, with names resolved by the proxy.

mod common;

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::running::Running;
use common::{assert_same, peer, prepared, text};

/// The peer, the tracker and the node as the proxy's client knows them; nobody could reach these but by the proxy.
const PEER: &str = "192.0.2.1:7";
const TRACKER: &str = "tracker.invalid:80";
const NODE: &str = "node.invalid:6";
/// Where the proxy says that the tracker and the node are.
const TRACKER_AT: &str = "192.0.2.3:80";
const NODE_AT: &str = "192.0.2.2:6";

/// A proxy that says whom datagrams are for.
struct Proxy {
    at: SocketAddr,
    asked: Receiver<String>,
    /// Connections by which it carries datagrams.
    controls: Arc<Mutex<Vec<TcpStream>>>,
}

impl Proxy {
    /// Carries datagrams to who is behind these names and addresses.
    fn start(behind: HashMap<&'static str, (SocketAddr, &'static str)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let (sender, asked) = channel();
        let controls = Arc::<Mutex<Vec<TcpStream>>>::default();
        let kept = controls.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let command = greet(&mut stream);
                if command != 3 {
                    // Connections are refused.
                    let _ = stream.write_all(&[5, 5, 0, 1, 0, 0, 0, 0, 0, 0]);
                    continue;
                }
                let relay = UdpSocket::bind("127.0.0.1:0").unwrap();
                let [high, low] = relay.local_addr().unwrap().port().to_be_bytes();
                // At the address that the proxy itself is reached at.
                let _ = stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, high, low]);
                kept.lock().unwrap().push(stream);
                let (behind, sender) = (behind.clone(), sender.clone());
                std::thread::spawn(move || carry(&relay, &behind, &sender));
            }
        });
        Self { at, asked, controls }
    }
}

/// The server's half of the beginning: what command there is.
fn greet(stream: &mut TcpStream) -> u8 {
    let mut take = |length: usize| {
        let mut bytes = vec![0; length];
        stream.read_exact(&mut bytes).unwrap();
        bytes
    };
    assert_eq!(take(3), [5, 1, 0]);
    let _ = stream.write_all(&[5, 0]);
    let mut head = [0; 4];
    stream.read_exact(&mut head).unwrap();
    let length = match head[3] {
        1 => 4,
        3 => {
            let mut length = [0];
            stream.read_exact(&mut length).unwrap();
            length[0].into()
        }
        kind => panic!("addresses of kind {kind}"),
    };
    stream.read_exact(&mut vec![0; length + 2]).unwrap();
    head[1]
}

/// Carries the datagrams of one client, which the first comes from.
fn carry(relay: &UdpSocket, behind: &HashMap<&'static str, (SocketAddr, &'static str)>, asked: &Sender<String>) {
    let mut ways: HashMap<String, UdpSocket> = HashMap::new();
    let mut datagram = [0; 4096];
    while let Ok((length, client)) = relay.recv_from(&mut datagram) {
        let (to, content) = open(&datagram[..length]);
        // Both ways to the same one are one.
        let known = behind.iter().find(|(name, (_, seen))| **name == to || *seen == to);
        let _ = asked.send(to.clone());
        let Some((name, (there, seen))) = known else { continue };
        let way = ways.entry((*name).to_owned()).or_insert_with(|| {
            let way = UdpSocket::bind("127.0.0.1:0").unwrap();
            way.connect(there).unwrap();
            let (back, relay, seen) = (
                way.try_clone().unwrap(),
                relay.try_clone().unwrap(),
                seen.parse().unwrap(),
            );
            std::thread::spawn(move || bring_back(&back, &relay, (client, seen)));
            way
        });
        let _ = way.send(&content);
    }
}

fn bring_back(way: &UdpSocket, relay: &UdpSocket, (client, seen): (SocketAddr, SocketAddr)) {
    let mut datagram = [0; 4096];
    loop {
        // Nobody being there is reported as an error once.
        let Ok(length) = way.recv(&mut datagram) else { continue };
        let SocketAddr::V4(seen) = seen else { panic!() };
        let head = [&[0, 0, 0, 1], &seen.ip().octets()[..], &seen.port().to_be_bytes()].concat();
        let _ = relay.send_to(&[&head, &datagram[..length]].concat(), client);
    }
}

/// A datagram's head, in words, and what is in it.
fn open(datagram: &[u8]) -> (String, Vec<u8>) {
    let (host, rest) = match datagram {
        [0, 0, 0, 1, a, b, c, d, rest @ ..] => (Ipv4Addr::new(*a, *b, *c, *d).to_string(), rest),
        [0, 0, 0, 3, length, rest @ ..] => {
            let (name, rest) = rest.split_at(usize::from(*length));
            (String::from_utf8(name.to_vec()).unwrap(), rest)
        }
        _ => panic!("{datagram:?}"),
    };
    let port = u16::from_be_bytes([rest[0], rest[1]]);
    (format!("{host}:{port}"), rest[2..].to_vec())
}

/// A socket of somebody who answers each datagram in this way.
fn answering(answer: impl Fn(&[u8]) -> Option<Vec<u8>> + Send + 'static) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let at = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut datagram = [0; 2048];
        while let Ok((length, from)) = socket.recv_from(&mut datagram) {
            if let Some(answer) = answer(&datagram[..length]) {
                let _ = socket.send_to(&answer, from);
            }
        }
    });
    at
}

/// A UDP tracker that knows one peer (BEP 15).
fn tracker(question: &[u8]) -> Option<Vec<u8>> {
    let (action, transaction) = (question.get(8..12)?, question.get(12..16)?);
    Some(match action {
        [0, 0, 0, 0] => [&[0; 4], transaction, b"\0onetwo3"].concat(),
        _ => [
            &[0, 0, 0, 1],
            transaction,
            &[0, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 1],
            &[192, 0, 2, 1, 0, 7],
        ]
        .concat(),
    })
}

/// A node of the DHT that is there and knows nobody (BEP 5).
fn node(question: &[u8], asked: &Sender<String>) -> Option<Vec<u8>> {
    let at = question
        .windows(4)
        .position(|window| window == b"1:q9" || window == b"1:q4")?;
    let name: String = question[at + 3..]
        .iter()
        .map(|byte| char::from(*byte))
        .take(11)
        .collect();
    let _ = asked.send(name);
    let at = question.windows(3).position(|window| window == b"1:t")?;
    let length = usize::from(question.get(at + 3)? - b'0');
    let transaction = question.get(at + 3..at + 5 + length)?;
    Some([b"d1:rd2:id20:nnnnnnnnnnnnnnnnnnnne1:t", transaction, b"1:y1:re"].concat())
}

#[test]
fn what_uses_datagrams_goes_through_a_proxy_that_carries_them() {
    let (dir, torrent) = prepared();
    let mut seed = peer(
        "seeder",
        &torrent,
        &dir.path().join("seed"),
        &["--transport", "utp", "--no-trackers"],
    );
    let seeder: SocketAddr = (Ipv4Addr::LOCALHOST, seed.ready()).into();
    let (sender, heard) = channel();
    let proxy = Proxy::start(HashMap::from([
        (PEER, (seeder, PEER)),
        (TRACKER, (answering(tracker), TRACKER_AT)),
        (NODE, (answering(move |question| node(question, &sender)), NODE_AT)),
    ]));
    let out = dir.path().join("out");
    let url = format!("socks5://{}", proxy.at);
    let announce = format!("udp://{TRACKER}/announce");
    let more = ["--proxy", &url, "--tracker", &announce, "--dht-bootstrap", NODE];
    let fixed = ["get", text(&torrent), "--out", text(&out), "--json"];
    let mut get = Running::start(fixed.iter().chain(&more));
    let get_ended = get.wait();
    assert_eq!(get_ended, Some(0));
    assert_same(&dir.path().join("seed/set"), &out.join("set"));
    let mut asked: Vec<_> = proxy.asked.try_iter().collect();
    asked.sort();
    asked.dedup();
    assert_eq!(asked, [PEER, NODE_AT, NODE, TRACKER], "and nobody else");
    let heard: Vec<String> = heard.try_iter().collect();
    assert!(heard.iter().any(|query| query.contains("find_node")), "{heard:?}");
}

#[test]
fn a_proxy_that_stops_carrying_is_asked_again() {
    let proxy = Proxy::start(HashMap::new());
    let (dir, torrent) = prepared();
    let url = format!("socks5://{}", proxy.at);
    let out = dir.path().join("out");
    let fixed = ["get", text(&torrent), "--out", text(&out), "--json", "--no-trackers"];
    let mut get = Running::start(fixed.iter().chain(&["--proxy", &url, "--dht-bootstrap", NODE]));
    let asked = |proxy: &Proxy| proxy.asked.recv_timeout(Duration::from_secs(60)).unwrap();
    assert_eq!(asked(&proxy), NODE);
    // Both ends of the first are closed; what comes by it is no longer heard.
    let first = proxy.controls.lock().unwrap().remove(0);
    first.shutdown(std::net::Shutdown::Both).unwrap();
    while proxy.controls.lock().unwrap().is_empty() {
        proxy.asked.recv_timeout(Duration::from_millis(50)).ok();
    }
    while proxy.asked.try_recv().is_ok() {}
    assert_eq!(asked(&proxy), NODE, "by the second");
    assert_eq!(get.end("INT"), Some(130));
}
