//! How many requests a link should have outstanding, and how long an answer may take.
//!
//! Depth must cover bandwidth x delay, and the delay is not only the network's: a relay may first have to fetch what it is asked for. By
//! Little's law rate = depth / delay holds on a link that is starved as on one that is full, so neither number tells which it is: only trying
//! does. So: while a deeper queue makes the link faster, it deepens by one for every block that comes (it doubles in a round trip); when that no
//! longer helps, it stays, and tries again now and then. It shrinks only where it is worth too many seconds of the link's rate.
//! O(1) a block.

use super::rate::{Meter, QUICK, per_second};
use crate::layout::BLOCK;
use crate::time::{Span, Time};

/// Requests at the start: 128 KiB, a round trip of 20 ms gives 6.5 MB/s already.
pub const START: u32 = 8;

/// Requests that are always allowed: one is being answered while the next travels.
pub const FLOOR: u32 = 2;

/// The default cap, in requests: 8 MiB, which is 80 MB/s at 100 ms. It bounds what a link may hold in memory.
pub const CAP: u32 = 512;

/// A queue worth more than this is cut: a slow link would hold its blocks for long. Longer rides out longer gaps between pieces that a relay fetches.
const QUEUE: Span = Span::from_secs(3);

/// The same, where single answers take long.
const LONGEST_QUEUE: Span = Span::from_secs(10);

/// Round trips without a gain after which a deeper queue is held to be of no help.
const PATIENCE: u32 = 3;

/// How long the depth stays before it is tried deeper again.
const HOLD: Span = Span::from_secs(5);

/// The shortest time-out. Shorter asks others for blocks that are on their way.
pub const SHORTEST_TIMEOUT: Span = Span::from_secs(4);

/// The time-out before anything is measured: a relay may have to find peers first.
pub const FIRST_TIMEOUT: Span = Span::from_secs(20);

/// The longest time-out.
pub const LONGEST_TIMEOUT: Span = Span::from_secs(60);

/// The request depth and time-out of one link.
#[derive(Clone, Debug)]
pub struct Depth {
    depth: u32,
    cap: u32,
    growing: bool,
    /// Blocks to come before the depth grows by one: 1 while it doubles, more when tried again.
    credit: u32,
    round: Option<Round>,
    /// The best rate a round has had since growing began, in bytes per second.
    best: u64,
    stalled_rounds: u32,
    held_since: Time,
    held_delay: u64,
    meter: Meter,
    /// Smoothed delay and its deviation, in micros (RFC 6298).
    delay: Option<(u64, u64)>,
    backoff: u32,
}

/// One round trip: it ends when a block comes that was asked for after it began.
#[derive(Clone, Copy, Debug)]
struct Round {
    began: Time,
    blocks: u64,
}

impl Depth {
    /// A link of which nothing is known.
    pub fn new(cap: u32) -> Self {
        let cap = cap.max(FLOOR);
        Self {
            depth: START.min(cap),
            cap,
            growing: true,
            credit: 0,
            round: None,
            best: 0,
            stalled_rounds: 0,
            held_since: Time::ZERO,
            held_delay: 0,
            meter: Meter::new(QUICK),
            delay: None,
            backoff: 0,
        }
    }

    /// Sets the most requests there may be: the smaller of our own cap and the peer's `reqq` (BEP 10), but [`FLOOR`] always.
    pub fn set_cap(&mut self, cap: u32) {
        self.cap = cap.max(FLOOR);
        self.depth = self.depth.min(self.cap);
    }

    /// How many requests the link should have outstanding.
    pub const fn depth(&self) -> usize {
        self.depth as usize
    }

    /// The link's rate in bytes per second, over [`QUICK`].
    pub fn rate(&mut self, now: Time) -> u64 {
        self.meter.rate(now)
    }

    /// The smoothed time from request to block, once it is known.
    pub fn delay(&self) -> Option<Span> {
        self.delay.map(|(smooth, _)| Span::from_micros(smooth))
    }

    /// A block came that was asked for at `asked_at`. Also for one that came after its time-out.
    pub fn received(&mut self, asked_at: Time, now: Time) {
        self.backoff = 0;
        self.meter.add(u64::from(BLOCK), now);
        self.measure(now.since(asked_at).as_micros());
        let round = self.round.get_or_insert(Round {
            began: asked_at,
            blocks: 0,
        });
        round.blocks += 1;
        let round = *round;
        if asked_at >= round.began && now > round.began {
            self.end_round(round, now);
        }
        if self.growing {
            self.credit += 1;
            self.depth += 1;
        }
        self.depth = self.depth.min(self.longest(now)).min(self.cap).max(FLOOR);
    }

    /// A request went unanswered for [`timeout`](Self::timeout): the link is asked for less, and waited for longer.
    pub fn timed_out(&mut self, now: Time) {
        self.backoff = (self.backoff + 1).min(4);
        self.depth = (self.depth / 2).max(FLOOR);
        self.hold(now);
    }

    /// How long a request may go unanswered while no other block comes: RFC 6298's, doubled for every time-out in a row.
    pub fn timeout(&self) -> Span {
        let plain = match self.delay {
            Some((smooth, deviation)) => smooth.saturating_add(deviation.saturating_mul(4)),
            None => FIRST_TIMEOUT.as_micros(),
        };
        let least = plain.max(SHORTEST_TIMEOUT.as_micros());
        Span::from_micros(least << self.backoff).min(LONGEST_TIMEOUT)
    }

    fn measure(&mut self, micros: u64) {
        self.delay = Some(match self.delay {
            None => (micros, micros / 2),
            Some((smooth, deviation)) => (
                smooth - smooth / 8 + micros / 8,
                deviation - deviation / 4 + smooth.abs_diff(micros) / 4,
            ),
        });
    }

    fn end_round(&mut self, round: Round, now: Time) {
        self.round = Some(Round { began: now, blocks: 0 });
        let rate = per_second(round.blocks * u64::from(BLOCK), now.since(round.began).as_micros());
        let delay = self.delay.map_or(0, |(smooth, _)| smooth);
        if !self.growing {
            let slower = delay > 2 * self.held_delay;
            if slower || now.since(self.held_since) >= HOLD {
                self.growing = true;
                self.stalled_rounds = 0;
                self.best = self.meter.rate(now);
            }
        } else if rate > self.best + self.best / 8 {
            self.best = rate;
            self.stalled_rounds = 0;
        } else {
            self.stalled_rounds += 1;
            if self.stalled_rounds >= PATIENCE {
                self.hold(now);
            }
        }
    }

    fn hold(&mut self, now: Time) {
        self.growing = false;
        self.held_since = now;
        self.held_delay = self.delay.map_or(0, |(smooth, _)| smooth);
    }

    /// The depth that is worth the longest queue, at the link's rate.
    fn longest(&mut self, now: Time) -> u32 {
        let delay = self.delay.map_or(0, |(smooth, _)| smooth);
        let span = (2 * delay).min(LONGEST_QUEUE.as_micros()).max(QUEUE.as_micros());
        let bytes = u128::from(self.meter.rate(now)) * u128::from(span) / 1_000_000;
        // A slow link's first second says little of its rate.
        u32::try_from(bytes / u128::from(BLOCK)).unwrap_or(u32::MAX).max(START)
    }
}
