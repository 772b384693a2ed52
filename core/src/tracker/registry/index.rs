//! A hash index of things that lie in a list: from a 20-byte name to its place, 4 bytes a slot.
//!
//! Open addressing with linear probing; the names stay in the list alone. The hash is seeded, so that nobody can choose names that
//! fall together. Invariant: every place once; at most three quarters of the slots are taken.

use alloc::vec;
use alloc::vec::Vec;

/// What says that a slot is free.
const FREE: u32 = u32::MAX;

/// Where each name is.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    /// Places; as many slots as a power of two, or none.
    slots: Vec<u32>,
    taken: usize,
}

/// A seeded hash of 20 bytes: two folded multiplications.
pub(super) fn hash(name: &[u8; 20], seed: u64) -> u64 {
    let word = |from: usize| name[from..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let first = fold(word(0) ^ seed, word(8) ^ 0x9e37_79b9_7f4a_7c15);
    fold(first ^ word(12), seed ^ 0xd6e8_feb8_6659_fd93)
}

fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product >> 64) as u64 ^ product as u64
}

impl Index {
    /// The place among those under that hash for which `is_it`.
    pub(super) fn find(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        self.slot(hash, is_it).map(|slot| self.slots[slot])
    }

    /// Adds a place that is not there yet. `hash_of` gives the hash of any place, for when the index grows.
    pub(super) fn insert(&mut self, hash: u64, place: u32, hash_of: impl Fn(u32) -> u64) {
        if (self.taken + 1) * 4 > self.slots.len() * 3 {
            let old = core::mem::take(&mut self.slots);
            self.slots = vec![FREE; (old.len() * 2).max(8)];
            old.into_iter()
                .filter(|&place| place != FREE)
                .for_each(|place| self.put(hash_of(place), place));
        }
        self.put(hash, place);
        self.taken += 1;
    }

    /// Writes another place where `from` is.
    pub(super) fn replace(&mut self, hash: u64, from: u32, to: u32) {
        if let Some(slot) = self.slot(hash, |place| place == from) {
            self.slots[slot] = to;
        }
    }

    /// Takes a place out; what lies behind it moves up, so no mark is left.
    pub(super) fn remove(&mut self, hash: u64, place: u32, hash_of: impl Fn(u32) -> u64) {
        let Some(mut hole) = self.slot(hash, |other| other == place) else {
            return;
        };
        let mask = self.slots.len() - 1;
        let mut next = (hole + 1) & mask;
        while self.slots[next] != FREE {
            let home = hash_of(self.slots[next]) as usize & mask;
            // It may move into the hole if that is not before its home.
            if next.wrapping_sub(home) & mask >= next.wrapping_sub(hole) & mask {
                self.slots[hole] = self.slots[next];
                hole = next;
            }
            next = (next + 1) & mask;
        }
        self.slots[hole] = FREE;
        self.taken -= 1;
    }

    fn put(&mut self, hash: u64, place: u32) {
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        while self.slots[slot] != FREE {
            slot = (slot + 1) & mask;
        }
        self.slots[slot] = place;
    }

    fn slot(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> Option<usize> {
        let mask = self.slots.len().checked_sub(1)?;
        let mut slot = hash as usize & mask;
        while self.slots[slot] != FREE {
            if is_it(self.slots[slot]) {
                return Some(slot);
            }
            slot = (slot + 1) & mask;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use alloc::collections::BTreeMap;

    /// Beside a map, with a hash so bad that all the names fall together in few slots.
    #[test]
    fn it_finds_what_a_map_finds() {
        for bits in [1, 4, 64] {
            let mut rng = Rng::new(bits);
            let hash_of = |place: u32| hash(&[place as u8; 20], 7) & (u64::MAX >> (64 - bits));
            let mut index = Index::default();
            let mut map = BTreeMap::new();
            for _ in 0..20_000 {
                let place = rng.below(200) as u32;
                if map.remove(&place).is_some() {
                    index.remove(hash_of(place), place, hash_of);
                } else {
                    map.insert(place, ());
                    index.insert(hash_of(place), place, hash_of);
                }
                let probe = rng.below(200) as u32;
                let found = index.find(hash_of(probe), |place| place == probe);
                assert_eq!(found, map.contains_key(&probe).then_some(probe));
                assert_eq!(index.taken, map.len());
            }
        }
    }

    #[test]
    fn every_byte_counts_in_the_hash() {
        for at in 0..20 {
            let mut name = [0; 20];
            name[at] = 1;
            assert_ne!(hash(&name, 5), hash(&[0; 20], 5), "{at}");
        }
        assert_ne!(hash(&[1; 20], 5), hash(&[1; 20], 6));
    }
}
