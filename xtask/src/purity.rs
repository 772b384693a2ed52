//! Reads the core's source for what a pure state machine must not use.
//!
//! The bare-metal build proves that nothing of `std` is needed; this proves the rest: that no feature brings in a clock,
//! entropy, I/O or an executor, and that no order of a hash map can decide an action. Comments, strings and test modules
//! are not looked at.

use crate::command;
use crate::place;
use std::path::{Path, PathBuf};

/// Words that may not stand in the code, each with the reason.
const FORBIDDEN: [(&str, &str); 17] = [
    ("std::time", "time comes from outside"),
    ("Instant", "time comes from outside"),
    ("SystemTime", "time comes from outside"),
    ("std::io", "I/O is the shell's"),
    ("std::fs", "I/O is the shell's"),
    ("std::net", "I/O is the shell's"),
    ("std::env", "configuration comes from outside"),
    ("std::thread", "a session has one thread"),
    ("Mutex", "a session has one thread"),
    ("RwLock", "a session has one thread"),
    ("HashMap", "its order is not reproducible"),
    ("HashSet", "its order is not reproducible"),
    ("async", "the shell drives"),
    ("await", "the shell drives"),
    ("unsafe", "nothing here needs it"),
    ("getrandom", "randomness comes from a seed"),
    ("println!", "I/O is the shell's"),
];

/// Crates that must not be among the core's, whatever the features.
const FOREIGN: [&str; 10] = [
    "tokio",
    "mio",
    "rand",
    "getrandom",
    "chrono",
    "time",
    "web-time",
    "js-sys",
    "web-sys",
    "libc",
];

/// Every violation, as `file:line: word (reason)`; empty when the core is pure.
pub(crate) fn violations() -> Result<Vec<String>, String> {
    let source = place::root().join("core/src");
    let mut files = Vec::new();
    collect(&source, &mut files)?;
    files.sort();
    let mut found = Vec::new();
    for file in &files {
        let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
        let name = file.strip_prefix(&source).unwrap_or(file).display().to_string();
        found.extend(
            violations_in(&text)
                .into_iter()
                .map(|(line, what)| format!("{name}:{line}: {what}")),
        );
    }
    let root = std::fs::read_to_string(source.join("lib.rs")).unwrap_or_default();
    if !root.contains("#![forbid(unsafe_code)]") {
        found.push("lib.rs: no #![forbid(unsafe_code)]".to_owned());
    }
    if !root.contains("#![no_std]") && !root.contains("no_std)]") {
        found.push("lib.rs: no #![no_std]".to_owned());
    }
    found.extend(foreign_crates()?);
    Ok(found)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), String> {
    let entries = std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
        if path.is_dir() {
            // A folder of tests only is a module behind `cfg(test)` in its parent.
            if path.file_name().is_none_or(|name| name != "tests") {
                collect(&path, files)?;
            }
        } else if path.extension().is_some_and(|kind| kind == "rs")
            && path.file_stem().is_none_or(|name| name != "tests")
        {
            files.push(path);
        }
    }
    Ok(())
}

/// Line numbers and words of what is forbidden in one file.
fn violations_in(source: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in source.lines().enumerate() {
        if line.trim_start().starts_with("#[cfg(test)]") {
            break;
        }
        let code = code_of(line);
        for (word, reason) in FORBIDDEN {
            if has_word(&code, word) {
                found.push((number + 1, format!("{word} ({reason})")));
            }
        }
    }
    found
}

/// The line without comment, attributes of lints and the insides of strings.
fn code_of(line: &str) -> String {
    if line.trim_start().starts_with("#![") {
        return String::new();
    }
    let mut code = String::with_capacity(line.len());
    let mut quoted = false;
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\\' if quoted => {
                characters.next();
            }
            '"' => quoted = !quoted,
            '/' if !quoted && characters.peek() == Some(&'/') => break,
            _ if quoted => {}
            other => code.push(other),
        }
    }
    code
}

/// Whether `word` stands in `code` and is not part of a longer name.
fn has_word(code: &str, word: &str) -> bool {
    let part = |character: Option<char>| character.is_some_and(|c| c.is_alphanumeric() || c == '_');
    code.match_indices(word).any(|(at, _)| {
        !part(code[..at].chars().next_back()) && (word.ends_with('!') || !part(code[at + word.len()..].chars().next()))
    })
}

fn foreign_crates() -> Result<Vec<String>, String> {
    let arguments = [
        "tree",
        "--package",
        "tombolo-core",
        "--edges",
        "normal",
        "--prefix",
        "none",
        "--all-features",
    ];
    let tree = command::run_quietly(&mut command::cargo(&arguments))?;
    let names = tree.lines().filter_map(|line| line.split_whitespace().next());
    let mut foreign: Vec<String> = names
        .filter(|name| FOREIGN.contains(name))
        .map(|name| format!("core uses the crate {name}"))
        .collect();
    foreign.dedup();
    Ok(foreign)
}

#[cfg(test)]
mod tests {
    use super::violations_in;

    fn lines(source: &str) -> Vec<usize> {
        violations_in(source).into_iter().map(|(line, _)| line).collect()
    }

    #[test]
    fn a_clock_is_found_on_its_line() {
        assert_eq!(
            lines("use alloc::vec;\nuse std::time::Duration;\nlet t = Instant::now();"),
            [2, 3]
        );
    }

    #[test]
    fn comments_strings_and_longer_names_are_let_through() {
        let source =
            "// Instant\nlet a = \"HashMap // \\\" async\"; // unsafe\nstruct Instantly;\nlet asynchronous = 1;";
        assert!(lines(source).is_empty());
    }

    #[test]
    fn tests_may_use_what_they_like() {
        assert!(lines("fn a() {}\n#[cfg(test)]\nmod tests { use std::collections::HashMap; }").is_empty());
    }
}
