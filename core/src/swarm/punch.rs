//! Holepunch (BEP 55): bringing two peers together that we both know, being brought together, and asking for it.
//!
//! Both ends of the new link dial at the same time ([`Action::Punch`]), over uTP, whose first packets open the way through their NATs.

use alloc::format;
use core::net::SocketAddr;

use super::Swarm;
use super::peer::Peer;
use super::reason::Reason;
use crate::address::{is_local, is_usable};
use crate::event::{Action, Link, Transport};
use crate::session::context::Context;
use crate::wire::extended::Extension;
use crate::wire::holepunch::{Holepunch, HolepunchError, HolepunchFailure};
use crate::wire::message::Message;

impl Swarm {
    /// A message of the extension came.
    pub(super) fn on_holepunch(&mut self, cx: &mut Context, link: Link, payload: &[u8]) -> Result<(), Reason> {
        match Holepunch::decode(payload) {
            Ok(Holepunch::Rendezvous(target)) => self.introduce(link, target),
            Ok(Holepunch::Connect(address)) => self.punch(cx, address),
            // The dial has failed already; there is nothing else to try.
            Ok(Holepunch::Error(..)) | Err(HolepunchError::Kind(_) | HolepunchError::Family(_)) => {}
            Err(error) => return Err(Reason::Extension(format!("ut_holepunch: {error:?}"))),
        }
        Ok(())
    }

    /// Tells a peer and the one it names to connect to each other.
    fn introduce(&mut self, link: Link, target: SocketAddr) {
        let Some(asker) = self.peers.get(&link).and_then(takes_datagrams) else {
            return;
        };
        let knows = |peer: &&Peer| peer.address == Some(target) || peer.listens() == Some(target);
        let found = self.peers.values().find(knows);
        let answer = match found {
            _ if !is_usable(target) => Err(HolepunchFailure::NoSuchPeer),
            None => Err(HolepunchFailure::NotConnected),
            Some(peer) if peer.link == link => Err(HolepunchFailure::NoSuchPeer),
            Some(peer) if peer.hello.ids.of(Extension::Holepunch).is_none() => Err(HolepunchFailure::NoSupport),
            Some(peer) => Ok((peer.link, takes_datagrams(peer).unwrap_or(target))),
        };
        match answer {
            Ok((other, seen)) => {
                self.say_punch(other, Holepunch::Connect(asker));
                self.say_punch(link, Holepunch::Connect(seen));
            }
            Err(failure) => self.say_punch(link, Holepunch::Error(target, failure)),
        }
    }

    fn say_punch(&mut self, link: Link, message: Holepunch) {
        if let Some(peer) = self.peers.get_mut(&link)
            && let Some(id) = peer.hello.ids.of(Extension::Holepunch)
        {
            let payload = message.encode();
            peer.send(&Message::Extended { id, payload });
            self.touch(link);
        }
    }

    /// Somebody brings us together with a peer: it dials us as we dial it.
    fn punch(&mut self, cx: &mut Context, address: SocketAddr) {
        let local = is_local(address.ip()) && !cx.config.allow_local;
        let linked = self.peers.values().any(|peer| peer.address == Some(address));
        let full = self.dials(cx) == 0;
        if !is_usable(address) || local || linked || full || self.paused || cx.bans.refuses(address) {
            return;
        }
        self.dialer.add(address, cx.now);
        if self.dialer.is_idle(address) {
            let dial = cx.dial(self.torrent);
            self.dialer.begin(dial, address);
            // Many may be asked for in one turn.
            self.count_usage(cx);
            cx.act(Action::Punch(dial, self.torrent, address));
        }
    }

    /// An address could not be reached: if a peer named it that can help, it is asked to, once.
    pub(super) fn ask_for_punch(&mut self, _: &mut Context, address: SocketAddr) {
        if let Some(link) = self.finder.via.remove(&address) {
            self.say_punch(link, Holepunch::Rendezvous(address));
        }
    }
}

/// Where a peer's datagrams come from, as far as can be told. Over uTP that is seen; a TCP connection that it made has a port of its own,
/// but its uTP is at the port that it listens at, which most NATs keep.
fn takes_datagrams(peer: &Peer) -> Option<SocketAddr> {
    let listens = peer
        .listens()
        .filter(|_| peer.inbound && peer.transport == Transport::Tcp);
    listens.or(peer.address)
}
