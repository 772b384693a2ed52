//! How much may be under way on one channel: bytes handed to SCTP that the peer has not acknowledged.
//!
//! The invariant: what is under way stays within the window. SCTP's own congestion control works below it, but only
//! learns from loss; this bound grows with the delay that the path has by itself and not with the delay that we cause
//! (as TCP Vegas does), and so keeps the queues in front of SCTP, in the path and in the peer's UDP socket short.
//! Cost: constant, and a few words for each message under way.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Where the window begins, and what it never goes below. Chromium's UDP socket holds some 60 datagrams, and its process
/// may not run for milliseconds: 128 KiB on loopback overflow it, and what is then lost and sent again costs two thirds
/// of the speed. With 64 KiB the sender idles. Half of it, the least that is sent at a time, holds whole PIECE messages.
pub(super) const SMALLEST: usize = 13 * super::PIECE / 2;
/// Where it ends: 100 MB/s at 40 ms. Chromium's receive window is 5 MiB.
const LARGEST: usize = 4 << 20;
/// On a path as fast as this the smallest window is enough for 24 MB/s, and what looks like a round trip is mostly the
/// peer's own work.
const NEAR: Duration = Duration::from_millis(4);
/// Bytes of ours that may stand in the path's queues: below the first bound the window grows, above the second it shrinks.
const QUEUED: (usize, usize) = (48 << 10, 160 << 10);
/// How long a shortest round trip is believed: routes change.
const EPOCH: Duration = Duration::from_secs(10);

/// The window of one channel.
#[derive(Debug)]
pub(super) struct Window {
    size: usize,
    smallest: usize,
    /// Bytes handed over since the beginning.
    sent: u64,
    /// Messages under way: the count of bytes at their end, and when they were handed over.
    messages: VecDeque<(u64, Instant)>,
    /// The shortest round trips of this epoch and of the one before.
    shortest: [Duration; 2],
    epoch: Option<Instant>,
    /// The window is judged again when this count of bytes has arrived: once in a round trip.
    judged: u64,
    /// Something had to wait since the window was judged.
    filled: bool,
    /// No queue has been seen yet: the window may double.
    starting: bool,
}

impl Window {
    pub(super) fn new(smallest: usize) -> Self {
        Self {
            size: smallest.max(1),
            smallest: smallest.max(1),
            sent: 0,
            messages: VecDeque::new(),
            shortest: [Duration::MAX; 2],
            epoch: None,
            judged: 0,
            filled: false,
            starting: true,
        }
    }

    /// Takes note of a message that is handed over.
    pub(super) fn sent(&mut self, now: Instant, length: usize) {
        self.sent += length as u64;
        self.messages.push_back((self.sent, now));
    }

    /// Bytes that may be handed over when `outstanding` are under way: none rather than few, so that messages stay large.
    pub(super) fn room(&mut self, now: Instant, outstanding: usize) -> usize {
        self.arrived(now, self.sent.saturating_sub(outstanding as u64));
        let room = self.size.saturating_sub(outstanding);
        if room >= self.smallest.div_ceil(2) {
            return room;
        }
        self.filled = true;
        0
    }

    /// Learns from the messages whose last byte is acknowledged.
    fn arrived(&mut self, now: Instant, arrived: u64) {
        let mut newest = None;
        while let Some((_, at)) = self.messages.pop_front_if(|(end, _)| *end <= arrived) {
            newest = Some(now.saturating_duration_since(at));
        }
        let Some(trip) = newest else { return };
        if self
            .epoch
            .is_none_or(|epoch| now.saturating_duration_since(epoch) > EPOCH)
        {
            self.epoch = Some(now);
            self.shortest = [Duration::MAX, self.shortest[0]];
        }
        self.shortest[0] = self.shortest[0].min(trip);
        if arrived >= self.judged {
            self.judged = self.sent;
            self.judge(trip);
        }
    }

    fn judge(&mut self, trip: Duration) {
        let filled = std::mem::take(&mut self.filled);
        let base = self.shortest[0].min(self.shortest[1]);
        if base < NEAR {
            self.size = self.smallest;
            return;
        }
        // What stands in queues is what the round trip has grown by, in bytes at the rate of the moment.
        let share = 1.0 - base.as_secs_f64() / trip.as_secs_f64().max(f64::MIN_POSITIVE);
        let queued = (self.size as f64 * share) as usize;
        let step = self.smallest / 4;
        if queued > QUEUED.1 {
            self.starting = false;
            // Just what stands too long, a quarter at most: one long trip may be the peer's pause.
            self.size = (self.size - self.size / 4).max(self.size.saturating_sub(queued - QUEUED.0));
        } else if queued > QUEUED.0 {
            self.starting = false;
        } else if filled {
            self.size += if self.starting { self.size } else { step };
        }
        self.size = self.size.clamp(self.smallest, LARGEST.max(self.smallest));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bottleneck with an endless queue: `rate` bytes a second after `delay` there and back.
    struct Path {
        rate: f64,
        delay: Duration,
    }

    struct Outcome {
        /// Of the rate, over the second half.
        used: f64,
        /// The most that stood in the queue, over the second half.
        queue: usize,
    }

    impl Path {
        fn run(&self, seconds: f64) -> Outcome {
            let (start, mut window) = (Instant::now(), Window::new(SMALLEST));
            let half = start + Duration::from_secs_f64(seconds / 2.0);
            // When each message's last byte leaves the bottleneck, and its length.
            let mut under_way: VecDeque<(Instant, usize)> = VecDeque::new();
            let (mut now, mut free) = (start, start);
            let (mut delivered, mut queue) = (0, 0);
            while now < start + Duration::from_secs_f64(seconds) {
                while let Some((_, length)) = under_way.pop_front_if(|(at, _)| *at + self.delay <= now) {
                    delivered += if now > half { length } else { 0 };
                }
                let outstanding = under_way.iter().map(|(_, length)| length).sum();
                let length = window.room(now, outstanding).min(64 << 10);
                if length > 0 {
                    window.sent(now, length);
                    free = free.max(now) + Duration::from_secs_f64(length as f64 / self.rate);
                    under_way.push_back((free, length));
                    let waiting = (free - now).as_secs_f64() * self.rate;
                    queue = queue.max(if now > half { waiting as usize } else { 0 });
                } else {
                    now = under_way.front().map_or(now, |(at, _)| *at + self.delay);
                }
            }
            Outcome {
                used: delivered as f64 / (self.rate * seconds / 2.0),
                queue,
            }
        }
    }

    #[test]
    fn fills_a_long_path_with_a_short_queue() {
        for (rate, delay) in [(1.25e6, 20), (12.5e6, 10), (12.5e6, 40), (12.5e6, 100), (50e6, 40)] {
            let outcome = Path {
                rate,
                delay: Duration::from_millis(delay),
            }
            .run(20.0);
            assert!(outcome.used > 0.9, "{rate} B/s, {delay} ms: uses {}", outcome.used);
            assert!(
                outcome.queue < 400 << 10,
                "{rate} B/s, {delay} ms: queues {}",
                outcome.queue
            );
        }
    }

    #[test]
    fn stays_small_on_a_near_path() {
        let mut window = Window::new(SMALLEST);
        let mut now = Instant::now();
        for _ in 0..10_000 {
            let room = window.room(now, 0);
            assert_eq!(room, SMALLEST);
            window.sent(now, room);
            assert_eq!(window.room(now, room), 0);
            now += Duration::from_millis(3);
        }
    }

    #[test]
    fn shrinks_when_a_queue_grows() {
        let mut window = Window::new(SMALLEST);
        let mut now = Instant::now();
        let mut largest = 0;
        for round in 0..42 {
            let room = window.room(now, 0);
            largest = largest.max(room);
            window.sent(now, room);
            window.room(now, room);
            now += Duration::from_millis(if round < 20 { 40 } else { 400 });
        }
        assert_eq!(largest, LARGEST);
        // A tenth of it is the path's own, the rest may stand in the queue.
        assert!(window.room(now, 0) * 9 / 10 <= QUEUED.1);
    }

    #[test]
    fn waits_rather_than_sending_crumbs() {
        let mut window = Window::new(SMALLEST);
        let now = Instant::now();
        window.sent(now, SMALLEST);
        assert_eq!(window.room(now, SMALLEST), 0);
        assert_eq!(window.room(now, SMALLEST / 2 + 1), 0);
        assert_eq!(window.room(now, SMALLEST / 2), SMALLEST / 2);
    }
}
