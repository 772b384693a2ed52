//! A node of the DHT: finds the peers of a swarm without a tracker, and helps others to (BEP 5; IPv6: BEP 32; ids: BEP 42; read-only
//! nodes: BEP 43).
//!
//! A state machine like the session: datagrams and time go in as [`Event`]s, datagrams and findings come out as [`Action`]s. One
//! [`Dht`] is a node of both networks, that of IPv4 and that of IPv6: each has a table of its own ([`Half`]).
//!
//! `krpc` is the messages, `table` the nodes we know, `lookup` the way to a point, `ask` what we ask of others, `serve` what they ask
//! of us, `upkeep` what time alone brings, `store` the peers announced to us, `token` and `guard` what keeps strangers honest.
//!
//! Invariants: nobody gets into a table who has not answered a question of ours from the address it is asked at; every question has an
//! end; everything kept has a bound (in all about 6 MB). Nothing local is spoken to or handed out unless the configuration says so.

mod ask;
mod guard;
mod id;
pub mod krpc;
mod lookup;
mod reach;
mod saved;
mod serve;
mod store;
mod table;
#[cfg(test)]
mod tests;
mod token;
mod upkeep;
mod vote;

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

pub use id::NodeId;

use crate::address::{is_local, is_usable};
use crate::key::SwarmKey;
use crate::map::Map;
use crate::rng::Rng;
use crate::time::{Span, Time};
use guard::Guard;
use lookup::Lookup;
use reach::Reach;
use store::Store;
use table::Table;
use token::{Secrets, Tokens};
use vote::Votes;

/// Searches that wait for their turn. More are dropped: whoever wants them will ask again.
const MAX_WAITING: usize = 4_096;

/// The settings of a node.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Be a node of the network of IPv4.
    pub v4: bool,
    /// Be a node of the network of IPv6.
    pub v6: bool,
    /// Only ask: questions are not answered, and others are told so (BEP 43).
    pub read_only: bool,
    /// Speak to loopback and private addresses and hand them out.
    pub allow_local: bool,
    /// Our peers are reached at the UDP port of this node too (uTP): announces say so, and hold behind a NAT.
    pub implied_port: bool,
}

/// Something that happened outside.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A datagram came from there.
    Datagram(SocketAddr, &'a [u8]),
    /// Addresses where nodes may be: answers [`Action::Bootstrap`], or somebody told us (PORT).
    Contacts(&'a [SocketAddr]),
    /// Find the peers of a swarm, and announce ourselves at this port if there is one.
    Search {
        /// The swarm.
        swarm: SwarmKey,
        /// The port at which we take links.
        announce: Option<u16>,
    },
    /// Time has come to [`Dht::deadline`].
    Due,
}

/// Something that the shell must do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send a datagram.
    Send(SocketAddr, Vec<u8>),
    /// Peers of a swarm that is being searched. May come many times.
    Found(SwarmKey, Vec<SocketAddr>),
    /// A search is over in one of the networks.
    Searched {
        /// The swarm.
        swarm: SwarmKey,
        /// Whether in that of IPv6.
        v6: bool,
        /// How many peers were found.
        peers: usize,
        /// To how many nodes we announced ourselves.
        announced: usize,
    },
    /// There are too few nodes to go on from: name some, by [`Event::Contacts`].
    Bootstrap,
    /// Our own address, as many nodes agree.
    Address(IpAddr),
}

/// How a node does, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Nodes that it knows of the network of IPv4.
    pub nodes_v4: usize,
    /// Nodes that it knows of the network of IPv6.
    pub nodes_v6: usize,
    /// Lookups under way.
    pub lookups: usize,
    /// Searches for peers since the start, one for each network.
    pub searches: u64,
    /// Peers of others that it remembers.
    pub peers: usize,
    /// Whether nodes that we had not spoken to have asked us something in the last half hour: nothing before us keeps them out.
    pub reachable: bool,
}

/// A node of the DHT.
#[derive(Debug)]
pub struct Dht {
    config: Config,
    now: Time,
    rng: Rng,
    secrets: Secrets,
    tokens: Tokens,
    guard: Guard,
    store: Store,
    halves: [Option<Half>; 2],
    lookups: Map<u64, Lookup>,
    next_lookup: u64,
    waiting: VecDeque<(SwarmKey, Option<u16>)>,
    pending: Map<u32, ask::Pending>,
    /// When each question is over, in the order asked. One that was answered is passed over.
    ends: VecDeque<(Time, u32)>,
    actions: VecDeque<Action>,
    upkeep: upkeep::Upkeep,
    searches: u64,
    reach: Reach,
}

/// What it takes to be a node of one network.
#[derive(Debug)]
struct Half {
    id: NodeId,
    table: Table,
    votes: Votes,
    join: upkeep::Join,
}

impl Dht {
    /// A node that knows nobody. All its randomness follows from `secret`, which nobody else must know.
    pub fn new(config: Config, secret: [u8; 32]) -> Self {
        let mut secrets = Secrets::new(secret);
        let mut seed = [0; 8];
        seed.copy_from_slice(&secrets.next()[..8]);
        let mut rng = Rng::new(u64::from_be_bytes(seed));
        let tokens = Tokens::new(&mut secrets, Time::ZERO);
        // The same id in both networks (BEP 32), until our addresses are known.
        let id = NodeId::random(&mut rng);
        let half = |wanted: bool| wanted.then(|| Half::new(id, Time::ZERO));
        Self {
            halves: [half(config.v4), half(config.v6)],
            config,
            now: Time::ZERO,
            rng,
            secrets,
            tokens,
            guard: Guard::new(Time::ZERO),
            store: Store::default(),
            lookups: Map::new(),
            next_lookup: 0,
            waiting: VecDeque::new(),
            pending: Map::new(),
            ends: VecDeque::new(),
            actions: VecDeque::new(),
            upkeep: upkeep::Upkeep::default(),
            searches: 0,
            reach: Reach::default(),
        }
    }

    /// Takes in what happened. Infallible: what cannot be read is passed over.
    pub fn handle(&mut self, now: Time, event: Event<'_>) {
        self.now = self.now.max(now);
        self.tokens.rotate(&mut self.secrets, self.now);
        match event {
            Event::Datagram(from, data) => self.datagram(canonical(from), data),
            Event::Contacts(addresses) => self.contacts(addresses),
            Event::Search { swarm, announce } => self.search(swarm, announce),
            Event::Due => {}
        }
        self.expire();
        self.look_after();
        self.start_searches();
    }

    /// The next thing to do; `None` when quiet.
    pub fn poll(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When to send [`Event::Due`].
    pub fn deadline(&self) -> Option<Time> {
        let lookups = self.lookups.values().filter_map(Lookup::deadline).min();
        let ends = self.ends.front().map(|(at, _)| *at);
        [lookups, ends, Some(self.upkeep.next)].into_iter().flatten().min()
    }

    /// How many nodes it knows: of IPv4, of IPv6.
    pub fn nodes(&self) -> (usize, usize) {
        let len = |half: &Option<Half>| half.as_ref().map_or(0, |half| half.table.len());
        (len(&self.halves[0]), len(&self.halves[1]))
    }

    /// How it does.
    pub fn figures(&self) -> Figures {
        let (nodes_v4, nodes_v6) = self.nodes();
        Figures {
            nodes_v4,
            nodes_v6,
            lookups: self.lookups.len(),
            searches: self.searches,
            peers: self.peers(),
            reachable: self.reach.is_open(self.now),
        }
    }

    /// How many peers of others it remembers.
    pub const fn peers(&self) -> usize {
        self.store.len()
    }

    /// Its id in one network, if it is a node of it.
    pub fn id(&self, v6: bool) -> Option<NodeId> {
        self.half(v6).map(|half| half.id)
    }

    fn search(&mut self, swarm: SwarmKey, announce: Option<u16>) {
        let known = |waiting: &(SwarmKey, Option<u16>)| waiting.0 == swarm;
        if self.waiting.len() < MAX_WAITING && !self.waiting.iter().any(known) {
            self.waiting.push_back((swarm, announce));
        }
    }

    const fn half(&self, v6: bool) -> Option<&Half> {
        self.halves[v6 as usize].as_ref()
    }

    const fn half_mut(&mut self, v6: bool) -> Option<&mut Half> {
        self.halves[v6 as usize].as_mut()
    }

    /// Whether somebody at that address may be spoken to and named to others.
    fn accepts(&self, address: SocketAddr) -> bool {
        is_usable(address)
            && (self.config.allow_local || !is_local(address.ip()))
            && self.half(address.is_ipv6()).is_some()
    }

    fn act(&mut self, action: Action) {
        self.actions.push_back(action);
    }
}

impl Half {
    fn new(id: NodeId, now: Time) -> Self {
        Self {
            id,
            table: Table::new(id, now),
            votes: Votes::default(),
            join: upkeep::Join::default(),
        }
    }
}

/// An address of IPv4 in the clothes of IPv6 is one of IPv4.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// How long an answer is waited for.
const TIMEOUT: Span = Span::from_secs(4);
