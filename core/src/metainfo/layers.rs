//! The hash trees of a v2 torrent's files (BEP 52), from their roots down to their pieces.
//!
//! A file of more than one piece has a layer: the hash of each piece, kept in chunks of [`CHUNK`] as peers exchange them. A .torrent has
//! all of them, an info dictionary none. Invariant: a chunk that is here follows from its file's root. Cost: finding a piece's hash is
//! O(log files); proving a run of nodes hashes at most a chunk and the roots of all chunks.

#[cfg(feature = "native")]
mod own;

use super::{File, MetainfoError};
use crate::bencode::Dict;
use crate::gather::Gather;
use crate::layout::{BLOCK, Layout, Piece};
use crate::merkle::{self, HASH, Hash};
use crate::wire::hashes::{self, HashRange, MAX_LENGTH};
use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;
use core::ops::Range;

/// The piece hashes of one chunk.
const CHUNK: u32 = MAX_LENGTH;

/// Levels between the pieces and the root of a whole chunk.
const CHUNK_LEVELS: u32 = CHUNK.trailing_zeros();

/// The trees of all files that have content, in the order of their pieces. Empty for v1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layers {
    trees: Vec<Tree>,
    /// The trees in the order of their roots.
    by_root: Vec<u32>,
    /// Levels between blocks and pieces.
    piece_level: u32,
    /// Chunks that are not here.
    missing: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Tree {
    root: Hash,
    first: u32,
    pieces: u32,
    blocks: u64,
    layer: Option<Box<Layer>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Layer {
    /// The hashes of the pieces; an empty chunk is not here.
    chunks: Vec<Bytes>,
    /// The root over each chunk that is here, as wide as a whole one.
    roots: Vec<Hash>,
}

impl Layers {
    pub(super) fn of(files: &[File], layout: &Layout) -> Self {
        let length = u64::from(layout.nominal_piece_length());
        let mut layers = Self {
            piece_level: merkle::levels(length / u64::from(BLOCK)),
            ..Self::default()
        };
        for file in files {
            let Some(root) = &file.pieces_root else { continue };
            let pieces = file.length.div_ceil(length) as u32;
            let chunks = if pieces > 1 { pieces.div_ceil(CHUNK) as usize } else { 0 };
            layers.missing += chunks;
            layers.trees.push(Tree {
                root: **root,
                first: (file.offset / length) as u32,
                pieces,
                blocks: file.length.div_ceil(BLOCK.into()),
                layer: (chunks > 0).then(|| {
                    Box::new(Layer {
                        chunks: alloc::vec![Bytes::new(); chunks],
                        roots: alloc::vec![[0; HASH]; chunks],
                    })
                }),
            });
        }
        layers.by_root = (0..layers.trees.len() as u32).gather();
        let trees = &layers.trees;
        layers
            .by_root
            .sort_unstable_by_key(|&tree| (trees[tree as usize].root, tree));
        layers
    }

    /// Takes in `piece layers`: a layer for each file of more than one piece, and nothing else.
    pub(super) fn fill(&mut self, document: &Bytes, layers: &Dict<'_>) -> Result<(), MetainfoError> {
        for (root, layer) in layers.clone() {
            let places = self.of_root(root);
            let piece = self
                .by_root
                .get(places.start)
                .map_or(0, |&tree| self.trees[tree as usize].first);
            let fault = MetainfoError::PieceLayer { piece };
            let hashes = layer.bytes().filter(|_| !places.is_empty());
            let hashes = document.slice_ref(hashes.ok_or_else(|| fault.clone())?);
            for place in places {
                let tree = self.by_root[place] as usize;
                self.fill_tree(tree, &hashes).ok_or_else(|| fault.clone())?;
            }
        }
        Ok(())
    }

    /// Where in `by_root` the trees with that root are.
    fn of_root(&self, root: &[u8]) -> Range<usize> {
        let root_of = |tree: &u32| &self.trees[*tree as usize].root[..];
        let start = self.by_root.partition_point(|tree| root_of(tree) < root);
        let count = self.by_root[start..]
            .iter()
            .take_while(|tree| root_of(tree) == root)
            .count();
        start..start + count
    }

    fn fill_tree(&mut self, tree: usize, hashes: &Bytes) -> Option<()> {
        let base = self.piece_level;
        let tree = &mut self.trees[tree];
        let layer = tree
            .layer
            .as_mut()
            .filter(|_| hashes.len() == tree.pieces as usize * HASH)?;
        let size = CHUNK as usize * HASH;
        let chunks: Vec<Bytes> = (0..hashes.len())
            .step_by(size)
            .map(|from| hashes.slice(from..hashes.len().min(from + size)))
            .gather();
        let roots: Vec<Hash> = chunks
            .iter()
            .map(|chunk| merkle::root(&merkle::hashes(chunk), base, CHUNK_LEVELS))
            .gather();
        let root = match &chunks[..] {
            [only] => merkle::root(&merkle::hashes(only), base, merkle::levels(tree.pieces.into())),
            _ => merkle::root(&roots, base + CHUNK_LEVELS, merkle::levels(roots.len() as u64)),
        };
        if root != tree.root {
            return None;
        }
        self.missing -= layer.chunks.iter().filter(|chunk| chunk.is_empty()).count();
        (layer.chunks, layer.roots) = (chunks, roots);
        Some(())
    }

    /// Whether the torrent has trees.
    pub fn is_empty(&self) -> bool {
        self.trees.is_empty()
    }

    /// Whether the hash of every piece is here.
    pub const fn is_complete(&self) -> bool {
        self.missing == 0
    }

    /// The first piece whose hash is not here.
    pub(super) fn first_missing(&self) -> Option<u32> {
        let lacks = |tree: &&Tree| tree.layer.as_ref().is_some_and(|layer| !layer.is_whole());
        self.trees.iter().find(lacks).map(|tree| tree.first)
    }

    /// The layers that are here whole, as a .torrent has them: the root of each file that has one, and its hashes. In the order of the roots, each once.
    pub fn entries(&self) -> impl Iterator<Item = (&Hash, Vec<u8>)> {
        self.distinct().filter_map(|tree| {
            let layer = tree.layer.as_ref()?;
            layer.is_whole().then(|| (&tree.root, layer.chunks.concat()))
        })
    }

    /// The trees in the order of their roots, one of each root.
    fn distinct(&self) -> impl Iterator<Item = &Tree> {
        let mut last = None;
        let trees = self.by_root.iter().map(|&tree| &self.trees[tree as usize]);
        trees.filter(move |tree| last.replace(tree.root) != Some(tree.root))
    }

    /// The hash of a piece, if it is here; also how many levels it is above its blocks.
    pub fn piece(&self, piece: Piece) -> (Option<Hash>, u32) {
        let Some(tree) = self.tree_of(piece) else {
            return (None, 0);
        };
        match &tree.layer {
            None => (Some(tree.root), tree.height()),
            Some(layer) => (layer.piece(piece.number() - tree.first), self.piece_level),
        }
    }

    /// Where a piece is: the root of its file, its number there, and how many levels its hash is above its blocks.
    pub fn place(&self, piece: Piece) -> Option<(Hash, u32, u32)> {
        let tree = self.tree_of(piece)?;
        let levels = if tree.layer.is_some() {
            self.piece_level
        } else {
            tree.height()
        };
        Some((tree.root, piece.number() - tree.first, levels))
    }

    fn tree_of(&self, piece: Piece) -> Option<&Tree> {
        let after = self.trees.partition_point(|tree| tree.first <= piece.number());
        let tree = self.trees.get(after.checked_sub(1)?)?;
        (piece.number() - tree.first < tree.pieces).then_some(tree)
    }

    fn tree(&self, root: &Hash) -> Option<&Tree> {
        let place = self.of_root(root).next()?;
        Some(&self.trees[self.by_root[place] as usize])
    }

    /// What to ask for, to come to know the hash of a piece and those around it.
    pub fn request(&self, piece: Piece) -> Option<HashRange> {
        let tree = self.tree_of(piece).filter(|tree| tree.layer.is_some())?;
        Some(self.request_of(tree, (piece.number() - tree.first) / CHUNK))
    }

    fn request_of(&self, tree: &Tree, chunk: u32) -> HashRange {
        let left = u64::from(tree.pieces - chunk * CHUNK);
        HashRange {
            root: tree.root,
            base: self.piece_level,
            index: chunk * CHUNK,
            length: (1 << merkle::levels(left).max(1)).min(CHUNK),
            proofs: merkle::levels(tree.pieces.into()) - 1,
        }
    }

    /// The first piece of the torrent that a run of piece hashes is about, and how many there are.
    pub fn pieces_of(&self, range: &HashRange) -> (u32, u32) {
        self.tree(&range.root).map_or((0, 0), |tree| {
            let count = tree.pieces.saturating_sub(range.index).min(range.length);
            (tree.first + range.index, count)
        })
    }

    /// Requests for all that is not here, one a chunk.
    pub fn missing(&self) -> Vec<HashRange> {
        let mut wanted = Vec::new();
        for tree in self.distinct() {
            let chunks = (0..).zip(tree.layer.iter().flat_map(|layer| &layer.chunks));
            let missing = chunks.filter(|(_, chunk)| chunk.is_empty());
            missing
                .map(|(number, _)| self.request_of(tree, number))
                .gather_into(&mut wanted);
        }
        wanted
    }

    /// Takes in the answer to a [`request`](Self::request); false if it does not follow from the root. Files of the same root have the
    /// same content.
    pub fn learn(&mut self, range: &HashRange, answer: &[u8]) -> bool {
        let Some((nodes, neighbours)) = hashes::nodes(range, answer) else {
            return false;
        };
        let node = merkle::root(&nodes, range.base, range.levels());
        if merkle::climb(node, u64::from(range.index >> range.levels()), &neighbours) != range.root {
            return false;
        }
        for place in self.of_root(&range.root) {
            let tree = &mut self.trees[self.by_root[place] as usize];
            let pieces = tree.pieces;
            let Some(layer) = &mut tree.layer else { continue };
            let number = (range.index / CHUNK) as usize;
            let count = pieces.saturating_sub(range.index).min(range.length) as usize;
            let Some(chunk) = layer.chunks.get_mut(number).filter(|chunk| chunk.is_empty()) else {
                continue;
            };
            *chunk = Bytes::copy_from_slice(&answer[..count * HASH]);
            layer.roots[number] = merkle::root(&nodes[..count], range.base, CHUNK_LEVELS);
            self.missing -= 1;
        }
        true
    }

    /// The pieces whose blocks must be hashed anew to answer a request; `None` if it cannot be answered. None of them, if it can be at once.
    pub fn needs(&self, range: &HashRange) -> Option<Range<u32>> {
        let tree = self.tree(&range.root)?;
        let height = tree
            .height()
            .checked_sub(range.base)
            .filter(|&height| range.proofs < height)?;
        let fits = u64::from(range.index) + u64::from(range.length) <= 1 << height;
        if !fits {
            return None;
        }
        if tree.layer.is_some() && range.base == self.piece_level {
            return Some(0..0);
        }
        let level = if tree.layer.is_some() { self.piece_level } else { height };
        let first = range.index >> level;
        let last = (range.index + range.length - 1) >> level;
        let end = tree.pieces.min(last + 1);
        (range.base == 0 && first < end).then_some(tree.first + first..tree.first + end)
    }

    /// The answer to a request: the nodes and their neighbours. `blocks`: the hashes of all blocks of the pieces that it [`needs`](Self::needs).
    pub fn prove(&self, range: &HashRange, blocks: &[Hash]) -> Option<Vec<u8>> {
        let tree = self.tree(&range.root)?;
        let view = View {
            tree,
            piece_level: if tree.layer.is_some() {
                self.piece_level
            } else {
                u32::MAX
            },
            first_block: match self.needs(range)? {
                pieces if pieces.is_empty() => 0,
                pieces => u64::from(pieces.start - tree.first) << self.piece_level,
            },
            blocks,
        };
        let mut answer = Vec::with_capacity((range.length + range.neighbours()) as usize * HASH);
        for index in range.index..range.index + range.length {
            answer.extend_from_slice(&view.node(range.base, index.into())?);
        }
        for level in range.levels()..=range.proofs {
            answer.extend_from_slice(&view.node(range.base + level, u64::from(range.index) >> level ^ 1)?);
        }
        Some(answer)
    }
}

impl Tree {
    const fn height(&self) -> u32 {
        merkle::levels(self.blocks)
    }
}

impl Layer {
    fn is_whole(&self) -> bool {
        !self.chunks.iter().any(Bytes::is_empty)
    }

    fn piece(&self, number: u32) -> Option<Hash> {
        let chunk = self.chunks.get((number / CHUNK) as usize)?;
        let at = (number % CHUNK) as usize * HASH;
        chunk.get(at..at + HASH)?.try_into().ok()
    }
}

/// A tree of which all is known that is needed.
struct View<'a> {
    tree: &'a Tree,
    piece_level: u32,
    first_block: u64,
    blocks: &'a [Hash],
}

impl View<'_> {
    /// A node anywhere in the tree; `None` if it does not follow from what is known.
    fn node(&self, level: u32, index: u64) -> Option<Hash> {
        if level < self.piece_level {
            return self.below(level, index);
        }
        let (above, layer) = (level - self.piece_level, self.tree.layer.as_ref()?);
        let start = index << above;
        if start >= self.tree.pieces.into() {
            return Some(merkle::padding(level));
        }
        if above < CHUNK_LEVELS {
            let end = (start + (1 << above)).min(self.tree.pieces.into());
            let pieces: Option<Vec<Hash>> = (start..end).map(|piece| layer.piece(piece as u32)).collect();
            return pieces.map(|pieces| merkle::root(&pieces, self.piece_level, above));
        }
        let start = (start / u64::from(CHUNK)) as usize;
        let end = layer.roots.len().min(start + (1 << (above - CHUNK_LEVELS)));
        let whole = layer.chunks[start..end].iter().all(|chunk| !chunk.is_empty());
        let roots = layer.roots.get(start..end).filter(|_| whole)?;
        Some(merkle::root(
            roots,
            self.piece_level + CHUNK_LEVELS,
            above - CHUNK_LEVELS,
        ))
    }

    /// A node over blocks alone.
    fn below(&self, level: u32, index: u64) -> Option<Hash> {
        let start = index << level;
        let end = (start + (1 << level)).min(self.tree.blocks);
        if start >= self.tree.blocks {
            return Some(merkle::padding(level));
        }
        let from = usize::try_from(start.checked_sub(self.first_block)?).ok()?;
        let nodes = self.blocks.get(from..from + (end - start) as usize)?;
        Some(merkle::root(nodes, 0, level))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metainfo::FilePath;
    use alloc::vec;

    const PIECE: u32 = 4 * BLOCK;

    /// The block hashes of a file of so many blocks.
    pub(super) fn blocks(count: u32) -> Vec<Hash> {
        let block = |n: u32| {
            let mut hash = [0xb0; HASH];
            hash[..4].copy_from_slice(&n.to_be_bytes());
            hash
        };
        (0..count).map(block).collect()
    }

    fn file(offset: u64, blocks_in_it: u32) -> File {
        let hashes = blocks(blocks_in_it);
        File {
            path: FilePath::new([&b"f"[..]]).unwrap(),
            length: u64::from(blocks_in_it * BLOCK) - 1,
            offset,
            pad: false,
            executable: false,
            hidden: false,
            symlink: None,
            pieces_root: Some(Box::new(merkle::root(&hashes, 0, merkle::levels(hashes.len() as u64)))),
        }
    }

    /// A file of so many blocks behind another of one piece, and its layer.
    pub(super) fn torrent(count: u32) -> (Layout, Layers, Vec<u8>) {
        let files = [file(0, 3), file(PIECE.into(), count)];
        let layout = Layout::new(u64::from(PIECE) + files[1].length, PIECE.into()).unwrap();
        let layers = Layers::of(&files, &layout);
        let layer: Vec<Hash> = blocks(count).chunks(4).map(|piece| merkle::root(piece, 0, 2)).collect();
        (layout, layers, layer.concat())
    }

    fn whole(count: u32) -> (Layout, Layers) {
        let (layout, mut layers, layer) = torrent(count);
        if count > 4 {
            layers.fill_tree(1, &layer.into()).unwrap();
        }
        assert!(layers.is_complete());
        (layout, layers)
    }

    #[test]
    fn every_chunk_is_learnt_from_one_who_has_the_layer() {
        for count in [5, 8, 9, 100, 4 * 512, 4 * 512 + 1, 4 * 513 + 1, 4 * 1_500 - 3] {
            let (layout, full) = whole(count);
            let (_, mut bare, _) = torrent(count);
            let wanted = bare.missing();
            assert_eq!(wanted.len(), count.div_ceil(4 * CHUNK) as usize);
            for range in wanted {
                assert_eq!(HashRange::decode(&range.encode()), Some(range));
                assert_eq!(full.needs(&range), Some(0..0), "{range:?}");
                let answer = full.prove(&range, &[]).unwrap();
                assert_eq!(bare.prove(&range, &[]), None, "it is not known yet");
                for at in [0, answer.len() / 2, answer.len() - 1] {
                    let mut wrong = answer.clone();
                    wrong[at] ^= 1;
                    assert!(!bare.learn(&range, &wrong));
                }
                assert!(!bare.learn(&range, &answer[1..]) && bare.learn(&range, &answer));
            }
            assert!(bare.is_complete());
            assert_eq!(bare, full, "{count}");
            let last = layout.iter().next_back().unwrap();
            assert_eq!(bare.piece(last), full.piece(last));
            assert!(bare.piece(last).0.is_some());
        }
    }

    #[test]
    fn blocks_are_proven_up_to_the_root() {
        for count in [2, 4, 7, 64, 4 * 700] {
            let (_, layers) = whole(count);
            let all = blocks(count);
            let root = merkle::root(&all, 0, merkle::levels(count.into()));
            for (index, length) in [
                (0, 2),
                (0, 4),
                (4, 4),
                (4, 2),
                (0, 16),
                (48, 16),
                (0, 512),
                (2_560, 256),
            ] {
                let proofs = merkle::levels(count.into()) - 1;
                let range = HashRange {
                    root,
                    base: 0,
                    index,
                    length,
                    proofs,
                };
                let Some(pieces) = layers.needs(&range) else {
                    assert!(
                        index + length > count.next_power_of_two() || index >= count,
                        "{count} {range:?}"
                    );
                    continue;
                };
                assert_eq!(pieces.start, 1 + index / 4, "{range:?}");
                let from = (pieces.start - 1) as usize * 4;
                let known = &all[from..all.len().min((pieces.end - 1) as usize * 4)];
                let answer = layers.prove(&range, known).unwrap();
                let (nodes, neighbours) = hashes::nodes(&range, &answer).unwrap();
                let node = merkle::root(&nodes, 0, range.levels());
                assert_eq!(
                    merkle::climb(node, u64::from(index / length), &neighbours),
                    root,
                    "{count} {range:?}"
                );
            }
        }
    }

    #[test]
    fn what_is_not_in_the_tree_is_refused() {
        let (_, layers) = whole(100);
        let root = *layers.trees[1].root.first_chunk().unwrap();
        let range = HashRange {
            root,
            base: 2,
            index: 0,
            length: 32,
            proofs: 4,
        };
        assert!(layers.needs(&range).is_some());
        let table = [
            HashRange {
                root: [1; HASH],
                ..range
            },
            HashRange { base: 1, ..range },
            HashRange {
                base: 3,
                length: 16,
                proofs: 0,
                ..range
            },
            HashRange { base: 7, ..range },
            HashRange { index: 32, ..range },
            HashRange { length: 64, ..range },
            HashRange { proofs: 5, ..range },
            HashRange {
                base: 0,
                index: 128,
                length: 4,
                ..range
            },
            HashRange {
                base: 0,
                index: 104,
                length: 4,
                ..range
            },
            HashRange {
                index: u32::MAX - 31,
                ..range
            },
        ];
        for range in table {
            assert_eq!(layers.needs(&range), None, "{range:?}");
            assert_eq!(layers.prove(&range, &[]), None, "{range:?}");
        }
        let single = HashRange {
            root: layers.trees[0].root,
            base: 0,
            index: 0,
            length: 4,
            proofs: 1,
        };
        assert_eq!(layers.needs(&single), Some(0..1));
        assert_eq!(layers.needs(&HashRange { proofs: 2, ..single }), None);
    }

    #[test]
    fn two_files_of_one_content_have_one_layer() {
        let files = [file(0, 9), file(3 * u64::from(PIECE), 9)];
        let layout = Layout::new(6 * u64::from(PIECE) - 1, PIECE.into()).unwrap();
        let mut layers = Layers::of(&files, &layout);
        assert_eq!((layers.missing().len(), layers.entries().count()), (1, 0));
        let (_, _, layer) = torrent(9);
        let mut document = vec![b'd'];
        document.extend_from_slice(b"32:");
        document.extend_from_slice(&layers.trees[0].root);
        document.extend_from_slice(b"96:");
        document.extend_from_slice(&layer);
        document.push(b'e');
        let document = Bytes::from(document);
        let value = crate::bencode::decode(&document).unwrap();
        layers.fill(&document, &value.dict().unwrap()).unwrap();
        assert!(layers.is_complete() && layers.first_missing().is_none());
        assert_eq!(layers.entries().collect::<Vec<_>>(), [(&layers.trees[0].root, layer)]);
    }
}
