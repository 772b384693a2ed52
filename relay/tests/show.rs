//! `tombolo show`: what it prints, what it refuses, and that it writes nothing.

mod common;

use std::fs;

use common::{json, refusal, tombolo};
use serde_json::json;

/// A .torrent with this info dictionary.
fn torrent(info: &[u8]) -> Vec<u8> {
    [b"d4:info", info, b"e"].concat()
}

/// A .torrent of one file, with something in place of each number.
fn single(length: &str, piece_length: &str, pieces: usize) -> Vec<u8> {
    let hashes = "x".repeat(pieces);
    torrent(format!("d6:length{length}4:name1:n12:piece length{piece_length}6:pieces{pieces}:{hashes}e").as_bytes())
}

/// An info dictionary of one file in a folder.
fn listed(length: &str, path: &str) -> Vec<u8> {
    let pieces = "12:piece lengthi16384e6:pieces20:xxxxxxxxxxxxxxxxxxxx";
    format!("d5:filesld6:length{length}4:path{path}ee4:name1:n{pieces}e").into_bytes()
}

#[test]
fn hostile_torrents_are_refused_and_nothing_is_written() {
    let deep = [vec![b'l'; 100_000], vec![b'e'; 100_000]].concat();
    let long_path = format!("l{}e", "255:".to_owned() + &"x".repeat(255)).repeat(1);
    let long_path = format!("l{}e", long_path[1..long_path.len() - 1].repeat(20));
    let table: Vec<(&str, Vec<u8>, &str)> = vec![
        ("empty", Vec::new(), "bad-bencode"),
        ("no bencoding", b"hello".to_vec(), "bad-bencode"),
        ("cut short", b"d4:infod4:name".to_vec(), "bad-bencode"),
        ("something after it", b"dei1e".to_vec(), "bad-bencode"),
        ("nested too deep", torrent(&deep), "bad-bencode"),
        ("nested and cut", vec![b'd'; 1_000_000], "bad-bencode"),
        (
            "a string longer than the file",
            b"d4:info99999999999999999999:x".to_vec(),
            "bad-bencode",
        ),
        ("a key twice", b"d4:infode4:infodee".to_vec(), "bad-bencode"),
        ("no dictionary", b"le".to_vec(), "bad-metainfo"),
        ("no info", b"d1:xi1ee".to_vec(), "bad-metainfo"),
        ("a negative length", single("i-5e", "i16384e", 20), "bad-metainfo"),
        (
            "a length over 64 bits",
            single("i99999999999999999999e", "i16384e", 20),
            "bad-metainfo",
        ),
        (
            "a length over 63 bits",
            single("i9223372036854775808e", "i16384e", 20),
            "bad-metainfo",
        ),
        ("no bytes", single("i0e", "i16384e", 0), "bad-metainfo"),
        ("a piece length of zero", single("i5e", "i0e", 20), "bad-metainfo"),
        ("a negative piece length", single("i5e", "i-1e", 20), "bad-metainfo"),
        (
            "a piece length of 2^40",
            single("i5e", "i1099511627776e", 20),
            "bad-metainfo",
        ),
        ("2^31 pieces", single("i2147483648e", "i1e", 20), "bad-metainfo"),
        ("too few hashes", single("i50000e", "i16384e", 20), "bad-metainfo"),
        ("half a hash", single("i5e", "i16384e", 21), "bad-metainfo"),
        (
            "a path longer than a system takes",
            torrent(&listed("i5e", &long_path)),
            "bad-metainfo",
        ),
        ("no path", torrent(&listed("i5e", "le")), "bad-metainfo"),
        (
            "a path that is a number",
            torrent(&listed("i5e", "i1e")),
            "bad-metainfo",
        ),
    ];
    let dir = tempfile::tempdir().unwrap();
    for (what, bytes, code) in table {
        let file = dir.path().join("x.torrent");
        fs::write(&file, &bytes).unwrap();
        let file = file.to_str().unwrap();
        let into = dir.path().join("into");
        let into = into.to_str().unwrap();
        for args in [
            vec!["show", "--json", file],
            vec!["check", "--json", file, "--dir", into],
        ] {
            let output = tombolo(&args);
            assert_eq!(refusal(&output), (2, code.into()), "{what}: {args:?}");
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "{what}");
        if code == "bad-bencode" {
            let (_, value) = json(&tombolo(["show", "--json", file]));
            let message = value["error"]["message"].as_str().unwrap();
            assert!(message.contains(|c: char| c.is_ascii_digit()), "no offset: {message}");
        }
    }
}

#[test]
fn names_that_would_escape_are_made_safe() {
    let dir = tempfile::tempdir().unwrap();
    for (path, expected) in [
        ("l2:..2:..3:etce", json!(["n", "_", "_", "etc"])),
        ("l4:/etc3:a/be", json!(["n", "_etc", "a_b"])),
        ("l5:a\\b\0ce", json!(["n", "a_b_c"])),
        ("l0:1:.e", json!(["n", "_", "_"])),
    ] {
        let file = dir.path().join("x.torrent");
        fs::write(&file, torrent(&listed("i5e", path))).unwrap();
        let (status, value) = json(&tombolo(["show", "--json", file.to_str().unwrap()]));
        assert_eq!((status, &value["files"][0]["path"]), (0, &expected), "{path}");
    }
}

#[test]
fn every_field_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let content = dir.path().join("content.bin");
    fs::write(&content, common::noise(1, 40_000)).unwrap();
    let file = dir.path().join("x.torrent");
    let args = [
        "--piece-length",
        "32768",
        "--tracker",
        "udp://a/",
        "--tracker",
        "ws://b/",
        "--comment",
        "hi",
        "--date",
        "7",
    ];
    let made = common::create(&content, &file, &args);
    let (status, value) = json(&tombolo(["show", "--json", file.to_str().unwrap()]));
    assert_eq!(status, 0);
    assert_eq!(
        value,
        json!({
            "info_hash_v1": made["info_hash_v1"], "info_hash_v2": null, "name": "content.bin", "piece_length": 32768,
            "pieces": 2, "total_length": 40000, "private": false,
            "files": [{"path": ["content.bin"], "length": 40000, "pad": false, "symlink": null, "executable": false,
                       "hidden": false, "pieces_root": null}],
            "trackers": [["udp://a/"], ["ws://b/"]], "web_seeds": [], "comment": "hi",
            "created_by": concat!("Tombolo ", env!("CARGO_PKG_VERSION")), "creation_date": 7,
        })
    );
    let text = tombolo(["show", file.to_str().unwrap()]);
    assert!(text.status.success() && String::from_utf8(text.stdout).unwrap().contains("content.bin"));
}

#[test]
fn magnets_and_bare_hashes() {
    let hash = "ABCDEF0123456789abcdef0123456789ABCDEF01";
    let link = format!(
        "magnet:?XT=urn:btih:{hash}&dn=a%20name&tr=udp%3A%2F%2Fa&tr=ws://b&tr=udp://a&x.pe=1.2.3.4:5&x.pe=none&so=0,2-4,9-99999999999"
    );
    let (status, value) = json(&tombolo(["show", "--json", &link]));
    assert_eq!(status, 0);
    assert_eq!(
        value,
        json!({
            "info_hash_v1": hash.to_lowercase(), "info_hash_v2": null, "name": "a name", "trackers": ["udp://a", "ws://b"],
            "web_seeds": [], "peers": ["1.2.3.4:5"], "select_only": [0, 2, 3, 4],
        })
    );
    let (status, value) = json(&tombolo(["show", "--json", hash]));
    assert_eq!((status, &value["info_hash_v1"]), (0, &json!(hash.to_lowercase())));
    for link in ["magnet:", "magnet:?dn=x", "MAGNET:?xt=urn:btih:abc"] {
        assert_eq!(
            refusal(&tombolo(["show", "--json", link])),
            (2, "bad-magnet".into()),
            "{link}"
        );
    }
}

#[test]
fn raw_shows_any_document() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x");
    fs::write(
        &file,
        b"d1:ali-7ei123456789012345678901234567890e0:e2:\xff\xfe3:\x00\xffz2:\xc3\xa4d1:x1:\"ee",
    )
    .unwrap();
    let output = tombolo(["show", "--raw", "--json", file.to_str().unwrap()]);
    let text = String::from_utf8(output.stdout).unwrap();
    // Order and large numbers would not survive a JSON parser.
    assert_eq!(
        text,
        "{\"value\":{\"a\":[-7,123456789012345678901234567890,\"\"],\"hex:fffe\":{\"hex\":\"00ff7a\"},\"ä\":{\"x\":\"\\\"\"}}}\n"
    );
    fs::write(&file, b"i1ei2e").unwrap();
    let output = tombolo(["show", "--raw", "--json", file.to_str().unwrap()]);
    assert_eq!(refusal(&output), (2, "bad-bencode".into()));
}

#[test]
fn files_that_cannot_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    assert_eq!(
        refusal(&tombolo(["show", "--json", &path("none")])),
        (2, "not-found".into())
    );
    assert_eq!(
        refusal(&tombolo(["show", "--json", &path("")])),
        (1, "io".into()),
        "a folder"
    );
    fs::File::create(path("large"))
        .unwrap()
        .set_len((32 << 20) + 1)
        .unwrap();
    assert_eq!(
        refusal(&tombolo(["show", "--json", &path("large")])),
        (2, "too-large".into())
    );
    assert_eq!(
        refusal(&tombolo(["show", "--raw", "--json", &path("large")])),
        (2, "too-large".into())
    );
}

#[test]
fn usage_errors_and_the_version() {
    for args in [
        &["show"][..],
        &["show", "--none", "x"],
        &["check", "x"],
        &["create", "x"],
        &["nothing"],
        &[],
    ] {
        let output = tombolo(args);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(
            (output.status.code(), output.stdout.len(), errors.lines().count()),
            (Some(2), 0, 1),
            "{args:?}: {errors}"
        );
    }
    let output = tombolo(["--version"]);
    let version = concat!("tombolo ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(
        (output.status.code(), &output.stdout[..]),
        (Some(0), version.as_bytes())
    );
}
