//! Through what, from where and to whom `get` connects: proxies, `--bind`, lists of addresses.

mod common;

use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::Command;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use common::running::Running;
use common::{assert_same, create, json, noise, odd_files, peer, tombolo, write};

/// Content, its torrent and a seeder of it.
struct Sample {
    dir: tempfile::TempDir,
    torrent: PathBuf,
    seeder: Running,
    port: u16,
}

impl Sample {
    fn new(up: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let set = odd_files(dir.path());
        write(&set.join("large.bin"), &noise(3, 1_000_000));
        let torrent = dir.path().join("x.torrent");
        create(&set, &torrent, &["--piece-length", "64KiB"]);
        let mut seeder = peer("seeder", &torrent, dir.path(), &["--no-trackers", "--up", up]);
        let port = seeder.ready();
        Self {
            dir,
            torrent,
            seeder,
            port,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn get(&self, more: &[&str]) -> Running {
        let out = self.path("out");
        let _ = fs::remove_dir_all(&out);
        let fixed = [
            "get",
            self.torrent.to_str().unwrap(),
            "--out",
            out.to_str().unwrap(),
            "--json",
            "--no-lsd",
            "--no-portmap",
        ];
        Running::start(fixed.iter().chain(more))
    }

    fn assert_fetched(&self, mut get: Running) {
        get.until(|line| line.get("finished").is_some());
        assert_eq!(get.wait(), Some(0));
        assert_same(&self.path("set"), &self.path("out/set"));
    }
}

/// Answers every announce with one peer, at an address that nobody can reach but through the proxy.
fn tracker() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            let body = b"d8:intervali1800e5:peers6:\xc0\x00\x02\x01\x00\x07e";
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            let _ = stream.write_all(&[head.as_bytes(), body].concat());
        }
    });
    address
}

/// A proxy on loopback that says whom it was asked for: hosts it sends to the tracker, addresses to the seeder.
struct Relayed {
    proxy: SocketAddr,
    asked: Receiver<String>,
}

impl Relayed {
    fn start(hosts: SocketAddr, addresses: SocketAddr, speak: fn(&mut TcpStream) -> Option<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = listener.local_addr().unwrap();
        let (sender, asked): (Sender<String>, _) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut near, sender) = (stream.unwrap(), sender.clone());
                std::thread::spawn(move || {
                    let Some(target) = speak(&mut near) else { return };
                    let is_address = target.parse::<SocketAddr>().is_ok();
                    let _ = sender.send(target);
                    let far = TcpStream::connect(if is_address { addresses } else { hosts }).unwrap();
                    join(near, far);
                });
            }
        });
        Self { proxy, asked }
    }
}

fn join(near: TcpStream, far: TcpStream) {
    let (mut from, mut to) = (near.try_clone().unwrap(), far.try_clone().unwrap());
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(std::net::Shutdown::Write);
    });
    let (mut from, mut to) = (far, near);
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(std::net::Shutdown::Write);
}

fn take(stream: &mut TcpStream, length: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).ok().map(|()| bytes)
}

/// The server's half of SOCKS5 with the login `me:secret`: whom the client asks for.
fn socks5(stream: &mut TcpStream) -> Option<String> {
    assert_eq!(take(stream, 4)?, [5, 2, 0, 2]);
    stream.write_all(&[5, 2]).ok()?;
    assert_eq!(take(stream, 11)?, b"\x01\x02me\x06secret"[..]);
    stream.write_all(&[1, 0]).ok()?;
    let head = take(stream, 4)?;
    if head[1] == 3 {
        // It carries no datagrams.
        stream.write_all(&[5, 7, 0, 1, 0, 0, 0, 0, 0, 0]).ok()?;
        return None;
    }
    let host = match head[3] {
        1 => IpAddr::from(<[u8; 4]>::try_from(take(stream, 4)?).ok()?).to_string(),
        3 => {
            let length = take(stream, 1)?[0].into();
            String::from_utf8(take(stream, length)?).ok()?
        }
        _ => return None,
    };
    let port = u16::from_be_bytes(take(stream, 2)?.try_into().ok()?);
    stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).ok()?;
    Some(format!("{host}:{port}"))
}

/// The server's half of HTTP CONNECT.
fn http(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).ok()?;
    assert!(head.contains("Proxy-Authorization: Basic bWU6c2VjcmV0\r\n"), "{head}");
    stream.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").ok()?;
    Some(head.strip_prefix("CONNECT ")?.split(' ').next()?.to_owned())
}

#[test]
fn everything_goes_through_the_proxy_and_names_are_resolved_by_it() {
    let sample = Sample::new("100MiB");
    let seeder = (Ipv4Addr::LOCALHOST, sample.port).into();
    for (scheme, speak) in [
        ("socks5", socks5 as fn(&mut TcpStream) -> Option<String>),
        ("http", http),
    ] {
        let relayed = Relayed::start(tracker(), seeder, speak);
        let url = format!("{scheme}://me:secret@{}", relayed.proxy);
        let get = sample.get(&["--proxy", &url, "--tracker", "http://tracker.invalid/announce"]);
        sample.assert_fetched(get);
        let asked: Vec<_> = relayed.asked.try_iter().collect();
        let others = |target: &&String| *target != "tracker.invalid:80" && *target != "192.0.2.1:7";
        assert_eq!(asked.iter().find(others), None);
        assert!(asked.iter().any(|target| target == "192.0.2.1:7"), "{asked:?}");
        assert!(asked.iter().any(|target| target == "tracker.invalid:80"), "{asked:?}");
    }
}

#[test]
fn names_of_peers_are_resolved_by_the_proxy() {
    let sample = Sample::new("100MiB");
    let seeder = (Ipv4Addr::LOCALHOST, sample.port).into();
    let magnet = {
        let shown = json(&tombolo(["magnet", "--json", sample.torrent.to_str().unwrap()]));
        format!(
            "{}&x.pe=other.invalid:8&x.pe=localhost:9",
            shown.1["magnet"].as_str().unwrap()
        )
    };
    let relayed = Relayed::start(seeder, seeder, socks5);
    let url = format!("socks5://me:secret@{}", relayed.proxy);
    let out = sample.path("out");
    let fixed = [
        "get",
        &magnet,
        "--out",
        out.to_str().unwrap(),
        "--json",
        "--no-trackers",
    ];
    let get = Running::start(fixed.iter().chain(&["--proxy", &url, "--peer", "peer.invalid:7"]));
    sample.assert_fetched(get);
    let mut asked: Vec<_> = relayed.asked.try_iter().collect();
    asked.sort();
    asked.dedup();
    assert_eq!(
        asked,
        ["other.invalid:8", "peer.invalid:7"],
        "and nothing that is local"
    );
}

#[test]
fn datagrams_go_out_from_the_address_named() {
    let sample = Sample::new("100MiB");
    // Over TCP nobody is there.
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    let node = UdpSocket::bind("127.0.0.1:0").unwrap();
    let [peer_at, node_at] = [&peer, &node].map(|socket| socket.local_addr().unwrap().to_string());
    let from = |socket: &UdpSocket| {
        socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        socket.recv_from(&mut [0; 1500]).unwrap().1.ip().to_string()
    };
    for listen in ["off", "127.0.0.1:0"] {
        let more = [
            "--no-trackers",
            "--bind",
            "127.0.0.9",
            "--listen",
            listen,
            "--peer",
            &peer_at,
            "--dht-bootstrap",
            &node_at,
        ];
        let mut get = sample.get(&more);
        assert_eq!(from(&peer), "127.0.0.9", "uTP, listening {listen}");
        assert_eq!(from(&node), "127.0.0.9", "the DHT, listening {listen}");
        assert_eq!(get.end("INT"), Some(130));
        // What was sent meanwhile.
        for socket in [&peer, &node] {
            socket.set_nonblocking(true).unwrap();
            while socket.recv(&mut [0; 1500]).is_ok() {}
            socket.set_nonblocking(false).unwrap();
        }
    }
    let data = sample.path("data");
    let mut serve = Running::start([
        "serve",
        "--json",
        "--data",
        data.to_str().unwrap(),
        "--listen",
        "127.0.0.1:0",
        "--bridge",
        "open",
        "--allow-local",
        "--no-lsd",
        "--bind",
        "127.0.0.9",
        "--dht-bootstrap",
        &node_at,
    ]);
    assert_eq!(
        from(&node),
        "127.0.0.9",
        "the DHT of a relay without a listener for peers"
    );
    assert_eq!(serve.end("INT"), Some(130));
}

#[test]
fn a_bad_proxy_is_refused_and_a_dead_one_hides_all_the_same() {
    let sample = Sample::new("100MiB");
    let peer = format!("127.0.0.1:{}", sample.port);
    let mut get = sample.get(&["--proxy", "ftp://h", "--peer", &peer]);
    let error = get.until(|_| true);
    assert_eq!(error["error"]["code"], "bad-proxy");
    assert_eq!(get.wait(), Some(2));
    // Nobody is there any more.
    let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let tracker = format!("http://{}/announce", tracker());
    let url = format!("socks5://{dead}");
    let mut get = sample.get(&["--proxy", &url, "--peer", &peer, "--tracker", &tracker]);
    let alert = get.until(|line| line.get("alert").is_some());
    assert!(alert["alert"].as_str().unwrap().contains("refused"), "{alert}");
    assert_eq!(get.end("INT"), Some(130));
    assert!(get.lines().iter().all(|line| line["peers"].as_u64().unwrap_or(0) == 0));
}

#[test]
fn connections_are_made_from_the_address_named() {
    let sample = Sample::new("100MiB");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = listener.local_addr().unwrap().to_string();
    let mut get = sample.get(&["--no-trackers", "--no-dht", "--bind", "127.0.0.9", "--peer", &peer]);
    let (_, from) = listener.accept().unwrap();
    assert_eq!(from.ip().to_string(), "127.0.0.9");
    assert_eq!(get.end("INT"), Some(130));
}

#[test]
fn lists_are_obeyed_and_read_again_on_hangup() {
    let mut sample = Sample::new("100KiB");
    let list = sample.path("list");
    let peer = format!("127.0.0.1:{}", sample.port);
    let blocked = TcpListener::bind("127.0.0.3:0").unwrap();
    blocked.set_nonblocking(true).unwrap();
    let never = blocked.local_addr().unwrap().to_string();
    fs::write(&list, "127.0.0.3\n").unwrap();
    let more = [
        "--no-trackers",
        "--no-dht",
        "--block-list",
        list.to_str().unwrap(),
        "--peer",
        &peer,
        "--peer",
        &never,
    ];
    let mut get = sample.get(&more);
    let hangup = |get: &Running| {
        let sent = Command::new("kill")
            .args(["-s", "HUP", &get.id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
    };
    let peers = |line: &serde_json::Value| line["peers"].as_u64();
    get.until(|line| line["payload"].as_u64() > Some(0));
    fs::write(&list, "127.0.0.0/24\n").unwrap();
    hangup(&get);
    get.until(|line| peers(line) == Some(0));
    let gone = |line: &serde_json::Value| line["uploaded"].as_u64() > Some(0) && peers(line) == Some(0);
    sample.seeder.until(gone);
    fs::write(&list, "127.0.0.3\n").unwrap();
    hangup(&get);
    get.until(|line| peers(line) == Some(1));
    sample.assert_fetched(get);
    assert!(blocked.accept().is_err(), "it was never connected to");
}
