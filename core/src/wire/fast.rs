//! The allowed-fast set of the fast extension (BEP 6): pieces that a choked newcomer may ask for, the same for one address
//! however often it comes back.

use crate::key::SwarmKey;
use crate::layout::{Layout, Piece};
use alloc::vec::Vec;
use core::net::Ipv4Addr;
use sha1::{Digest, Sha1};

/// How many pieces a set has. BEP 6's own number; libtorrent's default is 5.
pub const ALLOWED_FAST: usize = 10;

/// The `count` pieces (fewer if the torrent has fewer) that a peer of that address may ask for while choked.
///
/// BEP 6 says nothing of IPv6; for such a peer no set is made.
pub fn allowed_fast(swarm: SwarmKey, address: Ipv4Addr, layout: &Layout, count: usize) -> Vec<Piece> {
    let count = count.min(layout.pieces());
    let [a, b, c, _] = address.octets();
    let mut set = Vec::with_capacity(count);
    let mut digest = Sha1::new().chain_update([a, b, c, 0]).chain_update(swarm.0).finalize();
    while set.len() < count {
        for number in digest.chunks_exact(4) {
            let number = number.iter().fold(0, |number, &byte| number << 8 | u32::from(byte));
            // Fewer than 2^32 pieces, and so is the remainder.
            let piece = layout.piece(number % layout.pieces() as u32);
            if let Some(piece) = piece.filter(|piece| !set.contains(piece)) {
                set.push(piece);
            }
            if set.len() == count {
                break;
            }
        }
        digest = Sha1::digest(digest);
    }
    set
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beps_examples() {
        let layout = Layout::new(1313, 1).unwrap();
        let set = |count| {
            allowed_fast(SwarmKey([0xaa; 20]), Ipv4Addr::new(80, 4, 4, 200), &layout, count)
                .into_iter()
                .map(Piece::number)
                .collect::<Vec<_>>()
        };
        assert_eq!(set(7), [1059, 431, 808, 1217, 287, 376, 1188]);
        assert_eq!(set(9), [1059, 431, 808, 1217, 287, 376, 1188, 353, 508]);
    }

    #[test]
    fn a_small_torrent_is_allowed_whole() {
        let layout = Layout::new(3, 1).unwrap();
        let mut set = allowed_fast(SwarmKey([1; 20]), Ipv4Addr::LOCALHOST, &layout, ALLOWED_FAST);
        set.sort_unstable();
        assert_eq!(set, layout.iter().collect::<Vec<_>>());
    }
}
