//! What the tests of the commands share: running the binary, making torrents.
#![allow(dead_code, reason = "each test file uses its part")]

pub(crate) mod running;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use running::Running;
use serde_json::Value;

/// Runs the binary with these arguments to its end.
pub(crate) fn tombolo<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tombolo"))
        .args(args)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// The exit status and the one JSON object on stdout.
pub(crate) fn json(output: &Output) -> (i32, Value) {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text:?} {output:?}"));
    (output.status.code().unwrap(), value)
}

/// The exit status and the code of a refusal.
pub(crate) fn refusal(output: &Output) -> (i32, String) {
    let (status, value) = json(output);
    let message = value["error"]["message"].as_str().unwrap();
    assert!(!message.is_empty() && !message.contains('\n'), "{message:?}");
    (status, value["error"]["code"].as_str().unwrap().to_owned())
}

/// Bytes that look random and are the same every time.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// Writes a file and the folders above it.
pub(crate) fn write(path: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

/// A folder `set` in `dir` with files of odd sizes, empty ones among them; its path.
pub(crate) fn odd_files(dir: &Path) -> PathBuf {
    let set = dir.join("set");
    for (path, length) in [
        ("0 empty", 0),
        ("a/one.bin", 1),
        ("a/two.bin", 70_001),
        ("a/b/empty", 0),
        ("a/b/three ünï.bin", 123_457),
        ("last.bin", 300_011),
        ("z empty", 0),
    ] {
        write(&set.join(path), &noise(length, length as usize));
    }
    set
}

/// A folder with a `seed` folder that has a torrent of odd files, and its `.torrent`.
pub(crate) fn prepared() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let set = odd_files(&dir.path().join("seed"));
    let torrent = dir.path().join("x.torrent");
    create(&set, &torrent, &["--piece-length", "16KiB"]);
    (dir, torrent)
}

/// A path as it is typed.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A peer of a torrent (its file or its link) under our control, on any port of loopback.
pub(crate) fn peer(role: &str, torrent: impl AsRef<OsStr>, dir: &Path, more: &[&str]) -> Running {
    let fixed = ["peer", "--role", role, "--listen", "127.0.0.1:0", "--json-control"].map(OsStr::new);
    let content = [
        OsStr::new("--torrent"),
        torrent.as_ref(),
        OsStr::new("--dir"),
        dir.as_os_str(),
    ];
    Running::start(fixed.into_iter().chain(content).chain(more.iter().map(OsStr::new)))
}

/// Makes a .torrent of `content` with these further arguments.
pub(crate) fn create(content: &Path, torrent: &Path, args: &[&str]) -> Value {
    let content = content.as_os_str();
    let fixed = [
        OsStr::new("create"),
        content,
        OsStr::new("-o"),
        torrent.as_os_str(),
        OsStr::new("--json"),
    ];
    let output = tombolo(fixed.into_iter().chain(args.iter().map(OsStr::new)));
    let (status, value) = json(&output);
    assert_eq!(status, 0, "{value}");
    value
}

/// Asserts that two folders hold the same files with the same bytes, our own state aside.
pub(crate) fn assert_same(one: &Path, other: &Path) {
    let list = |folder: &Path| {
        let mut names: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.retain(|name| name != ".tombolo");
        names.sort();
        names
    };
    let names = list(one);
    assert_eq!(names, list(other), "{one:?} {other:?}");
    for name in names {
        let (one, other) = (one.join(&name), other.join(&name));
        if one.is_dir() {
            assert_same(&one, &other);
        } else {
            assert!(
                std::fs::read(&one).unwrap() == std::fs::read(&other).unwrap(),
                "{other:?}"
            );
        }
    }
}
