//! Trees of SHA-256 over blocks of 16 KiB: how v2 torrents (BEP 52) prove each block on its own.
//!
//! Level 0 is the blocks' hashes; what is missing to a whole tree there is zeros. A node of a level is the hash of the two below it.
//! Cost: one SHA-256 of 64 bytes for each node that is not all padding, and one a level for what is.

use crate::digest::sha256;
use crate::gather::Gather;
use alloc::vec::Vec;

/// A node of a tree.
pub type Hash = [u8; 32];

/// The length of a hash in bytes.
pub const HASH: usize = 32;

/// The hash of two nodes together.
pub fn pair(left: &Hash, right: &Hash) -> Hash {
    sha256(&[left, right])
}

/// The root of a tree of that many levels over nothing but padding.
pub fn padding(levels: u32) -> Hash {
    (0..levels).fold([0; HASH], |node, _| pair(&node, &node))
}

/// How many levels a tree needs above so many nodes.
pub const fn levels(nodes: u64) -> u32 {
    if nodes <= 1 {
        0
    } else {
        64 - (nodes - 1).leading_zeros()
    }
}

/// The root `levels` above `nodes`, which are at level `base` and of which at most 2^`levels` are taken.
pub fn root(nodes: &[Hash], base: u32, levels: u32) -> Hash {
    let mut row: Vec<Hash> = nodes.to_vec();
    let mut pad = padding(base);
    for _ in 0..levels {
        row = above(&row, &pad);
        pad = pair(&pad, &pad);
    }
    row.first().copied().unwrap_or(pad)
}

/// The nodes above a row; `pad` stands where its last has no neighbour.
pub fn above(row: &[Hash], pad: &Hash) -> Vec<Hash> {
    row.chunks(2)
        .map(|two| match two {
            [left, right] => pair(left, right),
            [left, ..] => pair(left, pad),
            [] => *pad,
        })
        .gather()
}

/// The root that follows from a node, its place in its row, and the neighbours of all nodes on the way up.
pub fn climb(node: Hash, mut index: u64, neighbours: &[Hash]) -> Hash {
    neighbours.iter().fold(node, |node, neighbour| {
        let parent = if index.is_multiple_of(2) {
            pair(&node, neighbour)
        } else {
            pair(neighbour, &node)
        };
        index /= 2;
        parent
    })
}

/// Hashes that lie one after the other in `bytes`; what is too short for one is left out.
pub fn hashes(bytes: &[u8]) -> Vec<Hash> {
    bytes.as_chunks().0.to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::hex;

    fn row(count: u8) -> Vec<Hash> {
        (1..=count).map(|n| [n; HASH]).collect()
    }

    #[test]
    fn a_root_is_the_same_however_the_padding_is_made() {
        for count in 0..20u8 {
            let nodes = row(count);
            let height = levels(count.into()) + 1;
            let mut whole = nodes.clone();
            whole.resize(1 << height, [0; HASH]);
            while whole.len() > 1 {
                whole = whole.chunks(2).map(|two| pair(&two[0], &two[1])).collect();
            }
            assert_eq!(root(&nodes, 0, height), whole[0], "{count}");
        }
        assert_eq!(padding(0), [0; HASH]);
        assert_eq!(
            hex(&padding(1)),
            "f5a5fd42d16a20302798ef6ed309979b43003d2320d9f0e8ea9831a92759fb4b"
        );
    }

    #[test]
    fn levels_are_rounded_up() {
        assert_eq!([0, 1, 2, 3, 4, 5, 512, 513].map(levels), [0, 0, 1, 2, 2, 3, 9, 10]);
    }

    #[test]
    fn every_node_climbs_to_the_root_by_its_neighbours_alone() {
        let (nodes, base) = (row(11), 3);
        let expected = root(&nodes, base, 4);
        for at in 0..nodes.len() {
            let (mut neighbours, mut level, mut pad, mut index) = (Vec::new(), nodes.clone(), padding(base), at);
            for _ in 0..4 {
                neighbours.push(level.get(index ^ 1).copied().unwrap_or(pad));
                level = above(&level, &pad);
                pad = pair(&pad, &pad);
                index /= 2;
            }
            assert_eq!(climb(nodes[at], at as u64, &neighbours), expected, "{at}");
            neighbours[1][0] ^= 1;
            assert_ne!(climb(nodes[at], at as u64, &neighbours), expected);
        }
    }
}
