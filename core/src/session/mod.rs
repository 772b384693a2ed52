//! The one door of the core: all torrents of one shard.
//!
//! [`Session::handle`] takes in what happened, [`Session::poll`] gives what is to be done, [`Session::poll_frame`] gives each link its
//! next bytes. What an event makes possible is done when `poll` finds nothing queued, once for any number of events.

pub(crate) mod context;
mod observe;
pub(crate) mod sockets;

use alloc::vec::Vec;

use crate::config::Config;
use crate::event::{Action, Add, Event, Link, Opened, Socket, Torrent};
use crate::gather::Gather;
use crate::map::{Map, Set};
use crate::slices::Slices;
use crate::swarm::Swarm;
use crate::swarm::reason::Reason;
use crate::time::Time;
use crate::tracker::ws::Reply;
use context::Context;

/// All torrents of one shard, as one deterministic state machine. See [`crate::event`] for what goes in and out.
pub struct Session {
    cx: Context,
    swarms: Map<Torrent, Swarm>,
    links: Map<Link, Torrent>,
    /// Torrents that an event touched since they were last settled.
    touched: Vec<Torrent>,
    /// When each torrent is due.
    due: Map<Torrent, Time>,
    timers: Set<(Time, Torrent)>,
}

impl Session {
    /// A session without torrents. All its randomness follows from `seed`.
    pub fn new(config: Config, seed: u64) -> Self {
        Self {
            cx: Context::new(config, seed),
            swarms: Map::new(),
            links: Map::new(),
            touched: Vec::new(),
            due: Map::new(),
            timers: Set::new(),
        }
    }

    /// Takes in what happened. Infallible: a peer's fault becomes [`Action::Close`]. Any number of calls before
    /// [`poll`](Self::poll); no order is wrong, and what is no longer of use is ignored.
    pub fn handle(&mut self, now: Time, event: Event) {
        self.cx.now = self.cx.now.max(now);
        match event {
            Event::Add(add) => self.add(*add),
            Event::Remove(torrent) => self.remove(torrent),
            Event::Opened(opened) => self.opened(*opened),
            Event::Received(link, data) => self.with_link(link, |swarm, cx| swarm.receive(cx, link, data)),
            Event::Closed(link) => {
                self.with_link(link, |swarm, cx| swarm.peer_closed(cx, link));
                self.links.remove(&link);
            }
            Event::Limit(up, down) => {
                self.cx.up.set_rate(up, self.cx.now);
                self.cx.down.set_rate(down, self.cx.now);
            }
            #[cfg(feature = "native")]
            Event::Filter(filter) => self.refilter(filter),
            #[cfg(feature = "native")]
            Event::Budgets(budgets) => {
                self.cx.rebudget(budgets);
                self.keep_cache();
            }
            Event::Due => self.fire(),
            Event::Connected(socket) => self.cx.connected(socket),
            Event::Disconnected(socket, why) => self.disconnected(socket, &why),
            Event::Text(socket, text) => self.text(socket, &text),
            other => self.forward(other),
        }
    }

    /// Events that name a torrent, or a handle that was made for one.
    fn forward(&mut self, event: Event) {
        match event {
            Event::Pause(torrent, paused) => self.with(torrent, |swarm, cx| swarm.pause(cx, paused)),
            Event::LimitTorrent(torrent, up, down) => {
                self.with(torrent, |swarm, cx| swarm.limits.set(up, down, cx.now))
            }
            Event::Select(torrent, priorities) => self.with(torrent, |swarm, cx| swarm.select(cx, priorities)),
            Event::Play(torrent, playback) => self.with(torrent, |swarm, cx| swarm.play(cx, playback)),
            #[cfg(feature = "native")]
            Event::Peers(torrent, peers) => self.with(torrent, |swarm, cx| swarm.add_peers(cx, peers)),
            Event::Restored { torrent, held, check } => {
                self.with(torrent, |swarm, cx| swarm.restored(cx, &held, &check))
            }
            Event::Hashed(job, digests) => self.with_job(job.0, |swarm, cx| swarm.hashed(cx, job, digests)),
            Event::Checked(job, digests) => self.with_job(job.0, |swarm, cx| swarm.checked(cx, job, digests)),
            Event::Stored(job, result) => self.with_job(job.0, |swarm, cx| swarm.stored(cx, job, result)),
            Event::StorageFull(torrent, full) => self.with(torrent, |swarm, cx| swarm.storage_full(cx, full)),
            Event::Lost(torrent, piece) => self.with(torrent, |swarm, cx| swarm.lost(cx, piece)),
            Event::Loaded(job, result) => self.with_job(job.0, |swarm, cx| swarm.loaded(cx, job, result)),
            #[cfg(feature = "native")]
            Event::DialFailed(dial) => self.with_job(dial.0, |swarm, cx| swarm.dial_failed(cx, dial)),
            #[cfg(feature = "native")]
            Event::Fetched(job, result) => self.with_job(job.0, |swarm, cx| swarm.fetched(cx, job, result)),
            Event::Streamed(job, data) => self.with_handle(job.0, |swarm, cx| swarm.web_seed_sent(cx, job, data)),
            Event::StreamEnded(job, result) => {
                self.with_job(job.0, |swarm, cx| swarm.web_seed_ended(cx, job, result));
            }
            Event::Described(offer, sdp) => self.with_handle(offer.0, |swarm, cx| swarm.described(cx, offer, sdp)),
            #[cfg(feature = "native")]
            Event::Datagram(job, result) => self.with_handle(job.0, |swarm, cx| swarm.datagram(cx, job, result)),
            Event::OfferFailed(offer) => self.with_job(offer.0, |swarm, cx| swarm.offer_failed(cx, offer)),
            _ => {}
        }
    }

    /// The next thing to do; `None` when quiet.
    pub fn poll(&mut self, now: Time) -> Option<Action> {
        self.cx.now = self.cx.now.max(now);
        loop {
            if let Some(action) = self.cx.next_action() {
                if let Action::Close(link, _) = &action {
                    self.links.remove(link);
                }
                return Some(action);
            }
            let torrent = self.touched.pop()?;
            self.settle(torrent);
        }
    }

    /// When to send [`Event::Due`]; `None` if never.
    pub fn deadline(&self) -> Option<Time> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// The next bytes for `link`, at most `room` of them. A block is never split: it waits until it fits with its 13 bytes
    /// of head. `None`: nothing that fits, for now.
    pub fn poll_frame(&mut self, now: Time, link: Link, room: usize) -> Option<Slices> {
        self.cx.now = self.cx.now.max(now);
        let torrent = *self.links.get(&link)?;
        let frame = self.swarms.get_mut(&torrent)?.poll_frame(&mut self.cx, link, room);
        if self.cx.has_actions() || frame.is_none() {
            self.touch(torrent);
        }
        frame
    }

    fn add(&mut self, add: Add) {
        let torrent = add.torrent;
        self.remove(torrent);
        let swarm = Swarm::new(add, &mut self.cx);
        self.swarms.insert(torrent, swarm);
        self.touch(torrent);
    }

    fn remove(&mut self, torrent: Torrent) {
        let Some(mut swarm) = self.swarms.remove(&torrent) else {
            return;
        };
        swarm.pause(&mut self.cx, true);
        if let Some(content) = &mut swarm.content {
            content.release(&mut self.cx);
        }
        self.cx.disown(torrent);
        self.set_due(torrent, None);
    }

    fn opened(&mut self, opened: Opened) {
        match self.swarms.get_mut(&opened.torrent) {
            Some(swarm) => {
                let torrent = opened.torrent;
                self.links.insert(opened.link, torrent);
                swarm.peer_opened(&mut self.cx, opened);
                self.touch(torrent);
            }
            None => self.cx.act(Action::Close(opened.link, Reason::UnknownTorrent)),
        }
    }

    fn disconnected(&mut self, socket: Socket, why: &str) {
        let Some(url) = self.cx.disconnected(socket) else {
            return;
        };
        for torrent in self.swarms.keys().copied().gather() {
            self.with(torrent, |swarm, cx| swarm.tracker_lost(cx, &url, why));
        }
    }

    fn text(&mut self, socket: Socket, text: &str) {
        let Some(url) = self.cx.url_of(socket) else { return };
        let Ok(message) = Reply::decode(text) else { return };
        let named = match &message {
            Reply::Announced(key, _) | Reply::Failed(Some(key), _) => Some(*key),
            Reply::Offer(signal) | Reply::Answer(signal) => Some(signal.swarm),
            _ => None,
        };
        let has = |swarm: &Swarm| named.is_some_and(|key| swarm.hashes.swarms().any(|swarm| swarm == key));
        let torrent = self
            .swarms
            .iter()
            .find(|(_, swarm)| has(swarm))
            .map(|(torrent, _)| *torrent);
        if let Some(torrent) = torrent {
            self.with(torrent, |swarm, cx| swarm.tracker_message(cx, &url, message));
        }
    }

    /// Takes over other lists of addresses.
    #[cfg(feature = "native")]
    fn refilter(&mut self, filter: alloc::sync::Arc<crate::filter::Filter>) {
        self.cx.bans.filter = filter;
        for torrent in self.swarms.keys().copied().collect::<Vec<_>>() {
            self.with(torrent, Swarm::refilter);
        }
    }

    /// Settles every torrent that is due.
    fn fire(&mut self) {
        while let Some(&(at, torrent)) = self.timers.first() {
            if at > self.cx.now {
                break;
            }
            self.timers.remove(&(at, torrent));
            self.due.remove(&torrent);
            self.touch(torrent);
        }
    }

    fn settle(&mut self, torrent: Torrent) {
        let Some(swarm) = self.swarms.get_mut(&torrent) else {
            return;
        };
        swarm.tick(&mut self.cx);
        swarm.settle(&mut self.cx);
        let due = swarm.deadline();
        self.set_due(torrent, due);
        #[cfg(feature = "native")]
        self.keep_cache();
    }

    /// Holds the cache of all bridged torrents together to its budget: the piece nobody asked for for longest goes first.
    #[cfg(feature = "native")]
    fn keep_cache(&mut self) {
        while self.cx.cached > self.cx.config.cache {
            let oldest = |(torrent, swarm): (&Torrent, &Swarm)| Some((swarm.oldest_cached()?, *torrent));
            let Some(((_, piece), torrent)) = self.swarms.iter().filter_map(oldest).min() else {
                break;
            };
            self.with(torrent, |swarm, cx| swarm.evict(cx, piece));
        }
    }

    fn set_due(&mut self, torrent: Torrent, due: Option<Time>) {
        if self.due.get(&torrent).copied() == due {
            return;
        }
        if let Some(before) = self.due.remove(&torrent) {
            self.timers.remove(&(before, torrent));
        }
        if let Some(at) = due.filter(|at| *at != Time::NEVER) {
            self.due.insert(torrent, at);
            self.timers.insert((at, torrent));
        }
    }

    fn touch(&mut self, torrent: Torrent) {
        if !self.touched.contains(&torrent) {
            self.touched.push(torrent);
        }
    }

    /// A torrent that something happens to. Apart from what happens, since that is many things, each with its own code.
    #[inline(never)]
    fn of(&mut self, torrent: Torrent) -> Option<(&mut Swarm, &mut Context)> {
        self.touch(torrent);
        let swarm = self.swarms.get_mut(&torrent)?;
        Some((swarm, &mut self.cx))
    }

    #[inline(never)]
    fn of_link(&mut self, link: Link) -> Option<(&mut Swarm, &mut Context)> {
        let torrent = *self.links.get(&link)?;
        self.of(torrent)
    }

    /// The torrent that a handle was made for; `last` when it is answered for the last time.
    #[inline(never)]
    fn of_handle(&mut self, handle: u64, last: bool) -> Option<(&mut Swarm, &mut Context)> {
        let torrent = self.cx.owner(handle);
        if last {
            self.cx.retire(handle);
        }
        self.of(torrent?)
    }

    fn with(&mut self, torrent: Torrent, act: impl FnOnce(&mut Swarm, &mut Context)) {
        if let Some((swarm, cx)) = self.of(torrent) {
            act(swarm, cx);
        }
    }

    fn with_link(&mut self, link: Link, act: impl FnOnce(&mut Swarm, &mut Context)) {
        if let Some((swarm, cx)) = self.of_link(link) {
            act(swarm, cx);
        }
    }

    fn with_handle(&mut self, handle: u64, act: impl FnOnce(&mut Swarm, &mut Context)) {
        if let Some((swarm, cx)) = self.of_handle(handle, false) {
            act(swarm, cx);
        }
    }

    fn with_job(&mut self, handle: u64, act: impl FnOnce(&mut Swarm, &mut Context)) {
        if let Some((swarm, cx)) = self.of_handle(handle, true) {
            act(swarm, cx);
        }
    }
}
