//! A list of info-hashes in a file: what a tracker serves, or what it does not.
//!
//! One hash a line, 40 hexadecimal digits or the 64 of a v2 torrent, which counts by its first 20 bytes as its swarm does; what follows
//! a `#` is a remark. Kept sorted: 20 bytes a hash, and a look costs O(log n).

use crate::key::{SwarmKey, unhex};
use alloc::vec::Vec;
use core::fmt;

/// A set of info-hashes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HashList(Vec<SwarmKey>);

/// A line that is no info-hash: nothing of its file is used, since a list that is half a list serves, or refuses, the wrong ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListError {
    /// Which line, from 1.
    pub line: usize,
}

impl HashList {
    /// Reads a file.
    ///
    /// # Errors
    /// A line has something that is no info-hash.
    pub fn parse(file: &[u8]) -> Result<Self, ListError> {
        let mut hashes = Vec::new();
        for (number, line) in file.split(|&byte| byte == b'\n').enumerate() {
            let line = line.split(|&byte| byte == b'#').next().unwrap_or_default();
            let line = line.trim_ascii();
            if !line.is_empty() {
                hashes.push(hash(line).ok_or(ListError { line: number + 1 })?);
            }
        }
        hashes.sort_unstable();
        hashes.dedup();
        hashes.shrink_to_fit();
        Ok(Self(hashes))
    }

    /// Whether a swarm is in it.
    pub fn has(&self, swarm: SwarmKey) -> bool {
        self.0.binary_search(&swarm).is_ok()
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The swarms in it, in order.
    pub fn iter(&self) -> impl Iterator<Item = SwarmKey> {
        self.0.iter().copied()
    }
}

fn hash(digits: &[u8]) -> Option<SwarmKey> {
    let digits = core::str::from_utf8(digits).ok()?;
    if digits.len() == 64 {
        unhex::<32>(digits)?;
    }
    let first = if digits.len() == 64 { digits.get(..40)? } else { digits };
    unhex::<20>(first).map(SwarmKey)
}

impl fmt::Display for ListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "line {} is no info-hash: it has 40 hexadecimal digits, or 64",
            self.line
        )
    }
}

impl core::error::Error for ListError {}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;

    #[test]
    fn hashes_of_both_versions_are_found() {
        let (v1, v2) = ("AB".repeat(20), "cd".repeat(32));
        let file = [
            "# what is served\r\n",
            &v2,
            "\r\n\n  ",
            &v1,
            " # that one\n",
            &v1.to_lowercase(),
        ]
        .concat();
        let list = HashList::parse(file.as_bytes()).unwrap();
        assert_eq!(list.len(), 2);
        assert!(list.has(SwarmKey([0xab; 20])) && list.has(SwarmKey([0xcd; 20])));
        assert!(!list.has(SwarmKey([0xac; 20])));
        assert!(HashList::parse(b"").unwrap().is_empty());
    }

    #[test]
    fn malformed_files_are_refused_at_their_line() {
        let hash = "ab".repeat(20);
        let table: [(String, usize); 8] = [
            ("x".into(), 1),
            (hash.clone() + "0", 1),
            (hash[1..].into(), 1),
            (hash.clone() + "\n" + &hash[..38] + "zz", 2),
            (hash.clone() + &hash[..24] + "\n", 0),
            (hash.clone() + &hash[..23] + "g\n", 1),
            (hash.clone() + " " + &hash, 1),
            (hash.clone() + "\n\n\nmagnet:?xt=urn:btih:" + &hash, 4),
        ];
        for (file, line) in table {
            let found = HashList::parse(file.as_bytes());
            match line {
                0 => assert_eq!(found.unwrap().len(), 1, "{file}"),
                line => assert_eq!(found, Err(ListError { line }), "{file}"),
            }
        }
        assert_eq!(HashList::parse(b"\xff\xff"), Err(ListError { line: 1 }));
    }
}
