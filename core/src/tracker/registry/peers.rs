//! The peers of one swarm that are reached in one way, kept small.
//!
//! One list, seeds after the others: whoever must not be offered seeds is offered the first part. A list of more than [`SCANNED`] peers
//! has an index by peer id. Invariant: no id twice. Cost: O(1) for all but [`Peers::find`] in a short list; per peer its record,
//! at most a quarter more for growth, and 5 to 11 bytes of index.

use super::index::{Index, hash};
use crate::key::PeerId;
use alloc::boxed::Box;
use alloc::vec::Vec;

/// How many peers a list has at most without an index. Scanning so many ids is as quick as one probe.
const SCANNED: usize = 16;

/// One peer. The address types have no alignment, so that no byte is lost.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record<A> {
    pub(super) id: PeerId,
    /// When it announced itself last, in tenths of a second.
    pub(super) seen: u32,
    pub(super) address: A,
}

#[derive(Clone, Debug)]
pub(super) struct Peers<A> {
    /// Peers that are no seeds, and then seeds.
    records: Vec<Record<A>>,
    leeches: usize,
    index: Option<Box<Index>>,
}

impl<A> Default for Peers<A> {
    fn default() -> Self {
        Self {
            records: Vec::new(),
            leeches: 0,
            index: None,
        }
    }
}

impl<A: Copy> Peers<A> {
    pub(super) const fn len(&self) -> usize {
        self.records.len()
    }

    /// How many are no seeds.
    pub(super) const fn leeches(&self) -> usize {
        self.leeches
    }

    /// All of them: those that are no seeds, and then seeds.
    pub(super) fn records(&self) -> &[Record<A>] {
        &self.records
    }

    /// The record at a place; those below [`leeches`](Self::leeches) are no seeds.
    pub(super) fn at(&self, place: usize) -> Option<&Record<A>> {
        self.records.get(place)
    }

    pub(super) const fn is_seed(&self, place: usize) -> bool {
        place >= self.leeches
    }

    /// The place of a peer. `seed` is that of the hash.
    pub(super) fn find(&self, id: PeerId, seed: u64) -> Option<usize> {
        match &self.index {
            None => self.records.iter().position(|record| record.id == id),
            Some(index) => {
                let is_it = |place: u32| self.records[place as usize].id == id;
                index.find(hash(&id.0, seed), is_it).map(|place| place as usize)
            }
        }
    }

    /// Adds a peer that is not in it.
    pub(super) fn insert(&mut self, record: Record<A>, is_seed: bool, seed: u64) {
        if self.records.len() == self.records.capacity() {
            self.records.reserve_exact(1 + self.records.len() / 4);
        }
        let place = self.records.len();
        self.records.push(record);
        if let Some(index) = &mut self.index {
            let records = &self.records;
            index.insert(hash(&record.id.0, seed), place as u32, |place| {
                hash(&records[place as usize].id.0, seed)
            });
        } else if self.records.len() > SCANNED {
            let mut index = Box::<Index>::default();
            let hash_of = |place: u32| hash(&self.records[place as usize].id.0, seed);
            (0..self.records.len() as u32).for_each(|place| index.insert(hash_of(place), place, hash_of));
            self.index = Some(index);
        }
        if !is_seed {
            self.swap(place, self.leeches, seed);
            self.leeches += 1;
        }
    }

    /// Renews the record at a place; its id stays.
    pub(super) fn renew(&mut self, place: usize, seen: u32, address: A) {
        if let Some(record) = self.records.get_mut(place) {
            record.seen = seen;
            record.address = address;
        }
    }

    /// Makes the peer at a place a seed, or no seed.
    pub(super) fn set_seed(&mut self, place: usize, is_seed: bool, seed: u64) {
        match (self.is_seed(place), is_seed) {
            (false, true) => {
                self.leeches -= 1;
                self.swap(place, self.leeches, seed);
            }
            (true, false) => {
                self.swap(place, self.leeches, seed);
                self.leeches += 1;
            }
            _ => {}
        }
    }

    /// Takes out the peer at a place. What takes its place comes from places after it.
    pub(super) fn remove(&mut self, place: usize, seed: u64) {
        let place = if self.is_seed(place) {
            place
        } else {
            // That puts it first among the seeds.
            self.set_seed(place, true, seed);
            self.leeches
        };
        let last = self.records.len() - 1;
        self.swap(place, last, seed);
        if let Some(index) = &mut self.index {
            let records = &self.records;
            let hash_of = |place: u32| hash(&records[place as usize].id.0, seed);
            index.remove(hash_of(last as u32), last as u32, hash_of);
        }
        self.records.pop();
        if self.records.len() < SCANNED / 2 {
            self.index = None;
        }
        if self.records.len() < self.records.capacity() / 2 {
            self.records.shrink_to(self.records.len() + self.records.len() / 4);
        }
    }

    fn swap(&mut self, a: usize, b: usize, seed: u64) {
        if a == b {
            return;
        }
        self.records.swap(a, b);
        if let Some(index) = &mut self.index {
            let hash_of = |place: usize| hash(&self.records[place].id.0, seed);
            // By way of a place that no record has, for both may lie under one hash.
            let (hash_a, hash_b) = (hash_of(a), hash_of(b));
            index.replace(hash_a, b as u32, u32::MAX - 1);
            index.replace(hash_b, a as u32, b as u32);
            index.replace(hash_a, u32::MAX - 1, a as u32);
        }
    }
}
