//! A torrent made for a test.

use std::sync::Arc;

use bytes::Bytes;
use sha1::{Digest as _, Sha1};
use tombolo_core::key::SwarmKey;
use tombolo_core::metainfo::Metainfo;

pub(crate) const PIECE: usize = 32 * 1024;

pub(crate) struct Sample {
    pub(crate) content: Vec<u8>,
    pub(crate) metainfo: Arc<Metainfo>,
}

impl Sample {
    /// A file of so many bytes, different for each `seed`.
    pub(crate) fn new(length: usize, seed: u32) -> Self {
        let mut state = seed.wrapping_mul(2_654_435_761) | 1;
        let bytes = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state as u8
        });
        let content: Vec<u8> = bytes.take(length).collect();
        let hashes: Vec<u8> = content
            .chunks(PIECE)
            .flat_map(|piece| Sha1::digest(piece).to_vec())
            .collect();
        let head = format!(
            "d6:lengthi{length}e4:name6:sample12:piece lengthi{PIECE}e6:pieces{}:",
            hashes.len()
        );
        let info = [head.as_bytes(), &hashes, b"e"].concat();
        let metainfo = Arc::new(Metainfo::from_info(Bytes::from(info)).unwrap());
        Self { content, metainfo }
    }

    pub(crate) fn swarm(&self) -> SwarmKey {
        self.metainfo.hashes.swarm()
    }

    pub(crate) fn torrent(&self) -> Vec<u8> {
        [b"d4:info", &self.metainfo.info[..], b"e"].concat()
    }
}
