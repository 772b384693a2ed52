//! `tombolo create` and `tombolo check`.

mod common;

use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use common::{create, json, odd_files, refusal, tombolo, write};
use serde_json::{Value, json};

fn check(torrent: &Path, dir: &Path) -> (i32, Value) {
    let args = [
        "check",
        "--json",
        torrent.to_str().unwrap(),
        "--dir",
        dir.to_str().unwrap(),
    ];
    json(&tombolo(args))
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let set = odd_files(dir.path());
    let (one, two) = (dir.path().join("1.torrent"), set.join("2.torrent"));
    let made = create(&set, &one, &["--piece-length", "16KiB", "--threads", "1"]);
    for _ in 0..2 {
        // The second time, its own output lies in the folder.
        assert_eq!(create(&set, &two, &["--piece-length", "16384", "--threads", "3"]), made);
        assert!(fs::read(&one).unwrap() == fs::read(&two).unwrap());
    }
    let (_, shown) = json(&tombolo(["show", "--json", one.to_str().unwrap()]));
    let paths = shown["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| file["path"].clone());
    assert_eq!(
        paths.collect::<Vec<_>>(),
        [
            json!(["set", "0 empty"]),
            json!(["set", "a", "b", "empty"]),
            json!(["set", "a", "b", "three ünï.bin"]),
            json!(["set", "a", "one.bin"]),
            json!(["set", "a", "two.bin"]),
            json!(["set", "last.bin"]),
            json!(["set", "z empty"]),
        ]
    );
    assert_eq!(
        (&shown["creation_date"], &shown["total_length"]),
        (&json!(null), &json!(493_470))
    );
}

#[test]
fn the_info_hash_is_that_of_transmission() {
    if Command::new("transmission-create").arg("--version").output().is_err() {
        eprintln!("skipped: transmission-create is not installed");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let set = odd_files(dir.path());
    // It passes over empty files.
    for empty in ["0 empty", "a/b/empty", "z empty"] {
        fs::remove_file(set.join(empty)).unwrap();
    }
    let single = set.join("last.bin");
    for (content, size) in [(&set, "32"), (&single, "64")] {
        let (theirs, ours) = (dir.path().join("theirs.torrent"), dir.path().join("ours.torrent"));
        let status = Command::new("transmission-create")
            // It always writes `private`; so do we, where it is 1.
            .args(["-p", "-t", "http://localhost/announce", "-s", size, "-o"])
            .args([&theirs, content])
            .output()
            .unwrap();
        assert!(status.status.success(), "{status:?}");
        let made = create(content, &ours, &["--private", "--piece-length", &format!("{size}KiB")]);
        let (_, shown) = json(&tombolo(["show", "--json", theirs.to_str().unwrap()]));
        assert_eq!(made["info_hash_v1"], shown["info_hash_v1"], "{content:?}");
        fs::remove_file(theirs).unwrap();
    }
}

#[test]
fn attributes_links_and_pad_files_are_written_where_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let set = dir.path().join("set");
    write(&set.join("bin/run"), b"program");
    write(&set.join(".hidden"), b"x");
    fs::set_permissions(set.join("bin/run"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("run", set.join("bin/link")).unwrap();
    let shown = |version: &str, more: &[&str]| {
        let torrent = dir.path().join("a.torrent");
        create(&set, &torrent, &[&[version], more].concat());
        let (_, shown) = json(&tombolo(["show", "--json", torrent.to_str().unwrap()]));
        let file = |file: &Value| {
            let name = file["path"].as_array().unwrap().last().unwrap().clone();
            json!([name, file["executable"], file["hidden"], file["symlink"], file["pad"]])
        };
        shown["files"].as_array().unwrap().iter().map(file).collect::<Vec<_>>()
    };
    let hidden = json!([".hidden", false, true, null, false]);
    let run = json!(["run", true, false, null, false]);
    for version in ["--v1", "--v2"] {
        let link = json!(["link", false, false, ["bin", "run"], false]);
        assert_eq!(shown(version, &["--symlinks"]), [hidden.clone(), link, run.clone()]);
        let link = json!(["link", true, false, null, false]);
        assert_eq!(shown(version, &[]), [hidden.clone(), link, run.clone()]);
        let plain = |name| json!([name, false, false, null, false]);
        assert_eq!(
            shown(version, &["--no-attributes"]),
            [".hidden", "link", "run"].map(plain)
        );
    }
    let pads = shown("--v1", &["--pad", "--symlinks"]);
    assert_eq!(
        pads.iter().map(|file| file[4].as_bool().unwrap()).collect::<Vec<_>>(),
        [false, false, true, false]
    );

    symlink("../..", set.join("bin/out")).unwrap();
    let out = dir.path().join("b.torrent");
    let args = [
        "create",
        set.to_str().unwrap(),
        "-o",
        out.to_str().unwrap(),
        "--json",
        "--symlinks",
    ];
    assert_eq!(refusal(&tombolo(args)), (2, "bad-content".to_owned()));
}

#[test]
fn content_that_makes_no_torrent_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    write(Path::new(&path("empty/file")), b"");
    write(Path::new(&path("good/file")), b"x");
    symlink("..", path("good/round")).unwrap();
    for (content, more, expected) in [
        (path("none"), vec![], (2, "not-found")),
        (path("empty"), vec![], (2, "bad-content")),
        (path("empty/file"), vec!["--piece-length", "0"], (2, "bad-content")),
        (path("good/file"), vec!["--piece-length", "0"], (2, "bad-content")),
        (path("good"), vec![], (2, "bad-content")),
        (
            path("good/file"),
            vec!["--v2", "--piece-length", "20000"],
            (2, "bad-content"),
        ),
    ] {
        let out = path("x.torrent");
        let args = [vec!["create", &content, "-o", &out, "--json"], more].concat();
        let (status, code) = refusal(&tombolo(&args));
        assert_eq!((status, &code[..]), expected, "{args:?}");
        assert!(!Path::new(&out).exists());
    }
}

#[test]
fn check_tells_good_bad_and_missing_pieces_apart() {
    let dir = tempfile::tempdir().unwrap();
    let set = odd_files(dir.path());
    let torrent = dir.path().join("x.torrent");
    // 493,470 bytes: 31 pieces. Order: three 0.., one 123457, two 123458.., last 193459..
    let pieces = create(&set, &torrent, &["--piece-length", "16384"])["pieces"].clone();
    assert_eq!(pieces, 31);
    let whole = json!({"pieces": 31, "good": 31, "bad": [], "missing": 0});
    assert_eq!(check(&torrent, dir.path()), (0, whole.clone()));

    let last = set.join("last.bin");
    let file = fs::File::options().write(true).open(&last).unwrap();
    file.write_all_at(b"!", 300_010).unwrap();
    file.write_all_at(b"!", 20_000).unwrap();
    let bad = json!({"pieces": 31, "good": 29, "bad": [13, 30], "missing": 0});
    assert_eq!(check(&torrent, dir.path()), (1, bad));
    file.set_len(300_010).unwrap();
    let cut = json!({"pieces": 31, "good": 29, "bad": [13], "missing": 1});
    assert_eq!(check(&torrent, dir.path()), (1, cut));
    fs::write(&last, common::noise(300_011, 300_011)).unwrap();
    assert_eq!(check(&torrent, dir.path()).0, 0);

    fs::write(&last, [common::noise(300_011, 300_011), vec![0]].concat()).unwrap();
    assert_eq!(check(&torrent, dir.path()), (1, whole.clone()), "a file is too long");
    fs::write(&last, common::noise(300_011, 300_011)).unwrap();
    fs::remove_file(set.join("z empty")).unwrap();
    assert_eq!(check(&torrent, dir.path()), (1, whole), "an empty file is missing");
    fs::remove_file(set.join("a/one.bin")).unwrap();
    let lacks = json!({"pieces": 31, "good": 30, "bad": [], "missing": 1});
    assert_eq!(check(&torrent, dir.path()), (1, lacks));
    let nothing = json!({"pieces": 31, "good": 0, "bad": [], "missing": 31});
    assert_eq!(check(&torrent, &dir.path().join("nowhere")), (1, nothing));
    assert!(!dir.path().join("nowhere").exists() && !dir.path().join(".tombolo").exists());
}
