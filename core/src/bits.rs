//! A set of piece indices as 64-bit words: unions and searches go 64 pieces a step.
//!
//! Invariant: bits at and past the length are zero, so that counts and comparisons need no mask.

use crate::gather::Gather;
use alloc::vec::Vec;

/// A set of numbers below a fixed length.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bits {
    words: Vec<u64>,
    len: usize,
}

/// Why a BITFIELD message's bytes are not a set of that length (BEP 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BitsError {
    /// It has the wrong number of bytes.
    Length {
        /// Bytes that were expected.
        expected: usize,
        /// Bytes that came.
        received: usize,
    },
    /// A spare bit at the end is set.
    SpareBit,
}

impl Bits {
    /// The empty set below `len`.
    pub fn new(len: usize) -> Self {
        Self {
            words: alloc::vec![0; len.div_ceil(64)],
            len,
        }
    }

    /// Every number below `len`.
    pub fn full(len: usize) -> Self {
        let mut bits = Self {
            words: alloc::vec![u64::MAX; len.div_ceil(64)],
            len,
        };
        bits.clear_tail();
        bits
    }

    /// Reads a BITFIELD: the high bit of the first byte is piece 0 (BEP 3).
    pub fn from_bytes(bytes: &[u8], len: usize) -> Result<Self, BitsError> {
        if bytes.len() != len.div_ceil(8) {
            return Err(BitsError::Length {
                expected: len.div_ceil(8),
                received: bytes.len(),
            });
        }
        let mut bits = Self::new(len);
        for (word, chunk) in bits.words.iter_mut().zip(bytes.chunks(8)) {
            let mut padded = [0; 8];
            padded[..chunk.len()].copy_from_slice(chunk);
            *word = u64::from_be_bytes(padded).reverse_bits();
        }
        let read = bits.words.last().copied();
        bits.clear_tail();
        if bits.words.last().copied() == read {
            Ok(bits)
        } else {
            Err(BitsError::SpareBit)
        }
    }

    /// Writes a BITFIELD.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = self
            .words
            .iter()
            .flat_map(|word| word.reverse_bits().to_be_bytes())
            .gather();
        bytes.truncate(self.len.div_ceil(8));
        bytes
    }

    /// The bound below which all its numbers lie.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether no number is in it.
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|&word| word == 0)
    }

    /// Whether every number below its length is in it.
    pub fn is_full(&self) -> bool {
        self.count() == self.len
    }

    /// How many numbers are in it. O(length / 64).
    pub fn count(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether `index` is in it; false past the end.
    pub fn contains(&self, index: usize) -> bool {
        self.words
            .get(index / 64)
            .is_some_and(|word| word >> (index % 64) & 1 == 1)
    }

    /// Adds `index`; true if it was not there. Ignored past the end.
    pub fn insert(&mut self, index: usize) -> bool {
        if index >= self.len {
            return false;
        }
        let (word, bit) = (&mut self.words[index / 64], 1 << (index % 64));
        let new = *word & bit == 0;
        *word |= bit;
        new
    }

    /// Takes `index` out; true if it was there.
    pub fn remove(&mut self, index: usize) -> bool {
        if index >= self.len {
            return false;
        }
        let (word, bit) = (&mut self.words[index / 64], 1 << (index % 64));
        let there = *word & bit != 0;
        *word &= !bit;
        there
    }

    /// Its words, lowest numbers first: for set operations 64 at a time.
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// Its numbers, ascending.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.words
            .iter()
            .enumerate()
            .flat_map(|(at, &word)| numbers(at * 64, word))
    }

    /// Adds every number of `other`, a set below the same length.
    pub fn union(&mut self, other: &Self) {
        for (ours, theirs) in self.words.iter_mut().zip(&other.words) {
            *ours |= theirs;
        }
    }

    /// The numbers in this set and not in `other`, ascending.
    pub fn difference<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = usize> + 'a {
        let words = self.words.iter().zip(&other.words).map(|(ours, theirs)| ours & !theirs);
        words.enumerate().flat_map(|(at, word)| numbers(at * 64, word))
    }

    /// Whether some number is in this set and not in `other`.
    pub fn exceeds(&self, other: &Self) -> bool {
        self.words
            .iter()
            .zip(&other.words)
            .any(|(ours, theirs)| ours & !theirs != 0)
    }

    fn clear_tail(&mut self) {
        if let (Some(last), spare @ 1..) = (self.words.last_mut(), self.len % 64) {
            *last &= (1 << spare) - 1;
        }
    }
}

/// The numbers of the bits set in `word`, counted from `first`.
fn numbers(first: usize, mut word: u64) -> impl Iterator<Item = usize> {
    core::iter::from_fn(move || {
        (word != 0).then(|| {
            let bit = word.trailing_zeros() as usize;
            word &= word - 1;
            first + bit
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn bytes_round_trip_at_every_length() {
        for len in [1, 7, 8, 9, 63, 64, 65, 130] {
            let mut bits = Bits::new(len);
            (0..len).step_by(3).for_each(|index| assert!(bits.insert(index)));
            assert_eq!(Bits::from_bytes(&bits.to_bytes(), len), Ok(bits.clone()), "{len}");
            assert_eq!(bits.iter().collect::<Vec<_>>(), (0..len).step_by(3).collect::<Vec<_>>());
            assert!(Bits::full(len).is_full());
        }
        assert_eq!(
            Bits::from_bytes(&[0x80, 0x40], 16).unwrap().iter().collect::<Vec<_>>(),
            [0, 9]
        );
    }

    #[test]
    fn malformed_bitfields_are_refused() {
        assert_eq!(
            Bits::from_bytes(&[0], 9),
            Err(BitsError::Length {
                expected: 2,
                received: 1
            })
        );
        assert_eq!(
            Bits::from_bytes(&[0; 3], 9),
            Err(BitsError::Length {
                expected: 2,
                received: 3
            })
        );
        assert_eq!(Bits::from_bytes(&[0, 0x40], 9), Err(BitsError::SpareBit));
    }

    #[test]
    fn indices_past_the_end_are_never_members() {
        let mut bits = Bits::new(3);
        assert!(!bits.insert(3) && !bits.remove(3) && !bits.contains(1_000));
        assert_eq!(bits.words(), vec![0]);
        assert!(Bits::full(3).exceeds(&bits) && !bits.exceeds(&Bits::full(3)));
    }

    #[test]
    fn union_and_difference() {
        let (mut low, mut high) = (Bits::new(100), Bits::new(100));
        (0..60).for_each(|index| assert!(low.insert(index)));
        (50..100).for_each(|index| assert!(high.insert(index)));
        assert_eq!(low.difference(&high).collect::<Vec<_>>(), (0..50).collect::<Vec<_>>());
        low.union(&high);
        assert!(low.is_full());
    }
}
