//! What a session shows of itself, when asked.

use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Session;
use crate::bits::Bits;
use crate::event::{Link, Origin, Torrent};
use crate::gather::Gather;
use crate::key::SwarmKey;
use crate::metainfo::Metainfo;
use crate::status::{PeerStatus, State, Status, TrackerStatus};
use crate::swarm::peer::{Has, Peer};
use crate::swarm::picker::Phase;
use crate::swarm::{Priority, Swarm};
use crate::time::Time;

impl Session {
    /// The torrents, in the order of their handles.
    pub fn torrents(&self) -> impl Iterator<Item = Torrent> + '_ {
        self.swarms.keys().copied()
    }

    /// A torrent in numbers.
    pub fn status(&mut self, now: Time, torrent: Torrent) -> Option<Status> {
        let swarm = self.swarms.get_mut(&torrent)?;
        let content = swarm.content.as_ref();
        let (wanted, have_wanted) = content.map_or((0, 0), |content| content.wanted());
        let copies = content.map_or((0, 0), |content| content.picker.distributed_copies());
        let (parts, of) = swarm.metadata.progress();
        Some(Status {
            hashes: swarm.hashes,
            state: state(swarm),
            have: content.map_or(0, |content| content.have),
            stored: content.map_or(0, |content| content.stored()),
            wanted,
            have_wanted,
            pieces: content.map_or(0, |content| content.picker.held().count()),
            received: swarm.received,
            sent: swarm.sent,
            sent_cached: swarm.sent_cached,
            copies: copies.0 * 1000 + copies.1,
            peers: swarm.peers.len(),
            known: swarm.dialer.known().max(swarm.peers.len()),
            hash_failures: content.map_or(0, |content| content.hash_failures),
            metadata: (swarm.content.is_none() && of > 0).then_some((parts, of)),
            down: swarm.rates.down.rate(now),
            up: swarm.rates.up.rate(now),
        })
    }

    /// The name by which to shake hands with a peer. Of a hybrid's two it is the one that an offer was made under (BEP 52).
    pub fn swarm(&self, torrent: Torrent, origin: Origin) -> Option<SwarmKey> {
        let swarm = self.swarms.get(&torrent)?;
        let announcer = &swarm.announcer;
        let named = match origin {
            Origin::Offered(offer) => match announcer.offers.theirs(offer) {
                Some(theirs) => Some(theirs.swarm),
                None => announcer
                    .offers
                    .tracker_of(offer)
                    .and_then(|at| announcer.trackers[at].swarm),
            },
            _ => None,
        };
        Some(named.unwrap_or_else(|| swarm.hashes.swarm()))
    }

    /// The peers of a torrent, and its web seeds as far as they are of use.
    pub fn peers(&mut self, now: Time, torrent: Torrent) -> Vec<PeerStatus> {
        let Some(swarm) = self.swarms.get_mut(&torrent) else {
            return Vec::new();
        };
        let optimistic = swarm.optimistic();
        let status = |peer| peer_status(peer, optimistic, now);
        let mut peers: Vec<_> = swarm.peers.values_mut().map(status).gather();
        let pieces = swarm.content.as_ref().map_or(0, |content| content.layout.pieces());
        peers.extend(swarm.web_seeds.status(pieces, now));
        peers
    }

    /// The pieces that a peer has; None where that is not known.
    pub fn pieces_of(&self, torrent: Torrent, link: Link) -> Option<&Bits> {
        match &self.swarms.get(&torrent)?.peers.get(&link)?.has {
            Has::Known(pieces, _) => Some(pieces),
            Has::Unread { .. } => None,
        }
    }

    /// The trackers of a torrent.
    pub fn trackers(&self, now: Time, torrent: Torrent) -> Vec<TrackerStatus> {
        self.swarms
            .get(&torrent)
            .map_or_else(Vec::new, |swarm| swarm.announcer.status(now))
    }

    /// The verified pieces of a torrent whose metainfo is known.
    pub fn held(&self, torrent: Torrent) -> Option<&Bits> {
        Some(self.swarms.get(&torrent)?.content.as_ref()?.picker.held())
    }

    /// How much of each piece has arrived, a byte a piece: 255 = verified, 0 = nothing.
    pub fn piece_map(&self, torrent: Torrent, map: &mut Vec<u8>) {
        map.clear();
        let Some(content) = self.swarms.get(&torrent).and_then(|swarm| swarm.content.as_ref()) else {
            return;
        };
        map.extend(
            content
                .layout
                .iter()
                .map(|piece| if content.holds(piece) { 255 } else { 0 }),
        );
        for open in content.picker.open_pieces() {
            // A piece whose every block is here is not verified yet.
            map[open.piece().index()] = (open.arrived() * 254 / open.blocks().max(1)) as u8;
        }
    }

    /// How many connected peers have each piece.
    pub fn availability(&self, torrent: Torrent, counts: &mut Vec<u16>) {
        counts.clear();
        let Some(content) = self.swarms.get(&torrent).and_then(|swarm| swarm.content.as_ref()) else {
            return;
        };
        let count = |piece| content.picker.availability(piece).min(u16::MAX.into()) as u16;
        counts.extend(content.layout.iter().map(count));
    }

    /// How pieces are being chosen.
    pub fn phase(&self, torrent: Torrent) -> Option<Phase> {
        Some(self.swarms.get(&torrent)?.content.as_ref()?.picker.phase())
    }

    /// The metainfo of a torrent, once it is known.
    pub fn metainfo(&self, torrent: Torrent) -> Option<&Arc<Metainfo>> {
        Some(&self.swarms.get(&torrent)?.content.as_ref()?.metainfo)
    }

    /// The priority of a file of a torrent, as last selected.
    pub fn priority(&self, torrent: Torrent, file: usize) -> Option<Priority> {
        Some(self.swarms.get(&torrent)?.priority(file))
    }

    /// Bytes of pieces that are in memory between request and storage, or may come to be.
    pub fn memory(&self) -> u64 {
        self.cx.memory.used()
    }

    /// Bytes of verified pieces that bridged torrents keep.
    pub fn cached(&self) -> u64 {
        self.cx.cached
    }
}

fn state(swarm: &Swarm) -> State {
    match &swarm.content {
        _ if swarm.paused => State::Paused,
        None => State::Metadata,
        Some(content) if !content.restored => State::Checking,
        Some(content) if content.bridge.is_some() => State::Bridging,
        Some(content) if content.is_complete() => State::Seeding,
        Some(_) => State::Downloading,
    }
}

fn peer_status(peer: &mut Peer, optimistic: Option<u32>, now: Time) -> PeerStatus {
    PeerStatus {
        link: peer.link,
        peer_id: peer.id,
        client: peer.client.to_string(),
        address: peer.address,
        transport: peer.transport,
        relay: peer.relay(),
        inbound: peer.inbound,
        interested: peer.ours.interested,
        unchoked: !peer.theirs.choking,
        peer_interested: peer.theirs.interested,
        peer_unchoked: !peer.ours.choking,
        optimistic: optimistic == Some(peer.slot),
        snubbed: peer.snubbed,
        suspect: peer.parole,
        pieces: match &peer.has {
            Has::Known(_, count) => *count,
            Has::Unread { .. } => 0,
        },
        down: peer.depth.rate(now),
        up: peer.up.rate(now),
        received: peer.received,
        sent: peer.sent,
        requests: peer.asked.len(),
    }
}
