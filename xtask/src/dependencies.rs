//! What dependencies are held to: a licence that goes with ours, and the public registry as their source.
//!
//! Read from `cargo metadata`, for the platforms that we build for. `cargo-deny` checks more, but takes minutes to install, and nobody
//! would have it; known vulnerabilities are not looked for here, since that needs the network.

use crate::command;
use crate::tally::Tally;
use serde_json::Value;

/// Licences under which a dependency may be used: permissive ones, and those of data and of single files (MPL).
const LICENCES: [&str; 12] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MPL-2.0",
    "Unicode-3.0",
    "Zlib",
];

/// Where dependencies may come from.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// What we build for.
const PLATFORMS: [&str; 3] = [
    "x86_64-unknown-linux-gnu",
    "aarch64-unknown-linux-gnu",
    "wasm32-unknown-unknown",
];

/// Checks every dependency, and says which are not as they should be.
pub(crate) fn check() -> Result<Tally, String> {
    let mut metadata = command::cargo(&["metadata", "--format-version", "1", "--locked"]);
    metadata.args(PLATFORMS.iter().flat_map(|platform| ["--filter-platform", platform]));
    let text = command::run_quietly(&mut metadata)?;
    let metadata: Value = serde_json::from_str(&text).map_err(|error| format!("cargo metadata: {error}"))?;
    let packages = metadata["packages"]
        .as_array()
        .ok_or("cargo metadata names no packages")?;
    let faults: Vec<String> = packages.iter().filter_map(fault).collect();
    if faults.is_empty() {
        Ok(Tally::PASSED)
    } else {
        Err(faults.join("\n"))
    }
}

/// What is wrong with a package. Those of this workspace have no source.
fn fault(package: &Value) -> Option<String> {
    let source = package["source"].as_str()?;
    let name = format!("{} {}", package["name"].as_str()?, package["version"].as_str()?);
    if source != REGISTRY {
        return Some(format!("{name} comes from {source}"));
    }
    match package["license"].as_str() {
        None => Some(format!("{name} names no licence")),
        Some(licence) if is_allowed(licence) => None,
        Some(licence) => Some(format!("{name} is under {licence}")),
    }
}

/// Whether an SPDX expression can be met by licences that are allowed. Older packages write `/` for OR.
fn is_allowed(expression: &str) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut words = &words[..];
    any(&mut words) && words.is_empty()
}

/// Terms joined by OR.
fn any(words: &mut &[&str]) -> bool {
    let mut allowed = all(words);
    while take(words, "OR") {
        allowed |= all(words);
    }
    allowed
}

/// Terms joined by AND, which binds closer.
fn all(words: &mut &[&str]) -> bool {
    let mut allowed = one(words);
    while take(words, "AND") {
        allowed &= one(words);
    }
    allowed
}

/// A licence, one with an exception, or an expression in parentheses.
fn one(words: &mut &[&str]) -> bool {
    if take(words, "(") {
        return any(words) & take(words, ")");
    }
    let Some((licence, rest)) = words.split_first() else {
        return false;
    };
    *words = rest;
    let name = match *words {
        ["WITH", exception, ..] => {
            let name = format!("{licence} WITH {exception}");
            *words = &words[2..];
            name
        }
        _ => (*licence).to_owned(),
    };
    LICENCES.contains(&&name[..])
}

fn take(words: &mut &[&str], word: &str) -> bool {
    let found = words.first() == Some(&word);
    if found {
        *words = &words[1..];
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn expressions_are_met_or_not() {
        for (expression, expected) in [
            ("MIT", true),
            ("MIT/Apache-2.0", true),
            ("GPL-3.0 OR MIT", true),
            ("GPL-3.0", false),
            ("MIT AND GPL-3.0", false),
            ("GPL-3.0 OR MIT AND ISC", true),
            ("(MIT OR GPL-3.0) AND Unicode-3.0", true),
            ("(GPL-2.0 OR GPL-3.0) AND MIT", false),
            ("Apache-2.0 WITH LLVM-exception OR GPL-3.0", true),
            ("GPL-3.0 WITH Classpath-exception", false),
            ("MIT GPL-3.0", false),
            ("(MIT", false),
            ("", false),
        ] {
            assert_eq!(is_allowed(expression), expected, "{expression}");
        }
    }

    #[test]
    fn sources_and_licences_are_named() {
        let package = |source, licence| json!({"name": "a", "version": "1.0.0", "source": source, "license": licence});
        assert_eq!(fault(&package(Value::Null, json!("GPL-3.0"))), None, "one of ours");
        assert_eq!(fault(&package(json!(REGISTRY), json!("MIT"))), None);
        for (source, licence, expected) in [
            (json!("git+https://a"), json!("MIT"), "a 1.0.0 comes from git+https://a"),
            (json!(REGISTRY), json!("GPL-3.0"), "a 1.0.0 is under GPL-3.0"),
            (json!(REGISTRY), Value::Null, "a 1.0.0 names no licence"),
        ] {
            assert_eq!(fault(&package(source, licence)).as_deref(), Some(expected));
        }
    }
}
