//! The receiving half of a connection: packets in any order in, a stream of bytes out.
//!
//! Invariants: bytes come out in order and once; what is held never exceeds the capacity, twice where a
//! peer leaves a gap for long. Bytes are copied
//! once, from the datagram into chunks of 64 KiB, so that neither a datagram's buffer is kept nor the reader called for each packet; those
//! after a gap twice. Cost: O(1) a packet.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use bytes::{Bytes, BytesMut};

use super::packet::Sequence;

/// The size of a chunk.
const CHUNK: usize = 64 << 10;

/// How far after a gap packets are kept, in packets. More than the window has at any usual size of packets.
const MAX_AHEAD: u16 = 4_096;

/// The longest mask of selective acknowledgements, in bytes: 512 packets. What lies after is told when the gap has closed.
const MAX_MASK: usize = 64;

/// The receiving half.
#[derive(Debug)]
pub(super) struct Receiver {
    /// The last packet received in order.
    pub(super) ack: Sequence,
    /// Packets after the gap: the first is `ack + 1`, which is missing.
    ahead: VecDeque<Option<Bytes>>,
    ahead_bytes: usize,
    /// What is in order: whole chunks, and the one being filled.
    chunks: VecDeque<BytesMut>,
    filling: BytesMut,
    ready: usize,
    /// The number of the packet that ends the stream.
    end: Option<Sequence>,
    capacity: usize,
}

/// What a packet did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// The stream has gone on.
    Advanced,
    /// It is kept until the gap before it closes.
    Ahead,
    /// It was here before, or there is no room for it.
    Nothing,
}

impl Receiver {
    pub(super) fn new(ack: Sequence, capacity: usize) -> Self {
        Self {
            ack,
            ahead: VecDeque::new(),
            ahead_bytes: 0,
            chunks: VecDeque::new(),
            filling: BytesMut::new(),
            ready: 0,
            end: None,
            capacity,
        }
    }

    /// Takes a packet with bytes.
    pub(super) fn data(&mut self, sequence: Sequence, payload: &[u8]) -> Taken {
        let place = sequence.since(self.ack.plus(1));
        let after_end = self.end.is_some_and(|end| sequence.since(end) < u16::MAX / 2);
        // What closes the gap is taken however much waits behind it: nothing else makes room again.
        let held = if place == 0 { self.ready } else { self.held() };
        if place >= MAX_AHEAD || after_end || held + payload.len() > self.capacity {
            return Taken::Nothing;
        }
        if place == 0 {
            self.append(payload);
            self.ack = sequence;
            self.ahead.pop_front();
            self.close_gap();
            return Taken::Advanced;
        }
        let place = usize::from(place);
        if self.ahead.len() <= place {
            self.ahead.resize(place + 1, None);
        }
        match self.ahead.get_mut(place) {
            Some(slot @ None) => {
                *slot = Some(Bytes::copy_from_slice(payload));
                self.ahead_bytes += payload.len();
                Taken::Ahead
            }
            _ => Taken::Nothing,
        }
    }

    /// Takes the packet that ends the stream.
    pub(super) fn fin(&mut self, sequence: Sequence) {
        // The first one counts, and never one before what is here.
        if self.end.is_none() && sequence.since(self.ack.plus(1)) < MAX_AHEAD {
            self.end = Some(sequence);
            self.close_gap();
        }
    }

    fn close_gap(&mut self) {
        while let Some(Some(_)) = self.ahead.front() {
            if let Some(Some(payload)) = self.ahead.pop_front() {
                self.ahead_bytes -= payload.len();
                self.append(&payload);
                self.ack = self.ack.plus(1);
            }
        }
        if self.end == Some(self.ack.plus(1)) {
            self.ack = self.ack.plus(1);
        }
    }

    fn append(&mut self, payload: &[u8]) {
        self.ready += payload.len();
        if self.filling.capacity() - self.filling.len() < payload.len() {
            let full = core::mem::take(&mut self.filling);
            if !full.is_empty() {
                self.chunks.push_back(full);
            }
            // A connection that says little takes little.
            let first = self.chunks.is_empty() && self.ready <= payload.len();
            let size = if first { 4 << 10 } else { CHUNK };
            self.filling = BytesMut::with_capacity(size.max(payload.len()));
        }
        self.filling.extend_from_slice(payload);
    }

    /// The next bytes of the stream; `None` when none are here.
    pub(super) fn read(&mut self) -> Option<BytesMut> {
        let chunk = match self.chunks.pop_front() {
            Some(chunk) => chunk,
            None if self.filling.is_empty() => return None,
            None => self.filling.split(),
        };
        self.ready -= chunk.len();
        Some(chunk)
    }

    /// Whether bytes wait to be read.
    pub(super) const fn is_readable(&self) -> bool {
        self.ready > 0
    }

    /// Whether the stream has ended and all of it is here.
    pub(super) fn is_ended(&self) -> bool {
        self.end == Some(self.ack)
    }

    /// Whether packets are missing.
    pub(super) fn has_gap(&self) -> bool {
        !self.ahead.is_empty()
    }

    /// Bytes that are held.
    pub(super) const fn held(&self) -> usize {
        self.ready + self.ahead_bytes
    }

    /// Bytes that there is room for.
    pub(super) const fn room(&self) -> usize {
        self.capacity.saturating_sub(self.held())
    }

    /// Forgets what was not read: nobody reads any more.
    pub(super) fn discard(&mut self) {
        self.chunks.clear();
        self.filling.clear();
        self.ready = 0;
    }

    /// The mask of packets after the gap, empty without one.
    pub(super) fn mask(&self) -> Vec<u8> {
        // The first of `ahead` is `ack + 1`, the mask begins with `ack + 2`.
        let bits = self.ahead.len().saturating_sub(1).min(8 * MAX_MASK);
        let mut mask = alloc::vec![0; bits.div_ceil(32) * 4];
        for (bit, _) in self
            .ahead
            .iter()
            .skip(1)
            .take(bits)
            .enumerate()
            .filter(|(_, slot)| slot.is_some())
        {
            mask[bit / 8] |= 1 << (bit % 8);
        }
        mask
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    fn drain(receiver: &mut Receiver) -> Vec<u8> {
        core::iter::from_fn(|| receiver.read()).flatten().collect()
    }

    #[test]
    fn any_order_gives_the_same_stream() {
        for seed in 0..50 {
            let mut rng = Rng::new(seed);
            let first = Sequence(65_500);
            let mut receiver = Receiver::new(first.previous(), 1 << 20);
            let mut order: Vec<u16> = (0..100).chain(0..50).collect();
            rng.shuffle(&mut order);
            receiver.fin(first.plus(100));
            for n in order {
                let _ = receiver.data(first.plus(n), &[n as u8; 7]);
            }
            assert!(receiver.is_ended() && !receiver.has_gap());
            let expected: Vec<u8> = (0..100_u8).flat_map(|n| [n; 7]).collect();
            assert_eq!(drain(&mut receiver), expected, "seed {seed}");
            assert_eq!(receiver.held(), 0);
        }
    }

    #[test]
    fn the_mask_shows_what_is_after_the_gap() {
        let mut receiver = Receiver::new(Sequence(9), 1 << 20);
        assert!(receiver.mask().is_empty());
        assert_eq!(receiver.data(Sequence(11), b"b"), Taken::Ahead);
        assert_eq!(receiver.data(Sequence(11), b"b"), Taken::Nothing);
        assert_eq!(receiver.data(Sequence(44), b"c"), Taken::Ahead);
        assert_eq!(receiver.mask(), [1, 0, 0, 0, 2, 0, 0, 0]);
        assert_eq!(receiver.data(Sequence(10), b"a"), Taken::Advanced);
        assert_eq!((receiver.ack, receiver.has_gap()), (Sequence(11), true));
        assert_eq!(drain(&mut receiver), b"ab");
    }

    #[test]
    fn it_never_holds_more_than_its_capacity() {
        let mut receiver = Receiver::new(Sequence(0), 1_000);
        assert_eq!(receiver.data(Sequence(5_000), b"far"), Taken::Nothing);
        for n in 2..40 {
            let _ = receiver.data(Sequence(n), &[1; 100]);
            assert!(receiver.held() <= 1_000);
        }
        assert_eq!(receiver.room(), 0);
        assert_eq!(
            receiver.data(Sequence(1), &[1; 100]),
            Taken::Advanced,
            "it closes the gap"
        );
        assert_eq!((receiver.held(), receiver.ack), (1_100, Sequence(11)));
        assert_eq!(receiver.data(Sequence(12), &[1; 100]), Taken::Nothing);
    }

    #[test]
    fn nothing_comes_after_the_end() {
        let mut receiver = Receiver::new(Sequence(0), 1_000);
        receiver.fin(Sequence(2));
        receiver.fin(Sequence(1));
        assert_eq!(receiver.data(Sequence(2), b"x"), Taken::Nothing);
        assert!(!receiver.is_ended());
        assert_eq!(receiver.data(Sequence(1), b"a"), Taken::Advanced);
        assert!(receiver.is_ended());
        assert_eq!(receiver.ack, Sequence(2));
        assert_eq!(drain(&mut receiver), b"a");
    }
}
