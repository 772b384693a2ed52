//! One-way delays, of which only the differences mean anything: the clocks of two machines are not the same.
//!
//! The least delay seen in the last minutes is taken for that of an empty path; what a delay is above it was spent in queues. Numbers
//! are modulo 2^32, so of two the one within half the circle is the less. Cost: O(1) a sample.

use crate::time::{Span, Time};

/// How many minutes the least delay is remembered for. The BEP says two, RFC 6817 ten: with two, a queue that stands that long
/// would be taken for the path's own delay.
const MINUTES: usize = 10;

/// How many samples the current delay is the least of: one packet that was held up says nothing.
const CURRENT: usize = 4;

/// Delays of one direction.
#[derive(Clone, Debug)]
pub(super) struct Delays {
    /// The least of each minute; the newest first.
    minutes: [u32; MINUTES],
    since: Time,
    current: [u32; CURRENT],
    samples: usize,
}

impl Delays {
    pub(super) const fn new() -> Self {
        Self {
            minutes: [0; MINUTES],
            since: Time::ZERO,
            current: [0; CURRENT],
            samples: 0,
        }
    }

    /// Takes a sample in.
    pub(super) fn add(&mut self, sample: u32, now: Time) {
        if self.samples == 0 {
            self.minutes = [sample; MINUTES];
            self.current = [sample; CURRENT];
            self.since = now;
        } else if now.since(self.since) >= Span::from_secs(60) {
            self.minutes.rotate_right(1);
            self.minutes[0] = sample;
            self.since = now;
        } else {
            self.minutes[0] = lesser(self.minutes[0], sample);
        }
        self.current[self.samples % CURRENT] = sample;
        self.samples = self.samples.wrapping_add(1).max(1);
    }

    /// The delay of an empty path, as far as is known.
    pub(super) fn base(&self) -> u32 {
        self.minutes.into_iter().fold(self.minutes[0], lesser)
    }

    /// Time spent in queues; `None` before the first sample.
    pub(super) fn queueing(&self) -> Option<Span> {
        let current = self.current.into_iter().fold(self.current[0], lesser);
        let above = current.wrapping_sub(self.base());
        // Below the base by a late sample of an older minute: the queue is empty.
        let above = if above > u32::MAX / 2 { 0 } else { above };
        (self.samples > 0).then(|| Span::from_micros(u64::from(above)))
    }

    /// Moves what is remembered: the other clock was found to run faster by so much.
    pub(super) fn shift(&mut self, by: u32) {
        for minute in &mut self.minutes {
            *minute = minute.wrapping_add(by);
        }
    }
}

/// Both directions of a connection.
#[derive(Clone, Debug)]
pub(super) struct BothDelays {
    /// Of our packets, as the other end reports.
    ours: Delays,
    /// Of theirs, as we see.
    theirs: Delays,
    /// The last of theirs, to be reported; 0: none yet.
    pub(super) reply: u32,
}

/// The most that clocks are believed to drift apart between two least delays, in microseconds.
const MAX_DRIFT: u32 = 10_000;

impl BothDelays {
    pub(super) const fn new() -> Self {
        Self {
            ours: Delays::new(),
            theirs: Delays::new(),
            reply: 0,
        }
    }

    /// Takes in what a packet says.
    pub(super) fn packet(&mut self, timestamp: u32, difference: u32, now: Time) {
        let before = (self.theirs.samples > 0).then(|| self.theirs.base());
        if timestamp != 0 {
            self.reply = (now.as_micros() as u32).wrapping_sub(timestamp);
            self.theirs.add(self.reply, now);
        }
        if difference == 0 || difference == i32::MAX as u32 {
            // Nothing measured yet; some say it the second way.
            return;
        }
        // A base that sinks on one side while the path is the same is drift: on the other side it rises as much (as libutp does).
        if let Some(sunk) = before.map(|before| before.wrapping_sub(self.theirs.base()))
            && sunk != 0
            && sunk <= MAX_DRIFT
        {
            self.ours.shift(sunk);
        }
        self.ours.add(difference, now);
    }

    /// Time that our packets spend in queues.
    pub(super) fn queueing(&self) -> Option<Span> {
        self.ours.queueing()
    }
}

fn lesser(one: u32, other: u32) -> u32 {
    if one.wrapping_sub(other) > u32::MAX / 2 {
        one
    } else {
        other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Time {
        Time::ZERO + Span::from_secs(secs)
    }

    #[test]
    fn the_queue_is_what_is_above_the_least_whatever_the_clocks() {
        for base in [5_000, u32::MAX - 10, 1 << 31] {
            let mut delays = Delays::new();
            assert_eq!(delays.queueing(), None);
            delays.add(base, at(0));
            for _ in 0..CURRENT {
                delays.add(base.wrapping_add(30_000), at(1));
            }
            assert_eq!(delays.queueing(), Some(Span::from_millis(30)), "{base}");
        }
    }

    #[test]
    fn one_late_packet_is_no_queue() {
        let mut delays = Delays::new();
        delays.add(100, at(0));
        delays.add(90_000, at(0));
        assert_eq!(delays.queueing(), Some(Span::ZERO));
    }

    #[test]
    fn an_old_least_is_forgotten_after_minutes() {
        let mut delays = Delays::new();
        delays.add(1_000, at(0));
        for minute in 1..=MINUTES as u64 {
            assert_eq!(delays.base(), 1_000);
            delays.add(9_000, at(60 * minute));
        }
        assert_eq!(delays.base(), 9_000);
    }

    #[test]
    fn drift_is_no_queue() {
        // The other clock runs 100 µs a second faster: our packets seem slower and slower, theirs faster and faster.
        let mut both = BothDelays::new();
        for second in 0..600_u64 {
            let now = at(second);
            let drift = 100 * second;
            let timestamp = (now.as_micros() + drift).wrapping_sub(20_000) as u32;
            both.packet(timestamp, 20_000 + drift as u32, now);
        }
        assert!(both.queueing().unwrap() < Span::from_millis(2), "{:?}", both.queueing());
    }
}
