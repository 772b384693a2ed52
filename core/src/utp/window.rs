//! How much may be under way: LEDBAT (BEP 29, RFC 6817), with which uTP keeps to 100 ms of queue and yields to others.
//!
//! Below the target the window grows, above it shrinks, in proportion to how far off it is. Two things are taken from later work
//! (LEDBAT++ and BIC): above the target it shrinks by a share of itself, since a fixed step would take a minute to make way for TCP;
//! and after a loss it goes halfway back towards the size that was lost in each round trip while the queue is short, since a lost packet
//! in a thousand would else keep it at a tenth of the path. Cost: O(1).

use crate::time::Span;

/// The queue that is aimed at. BEP 29: 100 ms.
pub(super) const TARGET: Span = Span::from_millis(100);

/// The most that the window grows in one round trip once slow start is over, in bytes (libutp's).
const GAIN: usize = 3_000;

/// The first window, in packets.
const FIRST: usize = 4;

/// The most that may ever be under way, in bytes.
const MOST: usize = 64 << 20;

/// The window of one connection, in bytes.
#[derive(Clone, Debug)]
pub(super) struct Window {
    size: usize,
    /// Growing fast up to here.
    threshold: usize,
    /// The size at which a packet was last lost.
    lost_at: usize,
    /// Bytes of growth too small to count yet, in 1/65,536.
    fraction: u64,
}

impl Window {
    pub(super) const fn new(packet: usize) -> Self {
        Self {
            size: FIRST * packet,
            threshold: usize::MAX,
            lost_at: 0,
            fraction: 0,
        }
    }

    pub(super) const fn size(&self) -> usize {
        self.size
    }

    /// `acked` bytes arrived, after waiting for `queueing` in queues. `full`: the window was what held us back.
    pub(super) fn acked(&mut self, acked: usize, queueing: Span, full: bool, packet: usize) {
        let (queueing, target) = (queueing.as_micros(), TARGET.as_micros());
        if queueing > target {
            self.threshold = self.threshold.min(self.size);
            // Per round trip the share that it is over the target, at most half.
            let over = (queueing - target).min(target / 2);
            let less = (acked as u64 * over / target) as usize;
            self.size = self.size.saturating_sub(less).max(packet);
            return;
        }
        if self.size < self.threshold && queueing > target * 3 / 4 {
            self.threshold = self.size;
        }
        if !full {
            return;
        }
        if self.size < self.threshold {
            self.size = (self.size + acked).min(self.threshold).min(MOST);
            return;
        }
        let below = target - queueing;
        let back = self.lost_at.saturating_sub(self.size) / 2;
        let gain = back.max(GAIN) as u64;
        // The gain is for a whole window, of which `acked` is a part.
        let grown = self.fraction + ((gain * acked as u64 / self.size.max(1) as u64) << 16) * below / target;
        self.fraction = grown & 0xffff;
        self.size = (self.size + (grown >> 16) as usize).min(MOST);
    }

    /// Packets were lost, for the first time in this round trip. BEP 29: the window is halved.
    pub(super) fn lost(&mut self, packet: usize) {
        // Lost again before it was back: others want room too.
        self.lost_at = if self.size < self.lost_at {
            (self.size + self.lost_at) / 2
        } else {
            self.size
        };
        self.size = (self.size / 2).max(2 * packet);
        self.threshold = self.size;
    }

    /// Nothing came back in time: begin anew with one packet.
    pub(super) fn timed_out(&mut self, packet: usize) {
        self.threshold = (self.size / 2).max(2 * packet);
        self.size = packet;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKET: usize = 1_000;

    /// A window after round trips with that queue, from `size`.
    fn after(rounds: usize, queueing_ms: u64, size: usize) -> usize {
        let mut window = Window {
            size,
            threshold: 0,
            ..Window::new(PACKET)
        };
        for _ in 0..rounds {
            window.acked(window.size, Span::from_millis(queueing_ms), true, PACKET);
        }
        window.size
    }

    #[test]
    fn it_grows_below_the_target_and_shrinks_above() {
        assert_eq!(after(1, 0, 100_000), 103_000);
        assert_eq!(after(1, 50, 100_000), 101_500);
        assert_eq!(after(9, 100, 100_000), 100_000);
        assert_eq!(after(1, 120, 100_000), 80_000);
        assert_eq!(after(1, 900, 100_000), 50_000);
        assert_eq!(after(99, 900, 100_000), PACKET);
    }

    #[test]
    fn it_starts_fast_and_stops_before_the_target() {
        let mut window = Window::new(PACKET);
        for _ in 0..4 {
            window.acked(window.size, Span::ZERO, true, PACKET);
        }
        assert_eq!(window.size(), 16 * FIRST * PACKET);
        window.acked(PACKET, Span::from_millis(80), true, PACKET);
        assert!(window.size() < 16 * FIRST * PACKET + PACKET);
    }

    #[test]
    fn it_does_not_grow_unused() {
        let mut window = Window::new(PACKET);
        window.acked(PACKET, Span::ZERO, false, PACKET);
        assert_eq!(window.size(), FIRST * PACKET);
    }

    #[test]
    fn a_loss_halves_it_and_a_timeout_leaves_one_packet() {
        let mut window = Window {
            size: 100_000,
            ..Window::new(PACKET)
        };
        window.lost(PACKET);
        assert_eq!(window.size(), 50_000);
        window.acked(50_000, Span::ZERO, true, PACKET);
        assert_eq!(window.size(), 75_000, "halfway back");
        window.timed_out(PACKET);
        assert_eq!(window.size(), PACKET);
    }
}
