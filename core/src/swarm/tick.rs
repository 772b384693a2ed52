//! What time alone brings: choking rounds, time-outs, keep-alives, dialling.

use alloc::vec::Vec;

use super::Swarm;
use super::choker::{self, Candidate, FastestFirst, Policy, ROUND, Round, SNUBBED, TitForTat};
use super::content::Content;
use super::peer::Peer;
use super::reason::Reason;
use crate::event::{Action, Link};
use crate::gather::Gather;
use crate::session::context::Context;
use crate::time::{Span, Time};
use crate::wire::message::Message;

/// How often a torrent with peers is looked after.
const TICK: Span = Span::from_secs(1);

/// The shortest wait for a rate limit: it bounds how often a limited torrent wakes.
const THROTTLE: Span = Span::from_millis(10);

/// A link on which nothing was sent for so long gets a keep-alive (BEP 3: two minutes, less what it may travel).
const KEEP_ALIVE: Span = Span::from_secs(100);

/// A link on which nothing came for so long is closed: two keep-alives were missed.
const SILENCE: Span = Span::from_secs(240);

/// Bytes of control messages that may wait for a peer that does not read them.
const MAX_BACKLOG: usize = 4 << 20;

/// When what is due by time.
pub(super) struct Clock {
    tick: Time,
    round: Time,
    giving: TitForTat,
    seeding: FastestFirst,
}

impl Clock {
    pub(super) fn new(now: Time) -> Self {
        Self {
            tick: now,
            round: now + ROUND,
            giving: TitForTat::default(),
            seeding: FastestFirst::default(),
        }
    }

    /// When the next tick is due.
    pub(super) const fn next(&self) -> Time {
        self.tick
    }

    /// There is something to do now.
    pub(super) fn wake(&mut self, now: Time) {
        self.tick = self.tick.min(now);
    }

    /// A rate limit will let something pass at that time.
    pub(super) fn by(&mut self, time: Time, now: Time) {
        self.tick = self.tick.min(time.max(now + THROTTLE));
    }
}

impl Swarm {
    /// Does what is due. Called for any event; cheap when nothing is.
    pub(crate) fn tick(&mut self, cx: &mut Context) {
        self.announce(cx);
        self.find(cx);
        if self.clock.tick > cx.now || self.paused {
            return;
        }
        self.clock.tick = cx.now + TICK;
        self.look_after_peers(cx);
        if self.content.is_none() && self.metadata.expire(cx.now) {
            self.touch_all();
        }
        self.expire_hashes(cx);
        self.expire_web_seeds(cx);
        self.super_seed.stir();
        if self.clock.round <= cx.now {
            self.choking_round(cx);
        } else {
            self.admit_waiting(cx);
        }
        self.dial(cx);
        self.seek_introductions(cx);
        self.touch_where(|peer| peer.hungry || peer.has_output());
        self.draw_first(cx);
    }

    /// What a limit lets pass goes to who comes first: each time to one drawn by lot, or the last link would have it all.
    fn draw_first(&mut self, cx: &mut Context) {
        if let Some(last) = self.dirty.len().checked_sub(1)
            && self.limits.are_set(cx)
        {
            self.dirty.swap(cx.rng.below(last + 1), last);
        }
    }

    fn look_after_peers(&mut self, cx: &mut Context) {
        let links: Vec<Link> = self.peers.keys().copied().gather();
        for link in links {
            let Some(peer) = self.peers.get_mut(&link) else {
                continue;
            };
            if let Some(reason) = overdue(peer, cx.now) {
                self.close(cx, link, reason);
                continue;
            }
            if cx.now.since(peer.last_sent) >= KEEP_ALIVE && !peer.has_output() {
                peer.send(&Message::KeepAlive);
            }
            self.exchange(cx, link);
            self.tell_circle(cx, link);
            let Some(peer) = self.peers.get_mut(&link) else {
                continue;
            };
            let waited = peer
                .asked
                .front()
                .map(|asked| cx.now.since(asked.at.max(peer.last_block)));
            peer.snubbed |= peer.is_asked() && cx.now.since(peer.last_block) >= SNUBBED;
            if waited.is_some_and(|waited| waited >= peer.depth.timeout()) {
                self.time_out(cx, link);
            }
            if self.is_pointless(link) {
                if let Some(address) = self.peers.get(&link).and_then(|peer| peer.address) {
                    self.dialer.forget(address);
                }
                self.close(cx, link, Reason::BothSeeds);
            }
        }
    }

    /// Whether neither end of a link can want anything of the other.
    fn is_pointless(&self, link: Link) -> bool {
        let (Some(peer), Some(content)) = (self.peers.get(&link), &self.content) else {
            return false;
        };
        let done = content.bridge.is_none() && content.is_complete();
        let finished = content.is_seed() && peer.is_seed()
            || peer.is_upload_only() && peer.pieces().is_some_and(|has| !has.is_empty());
        done && !peer.relay() && finished && !peer.theirs.interested
    }

    /// INTERESTED came: a free slot is given at once, so that nobody waits for the round to end.
    pub(super) fn on_interested(&mut self, cx: &mut Context, link: Link) {
        if let Some(peer) = self.peers.get_mut(&link) {
            peer.theirs.interested = true;
            self.admit_waiting(cx);
        }
    }

    /// NOT INTERESTED came: its slot is free for others.
    pub(super) fn on_not_interested(&mut self, cx: &mut Context, link: Link) {
        if let Some(peer) = self.peers.get_mut(&link) {
            peer.theirs.interested = false;
            self.choke(cx, link);
            self.admit_waiting(cx);
        }
    }

    fn admit_waiting(&mut self, cx: &mut Context) {
        let mut candidates = self.candidates(cx);
        for at in 0..candidates.len() {
            let candidate = candidates[at];
            if !candidate.unchoked && choker::admits(&candidate, &candidates, cx.config.unchoke_slots) {
                candidates[at].unchoked = true;
                if let Some(link) = self.link_of(candidate.link) {
                    self.unchoke(cx, link);
                }
            }
        }
    }

    fn choking_round(&mut self, cx: &mut Context) {
        self.clock.round = cx.now + ROUND;
        let candidates = self.candidates(cx);
        let round = Round {
            now: cx.now,
            slots: cx.config.unchoke_slots,
            candidates: &candidates,
        };
        let mut chosen = Vec::new();
        if self.gives() {
            self.clock.seeding.choose(&round, &mut cx.rng, &mut chosen);
        } else {
            self.clock.giving.choose(&round, &mut cx.rng, &mut chosen);
        }
        // Choke first: the slots are to be free before others get them.
        for candidate in candidates
            .iter()
            .filter(|candidate| candidate.unchoked && !chosen.contains(&candidate.link))
        {
            self.link_of(candidate.link)
                .into_iter()
                .for_each(|link| self.choke(cx, link));
        }
        for slot in chosen {
            self.link_of(slot).into_iter().for_each(|link| self.unchoke(cx, link));
        }
    }

    /// Whether it only gives: then others get its slots.
    fn gives(&self) -> bool {
        let gives = |content: &Content| content.bridge.is_some() || content.picker.left().pieces == 0;
        self.content.as_ref().is_none_or(gives)
    }

    /// The peer in the optimistic slot.
    pub(crate) fn optimistic(&self) -> Option<u32> {
        let Clock { seeding, giving, .. } = &self.clock;
        let slot = if self.gives() {
            seeding.optimistic()
        } else {
            giving.optimistic()
        };
        slot.link()
    }

    /// Who might be unchoked: nobody, where nothing is to be sent.
    fn candidates(&mut self, cx: &Context) -> Vec<Candidate> {
        let (now, sends) = (cx.now, cx.up.rate() != Some(0));
        let candidate = |peer: &mut Peer| Candidate {
            link: peer.slot,
            interested: sends && peer.theirs.interested,
            unchoked: !peer.ours.choking,
            down_rate: peer.down.rate(now),
            up_rate: peer.up.rate(now),
            snubbed: peer.snubbed,
            connected_at: peer.opened,
            unchoked_at: peer.unchoked_at,
            progress: peer.progress(),
            partner: false,
        };
        self.peers.values_mut().map(candidate).gather()
    }

    fn dial(&mut self, cx: &mut Context) {
        let room = self.dials(cx);
        if !cx.config.dials {
            return;
        }
        let (finder, config) = (&self.finder, &cx.config);
        let rank = |address| finder.rank(config, address);
        for address in self.dialer.choose(room, cx.now, &mut cx.rng, rank) {
            if cx.bans.bans_address(address) {
                self.dialer.forget(address);
                continue;
            }
            if cx.bans.filters(address) {
                self.dialer.pass_over(address, cx.now);
                continue;
            }
            let dial = cx.dial(self.torrent);
            self.dialer.begin(dial, address);
            cx.act(Action::Dial(dial, self.torrent, address));
        }
    }
}

/// Whether a link must be closed because of what its other end does not do.
fn overdue(peer: &Peer, now: Time) -> Option<Reason> {
    if peer.backlog() > MAX_BACKLOG {
        Some(Reason::Clogged)
    } else if now.since(peer.last_heard) >= SILENCE {
        Some(Reason::Silent)
    } else {
        None
    }
}
