//! Torrents made of random bytes.

use std::sync::Arc;

use bytes::Bytes;
use sha1::{Digest, Sha1};
use tombolo_core::layout::Piece;
use tombolo_core::metainfo::Metainfo;
use tombolo_core::rng::Rng;

/// A torrent and its bytes.
#[derive(Clone, Debug)]
pub struct Content {
    /// Its metainfo.
    pub metainfo: Arc<Metainfo>,
    bytes: Bytes,
}

impl Content {
    /// A torrent of one file with `length` random bytes.
    pub fn single(length: usize, piece_length: usize) -> Self {
        Self::new(&[length], piece_length)
    }

    /// A torrent of files with these lengths; a single-file torrent if there is one.
    pub fn new(lengths: &[usize], piece_length: usize) -> Self {
        let mut bytes = vec![0; lengths.iter().sum()];
        Rng::new(bytes.len() as u64).fill(&mut bytes);
        let pieces: Vec<u8> = bytes.chunks(piece_length).flat_map(Sha1::digest).collect();
        let mut info = Vec::new();
        let files: String = lengths
            .iter()
            .enumerate()
            .map(|(at, length)| format!("d6:lengthi{length}e4:pathl{}:{at}ee", at.to_string().len()))
            .collect();
        match lengths {
            [length] => info.extend(format!("d6:lengthi{length}e").bytes()),
            _ => info.extend(format!("d5:filesl{files}e").bytes()),
        }
        info.extend(format!("4:name4:test12:piece lengthi{piece_length}e6:pieces{}:", pieces.len()).bytes());
        info.extend(pieces);
        info.extend(b"e");
        let metainfo = Metainfo::from_info(info.into()).expect("the torrent is well formed");
        Self {
            metainfo: Arc::new(metainfo),
            bytes: bytes.into(),
        }
    }

    /// The bytes of a piece.
    pub fn piece(&self, piece: Piece) -> Bytes {
        let start = self.metainfo.layout.offset(piece) as usize;
        self.bytes
            .slice(start..start + self.metainfo.layout.piece_length(piece) as usize)
    }
}
