//! Finding peers without trackers, for native peers: when to look in the DHT and on the local network (BEP 5, BEP 14), the DHT's PORT
//! message, and whom to prefer (BEP 40). `pex` and `punch` are what linked peers tell each other.
//!
//! Invariant: of a private torrent (BEP 27) nothing is looked for, told or taken but at its trackers.

use core::cmp::Reverse;
use core::net::{IpAddr, SocketAddr};

use bytes::Bytes;

use super::Swarm;
use super::peer::Peer;
use super::pex::Exchange;
use super::reason::Reason;
use crate::config::Config;
use crate::event::{Action, Link, Torrent};
use crate::map::Map;
use crate::priority::{priority, shared_prefix};
use crate::session::context::Context;
use crate::time::{Span, Time};
use crate::wire::extended::{Extension, Ids};
use crate::wire::handshake::Reserved;
use crate::wire::message::Message;

/// How often a torrent is looked for and announced: as often as nodes expect it (BEP 5).
const INTERVAL: Span = Span::from_secs(15 * 60);

/// The first wait of a torrent that has too few peers; it doubles up to the interval.
const LONELY: Span = Span::from_secs(10);

/// A torrent with fewer peers than this is lonely.
const FEW_PEERS: usize = 8;

/// A link on which nothing was traded for so long may make place for a better one.
const IDLE: Span = Span::from_secs(60);

/// Peers whose opinion of our address is remembered.
const MAX_VOTES: usize = 8;

/// What a torrent needs to find peers.
pub(crate) struct Finder {
    /// When to look next; never, where the shell has no way to.
    next: Time,
    wait: Span,
    /// Our address as peers see it, by the peer.
    seen_as: Map<IpAddr, IpAddr>,
    /// Peers that can bring us together with an address (BEP 55).
    pub(super) via: Map<SocketAddr, Link>,
}

/// What is known of a peer by these means.
#[derive(Default)]
pub(crate) struct Acquaintance {
    pub(super) exchange: Exchange,
}

impl Finder {
    pub(crate) const fn new(config: &Config, now: Time) -> Self {
        Self {
            next: if config.finds { now } else { Time::NEVER },
            wait: LONELY,
            seen_as: Map::new(),
            via: Map::new(),
        }
    }

    /// When there is something to do.
    pub(crate) fn deadline(&self) -> Option<Time> {
        (self.next != Time::NEVER).then_some(self.next)
    }

    /// Look again now, as at the beginning.
    pub(crate) fn restart(&mut self, now: Time) {
        if self.next != Time::NEVER {
            (self.next, self.wait) = (now, LONELY);
        }
    }

    /// Our address, where two peers of one family agree on it.
    fn own(&self, v6: bool) -> Option<IpAddr> {
        let votes = || self.seen_as.values().filter(|ip| ip.is_ipv6() == v6);
        votes()
            .find(|ip| votes().filter(|other| other == ip).count() >= 2)
            .copied()
    }

    /// The rank of a link with an address (BEP 40), and of equal ones, as whole networks are, how near it is; 0 while our own is not
    /// known.
    pub(crate) fn rank(&self, config: &Config, address: SocketAddr) -> (u32, u32) {
        let own = self.own(address.is_ipv6());
        own.map_or((0, 0), |own| {
            let priority = priority(SocketAddr::new(own, config.port), address);
            (priority, shared_prefix(own, address.ip()))
        })
    }
}

impl Swarm {
    /// Looks for peers if it is time to.
    pub(super) fn find(&mut self, cx: &mut Context) {
        if self.finder.next > cx.now || self.paused {
            return;
        }
        if self.is_private() {
            self.finder.next = Time::NEVER;
            return;
        }
        // A seed too: what it announced may have gone with the nodes it was announced to.
        let lonely = self.peers.len() < FEW_PEERS;
        let wait = if lonely { self.finder.wait } else { INTERVAL };
        self.finder.wait = Span::from_micros(wait.as_micros() * 2).min(INTERVAL);
        self.finder.next = cx.now + wait;
        let torrent: Torrent = self.torrent;
        cx.act(Action::Lookup(torrent, self.hashes.swarms().collect()));
    }

    /// Names the extensions by which linked peers help each other find more.
    pub(super) fn add_native_ids(&self, config: &Config, peer: &Peer, ids: &mut Ids) {
        if peer.transport.is_web() {
            return;
        }
        let private = self.is_private();
        for (extension, on) in [
            (Extension::PeerExchange, config.pex),
            (Extension::Holepunch, config.punches),
        ] {
            if on {
                // Switched off again when a magnet's torrent turns out to be private.
                ids.set(extension, if private { 0 } else { extension.id() });
            }
        }
    }

    /// Tells a node of the DHT of ours (BEP 5).
    pub(super) fn tell_port(&mut self, cx: &Context, link: Link, reserved: Reserved) {
        if self.is_private() || !reserved.dht() {
            return;
        }
        if let (Some(peer), Some(port)) = (self.peers.get_mut(&link), cx.config.dht_port)
            && !peer.transport.is_web()
        {
            peer.send(&Message::Port(port));
        }
    }

    /// PORT: the peer is a node of the DHT.
    pub(super) fn on_port(&self, cx: &mut Context, link: Link, port: u16) {
        let address = self.peers.get(&link).and_then(|peer| peer.address);
        if let Some(address) = address.filter(|_| port != 0 && cx.config.dht_port.is_some() && !self.is_private()) {
            cx.act(Action::Node(SocketAddr::new(address.ip(), port)));
        }
    }

    /// A message of one of these extensions.
    pub(super) fn on_native(
        &mut self,
        cx: &mut Context,
        link: Link,
        extension: Extension,
        payload: &Bytes,
    ) -> Result<(), Reason> {
        match extension {
            Extension::PeerExchange if cx.config.pex && !self.is_private() => self.on_pex(cx, link, payload),
            Extension::Holepunch if cx.config.punches && !self.is_private() => self.on_holepunch(cx, link, payload),
            _ => Ok(()),
        }
    }

    /// A peer says at which address it sees us (BEP 10).
    pub(super) fn on_your_ip(&mut self, link: Link) {
        let Some(peer) = self.peers.get(&link) else { return };
        if let (Some(address), Some(ip)) = (peer.address, peer.hello.your_ip) {
            let (voter, ip) = (address.ip(), ip.to_canonical());
            if self.finder.seen_as.len() >= MAX_VOTES && !self.finder.seen_as.contains_key(&voter) {
                self.finder.seen_as.pop_first();
            }
            self.finder.seen_as.insert(voter, ip);
        }
    }

    /// The swarm is full: whether an idle link makes place for a newcomer of a better rank (BEP 40); of equal ones that with the longest
    /// round trip.
    pub(super) fn make_room(&mut self, cx: &mut Context, newcomer: Option<SocketAddr>) -> bool {
        let Some(rank) = newcomer.map(|address| self.finder.rank(&cx.config, address)) else {
            return false;
        };
        let now = cx.now;
        let idle = |peer: &&mut Peer| {
            !peer.transport.is_web()
                && now.since(peer.opened) >= IDLE
                && (peer.received == 0 || now.since(peer.last_block) >= IDLE)
        };
        let finder = &self.finder;
        let worst = self
            .peers
            .values_mut()
            .filter(idle)
            .filter_map(|peer| (peer.up.rate(now) == 0).then_some((peer.address?, peer.depth.delay(), peer.link)))
            .map(|(address, delay, link)| (finder.rank(&cx.config, address), Reverse(delay), link))
            .min();
        match worst {
            Some((worst, _, link)) if worst < rank => {
                self.close(cx, link, Reason::Full);
                true
            }
            _ => false,
        }
    }
}
