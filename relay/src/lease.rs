//! Leases of what all shards together may use: rates, the cache, memory, links and dials are divided by who needs them, again and again.
//!
//! Invariant: the leases of all shards are never more than the budget: what one gets others have given back before. A shard that
//! uses up its lease gets more while others leave something; where several want more than there is, each gets as much as the others (max-min
//! fairness), but that what a shard holds on to is left to it. Cost: a few loads for each shard every [`ROUND`]; shards hear of it only
//! when their leases change, and nothing happens with one shard.

use std::sync::Arc;
use std::time::Duration;

use tombolo_core::config::Config;
use tombolo_core::event::{Budgets, Event, Torrent};

use crate::shard::Usage;
use crate::shards::Shards;

/// How often it is divided anew. Longer leaves a shard that has just become busy with little.
const ROUND: Duration = Duration::from_millis(250);

/// The part of an equal share that an idle shard keeps, so that it can begin at once: one in so many.
const LEAST: u64 = 8;

/// The things that are divided.
const KINDS: usize = 6;
const UP: usize = 0;
const DOWN: usize = 1;
const CACHE: usize = 2;
const MEMORY: usize = 3;
const LINKS: usize = 4;
const DIALS: usize = 5;

/// What of each kind; `None`: there is no limit.
type Amounts = [Option<u64>; KINDS];

/// One thing that is divided.
#[derive(Clone, Debug)]
struct Pool {
    total: u64,
    /// Whether what a shard has cannot be taken from it: links stay open, and pieces on their way must arrive.
    held: bool,
    leases: Vec<u64>,
}

impl Pool {
    /// Divided evenly, as shards are started.
    fn new(total: u64, held: bool, shards: usize) -> Self {
        Self {
            total,
            held,
            leases: vec![total / shards.max(1) as u64; shards],
        }
    }

    /// Divides it anew by what each used since the last time (of what is used up) or has now (of what is held).
    fn divide(&mut self, used: &[u64]) {
        let shards = self.leases.len() as u64;
        let least = (self.total / shards / LEAST).max(1).min(self.total / shards);
        let floor = |used: u64| if self.held { used.max(least) } else { 0 };
        // Nearly all of a lease: it could use more.
        let demand = |(used, lease): (&u64, &u64)| {
            let wanted = (*used < lease - lease / 8).then(|| used.saturating_add(used / 4).saturating_add(least));
            wanted.map_or(u64::MAX, |wanted| wanted.saturating_sub(floor(*used)))
        };
        let mut wanted: Vec<_> = used.iter().zip(&self.leases).map(demand).enumerate().collect();
        wanted.sort_by_key(|(_, wanted)| *wanted);
        let kept = used.iter().fold(0, |kept: u64, used| kept.saturating_add(floor(*used)));
        let mut left = self.total.saturating_sub(kept);
        for (rest, (shard, wanted)) in (1..=shards).rev().zip(wanted) {
            let more = wanted.min(left / rest);
            self.leases[shard] = floor(used[shard]) + more;
            left -= more;
        }
        // Nobody asks for it: it is there for whoever does first.
        self.leases.iter_mut().for_each(|lease| *lease += left / shards);
    }
}

/// The leases of all shards.
#[derive(Clone, Debug)]
struct Leases {
    pools: [Option<Pool>; KINDS],
    shards: usize,
}

/// What one shard may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Lease(Amounts);

impl Leases {
    fn new(config: &Config, shards: usize) -> Self {
        let count = |limit: usize| (limit != usize::MAX).then_some(limit as u64);
        let mut totals: Amounts = [None; KINDS];
        (totals[UP], totals[DOWN]) = (config.up, config.down);
        (totals[CACHE], totals[MEMORY]) = (Some(config.cache), Some(config.memory));
        (totals[LINKS], totals[DIALS]) = (count(config.max_links), count(config.half_open));
        let pool =
            |kind: usize| totals[kind].map(|total| Pool::new(total, matches!(kind, MEMORY | LINKS | DIALS), shards));
        Self {
            pools: std::array::from_fn(pool),
            shards,
        }
    }

    /// Divides anew, by what each shard uses.
    fn divide(&mut self, used: &[[u64; KINDS]]) {
        for (kind, pool) in self.pools.iter_mut().enumerate() {
            if let Some(pool) = pool {
                pool.divide(&used.iter().map(|used| used[kind]).collect::<Vec<_>>());
            }
        }
    }

    fn of(&self, shard: usize) -> Lease {
        Lease(
            self.pools
                .each_ref()
                .map(|pool| pool.as_ref().map(|pool| pool.leases[shard])),
        )
    }

    /// What is to be said after these leases took the place of others: first to those that give something back, then to those that get
    /// something.
    fn news(&self, before: &Self) -> [Vec<(usize, Lease)>; 2] {
        let (mut back, mut more) = (Vec::new(), Vec::new());
        for shard in 0..self.shards {
            let (old, new) = (before.of(shard), self.of(shard));
            let less = old.min(new);
            if less != old {
                back.push((shard, less));
            }
            if new != less {
                more.push((shard, new));
            }
        }
        [back, more]
    }
}

impl Lease {
    /// The less of two, in each.
    fn min(self, other: Self) -> Self {
        Self(std::array::from_fn(|kind| self.0[kind].min(other.0[kind])))
    }

    fn tell(self, shards: &Shards, shard: usize) {
        let torrent = Torrent(u32::try_from(shard).unwrap_or(u32::MAX));
        let all = |kind: usize| self.0[kind].unwrap_or(u64::MAX);
        let count = |kind: usize| usize::try_from(all(kind)).unwrap_or(usize::MAX);
        shards.send(torrent, Event::Limit(self.0[UP], self.0[DOWN]));
        let budgets = Budgets {
            memory: all(MEMORY),
            cache: all(CACHE),
            links: count(LINKS),
            dials: count(DIALS),
        };
        shards.send(torrent, Event::Budgets(budgets));
    }
}

/// What a shard uses now; rates since it was looked at before.
fn used(usage: &Usage, before: &mut [u64; 2]) -> [u64; KINDS] {
    let rounds_a_second = 1_000 / u64::try_from(ROUND.as_millis()).unwrap_or(1_000);
    let now = [usage.sent.get(), usage.received.get()];
    let rate = |kind: usize| now[kind].wrapping_sub(before[kind]) * rounds_a_second;
    let mut used = [0; KINDS];
    (used[UP], used[DOWN]) = (rate(0), rate(1));
    (used[CACHE], used[MEMORY]) = (usage.cache.get(), usage.memory.get());
    (used[LINKS], used[DIALS]) = (usage.links.get(), usage.dials.get());
    *before = now;
    used
}

/// Divides the budgets of a configuration for as long as there are shards.
pub(crate) async fn run(shards: Shards, config: Config) {
    let usages: Vec<Arc<Usage>> = shards.usages();
    let count = usages.len();
    if count < 2 {
        return;
    }
    let mut leases = Leases::new(&config, count);
    let mut before = vec![[0; 2]; count];
    loop {
        tokio::time::sleep(ROUND).await;
        let old = leases.clone();
        let used: Vec<_> = usages
            .iter()
            .zip(&mut before)
            .map(|(usage, before)| used(usage, before))
            .collect();
        leases.divide(&used);
        let [back, more] = leases.news(&old);
        for (shard, lease) in &back {
            lease.tell(&shards, *shard);
        }
        // Who gives back does so before anyone gets it: a look is answered when what was said before it has been obeyed.
        for (shard, _) in &back {
            let torrent = Torrent(u32::try_from(*shard).unwrap_or(u32::MAX));
            if shards.look(torrent, |_| ()).await.is_none() {
                return;
            }
        }
        for (shard, lease) in more {
            lease.tell(&shards, shard);
        }
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
            assert!(
                !pool.held || pool.leases.iter().zip(&used).all(|(lease, used)| lease >= used),
                "{pool:?}"
            );
            assert!(pool.leases.iter().sum::<u64>() <= pool.total, "{pool:?}");
        }
        used
    }

    #[test]
    fn one_busy_shard_gets_nearly_all() {
        let mut pool = Pool::new(1_000_000, false, 2);
        let used = settle(&mut pool, &[u64::MAX, 0]);
        assert!(used[0] >= 900_000, "{used:?}");
        let used = settle(&mut pool, &[0, u64::MAX]);
        assert!(used[1] >= 900_000, "{used:?}");
        let mut pool = Pool::new(1_000_000, false, 8);
        let used = settle(&mut pool, &[0, 0, 0, u64::MAX, 0, 0, 0, 0]);
        assert!(used[3] >= 850_000, "{used:?}");
    }

    #[test]
    fn busy_shards_get_as_much_as_each_other() {
        let mut pool = Pool::new(1_000_000, false, 2);
        settle(&mut pool, &[u64::MAX, 0]);
        let used = settle(&mut pool, &[u64::MAX, u64::MAX]);
        assert!(used.iter().all(|used| *used >= 450_000), "{used:?}");
        let mut pool = Pool::new(900_000, false, 3);
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
                settle(&mut Pool::new(total, false, 3), &wanted);
                settle(&mut Pool::new(total, true, 3), &wanted);
            }
        }
    }

    #[test]
    fn what_is_held_stays_and_nobody_is_left_without() {
        let mut pool = Pool::new(200, true, 2);
        assert!(settle(&mut pool, &[u64::MAX, 0])[0] >= 180, "{pool:?}");
        // The first holds on to all that it has; the second can begin all the same.
        let first = pool.leases[0];
        pool.divide(&[first, pool.leases[1]]);
        assert!(pool.leases[0] == first && pool.leases[1] >= 10, "{pool:?}");
        // As the first lets go, the second gets it.
        for held in (0..first).rev() {
            pool.divide(&[held, pool.leases[1]]);
            assert!(pool.leases.iter().sum::<u64>() <= 200, "{pool:?}");
        }
        assert!(pool.leases[1] >= 180, "{pool:?}");
    }

    #[test]
    fn nobody_is_told_what_it_knows() {
        let config = Config {
            up: Some(1_000_000),
            max_links: 100,
            ..Config::default()
        };
        let mut leases = Leases::new(&config, 2);
        let mut divide = |used: &[[u64; KINDS]; 2]| {
            let old = leases.clone();
            leases.divide(used);
            leases
                .news(&old)
                .map(|told| told.into_iter().map(|(shard, _)| shard).collect::<Vec<_>>())
        };
        let none: [Vec<usize>; 2] = Default::default();
        let idle = [[0; KINDS]; 2];
        assert_eq!(divide(&idle), none, "they were started with that");
        let mut busy = idle;
        busy[1][UP] = 500_000;
        assert_eq!(divide(&busy), [vec![0], vec![1]], "one gives back, then the other gets");
        busy[1][UP] = 900_000;
        divide(&busy);
        assert_eq!(divide(&busy), none);
    }
}
