//! Our own address, as others see it (BEP 42): believed when enough of them say the same.

use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use super::table::same_place;
use crate::address::is_local;

/// Nodes at different places that must agree.
const QUORUM: usize = 4;

/// Opinions that are remembered, the newest.
const MAX_VOTES: usize = 16;

/// What others say of our address.
#[derive(Debug, Default)]
pub(crate) struct Votes {
    votes: Vec<(SocketAddr, IpAddr)>,
    elected: Option<IpAddr>,
}

impl Votes {
    /// A node says that we are at `ip`; our address, when that decides it anew.
    pub(crate) fn vote(&mut self, voter: SocketAddr, ip: IpAddr) -> Option<IpAddr> {
        let ip = ip.to_canonical();
        if is_local(ip) || is_local(voter.ip()) {
            return None;
        }
        self.votes.retain(|(other, _)| !same_place(*other, voter));
        if self.votes.len() == MAX_VOTES {
            self.votes.remove(0);
        }
        self.votes.push((voter, ip));
        let agreed = self.votes.iter().filter(|(_, vote)| *vote == ip).count();
        let elected = agreed >= QUORUM && agreed * 2 > self.votes.len();
        (elected && self.elected != Some(ip)).then(|| {
            self.elected = Some(ip);
            ip
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_majority_of_several_places_decides() {
        let mut votes = Votes::default();
        let voter = |n: u8| SocketAddr::from(([60, 1, 1, n], 1));
        let (ours, lie): (IpAddr, IpAddr) = ("8.8.4.4".parse().unwrap(), "6.6.6.6".parse().unwrap());
        for port in 1..20 {
            let voter = SocketAddr::from(([61, 1, 1, 1], port));
            assert_eq!(votes.vote(voter, lie), None, "one place has one vote");
        }
        assert_eq!((1..=3).find_map(|n| votes.vote(voter(n), ours)), None);
        assert_eq!(votes.vote(voter(4), ours), Some(ours));
        assert_eq!(votes.vote(voter(5), ours), None, "known already");
        assert_eq!(votes.vote(voter(6), "10.0.0.1".parse().unwrap()), None);
        let moved = "9.9.9.9".parse().unwrap();
        let decided = (1..=16).filter_map(|n| votes.vote(voter(n), moved)).count();
        assert_eq!(decided, 1);
    }
}
