//! How often one address may ask, and that `--no-limits` lifts it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use crate::relay::{PATIENCE, Relay};

/// Requests that are sent in one go.
const BATCH: usize = 2_000;

/// How many of a batch of requests for `path` are refused by an answer with `mark` in it.
fn refused(relay: &Relay, path: &str, mark: &str) -> usize {
    let address = relay.address("http");
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut sending = stream.try_clone().unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n");
    let last = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let sender = std::thread::spawn(move || {
        let all = [request.repeat(BATCH - 1), last].concat();
        sending.write_all(all.as_bytes()).unwrap();
    });
    let mut answers = Vec::new();
    stream.read_to_end(&mut answers).unwrap();
    sender.join().unwrap();
    let answers = String::from_utf8_lossy(&answers);
    assert_eq!(answers.matches("HTTP/1.1 ").count(), BATCH);
    answers.matches(mark).count()
}

const HASH: &str = "info_hash=aaaaaaaaaaaaaaaaaaaa&peer_id=bbbbbbbbbbbbbbbbbbbb&port=7000&left=0";

#[test]
fn one_address_may_ask_so_often_and_no_more() {
    let relay = Relay::start(&[]);
    // However slow this machine is, it asks faster than the allowance grows.
    let is_refused = |path: &str, mark: &str| (0..50).any(|_| refused(&relay, path, mark) > 0);
    assert!(is_refused("/api/nothing", "too-many-requests"));
    assert!(is_refused(&format!("/announce?{HASH}"), "8:retry ini1e"));
    assert!(
        refused(&relay, &format!("/scrape?{HASH}"), "8:retry ini1e") > 0,
        "announces and scrapes count together"
    );
    assert_eq!(relay.get("/health").0, 200, "what is not limited is answered");
}

#[test]
fn limits_can_be_lifted() {
    let relay = Relay::start(&["--no-limits"]);
    for _ in 0..8 {
        assert_eq!(refused(&relay, "/api/nothing", "too-many-requests"), 0);
        assert_eq!(refused(&relay, &format!("/announce?{HASH}"), "8:retry ini1e"), 0);
    }
}
