//! The routing table: the nodes we know, many near our own id and few far from it (BEP 5).
//!
//! Bucket `n` holds nodes that share exactly `n` bits with our id, the last bucket all that share more; it alone is split when it is
//! full. Invariants: only nodes that have answered us are in it, so that nobody gets in by a forged address; at most [`K`] in a bucket;
//! of one public address (IPv6: of one /64) at most one. At most 160 buckets; every operation is O(nodes), usually some hundred.

use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use super::id::NodeId;
use super::krpc::Contact;
use crate::address::is_local;
use crate::rng::Rng;
use crate::time::{Span, Time};

/// Nodes in a bucket, and nodes of an answer (BEP 5).
pub(crate) const K: usize = 8;

/// A node that said something in the last 15 minutes is good (BEP 5).
const GOOD: Span = Span::from_secs(15 * 60);

/// Questions in a row without an answer after which a node is bad.
const MAX_FAILURES: u8 = 2;

/// A bucket in which nothing changed for so long is refreshed (BEP 5).
const STALE: Span = Span::from_secs(15 * 60);

/// The routing table of one family.
#[derive(Debug)]
pub(crate) struct Table {
    own: NodeId,
    buckets: Vec<Bucket>,
}

#[derive(Debug)]
struct Bucket {
    live: Vec<Node>,
    /// Nodes that have answered and found no place, newest last.
    spare: Vec<Node>,
    changed: Time,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    contact: Contact,
    /// When it last answered or asked us.
    seen: Time,
    failures: u8,
}

impl Node {
    const fn is_bad(&self) -> bool {
        self.failures >= MAX_FAILURES
    }

    fn is_good(&self, now: Time) -> bool {
        !self.is_bad() && now.since(self.seen) <= GOOD
    }

    fn fits(&self) -> bool {
        self.contact.id.fits(self.contact.address.ip())
    }
}

impl Bucket {
    const fn new(now: Time) -> Self {
        Self {
            live: Vec::new(),
            spare: Vec::new(),
            changed: now,
        }
    }
}

impl Table {
    /// An empty table around our own id.
    pub(crate) fn new(own: NodeId, now: Time) -> Self {
        Self {
            own,
            buckets: alloc::vec![Bucket::new(now)],
        }
    }

    /// How many nodes it has.
    pub(crate) fn len(&self) -> usize {
        self.buckets.iter().map(|bucket| bucket.live.len()).sum()
    }

    /// A node has answered. It gets a place if there is one for it; a full bucket prefers good nodes to others, ids that fit their
    /// addresses (BEP 42) to others, and old nodes to new ones: who is long here will stay.
    pub(crate) fn answered(&mut self, contact: Contact, now: Time) {
        if contact.id == self.own || !self.takes(contact, now) {
            return;
        }
        let newcomer = Node {
            contact,
            seen: now,
            failures: 0,
        };
        loop {
            let at = self.bucket_of(&contact.id);
            let last = at + 1 == self.buckets.len();
            let Some(bucket) = self.buckets.get_mut(at) else { return };
            if let Some(known) = bucket.live.iter_mut().find(|node| node.contact == contact) {
                *known = newcomer;
                bucket.changed = now;
                return;
            }
            bucket.spare.retain(|node| node.contact.id != contact.id);
            if bucket.live.len() < K {
                bucket.live.push(newcomer);
                bucket.changed = now;
                return;
            }
            if !(last && self.split(now)) {
                return self.displace(at, newcomer, now);
            }
        }
    }

    /// Whether a node may have a place: an id keeps its address while it is good, an address its id.
    fn takes(&mut self, contact: Contact, now: Time) -> bool {
        let rival = |node: &Node| {
            node.contact != contact
                && (node.contact.id == contact.id || same_place(node.contact.address, contact.address))
        };
        // A node that has come back under a new id has proved to be at that very address.
        let replaced = |node: &Node| rival(node) && (node.contact.address == contact.address || !node.is_good(now));
        for bucket in &mut self.buckets {
            bucket.live.retain(|node| !replaced(node));
            bucket.spare.retain(|node| !replaced(node));
        }
        !self.buckets.iter().any(|bucket| bucket.live.iter().any(rival))
    }

    /// Puts a node into a full bucket in the place of a worse one, or among those that wait.
    fn displace(&mut self, at: usize, newcomer: Node, now: Time) {
        let Some(bucket) = self.buckets.get_mut(at) else { return };
        let bad = bucket.live.iter().position(Node::is_bad);
        let unfit = || bucket.live.iter().position(|node| newcomer.fits() && !node.fits());
        if let Some(place) = bad.or_else(unfit).and_then(|place| bucket.live.get_mut(place)) {
            *place = newcomer;
            bucket.changed = now;
            return;
        }
        if bucket.spare.len() == K {
            bucket.spare.remove(0);
        }
        bucket.spare.push(newcomer);
    }

    /// Splits the last bucket; false if it cannot be split further.
    fn split(&mut self, now: Time) -> bool {
        let bits = self.buckets.len();
        if bits >= 160 {
            return false;
        }
        let own = self.own;
        let Some(last) = self.buckets.last_mut() else {
            return false;
        };
        let mut next = Bucket::new(now);
        let nearer = |node: &mut Node| node.contact.id.shared_bits(&own) >= bits;
        next.live = last.live.extract_if(.., nearer).collect();
        next.spare = last.spare.extract_if(.., nearer).collect();
        self.buckets.push(next);
        true
    }

    /// A node asked us something. True: it is not here, and there is a place for it if it answers.
    pub(crate) fn asked(&mut self, contact: Contact, now: Time) -> bool {
        let at = self.bucket_of(&contact.id);
        let last = at + 1 == self.buckets.len();
        let Some(bucket) = self.buckets.get_mut(at) else {
            return false;
        };
        if let Some(known) = bucket.live.iter_mut().find(|node| node.contact.id == contact.id) {
            if known.contact == contact {
                known.seen = now;
            }
            return false;
        }
        contact.id != self.own && (bucket.live.len() < K || last || bucket.live.iter().any(Node::is_bad))
    }

    /// A node did not answer. A bad one goes when another can take its place.
    pub(crate) fn failed(&mut self, address: SocketAddr) {
        for bucket in &mut self.buckets {
            let Some(at) = bucket.live.iter().position(|node| node.contact.address == address) else {
                continue;
            };
            bucket.live[at].failures = bucket.live[at].failures.saturating_add(1);
            if bucket.live[at].is_bad()
                && let Some(spare) = bucket.spare.pop()
            {
                bucket.live[at] = spare;
            }
            return;
        }
    }

    /// The node is not who it was: it goes at once.
    pub(crate) fn remove(&mut self, address: SocketAddr) {
        for bucket in &mut self.buckets {
            bucket.live.retain(|node| node.contact.address != address);
            bucket.spare.retain(|node| node.contact.address != address);
        }
    }

    /// Up to `count` nodes that are not bad, nearest to `target` first.
    pub(crate) fn closest(&self, target: &NodeId, count: usize) -> Vec<Contact> {
        let mut nodes: Vec<_> = self.nodes().filter(|node| !node.is_bad()).collect();
        nodes.sort_unstable_by_key(|node| node.contact.id.distance(target));
        nodes.iter().take(count).map(|node| node.contact).collect()
    }

    /// Every node that is not bad.
    #[cfg(test)]
    pub(crate) fn contacts(&self) -> impl Iterator<Item = Contact> {
        self.nodes().filter(|node| !node.is_bad()).map(|node| node.contact)
    }

    /// The node of which nothing was heard for longest, if it is not good any more.
    pub(crate) fn questionable(&self, now: Time) -> Option<Contact> {
        let doubtful = self.nodes().filter(|node| !node.is_good(now));
        doubtful.min_by_key(|node| node.seen).map(|node| node.contact)
    }

    /// A point of a bucket in which nothing changed for long, to be looked for; it counts as changed from now on.
    pub(crate) fn stale(&mut self, now: Time, rng: &mut Rng) -> Option<NodeId> {
        let own = self.own;
        let stale = |bucket: &Bucket| now.since(bucket.changed) >= STALE;
        let at = self.buckets.iter().position(stale)?;
        self.buckets[at].changed = now;
        Some(own.random_sharing(at, rng))
    }

    /// The same nodes around another id of our own.
    pub(crate) fn rebase(&mut self, own: NodeId, now: Time) {
        let nodes: Vec<Node> = self.nodes().copied().collect();
        *self = Self::new(own, now);
        for node in nodes {
            self.answered(node.contact, node.seen);
        }
    }

    fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.buckets.iter().flat_map(|bucket| &bucket.live)
    }

    fn bucket_of(&self, id: &NodeId) -> usize {
        self.own.shared_bits(id).min(self.buckets.len() - 1)
    }
}

/// Whether two addresses are likely one machine's, or one owner's choice of many. Local ones may be shared.
pub(super) fn same_place(one: SocketAddr, other: SocketAddr) -> bool {
    if one == other {
        return true;
    }
    match (one.ip(), other.ip()) {
        (one, _) if is_local(one) => false,
        (IpAddr::V4(one), IpAddr::V4(other)) => one == other,
        (IpAddr::V6(one), IpAddr::V6(other)) => one.segments()[..4] == other.segments()[..4],
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u32) -> SocketAddr {
        SocketAddr::new(core::net::Ipv4Addr::from(0x2000_0000 + n).into(), 6881)
    }

    fn contact(id: NodeId, n: u32) -> Contact {
        Contact {
            id,
            address: address(n),
        }
    }

    fn table() -> (Table, Rng) {
        (Table::new(NodeId([0; 20]), Time::ZERO), Rng::new(1))
    }

    #[test]
    fn near_nodes_are_kept_and_of_far_ones_eight() {
        let (mut table, mut rng) = table();
        for n in 0..2_000 {
            let id = NodeId::random(&mut rng);
            table.answered(contact(id, n), Time::ZERO);
        }
        assert!(table.buckets.len() > 5);
        let sizes: Vec<_> = table.buckets.iter().map(|bucket| bucket.live.len()).collect();
        assert!(sizes.iter().all(|size| *size <= K), "{sizes:?}");
        for (bits, bucket) in table.buckets.iter().enumerate().take(table.buckets.len() - 1) {
            assert!(
                bucket
                    .live
                    .iter()
                    .all(|node| node.contact.id.shared_bits(&table.own) == bits)
            );
        }
        let target = NodeId([0; 20]);
        let closest = table.closest(&target, K);
        assert!(closest.is_sorted_by_key(|node| node.id.distance(&target)));
        assert_eq!(closest.len(), K);
    }

    /// A table whose first bucket is full, with a second one. The nodes of the first bucket.
    fn full() -> (Table, Rng, Vec<Contact>) {
        let (mut table, mut rng) = table();
        let far: Vec<_> = (0..8)
            .map(|n| contact(NodeId([0; 20]).random_sharing(0, &mut rng), n))
            .collect();
        far.iter().for_each(|node| table.answered(*node, Time::ZERO));
        table.answered(contact(NodeId([0; 20]).random_sharing(1, &mut rng), 99), Time::ZERO);
        assert_eq!((table.buckets.len(), table.len()), (2, 9));
        (table, rng, far)
    }

    #[test]
    fn a_newcomer_waits_until_a_node_is_bad() {
        let (mut table, mut rng, far) = full();
        let newcomer = contact(NodeId([0; 20]).random_sharing(0, &mut rng), 50);
        table.answered(newcomer, Time::ZERO);
        assert!(!table.contacts().any(|node| node == newcomer));
        table.failed(far[3].address);
        assert!(table.contacts().any(|node| node == far[3]), "once is no proof");
        table.failed(far[3].address);
        assert!(!table.contacts().any(|node| node == far[3]));
        assert!(table.contacts().any(|node| node == newcomer));
    }

    #[test]
    fn an_id_that_fits_its_address_is_preferred() {
        let (mut table, mut rng, _) = full();
        let ip = "55.44.33.22".parse().unwrap();
        let fit = loop {
            let id = NodeId::for_address(ip, &mut rng);
            if id.shared_bits(&table.own) == 0 {
                break id;
            }
        };
        let node = Contact {
            id: fit,
            address: SocketAddr::new(ip, 1),
        };
        table.answered(node, Time::ZERO);
        assert!(table.contacts().any(|known| known == node));
    }

    #[test]
    fn one_address_has_one_place() {
        let (mut table, mut rng) = table();
        let first = contact(NodeId::random(&mut rng), 1);
        table.answered(first, Time::ZERO);
        let other_port = Contact {
            id: NodeId::random(&mut rng),
            address: SocketAddr::new(first.address.ip(), 7),
        };
        table.answered(other_port, Time::ZERO);
        assert_eq!(table.contacts().collect::<Vec<_>>(), [first]);
        let renamed = contact(NodeId::random(&mut rng), 1);
        table.answered(renamed, Time::ZERO);
        assert_eq!(table.contacts().collect::<Vec<_>>(), [renamed]);
        let stolen = contact(renamed.id, 2);
        table.answered(stolen, Time::ZERO);
        assert_eq!(table.contacts().collect::<Vec<_>>(), [renamed]);
        let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
        for port in 1..=5 {
            let id = NodeId::random(&mut rng);
            table.answered(
                Contact {
                    id,
                    address: local(port),
                },
                Time::ZERO,
            );
        }
        assert_eq!(table.len(), 6, "loopback is shared");
    }

    #[test]
    fn silence_makes_questionable_and_quiet_buckets_stale() {
        let (mut table, mut rng, far) = full();
        let later = Time::ZERO + Span::from_secs(16 * 60);
        assert_eq!(table.questionable(Time::ZERO), None);
        table.answered(far[0], later);
        assert!(table.questionable(later).is_some_and(|node| node != far[0]));
        let target = table.stale(later, &mut rng).unwrap();
        assert!(target.shared_bits(&table.own) >= 1, "the first bucket has changed");
        assert_eq!(table.stale(later, &mut rng), None);
    }

    #[test]
    fn a_new_own_id_keeps_the_nodes() {
        let (mut table, mut rng, far) = full();
        let own = NodeId::random(&mut rng);
        table.rebase(own, Time::ZERO);
        assert_eq!(table.len(), 9);
        assert!(table.contacts().any(|node| node == far[0]));
    }
}
