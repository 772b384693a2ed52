//! Two sockets and a path between them that delays, queues, loses, repeats and reorders, under virtual time.

use super::*;
use crate::time::Span;
use alloc::vec;

/// What a path does.
#[derive(Clone, Debug)]
struct Path {
    /// One way.
    delay: Span,
    /// Bytes a second; 0: without bound.
    rate: u64,
    /// Bytes that may wait.
    queue: usize,
    /// Of 10,000 datagrams.
    lost: usize,
    repeated: usize,
    /// Of 10,000, held up by up to that.
    late: (usize, Span),
    /// The longest datagram that passes uncut.
    mtu: usize,
}

const GOOD: Path = Path {
    delay: Span::from_millis(10),
    rate: 0,
    queue: usize::MAX,
    lost: 0,
    repeated: 0,
    late: (0, Span::ZERO),
    mtu: 1_500,
};

const ADDRESSES: [SocketAddr; 2] = [address(1), address(2)];

const fn address(host: u8) -> SocketAddr {
    SocketAddr::new(core::net::IpAddr::V4(core::net::Ipv4Addr::new(10, 0, 0, host)), 6_881)
}

/// Two ends, the first of which opens a connection to the second.
struct World {
    now: Time,
    ends: [Socket; 2],
    handles: [Option<Handle>; 2],
    path: Path,
    rng: Rng,
    /// Datagrams under way: when they arrive, in what order, to whom.
    flying: BTreeMap<(Time, u64), (usize, Vec<u8>)>,
    count: u64,
    /// When each direction has sent what it was given.
    free_at: [Time; 2],
    received: [Vec<u8>; 2],
    /// Bytes still to be written, from a pattern.
    to_write: [usize; 2],
    written: [usize; 2],
    ended: [bool; 2],
    reading: bool,
    sent: u64,
    /// The longest time that a datagram waited in a queue since it was set to zero.
    longest: Span,
    /// Added to the second end's clock.
    skew: u64,
}

fn pattern(at: usize) -> u8 {
    (at ^ (at >> 8) ^ (at >> 16)) as u8
}

impl World {
    fn new(path: Path, seed: u64) -> Self {
        let ends = [1, 2].map(|n| Socket::new(Config::default(), seed * 2 + n));
        Self {
            now: Time::from_micros(1_000_000),
            ends,
            handles: [None; 2],
            path,
            rng: Rng::new(seed),
            flying: BTreeMap::new(),
            count: 0,
            free_at: [Time::ZERO; 2],
            received: [vec![], vec![]],
            to_write: [0; 2],
            written: [0; 2],
            ended: [false; 2],
            reading: true,
            sent: 0,
            longest: Span::ZERO,
            skew: 0,
        }
    }

    /// Opens the connection; the first end is to send so many bytes, the second so many.
    fn open(path: Path, seed: u64, bytes: [usize; 2]) -> Self {
        let mut world = Self::new(path, seed);
        world.to_write = bytes;
        world.handles[0] = world.ends[0].connect(world.now, ADDRESSES[1]);
        world
    }

    fn clock(&self, end: usize) -> Time {
        self.now + Span::from_micros(if end == 1 { self.skew } else { 0 })
    }

    fn fly(&mut self, from: usize, datagram: Vec<u8>, probe: bool) {
        self.sent += 1;
        let path = &self.path;
        if self.rng.below(10_000) < path.lost || probe && datagram.len() > path.mtu {
            return;
        }
        let mut at = self.now;
        if path.rate > 0 {
            let waits = self.free_at[from].since(self.now);
            if waits.as_micros() * path.rate / 1_000_000 > path.queue as u64 {
                return;
            }
            self.longest = self.longest.max(waits);
            // With the headers of IP and UDP.
            let takes = Span::from_micros((datagram.len() as u64 + 28) * 1_000_000 / path.rate);
            self.free_at[from] = self.free_at[from].max(self.now) + takes;
            at = self.free_at[from];
        }
        at += path.delay;
        if self.rng.below(10_000) < path.late.0 {
            at += Span::from_micros(self.rng.below(path.late.1.as_micros() as usize) as u64);
        }
        let copies = 1 + usize::from(self.rng.below(10_000) < path.repeated);
        for _ in 0..copies {
            self.count += 1;
            self.flying.insert((at, self.count), (1 - from, datagram.clone()));
        }
    }

    /// What an end's user and its socket do now.
    fn work(&mut self, end: usize) {
        let now = self.clock(end);
        while let Some(event) = self.ends[end].poll() {
            if let Event::Accepted(handle, from) = event {
                assert_eq!(from, ADDRESSES[1 - end]);
                self.handles[end] = Some(handle);
            }
        }
        if let Some(handle) = self.handles[end] {
            self.read(end, handle);
            self.write(end, handle);
        }
        let mut out = Vec::new();
        while let Some(transmit) = self.ends[end].transmit(now, 8, &mut out) {
            assert_eq!(transmit.to, ADDRESSES[1 - end]);
            for datagram in out.chunks(transmit.segment) {
                self.fly(end, datagram.to_vec(), transmit.probe);
            }
            out.clear();
        }
    }

    fn read(&mut self, end: usize, handle: Handle) {
        while self.reading {
            match self.ends[end].read(handle) {
                Read::Data(bytes) => self.received[end].extend_from_slice(&bytes),
                Read::End => {
                    self.ended[end] = true;
                    break;
                }
                Read::Empty | Read::Failed(_) => break,
            }
        }
    }

    fn write(&mut self, end: usize, handle: Handle) {
        while self.written[end] < self.to_write[end] {
            let Ok(room @ 1..) = self.ends[end].room(handle) else {
                return;
            };
            let length = room.min(16_384).min(self.to_write[end] - self.written[end]);
            let bytes: Vec<u8> = (self.written[end]..self.written[end] + length).map(pattern).collect();
            self.ends[end].write(handle, bytes.into());
            self.written[end] += length;
        }
    }

    /// Goes on to the next thing that happens.
    fn step(&mut self) -> bool {
        for end in 0..2 {
            self.work(end);
        }
        let arrival = self.flying.first_key_value().map(|((at, _), _)| *at);
        let skew = Span::from_micros(self.skew);
        let timers = (0..2).filter_map(|end| {
            let deadline = self.ends[end].deadline()?;
            Some(if end == 1 { deadline - skew } else { deadline })
        });
        let Some(next) = timers.chain(arrival).min() else {
            return false;
        };
        self.now = self.now.max(next);
        while let Some((&(at, count), _)) = self.flying.first_key_value()
            && at <= self.now
        {
            if let Some((to, datagram)) = self.flying.remove(&(at, count)) {
                let now = self.clock(to);
                self.ends[to].receive(now, ADDRESSES[1 - to], &datagram);
            }
        }
        for end in 0..2 {
            let now = self.clock(end);
            self.ends[end].due(now);
        }
        true
    }

    /// Until all bytes are there; how long it took.
    fn finish(&mut self) -> Span {
        let start = self.now;
        let limit = start + Span::from_secs(3_600);
        while (0..2).any(|end| self.received[1 - end].len() < self.to_write[end]) {
            assert!(
                self.step() && self.now < limit,
                "stuck at {:?} of {:?}",
                self.lengths(),
                self.to_write
            );
        }
        for end in 0..2 {
            let wrong = self.received[1 - end]
                .iter()
                .enumerate()
                .find(|(at, byte)| **byte != pattern(*at));
            assert_eq!(wrong, None);
        }
        self.now.since(start)
    }

    fn lengths(&self) -> [usize; 2] {
        [self.received[0].len(), self.received[1].len()]
    }
}

#[test]
fn every_byte_arrives_in_order_over_any_path() {
    for seed in 0..60 {
        let mut rng = Rng::new(seed);
        let path = Path {
            delay: Span::from_millis(rng.below(200) as u64),
            rate: [0, 100_000, 1_000_000][rng.below(3)],
            queue: 20_000 + rng.below(200_000),
            lost: rng.below(1_000),
            repeated: rng.below(2_000),
            late: (rng.below(3_000), Span::from_millis(1 + rng.below(100) as u64)),
            mtu: 1_240 + rng.below(300),
        };
        let bytes = [rng.below(400_000), 1 + rng.below(100_000)];
        World::open(path, seed, [bytes[0].max(1), bytes[1]]).finish();
    }
}

#[test]
fn a_fast_path_is_filled() {
    // 100 Mbit/s, 20 ms each way, and a queue of half the path's content.
    for lost in [0, 10] {
        let path = Path {
            delay: Span::from_millis(20),
            rate: 12_500_000,
            queue: 250_000,
            lost,
            ..GOOD
        };
        let bytes = 60_000_000;
        let took = World::open(path, 1, [bytes, 0]).finish();
        let share = bytes as u64 * 100 / (12_500_000 * took.as_micros() / 1_000_000);
        let least = if lost == 0 { 85 } else { 50 };
        assert!(share >= least, "{share} % with {lost} of 10,000 lost");
    }
}

#[test]
fn a_lone_stream_keeps_its_own_queue_near_the_target() {
    // 20 Mbit/s, and a router that would hold two seconds.
    let path = Path {
        delay: Span::from_millis(20),
        rate: 2_500_000,
        queue: 5_000_000,
        ..GOOD
    };
    let mut world = World::open(path, 1, [50_000_000, 0]);
    while world.received[1].len() < 10_000_000 {
        assert!(world.step());
    }
    world.longest = Span::ZERO;
    let took = world.finish();
    let share = 40_000_000 * 100 / (2_500_000 * took.as_micros() / 1_000_000);
    assert!(share >= 85, "{share} %");
    assert!(world.longest < Span::from_millis(150), "{:?}", world.longest);
}

#[test]
fn it_yields_when_others_fill_the_queue() {
    let path = Path {
        delay: Span::from_millis(20),
        rate: 2_500_000,
        queue: 5_000_000,
        ..GOOD
    };
    let mut world = World::open(path, 1, [usize::MAX / 2, 0]);
    while world.received[1].len() < 10_000_000 {
        assert!(world.step());
    }
    // Another's packets stand 300 ms deep for five seconds.
    let (start, before) = (world.now, world.received[1].len());
    while world.now.since(start) < Span::from_secs(5) {
        world.free_at[0] = world.free_at[0].max(world.now + Span::from_millis(300));
        assert!(world.step());
    }
    let share = (world.received[1].len() - before) * 100 / (5 * 2_500_000);
    assert!(share < 10, "{share} %");
}

#[test]
fn clocks_need_not_agree() {
    let path = Path {
        delay: Span::from_millis(20),
        rate: 2_500_000,
        queue: 500_000,
        ..GOOD
    };
    for skew in [0, 1 << 31, (1 << 32) - 1_500_000] {
        let mut world = World::new(path.clone(), 1);
        world.skew = skew;
        world.to_write = [5_000_000, 1_000_000];
        world.handles[0] = world.ends[0].connect(world.now, ADDRESSES[1]);
        assert!(world.finish() < Span::from_secs(4), "{skew}");
    }
}

#[test]
fn a_narrow_path_is_found_and_a_wide_one_used() {
    for (mtu, least) in [(1_500, 1_472), (1_400, 1_300), (1_232, 1_232)] {
        let mut world = World::open(Path { mtu, ..GOOD }, 1, [4_000_000, 0]);
        world.finish();
        let handle = world.handles[0].unwrap();
        let found = world.ends[0].of(handle).unwrap().datagram();
        assert!(found >= least && found <= mtu, "{found} of {mtu}");
    }
}

#[test]
fn both_ends_close() {
    for lost in [0, 1_000] {
        let mut world = World::open(Path { lost, ..GOOD }, 5, [100_000, 50_000]);
        world.finish();
        let [one, other] = world.handles.map(Option::unwrap);
        let now = world.now;
        world.ends[0].close(now, one);
        while !world.ended[1] {
            assert!(world.step(), "lost {lost}");
        }
        let now = world.clock(1);
        world.ends[1].close(now, other);
        while world.ends.iter().any(|end| !end.is_empty()) {
            assert!(world.step());
        }
        assert_eq!(
            world.ends[0].read(one),
            Read::Failed(Fault::Reset),
            "the handle is forgotten"
        );
        assert!(world.ends.iter().all(|end| end.held == 0 && end.unconfirmed == 0));
    }
}

#[test]
fn a_slow_reader_stops_the_sender_and_sets_it_going_again() {
    let mut world = World::open(GOOD, 1, [10_000_000, 0]);
    world.reading = false;
    while world.now < Time::from_micros(40_000_000) {
        assert!(world.step());
    }
    let held = world.ends[1].held;
    assert!(
        held <= Config::default().receive && held > Config::default().receive / 2,
        "{held}"
    );
    world.reading = true;
    world.finish();
}

#[test]
fn nobody_there_and_nobody_any_more() {
    let mut world = World::open(Path { lost: 10_000, ..GOOD }, 1, [1, 0]);
    let handle = world.handles[0].unwrap();
    let failed = |world: &mut World, handle| match world.ends[0].read(handle) {
        Read::Failed(fault) => Some(fault),
        _ => None,
    };
    while failed(&mut world, handle).is_none() {
        assert!(world.step());
    }
    assert_eq!(failed(&mut world, handle), Some(Fault::TimedOut));
    assert_eq!(world.sent, 3, "once, and twice again");

    let mut world = World::open(GOOD, 1, [30_000_000, 0]);
    while world.received[1].len() < 1_000_000 {
        assert!(world.step());
    }
    // The other end has been started anew.
    world.ends[1] = Socket::new(Config::default(), 9);
    world.handles[1] = None;
    let handle = world.handles[0].unwrap();
    while failed(&mut world, handle).is_none() {
        assert!(world.step());
    }
    assert_eq!(failed(&mut world, handle), Some(Fault::Reset));
}

#[test]
fn a_flood_of_opening_packets_takes_few_places_for_a_while() {
    let mut socket = Socket::new(
        Config {
            unconfirmed: 10,
            ..Config::default()
        },
        1,
    );
    let mut now = Time::ZERO;
    let opening = |id| {
        let kind = Kind::Syn;
        let (sequence, ack) = (Sequence(1), Sequence(0));
        let header = Header {
            kind,
            connection: id,
            timestamp: 1,
            difference: 0,
            window: 1_000,
            sequence,
            ack,
        };
        let mut out = Vec::new();
        header.encode(&[], &mut out);
        out
    };
    for id in 0..100 {
        socket.receive(now, ADDRESSES[0], &opening(id));
    }
    assert_eq!((socket.len(), socket.poll()), (10, None));
    let mut out = Vec::new();
    let mut answers = 0;
    while socket.transmit(now, 8, &mut out).is_some() {
        answers += 1;
    }
    assert_eq!((answers, out.len()), (10, 200), "no more goes out than came in");
    now += Span::from_secs(11);
    socket.due(now);
    assert!(socket.is_empty() && socket.unconfirmed == 0);
    socket.receive(now, ADDRESSES[0], &opening(500));
    assert_eq!(socket.len(), 1);
}

#[test]
fn an_idle_connection_keeps_its_way_open_and_costs_little() {
    let mut world = World::open(GOOD, 1, [1, 1]);
    world.finish();
    let (before, start) = (world.sent, world.now);
    while world.now.since(start) < Span::from_secs(600) {
        assert!(world.step());
    }
    let sent = world.sent - before;
    assert!((40..60).contains(&sent), "{sent} packets in ten minutes");
}

#[test]
fn datagrams_of_strangers_do_no_harm() {
    let mut world = World::open(GOOD, 3, [200_000, 0]);
    let mut rng = Rng::new(4);
    while world.received[1].len() < 200_000 {
        assert!(world.step());
        // Damaged copies of what is under way, from the right address.
        let copies: Vec<_> = world.flying.values().take(2).cloned().collect();
        for (to, mut datagram) in copies {
            let at = rng.below(datagram.len().min(20));
            // Not the bytes of the stream, nor what would make them others'.
            if (1..20).contains(&at) && !(16..18).contains(&at) {
                datagram[at] ^= 1 << rng.below(8);
                let now = world.clock(to);
                if datagram[1] == 0 {
                    datagram[2] ^= 0x55;
                }
                world.ends[to].receive(now, ADDRESSES[1 - to], &datagram);
            }
        }
    }
    world.finish();
}
