//! Bytes in several pieces of memory that together are one block or one piece, never joined.
//!
//! A PIECE message straddles receive buffers; its block goes on as views of those buffers, from the socket to the hash,
//! to the disk and to the next peer. Invariants: no slice is empty; `len` is the sum of all. One slice costs no allocation.

use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;
use core::ops::Range;

/// A run of bytes held as a list of shared slices.
#[derive(Clone, Default)]
pub struct Slices {
    first: Bytes,
    rest: Vec<Bytes>,
    len: usize,
}

impl Slices {
    /// No bytes.
    pub const fn new() -> Self {
        Self {
            first: Bytes::new(),
            rest: Vec::new(),
            len: 0,
        }
    }

    /// Appends a slice. O(1).
    pub fn push(&mut self, bytes: Bytes) {
        if bytes.is_empty() {
            return;
        }
        self.len += bytes.len();
        if self.first.is_empty() {
            self.first = bytes;
        } else {
            self.rest.push(bytes);
        }
    }

    /// Appends all slices of another list, copying no byte.
    pub fn extend(&mut self, other: Self) {
        self.push(other.first);
        other.rest.into_iter().for_each(|bytes| self.push(bytes));
    }

    /// How many bytes there are. O(1).
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no bytes.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The slices, in order; none is empty.
    pub fn iter(&self) -> impl Iterator<Item = &Bytes> {
        (!self.first.is_empty())
            .then_some(&self.first)
            .into_iter()
            .chain(&self.rest)
    }

    /// The bytes of `range`, cut to what there is, sharing the same memory. O(slices).
    pub fn slice(&self, range: Range<usize>) -> Self {
        let mut part = Self::new();
        let mut offset = 0;
        for bytes in self.iter() {
            let from = range.start.saturating_sub(offset).min(bytes.len());
            let to = range.end.saturating_sub(offset).min(bytes.len());
            if from < to {
                part.push(bytes.slice(from..to));
            }
            offset += bytes.len();
            if offset >= range.end {
                break;
            }
        }
        part
    }

    /// A joined copy: for tests and for what is small.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut all = Vec::with_capacity(self.len);
        self.iter().for_each(|bytes| all.extend_from_slice(bytes));
        all
    }
}

impl From<Bytes> for Slices {
    fn from(bytes: Bytes) -> Self {
        Self {
            len: bytes.len(),
            first: bytes,
            rest: Vec::new(),
        }
    }
}

/// The same bytes are equal however they are cut.
impl PartialEq for Slices {
    fn eq(&self, other: &Self) -> bool {
        let bytes = |slices: &Self, from: usize, to: usize| slices.slice(from..to);
        if self.len != other.len {
            return false;
        }
        let mut offset = 0;
        self.iter().all(|ours| {
            let mut at = 0;
            let end = offset + ours.len();
            let same = bytes(other, offset, end).iter().all(|theirs| {
                let part = ours.get(at..at + theirs.len());
                at += theirs.len();
                part == Some(&theirs[..])
            });
            offset = end;
            same
        })
    }
}

impl Eq for Slices {}

impl fmt::Debug for Slices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Slices({} bytes in {})", self.len, self.iter().count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    fn cut(text: &[u8], rng: &mut Rng) -> Slices {
        let mut slices = Slices::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (head, tail) = rest.split_at(rng.below(rest.len() + 1));
            slices.push(Bytes::copy_from_slice(head));
            rest = tail;
        }
        slices
    }

    #[test]
    fn any_cut_is_the_same_bytes() {
        let mut rng = Rng::new(1);
        let text: Vec<u8> = (0..100).collect();
        for _ in 0..200 {
            let (one, other) = (cut(&text, &mut rng), cut(&text, &mut rng));
            assert_eq!(one, other);
            assert_eq!(one.to_vec(), text);
            let (from, to) = (rng.below(60), 40 + rng.below(70));
            let range = from.min(text.len())..to.min(text.len()).max(from);
            assert_eq!(one.slice(from..to).to_vec(), text.get(range).unwrap_or(&[]));
        }
        let mut changed = text.clone();
        changed[57] ^= 1;
        assert_ne!(cut(&text, &mut rng), cut(&changed, &mut rng));
    }

    #[test]
    fn empty_slices_leave_no_trace() {
        let mut slices = Slices::from(Bytes::new());
        slices.push(Bytes::new());
        slices.extend(Slices::new());
        assert!(slices.is_empty() && slices.iter().next().is_none());
        assert_eq!(slices, Slices::new());
        assert!(slices.slice(0..9).is_empty());
    }
}
