//! Telling linked peers whom else we are linked with, and hearing it from them (BEP 11).
//!
//! To one peer at most a message a minute, of at most fifty changes each way; from one peer not many more are taken. Only native peers are
//! named, by the address at which they take links: a tab has none. Cost: O(peers) a peer and minute.

use alloc::format;
use core::net::SocketAddr;

use super::Swarm;
use super::peer::Peer;
use super::reason::Reason;
use crate::address::{is_local, is_usable};
use crate::event::{Link, Transport};
use crate::map::{Map, Set};
use crate::session::context::Context;
use crate::time::{Span, Time};
use crate::wire::extended::Extension;
use crate::wire::message::Message;
use crate::wire::pex::{Flags, MAX_PEERS, PexMessage};

/// The least time between two messages to one peer (BEP 11).
const INTERVAL: Span = Span::from_secs(60);

/// A peer's messages are taken at twice the pace that BEP 11 allows, after [`BURST`] in a row: links shake in time.
const TAKEN_EVERY: Span = Span::from_secs(30);
const BURST: u8 = 4;

/// Peers that may bring us together with others that are remembered.
const MAX_VIA: usize = 500;

/// Where one peer stands in the exchange.
pub(crate) struct Exchange {
    /// Whom we named to it and did not take back.
    named: Set<SocketAddr>,
    next: Time,
    /// Messages that it may still send, and since when.
    credit: u8,
    credited: Time,
}

impl Default for Exchange {
    fn default() -> Self {
        Self {
            named: Set::new(),
            next: Time::ZERO,
            credit: BURST,
            credited: Time::ZERO,
        }
    }
}

impl Exchange {
    fn takes(&mut self, now: Time) -> bool {
        let earned = now.since(self.credited).as_micros() / TAKEN_EVERY.as_micros();
        if earned > 0 {
            self.credit = earned.saturating_add(self.credit.into()).min(BURST.into()) as u8;
            self.credited = now;
        }
        let taken = self.credit > 0;
        self.credit = self.credit.saturating_sub(1);
        taken
    }
}

impl Swarm {
    /// Tells a peer what has changed since it was last told, if it is time to.
    pub(super) fn exchange(&mut self, cx: &mut Context, link: Link) {
        let Some(peer) = self.peers.get(&link) else { return };
        let Some(id) = peer.hello.ids.of(Extension::PeerExchange) else {
            return;
        };
        let speaks = cx.config.pex && !peer.transport.is_web() && !self.is_private();
        if !speaks || peer.acquaintance.exchange.next > cx.now {
            return;
        }
        let current: Map<SocketAddr, Flags> = self.nameable(cx.config.allow_local, link);
        let Some(peer) = self.peers.get_mut(&link) else { return };
        let named = &mut peer.acquaintance.exchange.named;
        let new = current.iter().filter(|(address, _)| !named.contains(address));
        let added: alloc::vec::Vec<_> = new.map(|(address, flags)| (*address, *flags)).take(MAX_PEERS).collect();
        let gone = named.iter().filter(|address| !current.contains_key(address));
        let dropped: alloc::vec::Vec<_> = gone.copied().take(MAX_PEERS).collect();
        if added.is_empty() && dropped.is_empty() {
            return;
        }
        for (address, _) in &added {
            named.insert(*address);
        }
        for address in &dropped {
            named.remove(address);
        }
        peer.acquaintance.exchange.next = cx.now + INTERVAL;
        let payload = PexMessage { added, dropped }.encode();
        peer.send(&Message::Extended { id, payload });
        self.touch(link);
    }

    /// The peers that may be named to one of them.
    fn nameable(&self, allow_local: bool, to: Link) -> Map<SocketAddr, Flags> {
        let mut peers = Map::new();
        for peer in self.peers.values().filter(|peer| peer.link != to) {
            if let Some((address, flags)) = named(peer)
                && (allow_local || !is_local(address.ip()))
            {
                peers.insert(address, flags);
            }
        }
        peers
    }

    /// A peer names others.
    pub(super) fn on_pex(&mut self, cx: &mut Context, link: Link, payload: &[u8]) -> Result<(), Reason> {
        let message = PexMessage::decode(payload).map_err(|error| Reason::Extension(format!("ut_pex: {error:?}")))?;
        let Some(peer) = self.peers.get_mut(&link) else {
            return Ok(());
        };
        if !peer.acquaintance.exchange.takes(cx.now) {
            return Ok(());
        }
        let punches = cx.config.punches;
        let allow_local = cx.config.allow_local;
        let usable = |address: &SocketAddr| is_usable(*address) && (allow_local || !is_local(address.ip()));
        let added = message.added.into_iter().filter(|(address, _)| usable(address));
        let mut addresses = alloc::vec::Vec::new();
        for (address, flags) in added {
            addresses.push(address);
            if punches && flags.has(Flags::HOLEPUNCH) && self.finder.via.len() < MAX_VIA {
                self.finder.via.insert(address, link);
            }
        }
        self.add_peers(cx, addresses);
        Ok(())
    }
}

/// Where a peer takes links, if that is known and it is a native one, and what others should know of it.
fn named(peer: &Peer) -> Option<(SocketAddr, Flags)> {
    if peer.transport.is_web() {
        return None;
    }
    let (address, reached) = if peer.inbound {
        (peer.listens()?, 0)
    } else {
        (peer.address?, Flags::REACHABLE)
    };
    let mut flags = reached;
    if peer.is_seed() || peer.is_upload_only() {
        flags |= Flags::SEED;
    }
    if peer.transport == Transport::Utp {
        flags |= Flags::UTP;
    }
    if peer.hello.ids.of(Extension::Holepunch).is_some() {
        flags |= Flags::HOLEPUNCH;
    }
    is_usable(address).then_some((address, Flags(flags)))
}
