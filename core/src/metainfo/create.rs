//! Making a .torrent (v1, v2, hybrid). The same files and wishes give the same bytes.
//!
//! First the [`Layout`], by which the caller hashes the content piece by piece, then the bytes.

mod file;
mod tree;

pub use file::NewFile;

use super::{MAX_FILES, MAX_METAINFO, MAX_PATHS};
use crate::bencode::{DictWriter, Writer};
use crate::digest::{Digests, Hashing};
use crate::layout::{BLOCK, Layout, LayoutError, Piece};
use crate::merkle::{self, HASH, Hash};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// How many pieces a torrent of a middling size gets at most: a list of hashes of 20 KiB, quick to fetch from a peer.
const PIECES: u64 = 1024;

/// The longest piece chosen of our own accord, in bytes. Longer ones make a peer wait long for its first whole piece.
const LONGEST: u64 = 16 * 1024 * 1024;

/// What is to be understood by whom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// By everyone (BEP 3).
    #[default]
    V1,
    /// By those who know BEP 52.
    V2,
    /// By both: one content under two info-hashes (BEP 52).
    Hybrid,
}

/// The hashes of all pieces, as far as the version needs them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hashes {
    v1: Vec<[u8; 20]>,
    v2: Vec<Hash>,
}

/// What is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Creator {
    /// The name of the file, or of the folder that the files are in.
    pub name: Vec<u8>,
    /// Whether the files are in a folder.
    pub multi_file: bool,
    /// The piece length in bytes.
    pub piece_length: u64,
    /// Whether peers may come from the trackers alone (BEP 27).
    pub private: bool,
    /// Trackers, each a tier of its own.
    pub trackers: Vec<String>,
    /// URLs of the content (BEP 19).
    pub web_seeds: Vec<String>,
    /// What to say of it.
    pub comment: Option<String>,
    /// The program that makes it.
    pub created_by: Option<String>,
    /// When it is made, in seconds since 1970.
    pub creation_date: Option<i64>,
    /// Whether pad files have each file of v1 begin at a piece, as those of v2 do (BEP 47).
    pub pad: bool,
    files: Vec<NewFile>,
    version: Version,
}

/// Why nothing is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreateError {
    /// The geometry is absurd.
    Layout(LayoutError),
    /// The files come to more than 2^63 - 1 bytes.
    Overflow,
    /// More files, or longer paths, than we would read ourselves.
    TooManyFiles,
    /// A piece length that v2 cannot have: no power of two from 16 KiB.
    PieceLengthV2(u64),
    /// There is not one hash for each piece.
    PieceCount {
        /// How many pieces there are.
        expected: usize,
        /// How many hashes were given.
        received: usize,
    },
    /// It would be longer than we would read ourselves.
    TooLarge {
        /// How long, in bytes.
        received: usize,
    },
}

/// The piece length for that much content, in bytes: a power of two, at least a block.
pub const fn automatic_piece_length(total: u64) -> u64 {
    let mut length = BLOCK as u64;
    while length < LONGEST && total.div_ceil(length) > PIECES {
        length *= 2;
    }
    length
}

impl Creator {
    /// A torrent of one file.
    pub fn single(name: &[u8], length: u64) -> Self {
        let path = [name.to_vec()].into();
        Self::new(name, false, [NewFile::new(path, length)].into())
    }

    /// A torrent of a folder; the files come in the order of the bytes of their paths.
    pub fn folder(name: &[u8], mut files: Vec<NewFile>) -> Self {
        files.sort_by_cached_key(|file| file.path.join(&b'/'));
        Self::new(name, true, files)
    }

    fn new(name: &[u8], multi_file: bool, files: Vec<NewFile>) -> Self {
        let total = files.iter().fold(0u64, |total, file| total.saturating_add(file.length));
        Self {
            name: name.to_vec(),
            multi_file,
            piece_length: automatic_piece_length(total),
            private: false,
            trackers: Vec::new(),
            web_seeds: Vec::new(),
            comment: None,
            created_by: None,
            creation_date: None,
            pad: false,
            files,
            version: Version::V1,
        }
    }

    /// Gives each file what it says of it: whether it is executable, whether it is hidden (BEP 47).
    pub fn set_attributes(&mut self, of: impl Fn(&NewFile) -> (bool, bool)) {
        for file in &mut self.files {
            (file.executable, file.hidden) = of(file);
        }
    }

    /// Says for whom it is. The files of v2 come in the order of their tree, a folder's before those that sort after the folder.
    pub fn set_version(&mut self, version: Version) {
        self.version = version;
        if version == Version::V1 {
            self.files.sort_by_cached_key(|file| file.path.join(&b'/'));
        } else {
            self.files.sort();
        }
    }

    /// The files, in the order that their bytes are hashed in.
    pub fn files(&self) -> &[NewFile] {
        &self.files
    }

    /// How the content is cut into pieces.
    pub fn layout(&self) -> Result<Layout, CreateError> {
        let path_bytes: usize = self
            .files
            .iter()
            .flat_map(|file| &file.path)
            .map(|name| name.len() + 1)
            .sum();
        let name_bytes = self.files.len().saturating_mul(self.name.len());
        if self.files.len() > MAX_FILES || path_bytes.saturating_add(name_bytes) > MAX_PATHS {
            return Err(CreateError::TooManyFiles);
        }
        if self.version != Version::V1 && !(self.piece_length.is_power_of_two() && self.piece_length >= BLOCK.into()) {
            return Err(CreateError::PieceLengthV2(self.piece_length));
        }
        let offsets = self.offsets().ok_or(CreateError::Overflow)?;
        let ends: Vec<u64> = self
            .files
            .iter()
            .zip(&offsets)
            .map(|(file, offset)| offset + file.length)
            .collect();
        let end = ends.last().copied().unwrap_or(0);
        let total = if self.pads_tail() {
            end.next_multiple_of(self.piece_length)
        } else {
            end
        };
        let layout = Layout::new(total, self.piece_length).map_err(CreateError::Layout)?;
        let gaps = ends.iter().zip(offsets.iter().skip(1).chain([&total]));
        let gaps = gaps.map(|(end, next)| *end..*next).filter(|gap| !gap.is_empty());
        Ok(layout.with_gaps(gaps, self.version != Version::V2))
    }

    /// Where each file begins in the torrent; `None` if the last would end past 2^63 - 1.
    pub fn offsets(&self) -> Option<Vec<u64>> {
        let mut end = 0u64;
        let place = |file: &NewFile| {
            if self.aligns() && file.length > 0 {
                end = end.checked_next_multiple_of(self.piece_length)?;
            }
            let start = end;
            end = start.checked_add(file.length).filter(|&end| end <= i64::MAX as u64)?;
            Some(start)
        };
        self.files.iter().map(place).collect()
    }

    /// Whether files begin at pieces.
    const fn aligns(&self) -> bool {
        self.pad || !matches!(self.version, Version::V1)
    }

    /// Whether a pad file comes after the last file, as in BEP 52's own example.
    const fn pads_tail(&self) -> bool {
        matches!(self.version, Version::Hybrid) && self.multi_file && self.files.len() > 1
    }

    /// What is to be hashed of a piece that begins in a file of that length.
    pub fn hashing(&self, layout: &Layout, piece: Piece, file_length: u64) -> Hashing {
        Hashing {
            v1: (self.version != Version::V2).then(|| layout.padding(piece)),
            v2: (self.version != Version::V1).then(|| {
                let whole = file_length.min(self.piece_length);
                merkle::levels(whole.div_ceil(BLOCK.into()))
            }),
        }
    }

    /// The bytes of the info dictionary.
    pub fn info(&self, hashes: &Hashes) -> Result<Vec<u8>, CreateError> {
        let layout = self.layout()?;
        let (v1, v2) = (self.version != Version::V2, self.version != Version::V1);
        for (wanted, received) in [(v1, hashes.v1.len()), (v2, hashes.v2.len())] {
            if wanted && received != layout.pieces() {
                let expected = layout.pieces();
                return Err(CreateError::PieceCount { expected, received });
            }
        }
        let offsets = self.offsets().ok_or(CreateError::Overflow)?;
        let mut out = Vec::with_capacity(hashes.v1.len() * 20 + 100 + 160 * self.files.len());
        Writer::new(&mut out).dict(|info| {
            let only = self.files.first().filter(|_| v1 && !self.multi_file);
            only.into_iter().for_each(|file| file.write_attributes(info));
            if v2 {
                let files = tree::leaves(self, hashes, &offsets);
                info.entry("file tree").dict(|dict| tree::write(dict, &files, 0));
            }
            if v1 && self.multi_file {
                info.entry("files")
                    .list(|list| self.write_files(list, &layout, &offsets));
            } else if v1 {
                info.integer("length", only.map_or(0, |file| signed(file.length)));
            }
            if v2 {
                info.integer("meta version", 2);
            }
            info.bytes("name", &self.name);
            info.integer("piece length", signed(self.piece_length));
            if v1 {
                info.bytes("pieces", hashes.v1.as_flattened());
            }
            if self.private {
                info.integer("private", 1);
            }
        });
        Ok(out)
    }

    /// The files as v1 lists them, with pad files where others begin later than the one before ends (BEP 47).
    fn write_files(&self, list: &mut Writer<'_>, layout: &Layout, offsets: &[u64]) {
        let ends = offsets.iter().skip(1).copied().chain([layout.end()]);
        for ((file, offset), end) in self.files.iter().zip(offsets).zip(ends) {
            file.write(list);
            let pad = end - offset - file.length;
            if pad > 0 {
                list.dict(|file| {
                    file.bytes("attr", "p");
                    file.integer("length", signed(pad));
                    file.entry("path").list(|path| {
                        path.bytes(b".pad");
                        path.bytes(alloc::format!("{pad}").as_bytes());
                    });
                });
            }
        }
    }

    /// The bytes of the .torrent.
    pub fn torrent(&self, hashes: &Hashes) -> Result<Vec<u8>, CreateError> {
        let info = self.info(hashes)?;
        let mut out = Vec::with_capacity(info.len() + 1_000);
        Writer::new(&mut out).dict(|dict| {
            self.trackers
                .first()
                .into_iter()
                .for_each(|first| dict.bytes("announce", first));
            if self.trackers.len() > 1 {
                let tier = |tiers: &mut Writer<'_>, url: &String| tiers.list(|tier| tier.bytes(url.as_bytes()));
                dict.entry("announce-list")
                    .list(|tiers| self.trackers.iter().for_each(|url| tier(tiers, url)));
            }
            text(dict, "comment", self.comment.as_ref());
            text(dict, "created by", self.created_by.as_ref());
            self.creation_date
                .into_iter()
                .for_each(|date| dict.integer("creation date", date));
            dict.entry("info").raw(&info);
            if self.version != Version::V1 {
                dict.entry("piece layers")
                    .dict(|dict| tree::write_layers(dict, self, hashes));
            }
            if !self.web_seeds.is_empty() {
                let urls = |list: &mut Writer<'_>| self.web_seeds.iter().for_each(|url| list.bytes(url.as_bytes()));
                dict.entry("url-list").list(urls);
            }
        });
        match out.len() {
            received if received > MAX_METAINFO => Err(CreateError::TooLarge { received }),
            _ => Ok(out),
        }
    }
}

impl Hashes {
    /// Those of a layout, still to be told.
    pub fn of(layout: &Layout) -> Self {
        Self {
            v1: alloc::vec![[0; 20]; layout.pieces()],
            v2: alloc::vec![[0; HASH]; layout.pieces()],
        }
    }

    /// Those of v1 alone, one after the other.
    pub fn v1(hashes: &[u8]) -> Self {
        Self {
            v1: hashes.as_chunks().0.to_vec(),
            v2: Vec::new(),
        }
    }

    /// The digests of a piece.
    pub fn set(&mut self, piece: Piece, digests: &Digests) {
        if let (Some(place), Some(hash)) = (self.v1.get_mut(piece.index()), digests.v1) {
            *place = hash;
        }
        if let (Some(place), Some(hash)) = (self.v2.get_mut(piece.index()), digests.v2) {
            *place = hash;
        }
    }
}

/// A length that [`Creator::layout`] found to fit.
fn signed(length: u64) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

fn text(dict: &mut DictWriter<'_>, key: &str, text: Option<&String>) {
    text.into_iter().for_each(|text| dict.bytes(key, text));
}

impl fmt::Display for CreateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Layout(error) => error.fmt(f),
            Self::Overflow => f.write_str("the files come to more than 2^63 - 1 bytes"),
            Self::TooManyFiles => write!(f, "there are more than {MAX_FILES} files or {MAX_PATHS} bytes of paths"),
            Self::PieceLengthV2(length) => write!(f, "a v2 piece length of {length} is not a power of two from 16384"),
            Self::PieceCount { expected, received } => write!(f, "there are {received} hashes for {expected} pieces"),
            Self::TooLarge { received } => {
                write!(
                    f,
                    "it would have {received} bytes, more than {MAX_METAINFO}: take a longer piece length"
                )
            }
        }
    }
}

impl core::error::Error for CreateError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metainfo::Metainfo;
    use alloc::vec;
    use bytes::Bytes;

    fn file(path: &str, length: u64) -> NewFile {
        let path = path.split('/').map(|name| name.as_bytes().to_vec()).collect();
        NewFile::new(path, length)
    }

    #[test]
    fn a_single_file_has_four_fields() {
        let mut creator = Creator::single(b"a.bin", 40_000);
        creator.piece_length = 32_768;
        let bytes = creator.torrent(&Hashes::v1(&[7; 40])).unwrap();
        let expected = [
            &b"d4:infod6:lengthi40000e4:name5:a.bin12:piece lengthi32768e6:pieces40:"[..],
            &[7; 40],
            b"ee",
        ];
        assert_eq!(bytes, expected.concat());
    }

    #[test]
    fn a_folder_is_in_the_order_of_its_paths_and_is_read_back() {
        let mut creator = Creator::folder(b"d", vec![file("b", 1), file("a/z", 2), file("a-b", 3), file("a/b", 0)]);
        creator.private = true;
        creator.trackers = vec!["http://one/".into(), "udp://two".into()];
        creator.web_seeds = vec!["http://w/".into()];
        creator.comment = Some("c".into());
        creator.created_by = Some("t".into());
        creator.creation_date = Some(-5);
        let metainfo = Metainfo::parse(&Bytes::from(creator.torrent(&Hashes::v1(&[1; 20])).unwrap())).unwrap();
        let files: Vec<_> = metainfo
            .files
            .iter()
            .map(|file| (file.path.as_str(), file.offset, file.length))
            .collect();
        assert_eq!(
            files,
            [("d/a-b", 0, 3), ("d/a/b", 3, 0), ("d/a/z", 3, 2), ("d/b", 5, 1)]
        );
        assert!(metainfo.private && metainfo.multi_file);
        assert_eq!(metainfo.trackers, [["http://one/"], ["udp://two"]]);
        assert_eq!((metainfo.web_seeds.len(), metainfo.creation_date), (1, Some(-5)));
        assert_eq!(
            (metainfo.comment.as_deref(), metainfo.created_by.as_deref()),
            (Some("c"), Some("t"))
        );
        assert_eq!(metainfo.info, creator.info(&Hashes::v1(&[1; 20])).unwrap());
        assert_eq!(metainfo.layout, creator.layout().unwrap());
    }

    #[test]
    fn the_piece_length_grows_with_the_content() {
        let lengths = [0, 16 << 20, (16 << 20) + 1, 256 << 20, 1 << 30, 1 << 40].map(automatic_piece_length);
        assert_eq!(lengths, [16_384, 16_384, 32_768, 256 << 10, 1 << 20, LONGEST]);
    }

    #[test]
    fn what_cannot_be_described_is_refused() {
        let empty = Creator::folder(b"d", vec![file("a", 0)]);
        assert_eq!(
            empty.torrent(&Hashes::v1(&[])),
            Err(CreateError::Layout(LayoutError::Empty))
        );
        let long = Creator::folder(b"d", vec![file("a", u64::MAX), file("b", 1)]);
        assert_eq!(long.layout(), Err(CreateError::Overflow));
        let (expected, received) = (1, 2);
        assert_eq!(
            Creator::single(b"a", 5).info(&Hashes::v1(&[0; 40])),
            Err(CreateError::PieceCount { expected, received })
        );
    }

    /// A creator of these files, the content of each its own letter, and the hashes of their pieces.
    fn made(version: Version) -> (Creator, Hashes) {
        let files = vec![
            file("b", 70_000),
            file("a/z", 5),
            file("a-b", 32_768),
            file("a/e", 0),
            file("c", 16_385),
        ];
        let mut creator = Creator::folder(b"d", files);
        creator.piece_length = 32_768;
        creator.set_version(version);
        let layout = creator.layout().unwrap();
        let offsets = creator.offsets().unwrap();
        let mut content = vec![0; layout.end() as usize];
        for (file, offset) in creator.files().iter().zip(&offsets) {
            content[*offset as usize..][..file.length as usize].fill(file.path[0][0]);
        }
        let mut hashes = Hashes::of(&layout);
        for piece in layout.iter() {
            let at = layout.offset(piece);
            let number = offsets.partition_point(|&offset| offset <= at) - 1;
            let hashing = creator.hashing(&layout, piece, creator.files()[number].length);
            let data = &content[at as usize..][..layout.piece_length(piece) as usize];
            hashes.set(piece, &hashing.digest(&Bytes::copy_from_slice(data).into()));
        }
        (creator, hashes)
    }

    #[test]
    fn every_version_is_read_back_with_its_layers() {
        for version in [Version::V2, Version::Hybrid] {
            let (creator, hashes) = made(version);
            let torrent = Bytes::from(creator.torrent(&hashes).unwrap());
            let metainfo = Metainfo::parse(&torrent).unwrap();
            assert_eq!(metainfo.layout, creator.layout().unwrap());
            assert_eq!(
                (metainfo.hashes.v1().is_some(), metainfo.hashes.v2().is_some()),
                (version == Version::Hybrid, true)
            );
            let files = metainfo.files.iter().filter(|file| !file.pad);
            let files: Vec<_> = files
                .map(|file| (file.path.as_str(), file.offset, file.length))
                .collect();
            let expected = [
                ("d/a/e", 0, 0),
                ("d/a/z", 0, 5),
                ("d/a-b", 32_768, 32_768),
                ("d/b", 65_536, 70_000),
                ("d/c", 163_840, 16_385),
            ];
            assert_eq!(files, expected);
            assert!(metainfo.layers.is_complete());
            for piece in metainfo.layout.iter() {
                assert_eq!(metainfo.layers.piece(piece).0, Some(hashes.v2[piece.index()]));
                let hashing = metainfo.hashing(piece);
                assert_eq!(hashing.v1.is_some(), version == Version::Hybrid);
            }
            assert_eq!(made(version).0.torrent(&hashes).unwrap(), torrent, "the same again");
        }
    }

    fn some_hashes(layout: &Layout) -> Hashes {
        let mut hashes = Hashes::of(layout);
        hashes.v2.fill([7; HASH]);
        hashes
    }

    #[test]
    fn attributes_and_links_are_read_back_in_every_version() {
        for version in [Version::V1, Version::V2, Version::Hybrid] {
            let program = NewFile {
                executable: true,
                hidden: true,
                ..file("bin/.run", 5)
            };
            let link = NewFile {
                symlink: Some(vec![b"bin".to_vec(), b".run".to_vec()]),
                ..file("start", 0)
            };
            let mut creator = Creator::folder(b"d", vec![link, program, file("plain", 3)]);
            creator.pad = true;
            creator.set_version(version);
            let layout = creator.layout().unwrap();
            let metainfo = Metainfo::parse(&creator.torrent(&some_hashes(&layout)).unwrap().into()).unwrap();
            assert_eq!(metainfo.layout, layout);
            let files = metainfo.files.iter().filter(|file| !file.pad);
            let files: Vec<_> = files
                .map(|file| {
                    let target = file.symlink.as_ref().map(|target| target.as_str());
                    (file.path.as_str(), file.offset, file.executable, file.hidden, target)
                })
                .collect();
            let piece = creator.piece_length;
            let expected = [
                ("d/bin/.run", 0, true, true, None),
                ("d/plain", piece, false, false, None),
                ("d/start", files[2].1, false, false, Some("bin/.run")),
            ];
            assert_eq!(files, expected, "{version:?}");
        }
        let mut single = Creator::single(b"run", 5);
        single.set_attributes(|_| (true, false));
        for version in [Version::V1, Version::V2, Version::Hybrid] {
            single.set_version(version);
            let hashes = some_hashes(&single.layout().unwrap());
            let metainfo = Metainfo::parse(&single.torrent(&hashes).unwrap().into()).unwrap();
            assert!(metainfo.files[0].executable && !metainfo.multi_file);
        }
    }

    #[test]
    fn pad_files_of_v1_fill_up_pieces() {
        let mut creator = Creator::folder(b"d", vec![file("a", 5), file("b", 0), file("c", 40_000)]);
        (creator.piece_length, creator.pad) = (32_768, true);
        let layout = creator.layout().unwrap();
        assert_eq!((layout.pieces(), layout.total(), layout.end()), (3, 40_005, 72_768));
        let metainfo = Metainfo::parse(&creator.torrent(&Hashes::v1(&[3; 60])).unwrap().into()).unwrap();
        assert_eq!(metainfo.layout, layout);
        let files: Vec<_> = metainfo
            .files
            .iter()
            .map(|file| (file.pad, file.offset, file.length))
            .collect();
        assert_eq!(
            files,
            [(false, 0, 5), (false, 5, 0), (true, 5, 32_763), (false, 32_768, 40_000)]
        );
        let piece = layout.piece(0).unwrap();
        assert_eq!(creator.hashing(&layout, piece, 5), metainfo.hashing(piece));
    }

    #[test]
    fn a_piece_length_that_v2_cannot_have_is_refused() {
        let (mut creator, hashes) = made(Version::V2);
        for length in [8_192, 49_152, 0] {
            creator.piece_length = length;
            assert_eq!(creator.torrent(&hashes), Err(CreateError::PieceLengthV2(length)));
        }
    }
}
