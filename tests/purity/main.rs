//! The core is pure: no clock, no entropy, no I/O, no async, no unsafe, no order that a hash decides.

use std::fs;
use std::path::{Path, PathBuf};

/// What must not be in the core's own code, and why.
const FORBIDDEN: [(&str, &str); 15] = [
    ("std::", "the core builds without std"),
    ("unsafe ", "no unsafe"),
    ("async ", "no async"),
    (".await", "no async"),
    ("Instant", "time comes from outside"),
    ("SystemTime", "time comes from outside"),
    ("HashMap", "its order is not the same in every run"),
    ("HashSet", "its order is not the same in every run"),
    ("Mutex", "a session has one thread"),
    ("Atomic", "a session has one thread"),
    ("thread_local", "a session has one thread"),
    ("getrandom", "randomness comes from outside"),
    ("rand::", "randomness comes from outside"),
    ("println!", "no I/O"),
    ("static mut", "no shared state"),
];

/// The crates that the core may use at all: each of them is pure itself.
const CRATES: [&str; 6] = ["bytes", "crypto-bigint", "sha1", "sha2", "serde", "serde_bencode"];

fn core() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../core")
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("the entry is readable").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The code of a file: without its comments, and without its tests, which stand last.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let own = text.lines().take_while(|line| !line.starts_with("#[cfg(test)]"));
    own.map(|line| line.split("//").next().unwrap_or("")).enumerate()
}

fn offences(name: &str, text: &str) -> Vec<String> {
    let mut offences = Vec::new();
    for (number, line) in code(text) {
        // Feature `std` may only be named, and its crate linked.
        if line.contains("feature = \"std\"") || line.trim() == "extern crate std;" {
            continue;
        }
        for (word, why) in FORBIDDEN.iter().filter(|(word, _)| line.contains(word)) {
            offences.push(format!("{name}:{}: `{word}`: {why}", number + 1));
        }
    }
    offences
}

#[test]
fn the_core_is_pure() {
    let mut files = Vec::new();
    sources(&core().join("src"), &mut files);
    assert!(files.len() > 40, "the core's sources were found");
    let is_test = |path: &Path| {
        path.file_name()
            .is_some_and(|name| name == "tests.rs" || name == "oracle.rs")
    };
    let offences: Vec<String> = files
        .iter()
        .filter(|path| !is_test(path))
        .flat_map(|path| {
            offences(
                &path.display().to_string(),
                &fs::read_to_string(path).expect("a source is text"),
            )
        })
        .collect();
    assert!(offences.is_empty(), "{}", offences.join("\n"));
}

#[test]
fn the_core_forbids_unsafe_and_needs_no_std() {
    let lib = fs::read_to_string(core().join("src/lib.rs")).expect("lib.rs is there");
    assert!(lib.contains("#![no_std]") && lib.contains("#![forbid(unsafe_code)]"));
}

#[test]
fn the_core_uses_pure_crates_alone() {
    let manifest = fs::read_to_string(core().join("Cargo.toml")).expect("the manifest is there");
    let section = manifest
        .split("[dependencies]")
        .nth(1)
        .and_then(|rest| rest.split("\n[").next())
        .expect("it has dependencies");
    for line in section
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
    {
        let name = line.split(['.', ' ', '=']).next().unwrap_or("");
        assert!(CRATES.contains(&name), "the core must not depend on {name}");
    }
}

#[test]
fn the_check_itself_finds_what_it_looks_for() {
    assert_eq!(offences("x", "fn a() {}\n// std:: in words\n").len(), 0);
    assert_eq!(offences("x", "use std::time::Instant;").len(), 2);
    assert_eq!(offences("x", "#[cfg(test)]\nmod tests { use std::fs; }").len(), 0);
}
