//! Piece layers of our own making (BEP 52): who has all of a file, but came by its metainfo without hashes, computes them instead of waiting for
//! a peer that has them. And who has come to know all of them says so, that they be kept.
//!
//! Invariant: a layer is only believed if it makes up the file's root. Cost: a hash for each piece seen, while its file's layer is not
//! here; one pass over the file's hashes whenever a piece is seen and none is missing.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Swarm;
use crate::event::Report;
use crate::layout::Piece;
use crate::map::Map;
use crate::merkle::Hash;
use crate::session::context::Context;

/// The hashes of pieces of files whose layer is not here.
#[derive(Debug, Default)]
pub(crate) struct OwnHashes {
    /// By the first piece of the file: a place for each of its pieces, and how many are empty.
    files: Map<u32, (Vec<Option<Hash>>, usize)>,
}

impl OwnHashes {
    /// A piece of a file hashes to this: all hashes of the file, if they are here.
    fn note(&mut self, piece: Piece, file: core::ops::Range<u32>, hash: Hash) -> Option<Vec<Hash>> {
        let empty = || (alloc::vec![None; file.len()], file.len());
        let (places, left) = self.files.get_or_insert_with(file.start, empty);
        let place = places.get_mut((piece.number() - file.start) as usize)?;
        if place.replace(hash).is_none() {
            *left -= 1;
        }
        (*left == 0).then(|| places.iter().flatten().copied().collect())
    }
}

impl Swarm {
    /// A piece that was seen hashes to this, right or wrong. It waits for its hash already, if that is not known: it may be judged here.
    pub(super) fn note_hash(&mut self, cx: &mut Context, piece: Piece, hash: Option<Hash>) {
        let (Some(content), Some(hash)) = (&mut self.content, hash) else {
            return;
        };
        let Some(file) = content.metainfo.layers.lacking(piece) else {
            return;
        };
        let Some(hashes) = content.proofs.own.note(piece, file.clone(), hash) else {
            return;
        };
        let learnt = Arc::make_mut(&mut content.metainfo).layers.learn_all(piece, &hashes);
        if let Some(root) = learnt {
            content.proofs.own.files.remove(&file.start);
            content.proofs.wanted.retain(|range| range.root != root);
            self.layers_grew(cx);
        }
    }

    /// Says that the hash of every piece is here, if it is.
    pub(super) fn tell_layers(&self, cx: &mut Context) {
        if let Some(content) = self
            .content
            .as_ref()
            .filter(|content| content.metainfo.layers.is_complete())
        {
            cx.report(self.torrent, Report::Layers(Arc::clone(&content.metainfo)));
        }
    }
}
