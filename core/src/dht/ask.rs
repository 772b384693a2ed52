//! What we ask of others: questions, their answers, and what follows when none comes.

use alloc::vec::Vec;
use core::net::SocketAddr;

use super::id::NodeId;
use super::krpc::{Announce, Body, Contact, MAX_VALUES, Message, Query, Response, Want};
use super::lookup::{Goal, Lookup};
use super::table::K;
use super::{Action, Dht, TIMEOUT};
use crate::key::SwarmKey;
use crate::time::Time;

/// Questions that wait for an answer at a time. Past it none is asked.
const MAX_PENDING: usize = 1_024;

/// Lookups at a time.
pub(super) const MAX_LOOKUPS: usize = 24;

/// A question that waits for an answer.
#[derive(Debug)]
pub(super) struct Pending {
    to: SocketAddr,
    /// Who is to answer, where that is known.
    id: Option<NodeId>,
    /// The lookup that it belongs to.
    lookup: Option<u64>,
}

impl Dht {
    /// Asks a node whether it is there.
    pub(super) fn ping(&mut self, to: SocketAddr, id: Option<NodeId>) {
        self.ask((to, id), None, Query::Ping);
    }

    fn ask(&mut self, (to, id): (SocketAddr, Option<NodeId>), lookup: Option<u64>, query: Query) -> bool {
        let Some(own) = self.half(to.is_ipv6()).map(|half| half.id) else {
            return false;
        };
        if self.pending.len() >= MAX_PENDING || lookup.is_none() && self.pending.values().any(|asked| asked.to == to) {
            return false;
        }
        let transaction = loop {
            let [a, b, c, d, ..] = self.secrets.next();
            let number = u32::from_be_bytes([a, b, c, d]);
            if !self.pending.contains_key(&number) {
                break number;
            }
        };
        self.pending.insert(transaction, Pending { to, id, lookup });
        self.ends.push_back((self.now + TIMEOUT, transaction));
        let message = Message {
            transaction: transaction.to_be_bytes().to_vec(),
            body: Body::Query(own, query),
            read_only: self.config.read_only,
            ip: None,
        };
        self.reach.speak(to, self.now);
        self.act(Action::Send(to, message.encode()));
        true
    }

    /// Begins a lookup from the nodes nearest to the point.
    pub(super) fn begin(&mut self, target: NodeId, v6: bool, goal: Goal) -> Option<u64> {
        let nearest = self.half(v6)?.table.closest(&target, 2 * K);
        let mut lookup = Lookup::new(target, v6, goal);
        nearest.into_iter().for_each(|node| lookup.add(node));
        self.next_lookup += 1;
        let key = self.next_lookup;
        self.lookups.insert(key, lookup);
        Some(key)
    }

    /// Asks what is to be asked next in a lookup, and ends it when it is done.
    pub(super) fn advance(&mut self, key: u64) {
        loop {
            let both = self.wants_both();
            let Some(lookup) = self.lookups.get_mut(&key) else {
                return;
            };
            let Some(next) = lookup.next(self.now) else { break };
            let want = if both {
                Want { v4: true, v6: true }
            } else {
                Want::default()
            };
            let query = match lookup.goal {
                Goal::Nodes => Query::FindNode(lookup.target, want),
                Goal::Peers(_) => Query::GetPeers(SwarmKey(lookup.target.0), want),
            };
            if !self.ask(next, Some(key), query)
                && let Some(lookup) = self.lookups.get_mut(&key)
            {
                lookup.failed(next.0);
            }
        }
        if self.lookups.get(&key).is_some_and(Lookup::is_done)
            && let Some(lookup) = self.lookups.remove(&key)
        {
            self.finish(&lookup);
        }
    }

    /// Whether answers are to name nodes of both networks: while we know too few of one (BEP 32).
    fn wants_both(&self) -> bool {
        let few = |half: &Option<super::Half>| half.as_ref().map(|half| half.table.len() < K);
        matches!(self.halves.each_ref().map(few), [Some(v4), Some(v6)] if v4 || v6)
    }

    fn finish(&mut self, lookup: &Lookup) {
        let Goal::Peers(port) = lookup.goal else { return };
        self.searches += 1;
        let swarm = SwarmKey(lookup.target.0);
        let mut announced = 0;
        if let Some(port) = port {
            for (contact, token) in lookup.tokens() {
                let query = Query::Announce(Announce {
                    swarm,
                    port: (!self.config.implied_port).then_some(port),
                    token,
                });
                // As if it belonged to a lookup: one that is over.
                announced += usize::from(self.ask((contact.address, Some(contact.id)), Some(0), query));
            }
        }
        self.act(Action::Searched {
            swarm,
            v6: lookup.v6,
            peers: lookup.count(),
            announced,
        });
    }

    /// An answer or a refusal came.
    pub(super) fn answer(&mut self, from: SocketAddr, message: Message) {
        let Ok(transaction) = <[u8; 4]>::try_from(message.transaction.as_slice()) else {
            return;
        };
        let transaction = u32::from_be_bytes(transaction);
        // Whoever else guesses a number of ours answers nothing by it.
        if self.pending.get(&transaction).is_none_or(|pending| pending.to != from) {
            return;
        }
        let Some(pending) = self.pending.remove(&transaction) else {
            return;
        };
        match message.body {
            Body::Response(response) if pending.id.is_none_or(|id| id == response.id) => {
                if let Some(ip) = message.ip {
                    self.vote(from, ip.ip());
                }
                self.responded(from, pending.lookup, response);
            }
            Body::Response(_) => {
                if let Some(half) = self.half_mut(from.is_ipv6()) {
                    half.table.remove(from);
                }
                self.lost(from, pending.lookup);
            }
            _ => self.lost(from, pending.lookup),
        }
    }

    fn responded(&mut self, from: SocketAddr, key: Option<u64>, response: Response) {
        let (now, contact) = (
            self.now,
            Contact {
                id: response.id,
                address: from,
            },
        );
        if let Some(half) = self.half_mut(from.is_ipv6()) {
            half.table.answered(contact, now);
        }
        let Some(key) = key.filter(|key| self.lookups.contains_key(key)) else {
            return;
        };
        let own = self.half(from.is_ipv6()).map(|half| half.id);
        let (near, other): (Vec<_>, Vec<_>) = response
            .nodes
            .into_iter()
            .filter(|node| self.accepts(node.address) && Some(node.id) != own)
            .partition(|node| node.address.is_ipv6() == from.is_ipv6());
        let peers: Vec<_> = response.values.into_iter().filter(|peer| self.accepts(*peer)).collect();
        let Some(lookup) = self.lookups.get_mut(&key) else {
            return;
        };
        lookup.answered(contact, response.token);
        near.into_iter().for_each(|node| lookup.add(node));
        if matches!(lookup.goal, Goal::Peers(_)) {
            let (swarm, new) = (SwarmKey(lookup.target.0), lookup.found(peers));
            if !new.is_empty() {
                self.act(Action::Found(swarm, new));
            }
        }
        self.advance(key);
        let other: Vec<_> = other.into_iter().map(|node| node.address).collect();
        self.meet(&other);
    }

    fn lost(&mut self, address: SocketAddr, key: Option<u64>) {
        let Some(key) = key else { return };
        if let Some(lookup) = self.lookups.get_mut(&key) {
            lookup.failed(address);
            self.advance(key);
        }
    }

    /// Gives up what was not answered in time, and goes on with what waits for others.
    pub(super) fn expire(&mut self) {
        while let Some(&(at, transaction)) = self.ends.front() {
            if at > self.now {
                break;
            }
            self.ends.pop_front();
            if let Some(pending) = self.pending.remove(&transaction) {
                if let Some(half) = self.half_mut(pending.to.is_ipv6()) {
                    half.table.failed(pending.to);
                }
                self.lost(pending.to, pending.lookup);
            }
        }
        let overdue = |lookup: &Lookup, now: Time| lookup.deadline().is_some_and(|at| at <= now);
        let due: Vec<u64> = self
            .lookups
            .iter()
            .filter(|(_, lookup)| overdue(lookup, self.now))
            .map(|(key, _)| *key)
            .collect();
        due.into_iter().for_each(|key| self.advance(key));
    }

    /// Begins searches that wait, in every network that we have joined.
    pub(super) fn start_searches(&mut self) {
        while self.lookups.len() < MAX_LOOKUPS && !self.waiting.is_empty() {
            let ready = [false, true].map(|v6| self.is_ready(v6));
            if ready == [false, false] {
                return;
            }
            let Some((swarm, port)) = self.waiting.pop_front() else {
                return;
            };
            for v6 in [false, true] {
                let searched = |lookup: &Lookup| {
                    matches!(lookup.goal, Goal::Peers(_)) && lookup.target == swarm.into() && lookup.v6 == v6
                };
                if ready[usize::from(v6)]
                    && !self.lookups.values().any(searched)
                    && let Some(key) = self.begin(swarm.into(), v6, Goal::Peers(port))
                {
                    self.find_here(swarm, v6, key);
                    self.advance(key);
                }
            }
        }
    }

    /// What others have announced to ourselves is found first.
    fn find_here(&mut self, swarm: SwarmKey, v6: bool, key: u64) {
        let known = self.store.peers(swarm, v6, MAX_VALUES, &mut self.rng);
        let Some(lookup) = self.lookups.get_mut(&key) else {
            return;
        };
        let new = lookup.found(known);
        if !new.is_empty() {
            self.act(Action::Found(swarm, new));
        }
    }
}
