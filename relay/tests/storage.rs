//! What becomes of content on disk when a `get` is killed, finds no room, takes its room beforehand, or moves what is done.

mod common;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::running::Running;
use common::{assert_same, create, noise, odd_files, peer, write};
use serde_json::{Value, json};

const PIECE: u64 = 64 * 1024;

/// Several files of some 7 MiB together that share pieces.
struct Sample {
    dir: tempfile::TempDir,
    torrent: PathBuf,
    total: u64,
}

impl Sample {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let set = odd_files(dir.path());
        write(&set.join("large.bin"), &noise(3, 5_000_007));
        write(&set.join("m/other.bin"), &noise(4, 1_999_999));
        let torrent = dir.path().join("x.torrent");
        create(&set, &torrent, &["--piece-length", "64KiB"]);
        let total = 493_470 + 5_000_007 + 1_999_999;
        Self { dir, torrent, total }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn seeder(&self) -> (Running, u16) {
        let mut seeder = peer("seeder", &self.torrent, self.dir.path(), &["--no-trackers"]);
        let port = seeder.ready();
        (seeder, port)
    }

    /// The arguments of a `get` into `out` from the peer at that port.
    fn get(&self, out: &Path, port: u16, more: &[&str]) -> Vec<String> {
        let fixed = [
            "get".into(),
            self.torrent.display().to_string(),
            "--out".into(),
            out.display().to_string(),
            "--peer".into(),
            format!("127.0.0.1:{port}"),
        ];
        let quiet = [
            "--json",
            "--no-trackers",
            "--no-dht",
            "--no-lsd",
            "--no-portmap",
            "--listen",
            "127.0.0.1:0",
        ];
        let more = quiet.iter().chain(more).map(|text| String::from(*text));
        fixed.into_iter().chain(more).collect()
    }

    fn assert_whole(&self, out: &Path) {
        assert_same(&self.path("set"), &out.join("set"));
    }
}

fn number(line: &Value, key: &str) -> Option<u64> {
    line.get(key)?.as_u64()
}

/// The last progress line so far.
fn last(run: &Running) -> &Value {
    run.lines().iter().rfind(|line| line.get("t").is_some()).unwrap()
}

fn is_finished(line: &Value) -> bool {
    line.get("finished").is_some()
}

/// Whether it is past checking what is there.
fn is_trading(line: &Value) -> bool {
    matches!(line["state"].as_str(), Some("downloading" | "seeding"))
}

#[test]
fn after_a_kill_at_any_moment_nothing_that_was_verified_is_fetched_again() {
    let sample = Sample::new();
    let (_seeder, port) = sample.seeder();
    for options in [&[][..], &["--preallocate"]] {
        let out = sample.path(&format!("out{}", options.len()));
        let mut verified = 0;
        let limit = ["--down", "6000000"];
        for part in [1, 5, 25, 50, 51, 90, 99] {
            let more = [options, &limit[..]].concat();
            let mut run = Running::start(sample.get(&out, port, &more));
            let start = run.until(is_trading);
            assert!(number(&start, "done") >= Some(verified), "{start} {verified}");
            run.until(|line| number(line, "done") >= Some(sample.total * part / 100));
            run.end("KILL");
            verified = number(last(&run), "done").unwrap();
        }
        let mut run = Running::start(sample.get(&out, port, options));
        let start = run.until(is_trading);
        assert!(number(&start, "done") >= Some(verified), "{start} {verified}");
        run.until(is_finished);
        assert_eq!(run.wait(), Some(0));
        let first = number(&start, "done").unwrap() - number(&start, "payload").unwrap();
        assert_eq!(number(last(&run), "payload"), Some(sample.total - first));
        sample.assert_whole(&out);
    }
}

#[test]
fn a_torrent_waits_while_the_disk_is_full_and_goes_on() {
    let sample = Sample::new();
    let disk = sample.path("disk");
    fs::create_dir(&disk).unwrap();
    // A file system that only the command sees, with less room than it takes as long as the filler is there.
    let mount = r#"mount -t tmpfs -o size=12m none "$0" && head -c 9000000 /dev/zero > "$0/filler" && exec "$@""#;
    let possible = Command::new("unshare")
        .args(["-rm", "mount", "-t", "tmpfs", "none"])
        .arg(&disk)
        .status();
    if !possible.is_ok_and(|status| status.success()) {
        eprintln!("skipped: no file system may be mounted here");
        return;
    }
    let (_seeder, port) = sample.seeder();
    for options in [&[][..], &["--preallocate"]] {
        let mut command = Command::new("unshare");
        command
            .args(["-rm", "sh", "-c", mount])
            .arg(&disk)
            .arg(env!("CARGO_BIN_EXE_tombolo"));
        command.args(sample.get(&disk, port, options));
        let mut run = Running::of(&mut command);
        let alert = run.until(|line| line.get("alert").is_some());
        assert_eq!(alert["alert"], json!("the disk is full: waiting until there is room"));
        // It waits, and is not at an end.
        let waiting = run.until(|line| line.get("t").is_some());
        assert!(number(&waiting, "done") < Some(sample.total), "{waiting}");
        let inside = PathBuf::from(format!("/proc/{}/root/{}", run.id(), disk.display()));
        fs::remove_file(inside.join("filler")).unwrap();
        run.until(|line| line["alert"] == json!("there is room on the disk again"));
        run.until(|line| number(line, "done") == Some(sample.total));
        run.until(is_finished);
        assert_eq!(run.wait(), Some(0));
        assert_eq!(
            number(last(&run), "payload"),
            Some(sample.total),
            "nothing is fetched twice"
        );
    }
}

#[test]
fn room_is_taken_before_anything_is_fetched() {
    let sample = Sample::new();
    let (_seeder, port) = sample.seeder();
    let out = sample.path("out");
    let mut run = Running::start(sample.get(&out, port, &["--preallocate", "--down", "200000"]));
    run.until(|line| number(line, "done") >= Some(PIECE));
    let large = fs::metadata(out.join("set/large.bin")).unwrap();
    assert_eq!(large.len(), 5_000_007);
    assert!(large.blocks() * 512 >= 5_000_007, "{}", large.blocks());
    assert_eq!(run.end("INT"), Some(130));
}

#[test]
fn what_is_done_is_moved() {
    let sample = Sample::new();
    let (_seeder, port) = sample.seeder();
    let (out, last_place) = (sample.path("out"), sample.path("done"));
    // Another file system, where there is one.
    let other = tempfile::tempdir_in("/dev/shm").ok();
    let other = other.as_ref().map(|dir| dir.path().join("done"));
    for place in [Some(last_place), other].into_iter().flatten() {
        let args = sample.get(&out, port, &["--move-to", place.to_str().unwrap()]);
        let mut run = Running::start(&args);
        run.until(is_finished);
        sample.assert_whole(&place);
        assert_eq!(run.wait(), Some(0));
        assert!(!out.join("set").exists(), "nothing is left behind");
        let mut again = Running::start(&args);
        again.until(is_finished);
        assert_eq!(again.wait(), Some(0));
        assert_eq!(
            number(last(&again), "payload"),
            Some(0),
            "it is found where it was moved to"
        );
        sample.assert_whole(&place);
    }
}
