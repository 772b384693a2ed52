//! Every piece in one array, rarest first: the next piece to open stands at its head.
//!
//! The array is cut into runs, one for each (number of peers that have it, [`Class`]), in that order. Invariants:
//! `order` and `place` are inverse to each other; run `k` is `order[ends[k - 1]..ends[k]]` and holds exactly the pieces
//! whose `key` is `k`; `alive[c]` has the bit of each count whose run of class `c` is not empty. A piece moves to a
//! neighbouring run by one swap, so a HAVE costs four at most, whatever the number of pieces and peers; opening a piece
//! only changes its class.

use crate::bits::Bits;
use crate::gather::Gather;
use alloc::vec::Vec;

/// How a piece stands in the order of choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    High = 0,
    Normal = 1,
    Low = 2,
    /// Not to be opened: held, unwanted or open already.
    Out = 3,
}

const CLASSES: u32 = 4;

impl Class {
    /// The classes that may be opened, in the order of choice.
    pub(super) const OPENABLE: [Self; 3] = [Self::High, Self::Normal, Self::Low];

    const fn of(key: u32) -> Self {
        match key % CLASSES {
            0 => Self::High,
            1 => Self::Normal,
            2 => Self::Low,
            _ => Self::Out,
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Rarity {
    order: Vec<u32>,
    place: Vec<u32>,
    key: Vec<u32>,
    ends: Vec<u32>,
    alive: [Vec<u64>; 3],
}

impl Rarity {
    /// `pieces` pieces that nobody has, all of one class.
    pub(super) fn new(pieces: usize, class: Class) -> Self {
        let mut rarity = Self {
            order: (0..pieces as u32).gather(),
            place: (0..pieces as u32).gather(),
            key: alloc::vec![class as u32; pieces],
            ends: Vec::new(),
            alive: Default::default(),
        };
        rarity.rebuild();
        rarity
    }

    /// How many peers have it, by HAVE and BITFIELD.
    pub(super) fn count(&self, piece: usize) -> u32 {
        self.key.get(piece).map_or(0, |key| key / CLASSES)
    }

    pub(super) fn class(&self, piece: usize) -> Class {
        self.key.get(piece).map_or(Class::Out, |&key| Class::of(key))
    }

    pub(super) fn set_class(&mut self, piece: usize, class: Class) {
        if let Some(&key) = self.key.get(piece) {
            self.move_to(piece, key - key % CLASSES + class as u32);
        }
    }

    pub(super) fn add(&mut self, piece: usize) {
        if let Some(&key) = self.key.get(piece) {
            self.grow(key + CLASSES);
            self.move_to(piece, key + CLASSES);
        }
    }

    /// Ignored where the count is zero already.
    pub(super) fn remove(&mut self, piece: usize) {
        if let Some(&key) = self.key.get(piece)
            && key >= CLASSES
        {
            self.move_to(piece, key - CLASSES);
        }
    }

    /// Counts a whole bitfield in. O(pieces), by sorting, when it has many; else a few swaps for each.
    pub(super) fn add_all(&mut self, has: &Bits) {
        self.each(has, Self::add, |key| *key += CLASSES);
    }

    /// Counts a whole bitfield out.
    pub(super) fn remove_all(&mut self, has: &Bits) {
        self.each(has, Self::remove, |key| {
            if *key >= CLASSES {
                *key -= CLASSES;
            }
        });
    }

    fn each(&mut self, has: &Bits, one: fn(&mut Self, usize), change: fn(&mut u32)) {
        if has.count() < self.order.len() / 8 {
            has.iter().for_each(|piece| one(self, piece));
        } else {
            for piece in has.iter() {
                if let Some(key) = self.key.get_mut(piece) {
                    change(key);
                }
            }
            self.rebuild();
        }
    }

    /// The pieces of a class that `count` peers have.
    pub(super) fn run(&self, class: Class, count: u32) -> &[u32] {
        let key = count * CLASSES + class as u32;
        let Some(&end) = self.ends.get(key as usize) else {
            return &[];
        };
        &self.order[self.start(key) as usize..end as usize]
    }

    /// The smallest count from `from` on at which some piece of the class stands.
    pub(super) fn next_count(&self, class: Class, from: u32) -> Option<u32> {
        let words = self.alive.get(class as usize)?;
        let mut at = from as usize / 64;
        let mut word = words.get(at)? >> (from % 64) << (from % 64);
        while word == 0 {
            at += 1;
            word = *words.get(at)?;
        }
        Some(at as u32 * 64 + word.trailing_zeros())
    }

    /// How many pieces of the openable classes nobody has.
    pub(super) fn openable_without_peers(&self) -> usize {
        self.ends.get(Class::Low as usize).map_or(0, |&end| end as usize)
    }

    /// The smallest count of all pieces, and how many pieces have more than it.
    pub(super) fn lowest(&self) -> (u32, usize) {
        let run = self.ends.iter().position(|&end| end > 0).unwrap_or(0) as u32;
        let last = run - run % CLASSES + CLASSES - 1;
        let upto = self.ends.get(last as usize).copied().unwrap_or(0);
        (run / CLASSES, self.order.len() - upto as usize)
    }

    fn start(&self, key: u32) -> u32 {
        if key == 0 { 0 } else { self.ends[key as usize - 1] }
    }

    /// Makes sure that the runs up to that of `key` exist.
    fn grow(&mut self, key: u32) {
        let runs = (key / CLASSES + 1) * CLASSES;
        if self.ends.len() < runs as usize {
            self.ends.resize(runs as usize, self.order.len() as u32);
        }
        let words = (key / CLASSES) as usize / 64 + 1;
        for alive in &mut self.alive {
            if alive.len() < words {
                alive.resize(words, 0);
            }
        }
    }

    fn move_to(&mut self, piece: usize, to: u32) {
        let from = self.key[piece];
        for key in from..to {
            let last = self.ends[key as usize] - 1;
            self.swap_to(piece, last);
            self.ends[key as usize] = last;
        }
        for key in (to..from).rev() {
            let first = self.ends[key as usize];
            self.swap_to(piece, first);
            self.ends[key as usize] = first + 1;
        }
        self.key[piece] = to;
        self.mark(from);
        self.mark(to);
    }

    fn swap_to(&mut self, piece: usize, to: u32) {
        let from = self.place[piece];
        let other = self.order[to as usize];
        self.order[from as usize] = other;
        self.place[other as usize] = from;
        self.order[to as usize] = piece as u32;
        self.place[piece] = to;
    }

    fn mark(&mut self, key: u32) {
        let filled = self.start(key) < self.ends[key as usize];
        let count = key / CLASSES;
        if let Some(alive) = self.alive.get_mut((key % CLASSES) as usize) {
            let (word, bit) = (&mut alive[count as usize / 64], 1 << (count % 64));
            if filled {
                *word |= bit;
            } else {
                *word &= !bit;
            }
        }
    }

    /// Sorts all pieces by their keys anew. O(pieces + runs).
    fn rebuild(&mut self) {
        let top = self.key.iter().copied().max().unwrap_or(0);
        self.grow(top);
        self.ends.fill(0);
        for &key in &self.key {
            self.ends[key as usize] += 1;
        }
        let mut sum = 0;
        for end in &mut self.ends {
            sum += core::mem::replace(end, sum);
        }
        // Each end is its run's start for now, and grows to the end as the run fills.
        for (piece, &key) in self.key.iter().enumerate() {
            let at = &mut self.ends[key as usize];
            self.order[*at as usize] = piece as u32;
            self.place[piece] = *at;
            *at += 1;
        }
        self.alive.iter_mut().for_each(|alive| alive.fill(0));
        for key in 0..self.ends.len() as u32 {
            self.mark(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    fn check(rarity: &Rarity) {
        for (at, &piece) in rarity.order.iter().enumerate() {
            assert_eq!(rarity.place[piece as usize] as usize, at);
        }
        for key in 0..rarity.ends.len() as u32 {
            let run = &rarity.order[rarity.start(key) as usize..rarity.ends[key as usize] as usize];
            assert!(run.iter().all(|&piece| rarity.key[piece as usize] == key));
            if key % CLASSES < 3 {
                let word = rarity.alive[(key % CLASSES) as usize][(key / CLASSES) as usize / 64];
                assert_eq!(word >> (key / CLASSES % 64) & 1 == 1, !run.is_empty());
            }
        }
        assert_eq!(rarity.ends.last().copied(), Some(rarity.order.len() as u32));
    }

    #[test]
    fn any_sequence_of_moves_keeps_the_runs() {
        let mut rng = Rng::new(11);
        let classes = [Class::High, Class::Normal, Class::Low, Class::Out];
        for pieces in [1, 2, 63, 64, 65, 200] {
            let mut rarity = Rarity::new(pieces, Class::Normal);
            let mut counts = alloc::vec![0u32; pieces];
            for _ in 0..600 {
                let piece = rng.below(pieces);
                match rng.below(5) {
                    0 => {
                        rarity.remove(piece);
                        counts[piece] = counts[piece].saturating_sub(1);
                    }
                    1 => rarity.set_class(piece, classes[rng.below(4)]),
                    2 if rng.below(10) == 0 => {
                        let mut has = Bits::new(pieces);
                        (0..pieces).filter(|_| rng.below(3) > 0).for_each(|piece| {
                            has.insert(piece);
                        });
                        rarity.add_all(&has);
                        has.iter().for_each(|piece| counts[piece] += 1);
                    }
                    _ => {
                        rarity.add(piece);
                        counts[piece] += 1;
                    }
                }
            }
            check(&rarity);
            (0..pieces).for_each(|piece| assert_eq!(rarity.count(piece), counts[piece]));
            let lowest = *counts.iter().min().unwrap();
            let more = counts.iter().filter(|&&count| count > lowest).count();
            assert_eq!(rarity.lowest(), (lowest, more));
        }
    }

    #[test]
    fn the_next_count_skips_what_is_empty_or_out() {
        let mut rarity = Rarity::new(3, Class::Normal);
        (0..70).for_each(|_| rarity.add(0));
        (0..5).for_each(|_| rarity.add(1));
        rarity.set_class(1, Class::Out);
        assert_eq!(rarity.next_count(Class::Normal, 0), Some(0));
        assert_eq!(rarity.next_count(Class::Normal, 1), Some(70));
        assert_eq!(rarity.next_count(Class::Normal, 71), None);
        assert_eq!(rarity.next_count(Class::High, 0), None);
        assert_eq!(rarity.run(Class::Normal, 70), [0]);
        assert_eq!(rarity.openable_without_peers(), 1);
    }
}
