//! Native peers over TCP and uTP, in the clear and encrypted.

mod common;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use common::running::Running;
use common::{assert_same, create, json, peer, prepared, text, tombolo};
use serde_json::json;

/// Whether a leecher that dials a seeder gets everything, with these flags of both.
fn trades(seeding: &[&str], leeching: &[&str]) {
    let (dir, torrent) = prepared();
    let mut seed = peer("seeder", &torrent, &dir.path().join("seed"), seeding);
    let port = seed.ready();
    let mut leech = peer("leecher", &torrent, &dir.path().join("out"), leeching);
    leech.ready();
    leech.say(&json!({"connect": ["127.0.0.1", port]}));
    leech.until(|line| line.get("finished").is_some());
    assert_same(&dir.path().join("seed/set"), &dir.path().join("out/set"));
    assert_eq!(leech.end("TERM"), Some(0));
    assert_eq!(seed.end("TERM"), Some(0));
}

#[test]
fn over_utp() {
    trades(&["--transport", "utp"], &["--transport", "utp"]);
}

#[test]
fn over_utp_encrypted() {
    let flags = ["--transport", "utp", "--encryption", "require"];
    trades(&flags, &flags);
}

#[test]
fn every_pair_of_policies_that_can_agree_does() {
    for (seeding, leeching) in [
        ("require", "require"),
        ("require", "prefer"),
        ("prefer", "require"),
        ("off", "prefer"),
        ("prefer", "off"),
        ("off", "off"),
    ] {
        trades(&["--encryption", seeding], &["--encryption", leeching]);
    }
}

/// Whether a peer answers these first bytes at all.
fn is_answered(port: u16, first: &[u8]) -> bool {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    // Reached only where the peer neither answers nor closes.
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.write_all(first).unwrap();
    let mut answer = [0; 20];
    match stream.read(&mut answer) {
        Ok(0) => false,
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}");
            false
        }
    }
}

#[test]
fn what_the_policy_forbids_is_closed() {
    let (dir, torrent) = prepared();
    let (_, shown) = json(&tombolo(["show", "--json", text(&torrent)]));
    let hex = shown["info_hash_v1"].as_str().unwrap();
    let hash = (0..20).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap());
    let mut plaintext = b"\x13BitTorrent protocol\0\0\0\0\0\0\0\0".to_vec();
    plaintext.extend(hash);
    plaintext.extend_from_slice(b"-XX0000-000000000000");
    // A public key and no padding; the key in answer is all that can be had with it.
    let hidden = [0x55; 96];
    for (policy, plain, key) in [("prefer", true, true), ("require", false, true), ("off", true, false)] {
        let mut seed = peer("seeder", &torrent, &dir.path().join("seed"), &["--encryption", policy]);
        let port = seed.ready();
        assert_eq!(is_answered(port, &plaintext), plain, "{policy}: plaintext");
        assert_eq!(is_answered(port, &hidden), key, "{policy}: hidden");
    }
}

#[test]
fn required_encryption_dials_nobody_in_plaintext() {
    let (dir, torrent) = prepared();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut leech = peer(
        "leecher",
        &torrent,
        &dir.path().join("out"),
        &["--encryption", "require"],
    );
    leech.ready();
    leech.say(&json!({"connect": ["127.0.0.1", listener.local_addr().unwrap().port()]}));
    let (mut stream, _) = listener.accept().unwrap();
    let mut first = [0; 20];
    stream.read_exact(&mut first).unwrap();
    assert_ne!(&first, b"\x13BitTorrent protocol");
}

#[test]
fn get_finds_a_peer_that_has_utp_alone() {
    let (dir, torrent) = prepared();
    let mut seed = peer("seeder", &torrent, &dir.path().join("seed"), &["--transport", "utp"]);
    let address = format!("127.0.0.1:{}", seed.ready());
    let out = dir.path().join("out");
    let args = ["get", text(&torrent), "--out", text(&out), "--json", "--peer", &address];
    let quiet = ["--no-trackers", "--no-dht", "--no-lsd", "--no-portmap"];
    for listen in ["127.0.0.1:0", "off"] {
        let mut get = Running::start(args.into_iter().chain(quiet).chain(["--listen", listen]));
        assert_eq!(get.wait(), Some(0), "{:?}", get.lines());
        assert_same(&dir.path().join("seed/set"), &out.join("set"));
        std::fs::remove_dir_all(&out).unwrap();
    }
}

#[test]
fn a_get_is_reached_over_utp_at_its_tcp_port() {
    let (dir, torrent) = prepared();
    let set = dir.path().join("seed/set");
    let mut seed = Running::start(["seed", text(&set), "--json", "--no-trackers", "--listen", "127.0.0.1:0"]);
    let port = seed.until(|_| true)["ready"].as_u64().unwrap();
    let (_, shown) = json(&tombolo(["show", "--json", text(&torrent)]));
    assert_eq!(shown["name"], "set");
    let made = dir.path().join("made.torrent");
    create(&set, &made, &[]);
    let mut leech = peer("leecher", &made, &dir.path().join("out"), &["--transport", "utp"]);
    leech.ready();
    leech.say(&json!({"connect": ["127.0.0.1", port]}));
    leech.until(|line| line.get("finished").is_some());
    assert_same(&set, &dir.path().join("out/set"));
}
