//! What we say that we have: BITFIELD, HAVE and their kin (BEP 3, BEP 6), and taking it back (BEP 54).
//!
//! A torrent held whole says what it holds. A bridge says to each side what it holds or can fetch from the other side.

use alloc::vec::Vec;

use super::Swarm;
use super::peer::Peer;
use crate::bits::Bits;
use crate::event::Link;
use crate::gather::Gather;
use crate::layout::Piece;
use crate::session::context::Context;
use crate::wire::dont_have;
use crate::wire::extended::{ExtendedHandshake, Extension, Ids};
use crate::wire::fast::{ALLOWED_FAST, allowed_fast};
use crate::wire::message::Message;

/// Requests that we let wait per peer, as the extended handshake says (BEP 10). 2,048 are 32 MiB.
pub(super) const MAX_UPLOADS: usize = 2_048;

/// The extensions whose every message is obeyed on every link.
const EXTENSIONS: [Extension; 2] = [Extension::Metadata, Extension::DontHave];

/// The id of the extended handshake (BEP 10).
pub(super) const HELLO: u8 = 0;

impl Swarm {
    /// The first words on a new link: our pieces, then the extended handshake.
    pub(super) fn greet(&mut self, cx: &mut Context, link: Link) {
        if self.content.is_some() {
            self.count_in(link, true);
        } else if let Some(peer) = self.peers.get_mut(&link).filter(|peer| peer.fast) {
            // BEP 6 demands a word; what we have follows by HAVE.
            peer.send(&Message::HaveNone);
        }
        self.send_hello(cx, link);
    }

    /// Says to everyone who thinks otherwise whether we download nothing (BEP 21).
    pub(super) fn tell_upload_only(&mut self, cx: &Context) {
        let now = self.is_upload_only();
        let told = |peer: &&Peer| peer.extended && peer.told_upload_only != now;
        let links: Vec<Link> = self.peers.values().filter(told).map(|peer| peer.link).collect();
        links.into_iter().for_each(|link| self.send_hello(cx, link));
    }

    /// Whether nothing more is wanted. One that super-seeds does not say so: it would be known for what it is.
    fn is_upload_only(&self) -> bool {
        let done = |content: &super::Content| content.bridge.is_none() && content.is_complete();
        !self.super_seed.is_on() && self.content.as_ref().is_some_and(done)
    }

    /// Sends the extended handshake, again when the metadata became known or nothing more is wanted.
    pub(super) fn send_hello(&mut self, cx: &Context, link: Link) {
        let upload_only = self.is_upload_only();
        let content = self.content.as_ref();
        let Some(peer) = self.peers.get(&link).filter(|peer| peer.extended) else {
            return;
        };
        let mut ids = Ids::ours(&EXTENSIONS);
        self.add_native_ids(&cx.config, peer, &mut ids);
        self.add_introduction_id(peer, &mut ids);
        let hello = ExtendedHandshake {
            ids,
            client: Some(cx.config.client.clone()),
            reqq: Some(MAX_UPLOADS as u32),
            metadata_size: content.map(|content| content.metainfo.info.len() as u32),
            port: Some(cx.config.port).filter(|&port| port != 0),
            // What was not said is not to be taken back.
            upload_only: (upload_only || peer.told_upload_only).then_some(upload_only),
            your_ip: peer.address.map(|address| address.ip()),
            relay: cx.config.relay,
        };
        let payload = hello.encode();
        if let Some(peer) = self.peers.get_mut(&link) {
            peer.send(&Message::Extended { id: HELLO, payload });
            peer.told_upload_only = upload_only;
        }
        self.touch(link);
    }

    /// Says for the first time which pieces we have, now that their number is known.
    ///
    /// Only as the `first` word on the link may it be BITFIELD or HAVE ALL.
    pub(super) fn first_promise(&mut self, link: Link, first: bool) {
        let Some(content) = &mut self.content else { return };
        if let Some(bridge) = &mut content.bridge {
            bridge.refresh(self.peers.values(), self.web_seeds.are_usable());
            // What this peer has is still to be promised to the others.
            bridge.spoil();
        }
        let Some(peer) = self.peers.get_mut(&link) else { return };
        let have = if self.super_seed.is_on() {
            self.super_seed.stir();
            Bits::new(content.layout.pieces())
        } else {
            offerable(content, peer)
        };
        if !first {
            promise_more(peer, &have);
        } else if peer.fast && have.is_full() {
            peer.send(&Message::HaveAll);
        } else if peer.fast && have.is_empty() {
            peer.send(&Message::HaveNone);
        } else if !have.is_empty() {
            peer.send(&Message::Bitfield(have.to_bytes().into()));
        }
        peer.promised = Some(have);
        if !self.super_seed.is_on() {
            grant_fast(content, peer, self.hashes.swarm());
        }
    }

    /// A piece is held now: everybody is told.
    pub(super) fn promise_piece(&mut self, piece: Piece) {
        if self.super_seed.is_on() {
            return self.super_seed.stir();
        }
        let bridge = self.content.as_ref().is_some_and(|content| content.bridge.is_some());
        for (link, peer) in self.peers.iter_mut() {
            // Of a bridge that forgets pieces again: a seed that was told of each once would take it for a seed, and leave.
            let redundant = bridge && has(peer, piece.index());
            let promised = peer.promised.as_mut().filter(|_| !redundant);
            if promised.is_some_and(|promised| promised.insert(piece.index())) {
                peer.send_have(piece);
                if !peer.dirty {
                    peer.dirty = true;
                    self.dirty.push(*link);
                }
            }
        }
    }

    /// A piece is not held any more: everybody is told who understands it.
    pub(super) fn unpromise(&mut self, piece: Piece) {
        for (link, peer) in self.peers.iter_mut() {
            let promised = peer
                .promised
                .as_mut()
                .filter(|promised| promised.contains(piece.index()));
            if let (Some(promised), Some(id)) = (promised, peer.hello.ids.of(Extension::DontHave)) {
                promised.remove(piece.index());
                let payload = dont_have::encode(piece.number());
                peer.send(&Message::Extended { id, payload });
                if !peer.dirty {
                    peer.dirty = true;
                    self.dirty.push(*link);
                }
            }
        }
    }

    /// Brings what a bridge promised up to date with what it holds and can fetch.
    pub(super) fn settle_promises(&mut self) {
        let Some(content) = &mut self.content else { return };
        let Some(bridge) = content.bridge.as_mut().filter(|bridge| bridge.is_stale()) else {
            return;
        };
        bridge.refresh(self.peers.values(), self.web_seeds.are_usable());
        let mut changed = Vec::new();
        for peer in self.peers.values_mut().filter(|peer| peer.promised.is_some()) {
            let have = offerable(content, peer);
            let told = promise_more(peer, &have) | take_back(peer, &have);
            if told {
                changed.push(peer.link);
            }
        }
        changed.into_iter().for_each(|link| self.touch(link));
    }
}

/// What may be promised to a peer.
fn offerable(content: &super::Content, peer: &Peer) -> Bits {
    let mut have = content.picker.held().clone();
    if let Some(bridge) = content
        .bridge
        .as_ref()
        .filter(|_| peer.fast || peer.hello.ids.of(Extension::DontHave).is_some())
    {
        have.union(bridge.beyond(peer.transport));
    }
    have
}

/// Whether a peer says that it has a piece.
fn has(peer: &Peer, index: usize) -> bool {
    peer.pieces().is_some_and(|pieces| pieces.contains(index))
}

/// Sends HAVE for what is new and the peer lacks; whether anything was.
fn promise_more(peer: &mut Peer, have: &Bits) -> bool {
    let promised = peer.promised.take().unwrap_or_else(|| Bits::new(have.len()));
    let new: Vec<usize> = have.difference(&promised).filter(|&index| !has(peer, index)).gather();
    let promised = peer.promised.insert(promised);
    for &index in &new {
        promised.insert(index);
    }
    for &index in &new {
        peer.send(&Message::Have(index as u32));
    }
    !new.is_empty()
}

/// Sends don't-have for what is no more, to a peer that understands it; whether anything was.
fn take_back(peer: &mut Peer, have: &Bits) -> bool {
    let (Some(id), Some(promised)) = (peer.hello.ids.of(Extension::DontHave), &mut peer.promised) else {
        return false;
    };
    let gone: Vec<usize> = promised.difference(have).gather();
    for &index in &gone {
        promised.remove(index);
    }
    for &index in &gone {
        peer.send(&Message::Extended {
            id,
            payload: dont_have::encode(index as u32),
        });
    }
    !gone.is_empty()
}

/// Lets a peer that has next to nothing ask for a few pieces though it is choked (BEP 6), so that it soon has something to trade.
fn grant_fast(content: &super::Content, peer: &mut Peer, swarm: crate::key::SwarmKey) {
    let address = peer.address.map(|address| address.ip().to_canonical());
    let Some(core::net::IpAddr::V4(address)) = address.filter(|_| peer.fast && content.bridge.is_none()) else {
        return;
    };
    for piece in allowed_fast(swarm, address, &content.layout, ALLOWED_FAST) {
        if content.holds(piece) {
            peer.granted.push(piece);
            peer.send(&Message::AllowedFast(piece.number()));
        }
    }
}
