//! The payload of HASH REQUEST, HASHES and HASH REJECT (BEP 52): a run of nodes of a file's hash tree, and the neighbours that lead
//! from it up to the root.
//!
//! Invariant of a [`HashRange`]: `length` is a power of two of at most [`MAX_LENGTH`], and `index` a multiple of it. BEP 52 wants two
//! nodes at least; libtorrent asks for the last alone where one is left over, so one is taken too.

use crate::layout::MAX_PIECE_LENGTH;
use crate::merkle::{HASH, Hash};
use alloc::vec::Vec;
use core::fmt;

/// The most nodes asked for at once (BEP 52).
pub const MAX_LENGTH: u32 = 512;

/// The most levels that any tree has: 2^63 bytes in blocks of 2^14.
const MAX_LEVELS: u32 = 49;

/// The payload without hashes, in bytes.
pub const HEAD: usize = HASH + 16;

/// The longest payload of HASHES, in bytes.
pub const MAX_HASHES: usize = HEAD + (MAX_LENGTH + MAX_LEVELS) as usize * HASH;

/// A run of nodes, as the wire carries it: what no tree can have is sorted out by [`HashRange::decode`], the rest by the tree.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HashRange {
    /// The root of the file's tree.
    pub root: Hash,
    /// The level of the nodes: 0 is the blocks.
    pub base: u32,
    /// The first node.
    pub index: u32,
    /// How many nodes.
    pub length: u32,
    /// How many levels above `base` the proof goes.
    pub proofs: u32,
}

impl HashRange {
    /// The levels between the nodes and the root over them alone.
    pub const fn levels(&self) -> u32 {
        self.length.trailing_zeros()
    }

    /// How many neighbours follow the nodes: none for the levels that follow from the nodes themselves.
    pub const fn neighbours(&self) -> u32 {
        (self.proofs + 1).saturating_sub(self.levels())
    }

    /// The payload.
    pub fn encode(&self) -> [u8; HEAD] {
        let mut bytes = [0; HEAD];
        bytes[..HASH].copy_from_slice(&self.root);
        for (place, number) in bytes[HASH..].chunks_exact_mut(4).zip(self.numbers()) {
            place.copy_from_slice(&number.to_be_bytes());
        }
        bytes
    }

    /// Reads a payload. `None`: no tree has such nodes, or they may not be asked for so. What comes after the numbers is left alone.
    pub fn decode(payload: &[u8; HEAD]) -> Option<Self> {
        let (root, rest) = payload.split_first_chunk()?;
        let (numbers, _) = rest.as_chunks();
        let &[base, index, length, proofs] = numbers else {
            return None;
        };
        let range = Self {
            root: *root,
            base: u32::from_be_bytes(base),
            index: u32::from_be_bytes(index),
            length: u32::from_be_bytes(length),
            proofs: u32::from_be_bytes(proofs),
        };
        let sound = range.length.is_power_of_two()
            && range.length <= MAX_LENGTH
            && range.index.is_multiple_of(range.length)
            && range.base < MAX_LEVELS
            && range.proofs < MAX_LEVELS;
        sound.then_some(range)
    }

    const fn numbers(&self) -> [u32; 4] {
        [self.base, self.index, self.length, self.proofs]
    }
}

impl fmt::Debug for HashRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", crate::key::hex(&self.root[..4]), self.numbers())
    }
}

/// HASHES: the nodes and their neighbours, if there are as many as there must be.
pub fn nodes(range: &HashRange, hashes: &[u8]) -> Option<(Vec<Hash>, Vec<Hash>)> {
    let (all, rest) = hashes.as_chunks::<HASH>();
    let (nodes, neighbours) = all.split_at_checked(range.length as usize)?;
    (rest.is_empty() && neighbours.len() == range.neighbours() as usize).then(|| (nodes.to_vec(), neighbours.to_vec()))
}

// A piece's blocks are asked for in runs that fit.
const _: () = assert!(MAX_PIECE_LENGTH.is_power_of_two() && MAX_LENGTH.is_power_of_two());

#[cfg(test)]
mod tests {
    use super::*;

    fn range(base: u32, index: u32, length: u32, proofs: u32) -> HashRange {
        HashRange {
            root: [7; HASH],
            base,
            index,
            length,
            proofs,
        }
    }

    #[test]
    fn a_range_round_trips() {
        let range = range(2, 512, 256, 11);
        let bytes = range.encode();
        assert_eq!(bytes[HASH..], [0, 0, 0, 2, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0, 11]);
        assert_eq!(HashRange::decode(&bytes), Some(range));
        assert_eq!((range.levels(), range.neighbours()), (8, 4));
    }

    /// BEP 52: the first log2(length) - 1 proof layers are left out, but counted.
    #[test]
    fn neighbours_are_counted_as_the_bep_says() {
        for (length, proofs, neighbours) in [
            (2, 0, 0),
            (2, 1, 1),
            (4, 1, 0),
            (4, 2, 1),
            (512, 8, 0),
            (512, 10, 2),
            (1, 0, 1),
        ] {
            let range = range(0, 0, length, proofs);
            assert_eq!(range.neighbours(), neighbours, "{length} {proofs}");
            let right = (length + neighbours) as usize * HASH;
            for bytes in [0, right - 1, right, right + 1, right + HASH] {
                assert_eq!(
                    nodes(&range, &alloc::vec![0; bytes]).is_some(),
                    bytes == right,
                    "{bytes}"
                );
            }
        }
    }

    #[test]
    fn what_no_tree_has_is_refused() {
        let refused = [
            range(0, 0, 0, 0),
            range(0, 0, 3, 0),
            range(0, 0, 1_024, 0),
            range(0, 1, 2, 0),
            range(0, 256, 512, 0),
            range(0, u32::MAX, 2, 0),
            range(MAX_LEVELS, 0, 2, 0),
            range(u32::MAX, 0, 2, 0),
            range(0, 0, 2, MAX_LEVELS),
            range(0, 0, 2, u32::MAX),
            range(0, 0, 1 << 31, 0),
        ];
        for range in refused {
            assert_eq!(HashRange::decode(&range.encode()), None, "{range:?}");
        }
        assert!(
            HashRange::decode(&range(0, u32::MAX - 1, 2, 0).encode()).is_some(),
            "the tree decides"
        );
    }
}
