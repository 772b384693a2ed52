//! What a native peer's announce comes to, over HTTP and UDP alike; and when a swarm is joined by the relay itself.

use std::net::{IpAddr, SocketAddr};

use tombolo_core::event::Torrent;
use tombolo_core::tracker::query::{AnnounceEvent, AnnounceRequest};
use tombolo_core::tracker::registry::{Answer, Asker, Place};
use tombolo_core::tracker::udp::Family;

use super::{MAX_NUMWANT, NUMWANT};
use crate::outside::is_local;
use crate::serve::Relay;

/// An announce, and what is known of where it comes from.
pub(super) struct Native<'a> {
    pub(super) request: &'a AnnounceRequest,
    /// Where it comes from.
    pub(super) remote: IpAddr,
    /// Where it reached us.
    pub(super) local: IpAddr,
    /// Where it says it is (BEP 3, BEP 15).
    pub(super) said: Option<IpAddr>,
    /// A further address of its own (BEP 7).
    pub(super) also: Option<SocketAddr>,
    /// Which addresses it can be given; both if `None`.
    pub(super) family: Option<Family>,
}

/// Takes an announce; the peers to name, our own among them, are in `answer`.
pub(super) fn announce(relay: &Relay, native: &Native<'_>, answer: &mut Answer) {
    let (tracker, request) = (&relay.tracker, native.request);
    let place = tracker.place(native.address(), request.port);
    let numwant = request
        .numwant
        .map_or(NUMWANT, |wanted| usize::try_from(wanted).unwrap_or(MAX_NUMWANT))
        .min(MAX_NUMWANT);
    let mut asker = Asker {
        request,
        place,
        numwant,
        family: native.family,
    };
    if let Some(also) = native.further() {
        // First, so that the counts of the answer are those after both; and nobody is asked for.
        asker.place = tracker.place(also.ip(), also.port());
        asker.numwant = 0;
        tracker.announce(&asker, answer);
        (asker.place, asker.numwant) = (place, numwant);
    }
    tracker.announce(&asker, answer);
    let torrent = bridged(relay, request, answer);
    if let (Some(torrent), Place::Native(address)) = (torrent, place)
        && request.peer_id != tracker.peer_id
    {
        relay.bridge.peers(torrent, vec![address]);
    }
    let own = torrent
        .and_then(|_| tracker.own_address(native.local.to_canonical()))
        .filter(|own| numwant > 0 && fits(*own, native.family));
    if let Some(own) = own {
        answer.addresses.truncate(numwant - 1);
        answer.ids.truncate(numwant - 1);
        answer.addresses.push(own);
        answer.ids.push(tracker.peer_id);
    }
}

impl Native<'_> {
    /// Where the peer is. What it says itself counts only if it comes from this machine or this network, as a peer beside its
    /// tracker does: from anywhere else it could name a victim.
    fn address(&self) -> IpAddr {
        self.said.filter(|_| is_local(self.remote)).unwrap_or(self.remote)
    }

    /// The further address, if it is of the other family: which one it has of its own, it has shown. BEP 7 takes it at its word.
    fn further(&self) -> Option<SocketAddr> {
        self.also
            .filter(|also| also.is_ipv4() != self.address().to_canonical().is_ipv4())
    }
}

/// The torrent of an announce where the relay is in the swarm, or joins it now: since both kinds of peers have come to it, and
/// find each other through a bridge alone. Not for one that leaves.
pub(super) fn bridged(relay: &Relay, request: &AnnounceRequest, answer: &Answer) -> Option<Torrent> {
    let swarm = request.swarm;
    if request.event == AnnounceEvent::Stopped {
        return None;
    }
    let known = relay.bridge.find(swarm);
    if known.is_some() || !answer.both_kinds {
        return known;
    }
    let torrent = relay.bridge.admit(swarm, || relay.tracker.natives(swarm)).ok()?;
    if relay.answers {
        relay.tracker.gather(swarm);
    }
    Some(torrent)
}

fn fits(address: SocketAddr, family: Option<Family>) -> bool {
    match family {
        Some(Family::V4) => address.is_ipv4(),
        Some(Family::V6) => address.is_ipv6(),
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tombolo_core::key::{PeerId, SwarmKey};

    #[test]
    fn what_a_peer_says_of_itself_counts_where_it_cannot_harm() {
        let request = AnnounceRequest {
            port: 1,
            ..AnnounceRequest::new(SwarmKey([1; 20]), PeerId([2; 20]))
        };
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        for (remote, said, also, address, further) in [
            ("203.0.113.1", None, None, "203.0.113.1", false),
            ("203.0.113.1", Some("203.0.113.9"), None, "203.0.113.1", false),
            ("192.168.0.2", Some("203.0.113.9"), None, "203.0.113.9", false),
            (
                "127.0.0.1",
                Some("2001:db8::9"),
                Some("203.0.113.1:5"),
                "2001:db8::9",
                true,
            ),
            ("203.0.113.1", None, Some("[2001:db8::1]:5"), "203.0.113.1", true),
            (
                "::ffff:203.0.113.1",
                None,
                Some("203.0.113.7:5"),
                "::ffff:203.0.113.1",
                false,
            ),
            ("2001:db8::1", None, Some("[2001:db8::2]:5"), "2001:db8::1", false),
        ] {
            let native = Native {
                request: &request,
                remote: ip(remote),
                local: ip("203.0.113.2"),
                said: said.map(ip),
                also: also.map(|also| also.parse().unwrap()),
                family: None,
            };
            assert_eq!(native.address(), ip(address));
            assert_eq!(native.further().is_some(), further, "{remote} {also:?}");
        }
    }
}
