//! The peers that others have announced to us (BEP 5).
//!
//! Bounds, whatever is announced: [`MAX_SWARMS`] swarms, [`MAX_OF_SWARM`] peers of each, [`MAX_PEERS`] in all (about 3 MB), and
//! [`MAX_OF_ADDRESS`] of one address. A peer is forgotten 30 minutes after it was last announced. Announcing is O(peers of the swarm).

use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use crate::key::SwarmKey;
use crate::map::Map;
use crate::rng::Rng;
use crate::time::{Span, Time};

/// How long an announce counts: twice as long as clients wait between two.
const LIFE: Span = Span::from_secs(30 * 60);

const MAX_SWARMS: usize = 4_000;
const MAX_PEERS: usize = 50_000;
const MAX_OF_SWARM: usize = 500;
/// One machine may well seed many torrents, but not fill the store.
const MAX_OF_ADDRESS: u32 = 200;

/// The peers that others have announced.
#[derive(Debug, Default)]
pub(crate) struct Store {
    swarms: Map<SwarmKey, Vec<Announced>>,
    addresses: Map<IpAddr, u32>,
    peers: usize,
}

#[derive(Clone, Copy, Debug)]
struct Announced {
    address: SocketAddr,
    at: Time,
}

impl Store {
    /// Remembers a peer; false if there is no room for it.
    pub(crate) fn add(&mut self, swarm: SwarmKey, address: SocketAddr, now: Time) -> bool {
        if let Some(peers) = self.swarms.get_mut(&swarm)
            && let Some(known) = peers.iter_mut().find(|peer| peer.address == address)
        {
            known.at = now;
            return true;
        }
        let of_address = self.addresses.get(&address.ip()).copied().unwrap_or(0);
        let new_swarm = !self.swarms.contains_key(&swarm);
        if of_address >= MAX_OF_ADDRESS || self.peers >= MAX_PEERS || new_swarm && self.swarms.len() >= MAX_SWARMS {
            return false;
        }
        let peers = self.swarms.get_or_insert_with(swarm, Vec::new);
        let displaced = (peers.len() >= MAX_OF_SWARM).then(|| peers.remove(0));
        peers.push(Announced { address, at: now });
        self.peers += 1;
        self.addresses.insert(address.ip(), of_address + 1);
        displaced.into_iter().for_each(|peer| self.count_out(peer));
        true
    }

    fn count_out(&mut self, peer: Announced) {
        self.peers -= 1;
        let ip = peer.address.ip();
        if let Some(count) = self.addresses.get_mut(&ip) {
            *count -= 1;
            if *count == 0 {
                self.addresses.remove(&ip);
            }
        }
    }

    /// Up to `count` peers of a swarm in one family, chosen at random.
    pub(crate) fn peers(&self, swarm: SwarmKey, v6: bool, count: usize, rng: &mut Rng) -> Vec<SocketAddr> {
        let known = self.swarms.get(&swarm).map_or(&[][..], Vec::as_slice);
        let mut peers: Vec<_> = known
            .iter()
            .map(|peer| peer.address)
            .filter(|address| address.is_ipv6() == v6)
            .collect();
        if peers.len() > count {
            rng.shuffle(&mut peers);
            peers.truncate(count);
        }
        peers
    }

    /// Forgets what is too old.
    pub(crate) fn expire(&mut self, now: Time) {
        let mut gone = Vec::new();
        self.swarms.retain(|_, peers| {
            gone.extend(peers.extract_if(.., |peer| now.since(peer.at) >= LIFE));
            !peers.is_empty()
        });
        gone.into_iter().for_each(|peer| self.count_out(peer));
    }

    /// How many peers it holds.
    pub(crate) const fn len(&self) -> usize {
        self.peers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(ip: u32, port: u16) -> SocketAddr {
        SocketAddr::new(core::net::Ipv4Addr::from(0x3000_0000 + ip).into(), port)
    }

    fn swarm(n: u32) -> SwarmKey {
        let mut key = [0; 20];
        key[..4].copy_from_slice(&n.to_be_bytes());
        SwarmKey(key)
    }

    #[test]
    fn peers_are_kept_for_half_an_hour_after_their_last_announce() {
        let (mut store, mut rng) = (Store::default(), Rng::new(1));
        let at = |minutes: u64| Time::ZERO + Span::from_secs(minutes * 60);
        assert!(store.add(swarm(1), address(1, 1), at(0)));
        assert!(store.add(swarm(1), address(2, 1), at(0)));
        assert!(store.add(swarm(1), address(1, 1), at(20)));
        store.expire(at(31));
        assert_eq!(store.peers(swarm(1), false, 50, &mut rng), [address(1, 1)]);
        assert_eq!(store.peers(swarm(1), true, 50, &mut rng), []);
        store.expire(at(50));
        assert_eq!((store.len(), store.swarms.len(), store.addresses.len()), (0, 0, 0));
    }

    #[test]
    fn bounds_hold() {
        let (mut store, mut rng) = (Store::default(), Rng::new(1));
        for n in 0..1_000 {
            store.add(swarm(n), address(1, 1), Time::ZERO);
        }
        assert_eq!(store.len(), MAX_OF_ADDRESS as usize, "of one address");
        for n in 0..2_000 {
            assert!(store.add(swarm(7), address(n, 9), Time::ZERO) || n == 1);
        }
        assert_eq!(store.swarms.get(&swarm(7)).unwrap().len(), MAX_OF_SWARM);
        assert_eq!(store.peers(swarm(7), false, 50, &mut rng).len(), 50);
        for n in 0..100_000 {
            store.add(swarm(n), address(n / 50 + 9_000, 1), Time::ZERO);
        }
        assert!(store.swarms.len() <= MAX_SWARMS && store.len() <= MAX_PEERS);
        let counted: u32 = store.addresses.values().sum();
        assert_eq!(counted as usize, store.len());
        store.expire(Time::ZERO + LIFE);
        assert_eq!((store.len(), store.addresses.len()), (0, 0));
    }
}
