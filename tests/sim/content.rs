//! Torrents made of random bytes.

use std::sync::Arc;

use bytes::Bytes;
use sha1::{Digest, Sha1};
use tombolo_core::key::InfoHashes;
use tombolo_core::layout::{Layout, Piece};
use tombolo_core::metainfo::create::{Creator, Hashes, NewFile, Version};
use tombolo_core::metainfo::{Layers, Metainfo};
use tombolo_core::rng::Rng;

/// A torrent and its bytes.
#[derive(Clone, Debug)]
pub struct Content {
    /// Its metainfo.
    pub metainfo: Arc<Metainfo>,
    /// Its bytes, with the zeros of gaps.
    pub bytes: Bytes,
}

impl Content {
    /// A torrent of one file with `length` random bytes.
    pub fn single(length: usize, piece_length: usize) -> Self {
        Self::new(&[length], piece_length)
    }

    /// The same, private (BEP 27).
    pub fn private(length: usize, piece_length: usize) -> Self {
        Self::made(&[length], piece_length, "7:privatei1e")
    }

    /// A torrent of files with these lengths; a single-file torrent if there is one.
    pub fn new(lengths: &[usize], piece_length: usize) -> Self {
        Self::made(lengths, piece_length, "")
    }

    fn made(lengths: &[usize], piece_length: usize, last: &str) -> Self {
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
        info.extend(last.bytes());
        info.extend(b"e");
        let metainfo = Metainfo::from_info(info.into()).expect("the torrent is well formed");
        Self {
            metainfo: Arc::new(metainfo),
            bytes: bytes.into(),
        }
    }

    /// A torrent of that version, of files with these lengths.
    pub fn versioned(version: Version, lengths: &[usize], piece_length: usize) -> Self {
        let name = |at| vec![format!("{at:03}").into_bytes()];
        let file = |(at, &length): (usize, &usize)| NewFile::new(name(at), length as u64);
        let mut creator = Creator::folder(b"test", lengths.iter().enumerate().map(file).collect());
        creator.piece_length = piece_length as u64;
        creator.set_version(version);
        let layout = creator.layout().expect("a sane layout");
        let offsets = creator.offsets().expect("a sane layout");
        let mut bytes = vec![0; layout.end() as usize];
        for (length, offset) in lengths.iter().zip(&offsets) {
            Rng::new(*offset + 1).fill(&mut bytes[*offset as usize..][..*length]);
        }
        let bytes = Bytes::from(bytes);
        let mut hashes = Hashes::of(&layout);
        for piece in layout.iter() {
            let at = layout.offset(piece);
            let file = offsets.partition_point(|&offset| offset <= at) - 1;
            let data = bytes.slice(at as usize..at as usize + layout.piece_length(piece) as usize);
            let hashing = creator.hashing(&layout, piece, lengths[file] as u64);
            hashes.set(piece, &hashing.digest(&data.into()));
        }
        let torrent = creator.torrent(&hashes).expect("a sane torrent");
        let metainfo = Arc::new(Metainfo::parse(&torrent.into()).expect("the torrent is well formed"));
        Self { metainfo, bytes }
    }

    /// The same with web seeds: folders of its files (BEP 19), and servers that hand out its pieces (BEP 17).
    pub fn served_by(&self, folders: &[&str], servers: &[&str]) -> Self {
        let urls = |urls: &[&str]| urls.iter().map(ToString::to_string).collect();
        self.with(Metainfo {
            web_seeds: urls(folders),
            http_seeds: urls(servers),
            ..(*self.metainfo).clone()
        })
    }

    /// A hybrid as those see it who know v1 alone.
    pub fn as_v1(&self) -> Self {
        let layout = &self.metainfo.layout;
        let metainfo = Metainfo {
            hashes: InfoHashes::new(self.metainfo.hashes.v1(), None).expect("a hybrid"),
            layout: Layout::new(layout.end(), layout.nominal_piece_length().into()).expect("a sane layout"),
            layers: Layers::default(),
            ..(*self.metainfo).clone()
        };
        self.with(metainfo)
    }

    /// A hybrid as those see it who know v2 alone.
    pub fn as_v2(&self) -> Self {
        let layout = &self.metainfo.layout;
        let gap = |piece| {
            let start = layout.offset(piece);
            start + u64::from(layout.piece_length(piece))..start + u64::from(layout.nominal_piece_length())
        };
        let whole = Layout::new(layout.end(), layout.nominal_piece_length().into()).expect("a sane layout");
        let metainfo = Metainfo {
            hashes: InfoHashes::new(None, self.metainfo.hashes.v2()).expect("a hybrid"),
            layout: whole.with_gaps(layout.iter().map(gap), false),
            piece_hashes: Bytes::new(),
            ..(*self.metainfo).clone()
        };
        self.with(metainfo)
    }

    /// The same as those have it who know the info dictionary alone: without the hashes of v2's pieces.
    pub fn without_layers(&self) -> Self {
        self.with(Metainfo::from_info(self.metainfo.info.clone()).expect("it was read before"))
    }

    fn with(&self, metainfo: Metainfo) -> Self {
        Self {
            metainfo: Arc::new(metainfo),
            bytes: self.bytes.clone(),
        }
    }

    /// The bytes of a piece.
    pub fn piece(&self, piece: Piece) -> Bytes {
        let start = self.metainfo.layout.offset(piece) as usize;
        self.bytes
            .slice(start..start + self.metainfo.layout.piece_length(piece) as usize)
    }
}
