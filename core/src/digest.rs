//! The digests of one piece: SHA-1 of all of it (BEP 3), and SHA-256 of each of its blocks with their root (BEP 52).
//!
//! Every shell hashes with a [`Hasher`], in parts of any length, on whatever thread it likes; the session alone says what is wanted and
//! what the digests must be.

use crate::layout::BLOCK;
use crate::merkle::{self, Hash};
use crate::slices::Slices;
use alloc::vec::Vec;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

/// The SHA-1 of these parts together. Used wherever bytes are at hand, so that the hash's buffering is compiled once.
#[inline(never)]
pub fn sha1(parts: &[&[u8]]) -> [u8; 20] {
    let mut sha1 = Sha1::new();
    parts.iter().for_each(|part| sha1.update(part));
    sha1.finalize().into()
}

/// The same for SHA-256.
#[inline(never)]
pub fn sha256(parts: &[&[u8]]) -> Hash {
    let mut sha256 = Sha256::new();
    parts.iter().for_each(|part| sha256.update(part));
    sha256.finalize().into()
}

/// What is to be computed of a piece.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hashing {
    /// Its SHA-1, with so many zeros behind its bytes (BEP 47).
    pub v1: Option<u32>,
    /// The SHA-256 of its blocks, and the root so many levels above them.
    pub v2: Option<u32>,
}

/// What was computed of a piece.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Digests {
    /// Its SHA-1.
    pub v1: Option<[u8; 20]>,
    /// The root over its blocks.
    pub v2: Option<Hash>,
    /// The hash of each block.
    pub blocks: Vec<Hash>,
}

/// Computes digests of bytes as they come.
#[derive(Clone, Debug)]
pub struct Hasher {
    v1: Option<(Sha1, u32)>,
    v2: Option<Blocks>,
}

#[derive(Clone, Debug)]
struct Blocks {
    levels: u32,
    current: Sha256,
    /// Bytes of the current block so far.
    filled: usize,
    done: Vec<Hash>,
}

impl Hashing {
    /// The digests of a whole piece.
    pub fn digest(self, data: &Slices) -> Digests {
        let mut hasher = Hasher::new(self);
        data.iter().for_each(|part| hasher.update(part));
        hasher.finish()
    }
}

impl Hasher {
    /// One to compute that.
    pub fn new(hashing: Hashing) -> Self {
        Self {
            v1: hashing.v1.map(|zeros| (Sha1::new(), zeros)),
            v2: hashing.v2.map(|levels| Blocks {
                levels,
                current: Sha256::new(),
                filled: 0,
                done: Vec::new(),
            }),
        }
    }

    /// Takes in the next bytes of the piece.
    pub fn update(&mut self, mut bytes: &[u8]) {
        if let Some((sha1, _)) = &mut self.v1 {
            sha1.update(bytes);
        }
        let Some(blocks) = &mut self.v2 else { return };
        while !bytes.is_empty() {
            let (part, rest) = bytes.split_at((BLOCK as usize - blocks.filled).min(bytes.len()));
            blocks.current.update(part);
            blocks.filled += part.len();
            bytes = rest;
            if blocks.filled == BLOCK as usize {
                blocks.end_block();
            }
        }
    }

    /// The digests, when all bytes were taken in.
    pub fn finish(self) -> Digests {
        let mut digests = Digests::default();
        if let Some((mut sha1, zeros)) = self.v1 {
            const ZEROS: [u8; 4096] = [0; 4096];
            let mut left = zeros as usize;
            while left > 0 {
                let part = left.min(ZEROS.len());
                sha1.update(&ZEROS[..part]);
                left -= part;
            }
            digests.v1 = Some(sha1.finalize().into());
        }
        if let Some(mut blocks) = self.v2 {
            if blocks.filled > 0 {
                blocks.end_block();
            }
            digests.v2 = Some(merkle::root(&blocks.done, 0, blocks.levels));
            digests.blocks = blocks.done;
        }
        digests
    }
}

impl Blocks {
    fn end_block(&mut self) {
        self.done.push(self.current.finalize_reset().into());
        self.filled = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use bytes::Bytes;

    #[test]
    fn any_cut_gives_the_same_digests() {
        let data: Vec<u8> = (0..40_000u32).map(|n| n as u8).collect();
        let hashing = Hashing {
            v1: Some(5_000),
            v2: Some(2),
        };
        let whole = hashing.digest(&Bytes::from(data.clone()).into());
        let padded = [&data[..], &vec![0; 5_000]].concat();
        assert_eq!(whole.v1, Some(Sha1::digest(padded).into()));
        let blocks: Vec<Hash> = data.chunks(16_384).map(|block| Sha256::digest(block).into()).collect();
        assert_eq!(whole.blocks, blocks);
        assert_eq!(whole.v2, Some(merkle::root(&blocks, 0, 2)));
        for part in [1, 7, 16_383, 16_384, 16_385, 39_999] {
            let mut hasher = Hasher::new(hashing);
            data.chunks(part).for_each(|bytes| hasher.update(bytes));
            assert_eq!(hasher.finish(), whole, "{part}");
        }
        assert_eq!(Hashing::default().digest(&Slices::new()), Digests::default());
    }
}
