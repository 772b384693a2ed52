//! The playback window: which pieces a player will need, and when.
//!
//! Invariant: pieces are in playing order with deadlines that do not go back. O(pieces of the window) to make.

use crate::gather::Gather;
use crate::layout::{Layout, Piece};
use crate::time::{Span, Time};
use alloc::vec::Vec;
use core::ops::Range;

/// How much of the content is fetched ahead of the playhead. Longer rides out longer stalls, and strays further from
/// rarest first.
pub const AHEAD: Span = Span::from_secs(30);

/// Pieces needed within this time are urgent: only quick links are asked for them, several at once.
pub const HORIZON: Span = Span::from_secs(5);

/// What is fetched ahead at least, in bytes: a player reads so much before the first frame.
pub const AHEAD_BYTES: u64 = 4 << 20;

/// The rate taken where none is known, in bytes per second: a film of 8 Mbit/s.
pub const USUAL_RATE: u64 = 1_000_000;

/// Pieces in a window at most: bounds its cost where pieces are small and the rate is high.
const MOST: usize = 4_096;

/// Where a player is in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Playback {
    /// The file's bytes within the torrent.
    pub file: Range<u64>,
    /// The next byte the player will read, counted from the file's start.
    pub position: u64,
    /// How fast it plays, in bytes per second, if that is known.
    pub rate: Option<u64>,
    /// How long it can play on with what it has read: the next byte is needed only then.
    pub buffered: Span,
}

/// The pieces a player needs next, each with its deadline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    pieces: Vec<(Piece, Time)>,
    horizon: Time,
}

impl Window {
    /// The window of a player that reads on from its position without a pause. It is empty at the end of the file.
    pub fn new(layout: &Layout, playback: &Playback, now: Time) -> Self {
        let rate = playback.rate.unwrap_or(USUAL_RATE).max(1);
        let start = playback.file.start.saturating_add(playback.position);
        let ahead = (rate.saturating_mul(AHEAD.as_micros()) / 1_000_000).max(AHEAD_BYTES);
        let end = start.saturating_add(ahead).min(playback.file.end);
        let deadline = |piece| {
            let before = layout.offset(piece).saturating_sub(start).saturating_mul(1_000_000) / rate;
            now + playback.buffered + Span::from_micros(before)
        };
        Self {
            pieces: layout
                .pieces_of(start, end)
                .take(MOST)
                .map(|piece| (piece, deadline(piece)))
                .gather(),
            horizon: now + HORIZON,
        }
    }

    /// Its pieces in playing order, each with the time by which its first byte is needed.
    pub fn pieces(&self) -> &[(Piece, Time)] {
        &self.pieces
    }

    /// Pieces due up to this moment are urgent.
    pub const fn horizon(&self) -> Time {
        self.horizon
    }

    /// When a piece is needed, if it is in the window.
    pub fn deadline(&self, piece: Piece) -> Option<Time> {
        let at = self.pieces.binary_search_by_key(&piece, |&(piece, _)| piece).ok()?;
        self.pieces.get(at).map(|&(_, deadline)| deadline)
    }

    /// Whether coming here from `old` is a seek and not playing on: the first piece needed is not one that was about to
    /// be.
    pub fn is_seek_from(&self, old: &Self) -> bool {
        let first = self.pieces.first();
        first.is_some_and(|&(piece, _)| old.deadline(piece).is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    const MIB: u64 = 1 << 20;

    fn layout() -> Layout {
        Layout::new(200 * MIB, MIB).unwrap()
    }

    fn window(position: u64, rate: Option<u64>) -> Window {
        let file = 10 * MIB + 5..110 * MIB;
        Window::new(&layout(), &playback(file, position, rate), Time::from_micros(7))
    }

    fn playback(file: Range<u64>, position: u64, rate: Option<u64>) -> Playback {
        let buffered = Span::from_micros(0);
        Playback {
            file,
            position,
            rate,
            buffered,
        }
    }

    #[test]
    fn what_the_player_has_read_is_time_won() {
        let buffered = Span::from_secs(4);
        let playback = Playback {
            buffered,
            ..playback(0..9 * MIB, 0, Some(MIB))
        };
        let window = Window::new(&layout(), &playback, Time::from_micros(7));
        assert_eq!(
            window.pieces().first().map(|first| first.1),
            Some(Time::from_micros(4_000_007))
        );
    }

    #[test]
    fn deadlines_follow_the_rate() {
        let window = window(0, Some(MIB));
        let numbers: Vec<_> = window.pieces().iter().map(|(piece, _)| piece.number()).collect();
        assert_eq!(numbers, (10..=40).collect::<Vec<_>>());
        let piece = |number| layout().piece(number).unwrap();
        assert_eq!(window.deadline(piece(10)), Some(Time::from_micros(7)));
        assert_eq!(window.deadline(piece(12)), Some(Time::from_micros(7 + 2_000_000 - 5)));
        assert_eq!(window.deadline(piece(41)), None);
        assert_eq!(window.horizon(), Time::from_micros(5_000_007));
    }

    #[test]
    fn the_window_ends_with_the_file_and_has_a_least_size() {
        let last = |window: Window| window.pieces().last().map(|(piece, _)| piece.number());
        assert_eq!(last(window(0, Some(1))), Some(14), "4 MiB from the middle of piece 10");
        assert_eq!(last(window(90 * MIB, None)), Some(109));
        assert_eq!(last(window(100 * MIB, None)), None);
        assert_eq!(last(window(u64::MAX, Some(u64::MAX))), None);
    }

    #[test]
    fn playing_on_is_no_seek() {
        let (start, on, far) = (window(0, None), window(3 * MIB, None), window(70 * MIB, None));
        assert!(!on.is_seek_from(&start) && far.is_seek_from(&start) && start.is_seek_from(&on));
        assert_eq!(
            start.pieces().iter().map(|(piece, _)| *piece).collect::<Vec<_>>()[..1],
            vec![layout().piece(10).unwrap()]
        );
    }
}
