//! The pieces that are being fetched, and for each of their blocks: who was asked for it, and whether it has arrived.
//!
//! Invariant: a block that is `free` is neither arrived nor asked for; one that has arrived is asked of nobody. A block
//! costs 12 bytes and two bits; finding a piece is one array access, finding its next free block a step of 64 blocks.

use crate::gather::Gather;
use crate::layout::{Block, Layout, Piece};
use crate::time::{Span, Time};
use alloc::vec::Vec;

/// How many links may be asked for one block at the same time: one, and two extra near the end.
pub const ASKED_AT_MOST: usize = 3;

const NONE: u32 = u32::MAX;
/// Marks an asked link as one of the extra ones.
const EXTRA: u32 = 1 << 31;

/// A few links, at most [`ASKED_AT_MOST`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Links {
    links: [u32; ASKED_AT_MOST],
    len: u8,
}

impl Links {
    pub(super) fn push(&mut self, link: u32) {
        if let Some(slot) = self.links.get_mut(usize::from(self.len)) {
            *slot = link;
            self.len += 1;
        }
    }
}

impl core::ops::Deref for Links {
    type Target = [u32];
    fn deref(&self) -> &[u32] {
        &self.links[..usize::from(self.len)]
    }
}

impl IntoIterator for Links {
    type Item = u32;
    type IntoIter = core::iter::Take<core::array::IntoIter<u32, ASKED_AT_MOST>>;
    fn into_iter(self) -> Self::IntoIter {
        self.links.into_iter().take(usize::from(self.len))
    }
}

/// What is known of one block of an open piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockState {
    /// Nobody was asked for it.
    Free,
    /// These links were asked for it.
    Requested(Links),
    /// Its bytes are here.
    Arrived,
}

/// The links that were asked for a block, with the extra ones marked.
#[derive(Clone, Copy, Debug)]
struct Asked([u32; ASKED_AT_MOST]);

/// Whose blocks a piece is made of so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Nobody,
    One(u32),
    Many,
}

/// A piece of which some block was asked for or has arrived.
#[derive(Clone, Debug)]
pub struct OpenPiece {
    piece: Piece,
    free: Set,
    arrived: Set,
    asked: Vec<Asked>,
    /// Who was asked since it was opened.
    pub(super) source: Source,
    /// The link that has it for itself, see `Asker::exclusive`.
    pub(super) exclusive: Option<u32>,
    /// How often a block was asked for or arrived.
    moves: u32,
    /// How often it was when last looked at, and since when.
    seen: Option<(u32, Time)>,
}

impl OpenPiece {
    /// Which piece it is.
    pub const fn piece(&self) -> Piece {
        self.piece
    }

    /// How many blocks it has.
    pub const fn blocks(&self) -> u32 {
        self.asked.len() as u32
    }

    /// How many of its blocks have arrived.
    pub const fn arrived(&self) -> u32 {
        self.arrived.count
    }

    /// How many of its blocks nobody was asked for.
    pub const fn free(&self) -> u32 {
        self.free.count
    }

    /// How many of its blocks somebody was asked for.
    pub const fn requested(&self) -> u32 {
        self.blocks() - self.free.count - self.arrived.count
    }

    /// Whether every block has arrived: it waits for its hash.
    pub const fn is_complete(&self) -> bool {
        self.arrived.count == self.blocks()
    }

    /// What is known of a block; past the end it has arrived.
    pub fn state(&self, number: u32) -> BlockState {
        if self.free.contains(number) {
            BlockState::Free
        } else if self.arrived.contains(number) {
            BlockState::Arrived
        } else {
            self.asked
                .get(number as usize)
                .map_or(BlockState::Arrived, |asked| BlockState::Requested(asked.links()))
        }
    }

    /// Every request that is outstanding: link and block.
    pub fn requests(&self) -> Vec<(u32, Block)> {
        let mut requests = Vec::new();
        for (number, asked) in (0..).zip(&self.asked) {
            let block = Block {
                piece: self.piece,
                number,
            };
            asked
                .links()
                .into_iter()
                .map(|link| (link, block))
                .gather_into(&mut requests);
        }
        requests
    }

    /// Asks `link` for the next free block.
    pub(super) fn take(&mut self, link: u32) -> Option<Block> {
        let number = self.free.first()?;
        self.ask(number, link, false);
        Some(Block {
            piece: self.piece,
            number,
        })
    }

    /// Notes that `link` was asked for a block; false where it cannot be.
    pub(super) fn ask(&mut self, number: u32, link: u32, extra: bool) -> bool {
        if self.arrived.contains(number) {
            return false;
        }
        let added = self
            .asked
            .get_mut(number as usize)
            .is_some_and(|asked| asked.add(link, extra));
        if added {
            self.moves = self.moves.wrapping_add(1);
            self.free.remove(number);
            self.source = match self.source {
                Source::Nobody => Source::One(link),
                Source::One(one) if one == link => Source::One(one),
                _ => Source::Many,
            };
        }
        added
    }

    /// Takes back what `link` was asked for; `Some(extra)` if it was asked.
    pub(super) fn release(&mut self, number: u32, link: u32) -> Option<bool> {
        let asked = self.asked.get_mut(number as usize)?;
        let extra = asked.remove(link)?;
        if asked.is_empty() {
            self.free.insert(number);
        }
        Some(extra)
    }

    /// Marks a block as arrived and forgets who was asked for it; false if it had.
    pub(super) fn arrive(&mut self, number: u32) -> bool {
        if number >= self.blocks() || self.arrived.contains(number) {
            return false;
        }
        self.moves = self.moves.wrapping_add(1);
        self.free.remove(number);
        self.arrived.insert(number);
        self.asked[number as usize] = Asked([NONE; ASKED_AT_MOST]);
        true
    }

    /// Notes whether something has happened to it since it was last looked at.
    pub(super) fn look(&mut self, now: Time) {
        if self.seen.is_none_or(|(moves, _)| moves != self.moves) {
            self.seen = Some((self.moves, now));
        }
    }

    /// Whether nothing has happened to it for so long, as far as was looked.
    pub(super) fn is_stalled(&self, span: Span, now: Time) -> bool {
        self.seen
            .is_some_and(|(moves, since)| moves == self.moves && now.since(since) >= span)
    }

    pub(super) fn has_arrived(&self, number: u32) -> bool {
        self.arrived.contains(number)
    }

    pub(super) fn links(&self, number: u32) -> Links {
        self.asked.get(number as usize).map(Asked::links).unwrap_or_default()
    }

    /// Whether nothing was asked for and nothing has arrived.
    pub(super) const fn is_untouched(&self) -> bool {
        self.free.count == self.blocks()
    }

    fn reset(&mut self, piece: Piece, blocks: u32) {
        self.piece = piece;
        self.free.reset(blocks, true);
        self.arrived.reset(blocks, false);
        self.asked.clear();
        self.asked.resize(blocks as usize, Asked([NONE; ASKED_AT_MOST]));
        self.source = Source::Nobody;
        self.exclusive = None;
        self.moves = 0;
        self.seen = None;
    }
}

impl Asked {
    fn add(&mut self, link: u32, extra: bool) -> bool {
        if self.0.iter().any(|&entry| entry != NONE && entry & !EXTRA == link) {
            return false;
        }
        let Some(slot) = self.0.iter_mut().find(|entry| **entry == NONE) else {
            return false;
        };
        *slot = if extra { link | EXTRA } else { link };
        true
    }

    fn remove(&mut self, link: u32) -> Option<bool> {
        let slot = self
            .0
            .iter_mut()
            .find(|entry| **entry != NONE && **entry & !EXTRA == link)?;
        let extra = *slot & EXTRA != 0;
        *slot = NONE;
        Some(extra)
    }

    fn is_empty(&self) -> bool {
        self.0.iter().all(|&entry| entry == NONE)
    }

    fn links(&self) -> Links {
        let mut links = Links::default();
        for &entry in self.0.iter().filter(|&&entry| entry != NONE) {
            links.push(entry & !EXTRA);
        }
        links
    }
}

/// A set of block numbers that knows its size.
#[derive(Clone, Debug, Default)]
struct Set {
    words: Vec<u64>,
    count: u32,
    /// No word before this one has a bit.
    from: usize,
}

impl Set {
    fn reset(&mut self, len: u32, full: bool) {
        self.words.clear();
        self.words
            .resize(len.div_ceil(64) as usize, if full { u64::MAX } else { 0 });
        if full && let (Some(last), spare @ 1..) = (self.words.last_mut(), len % 64) {
            *last &= (1 << spare) - 1;
        }
        self.count = if full { len } else { 0 };
        self.from = 0;
    }

    fn contains(&self, number: u32) -> bool {
        let word = self.words.get(number as usize / 64);
        word.is_some_and(|word| word >> (number % 64) & 1 == 1)
    }

    fn insert(&mut self, number: u32) {
        if let Some(word) = self.words.get_mut(number as usize / 64)
            && *word >> (number % 64) & 1 == 0
        {
            *word |= 1 << (number % 64);
            self.count += 1;
            self.from = self.from.min(number as usize / 64);
        }
    }

    fn remove(&mut self, number: u32) {
        if let Some(word) = self.words.get_mut(number as usize / 64)
            && *word >> (number % 64) & 1 == 1
        {
            *word &= !(1 << (number % 64));
            self.count -= 1;
        }
    }

    fn first(&mut self) -> Option<u32> {
        if self.count == 0 {
            return None;
        }
        while *self.words.get(self.from)? == 0 {
            self.from += 1;
        }
        Some(self.from as u32 * 64 + self.words[self.from].trailing_zeros())
    }
}

/// All open pieces of a torrent.
#[derive(Clone, Debug)]
pub(super) struct Open {
    pieces: Vec<OpenPiece>,
    /// Where in `pieces` a piece is.
    at: Vec<u32>,
    /// Closed ones, whose allocations serve again.
    spare: Vec<OpenPiece>,
    bytes: u64,
}

/// How many closed pieces are kept for their allocations.
const SPARE: usize = 16;

impl Open {
    pub(super) fn new(pieces: usize) -> Self {
        Self {
            pieces: Vec::new(),
            at: alloc::vec![NONE; pieces],
            spare: Vec::new(),
            bytes: 0,
        }
    }

    pub(super) fn all(&self) -> &[OpenPiece] {
        &self.pieces
    }

    /// The sum of the open pieces' lengths.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn get(&self, index: usize) -> Option<&OpenPiece> {
        self.pieces.get(*self.at.get(index)? as usize)
    }

    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut OpenPiece> {
        self.pieces.get_mut(*self.at.get(index)? as usize)
    }

    pub(super) fn open(&mut self, piece: Piece, layout: &Layout) {
        if self.get(piece.index()).is_some() {
            return;
        }
        let mut entry = self.spare.pop().unwrap_or_else(|| OpenPiece {
            piece,
            free: Set::default(),
            arrived: Set::default(),
            asked: Vec::new(),
            source: Source::Nobody,
            exclusive: None,
            moves: 0,
            seen: None,
        });
        entry.reset(piece, layout.blocks(piece));
        self.at[piece.index()] = self.pieces.len() as u32;
        self.pieces.push(entry);
        self.bytes += u64::from(layout.piece_length(piece));
    }

    pub(super) fn close(&mut self, piece: Piece, layout: &Layout) {
        let at = core::mem::replace(&mut self.at[piece.index()], NONE) as usize;
        if at >= self.pieces.len() {
            return;
        }
        let entry = self.pieces.swap_remove(at);
        if let Some(moved) = self.pieces.get(at) {
            self.at[moved.piece.index()] = at as u32;
        }
        self.bytes -= u64::from(layout.piece_length(piece));
        if self.spare.len() < SPARE {
            self.spare.push(entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(blocks: u64) -> (Layout, Open) {
        let length = blocks * u64::from(crate::layout::BLOCK);
        let layout = Layout::new(3 * length - 5, length).unwrap();
        let mut open = Open::new(layout.pieces());
        layout.iter().for_each(|piece| open.open(piece, &layout));
        (layout, open)
    }

    #[test]
    fn a_block_goes_from_free_to_requested_to_arrived() {
        let (layout, mut open) = opened(70);
        let piece = open.get_mut(0).unwrap();
        let numbers: Vec<_> = core::iter::from_fn(|| piece.take(4).map(|block| block.number)).collect();
        assert_eq!(numbers, (0..70).collect::<Vec<_>>());
        assert_eq!((piece.free(), piece.requested(), piece.arrived()), (0, 70, 0));
        assert!(!piece.ask(9, 4, true) && piece.ask(9, 5, true) && piece.ask(9, 6, true) && !piece.ask(9, 7, true));
        assert_eq!(piece.release(9, 5), Some(true));
        assert_eq!(piece.release(9, 5), None);
        assert_eq!(*piece.links(9), [4, 6]);
        assert!(piece.arrive(9) && !piece.arrive(9) && !piece.arrive(70));
        assert_eq!(piece.state(9), BlockState::Arrived);
        assert_eq!(piece.release(69, 4), Some(false));
        assert_eq!(piece.state(69), BlockState::Free);
        assert_eq!(piece.take(8).map(|block| block.number), Some(69));
        assert_eq!(piece.requests().len(), 69);
        assert_eq!(open.bytes(), layout.total());
    }

    #[test]
    fn closing_a_piece_keeps_the_others_in_place() {
        let (layout, mut open) = opened(2);
        open.close(layout.piece(0).unwrap(), &layout);
        assert!(open.get(0).is_none());
        for index in 1..3 {
            assert_eq!(open.get(index).map(|piece| piece.piece().index()), Some(index));
        }
        open.close(layout.piece(0).unwrap(), &layout);
        open.get_mut(1).unwrap().take(1);
        open.close(layout.piece(1).unwrap(), &layout);
        open.open(layout.piece(1).unwrap(), &layout);
        assert!(open.get(1).unwrap().is_untouched(), "a kept allocation starts anew");
        assert_eq!(open.all().len(), 2);
    }
}
