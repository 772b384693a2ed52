//! What one torrent may use of a relay with two shards: nearly all of it, since the other shard has nothing to do.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use tombolo_core::key::hex;

use crate::relay::{Relay, eventually};
use crate::torrent::{PIECE, Sample};
use crate::trade::Seed;

/// Two shards: one for two threads.
const TWO: [&str; 2] = ["--threads", "4"];

#[test]
fn one_torrent_gets_far_more_than_an_even_share_of_the_cache() {
    let sample = Sample::new(128 * PIECE, 41);
    let seed = Seed::start(&sample);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.torrent");
    std::fs::write(&file, sample.torrent()).unwrap();
    // A quarter of it fits; half of that would fit into an even share.
    let cache = 32 * PIECE as u64;
    let relay = Relay::start(
        &[
            &TWO[..],
            &["--cache", &cache.to_string(), "--add", file.to_str().unwrap()],
        ]
        .concat(),
    );
    let hash = hex(&sample.swarm().0);
    relay.json(
        &format!("POST /api/torrents/{hash}/peers"),
        &json!({"peers": [seed.address.to_string()]}),
    );
    // The idle shard keeps an eighth of an even share, and what was open when the last room was taken is let go.
    let nearly = cache * 3 / 4;
    let held = eventually("the cache is nearly full", || {
        let held = relay.stats()["cache_bytes"].as_u64().unwrap();
        (held >= nearly).then_some(held)
    });
    assert!(held <= cache, "{held}");
    drop(relay);
    seed.stop();
}

#[test]
fn one_torrent_gets_nearly_all_connections() {
    let sample = Sample::new(4 * PIECE, 42);
    let relay = Relay::start(&[&TWO[..], &["--connections", "16", "--encryption", "off"]].concat());
    let torrent = STANDARD.encode(sample.torrent());
    assert_eq!(relay.json("POST /api/torrents", &json!({"torrent": torrent})).0, 201);
    let mut peers = Vec::new();
    let mut number = 0;
    // Who comes when all places are taken is closed, and may come again when there are more.
    let linked = eventually("there are fifteen", || {
        number += 1;
        let mut stream = TcpStream::connect(relay.address("tcp")).unwrap();
        let id = format!("-XX0000-{number:012}");
        let handshake = [
            &b"\x13BitTorrent protocol\0\0\0\0\0\0\0\0"[..],
            &sample.swarm().0,
            id.as_bytes(),
        ]
        .concat();
        stream.write_all(&handshake).unwrap();
        let _ = stream.read_exact(&mut [0; 68]);
        peers.push(stream);
        let linked = relay.stats()["peers_native"].as_u64().unwrap();
        (linked >= 15).then_some(linked)
    });
    assert_eq!(linked, 15, "the other shard keeps a place");
}
