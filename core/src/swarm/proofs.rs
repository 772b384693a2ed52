//! Asking peers for nodes of hash trees (BEP 52): the hashes of pieces where the metadata came without them, and the hashes of the
//! blocks of a piece that failed, so that only its bad blocks are fetched again.
//!
//! Any peer that speaks v2 is asked, choked or not, for what it has pieces of. An answer that does not follow from the root bans its
//! sender. Cost: a look at up to [`LOOKS`] runs when a peer is looked at, while something is missing; nothing otherwise.

use alloc::vec::Vec;

use super::assembly::{Finished, Source};
use super::own_layers::OwnHashes;
use super::peer::Peer;
use super::reason::Reason;
use super::{Content, Swarm};
use crate::digest::Digests;
use crate::event::{Link, Report};
use crate::gather::Gather;
use crate::layout::Piece;
use crate::map::Map;
use crate::merkle::{self, Hash};
use crate::metainfo::Layers;
use crate::session::context::Context;
use crate::time::{Span, Time};
use crate::wire::hashes::{self, HEAD, HashRange, MAX_LENGTH};
use crate::wire::message::Message;

/// Hash requests that wait for one peer's answer at a time. libtorrent has two; an answer is as long as a block.
const PIPELINE: usize = 4;

/// How long a peer may take to answer before another one is asked.
const TIMEOUT: Span = Span::from_secs(10);

/// How long a peer that would not or did not answer is not asked the same again: it may have come to have it.
const REFUSAL: Span = Span::from_secs(20);

/// How long a failed piece waits for the hashes of its blocks before all of it is fetched again.
const PATIENCE: Span = Span::from_secs(20);

/// Runs that are looked at for one peer at a time.
const LOOKS: usize = 64;

/// Refusals that are remembered.
const MAX_REFUSALS: usize = 4_096;

/// What is missing of a torrent's hash trees.
#[derive(Debug, Default)]
pub(crate) struct Proofs {
    /// Runs of piece hashes that are missing.
    pub(super) wanted: Vec<HashRange>,
    /// Where among them the next look begins.
    next: usize,
    asked: Map<HashRange, Link>,
    refused: Map<(HashRange, Link), Time>,
    /// Pieces that arrived before their hash did.
    waiting: Vec<(Finished, Digests)>,
    /// Pieces in storage of which the same is true.
    pub(super) unproven: Map<Piece, Digests>,
    /// What pieces hash to of which the same is true.
    pub(super) own: OwnHashes,
    /// Pieces that failed.
    suspects: Map<Piece, Suspect>,
}

/// A piece that failed its hash, while the hashes of its blocks are being fetched.
#[derive(Debug)]
struct Suspect {
    finished: Finished,
    digests: Digests,
    since: Time,
    /// What is still to be asked for.
    wanted: Vec<HashRange>,
    blocks: Vec<Hash>,
}

/// A hash request that was sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HashAsked {
    range: HashRange,
    at: Time,
    /// It took too long; an answer is still welcome.
    late: bool,
}

impl Proofs {
    pub(crate) fn new(layers: &Layers) -> Self {
        Self {
            wanted: layers.missing(),
            ..Self::default()
        }
    }

    /// Whether nothing is missing.
    pub(crate) fn is_idle(&self) -> bool {
        self.wanted.is_empty() && self.suspects.is_empty()
    }

    /// The link is gone.
    pub(crate) fn forget(&mut self, link: Link) {
        self.asked.retain(|_, asked| *asked != link);
        self.refused.retain(|(_, refused), _| *refused != link);
    }

    /// No answer came, or none of use.
    fn refuse(&mut self, range: HashRange, link: Link, now: Time) {
        if self.asked.get(&range) == Some(&link) {
            self.asked.remove(&range);
        }
        if self.refused.len() >= MAX_REFUSALS {
            self.refused.retain(|_, until| *until > now);
        }
        if self.refused.len() < MAX_REFUSALS {
            self.refused.insert((range, link), now + REFUSAL);
        }
    }

    /// The next run to ask of a peer.
    fn pick(&mut self, peer: &Peer, layers: &Layers, now: Time) -> Option<HashRange> {
        let has = peer.pieces()?;
        let free = |range: &HashRange| {
            let refused = self.refused.get(&(*range, peer.link)).is_some_and(|until| *until > now);
            !refused && !self.asked.contains_key(range)
        };
        for (piece, suspect) in self.suspects.iter().filter(|(piece, _)| has.contains(piece.index())) {
            debug_assert!(!suspect.wanted.is_empty(), "{piece:?} waits for nothing");
            if let Some(range) = suspect.wanted.iter().find(|range| free(range)) {
                return Some(*range);
            }
        }
        let has_some = |range: &HashRange| {
            let (first, count) = layers.pieces_of(range);
            (first..first + count).any(|piece| has.contains(piece as usize))
        };
        let count = self.wanted.len();
        let places = (0..count.min(LOOKS)).map(|step| (self.next + step) % count);
        let mut places = places.filter(|&at| free(&self.wanted[at]));
        let found = places.find(|&at| has_some(&self.wanted[at]));
        self.next = found.map_or(self.next + LOOKS, |at| at) % count.max(1);
        found.map(|at| self.wanted[at])
    }

    /// Where a run is among the wanted: soon found, since it was picked not long ago.
    fn place(&self, range: &HashRange) -> Option<usize> {
        let (before, after) = self.wanted.split_at(self.wanted.len().min(self.next + 1));
        let late = || {
            after
                .iter()
                .position(|wanted| wanted == range)
                .map(|at| before.len() + at)
        };
        before.iter().rposition(|wanted| wanted == range).or_else(late)
    }

    /// A piece came whose hash is not known: it waits, and its hash is asked for before the others.
    fn wait(&mut self, finished: Finished, digests: Digests, layers: &Layers) {
        let range = layers.request(finished.piece);
        if let Some(at) = self.wanted.iter().position(|wanted| Some(*wanted) == range) {
            self.wanted.swap(0, at);
            self.next = 0;
        }
        self.waiting.push((finished, digests));
    }
}

impl Suspect {
    /// The piece's block hashes as far as they were asked for: whether these follow from its hash, and whether all are here now.
    fn learn(&mut self, range: &HashRange, answer: &[u8], expected: Hash) -> Option<bool> {
        let (nodes, neighbours) = hashes::nodes(range, answer)?;
        let node = merkle::root(&nodes, 0, range.levels());
        let run = u64::from(range.index) / u64::from(range.length);
        let levels = range.levels() + range.neighbours();
        let within = run & ((1 << (levels - range.levels())) - 1);
        if merkle::climb(node, within, &neighbours) != expected {
            return None;
        }
        let from = (within as usize) * range.length as usize;
        let blocks = self.blocks.iter_mut().skip(from);
        blocks.zip(nodes).for_each(|(place, node)| *place = node);
        self.wanted.retain(|wanted| wanted != range);
        Some(self.wanted.is_empty())
    }
}

impl Swarm {
    /// Asks a peer for nodes that are missing.
    pub(super) fn ask_hashes(&mut self, cx: &Context, link: Link) {
        let (Some(peer), Some(content)) = (self.peers.get_mut(&link), &mut self.content) else {
            return;
        };
        if content.proofs.is_idle() || !peer.v2 {
            return;
        }
        while peer.hashes_asked.iter().filter(|asked| !asked.late).count() < PIPELINE {
            let Some(range) = content.proofs.pick(peer, &content.metainfo.layers, cx.now) else {
                break;
            };
            content.proofs.asked.insert(range, link);
            peer.hashes_asked.push(HashAsked {
                range,
                at: cx.now,
                late: false,
            });
            peer.send(&Message::HashRequest(range.encode().to_vec().into()));
        }
    }

    /// HASHES came.
    pub(super) fn on_hashes(&mut self, cx: &mut Context, link: Link, payload: &bytes::Bytes) -> Result<(), Reason> {
        let Some(range) = self.take_hash_asked(link, payload) else {
            return Err(Reason::Protocol("HASHES that were not asked for"));
        };
        let Some(content) = &mut self.content else {
            return Ok(());
        };
        if content.proofs.asked.get(&range) == Some(&link) {
            content.proofs.asked.remove(&range);
        }
        let answer = &payload[HEAD..];
        let of_suspect = |suspect: &Suspect| suspect.wanted.contains(&range);
        let suspects = content.proofs.suspects.iter();
        let suspects: Vec<Piece> = suspects
            .filter(|(_, suspect)| of_suspect(suspect))
            .map(|(piece, _)| *piece)
            .gather();
        let mut right = true;
        for piece in &suspects {
            right &= self.on_blocks(cx, *piece, &range, answer);
        }
        if suspects.is_empty() {
            right = self.on_layer(cx, &range, answer);
        }
        if right {
            self.touch(link);
            return Ok(());
        }
        let source = self.peers.get(&link).map(Peer::source);
        self.ban(cx, source.as_slice());
        Ok(())
    }

    /// Piece hashes came: false if they are wrong.
    fn on_layer(&mut self, cx: &mut Context, range: &HashRange, answer: &[u8]) -> bool {
        let Some(content) = &mut self.content else { return true };
        let Some(at) = content.proofs.place(range) else {
            return true;
        };
        // Others may hold the metainfo as it was: then it is copied, once.
        if !alloc::sync::Arc::make_mut(&mut content.metainfo)
            .layers
            .learn(range, answer)
        {
            return false;
        }
        content.proofs.wanted.swap_remove(at);
        self.layers_grew(cx);
        true
    }

    /// Hashes of pieces are here that were not: what waited for them is judged.
    pub(super) fn layers_grew(&mut self, cx: &mut Context) {
        self.tell_layers(cx);
        let Some(content) = &mut self.content else { return };
        let waiting = core::mem::take(&mut content.proofs.waiting);
        for (finished, digests) in waiting {
            self.judge(cx, finished, digests);
        }
        let Some(content) = &mut self.content else { return };
        let unproven = core::mem::take(&mut content.proofs.unproven);
        for (piece, digests) in unproven.iter() {
            self.judge_stored(cx, *piece, digests.clone());
        }
        self.check_more(cx);
    }

    /// Block hashes of a failed piece came: false if they are wrong.
    fn on_blocks(&mut self, cx: &mut Context, piece: Piece, range: &HashRange, answer: &[u8]) -> bool {
        let Some(content) = &mut self.content else { return true };
        let Some(expected) = content.metainfo.layers.piece(piece).0 else {
            return true;
        };
        let learnt = content.proofs.suspects.get_mut(&piece);
        match learnt.and_then(|suspect| suspect.learn(range, answer, expected)) {
            None => false,
            Some(false) => true,
            Some(true) => {
                if let Some(suspect) = content.proofs.suspects.remove(&piece) {
                    self.convict(cx, suspect);
                }
                true
            }
        }
    }

    /// It is known which blocks of a piece are bad: they are fetched again, and their senders banned.
    fn convict(&mut self, cx: &mut Context, suspect: Suspect) {
        let Some(content) = &mut self.content else { return };
        let piece = suspect.finished.piece;
        let is_good = |number: usize| suspect.digests.blocks.get(number) == suspect.blocks.get(number);
        content.picker.set_missing(piece);
        let mut guilty: Vec<Source> = Vec::new();
        for (number, (data, source)) in (0..).zip(suspect.finished.into_blocks()) {
            if is_good(number as usize) {
                let block = crate::layout::Block { piece, number };
                content.picker.restore(block);
                content.assembly.put(block, content.layout.blocks(piece), data, source);
            } else if !guilty.iter().any(|known| known.id == source.id) {
                guilty.push(source);
            }
        }
        content.settle_memory(cx);
        self.ban(cx, &guilty);
        self.touch_hungry();
    }

    /// HASH REJECT came.
    pub(super) fn on_hash_reject(&mut self, cx: &Context, link: Link, payload: &[u8]) {
        let Some(range) = self.take_hash_asked(link, payload) else {
            return;
        };
        if let Some(content) = &mut self.content {
            content.proofs.refuse(range, link, cx.now);
        }
        self.touch_where(|peer| peer.v2);
    }

    fn take_hash_asked(&mut self, link: Link, payload: &[u8]) -> Option<HashRange> {
        let range = HashRange::decode(payload.first_chunk()?)?;
        let asked = &mut self.peers.get_mut(&link)?.hashes_asked;
        let at = asked.iter().position(|asked| asked.range == range)?;
        Some(asked.swap_remove(at).range)
    }

    /// A piece failed its hash. Where the hashes of its blocks can be had they will name the bad ones: true.
    pub(super) fn suspect(&mut self, cx: &Context, finished: Finished, digests: Digests) -> Result<(), Finished> {
        let piece = finished.piece;
        let Some(content) = &mut self.content else {
            return Err(finished);
        };
        let (hash, levels) = content.metainfo.layers.piece(piece);
        let (Some(_), Some(wanted), true) = (hash, block_requests(content, piece), levels > 0) else {
            return Err(finished);
        };
        let suspect = Suspect {
            blocks: alloc::vec![[0; merkle::HASH]; 1 << levels],
            finished,
            digests,
            since: cx.now,
            wanted,
        };
        if !can_prove(&self.peers, content, piece, &suspect, cx.now) {
            return Err(suspect.finished);
        }
        content.proofs.suspects.insert(piece, suspect);
        self.touch_where(|peer| peer.v2);
        Ok(())
    }

    /// A piece came whose hash is not known yet.
    pub(super) fn wait_for_hash(&mut self, finished: Finished, digests: Digests) {
        if let Some(content) = &mut self.content {
            content.proofs.wait(finished, digests, &content.metainfo.layers);
            self.touch_where(|peer| peer.v2);
        }
    }

    /// Gives up what takes too long.
    pub(super) fn expire_hashes(&mut self, cx: &mut Context) {
        let Some(content) = &mut self.content else { return };
        if content.proofs.is_idle() {
            return;
        }
        for peer in self.peers.values_mut() {
            for asked in peer.hashes_asked.iter_mut().filter(|asked| !asked.late) {
                if cx.now.since(asked.at) >= TIMEOUT {
                    asked.late = true;
                    content.proofs.refuse(asked.range, peer.link, cx.now);
                }
            }
        }
        let hopeless = |(piece, suspect): (&Piece, &Suspect)| {
            let over =
                cx.now.since(suspect.since) >= PATIENCE || !can_prove(&self.peers, content, *piece, suspect, cx.now);
            over.then_some(*piece)
        };
        let hopeless: Vec<Piece> = content.proofs.suspects.iter().filter_map(hopeless).gather();
        for piece in hopeless {
            let suspect = self
                .content
                .as_mut()
                .and_then(|content| content.proofs.suspects.remove(&piece));
            if let Some(suspect) = suspect {
                self.accuse(cx, &suspect.finished);
            }
        }
        self.touch_where(|peer| peer.v2);
    }

    /// The hashes of a torrent's two versions are not of the same content: it cannot be had.
    pub(super) fn contradiction(&mut self, cx: &mut Context, piece: Piece) {
        let text = alloc::format!("piece {} cannot match both of its hashes", piece.number());
        cx.report(self.torrent, Report::BadMetadata(text));
        self.pause(cx, true);
    }
}

/// Whether some peer may still answer for the blocks of a piece.
fn can_prove(peers: &Map<Link, Peer>, content: &Content, piece: Piece, suspect: &Suspect, now: Time) -> bool {
    let refused = |range: &HashRange, link: Link| {
        content
            .proofs
            .refused
            .get(&(*range, link))
            .is_some_and(|until| *until > now)
    };
    peers.values().any(|peer| {
        let has = peer.v2 && peer.pieces().is_some_and(|pieces| pieces.contains(piece.index()));
        has && suspect.wanted.iter().all(|range| !refused(range, peer.link))
    })
}

/// Requests for the hashes of a piece's blocks.
fn block_requests(content: &Content, piece: Piece) -> Option<Vec<HashRange>> {
    let (root, number, levels) = content.metainfo.layers.place(piece)?;
    let length = MAX_LENGTH.min(1 << levels);
    let first = number.checked_mul(1 << levels)?;
    let runs = (0..(1 << levels) / length).map(|run| HashRange {
        root,
        base: 0,
        index: first + run * length,
        length,
        proofs: levels - 1,
    });
    (levels > 0).then(|| runs.gather())
}
