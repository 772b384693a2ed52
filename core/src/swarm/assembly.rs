//! Pieces on their way in: keeps the blocks that arrived, and finds out who sent the bad one when a piece fails its hash.
//!
//! A block is kept as the slices of the buffers it came in. After a failure each block's digest and sender are kept until the piece
//! is whole again; the blocks that then differ name the culprits.

use alloc::vec::Vec;

use crate::address::Address;
use crate::digest::sha1;
use crate::event::{Link, Transport};
use crate::gather::Gather;
use crate::key::PeerId;
use crate::layout::{Block, Piece};
use crate::map::Map;
use crate::slices::Slices;

/// Failed pieces whose digests are kept: a limit on what peers that send nothing but bad data can make us remember.
const MAX_SUSPECT_PIECES: usize = 64;

/// Who sent a block. Outlives its link, so that a peer that left can still be banned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) link: Link,
    pub(crate) id: PeerId,
    pub(crate) address: Option<Address>,
    /// Where it says that it listens.
    pub(crate) listens: Option<Address>,
    pub(crate) transport: Transport,
}

/// A piece whose blocks are all here.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) piece: Piece,
    blocks: Vec<(Slices, Source)>,
}

/// A piece that failed its hash: each block's digest and sender.
type Attempt = Vec<([u8; 20], Source)>;

/// The pieces on their way in.
#[derive(Debug, Default)]
pub(crate) struct Assembly {
    open: Map<Piece, Vec<Option<(Slices, Source)>>>,
    suspects: Map<Piece, Vec<Attempt>>,
}

impl Finished {
    /// The whole piece.
    pub(crate) fn data(&self) -> Slices {
        let mut data = Slices::new();
        for (block, _) in &self.blocks {
            data.extend(block.clone());
        }
        data
    }

    /// Its blocks and who sent each.
    pub(crate) fn into_blocks(self) -> Vec<(Slices, Source)> {
        self.blocks
    }

    /// Who sent the last block of it.
    pub(crate) fn source(&self) -> Option<Source> {
        self.blocks.last().map(|(_, source)| *source)
    }

    fn digests(&self) -> impl Iterator<Item = ([u8; 20], Source)> + '_ {
        self.blocks.iter().map(|(block, source)| {
            let parts = block.iter().map(|part| &part[..]).gather();
            (sha1(&parts), *source)
        })
    }
}

impl Assembly {
    /// Keeps a block of a piece that has `blocks` of them.
    pub(crate) fn put(&mut self, block: Block, blocks: u32, data: Slices, from: Source) {
        let filling = self
            .open
            .get_or_insert_with(block.piece, || alloc::vec![None; blocks as usize]);
        if let Some(place) = filling.get_mut(block.number as usize) {
            *place = Some((data, from));
        }
    }

    /// Takes a piece out when all its blocks are here.
    pub(crate) fn finish(&mut self, piece: Piece) -> Option<Finished> {
        if !self.open.get(&piece)?.iter().all(Option::is_some) {
            return None;
        }
        let blocks = self.open.remove(&piece)?.into_iter().flatten().gather();
        Some(Finished { piece, blocks })
    }

    /// Forgets what arrived of a piece.
    pub(crate) fn discard(&mut self, piece: Piece) {
        self.open.remove(&piece);
    }

    /// The piece failed its hash. Gives its senders, each once: one alone is guilty; of several the guilty will be known when
    /// the piece is whole.
    pub(crate) fn accuse(&mut self, finished: &Finished) -> Vec<Source> {
        let mut senders: Vec<Source> = Vec::new();
        for (_, source) in &finished.blocks {
            if !senders.iter().any(|sender| sender.id == source.id) {
                senders.push(*source);
            }
        }
        if senders.len() > 1 {
            self.suspects
                .get_or_insert_with(finished.piece, Vec::new)
                .push(finished.digests().gather());
            if self.suspects.len() > MAX_SUSPECT_PIECES {
                self.suspects.pop_first();
            }
        }
        senders
    }

    /// The piece passed its hash: gives those who sent a block of it before that was not the same.
    pub(crate) fn acquit(&mut self, finished: &Finished) -> Vec<Source> {
        let Some(attempts) = self.suspects.remove(&finished.piece) else {
            return Vec::new();
        };
        let good: Vec<_> = finished.digests().map(|(digest, _)| digest).gather();
        let mut guilty: Vec<Source> = Vec::new();
        for ((sent, source), good) in attempts.iter().flat_map(|attempt| attempt.iter().zip(&good)) {
            if sent != good && !guilty.iter().any(|known| known.id == source.id) {
                guilty.push(*source);
            }
        }
        guilty
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn source(n: u8) -> Source {
        Source {
            link: Link(n.into()),
            id: PeerId([n; 20]),
            address: None,
            listens: None,
            transport: Transport::Tcp,
        }
    }

    fn block(number: u32) -> Block {
        let layout = crate::layout::Layout::new(3 * 16_384, 3 * 16_384).unwrap();
        Block {
            piece: layout.piece(0).unwrap(),
            number,
        }
    }

    fn filled(assembly: &mut Assembly, parts: [(&'static [u8], u8); 3]) -> Finished {
        for (number, (data, from)) in (0..).zip(parts) {
            assembly.put(block(number), 3, Bytes::from_static(data).into(), source(from));
        }
        assembly.finish(block(0).piece).unwrap()
    }

    #[test]
    fn a_piece_is_finished_when_its_last_block_is_here() {
        let mut assembly = Assembly::default();
        assembly.put(block(2), 3, Bytes::from_static(b"c").into(), source(1));
        assembly.put(block(0), 3, Bytes::from_static(b"a").into(), source(1));
        assert!(assembly.finish(block(0).piece).is_none());
        assembly.put(block(1), 3, Bytes::from_static(b"b").into(), source(2));
        let finished = assembly.finish(block(0).piece).unwrap();
        assert_eq!(finished.data().to_vec(), b"abc");
        assert!(assembly.finish(block(0).piece).is_none());
    }

    #[test]
    fn a_lone_sender_of_a_bad_piece_is_guilty_at_once() {
        let mut assembly = Assembly::default();
        let bad = filled(&mut assembly, [(b"x", 1), (b"b", 1), (b"c", 1)]);
        assert_eq!(assembly.accuse(&bad), [source(1)]);
    }

    #[test]
    fn of_several_senders_the_one_whose_block_differs_is_guilty() {
        let mut assembly = Assembly::default();
        let bad = filled(&mut assembly, [(b"a", 1), (b"x", 2), (b"c", 3)]);
        assert_eq!(assembly.accuse(&bad).len(), 3);
        let good = filled(&mut assembly, [(b"a", 3), (b"b", 3), (b"c", 1)]);
        assert_eq!(assembly.acquit(&good), [source(2)]);
        assert_eq!(assembly.acquit(&good), []);
    }
}
