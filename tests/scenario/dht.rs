//! Networks of DHT nodes under virtual time: they join, find peers, outlive their bootstrap node, and are not led astray.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::net::SocketAddr;

use tombolo_core::dht::krpc::{Body, Contact, Message, Query, Response};
use tombolo_core::dht::{Action, Config, Dht, Event, NodeId};
use tombolo_core::key::SwarmKey;
use tombolo_core::rng::Rng;
use tombolo_core::time::{Span, Time};

const SWARM: SwarmKey = SwarmKey([0x5a; 20]);

/// When it arrives, its number, from where, to where, and its bytes.
type Datagram = (Time, u64, SocketAddr, SocketAddr, Vec<u8>);

/// What somebody answers to a question.
type Lie = fn(&Message, &mut Rng) -> Option<Vec<u8>>;

/// What an address of the network does with a datagram.
enum Host {
    Node(Box<Dht>),
    /// Answers every question as it likes.
    Liar(Lie),
}

/// Some nodes, and datagrams under way between them.
struct Network {
    now: Time,
    rng: Rng,
    hosts: BTreeMap<SocketAddr, Host>,
    due: BTreeMap<SocketAddr, Time>,
    under_way: BinaryHeap<Reverse<Datagram>>,
    sent: u64,
    /// Datagrams to addresses where nobody is.
    stray: HashMap<SocketAddr, usize>,
    found: BTreeMap<SocketAddr, Vec<SocketAddr>>,
    announced: BTreeMap<SocketAddr, usize>,
    bootstrap: Vec<SocketAddr>,
}

impl Network {
    fn new(seed: u64) -> Self {
        println!("seed {seed}");
        Self {
            now: Time::ZERO,
            rng: Rng::new(seed),
            hosts: BTreeMap::new(),
            due: BTreeMap::new(),
            under_way: BinaryHeap::new(),
            sent: 0,
            stray: HashMap::new(),
            found: BTreeMap::new(),
            announced: BTreeMap::new(),
            bootstrap: Vec::new(),
        }
    }

    fn node(&mut self, address: SocketAddr, saved: Option<&[u8]>) {
        let mut secret = [0; 32];
        self.rng.fill(&mut secret);
        let config = Config {
            v4: address.is_ipv4(),
            v6: address.is_ipv6(),
            read_only: false,
            allow_local: false,
            implied_port: false,
        };
        let mut dht = Dht::new(config, secret);
        if let Some(saved) = saved {
            dht.import(self.now, saved);
        }
        self.hosts.insert(address, Host::Node(Box::new(dht)));
        self.tell(address, Event::Due);
    }

    fn dht(&mut self, address: SocketAddr) -> &mut Dht {
        match self.hosts.get_mut(&address) {
            Some(Host::Node(dht)) => dht,
            _ => panic!("no node at {address}"),
        }
    }

    fn tell(&mut self, address: SocketAddr, event: Event<'_>) {
        let now = self.now;
        self.dht(address).handle(now, event);
        while let Some(action) = self.dht(address).poll() {
            match action {
                Action::Send(to, datagram) => self.send(address, to, datagram),
                Action::Found(_, peers) => self.found.entry(address).or_default().extend(peers),
                Action::Searched { announced, .. } => *self.announced.entry(address).or_default() += announced,
                Action::Bootstrap => {
                    let bootstrap = self.bootstrap.clone();
                    let now = self.now;
                    self.dht(address).handle(now, Event::Contacts(&bootstrap));
                }
                Action::Address(_) => {}
            }
        }
        let due = self.dht(address).deadline().unwrap_or(Time::NEVER);
        self.due.insert(address, due);
    }

    fn send(&mut self, from: SocketAddr, to: SocketAddr, datagram: Vec<u8>) {
        let latency = Span::from_millis(20 + self.rng.below(60) as u64);
        self.sent += 1;
        self.under_way
            .push(Reverse((self.now + latency, self.sent, from, to, datagram)));
    }

    fn deliver(&mut self, from: SocketAddr, to: SocketAddr, datagram: &[u8]) {
        match self.hosts.get(&to) {
            Some(Host::Node(_)) => self.tell(to, Event::Datagram(from, datagram)),
            Some(Host::Liar(answer)) => {
                let answer = *answer;
                if let Ok(message) = Message::decode(datagram)
                    && matches!(message.body, Body::Query(..))
                    && let Some(lie) = answer(&message, &mut self.rng)
                {
                    self.send(to, from, lie);
                }
            }
            None => *self.stray.entry(to).or_default() += 1,
        }
    }

    fn run_until(&mut self, limit: Span, mut done: impl FnMut(&mut Self) -> bool) -> bool {
        let end = self.now + limit;
        while !done(self) {
            let (due, address) = self
                .due
                .iter()
                .map(|(address, at)| (*at, *address))
                .min()
                .expect("nodes");
            let arrival = self.under_way.peek().map_or(Time::NEVER, |Reverse(next)| next.0);
            if due.min(arrival) > end {
                self.now = end;
                return done(self);
            }
            if arrival <= due {
                if let Some(Reverse((at, _, from, to, datagram))) = self.under_way.pop() {
                    self.now = at;
                    self.deliver(from, to, &datagram);
                }
            } else {
                self.now = self.now.max(due);
                self.tell(address, Event::Due);
            }
        }
        true
    }

    fn run_for(&mut self, span: Span) {
        self.run_until(span, |_| false);
    }

    fn kill(&mut self, address: SocketAddr) {
        self.hosts.remove(&address);
        self.due.remove(&address);
    }

    /// Whether a peer that one node announces is found by another.
    fn finds(&mut self, announcer: SocketAddr, seeker: SocketAddr) -> bool {
        let search = |announce| Event::Search { swarm: SWARM, announce };
        self.tell(announcer, search(Some(4_242)));
        self.run_until(Span::from_secs(60), |net| net.announced.contains_key(&announcer));
        assert!(self.announced[&announcer] > 0, "{:?}", self.announced);
        self.run_for(Span::from_secs(5));
        self.tell(seeker, search(None));
        let peer = SocketAddr::new(announcer.ip(), 4_242);
        self.run_until(Span::from_secs(60), |net| {
            net.found.get(&seeker).is_some_and(|found| found.contains(&peer))
        })
    }
}

/// The address of a node: each in a network of its own.
fn at(n: usize) -> SocketAddr {
    SocketAddr::from(([60, n as u8, 7, 1], 6881))
}

fn at_v6(n: usize) -> SocketAddr {
    format!("[2606:4700:{n:x}::1]:6881").parse().expect("an address")
}

/// A network of `count` nodes that all began with the first one.
fn network(seed: u64, count: usize, at: fn(usize) -> SocketAddr) -> Network {
    let mut net = Network::new(seed);
    net.bootstrap = vec![at(0)];
    for n in 0..count {
        net.node(at(n), None);
        net.run_for(Span::from_millis(500));
    }
    net.run_for(Span::from_secs(60));
    net
}

#[test]
fn peers_are_found_after_the_bootstrap_node_died() {
    for (seed, at) in [(1, at as fn(usize) -> SocketAddr), (2, at_v6)] {
        let mut net = network(seed, 60, at);
        net.kill(at(0));
        net.run_for(Span::from_secs(30));
        assert!(net.finds(at(7), at(51)));
        let (v4, v6) = net.dht(at(51)).nodes();
        assert!(v4 + v6 >= 8);
        let before = net.sent;
        net.run_for(Span::from_secs(600));
        let a_minute = (net.sent - before) / 59 / 10;
        assert!(
            a_minute < 60,
            "{a_minute} datagrams a node and minute while nobody searches"
        );
    }
}

#[test]
fn whoever_comes_back_needs_no_bootstrap_node() {
    let mut net = network(3, 50, at);
    let saved = net.dht(at(9)).export();
    net.kill(at(9));
    net.kill(at(0));
    net.run_for(Span::from_secs(60));
    net.node(at(9), Some(&saved));
    net.run_for(Span::from_secs(30));
    assert!(net.dht(at(9)).nodes().0 >= 8);
    assert!(net.finds(at(20), at(9)));
}

#[test]
fn a_network_in_which_many_lie_still_answers() {
    let mut net = network(4, 60, at);
    // Their places in the others' tables are theirs still.
    let liars: [Lie; 4] = [wrong_id, giant, nonsense, to_victims];
    for n in 40..60 {
        net.hosts.insert(at(n), Host::Liar(liars[n % 4]));
        net.due.remove(&at(n));
    }
    net.run_for(Span::from_secs(60));
    assert!(net.finds(at(5), at(33)));
    let victims: usize = net
        .stray
        .iter()
        .filter(|(to, _)| to.ip().to_string().starts_with("77."))
        .map(|(_, count)| count)
        .sum();
    println!("{victims} datagrams to victims");
    net.run_for(Span::from_secs(600));
    let most = net.stray.values().max().copied().unwrap_or(0);
    assert!(most < 600, "{most} datagrams to one address where nobody is");
}

#[test]
fn a_spoofed_answer_and_a_spoofed_token_bring_nothing() {
    let mut net = network(5, 50, at);
    let before = net.dht(at(3)).nodes();
    for n in 0..200u32 {
        let mut id = [0; 20];
        net.rng.fill(&mut id);
        let lie = Message {
            transaction: n.to_be_bytes().to_vec(),
            body: Body::Response(Response {
                values: vec!["77.7.7.7:7".parse().expect("an address")],
                ..Response::bare(NodeId(id))
            }),
            read_only: false,
            ip: None,
        };
        net.tell(
            at(3),
            Event::Datagram(SocketAddr::from(([78, 1, 1, n as u8], 1)), &lie.encode()),
        );
        let announce = Message {
            transaction: b"a".to_vec(),
            body: Body::Query(
                NodeId(id),
                Query::Announce(tombolo_core::dht::krpc::Announce {
                    swarm: SWARM,
                    port: Some(1),
                    token: n.to_be_bytes().to_vec(),
                }),
            ),
            read_only: true,
            ip: None,
        };
        net.tell(
            at(3),
            Event::Datagram(SocketAddr::from(([78, 1, 2, n as u8], 1)), &announce.encode()),
        );
    }
    assert_eq!(net.dht(at(3)).nodes(), before);
    assert_eq!(net.dht(at(3)).peers(), 0);
    assert!(net.finds(at(3), at(30)));
    assert!(!net.found[&at(30)].contains(&"77.7.7.7:7".parse().expect("an address")));
}

fn reply(question: &Message, response: Response) -> Option<Vec<u8>> {
    let message = Message {
        transaction: question.transaction.clone(),
        body: Body::Response(response),
        read_only: false,
        ip: Some("9.9.9.9:9".parse().expect("an address")),
    };
    Some(message.encode())
}

fn some_id(rng: &mut Rng) -> NodeId {
    let mut id = [0; 20];
    rng.fill(&mut id);
    NodeId(id)
}

fn wrong_id(question: &Message, rng: &mut Rng) -> Option<Vec<u8>> {
    reply(question, Response::bare(some_id(rng)))
}

/// More nodes and peers than anybody can use, all of them made up.
fn giant(question: &Message, rng: &mut Rng) -> Option<Vec<u8>> {
    let address = |rng: &mut Rng| SocketAddr::from(([76, rng.below(256) as u8, rng.below(256) as u8, 1], 1));
    let contact = |rng: &mut Rng| Contact {
        id: some_id(rng),
        address: address(rng),
    };
    let response = Response {
        nodes: (0..60).map(|_| contact(rng)).collect(),
        values: (0..150).map(|_| address(rng)).collect(),
        token: Some(vec![1; 60]),
        ..Response::bare(some_id(rng))
    };
    reply(question, response)
}

fn nonsense(question: &Message, rng: &mut Rng) -> Option<Vec<u8>> {
    let mut bytes = question.encode();
    let at = rng.below(bytes.len());
    bytes[at] ^= 1 << rng.below(8);
    Some(bytes)
}

/// Names very near nodes at one victim's ports.
fn to_victims(question: &Message, rng: &mut Rng) -> Option<Vec<u8>> {
    let Body::Query(_, Query::GetPeers(swarm, _)) = &question.body else {
        return None;
    };
    let near = |port| Contact {
        id: NodeId::from(*swarm),
        address: SocketAddr::from(([77, 1, 1, 1], port)),
    };
    let response = Response {
        nodes: (1..=16).map(near).collect(),
        ..Response::bare(some_id(rng))
    };
    reply(question, response)
}
