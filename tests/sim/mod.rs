//! A network of sessions in virtual time: no thread, no socket, no clock. One seed gives one run.
//!
//! A node's uplink sends one frame at a time, links in turn; a frame arrives after the latency. Hashing is instant and real.

mod content;
mod node;
mod puppet;
mod server;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::SocketAddr;

use bytes::Bytes;
use tombolo_core::door::Greeting;
use tombolo_core::event::{Action, Dial, Event, Job, Link, Offer, Opened, Origin, Refused, Report, Torrent, Transport};
use tombolo_core::key::{InfoHashes, SwarmKey};
use tombolo_core::rng::Rng;
use tombolo_core::time::{Span, Time};
use tombolo_core::wire::handshake::Reserved;

pub use content::Content;
pub use node::{Node, Setup};
pub use puppet::Puppet;
pub use server::Server;

/// The one torrent of every node.
pub const TORRENT: Torrent = Torrent(1);

/// The most bytes that a transport takes of a link at once.
const ROOM: usize = 64 * 1024;

/// A node of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id(usize);

enum Happening {
    Due(Id),
    Dialled(Id, Dial, SocketAddr),
    Arrived(Id, Link, Bytes),
    Hung(Id, Link),
    Free(Id),
    Streamed(Id, Job, Bytes),
    StreamEnded(Id, Job, Result<(), Refused>),
}

struct Scheduled(Time, u64, Happening);

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        (self.0, self.1) == (other.0, other.1)
    }
}
impl Eq for Scheduled {}
impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.0, self.1).cmp(&(other.0, other.1))
    }
}

/// The network.
pub struct Sim {
    /// The present.
    pub now: Time,
    queue: BinaryHeap<Reverse<Scheduled>>,
    happened: u64,
    nodes: Vec<Node>,
    /// Web servers.
    pub servers: Vec<Server>,
    /// Who was asked, by whom and for what.
    streams: BTreeMap<(Id, Job), usize>,
    links: u64,
    /// Descriptions of WebRTC connections, by number: whose each is, and what it answers.
    descriptions: Vec<(Id, Offer, Option<usize>)>,
    seed: u64,
    rng: Rng,
}

impl Sim {
    /// An empty network. The seed is printed, so that a failed run can be run again.
    pub fn new(seed: u64) -> Self {
        println!("seed {seed}");
        let rng = Rng::new(seed);
        Self {
            now: Time::ZERO,
            queue: BinaryHeap::new(),
            happened: 0,
            nodes: Vec::new(),
            servers: Vec::new(),
            streams: BTreeMap::new(),
            links: 0,
            descriptions: Vec::new(),
            seed,
            rng,
        }
    }

    /// Adds a node.
    pub fn add(&mut self, setup: Setup) -> Id {
        let id = Id(self.nodes.len());
        let node = Node::new(setup, id.0, self.seed ^ self.rng.next_u64());
        self.nodes.push(node);
        let add = self.nodes[id.0].first_event();
        self.tell(id, add);
        id
    }

    /// A node.
    pub fn node(&mut self, id: Id) -> &mut Node {
        &mut self.nodes[id.0]
    }

    /// A node's torrent in numbers.
    pub fn status(&mut self, id: Id) -> tombolo_core::status::Status {
        let now = self.now;
        self.nodes[id.0]
            .session
            .status(now, TORRENT)
            .expect("every node has the torrent")
    }

    /// Makes `from` learn the address of `to`.
    pub fn introduce(&mut self, from: Id, to: Id) {
        let address = self.nodes[to.0].address;
        self.tell(from, Event::Peers(TORRENT, vec![address]));
    }

    /// Makes every node learn the address of every node added before it.
    pub fn introduce_all(&mut self) {
        for from in 0..self.nodes.len() {
            (0..from).for_each(|to| self.introduce(Id(from), Id(to)));
        }
    }

    /// Tells a node's session something, and does what it then wants done.
    pub fn tell(&mut self, id: Id, event: Event) {
        self.nodes[id.0].session.handle(self.now, event);
        self.serve(id);
    }

    /// Connects a hand-driven peer to a node.
    pub fn puppet(&mut self, id: Id, puppet: Puppet) -> Link {
        let link = self.new_link();
        let opened = Opened {
            link,
            torrent: TORRENT,
            greeting: puppet.greeting(self.nodes[id.0].swarm),
            transport: puppet.transport,
            origin: Origin::Inbound,
            address: puppet.address,
        };
        self.nodes[id.0].puppets.insert(link, puppet);
        self.tell(id, Event::Opened(Box::new(opened)));
        link
    }

    /// What a hand-driven peer has received since it was last asked.
    pub fn heard(&mut self, id: Id, link: Link) -> Vec<tombolo_core::wire::message::Message> {
        self.nodes[id.0]
            .puppets
            .get_mut(&link)
            .map_or_else(Vec::new, Puppet::heard)
    }

    /// Makes a hand-driven peer say something.
    pub fn say(&mut self, id: Id, link: Link, message: &tombolo_core::wire::message::Message) {
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        self.tell(id, Event::Received(link, bytes.into()));
    }

    /// Takes a node off the network: its links hang up, and nobody reaches it any more.
    pub fn unplug(&mut self, id: Id) {
        let ends: Vec<_> = self.nodes[id.0].ends.iter().map(|(link, end)| (*link, *end)).collect();
        self.nodes[id.0].online = false;
        for (link, (far, far_link)) in ends {
            self.nodes[id.0].ends.remove(&link);
            self.schedule(self.now, Happening::Hung(far, far_link));
        }
    }

    /// Lets time pass until `done`, at most for `limit`. Whether it was done.
    pub fn run_until(&mut self, limit: Span, mut done: impl FnMut(&mut Self) -> bool) -> bool {
        let end = self.now + limit;
        while !done(self) {
            if self.queue.peek().is_none_or(|Reverse(next)| next.0 > end) {
                self.now = end;
                return done(self);
            }
            if let Some(Reverse(Scheduled(at, _, happening))) = self.queue.pop() {
                self.now = at;
                self.happen(happening);
            }
        }
        true
    }

    /// Lets time pass.
    pub fn run_for(&mut self, span: Span) {
        self.run_until(span, |_| false);
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Due(id) => {
                self.nodes[id.0].alarm = None;
                self.tell(id, Event::Due);
            }
            Happening::Dialled(id, dial, address) => self.connect(id, dial, address),
            Happening::Arrived(id, link, data) => {
                if self.nodes[id.0].ends.contains_key(&link) {
                    self.tell(id, Event::Received(link, data));
                }
            }
            Happening::Hung(id, link) => {
                if self.nodes[id.0].ends.remove(&link).is_some() {
                    self.tell(id, Event::Closed(link));
                }
            }
            Happening::Free(id) => {
                self.nodes[id.0].busy = false;
                self.transmit(id);
            }
            Happening::Streamed(id, job, data) => {
                if self.streams.contains_key(&(id, job)) {
                    self.tell(id, Event::Streamed(job, data));
                }
            }
            Happening::StreamEnded(id, job, result) => {
                if self.streams.remove(&(id, job)).is_some() {
                    self.tell(id, Event::StreamEnded(job, result));
                }
            }
        }
    }

    fn connect(&mut self, id: Id, dial: Dial, address: SocketAddr) {
        let far = self
            .nodes
            .iter()
            .position(|node| node.address == address && node.online)
            .map(Id);
        let Some(far) = far.filter(|_| self.nodes[id.0].online) else {
            return self.tell(id, Event::DialFailed(dial));
        };
        let (near, other) = (self.nodes[id.0].hashes, self.nodes[far.0].hashes);
        if swarm_of_both(near, other).is_none() {
            return self.tell(id, Event::DialFailed(dial));
        }
        let (near_link, far_link) = (self.new_link(), self.new_link());
        self.nodes[id.0].ends.insert(near_link, (far, far_link));
        self.nodes[far.0].ends.insert(far_link, (id, near_link));
        let from = SocketAddr::new(self.nodes[id.0].address.ip(), 50_000);
        self.open(far, far_link, id, (Origin::Inbound, from));
        self.open(id, near_link, far, (Origin::Dialled(dial), address));
    }

    fn open(&mut self, at: Id, link: Link, other: Id, (origin, address): (Origin, SocketAddr)) {
        let (node, peer) = (&self.nodes[at.0], &self.nodes[other.0]);
        let transport = if node.web && peer.web {
            Transport::Rtc
        } else if node.web || peer.web {
            Transport::Wire
        } else {
            Transport::Tcp
        };
        // A plain node neither says that it speaks the extensions nor hears it.
        let both = |byte: usize| node.reserved.0[byte] & peer.reserved.0[byte];
        let reserved = Reserved(std::array::from_fn(both));
        let greeting = Greeting {
            swarm: swarm_of_both(node.hashes, peer.hashes).unwrap_or(peer.swarm),
            peer_id: peer.peer_id,
            reserved,
            rest: Bytes::new(),
        };
        let opened = Opened {
            link,
            torrent: TORRENT,
            greeting,
            transport,
            origin,
            address: Some(address),
        };
        self.tell(at, Event::Opened(Box::new(opened)));
    }

    fn new_link(&mut self) -> Link {
        self.links += 1;
        Link(self.links)
    }

    fn schedule(&mut self, at: Time, happening: Happening) {
        self.happened += 1;
        self.queue.push(Reverse(Scheduled(at, self.happened, happening)));
    }

    /// Does what a node's session wants done.
    fn serve(&mut self, id: Id) {
        while let Some(action) = self.nodes[id.0].session.poll(self.now) {
            self.act(id, action);
        }
        if let Some(at) = self.nodes[id.0].session.deadline() {
            let at = at.max(self.now);
            if self.nodes[id.0].alarm.is_none_or(|alarm| at < alarm) {
                self.nodes[id.0].alarm = Some(at);
                self.schedule(at, Happening::Due(id));
            }
        }
    }

    fn act(&mut self, id: Id, action: Action) {
        match action {
            Action::Dial(dial, _, address) => {
                let at = self.now + self.nodes[id.0].latency;
                self.schedule(at, Happening::Dialled(id, dial, address));
            }
            Action::Close(link, reason) => self.hang_up(id, link, reason),
            Action::Flush(link) => {
                self.nodes[id.0].sending.push_back(link);
                self.transmit(id);
            }
            Action::Node(address) => self.nodes[id.0].nodes.push(address),
            Action::Punch(_, _, address) => self.nodes[id.0].punched.push(address),
            Action::Stream {
                job,
                url,
                start,
                length,
            } => self.stream((id, job), &url, start, length),
            Action::Abort(job) => {
                if let Some(server) = self.streams.remove(&(id, job)) {
                    self.servers[server].busy = self.now;
                }
            }
            Action::MakeOffer(offer, _) => self.describe(id, offer, None),
            Action::Answer(offer, _, theirs) => self.describe(id, offer, theirs.parse().ok()),
            Action::Accept(offer, theirs) => self.negotiated((id, offer), &theirs),
            Action::Report(_, report) => self.nodes[id.0].report(self.now, report),
            other => {
                if let Some(event) = self.nodes[id.0].store(other) {
                    self.nodes[id.0].session.handle(self.now, event);
                }
            }
        }
    }

    /// Describes a node's end of a WebRTC connection: by a number.
    fn describe(&mut self, id: Id, offer: Offer, answers: Option<usize>) {
        let number = self.descriptions.len().to_string();
        self.descriptions.push((id, offer, answers));
        let described = Event::Described(offer, number);
        self.nodes[id.0].session.handle(self.now, described);
    }

    /// An offer of a node is answered: both ends have a link, if the other is still there.
    fn negotiated(&mut self, (id, offer): (Id, Offer), answer: &str) {
        let described = |number: usize| self.descriptions.get(number).copied();
        let answer = answer.parse().ok().and_then(described);
        let Some((far, theirs, Some(of))) = answer.filter(|(far, ..)| self.nodes[far.0].online) else {
            return;
        };
        assert_eq!(
            described(of).map(|(id, offer, _)| (id, offer)),
            Some((id, offer)),
            "the answer is to another offer"
        );
        let (near_link, far_link) = (self.new_link(), self.new_link());
        self.nodes[id.0].ends.insert(near_link, (far, far_link));
        self.nodes[far.0].ends.insert(far_link, (id, near_link));
        self.open(far, far_link, id, (Origin::Offered(theirs), self.nodes[id.0].address));
        self.open(id, near_link, far, (Origin::Offered(offer), self.nodes[far.0].address));
    }

    /// Has a server answer.
    fn stream(&mut self, (id, job): (Id, Job), url: &str, start: Option<u64>, length: u64) {
        let latency = self.nodes[id.0].latency;
        let at = self.servers.iter().position(|server| url.starts_with(&server.url));
        self.streams.insert((id, job), at.unwrap_or(0));
        let Some(server) = at.map(|at| &mut self.servers[at]) else {
            let refused = Refused {
                why: "no such host".into(),
                ..Refused::default()
            };
            return self.schedule(self.now + latency, Happening::StreamEnded(id, job, Err(refused)));
        };
        if server.mute {
            return server.asked.push((url.into(), start, length));
        }
        let mut at = server.busy.max(self.now) + latency + latency;
        match server.answer(url, start, length) {
            Ok(parts) => {
                let rate = server.rate;
                for part in parts {
                    at += Span::from_micros(part.len() as u64 * 1_000_000 / rate);
                    self.schedule(at, Happening::Streamed(id, job, part));
                }
                let server = self.streams[&(id, job)];
                self.servers[server].busy = at;
                self.schedule(at, Happening::StreamEnded(id, job, Ok(())));
            }
            Err(refused) => self.schedule(at, Happening::StreamEnded(id, job, Err(refused))),
        }
    }

    fn hang_up(&mut self, id: Id, link: Link, reason: tombolo_core::swarm::reason::Reason) {
        let node = &mut self.nodes[id.0];
        node.closed.push((link, reason));
        node.puppets.remove(&link);
        let latency = node.latency;
        if let Some((far, far_link)) = node.ends.remove(&link) {
            self.schedule(self.now + latency, Happening::Hung(far, far_link));
        }
    }

    /// Sends the next frame of a node whose uplink is free.
    fn transmit(&mut self, id: Id) {
        let now = self.now;
        while let Some(link) = self.nodes[id.0].sending.pop_front() {
            let node = &mut self.nodes[id.0];
            if let Some(puppet) = node.puppets.get_mut(&link) {
                while let Some(frame) = node.session.poll_frame(now, link, ROOM) {
                    puppet.hear(frame);
                }
                continue;
            }
            if node.busy {
                node.sending.push_front(link);
                return;
            }
            let Some(frame) = node.session.poll_frame(now, link, ROOM) else {
                continue;
            };
            let data = Bytes::from(frame.to_vec());
            let free = now + node.sending_time(data.len());
            node.sending.push_back(link);
            node.busy = true;
            let arrival = free + node.latency;
            if let Some(&(far, far_link)) = node.ends.get(&link) {
                self.schedule(arrival, Happening::Arrived(far, far_link, data));
            }
            self.schedule(free, Happening::Free(id));
        }
    }
}

/// The name by which two call a torrent: that of v2 where both know it, as their doors come to (BEP 52).
fn swarm_of_both(one: InfoHashes, other: InfoHashes) -> Option<SwarmKey> {
    let v2 = one.v2().filter(|hash| other.v2() == Some(*hash)).map(SwarmKey::from);
    let v1 = one.v1().filter(|hash| other.v1() == Some(*hash)).map(SwarmKey::from);
    v2.or(v1)
}

/// Whether a report says that everything wanted is there.
pub const fn is_complete(report: &Report) -> bool {
    matches!(report, Report::Complete)
}
