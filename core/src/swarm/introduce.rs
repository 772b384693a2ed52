//! Web peers that both know a third meet through it, so that a swarm of tabs outlives its tracker.
//!
//! Each linked web peer is told whom else it can be introduced to; an offer and its answer are passed on between the two. Of two
//! peers that one with the lower id offers. Private torrents (BEP 27) use the tracker alone. Cost: O(peers) a peer and second.

use alloc::format;
use alloc::vec::Vec;

use bytes::Bytes;

use super::Swarm;
use super::peer::Peer;
use super::rate::Debt;
use super::reason::Reason;
use crate::event::Link;
use crate::gather::Gather;
use crate::key::PeerId;
use crate::session::context::Context;
use crate::time::{Span, Time};
use crate::tracker::offers::{Theirs, Via, Way};
use crate::wire::extended::{Extension, Ids};
use crate::wire::introduction::{Introduction, MAX_NAMED, Named, Note, Step};
use crate::wire::message::Message;

/// With so many links or negotiations nobody more is sought this way: trackers bring more, at random.
const ENOUGH: usize = 6;

/// Between two lists to one peer.
const INTERVAL: Span = Span::from_secs(5);

/// Until a peer that was offered a connection is offered another.
const AGAIN: Span = Span::from_secs(90);

/// What is passed on for one peer: so much in a row, then one more in each [`EARNED`].
const BURST: u32 = 40;
const EARNED: Span = Span::from_secs(2);

/// Peers that can be met that are remembered.
const MAX_KNOWN: usize = 200;

/// Where one peer stands.
pub(crate) struct Circle {
    /// The list that it was told last, as it was sent.
    told: Bytes,
    next: Time,
    /// For what was passed on for it.
    owed: Debt,
}

impl Default for Circle {
    fn default() -> Self {
        Self {
            told: Introduction::Circle(Vec::new()).encode(),
            next: Time::ZERO,
            owed: Debt::default(),
        }
    }
}

impl Circle {
    /// Whether one more may be passed on for it.
    fn takes(&mut self, now: Time) -> bool {
        let most = Span::from_micros(EARNED.as_micros() * u64::from(BURST));
        self.owed.take(EARNED, most, now)
    }
}

/// Who can be met.
#[derive(Default)]
pub(crate) struct Introductions(Vec<Known>);

struct Known {
    peer: PeerId,
    /// Who names it now, and introduces us.
    via: Vec<Link>,
    seed: bool,
    next: Time,
}

impl Introductions {
    /// `link` names these, and no others.
    fn learn(&mut self, link: Link, named: &[Named]) {
        for known in &mut self.0 {
            known.via.retain(|one| *one != link);
        }
        for one in named {
            let at = match self.0.iter().position(|known| known.peer == one.peer) {
                Some(at) => at,
                None if self.0.len() >= MAX_KNOWN => continue,
                None => {
                    self.0.push(Known {
                        peer: one.peer,
                        via: Vec::new(),
                        seed: false,
                        next: Time::ZERO,
                    });
                    self.0.len() - 1
                }
            };
            let known = &mut self.0[at];
            known.seed = one.seed;
            if !known.via.contains(&link) {
                known.via.push(link);
            }
        }
    }

    /// Those nobody names any more are forgotten once they may be asked again.
    fn forget(&mut self, now: Time) {
        self.0.retain(|known| !known.via.is_empty() || known.next > now);
    }
}

/// Who speaks it: the id by which it wants to be sent it.
fn speaks(peer: &Peer) -> Option<u8> {
    peer.hello
        .ids
        .of(Extension::Introduction)
        .filter(|_| peer.transport.is_web())
}

impl Swarm {
    /// Names the extension; switched off again when a magnet's torrent turns out to be private.
    pub(super) fn add_introduction_id(&self, peer: &Peer, ids: &mut Ids) {
        if peer.transport.is_web() {
            let id = if self.is_private() {
                0
            } else {
                Extension::Introduction.id()
            };
            ids.set(Extension::Introduction, id);
        }
    }

    /// Tells a peer whom it can be introduced to, if that has changed and it is time to.
    pub(super) fn tell_circle(&mut self, cx: &Context, link: Link) {
        let Some(peer) = self.peers.get(&link).filter(|peer| peer.circle.next <= cx.now) else {
            return;
        };
        let Some(id) = speaks(peer).filter(|_| !self.is_private()) else {
            return;
        };
        let others = self
            .peers
            .values()
            .filter(|other| other.link != link && speaks(other).is_some());
        let named = |other: &Peer| Named {
            peer: other.id,
            seed: other.is_seed(),
        };
        let circle: Vec<Named> = others.map(named).take(MAX_NAMED).gather();
        let payload = Introduction::Circle(circle).encode();
        let is_new = |peer: &&mut Peer| peer.circle.told != payload;
        let Some(peer) = self.peers.get_mut(&link).filter(is_new) else {
            return;
        };
        peer.circle.told = payload.clone();
        peer.circle.next = cx.now + INTERVAL;
        peer.send(&Message::Extended { id, payload });
        self.touch(link);
    }

    /// A peer names others, or an offer or an answer passes.
    pub(super) fn on_introduction(&mut self, cx: &mut Context, link: Link, payload: &[u8]) -> Result<(), Reason> {
        let message =
            Introduction::decode(payload).map_err(|error| Reason::Extension(format!("introduction: {error:?}")))?;
        let Some(peer) = self.peers.get_mut(&link).filter(|peer| peer.transport.is_web()) else {
            return Ok(());
        };
        let (from, takes) = (peer.id, peer.circle.takes(cx.now));
        if !takes || self.is_private() {
            return Ok(());
        }
        match message {
            Introduction::Circle(named) => self.introductions.learn(link, &named),
            Introduction::Note(Step::OfferFor, note) => self.pass_on(from, Step::OfferOf, note),
            Introduction::Note(Step::AnswerFor, note) => self.pass_on(from, Step::AnswerOf, note),
            Introduction::Note(Step::OfferOf, note) => {
                let theirs = Theirs {
                    via: Via::Link(link),
                    swarm: self.hashes.swarm(),
                    peer: note.peer,
                    id: note.offer,
                };
                self.on_offer(cx, theirs, note.sdp);
            }
            Introduction::Note(Step::AnswerOf, note) => self.on_answer(cx, (note.offer, note.peer), note.sdp),
        }
        Ok(())
    }

    /// Hands a note to whom it is for, if that is somebody here.
    fn pass_on(&mut self, from: PeerId, step: Step, note: Note) {
        let to = self
            .peers
            .values()
            .find(|peer| peer.id == note.peer)
            .map(|peer| peer.link);
        if let Some(link) = to {
            self.send_note(link, step, Note { peer: from, ..note });
        }
    }

    /// Sends a note to a linked peer that speaks this.
    pub(super) fn send_note(&mut self, link: Link, step: Step, note: Note) {
        let Some(peer) = self.peers.get_mut(&link) else { return };
        if let Some(id) = speaks(peer) {
            let payload = Introduction::Note(step, note).encode();
            peer.send(&Message::Extended { id, payload });
            self.touch(link);
        }
    }

    /// Offers connections to peers that can be met, while there are few links.
    pub(super) fn seek_introductions(&mut self, cx: &mut Context) {
        if !cx.config.offers || self.introductions.0.is_empty() {
            return;
        }
        self.introductions.forget(cx.now);
        let own = cx.config.peer_id;
        let seeding = self.content.as_ref().is_some_and(super::Content::is_seed);
        let mut taken = self.peers.len() + self.announcer.offers.introduced();
        let mut chosen = Vec::new();
        for known in &mut self.introductions.0 {
            let is_ours = !known.via.is_empty() && own < known.peer && known.next <= cx.now && !(seeding && known.seed);
            if is_ours && taken < ENOUGH {
                taken += 1;
                known.next = cx.now + AGAIN;
                chosen.push(known.peer);
            }
        }
        for peer in chosen {
            if !self.is_linked_with(peer) && !self.announcer.offers.negotiates_with(peer) {
                self.make_offer(cx, Way::Peer(peer));
            }
        }
    }

    /// An offer for a peer that can be met is ready.
    pub(super) fn send_introduced(&mut self, cx: &Context, way: Way, peer: PeerId) {
        let known = self.introductions.0.iter().find(|known| known.peer == peer);
        let link = known.and_then(|known| known.via.first().copied());
        for (offer, sdp) in self.announcer.offers.send(way, cx.now) {
            // Where nobody knows the way any more the offer runs out by itself.
            if let Some(link) = link {
                self.send_note(link, Step::OfferFor, Note { peer, offer, sdp });
            }
        }
    }

    /// A link is closed: who was to be met through it cannot be any more.
    pub(super) fn lose_introducer(&mut self, link: Link) {
        self.introductions.learn(link, &[]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_has_a_bounded_number_of_notes_passed_on() {
        let mut circle = Circle::default();
        let mut now = Time::from_micros(5_000_000);
        let burst = (0..100).filter(|_| circle.takes(now)).count();
        assert_eq!(burst, BURST as usize);
        now += Span::from_micros(EARNED.as_micros() * 3);
        assert_eq!((0..100).filter(|_| circle.takes(now)).count(), 3);
    }

    #[test]
    fn whom_nobody_names_any_more_is_forgotten() {
        let named = |peer| Named {
            peer: PeerId([peer; 20]),
            seed: false,
        };
        let mut introductions = Introductions::default();
        introductions.learn(Link(1), &[named(1), named(2)]);
        introductions.learn(Link(2), &[named(2), named(3)]);
        introductions.learn(Link(1), &[]);
        introductions.forget(Time::ZERO);
        let left: Vec<u8> = introductions.0.iter().map(|known| known.peer.0[0]).gather();
        assert_eq!(left, [2, 3], "whom only the first named is gone");
        let many: Vec<Named> = (0..=255).map(named).gather();
        introductions.learn(Link(3), &many);
        assert_eq!(introductions.0.len(), MAX_KNOWN);
    }
}
