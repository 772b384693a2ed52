//! The way to a point: ask the nearest nodes known for nearer ones, until the eight nearest have answered (BEP 5).
//!
//! Invariant: no node is asked twice, of one public address one, and never more than [`ALPHA`] at a time that are not overdue. What is
//! known is bounded by [`MAX_CANDIDATES`], so that nodes which answer with ever new ones cannot make it endless: each answer must
//! bring something nearer than eight that have answered.

use alloc::vec::Vec;
use core::net::SocketAddr;

use super::id::NodeId;
use super::krpc::Contact;
use super::table::{K, same_place};
use crate::map::Set;
use crate::time::{Span, Time};

/// Questions under way at a time.
const ALPHA: usize = 4;

/// A question without an answer for so long lets another one be asked.
const OVERDUE: Span = Span::from_millis(1_000);

/// Candidates that are remembered, the nearest.
const MAX_CANDIDATES: usize = 64;

/// Peers that are taken from one lookup.
const MAX_FOUND: usize = 1_000;

/// One way to a point, in one family.
#[derive(Debug)]
pub(crate) struct Lookup {
    pub(crate) target: NodeId,
    pub(crate) v6: bool,
    pub(crate) goal: Goal,
    /// Addresses without ids, to be asked before anything else.
    seeds: Vec<SocketAddr>,
    /// Nearest first.
    candidates: Vec<Candidate>,
    /// Seeds that have been asked and have not answered.
    asked_seeds: Vec<SocketAddr>,
    found: Set<SocketAddr>,
}

/// What a lookup is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    /// To know the nodes around a point.
    Nodes,
    /// To find the peers of the swarm, and to announce at this port if there is one.
    Peers(Option<u16>),
}

#[derive(Debug)]
struct Candidate {
    contact: Contact,
    state: State,
}

#[derive(Clone, Debug, PartialEq)]
enum State {
    Fresh,
    Asked(Time),
    Answered(Option<Vec<u8>>),
    Failed,
}

impl Lookup {
    /// A lookup that begins with the nodes known and with addresses whose ids are not.
    pub(crate) fn new(target: NodeId, v6: bool, goal: Goal) -> Self {
        Self {
            target,
            v6,
            goal,
            seeds: Vec::new(),
            candidates: Vec::new(),
            asked_seeds: Vec::new(),
            found: Set::new(),
        }
    }

    /// Adds an address whose node is not known.
    pub(crate) fn add_seed(&mut self, address: SocketAddr) {
        if !self.seeds.contains(&address) && self.seeds.len() < MAX_CANDIDATES {
            self.seeds.push(address);
        }
    }

    /// Adds a node; nothing changes if it is there, or another one of its address.
    pub(crate) fn add(&mut self, contact: Contact) {
        let known =
            |other: &Candidate| other.contact.id == contact.id || same_place(other.contact.address, contact.address);
        if self.candidates.iter().any(known) {
            return;
        }
        self.insert(contact, State::Fresh);
    }

    fn insert(&mut self, contact: Contact, state: State) {
        let distance = contact.id.distance(&self.target);
        let target = self.target;
        let at = self
            .candidates
            .partition_point(|other| other.contact.id.distance(&target) < distance);
        self.candidates.insert(at, Candidate { contact, state });
        if self.candidates.len() > MAX_CANDIDATES {
            let far = |other: &Candidate| !matches!(other.state, State::Asked(_));
            if let Some(at) = self.candidates.iter().rposition(far) {
                self.candidates.remove(at);
            }
        }
    }

    /// Whom to ask next: an address, and the id that is to answer if it is known.
    pub(crate) fn next(&mut self, now: Time) -> Option<(SocketAddr, Option<NodeId>)> {
        let pending = |other: &&Candidate| matches!(other.state, State::Asked(at) if now.since(at) < OVERDUE);
        let under_way = self.candidates.iter().filter(pending).count();
        if under_way >= ALPHA {
            return None;
        }
        if self.asked_seeds.len() < ALPHA
            && let Some(seed) = self.seeds.pop()
        {
            self.asked_seeds.push(seed);
            return Some((seed, None));
        }
        let next = self.nearest_mut().find(|candidate| candidate.state == State::Fresh)?;
        next.state = State::Asked(now);
        Some((next.contact.address, Some(next.contact.id)))
    }

    /// The nearest nodes that have not failed.
    fn nearest_mut(&mut self) -> impl Iterator<Item = &mut Candidate> {
        let alive = |candidate: &&mut Candidate| candidate.state != State::Failed;
        self.candidates.iter_mut().filter(alive).take(K)
    }

    fn nearest(&self) -> impl Iterator<Item = &Candidate> {
        let alive = |candidate: &&Candidate| candidate.state != State::Failed;
        self.candidates.iter().filter(alive).take(K)
    }

    /// A node has answered.
    pub(crate) fn answered(&mut self, contact: Contact, token: Option<Vec<u8>>) {
        self.asked_seeds.retain(|seed| *seed != contact.address);
        // A seed may have been named by others meanwhile.
        let known = |candidate: &&mut Candidate| candidate.contact == contact;
        match self.candidates.iter_mut().find(known) {
            Some(candidate) => candidate.state = State::Answered(token),
            None => self.insert(contact, State::Answered(token)),
        }
    }

    /// Nobody answered there in time, or somebody else did.
    pub(crate) fn failed(&mut self, address: SocketAddr) {
        let asked = |candidate: &&mut Candidate| {
            candidate.contact.address == address && matches!(candidate.state, State::Asked(_))
        };
        if let Some(candidate) = self.candidates.iter_mut().find(asked) {
            candidate.state = State::Failed;
        }
        self.asked_seeds.retain(|seed| *seed != address);
    }

    /// Peers of an answer; those that are new.
    pub(crate) fn found(&mut self, peers: impl IntoIterator<Item = SocketAddr>) -> Vec<SocketAddr> {
        let new = peers
            .into_iter()
            .filter(|peer| self.found.len() < MAX_FOUND && self.found.insert(*peer));
        new.collect()
    }

    /// How many peers were found.
    pub(crate) fn count(&self) -> usize {
        self.found.len()
    }

    /// Whether the eight nearest nodes have answered and no address without an id is left.
    pub(crate) fn is_done(&self) -> bool {
        self.seeds.is_empty()
            && self.asked_seeds.is_empty()
            && self
                .nearest()
                .all(|candidate| matches!(candidate.state, State::Answered(_)))
    }

    /// When a question becomes overdue, so that another may be asked.
    pub(crate) fn deadline(&self) -> Option<Time> {
        let asked = |candidate: &Candidate| match candidate.state {
            State::Asked(at) => Some(at + OVERDUE),
            _ => None,
        };
        let fresh = self.nearest().any(|candidate| candidate.state == State::Fresh);
        self.candidates.iter().filter_map(asked).filter(|_| fresh).min()
    }

    /// The nearest nodes that gave a token, with it.
    pub(crate) fn tokens(&self) -> Vec<(Contact, Vec<u8>)> {
        let with_token = |candidate: &Candidate| match &candidate.state {
            State::Answered(Some(token)) => Some((candidate.contact, token.clone())),
            _ => None,
        };
        self.nearest().filter_map(with_token).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    fn contact(byte: u8) -> Contact {
        Contact {
            id: NodeId([byte; 20]),
            address: SocketAddr::from(([60, 1, 1, byte], 1)),
        }
    }

    fn lookup() -> Lookup {
        Lookup::new(NodeId([0; 20]), false, Goal::Nodes)
    }

    #[test]
    fn the_nearest_are_asked_first_and_few_at_a_time() {
        let mut lookup = lookup();
        (1..=20).rev().for_each(|byte| lookup.add(contact(byte)));
        let asked: Vec<_> = core::iter::from_fn(|| lookup.next(Time::ZERO)).collect();
        let expected: Vec<_> = (1..=4)
            .map(|byte| (contact(byte).address, Some(contact(byte).id)))
            .collect();
        assert_eq!(asked, expected);
        assert_eq!(lookup.deadline(), Some(Time::ZERO + OVERDUE));
        assert!(
            lookup.next(Time::ZERO + OVERDUE).is_some(),
            "an overdue one counts no more"
        );
        assert!(!lookup.is_done());
    }

    #[test]
    fn it_is_done_when_the_eight_nearest_have_answered() {
        let mut lookup = lookup();
        (1..=12).for_each(|byte| lookup.add(contact(byte)));
        let mut asked = 0;
        while let Some((address, Some(id))) = lookup.next(Time::ZERO) {
            asked += 1;
            if id == contact(3).id {
                lookup.failed(address);
            } else {
                lookup.answered(Contact { id, address }, Some(alloc::vec![id.0[0]]));
            }
        }
        assert_eq!(asked, 9);
        assert!(lookup.is_done());
        let tokens: Vec<_> = lookup.tokens().iter().map(|(_, token)| token[0]).collect();
        assert_eq!(tokens, [1, 2, 4, 5, 6, 7, 8, 9]);
    }

    #[test]
    fn endless_answers_come_to_an_end() {
        let (mut lookup, mut rng) = (lookup(), Rng::new(2));
        lookup.add(contact(255));
        let mut asked = 0u32;
        while let Some((address, Some(id))) = lookup.next(Time::ZERO) {
            asked += 1;
            lookup.answered(Contact { id, address }, None);
            for n in 0..16 {
                // Always new nodes, none of them nearer than eight that answered once those are near.
                let bits = (asked as usize + 3).min(40);
                let id = NodeId([0; 20]).random_sharing(bits, &mut rng);
                let ip = core::net::Ipv4Addr::from(0x3000_0000 + asked * 16 + n);
                lookup.add(Contact {
                    id,
                    address: SocketAddr::new(ip.into(), 1),
                });
            }
            assert!(lookup.candidates.len() <= MAX_CANDIDATES);
        }
        assert!(lookup.is_done() && asked < 200, "{asked}");
    }

    #[test]
    fn addresses_without_ids_come_first_and_silence_ends_it() {
        let mut lookup = lookup();
        lookup.add_seed(contact(9).address);
        assert_eq!(lookup.next(Time::ZERO), Some((contact(9).address, None)));
        assert!(!lookup.is_done());
        lookup.failed(contact(9).address);
        assert!(lookup.is_done());
        assert_eq!(lookup.tokens(), []);
        lookup.add_seed(contact(8).address);
        assert!(lookup.next(Time::ZERO).is_some());
        lookup.add(contact(8));
        lookup.answered(contact(8), None);
        assert!(lookup.is_done(), "named by another before it answered");
    }

    #[test]
    fn peers_are_told_once() {
        let mut lookup = lookup();
        let peer = contact(1).address;
        assert_eq!(lookup.found([peer, peer]), [peer]);
        assert_eq!(lookup.found([peer]), []);
    }
}
