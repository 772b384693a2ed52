//! Where the bytes of a torrent lie: its files, in order, and the spans of them that a run of bytes covers.
//!
//! Invariant: entries are in order of their start and do not overlap. Between two of them there may be zeros that are in no file. Finding the first span of a run costs O(log files).

use tombolo_core::metainfo::FilePath;

/// One file of a torrent.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Its place below the storage's folder.
    pub(super) path: FilePath,
    /// Its first byte in the torrent.
    pub(super) start: u64,
    /// Its length in bytes.
    pub(super) length: u64,
    /// What is to be written for it.
    pub(super) kind: Kind,
}

/// What is to be written for a file of a torrent (BEP 47).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A file.
    Regular {
        /// Whether it may be executed.
        executable: bool,
    },
    /// Nothing: zeros that fill up a piece.
    Pad,
    /// A symbolic link to another file of the torrent, given as a path relative to the link.
    Symlink(String),
}

impl Entry {
    /// Its path, element by element.
    pub(super) fn elements(&self) -> Vec<&str> {
        self.path.elements().collect()
    }

    /// The byte after its last in the torrent.
    pub(super) const fn end(&self) -> u64 {
        self.start + self.length
    }

    /// Whether its bytes are in a file on disk.
    pub(super) const fn is_regular(&self) -> bool {
        matches!(self.kind, Kind::Regular { .. })
    }
}

/// A run of bytes within one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// Its first byte within the run of bytes that was asked for.
    pub(super) at: usize,
    /// The number of the file.
    pub(super) file: usize,
    /// Its first byte within that file.
    pub(super) offset: u64,
    /// Its length in bytes, at least 1.
    pub(super) length: usize,
}

/// The files of a torrent.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    entries: Vec<Entry>,
}

impl Plan {
    /// The plan of these files, in order.
    pub(super) const fn new(entries: Vec<Entry>) -> Self {
        Self { entries }
    }

    /// The files, in order.
    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The spans that make up the `length` bytes from `start`, in order.
    pub(super) fn spans(&self, start: u64, length: u64) -> impl Iterator<Item = Span> + '_ {
        let end = start + length;
        let first = self.entries.partition_point(|entry| entry.end() <= start);
        self.entries
            .iter()
            .enumerate()
            .skip(first)
            .take_while(move |(_, entry)| entry.start < end)
            .filter(|(_, entry)| entry.length > 0)
            .map(move |(file, entry)| {
                let from = start.max(entry.start);
                let to = end.min(entry.end());
                Span {
                    at: (from - start) as usize,
                    file,
                    offset: from - entry.start,
                    length: (to - from) as usize,
                }
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(lengths: &[u64]) -> Plan {
        let mut end = 0;
        let entry = |&length: &u64| {
            end += length;
            Entry {
                path: FilePath::new([&b"f"[..]]).unwrap(),
                start: end - length,
                length,
                kind: Kind::Regular { executable: false },
            }
        };
        Plan::new(lengths.iter().map(entry).collect())
    }

    #[test]
    fn spans_cross_files_and_pass_over_empty_ones() {
        let plan = plan(&[0, 10, 0, 0, 5, 20, 0]);
        let spans = |start, length| {
            plan.spans(start, length)
                .map(|span| (span.file, span.offset, span.length))
                .collect::<Vec<_>>()
        };
        assert_eq!(spans(0, 10), [(1, 0, 10)]);
        assert_eq!(spans(8, 10), [(1, 8, 2), (4, 0, 5), (5, 0, 3)]);
        assert_eq!(spans(10, 1), [(4, 0, 1)]);
        assert_eq!(spans(34, 1), [(5, 19, 1)]);
        assert_eq!(spans(35, 1), []);
    }

    #[test]
    fn any_cut_covers_every_byte_once() {
        let plan = plan(&[3, 0, 1, 7, 2]);
        for piece in 1..15 {
            let mut seen = 0;
            for start in (0..13).step_by(piece) {
                let length = (piece as u64).min(13 - start as u64);
                for span in plan.spans(start as u64, length) {
                    assert_eq!(plan.entries()[span.file].start + span.offset, seen);
                    assert_eq!((start + span.at) as u64, seen);
                    seen += span.length as u64;
                }
            }
            assert_eq!(seen, 13);
        }
    }
}
