//! Native and web peers that announce to the relay, and do nothing else, meet through it.

use std::path::Path;

use serde_json::json;

use crate::common::peer;
use crate::common::running::Running;
use crate::relay::{Relay, eventually};
use crate::socket::Socket;
use crate::torrent::{PIECE, Sample};
use crate::tracker::{heard, web_in};
use crate::wire::Tab;

/// A native client of the command line, in a folder, that knows the sample's .torrent and one tracker.
fn native(role: &str, transport: &str, folder: &Path, tracker: &str) -> Running {
    let manner = ["--transport", transport, "--tracker", tracker];
    peer(role, folder.join("x.torrent"), &folder.join("content"), &manner)
}

/// One that has the content and has been answered by the tracker.
pub(crate) fn seeder(sample: &Sample, folder: &Path, tracker: &str) -> Running {
    std::fs::write(folder.join("x.torrent"), sample.torrent()).unwrap();
    std::fs::create_dir(folder.join("content")).unwrap();
    std::fs::write(folder.join("content/sample"), &sample.content).unwrap();
    let mut seeder = native("seeder", "tcp", folder, tracker);
    seeder.ready();
    seeder.until(|line| line.get("announced").is_some());
    seeder
}

/// The relay as a tracker that is reached so.
pub(crate) fn tracker(relay: &Relay, scheme: &str) -> String {
    let listener = if scheme == "udp" { "udp" } else { "http" };
    format!("{scheme}://{}/announce", relay.address(listener))
}

/// A web peer's announce without offers, and the tracker's answer to it.
fn announce(relay: &Relay, sample: &Sample) -> Socket {
    let mut socket = Socket::open(relay.address("http"), "/announce");
    socket.text(&web_in(sample.swarm(), 1, json!({"event": "started", "offers": []})));
    assert_eq!(heard(&mut socket)["interval"], 120);
    socket
}

#[test]
fn a_native_that_comes_to_web_peers_brings_the_relay() {
    for scheme in ["http", "udp"] {
        let (sample, folder) = (Sample::new(6 * PIECE, 11), tempfile::tempdir().unwrap());
        let relay = Relay::start(&[]);
        let mut web = announce(&relay, &sample);
        assert_eq!(relay.stats()["torrents"], 0, "web peers alone need no bridge");
        let _seeder = seeder(&sample, folder.path(), &tracker(&relay, scheme));
        assert_eq!(relay.stats()["torrents"], 1, "{scheme}");
        let called = heard(&mut web);
        assert_eq!(
            (&called["action"], &called["interval"]),
            (&json!("announce"), &json!(2))
        );
        assert_eq!(
            called["incomplete"], 2,
            "the relay's own peer is in the table like any other"
        );
        let mut tab = Tab::open(relay.address("http"), sample.swarm());
        assert!(tab.piece(4) == sample.content[4 * PIECE..5 * PIECE]);
        assert_eq!(relay.stats()["panics"], 0);
    }
}

#[test]
fn a_web_peer_that_comes_to_natives_brings_the_relay() {
    let (sample, folders) = (
        Sample::new(6 * PIECE, 12),
        [(); 2].map(|()| tempfile::tempdir().unwrap()),
    );
    let [here, there] = folders.each_ref().map(tempfile::TempDir::path);
    let relay = Relay::start(&[]);
    let _seeder = seeder(&sample, here, &tracker(&relay, "http"));
    assert_eq!(relay.stats()["torrents"], 0, "natives alone need no bridge");
    std::fs::copy(here.join("x.torrent"), there.join("x.torrent")).unwrap();
    let mut leecher = native("leecher", "rtc", there, &tracker(&relay, "ws"));
    leecher.until(|line| line.get("finished").is_some());
    assert!(std::fs::read(there.join("content/sample")).unwrap() == sample.content);
    let stats = relay.stats();
    assert_eq!(
        (&stats["torrents"], &stats["bytes_native_in"]),
        (&json!(1), &json!(6 * PIECE))
    );
}

#[test]
fn the_policy_says_whether_they_meet() {
    let sample = Sample::new(PIECE, 13);
    let hash = sample.swarm().to_string();
    for (policy, torrents) in [
        (&["--bridge", "off"][..], 0),
        (&["--bridge", "list"], 0),
        (&["--bridge", "list", "--allow", &hash], 1),
    ] {
        let (relay, folder) = (Relay::start(policy), tempfile::tempdir().unwrap());
        let _web = announce(&relay, &sample);
        let _seeder = seeder(&sample, folder.path(), &tracker(&relay, "http"));
        let _again = announce(&relay, &sample);
        assert_eq!(relay.stats()["torrents"], torrents, "{policy:?}");
    }
}

#[test]
fn a_native_that_left_brings_nobody() {
    let (sample, folder) = (Sample::new(PIECE, 14), tempfile::tempdir().unwrap());
    let relay = Relay::start(&[]);
    let mut seeder = seeder(&sample, folder.path(), &tracker(&relay, "http"));
    assert_eq!(seeder.end("TERM"), Some(0));
    eventually("it has left", || (relay.stats()["swarm_peers"] == 0).then_some(()));
    let _web = announce(&relay, &sample);
    assert_eq!(relay.stats()["torrents"], 0);
}
