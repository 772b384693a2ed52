//! Whom the tracker serves, with which swarms, and that it remembers them over a restart.

use std::process::Command;

use serde_json::{Value, json};
use tombolo_core::tracker::http::parse_announce;
use tombolo_core::tracker::query::AnnounceEvent;
use tombolo_core::tracker::udp::Response;

use crate::faces::{SWARM, Udp, announce};
use crate::relay::{Relay, eventually};
use crate::socket::Socket;
use crate::tracker::{escaped, heard, web_in};

/// Why an announce is refused, if it is.
fn refusal(relay: &Relay, before: &str) -> Option<String> {
    let (swarm, id) = (escaped(&SWARM.0), escaped(&[1; 20]));
    let (status, body) = relay.get(&format!(
        "{before}/announce?info_hash={swarm}&peer_id={id}&port=7001&left=1"
    ));
    assert_eq!(status, 200);
    parse_announce(&body).err().map(|error| error.to_string())
}

fn web(relay: &Relay, path: &str) -> Value {
    let mut socket = Socket::open(relay.address("http"), path);
    socket.text(&web_in(SWARM, 3, json!({"offers": []})));
    heard(&mut socket)
}

#[test]
fn lists_are_obeyed_as_they_change() {
    let folder = tempfile::tempdir().unwrap();
    let deny = folder.path().join("deny");
    std::fs::write(&deny, format!("# nobody wants it\n{SWARM}\n")).unwrap();
    let relay = Relay::start(&["--tracker-deny", deny.to_str().unwrap()]);
    let udp = Udp::open(relay.address("udp"));
    let not_served = |text: &str| text.contains("does not serve");
    assert!(refusal(&relay, "").is_some_and(|text| not_served(&text)));
    assert!(not_served(web(&relay, "/")["failure reason"].as_str().unwrap()));
    assert!(matches!(udp.announce(2, 1, AnnounceEvent::Started, ""), Response::Error(_, text) if not_served(&text)));
    // Not by the bridge either.
    let joined = relay.json("POST /api/torrents", &json!({"info_hash": SWARM.to_string()}));
    assert_eq!((joined.0, &joined.1["error"]["code"]), (403, &json!("not-allowed")));
    std::fs::write(&deny, "").unwrap();
    relay.signal("HUP");
    eventually("the list is read", || refusal(&relay, "").is_none().then_some(()));
    std::fs::write(&deny, SWARM.to_string()).unwrap();
    eventually("the list is read by itself", || refusal(&relay, ""));
}

#[test]
fn an_allow_list_leaves_out_all_else() {
    let folder = tempfile::tempdir().unwrap();
    let allow = folder.path().join("allow");
    std::fs::write(&allow, "ab".repeat(20)).unwrap();
    let arguments = ["--tracker-allow", allow.to_str().unwrap()];
    let relay = Relay::start(&arguments);
    assert!(refusal(&relay, "").is_some());
    std::fs::write(&allow, "ab".repeat(20) + "\n" + &SWARM.to_string()).unwrap();
    eventually("the list is read", || refusal(&relay, "").is_none().then_some(()));
    std::fs::write(&allow, "no hash").unwrap();
    let mut failed = Relay::spawn(folder.path(), &arguments);
    let error = failed.line();
    assert_eq!(error["error"]["code"], "list", "{error}");
    assert_eq!(failed.wait().code(), Some(1));
}

fn passkey(data: &std::path::Path, more: &[&str]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_tombolo"))
        .args(["passkey", "--json", "--data"])
        .arg(data)
        .args(more)
        .output()
        .unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_private_tracker_serves_who_has_a_passkey() {
    let folder = tempfile::tempdir().unwrap();
    let key = passkey(folder.path(), &["--days", "30"]);
    let relay = Relay::start_in(folder.path(), &["--allow-local", "--private"]);
    let (path, before) = (
        key["path"].as_str().unwrap(),
        format!("/{}", key["passkey"].as_str().unwrap()),
    );
    assert!(key["expires"].as_u64().unwrap() > 1_700_000_000);
    assert!(refusal(&relay, "").is_some_and(|text| text.contains("private")));
    assert!(refusal(&relay, "/0-00112233445566778899aabbccddeeff").is_some_and(|text| text.contains("not of this")));
    assert_eq!(refusal(&relay, &before), None);
    assert!(web(&relay, "/announce")["failure reason"].is_string());
    assert_eq!(web(&relay, path)["incomplete"], 2);
    let udp = Udp::open(relay.address("udp"));
    assert!(matches!(
        udp.announce(2, 1, AnnounceEvent::Started, "/announce"),
        Response::Error(..)
    ));
    assert!(matches!(
        udp.announce(2, 1, AnnounceEvent::Started, path),
        Response::Announce(..)
    ));
    let scrape = format!("/scrape?info_hash={}", escaped(&SWARM.0));
    assert!(relay.get(&scrape).1.starts_with(b"d14:failure"));
    assert!(relay.get(&(before.clone() + &scrape)).1.starts_with(b"d5:files"));
    let expired = passkey(folder.path(), &["--days", "0"])["path"]
        .as_str()
        .unwrap()
        .to_owned();
    let expired = expired.trim_end_matches("/announce");
    assert!(refusal(&relay, expired).is_some_and(|text| text.contains("expired")));
    // The secret of another folder is another.
    let other = tempfile::tempdir().unwrap();
    let foreign = passkey(other.path(), &[]);
    assert!(foreign["expires"].is_null());
    let foreign = format!("/{}", foreign["passkey"].as_str().unwrap());
    assert!(refusal(&relay, &foreign).is_some_and(|text| text.contains("not of this")));
}

#[test]
fn a_restart_forgets_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let start = |more: &[&str]| Relay::start_in(folder.path(), &[&["--allow-local"], more].concat());
    let mut relay = start(&[]);
    let at = relay.address("http");
    announce(&relay, at, 1, "&port=7001&left=0&event=completed");
    announce(&relay, at, 2, "&port=7002&left=1&ipv6=%3A%3A1");
    relay.signal("TERM");
    assert_eq!(relay.wait().code(), Some(0));
    let mut relay = start(&[]);
    assert_eq!(relay.stats()["swarm_peers"], 3);
    let reply = announce(&relay, relay.address("http"), 3, "&port=7003&left=1&numwant=0");
    assert_eq!((reply.complete, reply.incomplete), (Some(1), Some(2)));
    relay.signal("TERM");
    relay.wait();
    // Damaged, it is as if it were not there; or as much of it as is damaged.
    let path = folder.path().join("tracker.peers");
    let whole = std::fs::read(&path).unwrap();
    for damaged in [
        &b"rubbish"[..],
        b"",
        &whole[..whole.len() - 1],
        &[whole.clone(), vec![9; 50]].concat(),
    ] {
        std::fs::write(&path, damaged).unwrap();
        let relay = start(&[]);
        let expected = if damaged.len() > whole.len() { 4 } else { 0 };
        assert_eq!(relay.stats()["swarm_peers"], expected);
    }
    std::fs::write(&path, &whole).unwrap();
    let relay = start(&["--peer-ttl", "1"]);
    eventually("the silent are forgotten as ever", || {
        (relay.stats()["swarm_peers"] == 0).then_some(())
    });
}
