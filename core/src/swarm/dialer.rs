//! Which addresses to connect to, and when: few attempts at a time, failed ones later and later.

use alloc::vec::Vec;
use core::cmp::Reverse;
use core::net::SocketAddr;

use crate::event::{Dial, Link};
use crate::map::Map;
use crate::rng::Rng;
use crate::time::{Span, Time};

/// Attempts under way at once in one torrent. More would look like a scan to a router.
const HALF_OPEN: usize = 20;

/// Addresses remembered in one torrent.
const MAX_KNOWN: usize = 2_000;

/// The wait after a first failure; it doubles with each one.
const BACK_OFF: Span = Span::from_secs(5);

/// Failures in a row after which an address is forgotten.
const MAX_FAILURES: u32 = 6;

/// The addresses known in one torrent.
#[derive(Debug, Default)]
pub(crate) struct Dialer {
    known: Map<SocketAddr, Known>,
    dials: Map<Dial, SocketAddr>,
}

#[derive(Debug)]
struct Known {
    failures: u32,
    next: Time,
    state: State,
}

#[derive(Debug, PartialEq)]
enum State {
    Idle,
    Dialling,
    Linked(Link),
}

impl Dialer {
    /// Remembers an address; nothing changes if it is known.
    pub(crate) fn add(&mut self, address: SocketAddr, now: Time) {
        let usable = address.port() != 0 && !address.ip().is_unspecified() && !address.ip().is_multicast();
        if usable && (self.known.len() < MAX_KNOWN || self.known.contains_key(&address)) {
            self.known.get_or_insert_with(address, || Known {
                failures: 0,
                next: now,
                state: State::Idle,
            });
        }
    }

    /// Never connect to it again (until it is named again).
    pub(crate) fn forget(&mut self, address: SocketAddr) {
        self.known.remove(&address);
    }

    /// The address may not be dialled for now: it counts as one that failed.
    pub(crate) fn pass_over(&mut self, address: SocketAddr, now: Time) {
        self.back_off(address, now);
    }

    /// Nothing is waited for: who failed or was passed over is tried again.
    #[cfg(feature = "native")]
    pub(crate) fn hurry(&mut self, now: Time) {
        self.known
            .values_mut()
            .for_each(|known| known.next = known.next.min(now));
    }

    /// How many addresses are known.
    pub(crate) fn known(&self) -> usize {
        self.known.len()
    }

    /// How many attempts are under way.
    pub(crate) fn dialling(&self) -> usize {
        self.dials.len()
    }

    /// Whether an address is known and nothing is under way with it.
    #[cfg(feature = "native")]
    pub(crate) fn is_idle(&self, address: SocketAddr) -> bool {
        self.known.get(&address).is_some_and(|known| known.state == State::Idle)
    }

    /// Up to `room` addresses to connect to now: those that failed least, of them those of the highest `rank`, else in random order.
    pub(crate) fn choose<R: Copy + Ord>(
        &mut self,
        room: usize,
        now: Time,
        rng: &mut Rng,
        rank: impl Fn(SocketAddr) -> R,
    ) -> Vec<SocketAddr> {
        let room = room.min(HALF_OPEN.saturating_sub(self.dials.len()));
        if room == 0 {
            return Vec::new();
        }
        let due = |known: &Known| known.state == State::Idle && known.next <= now;
        let mut due: Vec<_> = self
            .known
            .iter()
            .filter(|(_, known)| due(known))
            .map(|(address, known)| (known.failures, Reverse(rank(*address)), *address))
            .collect();
        rng.shuffle(&mut due);
        due.sort_by_key(|(failures, rank, _)| (*failures, *rank));
        due.truncate(room);
        due.into_iter().map(|(_, _, address)| address).collect()
    }

    /// An attempt begins.
    pub(crate) fn begin(&mut self, dial: Dial, address: SocketAddr) {
        if let Some(known) = self.known.get_mut(&address) {
            known.state = State::Dialling;
            self.dials.insert(dial, address);
        }
    }

    /// An attempt came to nothing; with whom.
    pub(crate) fn fail(&mut self, dial: Dial, now: Time) -> Option<SocketAddr> {
        let address = self.dials.remove(&dial)?;
        self.back_off(address, now);
        Some(address)
    }

    /// An attempt became a link.
    pub(crate) fn link(&mut self, dial: Dial, link: Link) {
        if let Some(known) = self
            .dials
            .remove(&dial)
            .and_then(|address| self.known.get_mut(&address))
        {
            known.state = State::Linked(link);
        }
    }

    /// A link is gone. One that was `useful` may be had again soon.
    pub(crate) fn unlink(&mut self, link: Link, useful: bool, now: Time) {
        let linked = |(address, known): (&SocketAddr, &Known)| (known.state == State::Linked(link)).then_some(*address);
        let address = self.known.iter().find_map(linked);
        if let Some(address) = address {
            if let (true, Some(known)) = (useful, self.known.get_mut(&address)) {
                known.failures = 0;
            }
            self.back_off(address, now);
        }
    }

    /// When the next attempt is due, if one is waiting.
    pub(crate) fn deadline(&self) -> Option<Time> {
        self.known
            .values()
            .filter(|known| known.state == State::Idle)
            .map(|known| known.next)
            .min()
    }

    /// No attempt is answered any more (the torrent was paused).
    pub(crate) fn stop(&mut self, now: Time) {
        self.dials.clear();
        for known in self.known.values_mut() {
            *known = Known {
                failures: 0,
                next: now,
                state: State::Idle,
            };
        }
    }

    fn back_off(&mut self, address: SocketAddr, now: Time) {
        let Some(known) = self.known.get_mut(&address) else {
            return;
        };
        known.failures += 1;
        known.state = State::Idle;
        known.next = now + Span::from_micros(BACK_OFF.as_micros() << known.failures.min(8).saturating_sub(1));
        if known.failures > MAX_FAILURES {
            self.known.remove(&address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[test]
    fn a_failed_address_waits_longer_each_time_and_is_forgotten_in_the_end() {
        let (mut dialer, mut rng, mut now) = (Dialer::default(), Rng::new(1), Time::ZERO);
        dialer.add(address(1), now);
        let mut waits = Vec::new();
        for n in 0.. {
            if dialer.choose(10, now, &mut rng, |_| 0).is_empty() {
                break;
            }
            dialer.begin(Dial(n), address(1));
            assert!(dialer.choose(10, now, &mut rng, |_| 0).is_empty(), "it is being tried");
            dialer.fail(Dial(n), now);
            let Some(next) = dialer.deadline() else { break };
            waits.push(next.since(now).as_secs());
            now = next;
        }
        assert_eq!(waits, [5, 10, 20, 40, 80, 160]);
        assert_eq!(dialer.known(), 0);
    }

    #[test]
    fn unusable_addresses_are_not_kept() {
        let mut dialer = Dialer::default();
        dialer.add(address(0), Time::ZERO);
        dialer.add(SocketAddr::from(([0, 0, 0, 0], 6881)), Time::ZERO);
        dialer.add(SocketAddr::from(([239, 0, 0, 1], 6881)), Time::ZERO);
        assert_eq!(dialer.known(), 0);
    }

    #[test]
    fn the_highest_rank_is_tried_first_among_those_that_did_not_fail() {
        let (mut dialer, mut rng) = (Dialer::default(), Rng::new(1));
        (1..=4).for_each(|port| dialer.add(address(port), Time::ZERO));
        let rank = |address: SocketAddr| u32::from(address.port());
        assert_eq!(dialer.choose(1, Time::ZERO, &mut rng, rank), [address(4)]);
        dialer.begin(Dial(1), address(4));
        assert_eq!(dialer.fail(Dial(1), Time::ZERO), Some(address(4)));
        let later = Time::ZERO + Span::from_secs(60);
        let order = dialer.choose(4, later, &mut rng, rank);
        assert_eq!(order, [3, 2, 1, 4].map(address));
    }

    #[test]
    fn few_attempts_are_under_way_at_once() {
        let (mut dialer, mut rng) = (Dialer::default(), Rng::new(1));
        (1..100).for_each(|port| dialer.add(address(port), Time::ZERO));
        for (n, address) in (0..).zip(dialer.choose(80, Time::ZERO, &mut rng, |_| 0)) {
            dialer.begin(Dial(n), address);
        }
        assert_eq!(dialer.dialling(), HALF_OPEN);
        assert!(dialer.choose(80, Time::ZERO, &mut rng, |_| 0).is_empty());
    }
}
