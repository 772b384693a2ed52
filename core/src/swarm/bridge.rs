//! A torrent held as a bridge: nothing is wanted but what peers ask for, and what was fetched stays in a cache with a budget.
//!
//! To web peers the bridge promises what it holds or can fetch from native peers, and the other way round. Who knows neither the
//! fast extension (BEP 6) nor don't-have (BEP 54) cannot be told otherwise later, so is promised only what is held.

use super::peer::Peer;
use crate::bits::Bits;
use crate::event::{Mode, Transport};
use crate::layout::Piece;
use crate::map::{Map, Set};
use crate::time::Time;

/// The bridge's side of a torrent.
#[derive(Debug)]
pub(crate) struct Bridge {
    prefetch: bool,
    filling: bool,
    /// The size of the cache when it was last looked at.
    limit: u64,
    /// Pieces that peers wait for, and how many requests wait.
    wanted: Map<Piece, u32>,
    /// When each cached piece was last asked for, and its length.
    used: Map<Piece, (Time, u32)>,
    oldest: Set<(Time, Piece)>,
    cached: u64,
    /// What native peers have, and what web peers have, as far as they are no relays.
    native: Bits,
    web: Bits,
    /// `native` and `web` are to be computed anew.
    stale: bool,
}

impl Bridge {
    /// The bridge's side of a torrent of so many pieces, if it is held as one.
    pub(crate) fn of(mode: Mode, pieces: usize) -> Option<Self> {
        match mode {
            Mode::Bridge { prefetch } => Some(Self::new(pieces, prefetch)),
            Mode::Whole | Mode::Passing => None,
        }
    }

    fn new(pieces: usize, prefetch: bool) -> Self {
        Self {
            prefetch,
            filling: prefetch,
            limit: 0,
            wanted: Map::new(),
            used: Map::new(),
            oldest: Set::new(),
            cached: 0,
            native: Bits::new(pieces),
            web: Bits::new(pieces),
            stale: true,
        }
    }

    /// Computes anew what each side has: with a web seed, everything. O(peers x pieces / 64).
    pub(crate) fn refresh<'a>(&mut self, peers: impl Iterator<Item = &'a Peer>, web_seed: bool) {
        self.stale = false;
        if web_seed {
            self.native = Bits::full(self.native.len());
            self.web = Bits::full(self.web.len());
            return;
        }
        self.native = Bits::new(self.native.len());
        self.web = Bits::new(self.web.len());
        for peer in peers.filter(|peer| !peer.relay()) {
            let side = if peer.transport.is_web() {
                &mut self.web
            } else {
                &mut self.native
            };
            if let Some(pieces) = peer.pieces() {
                side.union(pieces);
            }
        }
    }

    /// What a side has is to be computed anew.
    pub(crate) const fn spoil(&mut self) {
        self.stale = true;
    }

    /// Whether it is.
    pub(crate) const fn is_stale(&self) -> bool {
        self.stale
    }

    /// What can be fetched for a peer on that transport: what the other side has.
    pub(crate) const fn beyond(&self, transport: Transport) -> &Bits {
        if transport.is_web() { &self.native } else { &self.web }
    }

    /// Whether it fetches without being asked, for there is room in the cache.
    pub(crate) const fn fetches_all(&self) -> bool {
        self.filling
    }

    /// The cache has `room` bytes left; true if that changes what is wanted. An eighth of the cache lies between
    /// stopping and starting, so that one eviction does not start it again.
    pub(crate) const fn fill(&mut self, room: u64, limit: u64) -> bool {
        // What a larger cache has left no eviction made.
        let grown = limit > self.limit;
        self.limit = limit;
        let least = if self.filling || grown { 0 } else { limit / 8 };
        let filling = self.prefetch && room > least;
        let changed = filling != self.filling;
        self.filling = filling;
        changed
    }

    /// A request waits for a piece that is not here; true if it is the first.
    pub(crate) fn want(&mut self, piece: Piece) -> bool {
        let count = self.wanted.get_or_insert_with(piece, || 0);
        *count += 1;
        *count == 1
    }

    /// A request for a piece waits no longer; true if none does now.
    pub(crate) fn unwant(&mut self, piece: Piece) -> bool {
        let Some(count) = self.wanted.get_mut(&piece) else {
            return false;
        };
        *count -= 1;
        let last = *count == 0;
        if last {
            self.wanted.remove(&piece);
        }
        last
    }

    /// A piece of `length` bytes is here; nothing waits for it any more.
    pub(crate) fn keep(&mut self, piece: Piece, length: u32, now: Time) {
        self.wanted.remove(&piece);
        if self.used.insert(piece, (now, length)).is_none() {
            self.cached += u64::from(length);
            self.oldest.insert((now, piece));
        }
    }

    /// A piece that is kept was asked for.
    pub(crate) fn touch(&mut self, piece: Piece, now: Time) {
        if let Some((used, _)) = self.used.get_mut(&piece) {
            self.oldest.remove(&(*used, piece));
            self.oldest.insert((now, piece));
            *used = now;
        }
    }

    /// When the piece that was not asked for for longest was asked for.
    pub(crate) fn oldest(&self) -> Option<(Time, Piece)> {
        self.oldest.first().copied()
    }

    /// Forgets a piece; how many bytes that frees.
    pub(crate) fn evict(&mut self, piece: Piece) -> u64 {
        let Some((used, length)) = self.used.remove(&piece) else {
            return 0;
        };
        self.oldest.remove(&(used, piece));
        self.cached -= u64::from(length);
        length.into()
    }

    /// Bytes kept.
    pub(crate) const fn cached(&self) -> u64 {
        self.cached
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::Layout;

    #[test]
    fn what_was_asked_for_last_stays_longest() {
        let layout = Layout::new(30, 10).unwrap();
        let [a, b, c] = [0, 1, 2].map(|index| layout.piece(index).unwrap());
        let mut bridge = Bridge::new(3, false);
        for (at, piece) in [(1, a), (2, b), (3, c)] {
            bridge.keep(piece, 10, Time::from_micros(at));
        }
        bridge.touch(a, Time::from_micros(4));
        assert_eq!(bridge.oldest(), Some((Time::from_micros(2), b)));
        assert_eq!((bridge.evict(b), bridge.evict(b), bridge.cached()), (10, 0, 20));
        assert_eq!(bridge.oldest(), Some((Time::from_micros(3), c)));
    }

    #[test]
    fn a_piece_is_wanted_while_a_request_waits() {
        let piece = Layout::new(10, 10).unwrap().piece(0).unwrap();
        let mut bridge = Bridge::new(1, false);
        assert!(bridge.want(piece) && !bridge.want(piece));
        assert!(!bridge.unwant(piece) && bridge.unwant(piece));
        assert!(!bridge.unwant(piece), "nothing waits");
    }

    #[test]
    fn filling_stops_when_the_cache_is_full_and_starts_again_well_below() {
        let mut bridge = Bridge::new(1, true);
        assert!(bridge.fetches_all() && bridge.fill(0, 800) && !bridge.fetches_all());
        assert!(!bridge.fill(100, 800) && bridge.fill(101, 800) && bridge.fetches_all());
        assert!(!Bridge::new(1, false).fill(800, 800));
        assert!(
            bridge.fill(0, 800) && bridge.fill(10, 810),
            "a larger cache is filled at once"
        );
    }
}
