//! Answering hash requests (BEP 52): from the layers that are here, or by hashing a held piece's blocks anew.
//!
//! Every request is answered, with HASHES or with HASH REJECT. Invariant: what one peer can make us do is bounded: it pays for each
//! request in time, a request for blocks [`BLOCKS`] and any other [`NODES`], and may be at most [`CREDIT`] ahead.

use alloc::vec::Vec;
use core::ops::Range;

use bytes::Bytes;

use super::{Content, Swarm};
use crate::digest::{Digests, Hashing};
use crate::event::{Action, Job, Link};
use crate::map::Map;
use crate::merkle::Hash;
use crate::session::context::Context;
use crate::time::Span;
use crate::wire::hashes::{HEAD, HashRange};
use crate::wire::message::Message;

/// What a request for nodes that are here costs its sender.
const NODES: Span = Span::from_millis(2);

/// What a request costs for which a piece is read and hashed.
const BLOCKS: Span = Span::from_millis(250);

/// How far ahead of its time a peer may be: 2,000 requests at once, or 16 for blocks.
const CREDIT: Span = Span::from_secs(4);

/// Requests that one torrent hashes pieces for at a time.
const MAX_PROVING: usize = 16;

/// Bytes that may wait to be sent to a peer before it is refused more.
const MAX_BACKLOG: usize = 1 << 20;

/// A request for which pieces are being hashed, one after the other.
#[derive(Debug)]
pub(crate) struct Proving {
    link: Link,
    range: HashRange,
    payload: Bytes,
    /// The pieces that are not hashed yet.
    left: Range<u32>,
    blocks: Vec<Hash>,
}

/// The requests for which pieces are being hashed.
pub(crate) type Provings = Map<Job, Proving>;

impl Swarm {
    /// HASH REQUEST came.
    pub(super) fn on_hash_request(&mut self, cx: &mut Context, link: Link, payload: Bytes) {
        match self.answer(cx, link, &payload) {
            Some(Some(hashes)) => self.say_hashes(cx, link, &payload, &hashes),
            Some(None) => {}
            None => self.reject_hashes(link, payload),
        }
    }

    /// The hashes asked for, or `None` in their place while a piece is being hashed for them; `None` if they cannot be had.
    fn answer(&mut self, cx: &mut Context, link: Link, payload: &Bytes) -> Option<Option<Vec<u8>>> {
        let range = HashRange::decode(payload.first_chunk()?)?;
        let (peer, content) = (self.peers.get_mut(&link)?, self.content.as_mut()?);
        let layers = &content.metainfo.layers;
        let pieces = layers.needs(&range)?;
        let cost = if pieces.is_empty() { NODES } else { BLOCKS };
        if peer.backlog() > MAX_BACKLOG || !peer.hashes_owed.take(cost, CREDIT, cx.now) {
            return None;
        }
        if pieces.is_empty() {
            return layers.prove(&range, &[]).map(Some);
        }
        let held = |piece| content.layout.piece(piece).is_some_and(|piece| content.holds(piece));
        if content.proving.len() >= MAX_PROVING || !pieces.clone().all(held) {
            return None;
        }
        let proving = Proving {
            link,
            range,
            payload: payload.clone(),
            left: pieces,
            blocks: Vec::new(),
        };
        self.go_on_proving(cx, proving).map(|_| None)
    }

    /// Has the next piece hashed.
    fn go_on_proving(&mut self, cx: &mut Context, proving: Proving) -> Option<()> {
        let content = self.content.as_mut()?;
        let piece = content.layout.piece(proving.left.start)?;
        let hashing = Hashing {
            v1: None,
            v2: Some(content.metainfo.layers.piece(piece).1),
        };
        let job = cx.job(self.torrent);
        content.proving.insert(job, proving);
        cx.act(Action::Check(job, self.torrent, piece, hashing));
        Some(())
    }

    /// A piece was hashed for a request; false if the job was for something else.
    pub(super) fn proved(&mut self, cx: &mut Context, job: Job, digests: Option<&Digests>) -> bool {
        let Some(content) = &mut self.content else { return false };
        let Some(mut proving) = content.proving.remove(&job) else {
            return false;
        };
        let (link, payload) = (proving.link, proving.payload.clone());
        let Some(blocks) = right_blocks(content, proving.left.start, digests) else {
            self.reject_hashes(link, payload);
            return true;
        };
        proving.blocks.extend_from_slice(blocks);
        proving.left.start += 1;
        if !proving.left.is_empty() {
            let _ = self.go_on_proving(cx, proving);
            return true;
        }
        match content.metainfo.layers.prove(&proving.range, &proving.blocks) {
            Some(hashes) => self.say_hashes(cx, link, &payload, &hashes),
            None => self.reject_hashes(link, payload),
        }
        true
    }

    fn say_hashes(&mut self, cx: &mut Context, link: Link, payload: &Bytes, hashes: &[u8]) {
        let Some(peer) = self.peers.get_mut(&link) else { return };
        // BEP 52: they are limited as blocks are.
        self.limits.sent(cx, hashes.len() as u64);
        peer.send(&Message::Hashes([&payload[..HEAD], hashes].concat().into()));
        self.touch(link);
    }

    fn reject_hashes(&mut self, link: Link, payload: Bytes) {
        if let Some(peer) = self.peers.get_mut(&link) {
            peer.send(&Message::HashReject(payload));
            self.touch(link);
        }
    }
}

/// The block hashes of a stored piece, if it still is what it was.
fn right_blocks<'a>(content: &Content, piece: u32, digests: Option<&'a Digests>) -> Option<&'a [Hash]> {
    let expected = content.metainfo.layers.piece(content.layout.piece(piece)?).0;
    let digests = digests.filter(|digests| expected.is_none_or(|hash| digests.v2 == Some(hash)))?;
    Some(&digests.blocks)
}
