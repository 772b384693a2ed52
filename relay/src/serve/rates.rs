//! How often an address may ask, so that none takes the relay from the others.
//!
//! Each address has a bucket of requests that fills at a steady rate; a request that finds it empty is refused. What is kept of
//! an address is when its bucket is full again, and nothing once it is: at most [`MAX_ADDRESSES`] entries of some 30 bytes. Cost of a
//! request: one look into a table behind a lock.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::guard::network;

/// Announces and scrapes, by HTTP, UDP and WebSocket together. Many peers may share an address, behind a provider's router:
/// each announces every two minutes, so this is enough for 60,000 of them, and costs a few hundredths of one core.
const TRACKER: Rate = Rate {
    a_second: 500,
    at_once: 10_000,
};

/// Requests to `/api`: a tab asks once a second for each of its torrents.
const API: Rate = Rate {
    a_second: 100,
    at_once: 1_000,
};

/// Addresses that are remembered. While there are more that ask at the same time, the further ones are not limited.
const MAX_ADDRESSES: usize = 1 << 16;

/// How often one may look for addresses to forget.
const SWEEP: Duration = Duration::from_secs(1);

/// How often one address may ask.
#[derive(Clone, Copy, Debug)]
struct Rate {
    a_second: u32,
    /// What it has for the beginning, and after a pause.
    at_once: u32,
}

/// The limits of all addresses.
#[derive(Debug)]
pub(super) struct Rates {
    started: Instant,
    tracker: Buckets,
    api: Buckets,
    on: bool,
}

impl Rates {
    /// Every bucket is full. With `on` off nothing is refused.
    pub(super) fn new(on: bool) -> Self {
        Self {
            started: Instant::now(),
            tracker: Buckets::new(TRACKER),
            api: Buckets::new(API),
            on,
        }
    }

    /// Whether an address may announce or scrape now.
    pub(super) fn tracker(&self, address: IpAddr) -> bool {
        self.take(&self.tracker, address)
    }

    /// Whether an address may ask the API now.
    pub(super) fn api(&self, address: IpAddr) -> bool {
        self.take(&self.api, address)
    }

    fn take(&self, buckets: &Buckets, address: IpAddr) -> bool {
        !self.on || buckets.take(network(address), self.started.elapsed())
    }
}

/// The buckets of one kind of request.
#[derive(Debug)]
struct Buckets {
    rate: Rate,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    /// When each bucket is full again.
    full_at: HashMap<IpAddr, Duration>,
    swept_at: Duration,
}

impl Buckets {
    fn new(rate: Rate) -> Self {
        Self {
            rate,
            table: Mutex::default(),
        }
    }

    /// Takes a request out of a bucket. False: it was empty.
    fn take(&self, address: IpAddr, now: Duration) -> bool {
        let each = Duration::from_secs(1) / self.rate.a_second;
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let full_at = table.full_at.get(&address).map_or(now, |at| *at).max(now) + each;
        if full_at - now > each * self.rate.at_once {
            return false;
        }
        if table.full_at.len() >= MAX_ADDRESSES && !table.full_at.contains_key(&address) {
            if now < table.swept_at + SWEEP {
                return true;
            }
            table.swept_at = now;
            table.full_at.retain(|_, at| *at > now);
        }
        table.full_at.insert(address, full_at);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate {
        a_second: 10,
        at_once: 5,
    };

    fn address(number: u32) -> IpAddr {
        IpAddr::V4(number.into())
    }

    #[test]
    fn what_is_saved_up_and_then_so_many_a_second() {
        let buckets = Buckets::new(RATE);
        let at = |millis| {
            (0..100)
                .filter(|_| buckets.take(address(1), Duration::from_millis(millis)))
                .count()
        };
        assert_eq!(at(0), 5);
        assert_eq!(at(99), 0);
        assert_eq!(at(100), 1);
        assert_eq!(at(400), 3);
        assert_eq!(at(60_000), 5, "no more is saved up");
        assert!(
            buckets.take(address(2), Duration::from_secs(60)),
            "others are not concerned"
        );
    }

    #[test]
    fn addresses_that_are_quiet_are_forgotten() {
        let buckets = Buckets::new(RATE);
        let all = u32::try_from(MAX_ADDRESSES).unwrap();
        assert!((0..all).all(|number| buckets.take(address(number), Duration::ZERO)));
        let known = || buckets.table.lock().unwrap().full_at.len();
        assert!(
            buckets.take(address(all), Duration::from_millis(50)),
            "one too many is let in"
        );
        assert_eq!(known(), MAX_ADDRESSES);
        assert!(buckets.take(address(all), Duration::from_secs(2)));
        assert_eq!(known(), 1);
    }

    #[test]
    fn limits_can_be_lifted() {
        let requests = 2 * TRACKER.at_once;
        let asked = |on| {
            let rates = Rates::new(on);
            (0..requests).filter(|_| rates.tracker(address(1))).count()
        };
        assert!(asked(true) < asked(false));
        assert_eq!(asked(false), requests as usize);
    }
}
