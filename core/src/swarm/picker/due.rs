//! Pieces with a deadline: those urgently wanted (a bridge's requests, what playback needs next) and the playback
//! window behind them.
//!
//! Invariant: a piece stands in `ready` while it is missing and has a block nobody was asked for, in `busy` while it is
//! urgent and all its missing blocks are asked for, else in neither. Every change costs O(log of the pieces with a
//! deadline); without any, nothing.

use crate::gather::Gather;
use crate::map::{Map, Set};
use crate::time::{Span, Time};
use alloc::vec::Vec;

/// How far a deadline of the window may be off.
const SLACK: Span = Span::from_millis(250);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tier {
    /// Comes before everything else.
    Urgent,
    /// Comes after the link's own open piece.
    Window,
}

/// Whether a piece still needs requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Some block is free.
    Free,
    /// All missing blocks are asked for.
    Asked,
    /// Nothing is missing.
    Nothing,
}

#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    urgent: Option<Time>,
    window: Option<(Tier, Time)>,
    placed: Option<(Need, Tier, Time)>,
}

pub(super) type Place = (Tier, Time, u32);

#[derive(Clone, Debug, Default)]
pub(super) struct Due {
    entries: Map<u32, Entry>,
    ready: Set<Place>,
    busy: Set<(Time, u32)>,
}

impl Entry {
    /// The earlier of its deadlines, in the more pressing tier.
    fn deadline(&self) -> Option<(Tier, Time)> {
        let urgent = self.urgent.map(|time| (Tier::Urgent, time));
        urgent.into_iter().chain(self.window).min()
    }
}

impl Due {
    pub(super) fn contains(&self, piece: u32) -> bool {
        !self.entries.is_empty() && self.entries.contains_key(&piece)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn deadline(&self, piece: u32) -> Option<(Tier, Time)> {
        self.entries.get(&piece).and_then(Entry::deadline)
    }

    /// The pieces that have an urgent deadline of their own.
    pub(super) fn is_urgent(&self, piece: u32) -> bool {
        self.entries.get(&piece).is_some_and(|entry| entry.urgent.is_some())
    }

    /// Sets or clears the urgent deadline. The caller places it anew.
    pub(super) fn set_urgent(&mut self, piece: u32, deadline: Option<Time>) {
        self.change(piece, |entry| entry.urgent = deadline);
    }

    /// The pieces of the window as they are now.
    pub(super) fn window(&self) -> Vec<u32> {
        let windowed = self.entries.iter().filter(|(_, entry)| entry.window.is_some());
        windowed.map(|(&piece, _)| piece).gather()
    }

    /// Sets or clears a piece's place in the window; if it says true, the caller places the piece anew. A deadline that
    /// moved by less than [`SLACK`] is left as it was, for a window is set several times a second.
    pub(super) fn set_window(&mut self, piece: u32, window: Option<(Tier, Time)>) -> bool {
        let old = self.entries.get(&piece).and_then(|entry| entry.window);
        if let (Some((old_tier, old)), Some((tier, new))) = (old, window)
            && tier == old_tier
            && old.since(new) + new.since(old) < SLACK
        {
            return false;
        }
        self.change(piece, |entry| entry.window = window);
        true
    }

    fn change(&mut self, piece: u32, change: impl FnOnce(&mut Entry)) {
        let mut entry = self.entries.remove(&piece).unwrap_or_default();
        self.unplace(piece, &mut entry);
        change(&mut entry);
        if entry.deadline().is_some() {
            self.entries.insert(piece, entry);
        }
    }

    /// Puts a piece where its need wants it.
    pub(super) fn place(&mut self, piece: u32, need: Need) {
        let Some(mut entry) = self.entries.get(&piece).copied() else {
            return;
        };
        let Some((tier, time)) = entry.deadline() else {
            return;
        };
        if entry.placed == Some((need, tier, time)) {
            return;
        }
        self.unplace(piece, &mut entry);
        match (need, tier) {
            (Need::Free, _) => drop(self.ready.insert((tier, time, piece))),
            (Need::Asked, Tier::Urgent) => drop(self.busy.insert((time, piece))),
            _ => {}
        }
        entry.placed = Some((need, tier, time));
        self.entries.insert(piece, entry);
    }

    fn unplace(&mut self, piece: u32, entry: &mut Entry) {
        match entry.placed.take() {
            Some((Need::Free, tier, time)) => drop(self.ready.remove(&(tier, time, piece))),
            Some((Need::Asked, Tier::Urgent, time)) => drop(self.busy.remove(&(time, piece))),
            _ => {}
        }
    }

    /// The next piece of a tier with a free block, by deadline.
    pub(super) fn next_ready(&self, tier: Tier, after: Option<Place>) -> Option<Place> {
        let from = after.unwrap_or((tier, Time::ZERO, 0));
        let next = self.ready.from(&from).find(|&&place| Some(place) != after).copied()?;
        (next.0 == tier).then_some(next)
    }

    /// The urgent pieces that are wholly asked for and due by `by`, earliest first.
    pub(super) fn busy(&self, by: Time) -> impl Iterator<Item = u32> + '_ {
        self.busy
            .iter()
            .take_while(move |(due, _)| *due <= by)
            .map(|&(_, piece)| piece)
    }
}
