//! The user's own files as a torrent's bytes: seeded from where they are, never copied.
//!
//! Reading a blob costs a round trip to the browser, so whole chunks are read, many at a time, and the last few kept. Peers
//! ask in no order worth guessing, but for many blocks ahead: what they asked for is read while earlier chunks are sent.

use bytes::Bytes;
use tombolo_core::layout::Range;
use wasm_bindgen::JsValue;

use super::{Plan, Trouble};

/// How much is read at a time, in bytes: one piece, or several where they are smaller than this. Peers pick pieces at random, so
/// more would mostly be read in vain.
const CHUNK: u64 = 64 << 10;

/// Bytes of chunks that are kept: what a few peers ask for ahead.
const KEPT: u64 = 32 << 20;

/// The files of one torrent, joined.
#[derive(Debug)]
pub(crate) struct Blobs {
    plan: Plan,
    blob: JsValue,
    chunk: u64,
    /// Least recently used first.
    chunks: Vec<(u64, Bytes)>,
}

impl Blobs {
    /// All files of a torrent as one blob.
    pub(crate) fn new(plan: Plan, blob: JsValue) -> Self {
        let piece = u64::from(plan.layout().nominal_piece_length());
        Self {
            plan,
            blob,
            chunk: (CHUNK / piece).max(1) * piece,
            chunks: Vec::new(),
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
        (start, (start + self.chunk).min(self.plan.layout().end()))
    }

    /// The bytes of a range, which lies in one chunk since chunks are whole pieces.
    pub(crate) fn read(&mut self, range: Range) -> Result<Bytes, Trouble> {
        let start = self.plan.layout().offset(range.piece) + u64::from(range.begin);
        let index = start / self.chunk;
        let place = self.chunks.iter().position(|(chunk, _)| *chunk == index);
        let found = place
            .map(|place| self.chunks.remove(place))
            .ok_or(Trouble::Unread(index))?;
        let from = (start % self.chunk) as usize;
        let end = (from + range.length as usize).min(found.1.len());
        let bytes = found.1.slice(from.min(end)..end);
        self.chunks.push(found);
        Ok(bytes)
    }

    /// Takes a chunk that was read.
    pub(crate) fn arrived(&mut self, index: u64, bytes: Bytes) {
        self.chunks.push((index, bytes));
        while self.chunks.len() as u64 * self.chunk > KEPT.max(2 * self.chunk) {
            self.chunks.remove(0);
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
        assert_eq!(blobs(10 << 20, 16 << 10).bounds(1), (64 << 10, 128 << 10));
        assert_eq!(blobs(10 << 20, 4 << 20).bounds(2), (8 << 20, 10 << 20));
        assert_eq!(blobs(10 << 20, 30_000).bounds(1), (60_000, 120_000));
    }

    #[test]
    fn what_was_read_is_kept() {
        let mut blobs = blobs(4 << 20, 1 << 20);
        let range = |index, begin| Layout::new(4 << 20, 1 << 20).unwrap().range(index, begin, 2).unwrap();
        assert!(matches!(blobs.read(range(0, 5)), Err(Trouble::Unread(0))));
        blobs.arrived(0, Bytes::from(vec![3; 1 << 20]));
        blobs.arrived(3, Bytes::from(vec![5; 1 << 20]));
        assert_eq!(blobs.read(range(0, 5)).unwrap(), &[3; 2][..]);
        assert_eq!(blobs.read(range(3, 0)).unwrap(), &[5; 2][..]);
    }

    #[test]
    fn only_so_much_is_kept() {
        let mut blobs = blobs(100 << 20, 1 << 20);
        (0..40).for_each(|index| blobs.arrived(index, Bytes::from_static(&[0; 16])));
        assert_eq!(blobs.chunks.len(), 32);
        assert_eq!(blobs.chunks.first().map(|chunk| chunk.0), Some(8));
    }
}
