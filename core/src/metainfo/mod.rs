//! The metainfo of a torrent (BEP 3, BEP 12, BEP 17, BEP 19, BEP 27, BEP 47, BEP 52): what a .torrent says, checked and made safe.
//!
//! Invariants of a [`Metainfo`]: `info` are the very bytes that were received, and the hashes are over them; the files lie one after
//! the other and fill the layout; their paths are safe to write to and distinct; there is a hash for each piece of a v1 torrent, and a
//! root for each file of a v2 torrent that the layers in it follow from.
//! Cost: a few passes over the bytes; at most [`MAX_FILES`] files and [`MAX_PATHS`] bytes of paths are held, whatever is received.

pub mod create;
mod error;
mod file;
mod layers;
mod path;
mod tree;

pub use error::MetainfoError;
pub use file::File;
pub use layers::Layers;
pub use path::{FilePath, MAX_ELEMENT, MAX_PATH, element};

use crate::bencode::{self, Dict, Value};
use crate::digest::{Digests, Hashing, sha1, sha256};
use crate::gather::Gather;
use crate::key::{InfoHashV1, InfoHashV2, InfoHashes};
use crate::layout::{Layout, Piece};
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;

/// The longest .torrent or info dictionary read, in bytes.
pub const MAX_METAINFO: usize = 32 * 1024 * 1024;

/// The most files a torrent may have.
pub const MAX_FILES: usize = 1 << 20;

/// The most bytes that all paths of a torrent together may have: a tree of files can name far more than it is long.
pub const MAX_PATHS: usize = 64 * 1024 * 1024;

/// The most trackers and the most web seeds that are kept; those after them are passed over.
pub const MAX_URLS: usize = 10_000;

/// A torrent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metainfo {
    /// The info dictionary as it was received.
    pub info: Bytes,
    /// The hashes of `info`.
    pub hashes: InfoHashes,
    /// The name of its file, or of the folder that its files are in, as written to disk.
    pub name: String,
    /// How it is cut into pieces. What only aligns the next file is a gap.
    pub layout: Layout,
    /// Its files in order, pad files included.
    pub files: Vec<File>,
    /// Whether the files are in a folder.
    pub multi_file: bool,
    /// The SHA-1 of each piece, one after the other; empty if it is v2 alone.
    pub piece_hashes: Bytes,
    /// The hash trees of its files; empty if it is v1 alone.
    pub layers: Layers,
    /// Whether peers may come from its trackers alone (BEP 27).
    pub private: bool,
    /// Its trackers in tiers (BEP 12).
    pub trackers: Vec<Vec<String>>,
    /// URLs of its content (BEP 19).
    pub web_seeds: Vec<String>,
    /// URLs of servers that hand out its pieces (BEP 17).
    pub http_seeds: Vec<String>,
    /// What its maker says of it.
    pub comment: Option<String>,
    /// The program that made it.
    pub created_by: Option<String>,
    /// When it was made, in seconds since 1970.
    pub creation_date: Option<i64>,
}

/// What became of comparing a piece to what its torrent says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is the piece.
    Right,
    /// It is not.
    Wrong,
    /// It is by one version of a hybrid and is not by the other: no bytes can be right by both.
    Contradiction,
}

impl Metainfo {
    /// Reads a .torrent.
    pub fn parse(bytes: &Bytes) -> Result<Self, MetainfoError> {
        let metainfo = Self::parse_unfinished(bytes)?;
        match metainfo.layers.first_missing() {
            // BEP 52: it is not valid without them.
            Some(piece) => Err(MetainfoError::PieceLayer { piece }),
            None => Ok(metainfo),
        }
    }

    /// Reads a .torrent that need not have all piece layers: one that was kept while they were still being fetched.
    pub fn parse_unfinished(bytes: &Bytes) -> Result<Self, MetainfoError> {
        let dict = document(bytes)?;
        let [
            announce,
            tiers,
            comment,
            created_by,
            creation_date,
            http_seeds,
            info,
            layers,
            url_list,
        ] = dict.fields([
            "announce",
            "announce-list",
            "comment",
            "created by",
            "creation date",
            "httpseeds",
            "info",
            "piece layers",
            "url-list",
        ]);
        let info = info.ok_or(MetainfoError::Missing("info"))?;
        let fields = info.dict().ok_or(MetainfoError::Field("info", "a dictionary"))?;
        let mut metainfo = Self::read(bytes.slice_ref(info.raw()), &fields)?;
        if let Some(layers) = layers.filter(|_| metainfo.hashes.v2().is_some()) {
            let layers = layers.dict();
            let layers = layers.ok_or(MetainfoError::Field("piece layers", "a dictionary"))?;
            metainfo.layers.fill(bytes, &layers)?;
        }
        metainfo.trackers = trackers(announce, tiers);
        metainfo.web_seeds = url_list.map_or_else(Vec::new, |list| urls(list, MAX_URLS));
        metainfo.http_seeds = http_seeds.map_or_else(Vec::new, |list| urls(list, MAX_URLS));
        metainfo.comment = comment.and_then(lossy);
        metainfo.created_by = created_by.and_then(lossy);
        metainfo.creation_date = creation_date.and_then(|date| date.integer());
        Ok(metainfo)
    }

    /// Reads an info dictionary alone, as peers exchange it (BEP 9).
    pub fn from_info(info: Bytes) -> Result<Self, MetainfoError> {
        let fields = document(&info)?;
        Self::read(info.clone(), &fields)
    }

    /// The hash that a piece of a v1 torrent must have; `None` if it is v2 alone.
    pub fn piece_hash(&self, piece: Piece) -> Option<[u8; 20]> {
        self.piece_hashes.chunks_exact(20).nth(piece.index())?.try_into().ok()
    }

    /// What is to be hashed of a piece, to say whether it is [`right`](Self::is_right).
    pub fn hashing(&self, piece: Piece) -> Hashing {
        Hashing {
            v1: self.hashes.v1().map(|_| self.layout.padding(piece)),
            v2: self.hashes.v2().map(|_| self.layers.piece(piece).1),
        }
    }

    /// Whether a piece with these digests is the one there should be; `None` if nothing is known that could tell.
    ///
    /// BEP 52: a piece of a hybrid must match both, as far as both are known.
    pub fn is_right(&self, piece: Piece, digests: &Digests) -> Option<Verdict> {
        let v1 = self.piece_hash(piece).map(|hash| digests.v1 == Some(hash));
        let v2 = self.layers.piece(piece).0.map(|hash| digests.v2 == Some(hash));
        match (v1, v2) {
            (Some(one), Some(other)) if one != other => Some(Verdict::Contradiction),
            (one, other) => one
                .or(other)
                .map(|right| if right { Verdict::Right } else { Verdict::Wrong }),
        }
    }

    /// The length of its content in bytes, without pad files.
    pub fn content_length(&self) -> u64 {
        self.files.iter().filter(|file| !file.pad).map(|file| file.length).sum()
    }

    fn read(info: Bytes, dict: &Dict<'_>) -> Result<Self, MetainfoError> {
        let [meta_version, name, name_utf8, piece_length, pieces, private] = dict.fields([
            "meta version",
            "name",
            "name.utf-8",
            "piece length",
            "pieces",
            "private",
        ]);
        let name = string(name, name_utf8).ok_or(MetainfoError::Missing("name"))?;
        let piece_length = piece_length.ok_or(MetainfoError::Missing("piece length"))?;
        let piece_length = unsigned(piece_length, "piece length")?;
        let v2 = match meta_version.map(|version| version.integer()) {
            None | Some(Some(1)) => false,
            Some(Some(2)) => true,
            Some(_) => return Err(MetainfoError::Field("meta version", "1 or 2")),
        };
        if pieces.is_none() && !v2 {
            return Err(MetainfoError::Missing("pieces"));
        }
        let tree = v2.then(|| tree::read(dict, name, piece_length)).transpose()?;
        let (mut files, multi_file) = match (&pieces, tree) {
            (Some(_), tree) => {
                let (mut files, multi_file) = file::read(dict, name)?;
                if let Some((tree, _)) = tree {
                    tree::join(&mut files, tree, piece_length)?;
                }
                (files, multi_file)
            }
            (None, tree) => tree.ok_or(MetainfoError::Missing("pieces"))?,
        };
        let layout = layout(&files, piece_length, pieces.is_some())?;
        let piece_hashes = piece_hashes(&info, pieces, &layout)?;
        let mut on_disk: Vec<_> = files
            .iter_mut()
            .filter(|file| !file.pad)
            .map(|file| &mut file.path)
            .gather();
        path::make_distinct(&mut on_disk);
        let v1 = pieces.is_some().then(|| InfoHashV1(sha1(&[&info])));
        let v2 = v2.then(|| InfoHashV2(sha256(&[&info])));
        Ok(Self {
            hashes: InfoHashes::new(v1, v2).ok_or(MetainfoError::Missing("pieces"))?,
            info,
            name: FilePath::new([name]).map_or_else(String::new, |name| name.as_str().into()),
            layers: Layers::of(&files, &layout),
            layout,
            files,
            multi_file,
            piece_hashes,
            private: private.and_then(|flag| flag.integer()).is_some_and(|flag| flag != 0),
            trackers: Vec::new(),
            web_seeds: Vec::new(),
            http_seeds: Vec::new(),
            comment: None,
            created_by: None,
            creation_date: None,
        })
    }
}

/// The dictionary that is all of `bytes`.
fn document(bytes: &Bytes) -> Result<Dict<'_>, MetainfoError> {
    if bytes.len() > MAX_METAINFO {
        return Err(MetainfoError::TooLarge { received: bytes.len() });
    }
    let value = bencode::decode(bytes).map_err(MetainfoError::Bencode)?;
    value.dict().ok_or(MetainfoError::NoDictionary)
}

/// The pieces of these files. What is between two of them, and in v1 the pad files, are gaps.
fn layout(files: &[File], piece_length: u64, v1: bool) -> Result<Layout, MetainfoError> {
    let total = files.last().map_or(0, |last| last.offset + last.length);
    let layout = Layout::new(total, piece_length).map_err(MetainfoError::Layout)?;
    let pad = |file: &File| (file.pad && v1).then_some(file.offset..file.offset + file.length);
    let between = |two: &[File]| Some(two[0].offset + two[0].length..two[1].offset).filter(|gap| !gap.is_empty());
    let gaps = files.iter().filter_map(pad).chain(files.windows(2).filter_map(between));
    Ok(layout.with_gaps(gaps, v1))
}

fn piece_hashes(info: &Bytes, pieces: Option<Value<'_>>, layout: &Layout) -> Result<Bytes, MetainfoError> {
    let Some(pieces) = pieces else {
        return Ok(Bytes::new());
    };
    let hashes = pieces.bytes().ok_or(MetainfoError::Field("pieces", "a string"))?;
    if !hashes.len().is_multiple_of(20) {
        return Err(MetainfoError::PiecesLength { received: hashes.len() });
    }
    if hashes.len() / 20 != layout.pieces() {
        return Err(MetainfoError::PieceCount {
            expected: layout.pieces(),
            received: hashes.len() / 20,
        });
    }
    Ok(info.slice_ref(hashes))
}

fn trackers(announce: Option<Value<'_>>, tiers: Option<Value<'_>>) -> Vec<Vec<String>> {
    let mut left = MAX_URLS;
    let mut kept = Vec::new();
    // A tier may also be a mere string: some makers forget the inner list.
    for tier in tiers.and_then(|tiers| tiers.list()).into_iter().flatten() {
        let tier = urls(tier, left);
        left -= tier.len();
        if !tier.is_empty() {
            kept.push(tier);
        }
        if left == 0 {
            break;
        }
    }
    if kept.is_empty() {
        let tier = announce.map(|url| urls(url, 1)).filter(|tier| !tier.is_empty());
        tier.into_iter().gather_into(&mut kept);
    }
    kept
}

/// The URLs of a list, or the one that a string is, at most `most`; what is empty or no text is passed over.
fn urls(value: Value<'_>, most: usize) -> Vec<String> {
    let mut urls = Vec::new();
    let mut take = |url: Value<'_>| {
        let url = url.text().map_or("", str::trim);
        if !url.is_empty() && urls.len() < most {
            urls.push(String::from(url));
        }
    };
    match value.list() {
        Some(list) => list.for_each(take),
        None => take(value),
    }
    urls
}

/// A string that has a twin which says that it is UTF-8: the twin, if it keeps its word.
fn string<'a>(plain: Option<Value<'a>>, utf8: Option<Value<'a>>) -> Option<&'a [u8]> {
    utf8.and_then(|text| text.text())
        .map(str::as_bytes)
        .or_else(|| plain?.bytes())
}

fn lossy(value: Value<'_>) -> Option<String> {
    value.bytes().map(|bytes| String::from_utf8_lossy(bytes).into_owned())
}

fn unsigned(value: Value<'_>, field: &'static str) -> Result<u64, MetainfoError> {
    let number = value.integer().and_then(|number| u64::try_from(number).ok());
    number.ok_or_else(|| match value.integer_text() {
        Some(text) => MetainfoError::Number(field, text.chars().take(24).collect()),
        None => MetainfoError::Field(field, "a number"),
    })
}

#[cfg(test)]
mod tests;
