//! What is remembered between two runs: which pieces were verified, and what their files looked like then.
//!
//! Invariant: a piece is believed only if every file it lies in has the length and the time of writing that it had when the record
//! was made, and the machine was not restarted since (what was not yet on disk when it lost power may be missing behind an unchanged
//! time). Everything else is hashed again: at 2 GB/s a core that is cheap, and no kill at any moment can do harm.
//! The record is replaced in one step, so that it is always whole.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};
use tombolo_core::bits::Bits;
use tombolo_core::key::hex;

use super::root::{Access, Root, Stat};

/// The version of the format; another one is ignored.
const VERSION: u32 = 1;

/// What is known of a file: its length and its time of writing.
type Mark = Option<(u64, i64)>;

/// A record of verified pieces.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Resume {
    /// The verified pieces.
    pub(super) held: Bits,
    /// What each file looked like, `None` where there was none.
    pub(super) files: Vec<Option<Stat>>,
}

#[derive(Serialize, Deserialize)]
struct Document {
    version: u32,
    boot: String,
    pieces: usize,
    held: String,
    files: Vec<Mark>,
}

impl Resume {
    /// Reads the record of that name, if there is a usable one of a torrent with that many pieces and files.
    pub(super) fn load(folder: &Root, name: &str, pieces: usize, files: usize) -> Option<Self> {
        let mut text = String::new();
        let limit = 64 * (files as u64 + 64) + pieces as u64;
        let file = folder.file(&[name], Access::Read).ok()?;
        file.take(limit).read_to_string(&mut text).ok()?;
        let document: Document = serde_json::from_str(&text).ok()?;
        let usable = document.version == VERSION
            && document.pieces == pieces
            && document.files.len() == files
            && document.boot == boot();
        let held = Bits::from_bytes(&bytes(&document.held)?, pieces).ok()?;
        usable.then(|| Self {
            held,
            files: document
                .files
                .into_iter()
                .map(|mark| mark.map(|(length, modified)| Stat { length, modified }))
                .collect(),
        })
    }

    /// Replaces the record of that name.
    pub(super) fn save(&self, folder: &Root, name: &str) -> io::Result<()> {
        let document = Document {
            version: VERSION,
            boot: boot(),
            pieces: self.held.len(),
            held: hex(&self.held.to_bytes()),
            files: self
                .files
                .iter()
                .map(|stat| stat.map(|stat| (stat.length, stat.modified)))
                .collect(),
        };
        let temporary = format!("{name}.new");
        let mut file = folder.file(&[&temporary], Access::Replace)?;
        file.write_all(&serde_json::to_vec(&document)?)?;
        folder.rename(&temporary, name)
    }
}

/// Names the time since the machine was started; empty where that cannot be known.
fn boot() -> String {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
    id.map(|id| id.trim().to_owned()).unwrap_or_default()
}

fn bytes(digits: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    digits
        .as_bytes()
        .chunks(2)
        .map(|pair| match pair {
            &[high, low] => u8::try_from(digit(high)? * 16 + digit(low)?).ok(),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Resume {
        let mut held = Bits::new(11);
        [0, 7, 10].into_iter().for_each(|piece| assert!(held.insert(piece)));
        let stat = Stat {
            length: u64::MAX >> 12,
            modified: -5,
        };
        Resume {
            held,
            files: vec![None, Some(stat)],
        }
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::open(dir.path()).unwrap();
        sample().save(&root, "r").unwrap();
        assert_eq!(Resume::load(&root, "r", 11, 2), Some(sample()));
        assert_eq!(root.names().unwrap(), ["r"], "nothing temporary is left");
    }

    #[test]
    fn what_does_not_fit_is_ignored() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::open(dir.path()).unwrap();
        assert_eq!(Resume::load(&root, "r", 11, 2), None, "no record");
        sample().save(&root, "r").unwrap();
        for (pieces, files) in [(12, 2), (11, 3), (3, 2)] {
            assert_eq!(Resume::load(&root, "r", pieces, files), None, "{pieces} {files}");
        }
        let whole = std::fs::read_to_string(dir.path().join("r")).unwrap();
        let elsewhere = whole.replace(&boot(), "another start");
        let other = whole.replace("\"version\":1", "\"version\":2");
        for text in ["", "{}", &whole[..whole.len() - 1], &elsewhere, &other] {
            std::fs::write(dir.path().join("r"), text).unwrap();
            assert_eq!(Resume::load(&root, "r", 11, 2), None, "{text}");
        }
    }
}
