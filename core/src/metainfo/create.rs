//! Making a .torrent (v1). The same files and wishes give the same bytes.
//!
//! First the [`Layout`], by which the caller hashes the content, then the bytes. v2 will add the roots of files to the same two steps.

use super::{MAX_FILES, MAX_METAINFO, MAX_PATHS};
use crate::bencode::{DictWriter, Writer};
use crate::layout::{BLOCK, Layout, LayoutError};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// How many pieces a torrent of a middling size gets at most: a list of hashes of 20 KiB, quick to fetch from a peer.
const PIECES: u64 = 1024;

/// The longest piece chosen of our own accord, in bytes. Longer ones make a peer wait long for its first whole piece.
const LONGEST: u64 = 16 * 1024 * 1024;

/// A file to be described.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NewFile {
    /// The names of its folders and its own, as the file system has them; for a single file its name alone.
    pub path: Vec<Vec<u8>>,
    /// Its length in bytes.
    pub length: u64,
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
    files: Vec<NewFile>,
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
        Self::new(name, false, [NewFile { path, length }].into())
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
            files,
        }
    }

    /// The files, in the order that their bytes are hashed in.
    pub fn files(&self) -> &[NewFile] {
        &self.files
    }

    /// How the content is cut into pieces.
    pub fn layout(&self) -> Result<Layout, CreateError> {
        let total = self
            .files
            .iter()
            .try_fold(0u64, |total, file| total.checked_add(file.length));
        let total = total
            .filter(|&total| total <= i64::MAX as u64)
            .ok_or(CreateError::Overflow)?;
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
        Layout::new(total, self.piece_length).map_err(CreateError::Layout)
    }

    /// The bytes of the info dictionary. `hashes`: the SHA-1 of each piece, one after the other.
    pub fn info(&self, hashes: &[u8]) -> Result<Vec<u8>, CreateError> {
        let pieces = self.layout()?.pieces();
        if hashes.len() != 20 * pieces {
            return Err(CreateError::PieceCount {
                expected: pieces,
                received: hashes.len() / 20,
            });
        }
        let mut out = Vec::with_capacity(hashes.len() + 100 + 60 * self.files.len());
        Writer::new(&mut out).dict(|info| {
            if self.multi_file {
                info.entry("files")
                    .list(|list| self.files.iter().for_each(|file| file.write(list)));
            } else {
                info.integer("length", self.files.first().map_or(0, |file| signed(file.length)));
            }
            info.bytes("name", &self.name);
            info.integer("piece length", signed(self.piece_length));
            info.bytes("pieces", hashes);
            if self.private {
                info.integer("private", 1);
            }
        });
        Ok(out)
    }

    /// The bytes of the .torrent. `hashes` as for [`info`](Self::info).
    pub fn torrent(&self, hashes: &[u8]) -> Result<Vec<u8>, CreateError> {
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

impl NewFile {
    fn write(&self, list: &mut Writer<'_>) {
        list.dict(|file| {
            file.integer("length", signed(self.length));
            file.entry("path")
                .list(|path| self.path.iter().for_each(|name| path.bytes(name)));
        });
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
        NewFile { path, length }
    }

    #[test]
    fn a_single_file_has_four_fields() {
        let mut creator = Creator::single(b"a.bin", 40_000);
        creator.piece_length = 32_768;
        let bytes = creator.torrent(&[7; 40]).unwrap();
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
        let metainfo = Metainfo::parse(&Bytes::from(creator.torrent(&[1; 20]).unwrap())).unwrap();
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
        assert_eq!(metainfo.info, creator.info(&[1; 20]).unwrap());
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
        assert_eq!(empty.torrent(&[]), Err(CreateError::Layout(LayoutError::Empty)));
        let long = Creator::folder(b"d", vec![file("a", u64::MAX), file("b", 1)]);
        assert_eq!(long.layout(), Err(CreateError::Overflow));
        let (expected, received) = (1, 2);
        assert_eq!(
            Creator::single(b"a", 5).info(&[0; 40]),
            Err(CreateError::PieceCount { expected, received })
        );
    }
}
