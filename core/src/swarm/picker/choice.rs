//! The order of choice: each tier in turn gives blocks until enough are asked for.

use super::due::Tier;
use super::{Class, Picker, RANDOM_FIRST, link_state};
use crate::bits::Bits;
use crate::gather::Gather;
use crate::layout::{Block, Piece};
use crate::rng::Rng;
use crate::swarm::open::{ASKED_AT_MOST, OpenPiece, Source};
use crate::time::{Span, Time};
use alloc::vec::Vec;

/// Duplicate requests a link may have outstanding. Larger ends a download sooner where links stall, and fetches more
/// bytes twice.
pub const EXTRA_REQUESTS: u32 = 4;

/// How close an urgent piece's deadline must be for its blocks to be asked of several links.
pub const NEAR: Span = Span::from_secs(1);

/// How long nothing must have come of such a piece before what a quick link was asked for is asked of others too.
/// Shorter fetches more bytes twice: a relay's own fetching may take as long.
pub const STALLED: Span = Span::from_secs(1);

/// Pieces of the search by words that are compared with each other: bounds the time of a pick where the peer has many
/// pieces, but none of the rarest. More makes such picks more exactly the rarest, at about 3 ns each.
const COMPARED: usize = 1_024;

/// Open pieces that are compared when one is joined.
const JOINED: usize = 64;

/// Blocks that are looked at for duplicate requests, in one pick.
const LOOKED_AT: u32 = 4_096;

/// The link that is to be given requests.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    /// Its number: small and dense, below 2^31, may be used again after [`Picker::release_link`].
    pub link: u32,
    /// What the peer has.
    pub has: &'a Bits,
    /// The peer has everything (`has` is not looked at).
    pub seed: bool,
    /// The only pieces that may be asked for: the allowed-fast set while it chokes us (BEP 6).
    pub only: Option<&'a Bits>,
    /// Pieces it suggested (BEP 6).
    pub prefer: &'a [Piece],
    /// It shares no piece with another link: what it sends can be blamed on it alone.
    pub exclusive: bool,
    /// It is quick enough for urgent pieces. A slow one takes them only when it finds nothing else.
    pub fast: bool,
    /// The time: deadlines are compared with it.
    pub now: Time,
}

/// Memory for opening further pieces. A piece is charged whole when it is opened, so that every open piece can be
/// finished.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// Bytes left for any piece.
    pub bytes: u64,
    /// Bytes left for urgent pieces alone, used after `bytes`.
    pub reserve: u64,
}

impl Budget {
    /// A budget that never ends.
    pub const UNLIMITED: Self = Self {
        bytes: u64::MAX,
        reserve: 0,
    };

    fn take(&mut self, length: u64, urgent: bool) -> bool {
        let part = if self.bytes >= length {
            &mut self.bytes
        } else if urgent && self.reserve >= length {
            &mut self.reserve
        } else {
            return false;
        };
        *part -= length;
        true
    }
}

/// One call of [`Picker::pick`].
pub(super) struct Call<'a> {
    pub(super) asker: &'a Asker<'a>,
    pub(super) left: usize,
    pub(super) room: &'a mut Budget,
    pub(super) rng: &'a mut Rng,
    pub(super) out: &'a mut Vec<Block>,
}

/// The best blocks for a duplicate request, best first: (how bad it is, block).
type Extras = Vec<(u64, Block)>;

impl Asker<'_> {
    fn may(&self, index: usize) -> bool {
        (self.seed || self.has.contains(index)) && self.only.is_none_or(|only| only.contains(index))
    }

    /// The pieces that may be asked for among the 64 of a word.
    fn word(&self, at: usize) -> u64 {
        let of = |words: &[u64]| words.get(at).copied().unwrap_or(0);
        let has = if self.seed { u64::MAX } else { of(self.has.words()) };
        self.only.map_or(has, |only| has & of(only.words()))
    }

    /// Whether it may have blocks of an open piece, given who else has.
    fn may_join(&self, open: &OpenPiece) -> bool {
        open.exclusive.is_none_or(|owner| owner == self.link)
            && (!self.exclusive || matches!(open.source, Source::One(link) if link == self.link))
    }
}

impl Picker {
    /// Chooses up to `count` blocks for a link, marks them as asked of it and appends them to `out`.
    ///
    /// Pieces are opened as far as `room` goes, which is charged for them; without room only open ones are gone on
    /// with.
    pub fn pick(&mut self, asker: &Asker<'_>, count: usize, room: &mut Budget, rng: &mut Rng, out: &mut Vec<Block>) {
        let mut call = Call {
            asker,
            left: count,
            room,
            rng,
            out,
        };
        link_state(&mut self.links, asker.link).fast = asker.fast;
        if asker.fast && !self.due.is_empty() {
            self.pick_due(Tier::Urgent, &mut call);
            self.pick_late(&mut call);
        }
        self.pick_own(&mut call);
        if !self.due.is_empty() {
            self.pick_due(Tier::Window, &mut call);
        }
        self.pick_fresh(&mut call);
        self.pick_open(&mut call);
        if call.left > 0 && self.is_endgame() {
            self.pick_endgame(&mut call);
        }
    }

    fn pick_own(&mut self, call: &mut Call<'_>) {
        let own = self.links.get(call.asker.link as usize).and_then(|state| state.own);
        if let Some(own) = own
            && call.left > 0
            && self.askable.contains(own.index())
            && call.asker.may(own.index())
        {
            self.take_from(own.number(), call);
        }
    }

    fn pick_due(&mut self, tier: Tier, call: &mut Call<'_>) {
        let mut after = None;
        while call.left > 0 {
            let Some(place) = self.due.next_ready(tier, after) else {
                return;
            };
            after = Some(place);
            if call.asker.may(place.2 as usize) {
                self.take_from(place.2, call);
            }
        }
    }

    /// Urgent pieces whose deadline is near are asked of several links: what slow ones were asked for at once, the rest
    /// when nothing comes any more.
    pub(super) fn pick_late(&mut self, call: &mut Call<'_>) {
        let Some(mut room) = self.extra_room(call) else {
            return;
        };
        let late: Vec<u32> = self.due.busy(call.asker.now + NEAR).gather();
        for number in late {
            if room == 0 {
                return;
            }
            let mut extras = Extras::new();
            if let Some(open) = self.open.get_mut(number as usize) {
                open.look(call.asker.now);
            }
            if let Some(open) = self.open.get(number as usize)
                && call.asker.may(number as usize)
            {
                let stalled = open.is_stalled(STALLED, call.asker.now);
                self.look_for_extras(open, (room, stalled), call, &mut extras);
            }
            room -= extras.len().min(room);
            self.ask_extras(&extras, call);
        }
    }

    fn pick_fresh(&mut self, call: &mut Call<'_>) {
        while call.left > 0 && self.fresh_count > 0 {
            let Some(number) = self
                .suggested(call.asker)
                .or_else(|| self.choose_fresh(call.asker, call.rng))
            else {
                return;
            };
            if !self.take_from(number, call) {
                return;
            }
        }
    }

    fn suggested(&self, asker: &Asker<'_>) -> Option<u32> {
        let openable = |index| self.fresh.contains(index) && asker.may(index);
        let suggested = asker.prefer.iter().find(|piece| openable(piece.index()));
        suggested.map(|piece| piece.number())
    }

    /// The piece to open: the rarest of the highest priority, at random among equals and while few are held.
    fn choose_fresh(&self, asker: &Asker<'_>, rng: &mut Rng) -> Option<u32> {
        if self.held_count < RANDOM_FIRST {
            return self.search_fresh(asker, rng);
        }
        // Past so many misses the search by words is the cheaper one.
        let mut probes = 64 + self.fresh.words().len() / 4;
        for class in Class::OPENABLE {
            let mut from = 0;
            while let Some(count) = self.rarity.next_count(class, from) {
                let run = self.rarity.run(class, count);
                let (before, after) = run.split_at(rng.below(run.len()));
                for &number in after.iter().chain(before) {
                    if asker.may(number as usize) {
                        return Some(number);
                    }
                    if probes == 0 {
                        return self.search_fresh(asker, rng);
                    }
                    probes -= 1;
                }
                from = count + 1;
            }
        }
        None
    }

    /// The same by `has & fresh`, from a random place on, exact where those are fewer than [`COMPARED`].
    fn search_fresh(&self, asker: &Asker<'_>, rng: &mut Rng) -> Option<u32> {
        let random = self.held_count < RANDOM_FIRST;
        let words = self.fresh.words();
        let start = rng.below(words.len());
        let (mut best, mut equals, mut seen) = (None, 0, 0);
        for at in (start..words.len()).chain(0..start) {
            let mut word = words[at] & asker.word(at);
            while word != 0 {
                let number = (at * 64) as u32 + word.trailing_zeros();
                word &= word - 1;
                seen += 1;
                let rarity = if random { 0 } else { self.rarity.count(number as usize) };
                let rank = (self.rarity.class(number as usize), rarity);
                match best {
                    Some((other, _)) if other < rank => continue,
                    Some((other, _)) if other == rank => equals += 1,
                    _ => equals = 1,
                }
                if equals == 1 || rng.below(equals) == 0 {
                    best = Some((rank, number));
                }
            }
            if seen >= COMPARED {
                break;
            }
        }
        best.map(|(_, number)| number)
    }

    /// Joins pieces that other links have opened, those nearest to their end first: they free their memory soonest.
    fn pick_open(&mut self, call: &mut Call<'_>) {
        while call.left > 0 && self.askable_count > 0 {
            let words = self.askable.words();
            let start = call.rng.below(words.len());
            let mut found: Vec<(u32, u32)> = Vec::new();
            for at in (start..words.len()).chain(0..start) {
                let mut word = words[at] & call.asker.word(at);
                while word != 0 && found.len() < JOINED {
                    let number = (at * 64) as u32 + word.trailing_zeros();
                    word &= word - 1;
                    let open = self.open.get(number as usize).filter(|open| call.asker.may_join(open));
                    if let Some(open) = open {
                        found.push((open.free(), number));
                    }
                }
            }
            found.sort_unstable_by_key(|&(free, _)| free);
            let before = call.left;
            for (_, number) in found {
                self.take_from(number, call);
            }
            if call.left == before {
                return;
            }
        }
    }

    fn pick_endgame(&mut self, call: &mut Call<'_>) {
        let Some(room) = self.extra_room(call) else {
            return;
        };
        let pieces = self.open.all();
        let start = call.rng.below(pieces.len());
        let mut extras = Extras::new();
        let mut looked_at = 0;
        for open in pieces[start..].iter().chain(&pieces[..start]) {
            let index = open.piece().index();
            if self.chosen.contains(index) && call.asker.may(index) && looked_at < LOOKED_AT {
                looked_at += open.blocks();
                self.look_for_extras(open, (room, call.asker.fast), call, &mut extras);
            }
        }
        self.ask_extras(&extras, call);
    }

    /// How many duplicate requests may be made now; none is `None`.
    fn extra_room(&self, call: &Call<'_>) -> Option<usize> {
        let extra = self.links.get(call.asker.link as usize).map_or(0, |state| state.extra);
        let room = EXTRA_REQUESTS.saturating_sub(extra) as usize;
        Some(room.min(call.left)).filter(|&room| room > 0)
    }

    /// Keeps in `extras` the best blocks of a piece to ask for once more: those asked for least, of slow links before
    /// those of quick ones. A slow link is of no help where a quick one was asked.
    /// `among` says how many to keep, and whether those of quick links are among them.
    fn look_for_extras(&self, open: &OpenPiece, among: (usize, bool), call: &mut Call<'_>, extras: &mut Extras) {
        let (room, quick_too) = among;
        if !call.asker.may_join(open) {
            return;
        }
        for number in 0..open.blocks() {
            let links = open.links(number);
            if links.is_empty() || links.len() >= ASKED_AT_MOST || links.contains(&call.asker.link) {
                continue;
            }
            let quick = links
                .iter()
                .any(|&link| self.links.get(link as usize).is_some_and(|state| state.fast));
            if quick && !quick_too {
                continue;
            }
            let badness = (links.len() as u64) << 33 | u64::from(quick) << 32 | call.rng.next_u64() >> 32;
            let at = extras.partition_point(|&(other, _)| other <= badness);
            if at < room {
                extras.truncate(room - 1);
                let piece = open.piece();
                extras.insert(at, (badness, Block { piece, number }));
            }
        }
    }

    fn ask_extras(&mut self, extras: &Extras, call: &mut Call<'_>) {
        for &(_, block) in extras {
            let open = self.open.get_mut(block.piece.index());
            if call.left > 0 && open.is_some_and(|open| open.ask(block.number, call.asker.link, true)) {
                let state = link_state(&mut self.links, call.asker.link);
                state.requests += 1;
                state.extra += 1;
                call.left -= 1;
                call.out.push(block);
            }
        }
    }

    /// Asks for free blocks of a piece that is lacking, opening it first if need be; false where that gave none.
    pub(super) fn take_from(&mut self, number: u32, call: &mut Call<'_>) -> bool {
        let Some(piece) = self.layout.piece(number).filter(|_| call.left > 0) else {
            return false;
        };
        let urgent = matches!(self.due.deadline(number), Some((Tier::Urgent, _)));
        let opens = self.open.get(piece.index()).is_none();
        if opens {
            if !call.room.take(u64::from(self.layout.piece_length(piece)), urgent) {
                return false;
            }
            self.open.open(piece, &self.layout);
        }
        let Some(open) = self.open.get_mut(piece.index()) else {
            return false;
        };
        if !opens && !call.asker.may_join(open) {
            return false;
        }
        if call.asker.exclusive {
            open.exclusive = Some(call.asker.link);
        }
        let before = call.left;
        while call.left > 0
            && let Some(block) = open.take(call.asker.link)
        {
            call.out.push(block);
            call.left -= 1;
        }
        let exhausted = open.free() == 0;
        let state = link_state(&mut self.links, call.asker.link);
        state.requests += (before - call.left) as u32;
        if !urgent {
            state.own = Some(piece);
        }
        if opens || exhausted {
            self.refresh(piece);
        }
        before > call.left
    }
}
