//! What a peer's messages do (BEP 3, BEP 6, BEP 9, BEP 10, BEP 54).

use alloc::format;

use bytes::Bytes;

use super::metadata::Progress;
use super::peer::{Claim, Has, read_bitfield};
use super::promise::HELLO;
use super::reason::Reason;
use super::{Content, Swarm};
use crate::bits::Bits;
use crate::event::{Link, Report};
use crate::gather::Gather;
use crate::layout::Piece;
use crate::session::context::Context;
use crate::wire::dont_have;
use crate::wire::extended::{ExtendedHandshake, Extension};
use crate::wire::message::{Message, RawRange};
use crate::wire::metadata::{self, MetadataError, MetadataMessage};

/// Suggestions of a peer that are remembered (BEP 6: the newest count most).
const MAX_SUGGESTED: usize = 16;

impl Swarm {
    /// Bytes came on a link: obeys every whole message in them.
    pub(crate) fn receive(&mut self, cx: &mut Context, link: Link, data: Bytes) {
        let Some(peer) = self.peers.get_mut(&link) else { return };
        peer.last_heard = cx.now;
        peer.framer.push(data);
        while let Some(peer) = self.peers.get_mut(&link) {
            let obeyed = match peer.framer.next() {
                Ok(Some(message)) => self.obey(cx, link, message),
                Ok(None) => break,
                Err(error) => Err(Reason::Frame(error)),
            };
            if let Err(reason) = obeyed {
                self.close(cx, link, reason);
            }
        }
        self.touch(link);
    }

    fn obey(&mut self, cx: &mut Context, link: Link, message: Message) -> Result<(), Reason> {
        let Some(peer) = self.peers.get_mut(&link) else {
            return Ok(());
        };
        if needs_fast(&message) && !peer.fast {
            return Err(Reason::Protocol(
                "a message of the fast extension, which was not agreed on",
            ));
        }
        match message {
            Message::KeepAlive | Message::Unknown(_) => {}
            Message::Port(port) => self.on_port(cx, link, port),
            Message::Choke => self.on_choke(link),
            Message::Unchoke => peer.theirs.choking = false,
            Message::Interested => self.on_interested(cx, link),
            Message::NotInterested => self.on_not_interested(cx, link),
            Message::Have(index) => self.on_have(link, index)?,
            Message::Bitfield(bytes) => self.on_claim(link, Some(Claim::Bitfield(bytes)))?,
            Message::HaveAll => self.on_claim(link, Some(Claim::All))?,
            Message::HaveNone => self.on_claim(link, None)?,
            Message::Request(range) => self.on_request(cx, link, range)?,
            Message::Cancel(range) => self.on_cancel(cx, link, range),
            Message::Piece { index, begin, block } => self.on_piece(cx, link, (index, begin), block)?,
            Message::Reject(range) => self.on_reject(link, range),
            Message::Suggest(index) => self.on_suggest(link, index)?,
            Message::AllowedFast(index) => self.on_allowed_fast(link, index)?,
            Message::HashRequest(payload) => self.on_hash_request(cx, link, payload),
            Message::Hashes(payload) => self.on_hashes(cx, link, &payload)?,
            Message::HashReject(payload) => self.on_hash_reject(cx, link, &payload),
            Message::Extended { id, payload } => self.on_extended(cx, link, id, &payload)?,
        }
        Ok(())
    }

    fn on_choke(&mut self, link: Link) {
        let Some(peer) = self.peers.get_mut(&link) else { return };
        peer.theirs.choking = true;
        // With the fast extension each request is answered or rejected all the same.
        if !peer.fast {
            self.release_requests(link);
        }
    }

    fn on_have(&mut self, link: Link, index: u32) -> Result<(), Reason> {
        let Some(peer) = self.peers.get_mut(&link) else {
            return Ok(());
        };
        let Some(content) = &mut self.content else {
            peer.early_have(index);
            return Ok(());
        };
        let piece = existing(content, index, "HAVE of a piece that does not exist")?;
        if let Has::Known(bits, count) = &mut peer.has
            && bits.insert(piece.index())
        {
            *count += 1;
            content.picker.add_have(piece);
            self.super_seed.stir();
            if let Some(bridge) = &mut content.bridge {
                bridge.spoil();
            }
        }
        Ok(())
    }

    fn on_dont_have(&mut self, link: Link, piece: Piece) {
        let (Some(peer), Some(content)) = (self.peers.get_mut(&link), &mut self.content) else {
            return;
        };
        if let Has::Known(bits, count) = &mut peer.has {
            // The picker counts a peer that is full as one number, so it must be counted out before a piece goes.
            if *count == bits.len() && bits.contains(piece.index()) {
                content.picker.remove_peer(bits);
                bits.remove(piece.index());
                content.picker.add_peer(bits);
                *count -= 1;
            } else if bits.remove(piece.index()) {
                content.picker.remove_have(piece);
                *count -= 1;
            }
            if let Some(bridge) = &mut content.bridge {
                bridge.spoil();
            }
        }
        // What was asked of it there will not come (BEP 54 leaves it open whether it is rejected).
        self.release_requests_of(link, piece);
    }

    /// BITFIELD, HAVE ALL or HAVE NONE.
    fn on_claim(&mut self, link: Link, claim: Option<Claim>) -> Result<(), Reason> {
        let Some(peer) = self.peers.get_mut(&link) else {
            return Ok(());
        };
        let Some(content) = &mut self.content else {
            peer.early_claim(claim);
            return Ok(());
        };
        let bits = match claim {
            Some(Claim::All) => Bits::full(content.layout.pieces()),
            Some(Claim::Bitfield(bytes)) => read_bitfield(&bytes, &content.layout)?,
            None => Bits::new(content.layout.pieces()),
        };
        if let Some(before) = peer.pieces() {
            content.picker.remove_peer(before);
        }
        content.picker.add_peer(&bits);
        let count = bits.count();
        peer.has = Has::Known(bits, count);
        self.super_seed.stir();
        if let Some(bridge) = &mut content.bridge {
            bridge.spoil();
        }
        Ok(())
    }

    fn on_suggest(&mut self, link: Link, index: u32) -> Result<(), Reason> {
        let (Some(peer), Some(content)) = (self.peers.get_mut(&link), &self.content) else {
            return Ok(());
        };
        let piece = existing(content, index, "SUGGEST of a piece that does not exist")?;
        peer.suggested.retain(|suggested| *suggested != piece);
        if peer.suggested.len() == MAX_SUGGESTED {
            peer.suggested.remove(0);
        }
        peer.suggested.push(piece);
        Ok(())
    }

    fn on_allowed_fast(&mut self, link: Link, index: u32) -> Result<(), Reason> {
        let (Some(peer), Some(content)) = (self.peers.get_mut(&link), &self.content) else {
            return Ok(());
        };
        let piece = existing(content, index, "ALLOWED FAST of a piece that does not exist")?;
        let pieces = content.layout.pieces();
        peer.allowed
            .get_or_insert_with(|| Bits::new(pieces))
            .insert(piece.index());
        Ok(())
    }

    fn on_extended(&mut self, cx: &mut Context, link: Link, id: u8, payload: &Bytes) -> Result<(), Reason> {
        if id == HELLO {
            return self.on_hello(cx, link, payload);
        }
        match Extension::from_id(id) {
            Some(Extension::Metadata) => self.on_metadata(cx, link, payload),
            Some(Extension::DontHave) => {
                let index =
                    dont_have::decode(payload).map_err(|error| Reason::Extension(format!("lt_donthave: {error:?}")))?;
                if let Some(content) = &self.content {
                    let piece = existing(content, index, "don't-have of a piece that does not exist")?;
                    self.on_dont_have(link, piece);
                }
                Ok(())
            }
            Some(Extension::Introduction) => self.on_introduction(cx, link, payload),
            Some(extension) => self.on_native(cx, link, extension, payload),
            None => Ok(()),
        }
    }

    /// The extended handshake (BEP 10). It may come again; what it leaves out stays.
    fn on_hello(&mut self, cx: &Context, link: Link, payload: &[u8]) -> Result<(), Reason> {
        let Some(peer) = self.peers.get_mut(&link) else {
            return Ok(());
        };
        let hello =
            ExtendedHandshake::decode(payload).map_err(|error| Reason::Extension(format!("handshake: {error:?}")))?;
        if let Some(client) = hello.client.as_ref().filter(|client| !client.is_empty()) {
            peer.client.clone_from(client);
        }
        if let Some(reqq) = hello.reqq {
            peer.depth.set_cap(reqq.min(cx.config.max_requests));
        }
        let mut ids = peer.hello.ids;
        ids.update(&hello.ids);
        let metadata_size = hello.metadata_size.or(peer.hello.metadata_size);
        let relay = hello.relay || peer.hello.relay;
        let upload_only = hello.upload_only.or(peer.hello.upload_only);
        peer.hello = ExtendedHandshake {
            ids,
            metadata_size,
            relay,
            upload_only,
            ..hello
        };
        // Banned before, and back under another id and from another port.
        if peer.listens().is_some_and(|address| cx.bans.refuses(address)) {
            return Err(Reason::Banned);
        }
        self.on_your_ip(link);
        if let Some(bridge) = self.content.as_mut().and_then(|content| content.bridge.as_mut()) {
            bridge.spoil();
        }
        Ok(())
    }

    fn on_metadata(&mut self, cx: &mut Context, link: Link, payload: &Bytes) -> Result<(), Reason> {
        match MetadataMessage::decode(payload) {
            Ok(MetadataMessage::Request { piece }) => self.serve_metadata(link, piece),
            Ok(MetadataMessage::Data { piece, payload, .. }) => {
                if self.content.is_none() {
                    let progress = self.metadata.receive(link, piece, payload, &self.hashes);
                    return self.on_metadata_progress(cx, progress);
                }
            }
            Ok(MetadataMessage::Reject { .. }) => self.metadata.give_up_on(link),
            Err(MetadataError::Unknown(_)) => {}
            Err(error) => return Err(Reason::Extension(format!("ut_metadata: {error:?}"))),
        }
        Ok(())
    }

    fn serve_metadata(&mut self, link: Link, piece: u32) {
        let Some(peer) = self.peers.get_mut(&link) else { return };
        let Some(id) = peer.hello.ids.of(Extension::Metadata) else {
            return;
        };
        let info = self.content.as_ref().map(|content| &content.metainfo.info);
        let part = info.and_then(|info| {
            let length = metadata::piece_length(piece, info.len() as u32);
            let start = piece as usize * metadata::METADATA_PIECE;
            (length > 0).then(|| (info.len() as u32, info.slice(start..start + length)))
        });
        let answer = match part {
            Some((total_size, payload)) => MetadataMessage::Data {
                piece,
                total_size,
                payload,
            },
            None => MetadataMessage::Reject { piece },
        };
        peer.send(&Message::Extended {
            id,
            payload: answer.encode(),
        });
    }

    fn on_metadata_progress(&mut self, cx: &mut Context, progress: Progress) -> Result<(), Reason> {
        match progress {
            Progress::More | Progress::Wrong => {}
            Progress::Guilty(link) => {
                if let Some(peer) = self.peers.get(&link) {
                    cx.bans.ban(peer.id, peer.address);
                    cx.bans.ban(peer.id, peer.listens());
                    cx.report(self.torrent, Report::Banned(link));
                    self.close(cx, link, Reason::Banned);
                }
            }
            Progress::Done(info) => self.on_metainfo(cx, info),
        }
        self.touch_all();
        Ok(())
    }

    fn on_metainfo(&mut self, cx: &mut Context, info: Bytes) {
        match crate::metainfo::Metainfo::from_info(info) {
            Ok(metainfo)
                if self.hashes.v1().is_some() && self.hashes.v2().is_some() && self.hashes != metainfo.hashes =>
            {
                let text = "the link's two info-hashes are not of one torrent".into();
                cx.report(self.torrent, Report::BadMetadata(text));
                self.pause(cx, true);
            }
            Ok(metainfo) => {
                // A hybrid has a second name, by which others know it.
                self.hashes = metainfo.hashes;
                self.announce_both(cx);
                let metainfo = alloc::sync::Arc::new(metainfo);
                cx.report(self.torrent, Report::Metadata(alloc::sync::Arc::clone(&metainfo)));
                self.open(cx, metainfo);
                let links: alloc::vec::Vec<Link> = self.peers.keys().copied().gather();
                links.into_iter().for_each(|link| self.send_hello(cx, link));
            }
            // It matches the info-hash, so no other peer has a better one.
            Err(error) => {
                cx.report(self.torrent, Report::BadMetadata(format!("{error}")));
                self.pause(cx, true);
            }
        }
    }

    /// Asks a peer for parts of the metadata.
    pub(super) fn ask_metadata(&mut self, cx: &mut Context, link: Link) {
        let Some(peer) = self.peers.get_mut(&link) else { return };
        let (Some(id), Some(size)) = (peer.hello.ids.of(Extension::Metadata), peer.hello.metadata_size) else {
            return;
        };
        for piece in self.metadata.ask(link, size, cx.now) {
            peer.send(&Message::Extended {
                id,
                payload: MetadataMessage::Request { piece }.encode(),
            });
        }
    }

    fn on_reject(&mut self, link: Link, range: RawRange) {
        let (Some(peer), Some(content)) = (self.peers.get_mut(&link), &mut self.content) else {
            return;
        };
        let range = content.layout.range(range.index, range.begin, range.length);
        let Some(block) = range.and_then(|range| content.layout.block_of(range)) else {
            return;
        };
        if peer.take_cancelled(block) || peer.take_asked(block).is_none() {
            return;
        }
        content.picker.release(block, peer.slot);
        // It does not choke us and yet will not send it: it does not have the piece any more. Asking again would
        // be rejected again; HAVE makes good what don't-have took.
        if !peer.theirs.choking {
            self.on_dont_have(link, block.piece);
        }
        self.touch_hungry();
    }
}

fn existing(content: &Content, index: u32, fault: &'static str) -> Result<Piece, Reason> {
    content.layout.piece(index).ok_or(Reason::Protocol(fault))
}

const fn needs_fast(message: &Message) -> bool {
    matches!(
        message,
        Message::HaveAll | Message::HaveNone | Message::Reject(_) | Message::Suggest(_) | Message::AllowedFast(_)
    )
}
