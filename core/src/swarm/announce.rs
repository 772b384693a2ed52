//! Talking to trackers: when to announce, what became of it, and WebSocket trackers with their offers and answers. What only native
//! peers can ask is in `native`.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::Swarm;
use crate::event::{Action, Offer, Report};
use crate::gather::Gather;
use crate::key::PeerId;
use crate::session::context::Context;
use crate::status::TrackerState;
use crate::tracker::announcer::Face;
use crate::tracker::offers::{OFFERS, Theirs, Via, Way};
use crate::tracker::query::{AnnounceEvent, AnnounceReply, AnnounceRequest, Failure};
use crate::tracker::ws::{self, OfferId, Reply, Request, Sdp, Signal};
use crate::wire::introduction::{Note, Step};

/// Peers that we ask a tracker for.
const NUMWANT: u32 = 50;

/// A torrent with fewer peers than this asks web trackers again soon.
const FEW_PEERS: usize = 4;

impl Swarm {
    /// Announces where it is time to, and gives up what took too long.
    pub(super) fn announce(&mut self, cx: &mut Context) {
        let (late, unblocked) = self.announcer.offers.expire(cx.now);
        for offer in late {
            cx.retire(offer.0);
            cx.act(Action::Withdraw(offer));
        }
        unblocked.into_iter().for_each(|at| self.send_offers(cx, at));
        for at in self.announcer.overdue(cx.now) {
            if !self.resend_udp(cx, at) {
                self.tracker_failed(cx, at, &failure("no answer"));
            }
        }
        for at in self.announcer.due(cx.now, self.is_checking()) {
            self.announcer.begin(at, cx.now);
            match self.announcer.trackers[at].face {
                Face::Ws => self.make_offers(cx, at),
                Face::Http | Face::Udp => self.announce_native(cx, at),
            }
        }
    }

    pub(super) fn request(&mut self, cx: &Context, at: usize) -> AnnounceRequest {
        let event = self.announcer.event(at);
        let plain = self.plain_request(cx, event);
        let tracker = &self.announcer.trackers[at];
        AnnounceRequest {
            swarm: tracker.swarm.unwrap_or(plain.swarm),
            tracker_id: tracker.tracker_id.clone(),
            ..plain
        }
    }

    pub(super) fn plain_request(&self, cx: &Context, event: AnnounceEvent) -> AnnounceRequest {
        let left = self
            .content
            .as_ref()
            .filter(|content| content.restored)
            .map(|content| match &content.bridge {
                Some(_) => content.layout.total() - content.have,
                None => content.picker.left().bytes,
            });
        AnnounceRequest {
            swarm: self.hashes.swarm(),
            peer_id: cx.config.peer_id,
            port: cx.config.port,
            uploaded: self.sent.total(),
            downloaded: self.received.total(),
            left,
            event,
            numwant: Some(if event == AnnounceEvent::Stopped { 0 } else { NUMWANT }),
            key: Some(self.announcer.key),
            tracker_id: None,
        }
    }

    /// Has the offers made that an announce to a web tracker brings along.
    fn make_offers(&mut self, cx: &mut Context, at: usize) {
        let taken = self.peers.len() + self.announcer.offers.count();
        let count = if cx.config.offers {
            OFFERS.min(cx.config.max_peers.saturating_sub(taken))
        } else {
            0
        };
        for _ in 0..count {
            self.make_offer(cx, Way::Tracker(at));
        }
        self.send_offers(cx, at);
    }

    /// Has an offer made that goes this way.
    pub(super) fn make_offer(&mut self, cx: &mut Context, way: Way) {
        let offer = cx.offer(self.torrent);
        let mut id = [0; 20];
        cx.rng.fill(&mut id);
        self.announcer.offers.make(offer, way, OfferId(id), cx.now);
        cx.act(Action::MakeOffer(offer, self.torrent));
    }

    /// Sends an announce to a web tracker once its offers are made.
    fn send_offers(&mut self, cx: &mut Context, at: usize) {
        let waits = self
            .announcer
            .trackers
            .get(at)
            .is_some_and(|tracker| tracker.state == TrackerState::Announcing);
        if !waits || !self.announcer.offers.is_ready(at) {
            return;
        }
        let offers = self.announcer.offers.send(Way::Tracker(at), cx.now);
        let offers: Vec<ws::Offer<'_>> = offers
            .iter()
            .map(|(id, sdp)| ws::Offer {
                id: *id,
                sdp: Sdp::new(sdp),
            })
            .gather();
        let request = AnnounceRequest {
            numwant: Some(offers.len() as u32),
            ..self.request(cx, at)
        };
        let text = Request::Announce(request, offers).encode();
        cx.send_text(&self.announcer.trackers[at].url, text);
    }

    /// The shell made an offer or an answer.
    pub(crate) fn described(&mut self, cx: &mut Context, offer: Offer, sdp: String) {
        let Some(theirs) = self.announcer.offers.theirs(offer).cloned() else {
            return match self.announcer.offers.made(offer, sdp) {
                Some(Way::Tracker(at)) => self.send_offers(cx, at),
                Some(way @ Way::Peer(peer)) => self.send_introduced(cx, way, peer),
                None => {}
            };
        };
        match theirs.via {
            Via::Tracker(url) => {
                let signal = Signal {
                    swarm: theirs.swarm,
                    from: cx.config.peer_id,
                    offer: theirs.id,
                    sdp: Sdp::new(&sdp),
                };
                let to = theirs.peer;
                cx.send_text(&url, Request::Answer { to, signal }.encode());
            }
            Via::Link(link) => {
                let (peer, offer) = (theirs.peer, theirs.id);
                self.send_note(link, Step::AnswerFor, Note { peer, offer, sdp });
            }
        }
    }

    /// The shell could not negotiate a connection.
    pub(crate) fn offer_failed(&mut self, cx: &mut Context, offer: Offer) {
        if let Some(at) = self.announcer.offers.finish(offer) {
            self.send_offers(cx, at);
        }
    }

    /// A message came from the tracker at `url`.
    pub(crate) fn tracker_message(&mut self, cx: &mut Context, url: &str, message: Reply<'_>) {
        match message {
            Reply::Announced(swarm, reply) => {
                if let Some(at) = self.announcer.by_url(url, Some(swarm)) {
                    self.tracker_succeeded(cx, at, reply);
                }
            }
            Reply::Failed(swarm, refusal) => {
                if let Some(at) = self.announcer.by_url(url, swarm) {
                    self.tracker_failed(cx, at, &refusal);
                }
            }
            Reply::Offer(signal) => {
                let theirs = Theirs {
                    via: Via::Tracker(url.to_string()),
                    swarm: signal.swarm,
                    peer: signal.from,
                    id: signal.offer,
                };
                self.on_offer(cx, theirs, signal.sdp.text());
            }
            Reply::Answer(signal) => self.on_answer(cx, (signal.offer, signal.from), signal.sdp.text()),
            Reply::Scraped(_) | Reply::Unknown => {}
        }
    }

    /// A peer offers a connection.
    pub(super) fn on_offer(&mut self, cx: &mut Context, theirs: Theirs, sdp: String) {
        let from = theirs.peer;
        let known = self.is_linked_with(from) || self.announcer.offers.negotiates_with(from);
        let full = self.room(cx) == 0;
        let unwanted = self.paused || !cx.config.offers || from == cx.config.peer_id || cx.bans.bans_peer(from, None);
        if known || full || unwanted {
            return;
        }
        let offer = cx.offer(self.torrent);
        self.announcer.offers.answer(offer, theirs);
        cx.act(Action::Answer(offer, self.torrent, sdp));
    }

    /// A peer answers an offer of ours.
    pub(super) fn on_answer(&mut self, cx: &mut Context, (id, from): (OfferId, PeerId), sdp: String) {
        if let Some(offer) = self.announcer.offers.answered(id, from, cx.now) {
            cx.act(Action::Accept(offer, sdp));
        }
    }

    /// Whether there is a link with that peer.
    pub(super) fn is_linked_with(&self, id: PeerId) -> bool {
        self.peers.values().any(|peer| peer.id == id)
    }

    /// The WebSocket to the tracker at `url` closed.
    pub(crate) fn tracker_lost(&mut self, cx: &mut Context, url: &str, why: &str) {
        let of_url = |at: &usize| self.announcer.trackers[*at].url == url;
        let lost: Vec<usize> = (0..self.announcer.trackers.len()).filter(of_url).gather();
        for at in lost {
            // A tracker that lost our socket has forgotten us.
            self.announcer.trackers[at].greeted = false;
            self.tracker_failed(cx, at, &failure(why));
        }
    }

    pub(super) fn tracker_succeeded(&mut self, cx: &mut Context, at: usize, reply: AnnounceReply) {
        let lonely = self.peers.len() < FEW_PEERS && self.content.as_ref().is_none_or(|content| !content.is_seed());
        let first = self.announcer.succeed(at, &reply, lonely, cx.now);
        let tracker = &self.announcer.trackers[at];
        if first && tracker.swarm.is_none() {
            cx.report(self.torrent, Report::Announced(tracker.url.clone(), tracker.peers()));
        }
        if let Some(warning) = reply.warning {
            cx.report(self.torrent, Report::TrackerWarning(tracker.url.clone(), warning));
        }
        self.add_announced(cx, reply.peers);
    }

    pub(super) fn tracker_failed(&mut self, cx: &mut Context, at: usize, failure: &Failure) {
        if let Some(job) = self.announcer.trackers[at].job.take() {
            cx.retire(job.0);
            #[cfg(feature = "native")]
            if self.announcer.trackers[at].face == Face::Udp {
                cx.act(Action::Hangup(job));
            }
        }
        self.announcer.fail(at, failure, cx);
        let url = self.announcer.trackers[at].url.clone();
        cx.report(self.torrent, Report::TrackerFailed(url, failure.reason.clone()));
    }

    /// Tells every tracker that knows of us that we stop.
    pub(super) fn announce_stopped(&mut self, cx: &mut Context) {
        for offer in self.announcer.offers.clear() {
            cx.retire(offer.0);
            cx.act(Action::Withdraw(offer));
        }
        let plain = self.plain_request(cx, AnnounceEvent::Stopped);
        for tracker in self.announcer.trackers.iter().filter(|tracker| tracker.greeted) {
            let request = AnnounceRequest {
                swarm: tracker.swarm.unwrap_or(plain.swarm),
                ..plain.clone()
            };
            match tracker.face {
                Face::Ws => cx.send_text_if_open(&tracker.url, Request::Announce(request.clone(), Vec::new()).encode()),
                Face::Http | Face::Udp => Self::stop_native(cx, tracker, &request),
            }
        }
        self.announcer.halt();
    }
}

pub(super) fn failure(reason: &str) -> Failure {
    Failure {
        reason: reason.to_string(),
        retry_in_minutes: None,
    }
}
