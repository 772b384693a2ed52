//! Piece layers from the content itself: the hashes of all pieces of a file either make up its root, or some piece is wrong.

use super::{Layers, Tree};
use crate::layout::Piece;
use crate::merkle::Hash;
use bytes::Bytes;

impl Layers {
    /// The pieces of the file that a piece is of, from the first on, if the hash of any of them is not here.
    pub fn lacking(&self, piece: Piece) -> Option<core::ops::Range<u32>> {
        self.lacking_tree(piece)
            .map(|tree| tree.first..tree.first + tree.pieces)
    }

    /// Takes in the hashes of all pieces of that file, in order, and of those with the same content: its root; `None` if they do not make
    /// it up. O(pieces of the file).
    pub fn learn_all(&mut self, piece: Piece, hashes: &[Hash]) -> Option<Hash> {
        let root = self.lacking_tree(piece)?.root;
        let layer = Bytes::copy_from_slice(hashes.as_flattened());
        for place in self.of_root(&root) {
            self.fill_tree(self.by_root[place] as usize, &layer)?;
        }
        Some(root)
    }

    fn lacking_tree(&self, piece: Piece) -> Option<&Tree> {
        self.tree_of(piece)
            .filter(|tree| tree.layer.as_ref().is_some_and(|layer| !layer.is_whole()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{blocks, torrent};
    use super::*;
    use crate::gather::Gather;
    use crate::merkle;
    use alloc::vec::Vec;

    #[test]
    fn the_hashes_of_all_pieces_make_up_the_layer_or_nothing() {
        for count in [5, 100, 4 * 513 + 1] {
            let (layout, mut layers, _) = torrent(count);
            let hashes: Vec<Hash> = blocks(count).chunks(4).map(|piece| merkle::root(piece, 0, 2)).gather();
            let [first, last] = [1, layout.pieces() as u32 - 1].map(|number| layout.piece(number).unwrap());
            assert_eq!(
                layers.lacking(layout.piece(0).unwrap()),
                None,
                "a file of one piece has no layer"
            );
            assert_eq!(layers.lacking(last), Some(1..layout.pieces() as u32));
            let mut wrong = hashes.clone();
            wrong[1][31] ^= 1;
            assert_eq!(layers.learn_all(first, &wrong), None);
            assert_eq!(layers.learn_all(first, &hashes[1..]), None);
            assert!(!layers.is_complete());
            assert!(layers.learn_all(last, &hashes).is_some());
            assert!(layers.is_complete() && layers.lacking(first).is_none());
            assert_eq!(layers.piece(last).0, hashes.last().copied());
        }
    }
}
