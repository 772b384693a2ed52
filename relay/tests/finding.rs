//! Peers that find each other without a tracker: by PEX, by local discovery, by the DHT, each with all else off.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::running::Running;
use common::{assert_same, create, noise, text, write};
use serde_json::json;

const ANYWHERE: &str = "127.0.0.1:0";

/// A folder with content that no other test has, so that none of them meet, and its `.torrent`.
fn prepared(seed: u64) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let content = dir.path().join("seed/file.bin");
    // Of another process of these tests as well.
    write(&content, &noise(seed ^ u64::from(std::process::id()) << 8, 300_000));
    let torrent = dir.path().join("x.torrent");
    create(&content, &torrent, &["--piece-length", "16KiB"]);
    (dir, torrent)
}

fn seed(torrent: &Path, dir: &Path, more: &[&str]) -> (Running, u16) {
    let content = dir.join("seed");
    let fixed = [
        "seed",
        text(torrent),
        "--dir",
        text(&content),
        "--json",
        "--no-trackers",
        "--no-portmap",
    ];
    let mut seed = Running::start(fixed.into_iter().chain(more.iter().copied()));
    let port = seed.ready();
    (seed, port)
}

fn get(torrent: &Path, out: &Path, more: &[&str]) -> Running {
    let fixed = [
        "get",
        text(torrent),
        "--out",
        text(out),
        "--json",
        "--no-trackers",
        "--no-portmap",
    ];
    Running::start(fixed.into_iter().chain(more.iter().copied()))
}

/// The flags of one that has the DHT alone, and begins at that node.
const fn by_dht(bootstrap: &str) -> [&str; 6] {
    [
        "--no-lsd",
        "--allow-local",
        "--listen",
        ANYWHERE,
        "--dht-bootstrap",
        bootstrap,
    ]
}

#[test]
fn by_peer_exchange() {
    let (dir, torrent) = prepared(1);
    let peer = |role, at: &str, more: &[&str]| {
        let more = [&["--no-trackers"], more].concat();
        common::peer(role, &torrent, &dir.path().join(at), &more)
    };
    let mut seeder = peer("seeder", "seed", &["--up", "20000"]);
    let seeder_port = seeder.ready();
    let mut middle = peer("leecher", "middle", &[]);
    let middle_port = middle.ready();
    middle.say(&json!({"connect": ["127.0.0.1", seeder_port]}));
    middle.until(|line| line["peers"] == 1);
    let mut leech = peer("leecher", "leech", &[]);
    leech.ready();
    leech.say(&json!({"connect": ["127.0.0.1", middle_port]}));
    leech.until(|line| line["peers"] == 2);
    seeder.until(|line| line["peers"] == 2);
}

#[test]
fn by_local_discovery() {
    let (dir, torrent) = prepared(2);
    let flags = [
        "--no-dht",
        "--allow-local",
        "--listen",
        ANYWHERE,
        "--lsd-interface",
        "127.0.0.1",
    ];
    let _seed = seed(&torrent, dir.path(), &flags);
    let out = dir.path().join("out");
    let mut get = get(&torrent, &out, &flags);
    assert_eq!(get.wait(), Some(0));
    assert_same(&dir.path().join("seed"), &out);
}

#[test]
fn by_the_dht_and_its_table_is_kept() {
    let (dir, torrent) = prepared(3);
    let data = dir.path().join("relay");
    let relay = [
        "serve",
        "--json",
        "--data",
        text(&data),
        "--listen",
        ANYWHERE,
        "--tcp",
        ANYWHERE,
        "--allow-local",
        "--no-lsd",
        "--dht-bootstrap",
    ];
    let mut first = Running::start(relay.into_iter().chain(["none"]));
    let ready = first.until(|line| line["event"] == "ready");
    let bootstrap = ready["tcp"].as_str().unwrap().to_owned();
    let flags = by_dht(&bootstrap);
    let (_seed, port) = seed(&torrent, dir.path(), &flags);
    let out = dir.path().join("out");
    let mut leech = get(&torrent, &out, &flags);
    assert_eq!(leech.wait(), Some(0));
    assert_same(&dir.path().join("seed"), &out);
    assert!(fs::metadata(out.join(".tombolo/dht")).unwrap().len() > 0);
    assert_eq!(first.end("TERM"), Some(0));
    assert!(fs::metadata(data.join("dht")).unwrap().len() > 0, "the table");

    // The node that all began with is gone: the seed is as good to begin with.
    let bootstrap = format!("127.0.0.1:{port}");
    let flags = by_dht(&bootstrap);
    let out = dir.path().join("again");
    let mut leech = get(&torrent, &out, &flags);
    assert_eq!(leech.wait(), Some(0));
    assert_same(&dir.path().join("seed"), &out);
}

#[test]
fn a_relay_finds_the_peers_of_what_it_bridges() {
    let (dir, torrent) = prepared(4);
    let (_, shown) = common::json(&common::tombolo(["show", "--json", text(&torrent)]));
    let flags = by_dht("none");
    let (_seed, port) = seed(&torrent, dir.path(), &flags);
    let data = dir.path().join("relay");
    let bootstrap = format!("127.0.0.1:{port}");
    let hash = shown["info_hash_v1"].as_str().unwrap();
    let mut relay = Running::start([
        "serve",
        "--json",
        "--data",
        text(&data),
        "--listen",
        "off",
        "--tcp",
        ANYWHERE,
        "--allow-local",
        "--no-lsd",
        "--dht-bootstrap",
        &bootstrap,
        "--add",
        hash,
    ]);
    relay.until(|line| line["event"] == "ready");
    // It fetches what it is to bridge: the metadata came from a peer that only the DHT named.
    let metainfo = data.join("torrents");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while fs::read_dir(&metainfo).unwrap().count() == 0 {
        assert!(std::time::Instant::now() < deadline, "no metadata came");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

/// Whether a peer's handshake says that it is a node of the DHT.
fn is_a_node(port: u16, hash: &str) -> bool {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    let mut hello = b"\x13BitTorrent protocol\0\0\0\0\0\0\0\0".to_vec();
    hello.extend((0..20).map(|at| u8::from_str_radix(&hash[2 * at..2 * at + 2], 16).unwrap()));
    hello.extend(b"-XX0000-abcdefghijkl");
    stream.write_all(&hello).unwrap();
    let mut answer = [0; 68];
    stream.read_exact(&mut answer).unwrap();
    answer[27] & 1 == 1
}

#[test]
fn what_is_switched_off_is_off() {
    let (dir, torrent) = prepared(5);
    let (_, shown) = common::json(&common::tombolo(["show", "--json", text(&torrent)]));
    let hash = shown["info_hash_v1"].as_str().unwrap();
    for (flags, on) in [(&["--no-dht"][..], false), (&["--dht-bootstrap", "none"], true)] {
        let flags = [flags, &["--no-lsd", "--allow-local", "--listen", ANYWHERE]].concat();
        let (_seed, port) = seed(&torrent, dir.path(), &flags);
        assert_eq!(is_a_node(port, hash), on);
    }
    let refused = common::tombolo(["get", text(&torrent), "--no-dht", "--dht-bootstrap", "none"]);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
}
