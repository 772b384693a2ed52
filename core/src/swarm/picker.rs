//! Which blocks to ask a peer for: the order of pieces, and who was asked for which block of the open ones. No data
//! passes here.
//!
//! Order of choice: urgent pieces by deadline; the link's own open piece; the playback window by deadline; what the
//! peer suggested (BEP 6); the head of the rarity order (at random until [`RANDOM_FIRST`] pieces are held); pieces that
//! other links have opened; in the endgame, blocks that others were asked for. Ties are broken at random. A link joins
//! another's piece only when there is none left for it to open: a piece from one source is one to blame when its hash
//! is wrong, and an open piece is memory. So is no slow link in the way for ever.
//!
//! Invariants (kept by `refresh`, the one place where a piece changes its standing): `lacking` = missing and wanted;
//! `fresh` = lacking and not open; `askable` = lacking and open with a free block; the rarity order shows exactly
//! `fresh`. A piece held is never open.
//!
//! Cost: no scan for an ordinary pick. The next block of an open piece is O(1); opening a piece looks down the head of
//! the rarity order, and only where the peer lacks what stands there, through `has & fresh` 64 pieces a step; HAVE is
//! four swaps. Memory: about 21 bytes a piece.

mod choice;
mod due;
#[cfg(test)]
mod oracle;
mod rarity;
mod span;
#[cfg(test)]
mod tests;

pub use choice::{Asker, Budget, EXTRA_REQUESTS, NEAR, STALLED};
pub use span::Stride;

use super::open::{Links, Open, OpenPiece, Source};
use super::window::Window;
use crate::bits::Bits;
use crate::layout::{Block, Layout, Piece};
use crate::time::Time;
use alloc::vec::Vec;
use due::{Due, Need, Tier};
use rarity::{Class, Rarity};

/// Pieces chosen at random before rarity decides, so that there is soon something to trade (BEP 3 has no number;
/// mainline and libtorrent: four).
pub const RANDOM_FIRST: usize = 4;

/// How much a piece is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Not at all, unless it is urgent or in the playback window.
    Skip,
    /// After all others.
    Low,
    /// As is usual.
    #[default]
    Normal,
    /// Before all others.
    High,
}

/// What became of a block that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// It was not asked of this link, or no longer: throw it away (or see [`Picker::adopt`]).
    Unasked,
    /// It is here already.
    Duplicate,
    /// Keep it.
    Accepted {
        /// It was the last of its piece: hash it, then call [`Picker::set_held`] or [`Picker::set_missing`].
        piece_complete: bool,
        /// Other links that were asked for it too: send them CANCEL. They are released already.
        cancel: Links,
    },
}

/// How far the torrent is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Fewer than [`RANDOM_FIRST`] pieces are held: pieces are opened at random.
    RandomFirst,
    /// Pieces are opened rarest first.
    RarestFirst,
    /// Every missing block that can be had is asked for.
    Endgame,
    /// Nothing wanted is missing.
    Done,
}

/// What is missing of what is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Pieces.
    pub pieces: usize,
    /// Their bytes; blocks that have arrived count until their piece is held.
    pub bytes: u64,
}

/// What the picker knows of a link.
#[derive(Clone, Copy, Debug, Default)]
struct LinkState {
    /// The piece it asked for last outside the urgent tier.
    own: Option<Piece>,
    requests: u32,
    extra: u32,
    fast: bool,
}

/// The picker of one torrent.
#[derive(Clone, Debug)]
pub struct Picker {
    layout: Layout,
    rarity: Rarity,
    seeds: u32,
    priority: Vec<Priority>,
    held: Bits,
    held_count: usize,
    /// Missing, with a priority above `Skip`.
    chosen: Bits,
    chosen_count: usize,
    lacking: Bits,
    left: Left,
    fresh: Bits,
    fresh_count: usize,
    askable: Bits,
    askable_count: usize,
    open: Open,
    due: Due,
    links: Vec<LinkState>,
}

impl Picker {
    /// Everything missing, of normal priority, and nobody has anything.
    pub fn new(layout: Layout) -> Self {
        let pieces = layout.pieces();
        Self {
            rarity: Rarity::new(pieces, Class::Normal),
            seeds: 0,
            priority: alloc::vec![Priority::Normal; pieces],
            held: Bits::new(pieces),
            held_count: 0,
            chosen: Bits::full(pieces),
            chosen_count: pieces,
            lacking: Bits::full(pieces),
            left: Left {
                pieces,
                bytes: layout.total(),
            },
            fresh: Bits::full(pieces),
            fresh_count: pieces,
            askable: Bits::new(pieces),
            askable_count: 0,
            open: Open::new(pieces),
            due: Due::default(),
            links: Vec::new(),
            layout,
        }
    }

    /// A peer that was counted has one more piece (HAVE).
    pub fn add_have(&mut self, piece: Piece) {
        self.rarity.add(piece.index());
    }

    /// A peer that was counted has lost a piece (BEP 54).
    pub fn remove_have(&mut self, piece: Piece) {
        if self.rarity.count(piece.index()) == 0 {
            self.spread_seed();
        }
        self.rarity.remove(piece.index());
    }

    /// Counts a peer's bitfield; a full one is one counter.
    pub fn add_peer(&mut self, has: &Bits) {
        if has.is_full() {
            self.seeds += 1;
        } else {
            self.rarity.add_all(has);
        }
    }

    /// Counts a peer out, by what it has now. Only the sum of counter and counts matters, so it is no matter by which
    /// of them it came.
    pub fn remove_peer(&mut self, has: &Bits) {
        if has.is_full() && self.seeds > 0 {
            self.seeds -= 1;
            return;
        }
        if has.iter().any(|piece| self.rarity.count(piece) == 0) {
            self.spread_seed();
        }
        self.rarity.remove_all(has);
    }

    /// Counts one seed piece by piece.
    fn spread_seed(&mut self) {
        if self.seeds > 0 {
            self.seeds -= 1;
            self.rarity.add_all(&Bits::full(self.layout.pieces()));
        }
    }

    /// How many peers have a piece.
    pub fn availability(&self, piece: Piece) -> u32 {
        self.rarity.count(piece.index()) + self.seeds
    }

    /// Copies of the torrent that the peers have together: whole ones, and thousandths of a further one.
    pub fn distributed_copies(&self) -> (u32, u32) {
        let (lowest, more) = self.rarity.lowest();
        (
            lowest + self.seeds,
            (more as u64 * 1_000 / self.layout.pieces() as u64) as u32,
        )
    }

    /// Sets how much a piece is wanted. One that is open stays open: see [`drop_piece`](Self::drop_piece).
    pub fn set_priority(&mut self, piece: Piece, priority: Priority) {
        self.priority[piece.index()] = priority;
        self.refresh(piece);
    }

    /// How much a piece is wanted.
    pub fn priority(&self, piece: Piece) -> Priority {
        self.priority[piece.index()]
    }

    /// A piece is verified: it is never asked for again. Its urgency ends.
    pub fn set_held(&mut self, piece: Piece) {
        self.close(piece);
        self.due.set_urgent(piece.number(), None);
        self.held_count += usize::from(self.held.insert(piece.index()));
        self.refresh(piece);
    }

    /// A piece is not there: evicted, lost, or its hash is wrong. All of it is missing again; requests for it are
    /// forgotten.
    pub fn set_missing(&mut self, piece: Piece) {
        self.close(piece);
        self.held_count -= usize::from(self.held.remove(piece.index()));
        self.refresh(piece);
    }

    /// The pieces that are held.
    pub fn held(&self) -> &Bits {
        &self.held
    }

    /// Puts a missing piece before all others, whatever its priority, until it is held or this is taken back. Of two
    /// deadlines the new one holds.
    pub fn set_urgent(&mut self, piece: Piece, deadline: Time) {
        if !self.held.contains(piece.index()) {
            self.due.set_urgent(piece.number(), Some(deadline));
            self.refresh(piece);
        }
    }

    /// Takes a piece's urgency back.
    pub fn clear_urgent(&mut self, piece: Piece) {
        self.due.set_urgent(piece.number(), None);
        self.refresh(piece);
    }

    /// Whether [`set_urgent`](Self::set_urgent) holds for a piece.
    pub fn is_urgent(&self, piece: Piece) -> bool {
        self.due.is_urgent(piece.number())
    }

    /// Sets the playback window: its pieces are wanted whatever their priority, those within its horizon urgently.
    pub fn set_window(&mut self, window: Option<&Window>) {
        for number in self.due.window() {
            let piece = self.layout.piece(number);
            let gone = piece.filter(|&piece| window.is_none_or(|window| window.deadline(piece).is_none()));
            if let Some(piece) = gone {
                self.due.set_window(number, None);
                self.refresh(piece);
            }
        }
        for &(piece, deadline) in window.map_or(&[][..], Window::pieces) {
            let soon = window.is_some_and(|window| deadline <= window.horizon());
            let tier = if soon { Tier::Urgent } else { Tier::Window };
            if self.due.set_window(piece.number(), Some((tier, deadline))) {
                self.refresh(piece);
            }
        }
    }

    /// Takes back every request for pieces without a deadline, for a seek: the pairs (link, block) to send CANCEL for.
    pub fn release_undue(&mut self) -> Vec<(u32, Block)> {
        let mut requests = Vec::new();
        for open in self.open.all() {
            if !self.due.contains(open.piece().number()) {
                requests.append(&mut open.requests());
            }
        }
        for &(link, block) in &requests {
            self.release(block, link);
        }
        requests
    }

    /// Whether a peer that has these pieces has one that is wanted and missing: whether to be interested in it.
    /// O(pieces / 64).
    pub fn wants(&self, has: &Bits) -> bool {
        let words = self.lacking.words().iter().zip(has.words());
        self.left.pieces > 0 && words.into_iter().any(|(lacking, has)| lacking & has != 0)
    }

    /// Whether a piece is wanted and missing.
    pub fn lacks(&self, piece: Piece) -> bool {
        self.lacking.contains(piece.index())
    }

    /// A block came. See [`Received`].
    pub fn received(&mut self, block: Block, link: u32) -> Received {
        let Some(open) = self.open.get_mut(block.piece.index()) else {
            return if self.held.contains(block.piece.index()) {
                Received::Duplicate
            } else {
                Received::Unasked
            };
        };
        if open.has_arrived(block.number) {
            return Received::Duplicate;
        }
        if !open.links(block.number).contains(&link) {
            return Received::Unasked;
        }
        let mut cancel = Links::default();
        for other in open.links(block.number) {
            let extra = open.release(block.number, other);
            forget(&mut self.links, other, extra);
            if other != link {
                cancel.push(other);
            }
        }
        open.arrive(block.number);
        let piece_complete = open.is_complete();
        if open.requested() == 0 {
            self.refresh(block.piece);
        }
        Received::Accepted { piece_complete, cancel }
    }

    /// Marks a block as asked of a link that was once asked and then released (its answer came after the time-out), so
    /// that [`received`](Self::received) takes it. False where it is of no use any more.
    pub fn adopt(&mut self, block: Block, link: u32) -> bool {
        let Some(open) = self.open.get_mut(block.piece.index()) else {
            return false;
        };
        let shared = open.exclusive.is_some_and(|owner| owner != link);
        if shared || !open.ask(block.number, link, false) {
            return false;
        }
        link_state(&mut self.links, link).requests += 1;
        self.refresh(block.piece);
        true
    }

    /// A block of a missing piece is here already: it is not asked for.
    pub fn restore(&mut self, block: Block) {
        if !self.held.contains(block.piece.index()) {
            self.open.open(block.piece, &self.layout);
            if let Some(open) = self.open.get_mut(block.piece.index()) {
                open.arrive(block.number);
                // It came from anyone.
                open.source = Source::Many;
            }
            self.refresh(block.piece);
        }
    }

    /// A block is no longer asked of a link: rejected, timed out, cancelled. False if it was not.
    pub fn release(&mut self, block: Block, link: u32) -> bool {
        let Some(open) = self.open.get_mut(block.piece.index()) else {
            return false;
        };
        let Some(extra) = open.release(block.number, link) else {
            return false;
        };
        forget(&mut self.links, link, Some(extra));
        self.settle(block.piece, link);
        true
    }

    /// A link is gone or chokes us: takes back all it was asked for and says how many requests that were. O(blocks of
    /// the open pieces).
    pub fn release_link(&mut self, link: u32) -> usize {
        let mut touched = Vec::new();
        let outstanding = link_state(&mut self.links, link).requests > 0;
        for open in self.open.all() {
            if outstanding || open.source == Source::One(link) {
                touched.push(open.piece());
            }
        }
        let mut count = 0;
        for piece in touched {
            for number in 0..self.layout.blocks(piece) {
                let released = self
                    .open
                    .get_mut(piece.index())
                    .and_then(|open| open.release(number, link));
                forget(&mut self.links, link, released);
                count += usize::from(released.is_some());
            }
            if let Some(open) = self.open.get_mut(piece.index())
                && open.source == Source::One(link)
            {
                // Another peer may get this number.
                open.source = Source::Many;
            }
            self.settle(piece, link);
        }
        *link_state(&mut self.links, link) = LinkState::default();
        count
    }

    /// The links that are asked for a block.
    pub fn requested_by(&self, block: Block) -> Links {
        let open = self.open.get(block.piece.index());
        open.map(|open| open.links(block.number)).unwrap_or_default()
    }

    /// How many requests a link has outstanding.
    pub fn requests(&self, link: u32) -> usize {
        self.links.get(link as usize).map_or(0, |state| state.requests as usize)
    }

    /// What is known of a piece's blocks, if it is open.
    pub fn open_piece(&self, piece: Piece) -> Option<&OpenPiece> {
        self.open.get(piece.index())
    }

    /// Every open piece, in no order.
    pub fn open_pieces(&self) -> &[OpenPiece] {
        self.open.all()
    }

    /// The lengths of all open pieces together, in bytes: what they may come to need in memory.
    pub fn open_bytes(&self) -> u64 {
        self.open.bytes()
    }

    /// The open piece that is best given up for memory: without deadline and outstanding request, not complete, with
    /// the fewest blocks arrived.
    pub fn spare_piece(&self) -> Option<Piece> {
        let idle =
            self.open.all().iter().filter(|open| {
                open.requested() == 0 && !open.is_complete() && !self.due.contains(open.piece().number())
            });
        idle.min_by_key(|open| open.arrived()).map(OpenPiece::piece)
    }

    /// Gives an open piece up, with what has arrived of it: the pairs (link, block) to send CANCEL for.
    pub fn drop_piece(&mut self, piece: Piece) -> Vec<(u32, Block)> {
        let requests = self.open.get(piece.index()).map(OpenPiece::requests);
        self.close(piece);
        self.refresh(piece);
        requests.unwrap_or_default()
    }

    /// How far the torrent is.
    pub fn phase(&self) -> Phase {
        if self.left.pieces == 0 {
            Phase::Done
        } else if self.is_endgame() {
            Phase::Endgame
        } else if self.held_count < RANDOM_FIRST {
            Phase::RandomFirst
        } else {
            Phase::RarestFirst
        }
    }

    /// What is missing of what is wanted.
    pub fn left(&self) -> Left {
        self.left
    }

    /// Every missing block of a chosen piece is asked for, but for pieces that nobody has. A torrent that wants
    /// nothing of its own (a bridge) has no endgame: it would fetch most blocks more than once.
    fn is_endgame(&self) -> bool {
        let nowhere = if self.seeds == 0 {
            self.rarity.openable_without_peers()
        } else {
            0
        };
        self.chosen_count > 0 && self.askable_count == 0 && self.fresh_count == nowhere
    }

    /// Forgets an open piece's blocks and requests. The caller refreshes.
    fn close(&mut self, piece: Piece) {
        if let Some(open) = self.open.get_mut(piece.index()) {
            for (link, block) in open.requests() {
                forget(&mut self.links, link, open.release(block.number, link));
            }
            self.open.close(piece, &self.layout);
        }
    }

    /// After requests of `link` were taken back: closes the piece if nothing is left of it, and opens it to others if
    /// it was the link's alone.
    fn settle(&mut self, piece: Piece, link: u32) {
        if let Some(open) = self.open.get_mut(piece.index()) {
            if open.is_untouched() {
                self.open.close(piece, &self.layout);
            } else if open.exclusive == Some(link) && open.requested() == 0 {
                // Nothing comes from it for now: others may finish the piece.
                open.exclusive = None;
            }
        }
        self.refresh(piece);
    }

    /// Brings every index that depends on a piece's state up to date. O(1) without a deadline.
    fn refresh(&mut self, piece: Piece) {
        let index = piece.index();
        let free = self.open.get(index).map(|open| (open.free() > 0, open.requested() > 0));
        let priority = self.priority[index];
        let missing = !self.held.contains(index);
        let chosen = missing && priority > Priority::Skip;
        let lacking = chosen || missing && self.due.contains(piece.number());
        toggle(&mut self.chosen, index, chosen, &mut self.chosen_count);
        if toggle(&mut self.lacking, index, lacking, &mut self.left.pieces) {
            let length = u64::from(self.layout.piece_length(piece));
            self.left.bytes = if lacking {
                self.left.bytes + length
            } else {
                self.left.bytes - length
            };
        }
        toggle(&mut self.fresh, index, lacking && free.is_none(), &mut self.fresh_count);
        let askable = lacking && free.is_some_and(|(free, _)| free);
        toggle(&mut self.askable, index, askable, &mut self.askable_count);
        let class = match priority {
            _ if !lacking || free.is_some() => Class::Out,
            Priority::High => Class::High,
            Priority::Normal => Class::Normal,
            Priority::Low | Priority::Skip => Class::Low,
        };
        if self.rarity.class(index) != class {
            self.rarity.set_class(index, class);
        }
        if !self.due.is_empty() {
            let need = match free {
                _ if !missing => Need::Nothing,
                None | Some((true, _)) => Need::Free,
                Some((false, true)) => Need::Asked,
                Some((false, false)) => Need::Nothing,
            };
            self.due.place(piece.number(), need);
        }
    }
}

/// Sets or clears a bit and counts; whether it changed.
fn toggle(bits: &mut Bits, index: usize, on: bool, count: &mut usize) -> bool {
    let changed = if on { bits.insert(index) } else { bits.remove(index) };
    match (changed, on) {
        (true, true) => *count += 1,
        (true, false) => *count -= 1,
        _ => {}
    }
    changed
}

fn link_state(links: &mut Vec<LinkState>, link: u32) -> &mut LinkState {
    let index = link as usize;
    if links.len() <= index {
        links.resize(index + 1, LinkState::default());
    }
    &mut links[index]
}

/// Counts a request out, if it was one (`Some(extra)`).
fn forget(links: &mut Vec<LinkState>, link: u32, released: Option<bool>) {
    if let Some(extra) = released {
        let state = link_state(links, link);
        state.requests -= 1;
        state.extra -= u32::from(extra);
    }
}
