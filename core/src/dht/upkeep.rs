//! What time alone brings: joining, keeping the tables fresh, forgetting.

use core::net::{IpAddr, SocketAddr};

use super::ask::MAX_LOOKUPS;
use super::lookup::{Goal, Lookup};
use super::table::K;
use super::{Action, Dht, NodeId};
use crate::time::{Span, Time};

/// How often the tables are looked after. One questionable node is asked each time.
const TICK: Span = Span::from_secs(5);

/// How often old announces are looked for.
const SWEEP: Span = Span::from_secs(60);

/// The wait before joining is tried again; it doubles up to [`LONGEST`].
const FIRST: Span = Span::from_secs(5);
const LONGEST: Span = Span::from_secs(300);

/// Nodes of a table from which on a further contact is only asked whether it is there.
const ENOUGH: usize = 4 * K;

/// When what is due.
#[derive(Debug, Default)]
pub(super) struct Upkeep {
    pub(super) next: Time,
    sweep: Time,
}

/// How joining one network goes.
#[derive(Debug)]
pub(super) struct Join {
    next: Time,
    wait: Span,
}

impl Default for Join {
    fn default() -> Self {
        Self {
            next: Time::ZERO,
            wait: FIRST,
        }
    }
}

impl Dht {
    /// Does what is due.
    pub(super) fn look_after(&mut self) {
        if self.upkeep.next > self.now {
            return;
        }
        self.upkeep.next = self.now + TICK;
        if self.upkeep.sweep <= self.now {
            self.upkeep.sweep = self.now + SWEEP;
            self.store.expire(self.now);
        }
        let joins = [false, true].map(|v6| self.rejoin(v6));
        if joins.contains(&true) {
            self.act(Action::Bootstrap);
        }
        for v6 in [false, true] {
            self.refresh(v6);
        }
    }

    /// Looks for the nodes around ourselves while we know few; true if others should be named.
    fn rejoin(&mut self, v6: bool) -> bool {
        let now = self.now;
        let Some(half) = self.half_mut(v6) else { return false };
        if half.join.next > now {
            return false;
        }
        if half.table.len() >= K {
            half.join = Join {
                next: now + FIRST,
                ..Join::default()
            };
            return false;
        }
        half.join.next = now + half.join.wait;
        half.join.wait = Span::from_micros(half.join.wait.as_micros() * 2).min(LONGEST);
        let known = half.table.len() > 0;
        if known {
            self.look_around(v6);
        }
        true
    }

    /// Looks for the nodes around ourselves; the lookup.
    fn look_around(&mut self, v6: bool) -> Option<u64> {
        let id = self.half(v6)?.id;
        let key = match self.joining(v6) {
            Some(key) => key,
            None => self.begin(id, v6, Goal::Nodes)?,
        };
        self.advance(key);
        Some(key)
    }

    /// The lookup for the nodes around ourselves, while it runs.
    fn joining(&self, v6: bool) -> Option<u64> {
        let id = self.half(v6)?.id;
        let around = |lookup: &Lookup| lookup.goal == Goal::Nodes && lookup.v6 == v6 && lookup.target == id;
        self.lookups
            .iter()
            .find(|(_, lookup)| around(lookup))
            .map(|(key, _)| *key)
    }

    /// Whether a network can be searched: we know nodes, and not only those that we began with.
    pub(super) fn is_ready(&self, v6: bool) -> bool {
        self.half(v6).is_some_and(|half| half.table.len() > 0) && self.joining(v6).is_none()
    }

    fn refresh(&mut self, v6: bool) {
        let (now, busy) = (self.now, self.lookups.len() >= MAX_LOOKUPS);
        let Some(half) = self.halves[usize::from(v6)].as_mut() else {
            return;
        };
        let questionable = half.table.questionable(now);
        let stale = if busy {
            None
        } else {
            half.table.stale(now, &mut self.rng)
        };
        let known = half.table.len() > 0;
        if let Some(node) = questionable {
            self.ping(node.address, Some(node.id));
        }
        if let Some(target) = stale.filter(|_| known)
            && let Some(key) = self.begin(target, v6, Goal::Nodes)
        {
            self.advance(key);
        }
    }

    /// Addresses where nodes may be: the way into a network that we know little of.
    pub(super) fn contacts(&mut self, addresses: &[SocketAddr]) {
        for v6 in [false, true] {
            let mut seeds = addresses
                .iter()
                .filter(|address| address.is_ipv6() == v6 && self.accepts(**address))
                .copied()
                .peekable();
            if seeds.peek().is_none() {
                continue;
            }
            let seeds: alloc::vec::Vec<_> = seeds.collect();
            if self.half(v6).is_some_and(|half| half.table.len() >= ENOUGH) {
                seeds.into_iter().take(K).for_each(|seed| self.ping(seed, None));
                continue;
            }
            self.look_from(v6, seeds);
        }
    }

    /// Nodes of the other network that an answer named: taken while we know too few there.
    pub(super) fn meet(&mut self, addresses: &[SocketAddr]) {
        let few = |address: &SocketAddr| self.half(address.is_ipv6()).is_some_and(|half| half.table.len() < K);
        if addresses.first().is_some_and(few) {
            self.contacts(addresses);
        }
    }

    fn look_from(&mut self, v6: bool, seeds: alloc::vec::Vec<SocketAddr>) {
        let Some(id) = self.half(v6).map(|half| half.id) else {
            return;
        };
        let key = self.joining(v6).or_else(|| self.begin(id, v6, Goal::Nodes));
        if let Some(key) = key
            && let Some(lookup) = self.lookups.get_mut(&key)
        {
            seeds.into_iter().for_each(|seed| lookup.add_seed(seed));
            self.advance(key);
        }
    }

    /// A node told us our address. When enough agree, our id follows it (BEP 42).
    pub(super) fn vote(&mut self, voter: SocketAddr, ip: IpAddr) {
        let v6 = voter.is_ipv6();
        if ip.to_canonical().is_ipv6() != v6 {
            return;
        }
        let now = self.now;
        let Some(half) = self.halves[usize::from(v6)].as_mut() else {
            return;
        };
        let Some(elected) = half.votes.vote(voter, ip) else {
            return;
        };
        if !half.id.fits(elected) {
            half.id = NodeId::for_address(elected, &mut self.rng);
            half.table.rebase(half.id, now);
            self.look_around(v6);
        }
        self.act(Action::Address(elected));
    }
}
