//! `tombolo seed`, `get` and `peer` against each other over TCP on loopback.

mod common;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use common::running::Running;
use common::{assert_same, create, json, noise, odd_files, peer, prepared, refusal, text, tombolo, write};
use serde_json::{Value, json};

/// A seeder of that torrent under our control.
fn seeder(torrent: &Path, dir: &Path, more: &[&str]) -> Running {
    peer("seeder", torrent, dir, more)
}

/// Lets a leecher fetch from the peer at that port until it has everything: its last progress line.
fn fetch(leech: &mut Running, port: u16) -> Value {
    leech.say(&json!({"connect": ["127.0.0.1", port]}));
    let finished = leech.until(|line| line.get("finished").is_some());
    assert!(finished["finished"].as_f64().unwrap() > 1e9);
    let mut lines = leech.lines().iter().rev();
    lines.find(|line| line.get("t").is_some()).cloned().unwrap()
}

#[test]
fn a_leecher_gets_the_same_bytes_and_seeds_on() {
    let (dir, torrent) = prepared();
    let mut seed = seeder(&torrent, &dir.path().join("seed"), &[]);
    let port = seed.ready();
    let mut leech = peer("leecher", &torrent, &dir.path().join("one"), &[]);
    let middle = leech.ready();
    let before = fetch(&mut leech, port);
    assert_same(&dir.path().join("seed/set"), &dir.path().join("one/set"));
    assert_eq!(
        (&before["done"], &before["state"]),
        (&json!(493_470), &json!("seeding"))
    );
    assert!(before["payload"].as_u64().unwrap() >= 493_470, "{before}");
    drop(seed);

    let mut next = peer("leecher", &torrent, &dir.path().join("two"), &[]);
    next.ready();
    fetch(&mut next, middle);
    assert_same(&dir.path().join("seed/set"), &dir.path().join("two/set"));
    let uploaded = |line: &Value| line["uploaded"].as_u64() >= Some(493_470);
    leech.until(uploaded);
    assert_eq!(leech.end("TERM"), Some(0));
    assert_eq!(next.end("INT"), Some(130));
}

#[test]
fn programs_and_links_arrive_as_such() {
    let dir = tempfile::tempdir().unwrap();
    let set = dir.path().join("seed/set");
    write(&set.join("bin/run"), &noise(3, 20_000));
    write(&set.join("plain"), b"x");
    fs::set_permissions(set.join("bin/run"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("bin/run", set.join("start")).unwrap();
    for version in ["--v1", "--hybrid"] {
        let torrent = dir.path().join(format!("{version}.torrent"));
        create(&set, &torrent, &[version, "--symlinks", "--pad"]);
        let mut seed = seeder(&torrent, &dir.path().join("seed"), &[]);
        let port = seed.ready();
        let out = dir.path().join(version);
        let mut leech = peer("leecher", &torrent, &out, &[]);
        leech.ready();
        fetch(&mut leech, port);
        let mode = |name: &str| fs::metadata(out.join("set").join(name)).unwrap().permissions().mode();
        assert_eq!((mode("bin/run") & 0o100, mode("plain") & 0o111), (0o100, 0));
        assert_eq!(fs::read_link(out.join("set/start")).unwrap(), Path::new("bin/run"));
        assert_eq!(fs::read(out.join("set/start")).unwrap(), noise(3, 20_000));
    }
}

#[test]
fn a_seeder_writes_nothing_and_refuses_what_is_not_whole() {
    let (dir, torrent) = prepared();
    let content = dir.path().join("seed");
    let mut seed = seeder(&torrent, &content, &[]);
    seed.ready();
    assert_eq!(seed.end("TERM"), Some(0));
    assert_eq!(fs::read_dir(&content).unwrap().count(), 1);

    fs::write(content.join("set/last.bin"), noise(1, 300_011)).unwrap();
    let mut seed = seeder(&torrent, &content, &[]);
    let error = seed.until(|line| line.get("error").is_some());
    assert_eq!(error["error"]["code"], "incomplete");
    assert_eq!(seed.wait(), Some(1));
}

#[test]
fn get_by_magnet_from_seed() {
    let dir = tempfile::tempdir().unwrap();
    let set = odd_files(dir.path());
    let mut seed = Running::start(["seed", text(&set), "--json", "--no-trackers", "--listen", "127.0.0.1:0"]);
    let first = seed.until(|_| true);
    let (port, magnet) = (first["ready"].as_u64().unwrap(), first["magnet"].as_str().unwrap());
    assert_eq!(first["info_hash_v2"], json!(null));
    let out = dir.path().join("out");
    let link = format!("{magnet}&x.pe=127.0.0.1:{port}");
    let args = [
        "get",
        &link,
        "--out",
        text(&out),
        "--json",
        "--allow-local",
        "--listen",
        "127.0.0.1:0",
    ];
    let mut get = Running::start(args);
    get.until(|line| line.get("finished").is_some());
    assert_eq!(get.wait(), Some(0));
    assert_same(&set, &out.join("set"));

    // Whole already: at once, and from nobody.
    drop(seed);
    let mut get = Running::start(args);
    get.until(|line| line.get("metadata").is_some() || line["state"] == "metadata");
    assert_eq!(get.end("INT"), Some(130));
    let torrent = dir.path().join("x.torrent");
    create(&set, &torrent, &[]);
    let mut get = Running::start([
        "get",
        text(&torrent),
        "--out",
        text(&out),
        "--json",
        "--no-trackers",
        "--listen",
        "127.0.0.1:0",
    ]);
    get.until(|line| line.get("finished").is_some());
    assert_eq!(get.wait(), Some(0));
}

#[test]
fn a_magnet_selects_files() {
    let (dir, torrent) = prepared();
    let mut seed = seeder(&torrent, &dir.path().join("seed"), &[]);
    let port = seed.ready();
    let (_, shown) = json(&tombolo(["show", "--json", text(&torrent)]));
    let link = format!("magnet:?xt=urn:btih:{}&so=4", shown["info_hash_v1"].as_str().unwrap());
    let out = dir.path().join("out");
    let peer = format!("127.0.0.1:{port}");
    let mut get = Running::start([
        "get",
        &link,
        "--out",
        text(&out),
        "--json",
        "--peer",
        &peer,
        "--listen",
        "off",
        "--no-dht",
        "--no-lsd",
        "--no-portmap",
    ]);
    assert_eq!(get.wait(), Some(0));
    assert_eq!(fs::read(out.join("set/a/two.bin")).unwrap(), noise(70_001, 70_001));
    assert_eq!(
        fs::read_dir(out.join("set/a")).unwrap().count(),
        1,
        "only what was selected"
    );
    assert_eq!(fs::read_dir(out.join("set")).unwrap().count(), 1);
}

#[test]
fn after_sigkill_no_verified_piece_is_fetched_again() {
    let dir = tempfile::tempdir().unwrap();
    let content = dir.path().join("seed/big.bin");
    write(&content, &noise(5, 6_000_000));
    let torrent = dir.path().join("x.torrent");
    create(&content, &torrent, &["--piece-length", "64KiB"]);
    let mut seed = seeder(&torrent, &dir.path().join("seed"), &["--up", "2000000"]);
    let port = seed.ready();
    let out = dir.path().join("out");
    let mut done = 0;
    for signal in ["KILL", "INT"] {
        let mut leech = peer("leecher", &torrent, &out, &[]);
        leech.ready();
        leech.say(&json!({"connect": ["127.0.0.1", port]}));
        let goal = done + 1_000_000;
        let line = leech.until(|line| line["done"].as_u64() > Some(goal));
        done = line["done"].as_u64().unwrap();
        leech.end(signal);
    }
    let mut leech = peer("leecher", &torrent, &out, &[]);
    leech.ready();
    leech.until(|line| line["state"] == "downloading" && line["done"].as_u64() >= Some(done));
    let last = fetch(&mut leech, port);
    // Blocks of pieces that were open when it was interrupted may come again, but no piece that was verified.
    assert!(
        last["payload"].as_u64().unwrap() <= 6_000_000 - done,
        "{last}, {done} before"
    );
    assert!(fs::read(out.join("big.bin")).unwrap() == noise(5, 6_000_000));
}

#[test]
fn limits_hold() {
    let dir = tempfile::tempdir().unwrap();
    write(&dir.path().join("seed/f"), &noise(9, 3_000_000));
    let torrent = dir.path().join("x.torrent");
    create(&dir.path().join("seed/f"), &torrent, &["--piece-length", "16KiB"]);
    let mut seed = seeder(&torrent, &dir.path().join("seed"), &["--up", "1000000"]);
    let port = seed.ready();
    let mut leech = peer("leecher", &torrent, &dir.path().join("out"), &[]);
    leech.ready();
    fetch(&mut leech, port);
    let lines: Vec<(f64, f64)> = leech
        .lines()
        .iter()
        .filter_map(|line| Some((line["t"].as_f64()?, line["payload"].as_f64()?)))
        .collect();
    let (first, last) = (lines.first().unwrap(), lines.last().unwrap());
    let rate = (last.1 - first.1) / (last.0 - first.0);
    assert!(rate < 1_500_000.0, "{rate} bytes a second");
}

#[test]
fn data_channels_are_met_through_a_websocket_tracker() {
    let (dir, torrent) = prepared();
    let data = dir.path().join("relay");
    let listen = "127.0.0.1:0";
    let args = [
        "serve",
        "--json",
        "--data",
        text(&data),
        "--listen",
        listen,
        "--bridge",
        "off",
        "--allow-local",
    ];
    let mut relay = Running::start(args);
    let ready = relay.until(|line| line["event"] == "ready");
    let tracker = format!("ws://{}/announce", ready["http"].as_str().unwrap());
    let flags = ["--transport", "rtc", "--tracker", &tracker];
    let mut seed = seeder(&torrent, &dir.path().join("seed"), &flags);
    seed.ready();
    let announced = seed.until(|line| line.get("announced").is_some());
    assert_eq!(announced["announced"], tracker);
    let (_, shown) = json(&tombolo(["show", "--json", text(&torrent)]));
    let mut leech = peer(
        "leecher",
        shown["info_hash_v1"].as_str().unwrap(),
        &dir.path().join("out"),
        &flags,
    );
    leech.ready();
    leech.until(|line| line.get("finished").is_some());
    assert_same(&dir.path().join("seed/set"), &dir.path().join("out/set"));
    for end in [leech.end("TERM"), seed.end("TERM"), relay.end("TERM")] {
        assert_eq!(end, Some(0));
    }
}

#[test]
fn bad_lines_are_alerts_and_bad_flags_are_refused() {
    let (dir, torrent) = prepared();
    let mut leech = peer("leecher", &torrent, &dir.path().join("out"), &["--no-trackers"]);
    leech.ready();
    leech.say(&json!({"connect": "nowhere"}));
    leech.until(|line| line.get("alert").is_some());
    leech.say(&json!({"connect": ["127.0.0.1", 1]}));
    assert_eq!(leech.end("TERM"), Some(0));

    let base = [
        "peer",
        "--role",
        "seeder",
        "--dir",
        text(dir.path()),
        "--listen",
        "127.0.0.1:0",
        "--json-control",
    ];
    let refused = |more: &[&str]| refusal(&tombolo([&base[..], more].concat()));
    assert_eq!(refused(&["--torrent", "magnet:?dn=x"]), (2, "bad-magnet".into()));
    assert_eq!(refused(&["--torrent", "nowhere.torrent"]), (2, "not-found".into()));
}

#[test]
fn an_address_in_use_is_an_error() {
    let (dir, torrent) = prepared();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = tombolo([
        "get",
        text(&torrent),
        "--out",
        text(dir.path()),
        "--json",
        "--listen",
        &address,
    ]);
    assert_eq!(refusal(&output), (1, "address-in-use".into()));
}

#[test]
fn a_closed_stdout_ends_nothing() {
    let (dir, torrent) = prepared();
    let mut seed = seeder(&torrent, &dir.path().join("seed"), &[]);
    let port = seed.ready();
    seed.close_stdout();
    let peer = format!("127.0.0.1:{port}");
    let out = dir.path().join("out");
    let output = tombolo([
        "get",
        text(&torrent),
        "--out",
        text(&out),
        "--peer",
        &peer,
        "--listen",
        "off",
        "--no-dht",
        "--no-lsd",
        "--no-portmap",
    ]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_same(&dir.path().join("seed/set"), &out.join("set"));
    assert_eq!(seed.end("TERM"), Some(0));
}
