//! Digests of pieces that are read bit by bit: two pieces at a time, so that both fill the processor (see [`lanes`]).
//!
//! Cost: memory of two parts a thread, which stay in a core's second-level cache from being read to being hashed. The session's own
//! [`Hashing::digest`] gives the same digests.

mod lanes;

use std::cell::RefCell;
use std::sync::atomic::{AtomicU32, Ordering};

use lanes::{Block, SHA1, SHA256, Sha1};
use tombolo_core::digest::{self, Digests, Hashing};
use tombolo_core::layout::{BLOCK, Layout, Piece};
use tombolo_core::merkle::{self, Hash};

/// How many pieces are hashed together. More would not fit into the processor's registers.
pub(crate) const LANES: usize = 2;

/// How much of a piece is read at once. A whole number of 16 KiB blocks; with two of them a second-level cache of 512 KiB is half full.
const PART: usize = 128 * 1024;

/// A piece to be hashed.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    /// Its length in bytes.
    length: usize,
    /// What is to be computed of it.
    hashing: Hashing,
}

/// A piece while it is hashed.
struct Lane<E> {
    length: usize,
    hashing: Hashing,
    sha1: Sha1,
    blocks: Vec<Hash>,
    failed: Option<E>,
}

/// The digests of up to [`LANES`] pieces. `read` fills a slice with bytes of a piece, given by its number among `wanted`, from a place
/// in the piece on; a piece that it fails for has no digests. Each piece is read in order, from its beginning.
fn digests<E>(
    wanted: &[Wanted],
    mut read: impl FnMut(usize, usize, &mut [u8]) -> Result<(), E>,
) -> Vec<Result<Digests, E>> {
    thread_local! {
        static PARTS: RefCell<[Vec<u8>; LANES]> = RefCell::new(std::array::from_fn(|_| vec![0; PART]));
    }
    let mut lanes: [Lane<E>; LANES] = std::array::from_fn(|number| Lane::new(wanted.get(number)));
    PARTS.with_borrow_mut(|parts| {
        let end = lanes.iter().map(Lane::end).max().unwrap_or(0);
        for at in (0..end).step_by(PART) {
            for (number, (lane, part)) in lanes.iter_mut().zip(&mut *parts).enumerate() {
                lane.fill(at, part, |bytes| read(number, at, bytes));
            }
            let [one, other] = &mut lanes;
            let mut states = [one.sha1, other.sha1];
            lanes::sha1(
                &mut states,
                [one.whole_blocks(at, &parts[0]), other.whole_blocks(at, &parts[1])],
            );
            [one.sha1, other.sha1] = states;
            for (lane, part) in lanes.iter_mut().zip(&*parts) {
                lane.take(at, part);
            }
        }
    });
    lanes.into_iter().take(wanted.len()).map(Lane::finish).collect()
}

/// The next pieces, at most [`LANES`], for one of several threads that share `next`; none when all are taken.
pub(crate) fn take(next: &AtomicU32, layout: &Layout) -> Vec<Piece> {
    let first = next.fetch_add(LANES as u32, Ordering::Relaxed);
    (first..first.saturating_add(LANES as u32))
        .filter_map(|number| layout.piece(number))
        .collect()
}

/// The digests of pieces of a torrent, [`LANES`] at a time; `read` fills a slice with bytes of a piece from a place in it on.
pub(crate) fn of_each<E>(
    pieces: &[(Piece, Hashing)],
    layout: &Layout,
    mut read: impl FnMut(Piece, usize, &mut [u8]) -> Result<(), E>,
) -> Vec<Result<Digests, E>> {
    let wanted = |&(piece, hashing): &(Piece, Hashing)| Wanted {
        length: layout.piece_length(piece) as usize,
        hashing,
    };
    let few = |pieces: &[(Piece, Hashing)]| {
        let wanted: Vec<Wanted> = pieces.iter().map(wanted).collect();
        digests(&wanted, |number, at, part| read(pieces[number].0, at, part))
    };
    pieces.chunks(LANES).flat_map(few).collect()
}

impl<E> Lane<E> {
    fn new(wanted: Option<&Wanted>) -> Self {
        Self {
            length: wanted.map_or(0, |wanted| wanted.length),
            hashing: wanted.map(|wanted| wanted.hashing).unwrap_or_default(),
            sha1: SHA1,
            blocks: Vec::new(),
            failed: None,
        }
    }

    /// How many bytes its SHA-1 is over.
    fn v1_length(&self) -> usize {
        self.hashing.v1.map_or(0, |zeros| self.length + zeros as usize)
    }

    /// How far it goes: a part more than there are bytes, if SHA-1's own end needs it.
    fn end(&self) -> usize {
        self.length.max(self.hashing.v1.map_or(0, |_| self.v1_length() + 1))
    }

    /// Reads its bytes from `at` on into `part`, with zeros behind them.
    fn fill(&mut self, at: usize, part: &mut [u8], read: impl FnOnce(&mut [u8]) -> Result<(), E>) {
        let count = self.length.saturating_sub(at).min(PART);
        if count > 0
            && self.failed.is_none()
            && let Err(error) = read(&mut part[..count])
        {
            self.failed = Some(error);
        }
        let padded = self.v1_length().saturating_sub(at).min(PART);
        if padded > count {
            part[count..padded].fill(0);
        }
    }

    /// The blocks of the part at `at` that SHA-1 takes whole.
    fn whole_blocks<'a>(&self, at: usize, part: &'a [u8]) -> &'a [Block] {
        let count = self.v1_length().saturating_sub(at).min(PART) / size_of::<Block>();
        let blocks = part.as_chunks().0;
        if self.failed.is_some() { &[] } else { &blocks[..count] }
    }

    /// Hashes the blocks of v2 in the part at `at`, and where SHA-1's message ends in it, its end.
    fn take(&mut self, at: usize, part: &[u8]) {
        if self.failed.is_some() {
            return;
        }
        if self.hashing.v2.is_some() {
            let count = self.length.saturating_sub(at).min(PART);
            hash_blocks(&part[..count], &mut self.blocks);
        }
        let length = self.v1_length();
        if self.hashing.v1.is_some() && (at..at + PART).contains(&length) {
            // FIPS 180-4, 5.1.1: a bit, zeros, and the length in bits.
            let mut last = [[0; size_of::<Block>()]; 2];
            let tail = &part[(length - at) / 64 * 64..length - at];
            last[0][..tail.len()].copy_from_slice(tail);
            last[0][tail.len()] = 0x80;
            let count = if tail.len() < 56 { 1 } else { 2 };
            last[count - 1][56..].copy_from_slice(&(8 * length as u64).to_be_bytes());
            lanes::sha1(std::array::from_mut(&mut self.sha1), [&last[..count]]);
        }
    }

    fn finish(self) -> Result<Digests, E> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let v1 = self.hashing.v1.map(|_| {
            let mut digest = [0; 20];
            digest
                .as_chunks_mut()
                .0
                .iter_mut()
                .zip(self.sha1)
                .for_each(|(bytes, word)| *bytes = word.to_be_bytes());
            digest
        });
        let v2 = self.hashing.v2.map(|levels| merkle::root(&self.blocks, 0, levels));
        Ok(Digests {
            v1,
            v2,
            blocks: self.blocks,
        })
    }
}

/// Adds the SHA-256 of each 16 KiB block of `bytes`, two at a time; the last may be shorter.
fn hash_blocks(bytes: &[u8], hashes: &mut Vec<Hash>) {
    const LENGTH: usize = BLOCK as usize;
    /// What follows a message of that length (FIPS 180-4, 5.1.1).
    const END: Block = {
        let mut end = [0; 64];
        end[0] = 0x80;
        let bits = (8 * LENGTH as u32).to_be_bytes();
        (end[60], end[61], end[62], end[63]) = (bits[0], bits[1], bits[2], bits[3]);
        end
    };
    let (blocks, rest) = bytes.as_chunks::<LENGTH>();
    let (pairs, single) = blocks.as_chunks::<LANES>();
    for pair in pairs {
        let mut states = [SHA256; LANES];
        lanes::sha256(&mut states, pair.each_ref().map(|block| block.as_chunks().0));
        lanes::sha256(&mut states, [&[END]; LANES]);
        for state in states {
            let mut hash = [0; merkle::HASH];
            hash.as_chunks_mut()
                .0
                .iter_mut()
                .zip(state)
                .for_each(|(bytes, word)| *bytes = word.to_be_bytes());
            hashes.push(hash);
        }
    }
    hashes.extend(single.iter().map(|block| digest::sha256(&[block])));
    if !rest.is_empty() {
        hashes.push(digest::sha256(&[rest]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn content(seed: usize, length: usize) -> Vec<u8> {
        (0..length).map(|at| (at.wrapping_mul(31 + seed) >> 3) as u8).collect()
    }

    #[test]
    fn any_two_pieces_give_what_each_gives_alone() {
        let lengths = [
            0,
            1,
            55,
            56,
            63,
            64,
            16_384,
            40_000,
            PART - 1,
            PART,
            PART + 1,
            3 * PART + 77,
        ];
        for (number, &one) in lengths.iter().enumerate() {
            for &other in &lengths[number..] {
                let data = [content(1, one), content(2, other)];
                for (v1, v2) in [(Some(0), None), (None, Some(5)), (Some(90_000), Some(6))] {
                    let hashing = Hashing { v1, v2 };
                    let wanted = [one, other].map(|length| Wanted { length, hashing });
                    let found = digests(&wanted, |lane, at, part| {
                        part.copy_from_slice(&data[lane][at..at + part.len()]);
                        Ok::<_, ()>(())
                    });
                    for (found, data) in found.into_iter().zip(&data) {
                        assert_eq!(
                            found.unwrap(),
                            hashing.digest(&Bytes::from(data.clone()).into()),
                            "{one} {other}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn one_that_cannot_be_read_does_not_spoil_the_other() {
        let hashing = Hashing { v1: Some(0), v2: None };
        let wanted = [PART + 5, 2 * PART].map(|length| Wanted { length, hashing });
        let found = digests(&wanted, |lane, at, _| match (lane, at) {
            (0, PART) => Err("it ends here"),
            _ => Ok(()),
        });
        assert!(found[0].is_err() && found[1].is_ok());
        assert_eq!(digests(&wanted[..1], |_, _, _| Ok::<_, ()>(())).len(), 1);
    }
}
