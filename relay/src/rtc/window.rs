//! How much may be under way on one channel: bytes handed to SCTP that the peer has not acknowledged.
//!
//! The invariant: what is under way stays below the window, unless nothing is, when one message of any size may go.
//! SCTP's own congestion window works below this one; this bound keeps the queues in front of it, and the peer's UDP
//! socket, short. Cost: constant.

/// Where the window begins and never goes below. With 1 MiB and more Chromium's UDP socket overflows on loopback, and
/// retransmissions eat what the larger window brings.
pub(super) const SMALLEST: usize = 64 << 10;

/// The window of one channel.
#[derive(Debug)]
pub(super) struct Window {
    size: usize,
}

impl Window {
    pub(super) fn new(size: usize) -> Self {
        Self { size: size.max(1) }
    }

    /// Bytes that may be handed over when `outstanding` are under way.
    pub(super) fn room(&self, outstanding: usize) -> usize {
        self.size.saturating_sub(outstanding)
    }
}
