//! How a torrent's bytes are cut into pieces and blocks: all geometry, and the only place where an index is made valid.
//!
//! A [`Piece`] is made by a [`Layout`] alone, so holding one means that it exists in that torrent. v2 torrents (BEP 52) align
//! files to pieces: what is left of a piece past a file's end is a gap, which is in no file and is never asked for. Where v1 fills the
//! gap with a pad file (BEP 47), peers may ask for its zeros. Cost: a look-up in the list of short pieces, O(log files), where there is one.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::ops;

/// The size of a block, in bytes: what one REQUEST asks for. Every client uses 16 KiB and many refuse more (BEP 3).
pub const BLOCK: u32 = 16 * 1024;

/// The largest number of pieces accepted: a bitfield of it still fits in the largest message we read (see `wire::frame`).
pub const MAX_PIECES: u32 = 1 << 21;

/// The longest piece accepted, in bytes.
pub const MAX_PIECE_LENGTH: u32 = 1 << 29;

/// The index of a piece that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Piece(u32);

/// The place of a block in a torrent: a piece and the number of the block in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Block {
    /// The piece it is part of.
    pub piece: Piece,
    /// Its number within the piece, from 0.
    pub number: u32,
}

/// A run of bytes within one piece, as REQUEST, PIECE and CANCEL name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Range {
    /// The piece it is part of.
    pub piece: Piece,
    /// Its first byte within the piece.
    pub begin: u32,
    /// Its length in bytes, at least 1.
    pub length: u32,
}

/// The geometry of one torrent. Invariant: `total > 0`, `0 < piece_length <= MAX_PIECE_LENGTH`, `pieces <= MAX_PIECES`, and no
/// piece is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The bytes of all pieces, without gaps.
    total: u64,
    /// The end of the last piece, a gap behind it included.
    end: u64,
    piece_length: u32,
    pieces: u32,
    /// Pieces with a gap, ascending, and the bytes each has before it.
    short: Arc<[(u32, u32)]>,
    /// Whether the gaps are pad files of v1: zeros that count as part of the piece.
    padded: bool,
}

/// Why a geometry was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayoutError {
    /// There is not one byte in it.
    Empty,
    /// The piece length is 0 or over [`MAX_PIECE_LENGTH`].
    PieceLength(u64),
    /// There would be more than [`MAX_PIECES`] pieces.
    TooManyPieces(u64),
}

impl fmt::Display for LayoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the torrent has no content"),
            Self::PieceLength(length) => {
                write!(f, "a piece length of {length} is not between 1 and {MAX_PIECE_LENGTH}")
            }
            Self::TooManyPieces(pieces) => write!(f, "{pieces} pieces are more than {MAX_PIECES}"),
        }
    }
}

impl core::error::Error for LayoutError {}

impl Piece {
    /// Its index, from 0.
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// Its index as the wire carries it.
    pub const fn number(self) -> u32 {
        self.0
    }
}

impl Layout {
    /// The layout of `total` bytes in pieces of `piece_length` bytes, the last one as long as what is left.
    pub fn new(total: u64, piece_length: u64) -> Result<Self, LayoutError> {
        let length = u32::try_from(piece_length)
            .ok()
            .filter(|length| (1..=MAX_PIECE_LENGTH).contains(length));
        let length = length.ok_or(LayoutError::PieceLength(piece_length))?;
        if total == 0 {
            return Err(LayoutError::Empty);
        }
        let pieces = total.div_ceil(u64::from(length));
        match u32::try_from(pieces) {
            Ok(pieces) if pieces <= MAX_PIECES => Ok(Self {
                total,
                end: total,
                piece_length: length,
                pieces,
                short: Arc::default(),
                padded: false,
            }),
            _ => Err(LayoutError::TooManyPieces(pieces)),
        }
    }

    /// The same with gaps, in order. One that does not fill up a piece, or is all of one, is none: those bytes are content.
    /// `padded`: they are pad files of v1.
    pub fn with_gaps(mut self, gaps: impl Iterator<Item = ops::Range<u64>>, padded: bool) -> Self {
        let mut short: Vec<(u32, u32)> = Vec::new();
        for gap in gaps {
            let Some(index) = u32::try_from(gap.start / u64::from(self.piece_length)).ok() else {
                break;
            };
            let Some(piece) = self.piece(index) else { continue };
            let length = (gap.start - self.offset(piece)) as u32;
            let fresh = short.last().is_none_or(|&(last, _)| last < index);
            if fresh && length > 0 && gap.start < gap.end && gap.end >= self.offset(piece) + self.padded_length(piece) {
                self.total -= self.padded_length(piece) - u64::from(length);
                short.push((index, length));
            }
        }
        self.padded = padded && !short.is_empty();
        self.short = short.into();
        self
    }

    /// All bytes of all pieces, without gaps.
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// The byte after the last, gaps counted.
    pub const fn end(&self) -> u64 {
        self.end
    }

    /// The length of every piece but the last, in bytes.
    pub const fn nominal_piece_length(&self) -> u32 {
        self.piece_length
    }

    /// How many pieces there are.
    pub const fn pieces(&self) -> usize {
        self.pieces as usize
    }

    /// The piece of that index, if there is one.
    pub const fn piece(&self, index: u32) -> Option<Piece> {
        if index < self.pieces { Some(Piece(index)) } else { None }
    }

    /// Every piece, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Piece> + ExactSizeIterator + use<> {
        (0..self.pieces).map(Piece)
    }

    /// The pieces that overlap the bytes `start..end` of the torrent.
    pub fn pieces_of(&self, start: u64, end: u64) -> impl DoubleEndedIterator<Item = Piece> + use<> {
        let end = end.min(self.end);
        let length = u64::from(self.piece_length);
        let range = if start < end {
            (start / length) as u32..end.div_ceil(length) as u32
        } else {
            0..0
        };
        range.map(Piece)
    }

    /// Where a piece begins in the torrent, in bytes.
    pub const fn offset(&self, piece: Piece) -> u64 {
        piece.0 as u64 * self.piece_length as u64
    }

    /// The length of a piece without its gap, in bytes: at least 1.
    pub fn piece_length(&self, piece: Piece) -> u32 {
        match self.short.binary_search_by_key(&piece.0, |&(piece, _)| piece) {
            Ok(at) => self.short[at].1,
            // At most the nominal length, so it fits.
            Err(_) => self.padded_length(piece) as u32,
        }
    }

    /// The zeros that follow a piece's bytes in v1, where they are part of it (BEP 47).
    pub fn padding(&self, piece: Piece) -> u32 {
        if self.padded {
            self.padded_length(piece) as u32 - self.piece_length(piece)
        } else {
            0
        }
    }

    fn padded_length(&self, piece: Piece) -> u64 {
        (self.end - self.offset(piece)).min(u64::from(self.piece_length))
    }

    /// How many blocks a piece has.
    pub fn blocks(&self, piece: Piece) -> u32 {
        self.piece_length(piece).div_ceil(BLOCK)
    }

    /// The bytes of a block.
    pub fn block_range(&self, block: Block) -> Range {
        let begin = block.number * BLOCK;
        Range {
            piece: block.piece,
            begin,
            length: (self.piece_length(block.piece) - begin).min(BLOCK),
        }
    }

    /// The block that is exactly these bytes, if one is: what an answer to one of our own requests must be.
    pub fn block_of(&self, range: Range) -> Option<Block> {
        let block = Block {
            piece: range.piece,
            number: range.begin / BLOCK,
        };
        (block.number < self.blocks(range.piece) && self.block_range(block) == range).then_some(block)
    }

    /// The range that a REQUEST names, if it lies within its piece and is not empty. Padding is part of the piece.
    pub fn range(&self, index: u32, begin: u32, length: u32) -> Option<Range> {
        let piece = self.piece(index)?;
        let end = begin.checked_add(length)?;
        let limit = self.piece_length(piece) + self.padding(piece);
        (length > 0 && end <= limit).then_some(Range { piece, begin, length })
    }

    /// The part of a range that is no padding.
    pub fn without_padding(&self, range: Range) -> Option<Range> {
        let rest = self.piece_length(range.piece).saturating_sub(range.begin);
        let length = range.length.min(rest);
        (length > 0).then_some(Range { length, ..range })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_piece_and_the_last_block_are_short() {
        let layout = Layout::new(100_000, 32_768).unwrap();
        assert_eq!(layout.pieces(), 4);
        let last = layout.piece(3).unwrap();
        assert_eq!(layout.piece_length(last), 100_000 - 3 * 32_768);
        assert_eq!(layout.blocks(last), 1);
        assert_eq!(layout.piece(4), None);
        let first = layout.piece(0).unwrap();
        assert_eq!(
            layout.block_range(Block {
                piece: first,
                number: 1
            }),
            Range {
                piece: first,
                begin: BLOCK,
                length: BLOCK
            }
        );
    }

    #[test]
    fn a_range_outside_its_piece_is_none() {
        let layout = Layout::new(40_000, 32_768).unwrap();
        assert!(layout.range(1, 0, 7_232).is_some());
        for (index, begin, length) in [(1, 0, 7_233), (0, 32_768, 1), (0, 5, 0), (2, 0, 1), (0, u32::MAX, 2)] {
            assert_eq!(layout.range(index, begin, length), None, "{index} {begin} {length}");
        }
    }

    #[test]
    fn only_our_own_cut_is_a_block() {
        let layout = Layout::new(40_000, 32_768).unwrap();
        let tail = layout.range(1, 0, 7_232).unwrap();
        assert_eq!(
            layout.block_of(tail),
            Some(Block {
                piece: tail.piece,
                number: 0
            })
        );
        assert_eq!(layout.block_of(layout.range(0, 0, BLOCK - 1).unwrap()), None);
        assert_eq!(layout.block_of(layout.range(0, 1, BLOCK).unwrap()), None);
    }

    #[test]
    fn gaps_shorten_pieces_and_padding_may_be_asked_for() {
        let gaps = || [10_000..32_768, 40_000..65_536, 70_000..80_000, 98_304..131_072].into_iter();
        let layout = |padded| Layout::new(131_072, 32_768).unwrap().with_gaps(gaps(), padded);
        let (v2, hybrid) = (layout(false), layout(true));
        let lengths = |layout: &Layout| {
            layout
                .iter()
                .map(|piece| layout.piece_length(piece))
                .collect::<Vec<_>>()
        };
        // The third gap ends within its piece, the fourth would leave nothing of it.
        assert_eq!(lengths(&v2), [10_000, 7_232, 32_768, 32_768]);
        assert_eq!((v2.total(), v2.end()), (82_768, 131_072));
        assert_eq!(lengths(&hybrid), lengths(&v2));
        let first = v2.piece(0).unwrap();
        assert_eq!((v2.padding(first), hybrid.padding(first)), (0, 22_768));
        assert_eq!((v2.blocks(first), hybrid.blocks(first)), (1, 1));
        assert_eq!(v2.range(0, 0, BLOCK), None);
        let asked = hybrid.range(0, 0, BLOCK).unwrap();
        assert_eq!(hybrid.block_of(asked), None, "we ask for no padding ourselves");
        assert_eq!(hybrid.without_padding(asked), hybrid.range(0, 0, 10_000));
        assert_eq!(hybrid.without_padding(hybrid.range(0, BLOCK, BLOCK).unwrap()), None);
        assert_eq!(hybrid.range(0, BLOCK, BLOCK + 1), None);
    }

    #[test]
    fn absurd_geometry_is_refused() {
        assert_eq!(Layout::new(0, 1), Err(LayoutError::Empty));
        assert_eq!(Layout::new(1, 0), Err(LayoutError::PieceLength(0)));
        assert_eq!(Layout::new(1, 1 << 40), Err(LayoutError::PieceLength(1 << 40)));
        assert_eq!(Layout::new(1 << 31, 1), Err(LayoutError::TooManyPieces(1 << 31)));
    }

    #[test]
    fn pieces_of_a_byte_range() {
        let layout = Layout::new(100, 10).unwrap();
        let numbers = |start, end| {
            layout
                .pieces_of(start, end)
                .map(Piece::number)
                .collect::<alloc::vec::Vec<_>>()
        };
        assert_eq!(numbers(9, 11), [0, 1]);
        assert_eq!(numbers(10, 20), [1]);
        assert_eq!(numbers(95, 500), [9]);
        assert!(numbers(5, 5).is_empty());
    }
}
