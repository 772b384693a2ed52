//! The user's own files as a torrent's bytes: seeded from where they are, never copied.
//!
//! Reading a blob costs a round trip to the browser, so whole chunks are read and the last few kept. Sequential readers find
//! the next chunk read ahead.

use std::collections::VecDeque;

use bytes::Bytes;
use tombolo_core::layout::Range;
use wasm_bindgen::JsValue;

use super::{Plan, Trouble};

/// How much is read at a time, in bytes: large against the cost of one read (about 1 ms), small against memory. A chunk is
/// whole pieces where they are smaller, and one piece where they are larger.
const CHUNK: u64 = 1 << 20;

/// Bytes of chunks that are kept.
const KEPT: u64 = 32 << 20;

/// The files of one torrent, joined.
#[derive(Debug)]
pub(crate) struct Blobs {
    plan: Plan,
    blob: JsValue,
    chunk: u64,
    /// Least recently used first.
    chunks: VecDeque<(u64, Bytes)>,
    /// The chunk that is being read ahead of need.
    ahead: Option<u64>,
    last: u64,
}

impl Blobs {
    /// All files of a torrent as one blob.
    pub(crate) fn new(plan: Plan, blob: JsValue) -> Self {
        let piece = u64::from(plan.layout().nominal_piece_length());
        Self {
            plan,
            blob,
            chunk: (CHUNK / piece).max(1) * piece,
            chunks: VecDeque::new(),
            ahead: None,
            last: 0,
        }
    }

    /// Where the bytes lie.
    pub(crate) const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// All bytes as one blob.
    pub(crate) const fn blob(&self) -> &JsValue {
        &self.blob
    }

    /// Where a chunk begins and ends.
    pub(crate) fn bounds(&self, chunk: u64) -> (u64, u64) {
        let start = chunk * self.chunk;
        (start, (start + self.chunk).min(self.plan.layout().total()))
    }

    /// The bytes of a range, which lies in one chunk since chunks are whole pieces.
    pub(crate) fn read(&mut self, range: Range) -> Result<Bytes, Trouble> {
        let start = self.plan.layout().offset(range.piece) + u64::from(range.begin);
        let index = start / self.chunk;
        let place = self.chunks.iter().position(|(chunk, _)| *chunk == index);
        let found = place
            .and_then(|place| self.chunks.remove(place))
            .ok_or(Trouble::Unread(index))?;
        let from = (start % self.chunk) as usize;
        let bytes = found
            .1
            .slice(from.min(found.1.len())..(from + range.length as usize).min(found.1.len()));
        self.chunks.push_back(found);
        self.last = index;
        Ok(bytes)
    }

    /// The chunk to read ahead: the one after that read last, where the one before that was read too.
    pub(crate) fn read_ahead(&mut self) -> Option<u64> {
        let has = |index: u64| self.chunks.iter().any(|(chunk, _)| *chunk == index);
        let next = self.last + 1;
        let sequential = self.last == 0 || has(self.last - 1);
        if self.ahead.is_some() || !sequential || has(next) || next * self.chunk >= self.plan.layout().total() {
            return None;
        }
        self.ahead = Some(next);
        Some(next)
    }

    /// Takes a chunk that was read.
    pub(crate) fn arrived(&mut self, index: u64, bytes: Bytes) {
        if self.ahead == Some(index) {
            self.ahead = None;
        }
        if self.chunks.iter().any(|(chunk, _)| *chunk == index) {
            return;
        }
        self.chunks.push_back((index, bytes));
        while self.chunks.len() as u64 * self.chunk > KEPT.max(2 * self.chunk) {
            self.chunks.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tombolo_core::layout::Layout;

    fn blobs(total: u64, piece: u64) -> Blobs {
        Blobs::new(Plan::new(Layout::new(total, piece).unwrap(), Vec::new()), JsValue::NULL)
    }

    #[test]
    fn a_chunk_is_whole_pieces() {
        assert_eq!(blobs(10 << 20, 16 << 10).bounds(1), (1 << 20, 2 << 20));
        assert_eq!(blobs(10 << 20, 4 << 20).bounds(2), (8 << 20, 10 << 20));
        assert_eq!(blobs(10 << 20, 300_000).bounds(1), (900_000, 1_800_000));
    }

    #[test]
    fn what_was_read_is_kept_and_the_next_read_ahead() {
        let mut blobs = blobs(4 << 20, 1 << 20);
        let range = |index, begin| Layout::new(4 << 20, 1 << 20).unwrap().range(index, begin, 2).unwrap();
        assert!(matches!(blobs.read(range(0, 5)), Err(Trouble::Unread(0))));
        blobs.arrived(0, Bytes::from(vec![3; 1 << 20]));
        assert_eq!(blobs.read(range(0, 5)).unwrap(), &[3; 2][..]);
        assert_eq!(blobs.read_ahead(), Some(1));
        assert_eq!(blobs.read_ahead(), None, "once");
        blobs.arrived(1, Bytes::from(vec![4; 1 << 20]));
        blobs.arrived(3, Bytes::from(vec![5; 1 << 20]));
        assert_eq!(blobs.read(range(3, 0)).unwrap(), &[5; 2][..]);
        assert_eq!(blobs.read_ahead(), None, "the last has no next");
    }

    #[test]
    fn only_so_much_is_kept() {
        let mut blobs = blobs(100 << 20, 1 << 20);
        (0..40).for_each(|index| blobs.arrived(index, Bytes::from_static(&[0; 16])));
        assert_eq!(blobs.chunks.len(), 32);
        assert_eq!(blobs.chunks.front().map(|chunk| chunk.0), Some(8));
    }
}
