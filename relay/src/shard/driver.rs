//! The driver of one session, on the one thread that owns it: every event goes in here, every action is done from here.
//!
//! Invariants: the session is never entered twice at once (actions only start work, whose results come as events later),
//! and after every event all its actions are done before anything else happens. Cost: what the session's own work costs.

use std::cell::{Cell, RefCell, RefMut};
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::{Notify, mpsc};
use tombolo_core::door::Greeting;
use tombolo_core::event::{Action, Event, Job, Link, Opened, Origin, Report, Torrent, Transport};
use tombolo_core::key::SwarmKey;
use tombolo_core::session::Session;
use tombolo_core::status::Traffic;
use tombolo_core::swarm::Priority;
use tombolo_core::time::Time;

use super::buffers::Buffers;
use super::directory::Directory;
use super::greet::Local;
use super::link::{Flow, Framing, Pump};
use super::negotiation::Negotiations;
use super::stream::Stream;
use super::usage::Usage;
use super::{Place, ShardConfig};
use crate::finding::Ask;
use crate::outside::Outside;
use crate::rtc::Rtc;
use crate::storage::Disk;

/// The least room that the session is told of: a block with its head, which is never split, fits.
const LEAST: usize = 20 << 10;

/// A link as the driver holds it.
struct Held {
    torrent: Torrent,
    transport: Transport,
    flow: Rc<Flow>,
}

/// What a shard has in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Links over data channels.
    pub rtc: usize,
    /// Links over relay WebSockets.
    pub wire: usize,
    /// Links over TCP and uTP.
    pub native: usize,
    /// PIECE bytes received since the start.
    pub received: Traffic,
    /// PIECE bytes sent since the start.
    pub sent: Traffic,
    /// Pieces that failed their hash since the start.
    pub hash_failures: u64,
    /// Bytes of pieces in the cache.
    pub cache: u64,
}

/// The driver of one session.
pub(crate) struct Driver {
    session: RefCell<Session>,
    start: Instant,
    config: ShardConfig,
    disk: Disk,
    outside: Outside,
    usage: Arc<Usage>,
    directory: Arc<Directory>,
    reports: mpsc::UnboundedSender<(Torrent, Report)>,
    pub(super) negotiations: Negotiations,
    links: RefCell<HashMap<Link, Held>>,
    torrents: RefCell<HashSet<Torrent>>,
    /// Torrents whose storage is to be closed when the session has done with them.
    removed: RefCell<Vec<Torrent>>,
    next_link: Cell<u64>,
    buffers: RefCell<Buffers>,
    /// Requests to trackers that are not answered yet.
    asked: RefCell<HashSet<Job>>,
    /// What removed torrents had.
    past: Cell<Counts>,
    alarm: Cell<Option<Time>>,
    /// Told when [`Driver::deadline`] is earlier than it was.
    pub(super) earlier: Notify,
}

/// What a driver works with.
pub(crate) struct Parts {
    pub(crate) config: ShardConfig,
    pub(crate) disk: Disk,
    pub(crate) outside: Outside,
    pub(crate) usage: Arc<Usage>,
    pub(crate) directory: Arc<Directory>,
    pub(crate) reports: mpsc::UnboundedSender<(Torrent, Report)>,
}

impl Driver {
    pub(crate) fn new(parts: Parts, seed: u64) -> Rc<Self> {
        let Parts {
            config,
            disk,
            outside,
            usage,
            directory,
            reports,
        } = parts;
        Rc::new(Self {
            session: RefCell::new(Session::new(config.session.clone(), seed)),
            start: Instant::now(),
            config,
            disk,
            outside,
            usage,
            directory,
            reports,
            negotiations: Negotiations::default(),
            links: RefCell::default(),
            torrents: RefCell::default(),
            removed: RefCell::default(),
            next_link: Cell::new(0),
            buffers: RefCell::default(),
            asked: RefCell::default(),
            past: Cell::default(),
            alarm: Cell::new(None),
            earlier: Notify::new(),
        })
    }

    pub(crate) fn rtc(&self) -> Option<&Rtc> {
        self.config.rtc.as_deref()
    }

    /// What others see of what it uses.
    pub(super) fn usage(&self) -> &Usage {
        &self.usage
    }

    pub(super) const fn config(&self) -> &ShardConfig {
        &self.config
    }

    /// The receive memory. Not to be held across a call of the driver.
    pub(super) fn buffers(&self) -> RefMut<'_, Buffers> {
        self.buffers.borrow_mut()
    }

    fn now(&self) -> Time {
        Time::from_micros(u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    /// Takes in an event and does all that follows from it.
    pub(crate) fn handle(self: &Rc<Self>, event: Event) {
        self.handle_all([event]);
    }

    /// Takes in several events at once.
    pub(crate) fn handle_all(self: &Rc<Self>, events: impl IntoIterator<Item = Event>) {
        let now = self.now();
        for event in events {
            self.note(&event);
            self.session.borrow_mut().handle(now, event);
        }
        self.settle(now);
        for torrent in self.removed.take() {
            self.disk.close(torrent);
        }
    }

    /// Does what the session wants done.
    fn settle(self: &Rc<Self>, now: Time) {
        loop {
            let action = self.session.borrow_mut().poll(now);
            let Some(action) = action else { break };
            self.perform(action);
        }
        let session = self.session.borrow();
        self.usage.memory.set(session.memory());
        self.usage.cache.set(session.cached());
        self.usage.links.set(self.links.borrow().len() as u64);
        let deadline = session.deadline();
        let before = self.alarm.replace(deadline);
        if deadline.is_some_and(|deadline| before.is_none_or(|before| deadline < before)) {
            self.earlier.notify_one();
        }
    }

    /// Keeps the driver's own books before the session sees the event.
    fn note(&self, event: &Event) {
        match event {
            Event::Add(add) => {
                self.torrents.borrow_mut().insert(add.torrent);
                self.disk.select(add.torrent, selected(&add.priorities));
            }
            Event::Select(torrent, priorities) => self.disk.select(*torrent, selected(priorities)),
            Event::Remove(torrent) => {
                let gone = count(&mut self.session.borrow_mut(), self.now(), *torrent);
                self.past.set(sum(self.past.get(), gone));
                self.torrents.borrow_mut().remove(torrent);
                self.directory.remove(*torrent);
                self.removed.borrow_mut().push(*torrent);
            }
            Event::Received(_, data) | Event::Streamed(_, data) => self.usage.received.add(data.len()),
            Event::Fetched(job, _) | Event::Datagram(job, Err(_)) => {
                self.asked.borrow_mut().remove(job);
            }
            _ => {}
        }
    }

    fn perform(self: &Rc<Self>, action: Action) {
        let Some(action) = self.disk.perform(action) else {
            return;
        };
        match action {
            Action::Fetch { job, .. } | Action::Datagram(job, ..) => {
                self.asked.borrow_mut().insert(job);
                self.outside.perform(action);
            }
            Action::Hangup(job) => {
                self.asked.borrow_mut().remove(&job);
                self.outside.perform(action);
            }
            Action::Connect(..)
            | Action::Text(..)
            | Action::Disconnect(_)
            | Action::Stream { .. }
            | Action::Abort(_) => self.outside.perform(action),
            Action::Dial(dial, torrent, address) => self.dial(dial, torrent, (address, false)),
            Action::Punch(dial, torrent, address) => self.dial(dial, torrent, (address, true)),
            Action::Lookup(torrent, swarms) => self.ask(Ask::Lookup(torrent, swarms)),
            Action::Node(address) => self.ask(Ask::Node(address)),
            Action::Close(link, _) => {
                if let Some(held) = self.links.borrow_mut().remove(&link) {
                    held.flow.close();
                }
            }
            Action::Flush(link) => {
                if let Some(held) = self.links.borrow().get(&link) {
                    held.flow.flush();
                }
            }
            Action::MakeOffer(offer, torrent) => self.make_offer(offer, torrent),
            Action::Answer(offer, torrent, sdp) => self.answer(offer, torrent, sdp),
            Action::Accept(offer, sdp) => self.accept(offer, &sdp),
            Action::Withdraw(offer) => self.negotiations.withdraw(offer),
            Action::Report(torrent, report) => self.report(torrent, report),
            // The disk took the rest.
            _ => {}
        }
    }

    fn ask(&self, ask: Ask) {
        if let Some(finder) = &self.config.finder {
            // It ends with the process.
            let _ = finder.send(ask);
        }
    }

    fn report(&self, torrent: Torrent, report: Report) {
        if let Report::Metadata(metainfo) = &report {
            self.directory
                .alias(&metainfo.hashes.swarms().collect::<Vec<_>>(), torrent);
        }
        if matches!(report, Report::Verified(..)) {
            // One a piece, and no one outside draws piece maps: waking another thread for each costs more than hashing a small one.
            return;
        }
        // Nobody listens to the reports of a shard that is being stopped.
        let _ = self.reports.send((torrent, report));
    }

    /// When the session wants to be told that time has come.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let micros = self.alarm.get()?.as_micros();
        self.start.checked_add(std::time::Duration::from_micros(micros))
    }

    /// Pulls what there is to send on a link, about `room` bytes at most, into `frames`. False: there is no more for now.
    pub(super) fn pull(self: &Rc<Self>, link: Link, room: usize, frames: &mut impl Extend<Bytes>) -> (usize, bool) {
        let (now, mut length, mut more) = (self.now(), 0, true);
        while length < room {
            // Never so little that a block waits for a room that does not come.
            let frame = self
                .session
                .borrow_mut()
                .poll_frame(now, link, (room - length).max(LEAST));
            let Some(frame) = frame else {
                more = false;
                break;
            };
            length += frame.len();
            frames.extend(frame.iter().cloned());
        }
        self.usage.sent.add(length);
        (length, more)
    }

    /// Does what followed from pulling.
    pub(super) fn pulled(self: &Rc<Self>) {
        self.settle(self.now());
    }

    /// Looks into the session.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&mut Session, Time) -> T) -> T {
        look(&mut self.session.borrow_mut(), self.now())
    }

    /// The swarm to shake hands for, and who we are in it; `None` if the torrent is gone.
    pub(super) fn swarm(&self, torrent: Torrent, origin: Origin) -> Option<(SwarmKey, Local)> {
        let mut session = self.session.borrow_mut();
        let swarm = session.swarm(torrent, origin)?;
        let hashes = session.status(self.now(), torrent)?.hashes;
        let id = self.config.session.peer_id;
        let v2 = hashes.v1().and_then(|_| hashes.v2()).map(SwarmKey::from);
        let dht = self.config.session.dht_port.is_some();
        Some((swarm, Local { id, v2, dht }))
    }

    /// Whether a torrent is (still) here.
    pub(crate) fn has(&self, torrent: Torrent) -> bool {
        self.torrents.borrow().contains(&torrent)
    }

    /// The torrents of this shard.
    pub(crate) fn torrents(&self) -> Vec<Torrent> {
        self.torrents.borrow().iter().copied().collect()
    }

    /// Whether trackers have been asked something that they have not answered.
    pub(crate) fn is_asking(&self) -> bool {
        !self.asked.borrow().is_empty()
    }

    /// The shard in numbers.
    pub(crate) fn counts(&self, session: &mut Session, now: Time) -> Counts {
        let mut counts = Counts {
            cache: session.cached(),
            ..self.past.get()
        };
        for torrent in self.torrents.borrow().iter() {
            counts = sum(counts, count(session, now, *torrent));
        }
        for held in self.links.borrow().values() {
            match held.transport {
                Transport::Rtc => counts.rtc += 1,
                Transport::Wire => counts.wire += 1,
                Transport::Tcp | Transport::Utp => counts.native += 1,
                // No link is of that kind.
                Transport::Http => {}
            }
        }
        counts
    }

    /// Tells the session of a link that is past its handshake.
    pub(super) fn open(
        self: &Rc<Self>,
        torrent: Torrent,
        greeting: Greeting,
        (transport, origin): (Transport, Origin),
        address: Option<SocketAddr>,
    ) -> (Link, Rc<Flow>) {
        let link = Link(self.next_link.get());
        self.next_link.set(link.0 + 1);
        let flow = Rc::new(Flow::default());
        self.links.borrow_mut().insert(
            link,
            Held {
                torrent,
                transport,
                flow: flow.clone(),
            },
        );
        self.handle(Event::Opened(Box::new(Opened {
            link,
            torrent,
            greeting,
            transport,
            origin,
            address,
        })));
        (link, flow)
    }

    /// Pumps a stream that is past its handshake, on a task of its own that holds `place` for as long.
    pub(super) fn pump(
        self: &Rc<Self>,
        (link, flow): (Link, Rc<Flow>),
        stream: impl Stream + 'static,
        framing: Framing,
        place: Option<Place>,
    ) {
        let pump = Pump::new(self.clone(), link, flow, stream, framing);
        tokio::task::spawn_local(async move {
            pump.run().await;
            drop(place);
        });
    }

    /// The stream of a link is over.
    pub(super) fn link_ended(self: &Rc<Self>, link: Link, flow: &Flow) {
        flow.close();
        if self.links.borrow_mut().remove(&link).is_some() {
            self.handle(Event::Closed(link));
        }
    }

    /// How many links of a torrent are web peers'.
    pub(crate) fn web_links(&self, torrent: Torrent) -> usize {
        let is_web = |held: &&Held| held.torrent == torrent && held.transport.is_web();
        self.links.borrow().values().filter(is_web).count()
    }
}

/// Numbers of one torrent; links are counted elsewhere.
fn count(session: &mut Session, now: Time, torrent: Torrent) -> Counts {
    session
        .status(now, torrent)
        .map_or_else(Counts::default, |status| Counts {
            received: status.received,
            sent: status.sent,
            hash_failures: status.hash_failures,
            ..Counts::default()
        })
}

fn selected(priorities: &[Priority]) -> Vec<bool> {
    priorities.iter().map(|priority| *priority != Priority::Skip).collect()
}

/// Two shards, or two torrents, together.
pub(crate) fn sum(a: Counts, b: Counts) -> Counts {
    let traffic = |a: Traffic, b: Traffic| Traffic {
        native: a.native + b.native,
        rtc: a.rtc + b.rtc,
        wire: a.wire + b.wire,
        http: a.http + b.http,
    };
    Counts {
        rtc: a.rtc + b.rtc,
        wire: a.wire + b.wire,
        native: a.native + b.native,
        received: traffic(a.received, b.received),
        sent: traffic(a.sent, b.sent),
        hash_failures: a.hash_failures + b.hash_failures,
        cache: a.cache + b.cache,
    }
}
