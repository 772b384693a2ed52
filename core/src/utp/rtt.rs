//! Round-trip time, and how long to wait for an acknowledgement (BEP 29).

use crate::time::Span;

/// The wait before anything was measured.
const FIRST: Span = Span::from_millis(1_000);

/// The shortest wait. BEP 29: half a second.
const LEAST: Span = Span::from_millis(500);

/// The longest, after doubling.
const MOST: Span = Span::from_secs(30);

/// What is known of the round trip.
#[derive(Clone, Debug, Default)]
pub(super) struct Rtt {
    /// Mean and variance in microseconds, as the BEP smooths them.
    mean: u64,
    variance: u64,
    measured: bool,
    /// Timeouts in a row.
    doublings: u32,
}

impl Rtt {
    /// A packet that was sent once was acknowledged after `sample`.
    pub(super) fn add(&mut self, sample: Span) {
        let sample = sample.as_micros();
        if self.measured {
            let off = self.mean.abs_diff(sample);
            self.variance = self.variance - self.variance / 4 + off / 4;
            self.mean = self.mean - self.mean / 8 + sample / 8;
        } else {
            (self.mean, self.variance, self.measured) = (sample, sample / 2, true);
        }
    }

    /// The smoothed round trip; `None` before the first sample.
    pub(super) fn mean(&self) -> Option<Span> {
        self.measured.then(|| Span::from_micros(self.mean))
    }

    /// How long nothing may be heard before it counts as lost.
    pub(super) fn timeout(&self) -> Span {
        let base = if self.measured {
            Span::from_micros(self.mean + 4 * self.variance).max(LEAST)
        } else {
            FIRST
        };
        Span::from_micros(base.as_micros() << self.doublings.min(8)).min(MOST)
    }

    /// Something was heard.
    pub(super) const fn heard(&mut self) {
        self.doublings = 0;
    }

    /// Nothing was heard in time; how often in a row.
    pub(super) const fn timed_out(&mut self) -> u32 {
        self.doublings += 1;
        self.doublings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_timeout_follows_the_bep() {
        let mut rtt = Rtt::default();
        assert_eq!(rtt.timeout(), FIRST);
        rtt.add(Span::from_millis(40));
        assert_eq!((rtt.mean(), rtt.timeout()), (Some(Span::from_millis(40)), LEAST));
        for _ in 0..50 {
            rtt.add(Span::from_millis(900));
        }
        assert!(rtt.timeout() > Span::from_millis(890) && rtt.timeout() < Span::from_millis(1_200));
        let before = rtt.timeout();
        assert_eq!((rtt.timed_out(), rtt.timed_out()), (1, 2));
        assert_eq!(rtt.timeout().as_micros(), 4 * before.as_micros());
        rtt.heard();
        assert_eq!(rtt.timeout(), before);
        for _ in 0..40 {
            rtt.timed_out();
        }
        assert_eq!(rtt.timeout(), MOST);
    }
}
