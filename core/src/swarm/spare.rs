//! Sparing relay and web seeds while something is played: they cost somebody, and are quick. So they are asked where only they are sure
//! to be in time, and peers for the rest.
//!
//! Costs O(peers x pieces / 64) for each run of requests to such a source, and nothing while nothing is played.

use super::Swarm;
use super::peer::Peer;
use crate::bits::Bits;
use crate::event::Transport;
use crate::time::{Span, Time};

/// While so much is there ahead of the playhead peers bring the rest: longer rides out worse peers, and costs relay and server more.
const ENOUGH: Span = Span::from_secs(10);

/// Else what is played within this time may come from relay or server, the beginning of a film too: at 15 s of every 170 that is the 8.8 %
/// which a server's share should not exceed.
const SOON: Span = Span::from_secs(15);

impl Peer {
    /// Whether it brings what somebody pays for.
    pub(super) fn is_dear(&self) -> bool {
        self.relay() || self.transport == Transport::Wire
    }
}

impl Swarm {
    /// The pieces that relay and web seeds may be asked for; `None` if all: nothing is played, or no peer helps.
    pub(super) fn spare(&self, now: Time) -> Option<Bits> {
        let content = self.content.as_ref()?;
        let window = content.window.as_ref()?;
        let mut cheap = Bits::new(content.layout.pieces());
        let helps = |peer: &&Peer| !peer.is_dear() && !peer.theirs.choking && !peer.snubbed;
        for pieces in self.peers.values().filter(helps).filter_map(Peer::pieces) {
            cheap.union(pieces);
        }
        if cheap.is_empty() {
            return None;
        }
        let all = Bits::full(cheap.len());
        let mut may = Bits::new(cheap.len());
        all.difference(&cheap).for_each(|index| {
            may.insert(index);
        });
        let mut missing = window.pieces().iter().filter(|(piece, _)| !content.holds(*piece));
        if missing.next().is_some_and(|&(_, at)| at < now + ENOUGH) {
            let soon = window.pieces().iter().take_while(|&&(_, at)| at <= now + SOON);
            soon.for_each(|(piece, _)| {
                may.insert(piece.index());
            });
        }
        Some(may)
    }
}
