//! Byte rates: measuring them ([`Meter`]) and holding them ([`Limiter`]).
//!
//! Both are pure functions of the times given to them; a time that goes back counts as no time passed. O(1) a call.

use crate::time::{Span, Time};

/// Parts of a meter's window: the rate is off by at most one in so many.
const PARTS: usize = 10;

/// The window for showing a rate and for sizing requests.
pub const QUICK: Span = Span::from_secs(5);

/// The window for choking decisions: two rounds, so that one burst decides nothing (BEP 3: a 20-second rolling
/// average).
pub const STEADY: Span = Span::from_secs(20);

/// The mean rate of the last few seconds. It falls to 0 when nothing comes for a whole window.
#[derive(Clone, Debug)]
pub struct Meter {
    parts: [u64; PARTS],
    /// The number of the part that now fills, counted from the origin of time.
    current: u64,
    /// Micros of one part.
    part: u64,
    started: Option<Time>,
    total: u64,
}

impl Meter {
    /// A meter over a window such as [`QUICK`] or [`STEADY`].
    pub fn new(window: Span) -> Self {
        Self {
            parts: [0; PARTS],
            current: 0,
            part: (window.as_micros() / PARTS as u64).max(1),
            started: None,
            total: 0,
        }
    }

    /// Counts bytes that have just passed.
    pub fn add(&mut self, bytes: u64, now: Time) {
        self.started.get_or_insert(now);
        self.turn(now);
        self.parts[(self.current % PARTS as u64) as usize] += bytes;
        self.total += bytes;
    }

    /// The rate in bytes per second: over the window, or over the time since the first byte while that is shorter (but
    /// a part at least).
    pub fn rate(&mut self, now: Time) -> u64 {
        let Some(started) = self.started else {
            return 0;
        };
        self.turn(now);
        // The part that now fills is not whole yet.
        let filled = now.as_micros().saturating_sub(self.current * self.part);
        let window = (PARTS as u64 - 1) * self.part + filled.min(self.part);
        let span = window.min(now.since(started).as_micros()).max(self.part);
        per_second(self.parts.iter().sum(), span)
    }

    /// All bytes ever counted.
    pub const fn total(&self) -> u64 {
        self.total
    }

    fn turn(&mut self, now: Time) {
        let to = now.as_micros() / self.part;
        if to <= self.current {
            return;
        }
        for part in (self.current + 1..=to).take(PARTS) {
            self.parts[(part % PARTS as u64) as usize] = 0;
        }
        self.current = to;
    }
}

/// Bytes per second, of bytes in a span of micros. Of more than 18 TB it is a lower bound: 128 bits would be a kilobyte of code.
pub(super) const fn per_second(bytes: u64, micros: u64) -> u64 {
    bytes.saturating_mul(1_000_000) / if micros == 0 { 1 } else { micros }
}

/// Work done for somebody, counted as the time that it takes to be earned: a bucket that time empties.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Debt(Time);

impl Debt {
    /// Adds the cost of one more piece of work; false, and nothing is added, where that would be more than `most`.
    pub(crate) fn take(&mut self, cost: Span, most: Span, now: Time) -> bool {
        let paid = self.0.max(now) + cost;
        let takes = paid.since(now) <= most;
        if takes {
            self.0 = paid;
        }
        takes
    }
}

/// How much may be saved up while nothing is sent. Longer lets bursts through; shorter needs more wake-ups.
const BURST: Span = Span::from_millis(100);

/// A token bucket that holds traffic to a rate.
///
/// It is allowed to go into debt by the one message that finds it positive, so that a rate below a block a second works
/// too.
#[derive(Clone, Debug)]
pub struct Limiter {
    rate: Option<u64>,
    /// Millionths of a byte; what is beyond 9 TB is not counted.
    tokens: i64,
    at: Time,
}

impl Limiter {
    /// A limiter to `rate` bytes per second; `None` limits nothing.
    pub const fn new(rate: Option<u64>) -> Self {
        Self {
            rate,
            tokens: 0,
            at: Time::ZERO,
        }
    }

    /// The rate it holds, in bytes per second.
    pub const fn rate(&self) -> Option<u64> {
        self.rate
    }

    /// Changes the rate from now on.
    pub fn set_rate(&mut self, rate: Option<u64>, now: Time) {
        self.fill(now);
        self.rate = rate;
        self.tokens = self.tokens.min(self.most());
    }

    /// How many bytes may pass now: a message may start when this is above 0.
    pub fn allowance(&mut self, now: Time) -> u64 {
        if self.rate.is_none() {
            return u64::MAX;
        }
        self.fill(now);
        self.tokens.max(0).unsigned_abs() / 1_000_000
    }

    /// Counts bytes that pass now, allowed or not.
    pub fn spend(&mut self, bytes: u64, now: Time) {
        if self.rate.is_some() {
            self.fill(now);
            self.tokens = self.tokens.saturating_sub(product(bytes, 1_000_000));
        }
    }

    /// When the allowance will be above 0: `now` if it is, never if the rate is 0.
    pub fn ready_at(&mut self, now: Time) -> Time {
        let Some(rate) = self.rate else {
            return now;
        };
        self.fill(now);
        let short = 1_000_000_i64.saturating_sub(self.tokens);
        if short <= 0 {
            return now;
        }
        if rate == 0 {
            return Time::NEVER;
        }
        now + Span::from_micros(short.unsigned_abs().div_ceil(rate))
    }

    /// A tenth of a second's worth, and no less than a byte.
    fn most(&self) -> i64 {
        product(self.rate.unwrap_or(0), BURST.as_micros()).max(1_000_000)
    }

    fn fill(&mut self, now: Time) {
        let passed = now.since(self.at).as_micros();
        self.at = self.at.max(now);
        let gained = product(self.rate.unwrap_or(0), passed);
        self.tokens = self.tokens.saturating_add(gained).min(self.most());
    }
}

fn product(a: u64, b: u64) -> i64 {
    i64::try_from(a.saturating_mul(b)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Time {
        Time::ZERO + Span::from_millis(millis)
    }

    #[test]
    fn a_steady_stream_has_its_rate_and_silence_has_none() {
        let mut meter = Meter::new(QUICK);
        assert_eq!(meter.rate(at(0)), 0);
        for millis in (10_000..30_000).step_by(10) {
            meter.add(1_000, at(millis));
            if millis > 11_000 {
                let rate = meter.rate(at(millis));
                assert!((98_000..=103_000).contains(&rate), "{rate} at {millis}");
            }
        }
        let falling = meter.rate(at(32_500));
        assert!((40_000..60_000).contains(&falling), "{falling}");
        assert_eq!(meter.rate(at(35_500)), 0);
        assert_eq!(meter.rate(at(1_000_000)), 0);
        assert_eq!(meter.total(), 2_000_000);
    }

    #[test]
    fn the_first_bytes_are_not_an_infinite_rate() {
        let mut meter = Meter::new(STEADY);
        meter.add(16_384, at(5));
        assert_eq!(meter.rate(at(5)), 8_192, "over a part of two seconds");
        meter.add(0, at(3));
        assert_eq!(meter.rate(at(1)), 8_192, "time that goes back is no time");
    }

    /// Sends messages as fast as the limiter allows, for ten seconds; bytes in each of them.
    fn send(limiter: &mut Limiter, message: u64) -> [u64; 10] {
        let (mut now, mut sent) = (at(0), [0; 10]);
        while now < at(10_000) {
            if limiter.allowance(now) > 0 {
                limiter.spend(message, now);
                sent[now.as_micros() as usize / 1_000_000] += message;
            }
            now = limiter.ready_at(now).max(now + Span::from_micros(1));
        }
        sent
    }

    #[test]
    fn a_limit_holds_over_every_second() {
        for rate in [20_000, 300_000, 5_000_000] {
            let mut limiter = Limiter::new(Some(rate));
            for (second, sent) in send(&mut limiter, 16_384).into_iter().enumerate() {
                assert!(
                    sent.abs_diff(rate) <= 16_384 + rate / 10,
                    "{sent} in second {second} at {rate}"
                );
            }
        }
    }

    #[test]
    fn a_rest_saves_up_no_more_than_the_burst() {
        let mut limiter = Limiter::new(Some(1_000_000));
        assert_eq!(limiter.allowance(at(100_000)), 100_000);
        limiter.spend(150_000, at(100_000));
        assert_eq!(limiter.allowance(at(100_000)), 0);
        assert_eq!(limiter.ready_at(at(100_000)), at(100_050) + Span::from_micros(1));
        limiter.set_rate(Some(0), at(100_000));
        assert_eq!(limiter.ready_at(at(100_000)), Time::NEVER);
        limiter.set_rate(None, at(100_000));
        assert_eq!(limiter.allowance(at(100_000)), u64::MAX);
        assert_eq!(limiter.ready_at(at(100_000)), at(100_000));
    }
}
