//! Blocks for a source that is best asked for much at once: a web seed (BEP 19), where each question costs a round trip and has
//! everything there is.

use super::choice::{Asker, Budget, Call};
use super::due::Tier;
use super::{EXTRA_REQUESTS, Picker, link_state};
use crate::layout::{Block, Piece};
use crate::rng::Rng;
use alloc::vec::Vec;

/// How much a web seed is to be given.
#[derive(Clone, Copy, Debug)]
pub struct Stride {
    /// Bytes; no piece is cut for it.
    pub bytes: u64,
    /// Begin anywhere in the longest gap rather than at its start, so that peers that all ask the same server come to have different
    /// pieces.
    pub anywhere: bool,
}

impl Picker {
    /// Chooses blocks that lie one after the other as far as can be, marks them as asked of the link and appends them to `out`.
    ///
    /// In order: what is due soon and stuck; what is due; the longest gap, before others one that no peer has; then what [`pick`](Self::pick)
    /// gives, so that no slow peer keeps the last blocks. O(pieces).
    pub fn pick_span(
        &mut self,
        asker: &Asker<'_>,
        stride: Stride,
        room: &mut Budget,
        rng: &mut Rng,
        out: &mut Vec<Block>,
    ) {
        link_state(&mut self.links, asker.link).fast = asker.fast;
        let mut call = Call {
            asker,
            left: EXTRA_REQUESTS as usize,
            room,
            rng,
            out,
        };
        if !self.due.is_empty() {
            self.pick_late(&mut call);
        }
        if call.out.is_empty() {
            call.left = usize::MAX;
            let start = self.due_piece().or_else(|| self.longest_gap(stride, call.rng));
            let (mut next, mut taken) = (start, 0);
            while let Some(piece) = next.filter(|_| taken < stride.bytes)
                && self.take_from(piece.number(), &mut call)
            {
                taken += u64::from(self.layout.piece_length(piece));
                next = self.layout.piece(piece.number() + 1);
                next = next.filter(|next| self.fresh.contains(next.index()));
            }
        }
        if out.is_empty() {
            self.pick(asker, EXTRA_REQUESTS as usize, room, rng, out);
        }
    }

    /// The piece that is due first and has blocks that nobody was asked for.
    fn due_piece(&self) -> Option<Piece> {
        let first = |tier| self.due.next_ready(tier, None);
        let place = first(Tier::Urgent).or_else(|| first(Tier::Window))?;
        self.layout.piece(place.2)
    }

    fn longest_gap(&self, stride: Stride, rng: &mut Rng) -> Option<Piece> {
        let most = (stride.bytes / u64::from(self.layout.nominal_piece_length())).max(1) as usize;
        // Of a run: its rank, the lowest first; where it starts; how long it is.
        let (mut best, mut run) = ((u32::MAX, 0, 0), (u32::MAX, 0, 0));
        for index in self.fresh.iter() {
            let rare = self.seeds + self.rarity.count(index) == 0;
            let rank = self.rarity.class(index) as u32 * 2 + u32::from(!rare);
            run = if run.0 == rank && run.1 + run.2 == index {
                (rank, run.1, run.2 + 1)
            } else {
                (rank, index, 1)
            };
            // Of runs that are as long the first.
            if run.0 < best.0 || run.0 == best.0 && run.2 > best.2 {
                best = run;
            }
        }
        let (_, mut start, length) = best;
        if length == 0 {
            return None;
        }
        if stride.anywhere && length > most {
            start += rng.below(length - most + 1);
        }
        self.layout.piece(start as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Priority;
    use super::*;
    use crate::bits::Bits;
    use crate::layout::{BLOCK, Layout};
    use crate::time::Time;

    const PIECE: u64 = 2 * BLOCK as u64;

    fn picker(pieces: u64) -> Picker {
        Picker::new(Layout::new(pieces * PIECE, PIECE).unwrap())
    }

    fn piece(picker: &Picker, number: u32) -> Piece {
        picker.layout.piece(number).unwrap()
    }

    /// The pieces that link 9 is given for so many pieces' worth of bytes.
    fn given(picker: &mut Picker, pieces: u64, room: u64) -> Vec<u32> {
        let has = Bits::full(picker.layout.pieces());
        let asker = Asker {
            link: 9,
            has: &has,
            seed: true,
            only: None,
            prefer: &[],
            exclusive: false,
            fast: true,
            now: Time::ZERO,
        };
        let stride = Stride {
            bytes: pieces * PIECE,
            anywhere: false,
        };
        let mut room = Budget {
            bytes: room * PIECE,
            reserve: 0,
        };
        let (mut out, mut rng) = (Vec::new(), Rng::new(1));
        picker.pick_span(&asker, stride, &mut room, &mut rng, &mut out);
        let mut pieces: Vec<u32> = out.iter().map(|block| block.piece.number()).collect();
        pieces.sort_unstable();
        pieces.dedup();
        pieces
    }

    #[test]
    fn the_longest_gap_comes_first_and_spans_do_not_overlap() {
        let mut picker = picker(12);
        for held in [2, 9] {
            let held = piece(&picker, held);
            picker.set_held(held);
        }
        assert_eq!(given(&mut picker, 4, 99), [3, 4, 5, 6]);
        assert_eq!(given(&mut picker, 4, 99), [0, 1]);
        assert_eq!(given(&mut picker, 1, 99), [7]);
        assert_eq!(given(&mut picker, 9, 1), [10], "memory ends it");
        assert_eq!(given(&mut picker, 9, 0), [], "memory ends it");
    }

    #[test]
    fn what_no_peer_has_and_what_is_wanted_more_comes_before_a_longer_gap() {
        let mut picker = picker(8);
        for number in 0..6 {
            let has = piece(&picker, number);
            picker.add_have(has);
        }
        assert_eq!(given(&mut picker, 9, 9), [6, 7]);
        let high = piece(&picker, 4);
        picker.set_priority(high, Priority::High);
        assert_eq!(given(&mut picker, 1, 9), [4]);
        let urgent = piece(&picker, 2);
        picker.set_urgent(urgent, Time::ZERO);
        assert_eq!(given(&mut picker, 2, 9), [2, 3]);
    }

    #[test]
    fn in_the_end_it_is_asked_for_what_slow_peers_were() {
        let mut picker = picker(2);
        let has = Bits::full(2);
        picker.add_peer(&has);
        let peer = Asker {
            link: 1,
            has: &has,
            seed: true,
            only: None,
            prefer: &[],
            exclusive: false,
            fast: false,
            now: Time::ZERO,
        };
        let (mut out, mut rng) = (Vec::new(), Rng::new(1));
        let mut room = Budget::UNLIMITED;
        picker.pick(&peer, 4, &mut room, &mut rng, &mut out);
        assert_eq!(out.len(), 4);
        assert_eq!(given(&mut picker, 9, 0).len(), 2);
    }
}
