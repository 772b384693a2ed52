//! The table of a tracker: which peers are in which swarm, whichever protocol they came by.
//!
//! Without I/O, clock or entropy: all three faces of the tracker ask the one table. An announce costs O(peers wanted), whatever the swarm's
//! size; forgetting the silent costs a look at the swarms whose longest silent peer may be due. A peer costs 32 bytes (IPv6: 44) and
//! its share of index and growth, a swarm about 130.

mod index;
mod peers;
pub mod snapshot;
mod swarm;

use crate::key::{PeerId, SwarmKey};
use crate::rng::Rng;
use crate::time::{Span, Time};
use crate::tracker::query::{AnnounceEvent, AnnounceRequest, ScrapeCounts};
use crate::tracker::udp::Family;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::SocketAddr;
use index::{Index, hash};
use swarm::Swarm;

/// How long a swarm without peers is remembered for the sake of its completed count, in tenths of a second: a day.
const REMEMBERED: u32 = 24 * 3600 * 10;

/// How much the table may hold.
#[derive(Clone, Copy, Debug)]
pub struct RegistryConfig {
    /// A peer that was silent for longer is forgotten.
    pub peer_ttl: Span,
    /// The most peers kept in one swarm. One more is answered, but not kept.
    pub max_peers: usize,
    /// The most swarms kept.
    pub max_swarms: usize,
}

/// How a peer is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// At an address. One with port 0 is answered, but not kept.
    Native(SocketAddr),
    /// Through a connection to this tracker, by its number.
    Web(u64),
}

/// Who announces itself.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    /// Its announce.
    pub request: &'a AnnounceRequest,
    /// How it is reached.
    pub place: Place,
    /// How many peers to give to it: what it wants, within the tracker's bounds.
    pub numwant: usize,
    /// Which addresses it can be given; both if `None`.
    pub family: Option<Family>,
}

/// A web peer to hand an offer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WebPeer {
    /// Its id.
    pub peer_id: PeerId,
    /// The connection by which it is reached.
    pub connection: u64,
}

/// What an announce comes to. Kept by the caller from one announce to the next, so that none allocates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The counts of the swarm, the asker included.
    pub counts: ScrapeCounts,
    /// The addresses of peers, for a native asker.
    pub addresses: Vec<SocketAddr>,
    /// The ids of those peers, in the same order.
    pub ids: Vec<PeerId>,
    /// Peers to hand offers to, for a web asker.
    pub web: Vec<WebPeer>,
    /// Whether the swarm has peers that are reached at an address, and such that are reached through us: each kind knows only
    /// its own.
    pub both_kinds: bool,
    /// The connection that the same web peer announced itself by before: a tab was loaded again.
    pub replaced: Option<u64>,
}

/// The table.
#[derive(Debug)]
pub struct Registry {
    config: RegistryConfig,
    /// The seed of all hashes.
    seed: u64,
    swarms: Vec<Swarm>,
    /// Places in `swarms` that are free.
    free: Vec<u32>,
    index: Index,
    /// When to look at which swarms, in tenths of a second; each swarm is in it once.
    due: BTreeMap<u32, Vec<u32>>,
    /// Swarms that have peers, and their records.
    populated: usize,
    records: usize,
}

impl Registry {
    /// An empty table. `seed` should not be known outside: it keeps the hashes unpredictable.
    pub fn new(config: RegistryConfig, seed: u64) -> Self {
        Self {
            config,
            seed,
            swarms: Vec::new(),
            free: Vec::new(),
            index: Index::default(),
            due: BTreeMap::new(),
            populated: 0,
            records: 0,
        }
    }

    /// Takes an announce and fills `answer`. A peer that stops is forgotten if it stops from where it is.
    pub fn announce(&mut self, now: Time, rng: &mut Rng, asker: &Asker<'_>, answer: &mut Answer) {
        answer.clear();
        let request = asker.request;
        if request.event == AnnounceEvent::Stopped {
            self.leave(request.swarm, request.peer_id, asker.place);
            answer.counts = self.scrape(request.swarm);
            return;
        }
        let reachable = !matches!(asker.place, Place::Native(address) if address.port() == 0);
        let slot = match self.find(request.swarm) {
            Some(slot) => slot,
            None if reachable && self.has_room() => {
                let due = tenths(now).saturating_add(span_tenths(self.config.peer_ttl)) + 1;
                self.create(due, request.swarm)
            }
            None => return,
        };
        let (seed, max_peers) = (self.seed, self.config.max_peers);
        let Some(swarm) = self.swarms.get_mut(slot as usize) else {
            return;
        };
        let len = swarm.len();
        let kept = reachable
            .then(|| swarm.put(asker, tenths(now), max_peers, seed))
            .flatten();
        if let Some(before) = kept {
            answer.replaced = before.connection;
            let completed = request.event == AnnounceEvent::Completed && request.is_seed() && !before.was_seed;
            swarm.counts.downloaded = swarm.counts.downloaded.saturating_add(completed.into());
        }
        answer.counts = swarm.counts;
        answer.both_kinds = swarm.has_both_kinds();
        swarm.sample(asker, rng, answer);
        let after = swarm.len();
        self.recount(len, after);
    }

    /// Forgets a peer that is reached there; not one of the same id that is elsewhere by now.
    pub fn leave(&mut self, swarm: SwarmKey, peer_id: PeerId, place: Place) {
        let slot = self.find(swarm);
        if let Some(swarm) = slot.and_then(|slot| self.swarms.get_mut(slot as usize)) {
            let before = swarm.len();
            swarm.leave(peer_id, place, self.seed);
            let after = swarm.len();
            self.recount(before, after);
        }
    }

    /// The connection of a web peer, to hand an answer to.
    pub fn connection(&self, swarm: SwarmKey, peer_id: PeerId) -> Option<u64> {
        let slot = self.find(swarm)?;
        self.swarms.get(slot as usize)?.connection(peer_id, self.seed)
    }

    /// The counts of a swarm; zeros if it is not known.
    pub fn scrape(&self, swarm: SwarmKey) -> ScrapeCounts {
        let swarm = self.find(swarm).and_then(|slot| self.swarms.get(slot as usize));
        swarm.map_or_else(ScrapeCounts::default, |swarm| swarm.counts)
    }

    /// The swarms that have peers, with their counts, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (SwarmKey, ScrapeCounts)> {
        let populated = self.swarms.iter().filter(|swarm| swarm.len() > 0);
        populated.map(|swarm| (swarm.key, swarm.counts))
    }

    /// How many swarms have peers.
    pub const fn swarms(&self) -> usize {
        self.populated
    }

    /// How many peers there are; one that is reached in two ways counts twice.
    pub const fn peers(&self) -> usize {
        self.records
    }

    /// Forgets the peers that were silent for too long. To be called about once a second.
    pub fn expire(&mut self, now: Time) {
        let now = tenths(now);
        let ttl = span_tenths(self.config.peer_ttl);
        while let Some(entry) = self.due.first_entry().filter(|entry| *entry.key() <= now) {
            for slot in entry.remove() {
                self.look_at(slot, now, ttl);
            }
        }
    }

    /// Looks through one swarm, and says when to look again.
    fn look_at(&mut self, slot: u32, now: u32, ttl: u32) {
        let Some(swarm) = self.swarms.get_mut(slot as usize) else {
            return;
        };
        let before = swarm.len();
        let oldest = swarm.expire(now.saturating_sub(ttl), self.seed);
        let after = swarm.len();
        let next = match oldest {
            Some(oldest) => Some(oldest.saturating_add(ttl)),
            None if swarm.deserted || swarm.counts.downloaded == 0 => None,
            None => Some(now.saturating_add(REMEMBERED)),
        };
        swarm.deserted = oldest.is_none();
        self.recount(before, after);
        match next {
            // A little later than due, so that one look forgets many.
            Some(next) => self.due.entry(next.max(now + 5) + 1).or_default().push(slot),
            None => self.destroy(slot),
        }
    }

    fn find(&self, key: SwarmKey) -> Option<u32> {
        let is_it = |slot: u32| self.swarms[slot as usize].key == key;
        self.index.find(hash(&key.0, self.seed), is_it)
    }

    fn has_room(&self) -> bool {
        self.swarms.len() - self.free.len() < self.config.max_swarms
    }

    /// Makes a swarm that is to be looked at when it is `due`.
    fn create(&mut self, due: u32, key: SwarmKey) -> u32 {
        let slot = match self.free.pop() {
            Some(slot) => {
                self.swarms[slot as usize] = Swarm::new(key);
                slot
            }
            None => {
                self.swarms.push(Swarm::new(key));
                self.swarms.len() as u32 - 1
            }
        };
        let (swarms, seed) = (&self.swarms, self.seed);
        let hash_of = |slot: u32| hash(&swarms[slot as usize].key.0, seed);
        self.index.insert(hash_of(slot), slot, hash_of);
        self.due.entry(due).or_default().push(slot);
        slot
    }

    fn destroy(&mut self, slot: u32) {
        let (swarms, seed) = (&self.swarms, self.seed);
        let hash_of = |slot: u32| hash(&swarms[slot as usize].key.0, seed);
        self.index.remove(hash_of(slot), slot, hash_of);
        if let Some(swarm) = self.swarms.get_mut(slot as usize) {
            *swarm = Swarm::new(swarm.key);
        }
        self.free.push(slot);
    }

    const fn recount(&mut self, before: usize, after: usize) {
        self.records = self.records + after - before;
        self.populated = self.populated + (after > 0) as usize - (before > 0) as usize;
    }
}

impl Answer {
    fn clear(&mut self) {
        self.counts = ScrapeCounts::default();
        self.addresses.clear();
        self.ids.clear();
        self.web.clear();
        self.both_kinds = false;
        self.replaced = None;
    }
}

/// A moment in tenths of a second: 32 bits last for 13 years from the shell's origin.
fn tenths(time: Time) -> u32 {
    u32::try_from(time.as_micros() / 100_000).unwrap_or(u32::MAX / 2)
}

fn span_tenths(span: Span) -> u32 {
    u32::try_from(span.as_micros() / 100_000).unwrap_or(u32::MAX / 2)
}

#[cfg(test)]
mod tests;
