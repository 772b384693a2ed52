//! Which torrent an info-hash names, for every thread: an inbound handshake is read before its shard is known.
//!
//! Invariant: a torrent is here from the moment it is added until it is removed, under each of its swarms (a hybrid has
//! two). A torrent's number tells its shard: `number % shards`. Cost: one look-up behind a lock that is hardly ever written.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use tombolo_core::event::Torrent;
use tombolo_core::key::SwarmKey;
use tombolo_core::mse::Alias;

/// All torrents of all shards by their swarms.
#[derive(Debug, Default)]
pub struct Directory {
    swarms: RwLock<HashMap<SwarmKey, Entry>>,
    /// What peers that hide their handshake call them.
    aliases: RwLock<HashMap<Alias, SwarmKey>>,
}

/// What a swarm is of.
#[derive(Clone, Copy, Debug)]
struct Entry {
    torrent: Torrent,
    /// The swarm of its v2 info-hash, where it is a hybrid.
    v2: Option<SwarmKey>,
}

impl Directory {
    /// The torrent traded in a swarm.
    pub fn find(&self, swarm: SwarmKey) -> Option<Torrent> {
        self.swarms
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&swarm)
            .map(|entry| entry.torrent)
    }

    /// For a swarm that is here: the one of its v2 info-hash, if it is a hybrid.
    pub(crate) fn v2(&self, swarm: SwarmKey) -> Option<Option<SwarmKey>> {
        let table = self.swarms.read().unwrap_or_else(PoisonError::into_inner);
        table.get(&swarm).map(|entry| entry.v2)
    }

    /// The swarm with that alias.
    pub fn named(&self, alias: Alias) -> Option<SwarmKey> {
        self.aliases
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&alias)
            .copied()
    }

    fn name(&self, swarms: &[SwarmKey]) {
        let aliases = swarms.iter().map(|swarm| (Alias::of(*swarm), *swarm));
        self.aliases
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(aliases);
    }

    /// Enters a torrent, if none of its swarms has another one; else that one is given.
    pub(crate) fn claim(&self, swarms: &[SwarmKey], torrent: Torrent) -> Result<(), Torrent> {
        let mut table = self.swarms.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(other) = swarms.iter().find_map(|swarm| table.get(swarm)) {
            return Err(other.torrent);
        }
        let v2 = second(swarms);
        table.extend(swarms.iter().map(|swarm| (*swarm, Entry { torrent, v2 })));
        drop(table);
        self.name(swarms);
        Ok(())
    }

    /// The swarms of a torrent are known in full now: enters those that no other torrent has.
    pub(crate) fn alias(&self, swarms: &[SwarmKey], torrent: Torrent) {
        let mut table = self.swarms.write().unwrap_or_else(PoisonError::into_inner);
        let v2 = second(swarms);
        for swarm in swarms {
            let entry = table.entry(*swarm).or_insert(Entry { torrent, v2 });
            if entry.torrent == torrent {
                entry.v2 = v2;
            }
        }
        drop(table);
        self.name(swarms);
    }

    /// Takes a torrent out.
    pub(crate) fn remove(&self, torrent: Torrent) {
        let mut table = self.swarms.write().unwrap_or_else(PoisonError::into_inner);
        table.retain(|_, entry| entry.torrent != torrent);
        let mut aliases = self.aliases.write().unwrap_or_else(PoisonError::into_inner);
        aliases.retain(|_, swarm| table.contains_key(swarm));
    }
}

/// The swarm of the v2 info-hash of a hybrid: its second.
const fn second(swarms: &[SwarmKey]) -> Option<SwarmKey> {
    match swarms {
        [_, v2] => Some(*v2),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hybrid_is_one_torrent_under_two_names() {
        let directory = Directory::default();
        let (v1, v2, torrent) = (SwarmKey([1; 20]), SwarmKey([2; 20]), Torrent(7));
        assert_eq!(directory.claim(&[v1], torrent), Ok(()));
        assert_eq!((directory.v2(v1), directory.v2(v2)), (Some(None), None));
        directory.alias(&[v1, v2], torrent);
        assert_eq!(directory.find(v2), Some(torrent));
        assert_eq!(directory.v2(v1), Some(Some(v2)));
        assert_eq!(directory.claim(&[SwarmKey([3; 20]), v2], Torrent(8)), Err(torrent));
        assert_eq!(directory.find(SwarmKey([3; 20])), None);
        assert_eq!(directory.named(Alias::of(v2)), Some(v2));
        directory.remove(torrent);
        assert_eq!((directory.find(v1), directory.find(v2)), (None, None));
        assert_eq!(directory.named(Alias::of(v1)), None);
    }
}
