//! Whether strangers reach us: whether whoever we have not spoken to can ask us something.
//!
//! A NAT lets in those that we have sent something to of late, so that only others count. Cost: at most 8,192 addresses.

use core::net::{IpAddr, SocketAddr};

use crate::map::Set;
use crate::time::{Span, Time};

/// How long, at least, it is remembered whom we have spoken to: NATs forget sooner.
const OPEN: Span = Span::from_secs(10 * 60);

/// Addresses that are remembered of each such time. Where there are more, nobody is taken for a stranger.
const MAX: usize = 4_096;

/// How long a stranger's question shows that strangers reach us. A node that is one of many is asked every few minutes.
pub(super) const REACHED: Span = Span::from_secs(30 * 60);

/// What is known of it.
#[derive(Debug, Default)]
pub(crate) struct Reach {
    /// Whom we have spoken to, in this time and in that before.
    spoken: [Set<IpAddr>; 2],
    turned: Time,
    reached: Option<Time>,
}

impl Reach {
    /// We ask somebody something.
    pub(crate) fn speak(&mut self, to: SocketAddr, now: Time) {
        if now.since(self.turned) >= OPEN {
            self.spoken.swap(0, 1);
            self.spoken[0] = Set::new();
            self.turned = now;
        }
        if self.spoken[0].len() < MAX {
            self.spoken[0].insert(to.ip());
        }
    }

    /// Somebody asks us something.
    pub(crate) fn hear(&mut self, from: SocketAddr, now: Time) {
        let unknown = |spoken: &Set<IpAddr>| spoken.len() < MAX && !spoken.contains(&from.ip());
        if self.spoken.iter().all(unknown) {
            self.reached = Some(now);
        }
    }

    /// Whether strangers reach us, as far as is known.
    pub(crate) fn is_open(&self, now: Time) -> bool {
        self.reached.is_some_and(|at| now.since(at) <= REACHED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_strangers_count_and_not_for_ever() {
        let at = |n: u32| SocketAddr::from((n.to_be_bytes(), 1));
        let mut reach = Reach::default();
        let second = |n: u64| Time::ZERO + Span::from_secs(n);
        reach.speak(at(1), Time::ZERO);
        reach.hear(SocketAddr::new(at(1).ip(), 9), second(1));
        reach.speak(at(2), second(600));
        reach.hear(at(1), second(601));
        assert!(!reach.is_open(second(601)), "it was spoken to a while ago");
        reach.hear(at(3), second(602));
        assert!(reach.is_open(second(602)) && !reach.is_open(second(602) + REACHED + Span::from_secs(1)));
        let mut busy = Reach::default();
        (0..5_000).for_each(|n| busy.speak(at(n), Time::ZERO));
        busy.hear(at(9_999), Time::ZERO);
        assert!(
            !busy.is_open(Time::ZERO) && busy.spoken[0].len() == MAX,
            "it may have been spoken to"
        );
    }
}
