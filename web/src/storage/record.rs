//! What is kept beside a torrent's bytes so that a reload goes on from what was there: which pieces are held, and which of
//! them have a slot of the parts file.
//!
//! The record grows only at its end and changes single bytes: storing a piece costs one write of one byte (and four for a new
//! slot). The bit is written after the piece's bytes, so a tab that dies between the two only fetches that piece again.

use tombolo_core::gather::Gather;

/// How a record begins: a name, and the version of what follows.
const MAGIC: [u8; 8] = *b"tombolo2";

/// How many of the pieces that were written last are noted, to be checked when the torrent is opened again: a machine that stops at
/// once loses what it had not yet brought to its disk. More is safer, and a longer wait with large pieces.
const LATE: usize = 32;

/// No piece's number: what is noted of a piece is its number plus one.
const NONE: u32 = 0;

/// A record that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// The pieces written last; the next one replaces the one at `next`.
    late: [u32; LATE],
    next: usize,
    /// The bits of the pieces that are held, as BEP 3's bitfield has them.
    pub(crate) bitfield: Vec<u8>,
    /// The pieces with a slot of the parts file, in order.
    pub(crate) slots: Vec<u32>,
}

/// The length of a bitfield of that many pieces, in bytes.
const fn bitfield_length(pieces: usize) -> usize {
    pieces.div_ceil(8)
}

impl Record {
    /// A record of a torrent of which nothing is held.
    pub(crate) fn empty(pieces: usize) -> Self {
        Self {
            late: [NONE; LATE],
            next: 0,
            bitfield: vec![0; bitfield_length(pieces)],
            slots: Vec::new(),
        }
    }

    /// Reads a record of a torrent of that many pieces; `None` when it is none. A slot that was cut off in the writing, and
    /// whatever follows one that cannot be, is left out.
    pub(crate) fn decode(bytes: &[u8], pieces: usize) -> Option<Self> {
        let (noted, rest) = bytes.strip_prefix(&MAGIC)?.split_at_checked(4 * LATE)?;
        let (bitfield, slots) = rest.split_at_checked(bitfield_length(pieces))?;
        let mut late = [NONE; LATE];
        let noted = noted
            .as_chunks::<4>()
            .0
            .iter()
            .map(|number| u32::from_be_bytes(*number));
        late.iter_mut().zip(noted).for_each(|(to, number)| *to = number);
        let slots = slots
            .as_chunks::<4>()
            .0
            .iter()
            .map(|slot| u32::from_be_bytes(*slot))
            .take_while(|piece| (*piece as usize) < pieces)
            .gather();
        Some(Self {
            late,
            next: 0,
            bitfield: bitfield.to_vec(),
            slots,
        })
    }

    /// The bytes of the record.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        for number in &self.late {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        bytes.extend_from_slice(&self.bitfield);
        for piece in &self.slots {
            bytes.extend_from_slice(&piece.to_be_bytes());
        }
        bytes
    }

    /// Whether a piece is held.
    pub(crate) fn holds(&self, piece: usize) -> bool {
        self.bitfield.get(piece / 8).is_some_and(|byte| byte & mask(piece) != 0)
    }

    /// Whether a piece is among those that were written last.
    pub(crate) fn is_late(&self, piece: usize) -> bool {
        self.late.iter().any(|number| *number as usize == piece + 1)
    }

    /// Notes that a piece is about to be written: where in the record to write which bytes.
    pub(crate) fn note_late(&mut self, piece: u32) -> (u64, [u8; 4]) {
        let at = self.next;
        self.next = (at + 1) % LATE;
        if let Some(late) = self.late.get_mut(at) {
            *late = piece + 1;
        }
        ((MAGIC.len() + 4 * at) as u64, (piece + 1).to_be_bytes())
    }

    /// Notes a piece as held or not: where in the record to write which byte.
    pub(crate) fn set(&mut self, piece: usize, held: bool) -> Option<(u64, u8)> {
        let byte = self.bitfield.get_mut(piece / 8)?;
        if held {
            *byte |= mask(piece);
        } else {
            *byte &= !mask(piece);
        }
        Some(((MAGIC.len() + 4 * LATE + piece / 8) as u64, *byte))
    }

    /// Notes that a piece has the next slot: where in the record to write which bytes.
    pub(crate) fn push_slot(&mut self, piece: u32) -> (u64, [u8; 4]) {
        let at = MAGIC.len() + 4 * LATE + self.bitfield.len() + 4 * self.slots.len();
        self.slots.push(piece);
        (at as u64, piece.to_be_bytes())
    }
}

const fn mask(piece: usize) -> u8 {
    0x80 >> (piece % 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_writes_make_the_same_record() {
        let mut record = Record::empty(19);
        let mut bytes = record.encode();
        for piece in [0, 9, 18] {
            let (at, byte) = record.set(piece, true).unwrap();
            bytes[at as usize] = byte;
        }
        let (at, byte) = record.set(9, false).unwrap();
        bytes[at as usize] = byte;
        for piece in [18, 3] {
            let (at, slot) = record.push_slot(piece);
            assert_eq!(at as usize, bytes.len());
            bytes.extend(slot);
        }
        for piece in (0..19).chain(0..19) {
            let (at, number) = record.note_late(piece);
            bytes[at as usize..at as usize + 4].copy_from_slice(&number);
        }
        record.next = 0;
        assert_eq!(Record::decode(&bytes, 19), Some(record.clone()));
        assert!((0..19).all(|piece| record.is_late(piece)) && !record.is_late(19));
        assert!(record.holds(0) && !record.holds(9) && record.holds(18));
    }

    #[test]
    fn what_is_damaged_is_left_out() {
        let mut record = Record::empty(9);
        record.push_slot(8);
        record.push_slot(3);
        let bytes = record.encode();
        assert_eq!(Record::decode(&bytes[..bytes.len() - 1], 9).unwrap().slots, [8]);
        assert_eq!(Record::decode(&bytes[..9], 9), None);
        assert_eq!(Record::decode(&bytes[..MAGIC.len() + 4 * LATE + 1], 9), None);
        assert_eq!(Record::decode(&[b"tombolo1", &bytes[MAGIC.len()..]].concat(), 9), None);
        assert!(!Record::decode(&bytes, 9).unwrap().is_late(0));
        assert_eq!(Record::empty(9).set(16, true), None);
    }

    #[test]
    fn a_slot_of_no_piece_ends_the_list() {
        let mut record = Record::empty(9);
        [2, 9, 4].into_iter().for_each(|piece| {
            record.push_slot(piece);
        });
        assert_eq!(Record::decode(&record.encode(), 9).unwrap().slots, [2]);
    }
}
