//! How many requests a link should have outstanding, and how long an answer may take.
//!
//! Depth must cover bandwidth x delay, and the delay is not only the network's: a relay may first have to fetch what it
//! is asked for. By Little's law rate = depth / delay holds on a link that is starved as on one that is full, so
//! neither number tells which it is: only trying does. So: while a deeper queue makes the link faster, it deepens by
//! one for every block that comes (it doubles in a round trip); when that no longer helps, it stays, and tries again
//! now and then. It shrinks only where it is worth too many seconds of the link's rate. O(1) a block.

use super::rate::{Meter, QUICK, STEADY, per_second};
use crate::layout::BLOCK;
use crate::time::{Span, Time};

/// Requests at the start: 128 KiB, a round trip of 20 ms gives 6.5 MB/s already.
pub const START: u32 = 8;

/// Requests that are always allowed: one is being answered while the next travels.
pub const FLOOR: u32 = 2;

/// The default cap, in requests: 8 MiB, which is 80 MB/s at 100 ms. It bounds what a link may hold in memory.
pub const CAP: u32 = 512;

/// A queue worth more than this is cut: a slow link would hold its blocks for long. Longer rides out longer gaps
/// between pieces that a relay fetches.
const QUEUE: Span = Span::from_secs(3);

/// The same, where single answers take long.
const LONGEST_QUEUE: Span = Span::from_secs(6);

/// Bytes before which a link's rate is not trusted to be low.
const FIRST_BYTES: u64 = 16 * BLOCK as u64;

/// Round trips without a gain after which a deeper queue is held to be of no help.
const PATIENCE: u32 = 3;

/// How long the depth stays before it is tried deeper again.
const HOLD: Span = Span::from_secs(5);

/// The shortest round: over less time than this a rate is mostly noise.
const ROUND: Span = Span::from_millis(10);

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
    state: State,
    round: Option<Round>,
    /// What the depth is measured by.
    meter: Meter,
    /// What is shown.
    quick: Meter,
    /// When the last block came.
    last: Option<Time>,
    /// Smoothed delay and its deviation, in micros (RFC 6298).
    delay: Option<(u64, u64)>,
    /// Time-outs in a row.
    backoff: u32,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Deeper and deeper, as long as that makes the link faster.
    Growing {
        /// Blocks to come for one request more: 1 doubles the depth in a round trip, 4 tries a quarter more.
        pace: u32,
        /// Blocks that have come towards it.
        credit: u32,
        /// The best rate a round has had, in bytes per second.
        best: u64,
        /// The depth at the end of that round.
        depth: u32,
        /// Round trips without a gain since.
        stalled: u32,
    },
    /// Deep enough, since that time and with that delay in micros.
    Holding { since: Time, delay: u64 },
}

/// One round trip: it ends when a block comes that was asked for after it began.
#[derive(Clone, Copy, Debug)]
struct Round {
    began: Time,
    blocks: u64,
}

impl State {
    /// From nothing known: doubling.
    const fn start(depth: u32) -> Self {
        Self::Growing {
            pace: 1,
            credit: 0,
            best: 0,
            depth,
            stalled: 0,
        }
    }
}

impl Depth {
    /// A link of which nothing is known.
    pub fn new(cap: u32) -> Self {
        let cap = cap.max(FLOOR);
        let depth = START.min(cap);
        Self {
            depth,
            cap,
            state: State::start(depth),
            round: None,
            meter: Meter::new(STEADY),
            quick: Meter::new(QUICK),
            last: None,
            delay: None,
            backoff: 0,
        }
    }

    /// Sets the most requests there may be: the smaller of our own cap and the peer's `reqq` (BEP 10), but [`FLOOR`]
    /// always.
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
        self.quick.rate(now)
    }

    /// The smoothed time from request to block, once it is known.
    pub fn delay(&self) -> Option<Span> {
        self.delay.map(|(smooth, _)| Span::from_micros(smooth))
    }

    /// A block came that was asked for at `asked_at`. Also for one that came after its time-out.
    pub fn received(&mut self, asked_at: Time, now: Time) {
        if self.last.is_some_and(|last| now.since(last) > STEADY) {
            // What was known of the link is too old.
            self.state = State::start(self.depth);
            self.round = None;
        }
        self.last = Some(now);
        self.backoff = 0;
        self.meter.add(u64::from(BLOCK), now);
        self.quick.add(u64::from(BLOCK), now);
        self.measure(now.since(asked_at).as_micros());
        if let State::Growing { pace, credit, .. } = &mut self.state {
            *credit += 1;
            if *credit >= *pace {
                *credit = 0;
                self.depth += 1;
            }
        }
        let round = self.round.get_or_insert(Round {
            began: asked_at,
            blocks: 0,
        });
        round.blocks += 1;
        if asked_at >= round.began && now.since(round.began) >= ROUND {
            let rate = per_second(round.blocks * u64::from(BLOCK), now.since(round.began).as_micros());
            *round = Round { began: now, blocks: 0 };
            self.end_round(rate, now);
        }
        self.depth = self.depth.min(self.longest(now)).min(self.cap).max(FLOOR);
    }

    /// A request went unanswered for [`timeout`](Self::timeout): the link is asked for less, and waited for longer.
    pub fn timed_out(&mut self, now: Time) {
        self.backoff = (self.backoff + 1).min(4);
        self.depth = (self.depth / 2).max(FLOOR);
        self.hold(now);
    }

    /// How long a request may go unanswered while no other block comes: RFC 6298's, doubled for every time-out in a
    /// row.
    pub fn timeout(&self) -> Span {
        let plain = self.delay.map_or(FIRST_TIMEOUT.as_micros(), |(smooth, deviation)| {
            smooth.saturating_add(deviation.saturating_mul(4))
        });
        let least = plain.clamp(SHORTEST_TIMEOUT.as_micros(), LONGEST_TIMEOUT.as_micros());
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

    fn end_round(&mut self, rate: u64, now: Time) {
        let now_deep = self.depth;
        match &mut self.state {
            State::Growing {
                best, depth, stalled, ..
            } => {
                if rate > *best + *best / 8 {
                    (*best, *depth, *stalled) = (rate, now_deep, 0);
                } else {
                    *stalled += 1;
                    if *stalled >= PATIENCE {
                        // What was added since has not helped.
                        self.depth = *depth;
                        self.hold(now);
                    }
                }
            }
            State::Holding { since, delay } => {
                let slower = self.delay.is_some_and(|(smooth, _)| smooth / 2 > *delay);
                if slower || now.since(*since) >= HOLD {
                    self.state = State::Growing {
                        pace: 4,
                        credit: 0,
                        best: rate,
                        depth: now_deep,
                        stalled: 0,
                    };
                }
            }
        }
    }

    fn hold(&mut self, now: Time) {
        let delay = self.delay.map_or(0, |(smooth, _)| smooth);
        self.state = State::Holding { since: now, delay };
    }

    /// The depth that is worth the longest queue, at the link's rate.
    fn longest(&mut self, now: Time) -> u32 {
        let delay = self.delay.map_or(0, |(smooth, _)| smooth);
        let span = delay
            .saturating_mul(2)
            .min(LONGEST_QUEUE.as_micros())
            .max(QUEUE.as_micros());
        let bytes = self.meter.rate(now).saturating_mul(span) / 1_000_000;
        let depth = u32::try_from(bytes / u64::from(BLOCK)).unwrap_or(u32::MAX);
        // The first blocks say little of the rate.
        if self.meter.total() < FIRST_BYTES {
            depth.max(START)
        } else {
            depth
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::VecDeque;

    /// A peer at the other end of a link: it serves one block after another.
    struct Peer {
        /// Round trip.
        delay: Span,
        /// Micros to send one block.
        block: u64,
        /// What it adds to its first block of every so many, as a relay does that fetches the piece first.
        fetch: Option<(u64, Span)>,
    }

    /// One link in virtual time: requests are kept at the depth.
    struct Link {
        depth: Depth,
        peer: Peer,
        now: Time,
        /// (asked at, arrives at).
        outstanding: VecDeque<(Time, Time)>,
        busy_until: Time,
        asked: u64,
    }

    impl Link {
        fn new(peer: Peer) -> Self {
            Self {
                depth: Depth::new(CAP),
                peer,
                now: Time::from_micros(50),
                outstanding: VecDeque::new(),
                busy_until: Time::ZERO,
                asked: 0,
            }
        }

        fn ask(&mut self) {
            while self.outstanding.len() < self.depth.depth() {
                let mut start = self.now.max(self.busy_until);
                if let Some((blocks, fetch)) = self.peer.fetch
                    && self.asked.is_multiple_of(blocks)
                {
                    start += fetch;
                }
                self.asked += 1;
                self.busy_until = start + Span::from_micros(self.peer.block);
                self.outstanding
                    .push_back((self.now, self.busy_until + self.peer.delay));
            }
        }

        /// Runs for a while; the mean rate in blocks per second.
        fn run(&mut self, secs: u64) -> u64 {
            let (end, mut blocks) = (self.now + Span::from_secs(secs), 0);
            self.ask();
            while let Some(&(asked, arrives)) = self.outstanding.front()
                && arrives <= end
            {
                self.outstanding.pop_front();
                self.now = self.now.max(arrives);
                self.depth.received(asked, self.now);
                blocks += 1;
                self.ask();
            }
            self.now = end;
            blocks / secs
        }
    }

    fn plain(delay_millis: u64, blocks_per_second: u64) -> Peer {
        Peer {
            delay: Span::from_millis(delay_millis),
            block: 1_000_000 / blocks_per_second,
            fetch: None,
        }
    }

    #[test]
    fn a_quick_link_is_full_within_its_first_second() {
        let mut link = Link::new(plain(20, 5_000));
        assert!(link.run(1) > 4_000, "80 MB/s at 20 ms: {:?}", link.depth);
        assert!(link.run(5) > 4_900, "{:?}", link.depth);
        assert!((100..=CAP as usize).contains(&link.depth.depth()), "{:?}", link.depth);
    }

    #[test]
    fn a_link_is_filled_without_a_long_queue() {
        for (delay, rate) in [(1, 600), (20, 600), (100, 600), (300, 300), (30, 60)] {
            let mut link = Link::new(plain(delay, rate));
            link.run(5);
            let reached = link.run(30);
            assert!(
                reached * 100 >= rate * 95,
                "{reached} of {rate} at {delay} ms: {:?}",
                link.depth
            );
            let product = (rate * delay / 1_000) as usize;
            let depth = link.depth.depth();
            assert!(
                depth <= 8 * product + 40,
                "{depth} for {product} at {delay} ms, {rate} blocks/s"
            );
        }
    }

    #[test]
    fn a_slow_link_holds_few_blocks() {
        let mut link = Link::new(plain(50, 2));
        link.run(60);
        assert!((2..=12).contains(&link.depth.depth()), "{:?}", link.depth);
        let mut quick = Link::new(plain(50, 600));
        quick.run(20);
        quick.peer.block = 1_000_000 / 3;
        quick.run(60);
        assert!((2..=18).contains(&quick.depth.depth()), "{:?}", quick.depth);
    }

    #[test]
    fn a_relay_that_fetches_each_piece_first_is_asked_for_more() {
        let fetching = |blocks, millis| Peer {
            delay: Span::from_millis(10),
            block: 200,
            fetch: Some((blocks, Span::from_millis(millis))),
        };
        // It works on one piece after another, so the most that can be had is a piece each fetch.
        for (blocks, millis) in [(16, 50), (64, 200), (64, 1_000), (256, 4_000)] {
            let mut link = Link::new(fetching(blocks, millis));
            link.run(20);
            let reached = link.run(60);
            let most = blocks * 1_000_000 / (millis * 1_000 + blocks * 200);
            assert!(reached * 100 >= most * 85, "{reached} of {most}: {:?}", link.depth);
        }
    }

    #[test]
    fn a_delay_that_grows_makes_the_queue_deeper() {
        let mut link = Link::new(plain(5, 600));
        link.run(10);
        link.peer.delay = Span::from_millis(400);
        link.run(10);
        let reached = link.run(20);
        assert!(reached > 500, "{reached} of 600: {:?}", link.depth);
    }

    #[test]
    fn the_cap_and_the_floor_hold() {
        let mut link = Link::new(plain(200, 5_000));
        link.depth.set_cap(50);
        link.run(5);
        assert_eq!(link.depth.depth(), 50);
        (0..10).for_each(|_| link.depth.timed_out(link.now));
        assert_eq!(link.depth.depth(), FLOOR as usize);
        assert_eq!(Depth::new(0).depth(), FLOOR as usize);
    }

    #[test]
    fn the_time_out_follows_the_delay() {
        let mut depth = Depth::new(CAP);
        assert_eq!(depth.timeout(), FIRST_TIMEOUT);
        for secs in 0..50 {
            depth.received(
                Time::ZERO + Span::from_secs(secs),
                Time::ZERO + Span::from_millis(secs * 1_000 + 100),
            );
        }
        assert_eq!(depth.timeout(), SHORTEST_TIMEOUT);
        depth.timed_out(Time::ZERO + Span::from_secs(60));
        assert_eq!(depth.timeout().as_secs(), 2 * SHORTEST_TIMEOUT.as_secs());
        (0..9).for_each(|_| depth.timed_out(Time::ZERO + Span::from_secs(61)));
        assert_eq!(depth.timeout(), LONGEST_TIMEOUT);
        for secs in 100..150 {
            depth.received(
                Time::ZERO + Span::from_secs(secs),
                Time::ZERO + Span::from_secs(secs + 9),
            );
        }
        assert!((9..15).contains(&depth.timeout().as_secs()), "{:?}", depth.timeout());
    }
}
