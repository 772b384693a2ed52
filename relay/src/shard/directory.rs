//! Which torrent an info-hash names, for every thread: an inbound handshake is read before its shard is known.
//!
//! Invariant: a torrent is here from the moment it is added until it is removed, under each of its swarms (a hybrid has
//! two). A torrent's number tells its shard: `number % shards`. Cost: one look-up behind a lock that is hardly ever written.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use tombolo_core::event::Torrent;
use tombolo_core::key::SwarmKey;

/// All torrents of all shards by their swarms.
#[derive(Debug, Default)]
pub struct Directory {
    swarms: RwLock<HashMap<SwarmKey, Torrent>>,
}

impl Directory {
    /// The torrent traded in a swarm.
    pub fn find(&self, swarm: SwarmKey) -> Option<Torrent> {
        self.swarms
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&swarm)
            .copied()
    }

    /// Enters a torrent, if none of its swarms has another one; else that one is given.
    pub(crate) fn claim(&self, swarms: &[SwarmKey], torrent: Torrent) -> Result<(), Torrent> {
        let mut table = self.swarms.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(other) = swarms.iter().find_map(|swarm| table.get(swarm)) {
            return Err(*other);
        }
        table.extend(swarms.iter().map(|swarm| (*swarm, torrent)));
        Ok(())
    }

    /// Enters a further swarm of a torrent, unless it has another one.
    pub(crate) fn alias(&self, swarm: SwarmKey, torrent: Torrent) {
        self.swarms
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(swarm)
            .or_insert(torrent);
    }

    /// Takes a torrent out.
    pub(crate) fn remove(&self, torrent: Torrent) {
        self.swarms
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|_, other| *other != torrent);
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
        directory.alias(v2, torrent);
        assert_eq!(directory.find(v2), Some(torrent));
        assert_eq!(directory.claim(&[SwarmKey([3; 20]), v2], Torrent(8)), Err(torrent));
        assert_eq!(directory.find(SwarmKey([3; 20])), None);
        directory.remove(torrent);
        assert_eq!((directory.find(v1), directory.find(v2)), (None, None));
    }
}
