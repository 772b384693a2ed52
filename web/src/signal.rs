//! WebRTC negotiations: the session decides, the page makes the connections, this keeps who is who.

use tombolo_core::event::{Event, Link, Offer, Torrent};
use tombolo_core::map::Map;

use crate::engine::Core;
use crate::sdp;

/// One connection being negotiated, or made.
#[derive(Debug)]
pub(crate) struct Negotiation {
    /// The session's name for it.
    pub(crate) offer: Offer,
    /// The torrent it is for.
    pub(crate) torrent: Torrent,
    /// The largest message that the other end takes, in bytes; the default until its description is here.
    pub(crate) max_message: usize,
    /// The link on its data channel, once there is one.
    pub(crate) link: Option<Link>,
}

/// All negotiations, by the number under which the page knows them.
#[derive(Debug, Default)]
pub(crate) struct Negotiations {
    by_number: Map<u32, Negotiation>,
    numbers: Map<Offer, u32>,
    last: u32,
}

impl Negotiations {
    fn add(&mut self, offer: Offer, torrent: Torrent, description: &str) -> u32 {
        self.last += 1;
        let negotiation = Negotiation {
            offer,
            torrent,
            max_message: sdp::max_message_size(description),
            link: None,
        };
        self.by_number.insert(self.last, negotiation);
        self.numbers.insert(offer, self.last);
        self.last
    }

    /// The negotiation of that number.
    pub(crate) fn get_mut(&mut self, number: u32) -> Option<&mut Negotiation> {
        self.by_number.get_mut(&number)
    }

    /// Forgets a negotiation.
    pub(crate) fn remove(&mut self, number: u32) -> Option<Negotiation> {
        let negotiation = self.by_number.remove(&number)?;
        self.numbers.remove(&negotiation.offer);
        Some(negotiation)
    }

    fn number(&self, offer: Offer) -> Option<u32> {
        self.numbers.get(&offer).copied()
    }
}

impl Core {
    pub(crate) fn make_offer(&mut self, offer: Offer, torrent: Torrent) {
        let number = self.negotiations.add(offer, torrent, "");
        self.host.negotiate("offer", number, None);
    }

    pub(crate) fn answer_offer(&mut self, offer: Offer, torrent: Torrent, description: &str) {
        let number = self.negotiations.add(offer, torrent, description);
        self.host.negotiate("answer", number, Some(description));
    }

    pub(crate) fn accept_answer(&mut self, offer: Offer, description: &str) {
        let Some(number) = self.negotiations.number(offer) else {
            return;
        };
        if let Some(negotiation) = self.negotiations.get_mut(number) {
            negotiation.max_message = sdp::max_message_size(description);
        }
        self.host.negotiate("accept", number, Some(description));
    }

    pub(crate) fn withdraw_offer(&mut self, offer: Offer) {
        let Some(number) = self.negotiations.number(offer) else {
            return;
        };
        match self
            .negotiations
            .get_mut(number)
            .and_then(|negotiation| negotiation.link)
        {
            Some(link) => self.drop_link(link),
            None => {
                self.negotiations.remove(number);
                self.host.negotiate("close", number, None);
            }
        }
    }

    /// The page described our end.
    pub(crate) fn described(&mut self, number: u32, description: String) {
        if let Some(negotiation) = self.negotiations.get_mut(number) {
            let offer = negotiation.offer;
            self.tell(Event::Described(offer, description));
        }
    }

    /// The page could not connect, or lost the connection.
    pub(crate) fn unconnected(&mut self, number: u32) {
        let Some(negotiation) = self.negotiations.get_mut(number) else {
            return;
        };
        let (offer, link) = (negotiation.offer, negotiation.link);
        match link {
            Some(link) => self.lost(link),
            None => {
                self.negotiations.remove(number);
                self.tell(Event::OfferFailed(offer));
            }
        }
    }
}
