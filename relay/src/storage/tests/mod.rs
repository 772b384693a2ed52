//! Storage as a whole: each policy on a real folder, one behaviour a test.

mod cache;
mod disk;
mod files;

use std::path::Path;

use bytes::Bytes;
use tombolo_core::digest::Hashing;
use tombolo_core::layout::{Layout, Piece};
use tombolo_core::metainfo::FilePath;
use tombolo_core::rng::Rng;
use tombolo_core::slices::Slices;

use super::Folder;
use super::content::Content;
use super::files::Files;
use super::plan::{Entry, Kind, Plan};
use super::restore::Found;

/// A torrent with random bytes, and those bytes.
struct Sample {
    content: Content,
    bytes: Vec<u8>,
}

impl Sample {
    /// Files of these paths and lengths, in pieces of `piece_length`. A path that begins with `pad/` is a pad file, one that ends
    /// with `!` may be executed.
    fn new(piece_length: u64, files: &[(&str, u64)]) -> Self {
        let mut rng = Rng::new(7);
        let mut bytes = Vec::new();
        let entry = |&(path, length): &(&str, u64)| {
            let pad = path.starts_with("pad/");
            bytes.extend((0..length).map(|_| if pad { 0 } else { rng.below(256) as u8 }));
            let kind = Kind::Regular {
                executable: path.ends_with('!'),
            };
            Entry {
                path: FilePath::new(path.split('/').map(str::as_bytes)).unwrap(),
                start: bytes.len() as u64 - length,
                length,
                kind: if pad { Kind::Pad } else { kind },
            }
        };
        let plan = Plan::new(files.iter().map(entry).collect());
        let layout = Layout::new(bytes.len() as u64, piece_length).unwrap();
        let digests = bytes.chunks(piece_length as usize).flat_map(digest);
        let digests = digests.collect::<Vec<u8>>().into();
        let layers = tombolo_core::metainfo::Layers::default();
        let content = Content {
            plan,
            layout,
            digests,
            layers,
        };
        Self { content, bytes }
    }

    fn piece(&self, number: u32) -> Piece {
        self.content.layout.piece(number).unwrap()
    }

    /// The bytes of a piece, cut in a few slices.
    fn data(&self, piece: Piece) -> Slices {
        let start = self.content.layout.offset(piece) as usize;
        let length = self.content.layout.piece_length(piece) as usize;
        let mut slices = Slices::new();
        for part in self.bytes[start..start + length].chunks(1_000) {
            slices.push(Bytes::copy_from_slice(part));
        }
        slices
    }

    /// The bytes of a file.
    fn file(&self, number: usize) -> &[u8] {
        let entry = &self.content.plan.entries()[number];
        &self.bytes[entry.start as usize..entry.end() as usize]
    }

    fn open(&self, dir: &Path, selected: &[bool]) -> (Files, Found) {
        let folder = Folder::writable(dir.into());
        Files::open(&folder, self.content.clone(), "aa".into(), selected).unwrap()
    }

    /// Stores all pieces that `which` names.
    fn store(&self, files: &Files, which: impl IntoIterator<Item = u32>) {
        for number in which {
            files.store(self.piece(number), &self.data(self.piece(number))).unwrap();
        }
    }

    /// Every file below `dir` that is not our own state.
    fn assert_whole(&self, dir: &Path) {
        for (number, entry) in self.content.plan.entries().iter().enumerate() {
            if entry.is_regular() {
                let path = dir.join(entry.path.as_str());
                assert!(std::fs::read(&path).unwrap() == self.file(number), "{path:?}");
            }
        }
    }
}

/// What a v1 torrent needs.
const SHA1: Hashing = Hashing { v1: Some(0), v2: None };

fn digest(bytes: &[u8]) -> [u8; 20] {
    let digests = SHA1.digest(&Slices::from(Bytes::copy_from_slice(bytes)));
    digests.v1.unwrap()
}

fn numbers(bits: &tombolo_core::bits::Bits) -> Vec<usize> {
    bits.iter().collect()
}
