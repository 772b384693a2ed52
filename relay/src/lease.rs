//! Leases of what all shards together may use: rates and the cache are divided by who needs them, again and again.
//!
//! Invariant: the leases of all shards are never more than the budget: what one gets others have given back before. A shard that
//! uses up its lease gets more while others leave something; where several want more than there is, each gets as much as the others (max-min
//! fairness). Cost: a message to each shard every [`ROUND`] while there is anything to divide, and none with one shard.

use std::time::Duration;

use tombolo_core::event::{Event, Torrent};

use crate::shard::Counts;
use crate::shards::Shards;

/// How often it is divided anew. Longer leaves a shard that has just become busy with little; shorter wakes idle ones.
const ROUND: Duration = Duration::from_millis(250);

/// The part of an equal share that an idle shard keeps, so that it can begin at once: one in so many.
const LEAST: u64 = 8;

/// What all shards together may use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    /// Bytes a second sent.
    pub(crate) up: Option<u64>,
    /// Bytes a second received.
    pub(crate) down: Option<u64>,
    /// Bytes of pieces between request and storage; divided evenly, since they are held for moments.
    pub(crate) memory: u64,
    /// Bytes of pieces in the cache.
    pub(crate) cache: u64,
}

/// One thing that is divided.
#[derive(Clone, Debug)]
struct Pool {
    total: u64,
    leases: Vec<u64>,
}

impl Pool {
    /// Divided evenly, as shards are started.
    fn new(total: u64, shards: usize) -> Self {
        Self {
            total,
            leases: vec![total / shards.max(1) as u64; shards],
        }
    }

    /// Divides it anew by what each used since the last time (of what is used up) or has now (of what is held).
    fn divide(&mut self, used: &[u64]) {
        let shards = self.leases.len() as u64;
        let least = self.total / shards / LEAST;
        // Nearly all of a lease: it could use more.
        let demand = |(used, lease): (&u64, &u64)| (*used < lease - lease / 8).then(|| used + used / 4 + least);
        let mut wanted: Vec<_> = used.iter().zip(&self.leases).map(demand).enumerate().collect();
        wanted.sort_by_key(|(_, wanted)| wanted.unwrap_or(u64::MAX));
        let mut left = self.total;
        for (rest, (shard, wanted)) in (1..=shards).rev().zip(wanted) {
            let fair = left / rest;
            let lease = wanted.map_or(fair, |wanted| wanted.min(fair));
            self.leases[shard] = lease;
            left -= lease;
        }
        // Nobody asks for it: it is there for whoever does first.
        self.leases.iter_mut().for_each(|lease| *lease += left / shards);
    }
}

/// The leases of all shards.
#[derive(Clone, Debug)]
struct Leases {
    up: Option<Pool>,
    down: Option<Pool>,
    cache: Pool,
}

/// What one shard may use.
#[derive(Clone, Copy, Debug)]
struct Lease {
    up: Option<u64>,
    down: Option<u64>,
    cache: u64,
}

impl Leases {
    fn new(budget: &Budget, shards: usize) -> Self {
        let pool = |total: u64| Pool::new(total, shards);
        Self {
            up: budget.up.map(pool),
            down: budget.down.map(pool),
            cache: pool(budget.cache),
        }
    }

    /// Divides anew, by what the shards had done before and have done now.
    fn divide(&mut self, before: &[Counts], now: &[Counts]) {
        let rounds_a_second = 1_000 / u64::try_from(ROUND.as_millis()).unwrap_or(1_000);
        let rate = |total: fn(&Counts) -> u64| {
            let passed = now
                .iter()
                .zip(before)
                .map(|(now, before)| total(now).saturating_sub(total(before)));
            passed.map(|bytes| bytes * rounds_a_second).collect::<Vec<_>>()
        };
        if let Some(up) = &mut self.up {
            up.divide(&rate(|counts| counts.sent.total()));
        }
        if let Some(down) = &mut self.down {
            down.divide(&rate(|counts| counts.received.total()));
        }
        self.cache
            .divide(&now.iter().map(|counts| counts.cache).collect::<Vec<_>>());
    }

    fn of(&self, shard: usize) -> Lease {
        let of = |pool: &Option<Pool>| pool.as_ref().map(|pool| pool.leases[shard]);
        Lease {
            up: of(&self.up),
            down: of(&self.down),
            cache: self.cache.leases[shard],
        }
    }
}

impl Lease {
    /// The less of two, in each.
    fn min(self, other: Self) -> Self {
        Self {
            up: self.up.min(other.up),
            down: self.down.min(other.down),
            cache: self.cache.min(other.cache),
        }
    }

    fn tell(self, shards: &Shards, shard: usize, memory: u64) {
        let torrent = Torrent(u32::try_from(shard).unwrap_or(u32::MAX));
        shards.send(torrent, Event::Limit(self.up, self.down));
        shards.send(torrent, Event::Budgets(memory, self.cache));
    }
}

/// Divides a budget for as long as there are shards.
pub(crate) async fn run(shards: Shards, budget: Budget) {
    let count = shards.len();
    if count < 2 {
        return;
    }
    let memory = budget.memory / count as u64;
    let mut leases = Leases::new(&budget, count);
    let mut before = vec![Counts::default(); count];
    loop {
        tokio::time::sleep(ROUND).await;
        let now = shards.look_all(|view| view.counts()).await;
        if now.len() != count {
            return;
        }
        let old = leases.clone();
        leases.divide(&before, &now);
        before = now;
        // Who gives back does so before anyone gets it: a look is answered when what was said before it has been obeyed.
        (0..count).for_each(|shard| leases.of(shard).min(old.of(shard)).tell(&shards, shard, memory));
        shards.look_all(|_| ()).await;
        (0..count).for_each(|shard| leases.of(shard).tell(&shards, shard, memory));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shards that would use so much, and use what they may: what each does after some rounds. The budget holds in each.
    fn settle(pool: &mut Pool, wanted: &[u64]) -> Vec<u64> {
        let mut used = Vec::new();
        for _ in 0..40 {
            used = pool
                .leases
                .iter()
                .zip(wanted)
                .map(|(lease, wanted)| *lease.min(wanted))
                .collect();
            pool.divide(&used);
            assert!(pool.leases.iter().sum::<u64>() <= pool.total, "{pool:?}");
        }
        used
    }

    #[test]
    fn one_busy_shard_gets_nearly_all() {
        let mut pool = Pool::new(1_000_000, 2);
        let used = settle(&mut pool, &[u64::MAX, 0]);
        assert!(used[0] >= 900_000, "{used:?}");
        let used = settle(&mut pool, &[0, u64::MAX]);
        assert!(used[1] >= 900_000, "{used:?}");
        let mut pool = Pool::new(1_000_000, 8);
        let used = settle(&mut pool, &[0, 0, 0, u64::MAX, 0, 0, 0, 0]);
        assert!(used[3] >= 850_000, "{used:?}");
    }

    #[test]
    fn busy_shards_get_as_much_as_each_other() {
        let mut pool = Pool::new(1_000_000, 2);
        settle(&mut pool, &[u64::MAX, 0]);
        let used = settle(&mut pool, &[u64::MAX, u64::MAX]);
        assert!(used.iter().all(|used| *used >= 450_000), "{used:?}");
        let mut pool = Pool::new(900_000, 3);
        let used = settle(&mut pool, &[u64::MAX, 100_000, u64::MAX]);
        assert!(
            used[1] == 100_000 && used[0] >= 330_000 && used[2] >= 330_000,
            "{used:?}"
        );
    }

    #[test]
    fn any_budget_is_held() {
        for total in [0, 1, 7, 1_000, u64::MAX / 4] {
            for wanted in [[0, 0, 0], [u64::MAX; 3], [1, u64::MAX, 0]] {
                settle(&mut Pool::new(total, 3), &wanted);
            }
        }
    }
}
