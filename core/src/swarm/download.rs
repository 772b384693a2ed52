//! Asking for blocks and taking them in: interest, requests, PIECE, hashing, blame.

use alloc::vec::Vec;

use super::assembly::{Finished, Source};
use super::limits::Limits;
use super::picker::{Asker, Budget, Phase, Received};
use super::reason::Reason;
use super::{Content, Swarm};
use crate::bits::Bits;
use crate::digest::Digests;
use crate::event::{Action, Job, Link, Report, Transport};
use crate::gather::Gather;
use crate::layout::{BLOCK, Block, Piece, Range};
use crate::metainfo::Verdict;
use crate::session::context::Context;
use crate::slices::Slices;
use crate::swarm::peer::{Asked, Peer};
use crate::wire::message::{Message, RawRange};

impl Swarm {
    /// Says whether we are interested, and asks for as much as the link can take.
    pub(super) fn top_up(&mut self, cx: &mut Context, link: Link) {
        if self.content.is_none() {
            return self.ask_metadata(cx, link);
        }
        let thirst = self.has_thirst();
        let spare = self.peers.get(&link).filter(|peer| peer.is_dear());
        let spare = spare.and_then(|_| self.spare(cx.now));
        let (Some(peer), Some(content)) = (self.peers.get_mut(&link), &mut self.content) else {
            return;
        };
        if !content.restored {
            return self.ask_hashes(cx, link);
        }
        let Some(pieces) = peer.pieces() else { return };
        let interested = content.picker.wants(pieces) || thirst && !peer.transport.is_web() && !pieces.is_empty();
        if interested != peer.ours.interested {
            peer.ours.interested = interested;
            peer.send(if interested {
                &Message::Interested
            } else {
                &Message::NotInterested
            });
        }
        let before = content.picker.phase();
        let opened = request(cx, content, peer, (&mut self.limits, spare.as_ref()));
        content.settle_memory(cx);
        if peer.hungry && self.limits.down(cx) == 0 {
            self.clock.by(self.limits.down_at(cx), cx.now);
        }
        if opened && before != Phase::Endgame && content.picker.phase() == Phase::Endgame {
            self.touch_hungry();
        }
        self.ask_hashes(cx, link);
    }

    /// A bridge is interested before anyone asks, while there is someone who could: a native peer that unchokes
    /// by rounds of ten seconds would else keep the first request waiting so long.
    fn has_thirst(&self) -> bool {
        let bridge = self.content.as_ref().is_some_and(|content| content.bridge.is_some());
        bridge
            && self
                .peers
                .values()
                .any(|peer| peer.transport.is_web() && !peer.is_seed())
    }

    /// PIECE came.
    pub(super) fn on_piece(
        &mut self,
        cx: &mut Context,
        link: Link,
        at: (u32, u32),
        data: Slices,
    ) -> Result<(), Reason> {
        let (Some(peer), Some(content)) = (self.peers.get_mut(&link), &mut self.content) else {
            return Ok(());
        };
        let length = data.len() as u64;
        peer.received += length;
        peer.down.add(length, cx.now);
        peer.last_block = cx.now;
        peer.snubbed = false;
        self.received.count(peer.transport, length);
        self.rates.down.add(length, cx.now);
        let range = content.layout.range(at.0, at.1, data.len() as u32);
        let range = range.ok_or(Reason::Protocol("PIECE outside the torrent"))?;
        let Some(block) = content.layout.block_of(range) else {
            return Ok(());
        };
        peer.take_cancelled(block);
        match peer.take_asked(block) {
            Some(asked) => peer.depth.received(asked.at, cx.now),
            // It came after its time-out: better late than fetched twice.
            None if peer.was_late(block) => {
                content.picker.adopt(block, peer.slot);
            }
            None => return Ok(()),
        }
        let from = (peer.source(), peer.slot);
        self.take_block(cx, block, data, from);
        Ok(())
    }

    /// Takes a block in that was asked of a source, by the slot that the picker knows it by.
    pub(super) fn take_block(&mut self, cx: &mut Context, block: Block, data: Slices, (source, slot): (Source, u32)) {
        let Some(content) = &mut self.content else { return };
        let Received::Accepted { piece_complete, cancel } = content.picker.received(block, slot) else {
            return;
        };
        content
            .assembly
            .put(block, content.layout.blocks(block.piece), data, source);
        let cancel: Vec<(u32, Block)> = cancel.into_iter().map(|link| (link, block)).gather();
        if piece_complete && let Some(finished) = content.assembly.finish(block.piece) {
            let job = cx.job(self.torrent);
            cx.act(Action::Hash(
                job,
                finished.data(),
                content.metainfo.hashing(block.piece),
            ));
            content.hashing.insert(job, finished);
        }
        self.cancel(&cancel);
    }

    /// A piece that arrived has been hashed.
    pub(crate) fn hashed(&mut self, cx: &mut Context, job: Job, digests: Digests) {
        let finished = self.content.as_mut().and_then(|content| content.hashing.remove(&job));
        if let Some(finished) = finished {
            self.judge(cx, finished, digests);
        }
    }

    /// Says whether a piece is what it should be, once that can be known.
    pub(super) fn judge(&mut self, cx: &mut Context, finished: Finished, digests: Digests) {
        let piece = finished.piece;
        let hash = digests.v2;
        let Some(content) = &mut self.content else { return };
        match content.metainfo.is_right(piece, &digests) {
            None => self.wait_for_hash(finished, digests),
            Some(Verdict::Right) => {
                let guilty = content.assembly.acquit(&finished);
                self.verified(cx, piece, &finished);
                self.ban(cx, &guilty);
            }
            Some(Verdict::Contradiction) => self.contradiction(cx, piece),
            Some(Verdict::Wrong) => {
                content.hash_failures += 1;
                cx.report(self.torrent, Report::HashFailed(piece));
                if let Err(finished) = self.suspect(cx, finished, digests) {
                    self.accuse(cx, &finished);
                }
            }
        }
        self.note_hash(cx, piece, hash);
        self.touch_hungry();
    }

    /// A piece failed and nothing says which of its blocks are bad: all of it is fetched again.
    pub(super) fn accuse(&mut self, cx: &mut Context, finished: &Finished) {
        let Some(content) = &mut self.content else { return };
        content.picker.set_missing(finished.piece);
        content.settle_memory(cx);
        let senders = content.assembly.accuse(finished);
        match senders[..] {
            [_] => self.ban(cx, &senders),
            _ => senders.iter().for_each(|sender| self.set_parole(sender.link, true)),
        }
        self.touch_hungry();
    }

    /// A source is to get pieces of its own until one of them passes, or no longer.
    fn set_parole(&mut self, link: Link, parole: bool) {
        match self.peers.get_mut(&link) {
            Some(peer) => peer.parole = parole,
            None => self.web_seeds.set_parole(link, parole),
        }
    }

    fn verified(&mut self, cx: &mut Context, piece: Piece, finished: &Finished) {
        let Some(content) = &mut self.content else { return };
        let length = content.layout.piece_length(piece);
        content.picker.set_held(piece);
        content.have += u64::from(length);
        let data = finished.data();
        if content.bridge.is_some() {
            content.reads.keep_piece(piece, &data, &content.layout, cx.now);
        }
        if let Some(bridge) = &mut content.bridge {
            bridge.keep(piece, length, cx.now);
            cx.cached += u64::from(length);
        }
        let job = cx.job(self.torrent);
        cx.act(Action::Store(job, self.torrent, piece, data));
        content.begin_storing(job, piece);
        content.settle_memory(cx);
        if let Some(source) = finished.source() {
            cx.report(self.torrent, Report::Verified(piece, source.transport));
            self.set_parole(source.link, false);
        }
        self.promise_piece(piece);
        self.touch_uploading();
    }

    pub(super) fn ban(&mut self, cx: &mut Context, guilty: &[Source]) {
        for source in guilty {
            if source.transport == Transport::Http {
                self.ban_web_seed(cx, source.link);
                continue;
            }
            cx.bans.ban(source.id, source.address);
            cx.bans.ban(source.id, source.listens);
            cx.report(self.torrent, Report::Banned(source.link));
            let same: Vec<Link> = self
                .peers
                .values()
                .filter(|peer| cx.bans.bans_peer(peer.id, peer.address))
                .map(|peer| peer.link)
                .gather();
            same.into_iter().for_each(|link| self.close(cx, link, Reason::Banned));
        }
    }

    /// Takes back everything that was asked of a link.
    pub(super) fn release_requests(&mut self, link: Link) {
        let (Some(peer), Some(content)) = (self.peers.get_mut(&link), &mut self.content) else {
            return;
        };
        content.picker.release_link(peer.slot);
        peer.asked.clear();
        self.touch_hungry();
    }

    /// Takes back what was asked of a link in one piece.
    pub(super) fn release_requests_of(&mut self, link: Link, piece: Piece) {
        let (Some(peer), Some(content)) = (self.peers.get_mut(&link), &mut self.content) else {
            return;
        };
        let before = peer.asked.len();
        for asked in core::mem::take(&mut peer.asked) {
            if asked.block.piece == piece {
                content.picker.release(asked.block, peer.slot);
            } else {
                peer.asked.push_back(asked);
            }
        }
        if peer.asked.len() < before {
            self.touch_hungry();
        }
    }

    /// A link let a request wait for too long: others may be asked. What comes late is still taken.
    pub(super) fn time_out(&mut self, cx: &mut Context, link: Link) {
        let (Some(peer), Some(content)) = (self.peers.get_mut(&link), &mut self.content) else {
            return;
        };
        peer.depth.timed_out(cx.now);
        content.picker.release_link(peer.slot);
        peer.shelve_asked();
        self.touch_hungry();
        self.touch(link);
    }

    /// Sends CANCEL for blocks that the picker has taken back.
    pub(super) fn cancel(&mut self, blocks: &[(u32, Block)]) {
        for &(slot, block) in blocks {
            let Some(link) = self.link_of(slot) else { continue };
            let (Some(peer), Some(content)) = (self.peers.get_mut(&link), &self.content) else {
                // A web seed: it is looked at whether anything is left to wait for.
                self.web_seeds.stirred = true;
                continue;
            };
            if peer.take_asked(block).is_some() {
                peer.send(&Message::Cancel(raw(content.layout.block_range(block))));
                peer.cancelled(block);
                self.touch(link);
            }
        }
    }
}

/// Picks blocks for a peer, of `spare` alone if that is given, and asks for them; whether any were.
fn request(
    cx: &mut Context,
    content: &mut Content,
    peer: &mut Peer,
    (limits, spare): (&mut Limits, Option<&Bits>),
) -> bool {
    peer.hungry = true;
    let fast_only = peer.theirs.choking;
    if content.full || !peer.ours.interested || fast_only && peer.allowed.is_none() {
        return false;
    }
    // A limit lets as many requests go as their blocks may come: else one burst would use up seconds of it.
    let allowed = limits.down(cx).div_ceil(BLOCK.into());
    let count = peer.depth.depth().saturating_sub(peer.asked.len());
    let count = count.min(usize::try_from(allowed).unwrap_or(usize::MAX));
    if count == 0 {
        peer.hungry = allowed == 0;
        return false;
    }
    let mut budget = budget(cx, content);
    let mut blocks = Vec::new();
    let Some(has) = peer.pieces() else { return false };
    let asker = Asker {
        link: peer.slot,
        has,
        seed: peer.is_seed(),
        only: peer.allowed.as_ref().filter(|_| fast_only).or(spare),
        prefer: &peer.suggested,
        exclusive: peer.parole,
        fast: !peer.snubbed,
        now: cx.now,
    };
    content
        .picker
        .pick(&asker, count, &mut budget, &mut cx.rng, &mut blocks);
    peer.hungry = blocks.len() < count || count as u64 == allowed;
    if !blocks.is_empty() && !peer.is_asked() {
        peer.last_block = cx.now;
    }
    for &block in &blocks {
        let range = content.layout.block_range(block);
        limits.asked(cx, range.length.into());
        peer.asked.push_back(Asked { block, at: cx.now });
        peer.send(&Message::Request(raw(range)));
    }
    !blocks.is_empty()
}

/// Memory that pieces may still be opened in. What a bridge fetches unasked is held to the room in its cache too.
pub(super) fn budget(cx: &Context, content: &Content) -> Budget {
    let memory = cx.memory.room(content.layout.nominal_piece_length());
    match &content.bridge {
        Some(_) => {
            let unasked = memory.min(cx.config.cache.saturating_sub(cx.cached + content.picker.open_bytes()));
            Budget {
                bytes: unasked,
                reserve: memory - unasked,
            }
        }
        None => Budget {
            bytes: memory,
            reserve: 0,
        },
    }
}

/// A range as messages carry it.
pub(super) fn raw(range: Range) -> RawRange {
    RawRange {
        index: range.piece.number(),
        begin: range.begin,
        length: range.length,
    }
}
