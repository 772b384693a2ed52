//! What was read from storage for uploads: a small cache of spans, so that the sixteen requests that follow each other into one
//! span cost one read.

use alloc::vec::Vec;

use crate::gather::Gather;
use crate::layout::{Layout, Piece, Range};
use crate::map::Map;
use crate::slices::Slices;
use crate::time::Time;

/// Bytes that one read asks storage for. Larger reads cost fewer jobs but hold more memory for a peer that asks at random.
const SPAN: u32 = 256 * 1024;

/// Bytes of spans that one torrent keeps.
const LIMIT: usize = 8 << 20;

/// The spans of one torrent.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    spans: Map<(Piece, u32), Span>,
    bytes: usize,
}

#[derive(Debug)]
enum Span {
    Loading,
    Ready(Slices, Time),
}

/// What the cache says of a range.
#[derive(Debug, PartialEq)]
pub(crate) enum Lookup {
    /// These are its bytes.
    Ready(Slices),
    /// It is being read.
    Loading,
    /// These spans must be read for it; they count as loading from now on.
    Load(Vec<Range>),
}

impl Reads {
    /// Looks a range up. O(log spans) for a request that does not cross spans.
    pub(crate) fn look_up(&mut self, range: Range, layout: &Layout, now: Time) -> Lookup {
        let (first, last) = (range.begin / SPAN, (range.begin + range.length - 1) / SPAN);
        let mut missing = Vec::new();
        let mut data = Slices::new();
        let mut whole = true;
        for number in first..=last {
            match self.spans.get_mut(&(range.piece, number)) {
                Some(Span::Ready(span, used)) => {
                    *used = now;
                    let start = number * SPAN;
                    let from = range.begin.max(start) - start;
                    let to = (range.begin + range.length).min(start.saturating_add(SPAN)) - start;
                    data.extend(span.slice(from as usize..to as usize));
                }
                Some(Span::Loading) => whole = false,
                None => {
                    self.spans.insert((range.piece, number), Span::Loading);
                    missing.push(span_range(range.piece, number, layout));
                    whole = false;
                }
            }
        }
        match (whole, missing.is_empty()) {
            (true, _) => Lookup::Ready(data),
            (false, true) => Lookup::Loading,
            (false, false) => Lookup::Load(missing),
        }
    }

    /// Storage gave a span. One of the wrong length is as good as none.
    pub(crate) fn loaded(&mut self, range: Range, data: Slices, now: Time) {
        let key = (range.piece, range.begin / SPAN);
        if data.len() != range.length as usize {
            self.spans.remove(&key);
            return;
        }
        self.bytes += data.len();
        if let Some(Span::Ready(old, _)) = self.spans.insert(key, Span::Ready(data, now)) {
            self.bytes -= old.len();
        }
        while self.bytes > LIMIT && self.drop_oldest(key) {}
    }

    /// A piece has just been verified: keeps it as if it had been read.
    pub(crate) fn keep_piece(&mut self, piece: Piece, data: &Slices, layout: &Layout, now: Time) {
        for number in 0..layout.piece_length(piece).div_ceil(SPAN) {
            let range = span_range(piece, number, layout);
            self.loaded(
                range,
                data.slice(range.begin as usize..(range.begin + range.length) as usize),
                now,
            );
        }
    }

    /// Storage failed to give a span.
    pub(crate) fn failed(&mut self, range: Range) {
        self.spans.remove(&(range.piece, range.begin / SPAN));
    }

    /// The piece is no longer held.
    pub(crate) fn forget(&mut self, piece: Piece) {
        let of_piece = self.spans.from(&(piece, 0)).take_while(|((of, _), _)| *of == piece);
        let spans: Vec<_> = of_piece.map(|(key, _)| *key).gather();
        for key in spans {
            self.remove(key);
        }
    }

    fn drop_oldest(&mut self, but: (Piece, u32)) -> bool {
        let used = |(key, span): (&(Piece, u32), &Span)| match span {
            Span::Ready(_, used) if *key != but => Some((*used, *key)),
            _ => None,
        };
        let Some((_, key)) = self.spans.iter().filter_map(used).min() else {
            return false;
        };
        self.remove(key);
        true
    }

    fn remove(&mut self, key: (Piece, u32)) {
        if let Some(Span::Ready(data, _)) = self.spans.remove(&key) {
            self.bytes -= data.len();
        }
    }
}

fn span_range(piece: Piece, number: u32, layout: &Layout) -> Range {
    let begin = number * SPAN;
    Range {
        piece,
        begin,
        length: (layout.piece_length(piece) - begin).min(SPAN),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn layout() -> Layout {
        Layout::new(64 << 20, 1 << 20).unwrap()
    }

    fn zeros(range: Range) -> Slices {
        Bytes::from(alloc::vec![0; range.length as usize]).into()
    }

    #[test]
    fn neighbours_share_one_read() {
        let (mut reads, layout) = (Reads::default(), layout());
        let Lookup::Load(spans) = reads.look_up(layout.range(0, 0, 16_384).unwrap(), &layout, Time::ZERO) else {
            panic!()
        };
        assert_eq!(spans, [layout.range(0, 0, SPAN).unwrap()]);
        let next = layout.range(0, 16_384, 16_384).unwrap();
        assert_eq!(reads.look_up(next, &layout, Time::ZERO), Lookup::Loading);
        reads.loaded(spans[0], zeros(spans[0]), Time::ZERO);
        assert!(matches!(reads.look_up(next, &layout, Time::ZERO), Lookup::Ready(data) if data.len() == 16_384));
    }

    #[test]
    fn a_request_across_spans_waits_for_both() {
        let (mut reads, layout) = (Reads::default(), layout());
        let range = layout.range(3, SPAN - 10, 20).unwrap();
        let Lookup::Load(spans) = reads.look_up(range, &layout, Time::ZERO) else {
            panic!()
        };
        assert_eq!(spans.len(), 2);
        reads.loaded(spans[1], zeros(spans[1]), Time::ZERO);
        assert_eq!(reads.look_up(range, &layout, Time::ZERO), Lookup::Loading);
        reads.loaded(spans[0], zeros(spans[0]), Time::ZERO);
        assert!(matches!(reads.look_up(range, &layout, Time::ZERO), Lookup::Ready(data) if data.len() == 20));
    }

    #[test]
    fn the_cache_stays_within_its_limit_and_forgets_the_oldest() {
        let (mut reads, layout) = (Reads::default(), layout());
        for piece in 0..40 {
            let range = layout.range(piece, 0, SPAN).unwrap();
            let _ = reads.look_up(range, &layout, Time::from_micros(piece.into()));
            reads.loaded(range, zeros(range), Time::from_micros(piece.into()));
            assert!(reads.bytes <= LIMIT);
        }
        assert!(matches!(
            reads.look_up(layout.range(39, 0, 1).unwrap(), &layout, Time::ZERO),
            Lookup::Ready(_)
        ));
        assert!(matches!(
            reads.look_up(layout.range(0, 0, 1).unwrap(), &layout, Time::ZERO),
            Lookup::Load(_)
        ));
        reads.forget(layout.piece(39).unwrap());
        assert!(matches!(
            reads.look_up(layout.range(39, 0, 1).unwrap(), &layout, Time::ZERO),
            Lookup::Load(_)
        ));
    }
}
