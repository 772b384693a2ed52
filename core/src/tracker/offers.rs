//! WebRTC connections being negotiated for one torrent: offers of ours, each sent to one tracker, and offers of others that we answer.

use alloc::string::String;
use alloc::vec::Vec;

use super::ws::OfferId;
use crate::event::{Link, Offer};
use crate::gather::Gather;
use crate::key::{PeerId, SwarmKey};
use crate::map::Map;
use crate::time::{Span, Time};

/// Offers that one announce brings along. WebTorrent's clients bring as many.
pub(crate) const OFFERS: usize = 5;

/// How long the shell may take to make the offers of an announce; it is sent with those that are ready.
const MAKING: Span = Span::from_secs(2);

/// How long an offer waits for an answer. Its ports are held open all the while.
const WAITING: Span = Span::from_secs(50);

/// The connections being negotiated.
#[derive(Debug, Default)]
pub(crate) struct Offers {
    ours: Map<Offer, Ours>,
    theirs: Map<Offer, Theirs>,
}

/// Where an offer of ours goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// To a tracker, for whomever it chooses.
    Tracker(usize),
    /// To this peer, by a linked one that knows it.
    Peer(PeerId),
}

impl Way {
    fn tracker(self) -> Option<usize> {
        match self {
            Self::Tracker(at) => Some(at),
            Self::Peer(_) => None,
        }
    }
}

/// Where an offer of another peer came from, and its answer goes.
#[derive(Clone, Debug)]
pub(crate) enum Via {
    /// The tracker at this address.
    Tracker(String),
    /// A linked peer that introduces us.
    Link(Link),
}

#[derive(Debug)]
struct Ours {
    way: Way,
    id: OfferId,
    sdp: Option<String>,
    sent: bool,
    until: Time,
    /// Who answered it.
    peer: Option<PeerId>,
}

/// An offer of another peer.
#[derive(Clone, Debug)]
pub(crate) struct Theirs {
    pub(crate) via: Via,
    /// The swarm it named.
    pub(crate) swarm: SwarmKey,
    pub(crate) peer: PeerId,
    pub(crate) id: OfferId,
}

impl Offers {
    /// An offer that goes this way is being made.
    pub(crate) fn make(&mut self, offer: Offer, way: Way, id: OfferId, now: Time) {
        self.ours.insert(
            offer,
            Ours {
                way,
                id,
                sdp: None,
                sent: false,
                until: now + MAKING,
                peer: None,
            },
        );
    }

    /// An offer of ours was made; the way that it goes.
    pub(crate) fn made(&mut self, offer: Offer, sdp: String) -> Option<Way> {
        let ours = self.ours.get_mut(&offer)?;
        ours.sdp = Some(sdp);
        Some(ours.way)
    }

    /// Whether no offer for a tracker is still being made.
    pub(crate) fn is_ready(&self, tracker: usize) -> bool {
        !self
            .ours
            .values()
            .any(|ours| ours.way == Way::Tracker(tracker) && ours.sdp.is_none())
    }

    /// The offers that are ready to go this way; they count as sent.
    pub(crate) fn send(&mut self, way: Way, now: Time) -> Vec<(OfferId, String)> {
        let ready = |ours: &&mut Ours| ours.way == way && !ours.sent && ours.sdp.is_some();
        let send = |ours: &mut Ours| {
            ours.sent = true;
            ours.until = now + WAITING;
            (ours.id, ours.sdp.clone().unwrap_or_default())
        };
        self.ours.values_mut().filter(ready).map(send).gather()
    }

    /// An offer of ours was answered by `peer`: which it is, if we wait for that.
    pub(crate) fn answered(&mut self, id: OfferId, peer: PeerId, now: Time) -> Option<Offer> {
        let waits = |(_, ours): &(&Offer, &mut Ours)| {
            let meant = matches!(ours.way, Way::Tracker(_)) || ours.way == Way::Peer(peer);
            meant && ours.id == id && ours.sent && ours.peer.is_none()
        };
        let (offer, ours) = self.ours.iter_mut().find(waits)?;
        ours.peer = Some(peer);
        ours.until = now + WAITING;
        Some(*offer)
    }

    /// An offer of another peer is being answered.
    pub(crate) fn answer(&mut self, offer: Offer, theirs: Theirs) {
        self.theirs.insert(offer, theirs);
    }

    /// The offer of another peer that this one is.
    pub(crate) fn theirs(&self, offer: Offer) -> Option<&Theirs> {
        self.theirs.get(&offer)
    }

    /// The tracker that an offer of ours is for.
    pub(crate) fn tracker_of(&self, offer: Offer) -> Option<usize> {
        self.ours.get(&offer).and_then(|ours| ours.way.tracker())
    }

    /// Whether a connection to that peer is being negotiated.
    pub(crate) fn negotiates_with(&self, peer: PeerId) -> bool {
        let ours = |ours: &Ours| ours.peer == Some(peer) || ours.way == Way::Peer(peer);
        self.theirs.values().any(|theirs| theirs.peer == peer) || self.ours.values().any(ours)
    }

    /// How many offers of ours go by linked peers.
    pub(crate) fn introduced(&self) -> usize {
        let by_peer = |ours: &&Ours| matches!(ours.way, Way::Peer(_));
        self.ours.values().filter(by_peer).count()
    }

    /// How many connections are being negotiated, or may come to be.
    pub(crate) fn count(&self) -> usize {
        self.ours.len() + self.theirs.len()
    }

    /// The negotiation is over. For an offer that was being made, the tracker whose announce waits for it.
    pub(crate) fn finish(&mut self, offer: Offer) -> Option<usize> {
        self.theirs.remove(&offer);
        self.ours
            .remove(&offer)
            .filter(|ours| ours.sdp.is_none())
            .and_then(|ours| ours.way.tracker())
    }

    /// Takes out what took too long: the offers to withdraw, and the trackers whose announces waited for them.
    pub(crate) fn expire(&mut self, now: Time) -> (Vec<Offer>, Vec<usize>) {
        let late: Vec<Offer> = self
            .ours
            .iter()
            .filter(|(_, ours)| ours.until <= now)
            .map(|(offer, _)| *offer)
            .gather();
        let waiting = late.iter().filter_map(|offer| self.finish(*offer)).gather();
        (late, waiting)
    }

    /// Every offer that is under way; none is any more.
    pub(crate) fn clear(&mut self) -> Vec<Offer> {
        let all = self.ours.keys().chain(self.theirs.keys()).copied().gather();
        *self = Self::default();
        all
    }

    /// When the first offer will have taken too long.
    pub(crate) fn deadline(&self) -> Option<Time> {
        self.ours.values().map(|ours| ours.until).min()
    }
}
