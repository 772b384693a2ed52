//! Why a .torrent is refused.

use super::{MAX_FILES, MAX_METAINFO, MAX_PATH, MAX_PATHS};
use crate::bencode::BencodeError;
use crate::layout::LayoutError;
use alloc::string::String;
use core::fmt;

/// Why bytes are not the metainfo of a torrent. Files are counted from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetainfoError {
    /// Longer than [`MAX_METAINFO`].
    TooLarge {
        /// Its length in bytes.
        received: usize,
    },
    /// Not bencoded.
    Bencode(BencodeError),
    /// Bencoded, but no dictionary.
    NoDictionary,
    /// This field is missing.
    Missing(&'static str),
    /// This field is not what it should be.
    Field(&'static str, &'static str),
    /// This field is a number that is negative or too large; its text.
    Number(&'static str, String),
    /// It has both `length` and `files`: two readers could disagree about its content.
    LengthAndFiles,
    /// More than [`MAX_FILES`] files.
    TooManyFiles,
    /// All paths together have more than [`MAX_PATHS`] bytes.
    Paths,
    /// A file without a path.
    NoPath {
        /// Which.
        file: usize,
    },
    /// A file whose path is longer than [`MAX_PATH`].
    Path {
        /// Which.
        file: usize,
    },
    /// The lengths of the files come to more than 2^63 - 1 bytes.
    Overflow {
        /// The file that goes past it.
        file: usize,
    },
    /// The geometry is absurd.
    Layout(LayoutError),
    /// `pieces` is no whole number of hashes.
    PiecesLength {
        /// Its length in bytes.
        received: usize,
    },
    /// `pieces` has not one hash for each piece.
    PieceCount {
        /// How many pieces the files have.
        expected: usize,
        /// How many hashes there are.
        received: usize,
    },
    /// The piece length of a v2 torrent is no power of two from 16 KiB.
    PieceLengthV2(u64),
    /// A file of a v2 torrent lacks its root of 32 bytes.
    PiecesRoot {
        /// Which.
        file: usize,
    },
    /// `piece layers` has no layer, or a wrong one, for the file that begins with this piece, or one for no file.
    PieceLayer {
        /// The piece.
        piece: u32,
    },
    /// The files of a hybrid are not the same in v1 and v2, or not aligned to pieces.
    Hybrid {
        /// The first that differs, pad files not counted.
        file: usize,
    },
}

impl MetainfoError {
    /// A short name of the kind of refusal, for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "too-large",
            Self::Bencode(_) => "bad-bencode",
            _ => "bad-metainfo",
        }
    }
}

impl fmt::Display for MetainfoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { received } => write!(f, "{received} bytes are more than {MAX_METAINFO}"),
            Self::Bencode(error) => error.fmt(f),
            Self::NoDictionary => f.write_str("it is not a dictionary"),
            Self::Missing(field) => write!(f, "'{field}' is missing"),
            Self::Field(field, expected) => write!(f, "'{field}' is not {expected}"),
            Self::Number(field, text) => write!(f, "'{field}' is {text}, which is out of range"),
            Self::LengthAndFiles => f.write_str("it has both 'length' and 'files'"),
            Self::TooManyFiles => write!(f, "it has more than {MAX_FILES} files"),
            Self::Paths => write!(f, "the paths of its files come to more than {MAX_PATHS} bytes"),
            Self::NoPath { file } => write!(f, "file {file} has no path"),
            Self::Path { file } => write!(f, "the path of file {file} is longer than {MAX_PATH} bytes"),
            Self::Overflow { file } => write!(f, "with file {file} its length is over 2^63 - 1 bytes"),
            Self::Layout(error) => error.fmt(f),
            Self::PiecesLength { received } => {
                write!(f, "'pieces' has {received} bytes, which is no multiple of 20")
            }
            Self::PieceCount { expected, received } => {
                write!(f, "'pieces' has {received} hashes for {expected} pieces")
            }
            Self::PieceLengthV2(length) => {
                write!(f, "a v2 piece length of {length} is not a power of two from 16384")
            }
            Self::PiecesRoot { file } => write!(f, "file {file} has no 'pieces root' of 32 bytes"),
            Self::PieceLayer { piece } => write!(
                f,
                "'piece layers' does not have the hashes of piece {piece} and those after it"
            ),
            Self::Hybrid { file } => write!(f, "file {file} is not the same in v1 and v2"),
        }
    }
}

impl core::error::Error for MetainfoError {}
