//! One torrent and its peers.
//!
//! Messages come in by `receive`, what they make possible is done in `settle` (once for any number of messages), and what is to be
//! sent is pulled by `poll_frame`. Peers that something changed for are in the list `dirty`.

pub mod choker;
pub mod depth;
pub mod open;
pub mod picker;
pub mod rate;
pub mod reason;
pub mod window;

mod announce;
#[cfg(feature = "native")]
mod announce_udp;
pub(crate) mod assembly;
#[cfg_attr(not(feature = "native"), path = "no_bridge.rs")]
pub(crate) mod bridge;
pub(crate) mod content;
#[cfg_attr(not(feature = "native"), path = "no_dialer.rs")]
pub(crate) mod dialer;
mod download;
#[cfg(feature = "native")]
mod find;
#[cfg(not(feature = "native"))]
#[path = "no_find.rs"]
mod find;
mod introduce;
pub(crate) mod limits;
pub(crate) mod metadata;
#[cfg_attr(not(feature = "native"), path = "no_native.rs")]
mod native;
#[cfg_attr(not(feature = "native"), path = "no_own_layers.rs")]
mod own_layers;
pub(crate) mod peer;
#[cfg(feature = "native")]
mod pex;
mod promise;
pub(crate) mod proofs;
pub(crate) mod prove;
#[cfg(feature = "native")]
mod punch;
mod reads;
mod receive;
mod spare;
mod storage;
#[cfg_attr(not(feature = "native"), path = "no_super_seed.rs")]
mod super_seed;
mod tick;
mod upload;
#[cfg_attr(not(feature = "native"), path = "no_usage.rs")]
pub(crate) mod usage;
pub(crate) mod web_seed;

use alloc::sync::Arc;
use alloc::vec::Vec;

pub use picker::Priority;

use crate::event::{Action, Add, Link, Mode, Opened, Origin, Report, Source, Torrent};
use crate::gather::Gather;
use crate::key::{InfoHashes, SwarmKey};
use crate::map::Map;
use crate::metainfo::Metainfo;
use crate::session::context::Context;
use crate::status::Traffic;
use crate::time::Time;
use crate::tracker::announcer::Announcer;
use content::Content;
use dialer::Dialer;
use find::Finder;
use introduce::Introductions;
use limits::Limits;
use metadata::MetadataFetch;
use peer::Peer;
use rate::{Meter, QUICK};
use reason::Reason;
use super_seed::SuperSeed;
use tick::Clock;
use usage::Usage;
use web_seed::WebSeeds;
use window::{Playback, Window};

/// One torrent and its peers.
pub(crate) struct Swarm {
    pub(crate) torrent: Torrent,
    pub(crate) hashes: InfoHashes,
    pub(crate) mode: Mode,
    pub(crate) paused: bool,
    priorities: Vec<Priority>,
    /// What it is, once the metainfo is known.
    pub(crate) content: Option<Content>,
    pub(crate) metadata: MetadataFetch,
    pub(crate) peers: Map<Link, Peer>,
    /// The peer of each slot: slots are the picker's names for links.
    slots: Vec<Option<Link>>,
    dirty: Vec<Link>,
    pub(crate) dialer: Dialer,
    pub(crate) announcer: Announcer,
    finder: Finder,
    introductions: Introductions,
    pub(crate) web_seeds: WebSeeds,
    super_seed: SuperSeed,
    pub(crate) received: Traffic,
    pub(crate) sent: Traffic,
    pub(crate) sent_cached: u64,
    pub(crate) rates: Rates,
    pub(crate) limits: Limits,
    usage: Usage,
    clock: Clock,
}

/// The rates of a whole torrent.
pub(crate) struct Rates {
    pub(crate) down: Meter,
    pub(crate) up: Meter,
}

impl Swarm {
    pub(crate) fn new(add: Add, cx: &mut Context) -> Self {
        let mut web_seeds = WebSeeds::default();
        let (hashes, own_trackers, metainfo) = match add.source {
            Source::Metainfo(metainfo) => (metainfo.hashes, metainfo.trackers.clone(), Some(metainfo)),
            Source::Magnet(magnet) => {
                web_seeds.named = magnet.web_seeds;
                let tiers = magnet.trackers.into_iter().map(|url| alloc::vec![url]);
                (magnet.hashes, tiers.gather(), None)
            }
        };
        let tiers = match add.trackers {
            Some(urls) => urls.into_iter().map(|url| alloc::vec![url]).gather(),
            None => own_trackers,
        };
        let mut swarm = Self {
            torrent: add.torrent,
            hashes,
            mode: add.mode,
            paused: false,
            priorities: add.priorities,
            content: None,
            metadata: MetadataFetch::default(),
            peers: Map::new(),
            slots: Vec::new(),
            dirty: Vec::new(),
            dialer: Dialer::default(),
            announcer: Announcer::new(tiers, cx),
            finder: Finder::new(&cx.config, cx.now),
            introductions: Introductions::default(),
            web_seeds,
            super_seed: SuperSeed::new(cx.config.super_seed),
            received: Traffic::default(),
            sent: Traffic::default(),
            sent_cached: 0,
            rates: Rates {
                down: Meter::new(QUICK),
                up: Meter::new(QUICK),
            },
            limits: Limits::new(&cx.config),
            usage: Usage::default(),
            clock: Clock::new(cx.now),
        };
        swarm.announce_both(cx);
        add.peers
            .into_iter()
            .for_each(|address| swarm.dialer.add(address, cx.now));
        if let Some(metainfo) = metainfo {
            swarm.open(cx, metainfo);
        }
        swarm
    }

    /// A hybrid is announced under both of its names (BEP 52).
    pub(super) fn announce_both(&mut self, cx: &Context) {
        if let (Some(_), Some(v2)) = (self.hashes.v1(), self.hashes.v2()) {
            self.announcer.also(v2.into(), cx.now);
        }
    }

    /// The metainfo is known: storage is to be opened, and what peers said of their pieces can be read.
    pub(super) fn open(&mut self, cx: &mut Context, metainfo: Arc<Metainfo>) {
        let content = Content::new(Arc::clone(&metainfo), self.mode, &self.priorities);
        let layout = content.layout.clone();
        self.content = Some(content);
        self.find_web_seeds(cx, &metainfo);
        cx.act(Action::Open(self.torrent, metainfo));
        let links: Vec<Link> = self.peers.keys().copied().gather();
        for link in links {
            let Some(peer) = self.peers.get_mut(&link) else {
                continue;
            };
            match peer.learn_layout(&layout) {
                Ok(()) => self.count_in(link, false),
                Err(reason) => self.close(cx, link, reason),
            }
        }
    }

    /// A link is past its handshake.
    pub(crate) fn peer_opened(&mut self, cx: &mut Context, opened: Opened) {
        let link = opened.link;
        let inbound = self.is_inbound(opened.origin);
        match opened.origin {
            Origin::Dialled(dial) => self.dialer.link(dial, link),
            Origin::Offered(offer) => {
                self.announcer.offers.finish(offer);
            }
            Origin::Inbound | Origin::Chosen => {}
        }
        if let Err(reason) = self.admit(cx, &opened, inbound) {
            if let (Reason::Ourselves | Reason::Banned | Reason::Filtered, Some(address)) = (&reason, opened.address) {
                self.dialer.forget(address);
            }
            self.dialer.unlink(link, false, cx.now);
            cx.act(Action::Close(link, reason));
            return;
        }
        let slot = self.free_slot(link);
        let mut peer = Peer::new(&opened, slot, cx);
        peer.inbound = inbound;
        peer.v2 = self
            .hashes
            .v2()
            .is_some_and(|hash| SwarmKey::from(hash) == opened.greeting.swarm);
        let reserved = opened.greeting.reserved;
        peer.framer.push(opened.greeting.rest);
        if let Some(content) = &self.content {
            // Nothing was said yet, so there is nothing to be wrong.
            let _ = peer.learn_layout(&content.layout);
        }
        self.peers.insert(link, peer);
        self.count_usage(cx);
        cx.report(self.torrent, Report::PeerOpened(link));
        self.greet(cx, link);
        self.tell_port(cx, link, reserved);
        self.clock.wake(cx.now);
        self.receive(cx, link, bytes::Bytes::new());
    }

    /// Whether the other end brought a link about: it connected, or it made the offer.
    fn is_inbound(&self, origin: Origin) -> bool {
        match origin {
            Origin::Inbound => true,
            Origin::Offered(offer) => self.announcer.offers.theirs(offer).is_some(),
            Origin::Dialled(_) | Origin::Chosen => false,
        }
    }

    /// Whether a new link is wanted. Of two links to one peer the one that its lower peer id dialled stays, so that both
    /// ends keep the same; of two in one direction the first.
    fn admit(&mut self, cx: &mut Context, opened: &Opened, inbound: bool) -> Result<(), Reason> {
        let id = opened.greeting.peer_id;
        if id == cx.config.peer_id {
            return Err(Reason::Ourselves);
        }
        if self.paused {
            return Err(Reason::Stopped);
        }
        if cx.bans.bans_peer(id, opened.address) {
            return Err(Reason::Banned);
        }
        let other = self.peers.values().find(|peer| peer.id == id);
        if let Some(other) = other {
            let ours_is_lower = cx.config.peer_id < id;
            let crossed = other.inbound != inbound;
            if !(crossed && inbound != ours_is_lower) {
                return Err(Reason::Duplicate);
            }
            let other = other.link;
            self.close(cx, other, Reason::Duplicate);
        }
        if opened.address.is_some_and(|address| cx.bans.filters(address)) {
            return Err(Reason::Filtered);
        }
        let full = self.room(cx) == 0 && opened.origin != Origin::Chosen;
        if full && !self.make_room(cx, opened.address) {
            return Err(Reason::Full);
        }
        Ok(())
    }

    /// The other end closed the link, or it broke.
    pub(crate) fn peer_closed(&mut self, cx: &mut Context, link: Link) {
        if self.forget(cx, link) {
            cx.report(self.torrent, Report::PeerClosed(link, None));
        }
    }

    /// Closes a link.
    pub(crate) fn close(&mut self, cx: &mut Context, link: Link, reason: Reason) {
        if self.forget(cx, link) {
            cx.act(Action::Close(link, reason.clone()));
            cx.report(self.torrent, Report::PeerClosed(link, Some(reason)));
        }
    }

    /// Closes every link.
    pub(crate) fn close_all(&mut self, cx: &mut Context, reason: &Reason) {
        let links: Vec<Link> = self.peers.keys().copied().gather();
        links.into_iter().for_each(|link| self.close(cx, link, reason.clone()));
    }

    /// Takes a peer out of everything it is part of; false if it is not there.
    fn forget(&mut self, cx: &mut Context, link: Link) -> bool {
        let Some(peer) = self.peers.remove(&link) else {
            return false;
        };
        // So that whoever comes in the same turn finds its place free.
        self.count_usage(cx);
        self.slots[peer.slot as usize] = None;
        self.metadata.give_up_on(link);
        self.lose_introducer(link);
        self.dialer.unlink(link, peer.received + peer.sent > 0, cx.now);
        if let Some(content) = &mut self.content {
            if let Some(pieces) = peer.pieces() {
                content.picker.remove_peer(pieces);
            }
            content.picker.release_link(peer.slot);
            content.settle_memory(cx);
            content.proofs.forget(link);
            if let Some(bridge) = &mut content.bridge {
                bridge.spoil();
            }
        }
        for upload in peer.uploads.iter().filter(|upload| upload.data.is_none()) {
            self.unwant(cx, upload.range.piece);
        }
        self.touch_hungry();
        // Someone may be waiting for the place.
        self.clock.wake(cx.now);
        true
    }

    fn free_slot(&mut self, link: Link) -> u32 {
        let free = self.slots.iter().position(Option::is_none).unwrap_or(self.slots.len());
        match self.slots.get_mut(free) {
            Some(slot) => *slot = Some(link),
            None => self.slots.push(Some(link)),
        }
        free as u32
    }

    fn link_of(&self, slot: u32) -> Option<Link> {
        self.slots.get(slot as usize).copied().flatten()
    }

    /// More addresses of peers.
    #[cfg(feature = "native")]
    pub(crate) fn add_peers(&mut self, cx: &mut Context, peers: Vec<crate::address::Address>) {
        for address in peers.into_iter().filter(|address| !cx.bans.refuses(*address)) {
            self.dialer.add(address, cx.now);
        }
        self.clock.wake(cx.now);
    }

    /// A dial came to nothing.
    #[cfg(feature = "native")]
    pub(crate) fn dial_failed(&mut self, cx: &mut Context, dial: crate::event::Dial) {
        if let Some(address) = self.dialer.fail(dial, cx.now) {
            self.ask_for_punch(cx, address);
        }
        self.count_usage(cx);
    }

    /// The piece of a bridge's cache that nobody asked for for longest.
    #[cfg(feature = "native")]
    pub(crate) fn oldest_cached(&self) -> Option<(Time, crate::layout::Piece)> {
        self.content.as_ref()?.bridge.as_ref()?.oldest()
    }

    /// The priority of a file, as last selected.
    pub(crate) fn priority(&self, file: usize) -> Priority {
        self.priorities.get(file).copied().unwrap_or_default()
    }

    /// What a peer has is known in full: counts it.
    fn count_in(&mut self, link: Link, first: bool) {
        if let (Some(content), Some(pieces)) = (&mut self.content, self.peers.get(&link).and_then(Peer::pieces)) {
            content.picker.add_peer(pieces);
            if let Some(bridge) = &mut content.bridge {
                bridge.spoil();
                // Whom this peer may ask for something is to be known to us by then.
                self.touch_hungry();
            }
        }
        self.first_promise(link, first);
        self.touch(link);
    }

    /// New priorities of the files.
    pub(crate) fn select(&mut self, cx: &mut Context, priorities: Vec<Priority>) {
        self.priorities = priorities;
        if let Some(content) = &mut self.content {
            let dropped = content.prioritise(&self.priorities);
            content.settle_memory(cx);
            self.cancel(&dropped);
        }
        self.check_complete(cx);
        self.touch_all();
    }

    /// Plays a part of the torrent, or no longer: requests outside the new window are cancelled.
    pub(crate) fn play(&mut self, cx: &mut Context, playback: Option<Playback>) {
        let Some(content) = &mut self.content else { return };
        let window = playback.map(|playback| Window::new(&content.layout, &playback, cx.now));
        let seek = match (&window, &content.window) {
            (Some(new), Some(old)) => new.is_seek_from(old),
            (new, _) => new.is_some(),
        };
        content.picker.set_window(window.as_ref());
        content.window = window;
        if seek {
            let undue = content.picker.release_undue();
            self.cancel(&undue);
        }
        self.touch_all();
    }

    /// Stops trading, or goes on.
    pub(crate) fn pause(&mut self, cx: &mut Context, paused: bool) {
        self.paused = paused;
        if paused {
            self.close_all(cx, &Reason::Stopped);
            self.stop_web_seeds(cx);
            self.dialer.stop(cx.now);
            self.announce_stopped(cx);
        } else {
            self.announcer.start(cx.now);
            self.finder.restart(cx.now);
        }
        self.count_usage(cx);
        self.clock.wake(cx.now);
    }

    /// Whether only trackers may be asked for its peers.
    pub(super) fn is_private(&self) -> bool {
        self.content.as_ref().is_some_and(|content| content.metainfo.private)
    }

    /// Marks a peer to be looked at again.
    fn touch(&mut self, link: Link) {
        if let Some(peer) = self.peers.get_mut(&link)
            && !peer.dirty
        {
            peer.dirty = true;
            self.dirty.push(link);
        }
    }

    /// Requests were freed or pieces wanted anew: those who could take more may.
    fn touch_hungry(&mut self) {
        self.touch_where(|peer| peer.hungry);
    }

    fn touch_all(&mut self) {
        self.touch_where(|_| true);
    }

    fn touch_where(&mut self, which: impl Fn(&Peer) -> bool) {
        self.web_seeds.stirred = true;
        for (link, peer) in self.peers.iter_mut() {
            if !peer.dirty && which(peer) {
                peer.dirty = true;
                self.dirty.push(*link);
            }
        }
    }

    /// Does what events made possible. Cheap when nothing did.
    pub(crate) fn settle(&mut self, cx: &mut Context) {
        self.settle_promises();
        self.settle_super_seed(cx);
        if self.content.as_mut().is_some_and(|content| content.fill_cache(cx)) {
            self.touch_all();
        }
        loop {
            self.settle_peers(cx);
            if !core::mem::take(&mut self.web_seeds.stirred) {
                return;
            }
            // After the peers, so that they choose first.
            self.ask_web_seeds(cx);
        }
    }

    fn settle_peers(&mut self, cx: &mut Context) {
        while let Some(link) = self.dirty.pop() {
            let Some(peer) = self.peers.get_mut(&link) else {
                continue;
            };
            peer.dirty = false;
            self.feed_uploads(cx, link);
            self.top_up(cx, link);
            self.flush(cx, link);
        }
        self.count_usage(cx);
    }

    /// Tells the shell that a link has something to send, unless it knows.
    fn flush(&mut self, cx: &mut Context, link: Link) {
        if let Some(peer) = self.peers.get_mut(&link)
            && !peer.flushing
            && peer.has_output()
        {
            peer.flushing = true;
            cx.act(Action::Flush(link));
        }
    }

    /// When something is to be done though nothing happens.
    pub(crate) fn deadline(&self) -> Option<Time> {
        let trackers = self.announcer.deadline(self.is_checking());
        let clock = (!self.paused && self.is_busy()).then(|| self.clock.next());
        let dialer = if self.paused { None } else { self.dialer.deadline() };
        let finder = if self.paused { None } else { self.finder.deadline() };
        [trackers, clock, finder, dialer.map(|at| at.max(self.clock.next()))]
            .into_iter()
            .flatten()
            .min()
    }

    /// Whether the metainfo is known and what storage holds is not.
    fn is_checking(&self) -> bool {
        self.content.as_ref().is_some_and(|content| !content.restored)
    }

    fn is_busy(&self) -> bool {
        !self.peers.is_empty() || self.has_web_work()
    }
}
