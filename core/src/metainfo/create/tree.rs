//! Writing the file tree and the piece layers of a v2 torrent (BEP 52).

use super::{Creator, Hashes, NewFile, signed};
use crate::bencode::DictWriter;
use crate::layout::BLOCK;
use crate::merkle::{self, Hash};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// A file of the tree: its root, if it is not empty.
pub(super) struct Leaf<'a> {
    file: &'a NewFile,
    root: Option<Hash>,
}

/// The files with their roots, in order.
pub(super) fn leaves<'a>(creator: &'a Creator, hashes: &Hashes, offsets: &[u64]) -> Vec<Leaf<'a>> {
    let leaf = |(file, offset): (&'a NewFile, &u64)| Leaf {
        file,
        root: layer(creator, hashes, file, *offset).map(|pieces| root(creator, pieces)),
    };
    creator.files.iter().zip(offsets).map(leaf).collect()
}

/// The hashes of a file's pieces; `None` if it is empty.
fn layer<'a>(creator: &Creator, hashes: &'a Hashes, file: &NewFile, offset: u64) -> Option<&'a [Hash]> {
    let first = usize::try_from(offset / creator.piece_length).ok()?;
    let count = usize::try_from(file.length.div_ceil(creator.piece_length)).ok()?;
    hashes.v2.get(first..first + count).filter(|pieces| !pieces.is_empty())
}

fn root(creator: &Creator, pieces: &[Hash]) -> Hash {
    match pieces {
        // Its tree is no higher than its blocks need.
        [only] => *only,
        _ => {
            let level = merkle::levels(creator.piece_length / u64::from(BLOCK));
            merkle::root(pieces, level, merkle::levels(pieces.len() as u64))
        }
    }
}

/// Writes the entries of a folder: the files, all in it, whose paths go on after so many elements.
pub(super) fn write(dict: &mut DictWriter<'_>, files: &[Leaf<'_>], depth: usize) {
    let name = |leaf: &Leaf<'_>| leaf.file.path.get(depth).cloned().unwrap_or_default();
    for group in files.chunk_by(|one, other| name(one) == name(other)) {
        let mut entry = dict.entry(name(&group[0]));
        match group {
            [leaf] if leaf.file.path.len() <= depth + 1 => entry.dict(|entry| {
                entry.entry("").dict(|file| {
                    leaf.file.write_attributes(file);
                    file.integer("length", signed(leaf.file.length));
                    if let Some(root) = &leaf.root {
                        file.bytes("pieces root", root);
                    }
                    leaf.file.write_target(file);
                });
            }),
            _ => entry.dict(|folder| write(folder, group, depth + 1)),
        }
    }
}

/// Writes `piece layers`.
pub(super) fn write_layers(dict: &mut DictWriter<'_>, creator: &Creator, hashes: &Hashes) {
    let offsets = creator.offsets().unwrap_or_default();
    let layers = creator.files.iter().zip(&offsets);
    let layers = layers.filter_map(|(file, offset)| layer(creator, hashes, file, *offset));
    let layers: BTreeMap<Hash, &[Hash]> = layers
        .filter(|pieces| pieces.len() > 1)
        .map(|pieces| (root(creator, pieces), pieces))
        .collect();
    for (root, pieces) in layers {
        dict.entry(root).bytes(pieces.as_flattened());
    }
}
