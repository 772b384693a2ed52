//! Super-seeding (BEP 16): a first seed that makes one copy appear in the swarm with as little upload as can be.
//!
//! It looks like a peer without pieces and reveals one to each peer: the rarest. The next is revealed when that piece was seen at another
//! peer, so that each is uploaded about once, and to those who pass them on. Invariant: only revealed pieces are served. When the peers
//! hold a whole copy between them it becomes an ordinary seed. Cost: O(pieces) for each piece revealed.

use alloc::vec::Vec;

use super::Swarm;
use super::peer::Peer;
use crate::bits::Bits;
use crate::event::Link;
use crate::layout::Piece;
use crate::map::Map;
use crate::session::context::Context;
use crate::time::{Span, Time};

/// A peer whose piece was seen nowhere else for so long gets another all the same: the others may not be linked with it. BEP 16 waits for
/// ever.
const PATIENCE: Span = Span::from_secs(60);

/// The super-seeding side of a torrent.
#[derive(Debug, Default)]
pub(crate) struct SuperSeed {
    /// It reveals pieces one at a time.
    on: bool,
    /// The piece last revealed to each peer, and when.
    revealed: Map<Link, (Piece, Time)>,
    /// What peers have has changed.
    stirred: bool,
}

impl SuperSeed {
    pub(crate) fn new(on: bool) -> Self {
        Self { on, ..Self::default() }
    }

    /// Whether it reveals pieces one at a time.
    pub(crate) const fn is_on(&self) -> bool {
        self.on
    }

    /// What peers have has changed, or time has passed.
    pub(crate) const fn stir(&mut self) {
        self.stirred = true;
    }

    /// Whether a peer may have a piece.
    pub(crate) fn serves(&self, peer: &Peer, piece: Piece) -> bool {
        let promised = |promised: &Bits| promised.contains(piece.index());
        !self.on || peer.promised.as_ref().is_some_and(promised)
    }
}

impl Swarm {
    /// Reveals to each peer what is to be revealed next.
    pub(super) fn settle_super_seed(&mut self, cx: &mut Context) {
        if !self.super_seed.on || !core::mem::take(&mut self.super_seed.stirred) {
            return;
        }
        let Some(content) = self.content.as_ref().filter(|content| content.restored) else {
            return;
        };
        if content.picker.distributed_copies().0 > 0 {
            return self.end_super_seed();
        }
        self.super_seed.revealed.retain(|link, _| self.peers.contains_key(link));
        let links: Vec<Link> = self
            .peers
            .values()
            .filter(|peer| self.is_due(peer, cx.now))
            .map(|peer| peer.link)
            .collect();
        for link in links {
            self.reveal(cx, link);
        }
    }

    /// Whether a peer is to be shown another piece.
    fn is_due(&self, peer: &Peer, now: Time) -> bool {
        let (Some(content), Some(has), true) = (&self.content, peer.pieces(), peer.promised.is_some()) else {
            return false;
        };
        let Some((piece, since)) = self.super_seed.revealed.get(&peer.link) else {
            return true;
        };
        let own = has.contains(piece.index());
        // One that is alone has nobody to pass it on to.
        let elsewhere = content.picker.availability(*piece) > u32::from(own) || own && self.peers.len() == 1;
        elsewhere || now.since(*since) >= PATIENCE
    }

    /// Reveals the piece that the fewest have, or are about to.
    fn reveal(&mut self, cx: &mut Context, link: Link) {
        let (Some(content), Some(peer)) = (&self.content, self.peers.get(&link)) else {
            return;
        };
        let (Some(has), Some(promised)) = (peer.pieces(), &peer.promised) else {
            return;
        };
        let mut copies: Vec<u32> = content
            .layout
            .iter()
            .map(|piece| content.picker.availability(piece))
            .collect();
        for (piece, _) in self.super_seed.revealed.values() {
            copies[piece.index()] += 1;
        }
        let unknown = |piece: &Piece| !has.contains(piece.index()) && !promised.contains(piece.index());
        let candidates = content
            .layout
            .iter()
            .filter(|piece| content.holds(*piece))
            .filter(unknown);
        let (mut best, mut equals) = (None, 0);
        for piece in candidates {
            let count = copies[piece.index()];
            match best {
                Some((fewest, _)) if fewest < count => continue,
                Some((fewest, _)) if fewest == count => equals += 1,
                _ => equals = 1,
            }
            if equals == 1 || cx.rng.below(equals) == 0 {
                best = Some((count, piece));
            }
        }
        let (Some((_, piece)), Some(peer)) = (best, self.peers.get_mut(&link)) else {
            return;
        };
        if let Some(promised) = &mut peer.promised {
            promised.insert(piece.index());
        }
        peer.send_have(piece);
        self.super_seed.revealed.insert(link, (piece, cx.now));
        self.touch(link);
    }

    /// There is a whole copy among the peers: what is held is no secret any more.
    fn end_super_seed(&mut self) {
        self.super_seed.on = false;
        let Some(content) = &self.content else { return };
        let held: Vec<Piece> = content.layout.iter().filter(|piece| content.holds(*piece)).collect();
        held.into_iter().for_each(|piece| self.promise_piece(piece));
    }
}
