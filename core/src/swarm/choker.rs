//! Whom to serve: every ten seconds a [`Policy`] names the links to be unchoked; between rounds [`admits`] fills free
//! slots at once.
//!
//! Uninterested peers take no slot. Partners (our own relay and tabs it serves) are always unchoked and take none
//! either. O(candidates x log candidates) a round.

use crate::gather::Gather;
use crate::rng::Rng;
use crate::time::{Span, Time};
use alloc::vec::Vec;

/// How often a policy is asked (BEP 3). Shorter lets TCP not reach its rate within a round: fibrillation.
pub const ROUND: Span = Span::from_secs(10);

/// How long a peer is unchoked optimistically (BEP 3): long enough to get a piece and to give back.
pub const OPTIMISTIC: Span = Span::from_secs(30);

/// A peer that sends no data for so long although we ask is snubbing us (BEP 3: over a minute).
pub const SNUBBED: Span = Span::from_secs(60);

/// How many peers are unchoked by default (BEP 3: four, the optimistic one included).
pub const SLOTS: usize = 4;

/// A peer connected for less than this is new: three times as likely to be unchoked optimistically (BEP 3).
pub const NEW: Span = Span::from_secs(90);

/// How much a policy knows of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The link.
    pub link: u32,
    /// The peer is interested in us.
    pub interested: bool,
    /// It is unchoked now.
    pub unchoked: bool,
    /// Bytes per second that come from it.
    pub down_rate: u64,
    /// Bytes per second that go to it.
    pub up_rate: u64,
    /// It has sent no data for [`SNUBBED`] although we asked.
    pub snubbed: bool,
    /// When it connected.
    pub connected_at: Time,
    /// When it was last unchoked; `None` if never.
    pub unchoked_at: Option<Time>,
    /// Thousandths of the torrent that it has.
    pub progress: u16,
    /// It is always unchoked and takes no slot.
    pub partner: bool,
}

/// One round of choking.
#[derive(Clone, Copy, Debug)]
pub struct Round<'a> {
    /// The time.
    pub now: Time,
    /// How many interested peers may be unchoked.
    pub slots: usize,
    /// Every link of the torrent.
    pub candidates: &'a [Candidate],
}

impl Candidate {
    /// Whether it is interested and needs a slot.
    const fn waits(&self) -> bool {
        self.interested && !self.partner
    }
}

/// Decides whom to serve.
pub trait Policy {
    /// Names the links to be unchoked from now on; all others are to be choked. `out` is cleared first.
    fn choose(&mut self, round: &Round<'_>, rng: &mut Rng, out: &mut Vec<u32>);
}

/// Whether a choked peer that has just become interested is to be unchoked at once, because a slot is free.
pub fn admits(candidate: &Candidate, candidates: &[Candidate], slots: usize) -> bool {
    let taken = candidates
        .iter()
        .filter(|other| other.interested && other.unchoked && !other.partner);
    candidate.interested && (candidate.partner || !candidate.snubbed && taken.count() < slots)
}

/// What candidates are ranked by, the least first.
type Rank = (u64, bool);

/// The order of candidates by a key, those without left out, ties at random: the random part is drawn once for each, so that it is
/// one order. Not generic, since a sort is a lot of code to have for each policy.
fn ranked<'a>(round: &Round<'a>, rng: &mut Rng, key: &dyn Fn(&Candidate) -> Option<Rank>) -> Vec<&'a Candidate> {
    let mut ranked = Vec::with_capacity(round.candidates.len());
    for peer in round.candidates {
        if let Some(rank) = key(peer) {
            ranked.push((rank, rng.next_u64(), peer));
        }
    }
    ranked.sort_unstable_by_key(|&(rank, random, _)| (rank, random));
    ranked.into_iter().map(|(_, _, peer)| peer).gather()
}

/// The key of those who are interested and need a slot.
fn if_waiting(peer: &Candidate, rank: Rank) -> Option<Rank> {
    peer.waits().then_some(rank)
}

fn partners(round: &Round<'_>, out: &mut Vec<u32>) {
    out.clear();
    let partners = round.candidates.iter().filter(|peer| peer.partner);
    partners.map(|peer| peer.link).gather_into(out);
}

/// Interested peers that need a slot.
fn waiting<'a>(round: &Round<'a>) -> impl Iterator<Item = &'a Candidate> + use<'a> {
    round.candidates.iter().filter(|peer| peer.waits())
}

/// The one peer that is unchoked whatever it gives, so that new peers get their first piece and better ones are found.
#[derive(Clone, Debug, Default)]
pub struct Optimistic {
    chosen: Option<(u32, Time)>,
}

impl Optimistic {
    /// Adds a peer that is not in `out` yet: the same one for [`OPTIMISTIC`], then another one, new peers three times
    /// as likely.
    fn choose(&mut self, round: &Round<'_>, rng: &mut Rng, out: &mut Vec<u32>) {
        let open = |link: u32| waiting(round).any(|peer| peer.link == link) && !out.contains(&link);
        if let Some((link, since)) = self.chosen
            && round.now.since(since) < OPTIMISTIC
            && open(link)
        {
            out.push(link);
            return;
        }
        let last = self.chosen.take().map(|(link, _)| link);
        let odds = |peer: &Candidate| {
            if Some(peer.link) == last {
                0
            } else {
                novelty(peer, round.now)
            }
        };
        if let Some(link) = draw(round, rng, out, &odds)
            .or_else(|| last.filter(|&link| waiting(round).any(|peer| peer.link == link) && !out.contains(&link)))
        {
            self.chosen = Some((link, round.now));
            out.push(link);
        }
    }

    /// The link it holds unchoked now.
    pub fn link(&self) -> Option<u32> {
        self.chosen.map(|(link, _)| link)
    }
}

fn novelty(peer: &Candidate, now: Time) -> u64 {
    if now.since(peer.connected_at) < NEW { 3 } else { 1 }
}

/// Draws one waiting peer that is not in `out`, with odds by weight.
fn draw(round: &Round<'_>, rng: &mut Rng, out: &[u32], weight: &dyn Fn(&Candidate) -> u64) -> Option<u32> {
    let open = || waiting(round).filter(|peer| !out.contains(&peer.link));
    let total: u64 = open().map(weight).sum();
    let mut at = rng.below(usize::try_from(total).unwrap_or(usize::MAX)) as u64;
    open()
        .find(|peer| {
            let hit = at < weight(peer);
            at = at.saturating_sub(weight(peer));
            hit
        })
        .map(|peer| peer.link)
}

/// The choking of BEP 3: the peers that give most get most. One slot is optimistic; slots that no giving peer fills are
/// given at random, so that none lies idle.
#[derive(Clone, Debug, Default)]
pub struct TitForTat {
    optimistic: Optimistic,
}

impl TitForTat {
    /// The optimistic slot.
    pub const fn optimistic(&self) -> &Optimistic {
        &self.optimistic
    }
}

impl Policy for TitForTat {
    fn choose(&mut self, round: &Round<'_>, rng: &mut Rng, out: &mut Vec<u32>) {
        partners(round, out);
        let full = out.len() + round.slots;
        let giving = |peer: &Candidate| {
            (!peer.partner && !peer.snubbed && peer.down_rate > 0)
                .then_some((u64::MAX - peer.down_rate, !peer.unchoked))
        };
        let mut regular = round.slots.saturating_sub(1);
        let mut uninterested = 0;
        for peer in ranked(round, rng, &giving) {
            if regular == 0 {
                break;
            }
            // A better peer that is not interested is unchoked without taking a slot, to be served at once when it is
            // (BEP 3).
            regular -= usize::from(peer.interested);
            uninterested += usize::from(!peer.interested);
            out.push(peer.link);
        }
        let full = full + uninterested;
        if round.slots > 0 {
            self.optimistic.choose(round, rng, out);
        }
        fill(round, rng, out, full);
    }
}

/// Gives the slots that are left, up to `full` links in all: those unchoked keep theirs, then at random, the snubbing
/// last.
fn fill(round: &Round<'_>, rng: &mut Rng, out: &mut Vec<u32>, full: usize) {
    let kept = |peer: &Candidate| if_waiting(peer, (peer.snubbed.into(), !peer.unchoked));
    for peer in ranked(round, rng, &kept) {
        if out.len() < full && !out.contains(&peer.link) {
            out.push(peer.link);
        }
    }
}

/// For a seed: those who take fastest, who can pass most on; and one optimistic slot.
#[derive(Clone, Debug, Default)]
pub struct FastestFirst {
    optimistic: Optimistic,
}

impl FastestFirst {
    /// The optimistic slot.
    pub const fn optimistic(&self) -> &Optimistic {
        &self.optimistic
    }
}

impl Policy for FastestFirst {
    fn choose(&mut self, round: &Round<'_>, rng: &mut Rng, out: &mut Vec<u32>) {
        partners(round, out);
        let full = out.len() + round.slots;
        let taking = |peer: &Candidate| if_waiting(peer, (u64::MAX - peer.up_rate, false)).filter(|_| peer.up_rate > 0);
        let taking = ranked(round, rng, &taking);
        let taking = taking.iter().take(round.slots.saturating_sub(1));
        taking.map(|peer| peer.link).gather_into(out);
        if round.slots > 0 {
            self.optimistic.choose(round, rng, out);
        }
        fill(round, rng, out, full);
    }
}

/// For a seed: everyone in turn, each for [`OPTIMISTIC`]; those who waited longest come next.
#[derive(Clone, Debug, Default)]
pub struct RoundRobin;

impl Policy for RoundRobin {
    fn choose(&mut self, round: &Round<'_>, rng: &mut Rng, out: &mut Vec<u32>) {
        partners(round, out);
        let turn = |peer: &Candidate| {
            let fresh = peer.unchoked && peer.unchoked_at.is_some_and(|at| round.now.since(at) < OPTIMISTIC);
            let since = peer.unchoked_at.map_or(0, |at| at.as_micros() + 1);
            if_waiting(peer, (since | u64::from(!fresh) << 63, false))
        };
        let order = ranked(round, rng, &turn);
        let first = order.iter().take(round.slots);
        first.map(|peer| peer.link).gather_into(out);
    }
}

/// Upload in proportion to what was received: slots are drawn, a peer that gives twice as much being twice as likely.
/// It resists peers that give just enough for a place among the four; the optimistic slot stays.
#[derive(Clone, Debug, Default)]
pub struct PropShare {
    optimistic: Optimistic,
}

impl Policy for PropShare {
    fn choose(&mut self, round: &Round<'_>, rng: &mut Rng, out: &mut Vec<u32>) {
        partners(round, out);
        let full = out.len() + round.slots;
        let given = |peer: &Candidate| if peer.snubbed { 0 } else { peer.down_rate };
        for _ in 1..round.slots {
            let Some(link) = draw(round, rng, out, &given) else {
                break;
            };
            out.push(link);
        }
        if round.slots > 0 {
            self.optimistic.choose(round, rng, out);
        }
        fill(round, rng, out, full);
    }
}

/// For a seed: peers that have just begun or are nearly done, who leech least from others' giving; those in the middle
/// can trade among themselves.
#[derive(Clone, Debug, Default)]
pub struct AntiLeech;

impl Policy for AntiLeech {
    fn choose(&mut self, round: &Round<'_>, rng: &mut Rng, out: &mut Vec<u32>) {
        partners(round, out);
        let edge = |peer: &Candidate| {
            let nearness = u64::from(peer.progress.abs_diff(500) / 50);
            if_waiting(peer, (u64::MAX - nearness, !peer.unchoked))
        };
        let order = ranked(round, rng, &edge);
        let first = order.iter().take(round.slots);
        first.map(|peer| peer.link).gather_into(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Time {
        Time::ZERO + Span::from_secs(secs)
    }

    fn peer(link: u32, down_rate: u64) -> Candidate {
        Candidate {
            link,
            interested: true,
            unchoked: false,
            down_rate,
            up_rate: 0,
            snubbed: false,
            connected_at: Time::ZERO,
            unchoked_at: None,
            progress: 0,
            partner: false,
        }
    }

    fn choose(policy: &mut dyn Policy, candidates: &[Candidate], now: u64, seed: u64) -> Vec<u32> {
        let round = Round {
            now: at(now),
            slots: SLOTS,
            candidates,
        };
        let mut out = Vec::new();
        policy.choose(&round, &mut Rng::new(seed), &mut out);
        let distinct: alloc::collections::BTreeSet<_> = out.iter().collect();
        assert_eq!(distinct.len(), out.len(), "{out:?}");
        out
    }

    #[test]
    fn the_best_three_and_an_optimistic_one_are_unchoked() {
        let peers: Vec<_> = (0..10).map(|link| peer(link, u64::from(link) * 100)).collect();
        for seed in 0..20 {
            let chosen = choose(&mut TitForTat::default(), &peers, 100, seed);
            assert_eq!(chosen[..3], [9, 8, 7]);
            assert!(chosen.len() == 4 && chosen[3] < 7);
        }
    }

    #[test]
    fn the_optimistic_slot_turns_every_thirty_seconds() {
        let peers: Vec<_> = (0..10).map(|link| peer(link, u64::from(link) * 100)).collect();
        let mut policy = TitForTat::default();
        let first = choose(&mut policy, &peers, 100, 1)[3];
        assert_eq!(choose(&mut policy, &peers, 110, 2)[3], first);
        assert_eq!(choose(&mut policy, &peers, 129, 3)[3], first);
        assert_ne!(choose(&mut policy, &peers, 130, 4)[3], first);
        assert_eq!(policy.optimistic().link(), Some(choose(&mut policy, &peers, 131, 5)[3]));
    }

    #[test]
    fn new_peers_are_three_times_as_likely() {
        let mut peers: Vec<_> = (0..6).map(|link| peer(link, if link < 3 { 100 } else { 0 })).collect();
        peers[5].connected_at = at(950);
        let hits = (0..1_000).filter(|&seed| choose(&mut TitForTat::default(), &peers, 1_000, seed)[3] == 5);
        let hits = hits.count();
        assert!((540..660).contains(&hits), "{hits} of 1000, 600 expected");
    }

    #[test]
    fn a_snubbing_peer_loses_its_regular_slot() {
        let mut peers: Vec<_> = (0..8)
            .map(|link| peer(link, if link < 4 { 500 } else { 100 }))
            .collect();
        peers[0].snubbed = true;
        let regular = |seed| choose(&mut TitForTat::default(), &peers, 100, seed)[..3].to_vec();
        assert!((0..30).all(|seed| !regular(seed).contains(&0)));
    }

    #[test]
    fn a_better_peer_without_interest_takes_no_slot() {
        let mut peers: Vec<_> = (0..8).map(|link| peer(link, u64::from(link + 1) * 100)).collect();
        peers[7].interested = false;
        peers[0].interested = false;
        let chosen = choose(&mut TitForTat::default(), &peers, 100, 1);
        assert_eq!(chosen[..4], [7, 6, 5, 4]);
        assert!(chosen.len() == 5 && !chosen.contains(&0));
    }

    #[test]
    fn no_slot_lies_idle_and_partners_take_none() {
        let mut peers: Vec<_> = (0..5).map(|link| peer(link, 0)).collect();
        peers[4].partner = true;
        peers[4].interested = false;
        let policies: [&mut dyn Policy; 5] = [
            &mut TitForTat::default(),
            &mut FastestFirst::default(),
            &mut RoundRobin,
            &mut PropShare::default(),
            &mut AntiLeech,
        ];
        for policy in policies {
            let mut chosen = choose(policy, &peers, 5, 3);
            chosen.sort_unstable();
            assert_eq!(chosen, [0, 1, 2, 3, 4]);
            let mut none = Vec::new();
            let round = Round {
                now: at(5),
                slots: 0,
                candidates: &peers,
            };
            policy.choose(&round, &mut Rng::new(1), &mut none);
            assert_eq!(none, [4]);
        }
    }

    #[test]
    fn a_free_slot_is_given_at_once() {
        let mut peers: Vec<_> = (0..6).map(|link| peer(link, 0)).collect();
        peers[..3].iter_mut().for_each(|peer| peer.unchoked = true);
        assert!(admits(&peers[4], &peers, SLOTS));
        peers[3].unchoked = true;
        assert!(!admits(&peers[4], &peers, SLOTS));
        peers[0].interested = false;
        assert!(admits(&peers[4], &peers, SLOTS));
        peers[4].interested = false;
        assert!(!admits(&peers[4], &peers, SLOTS));
    }

    #[test]
    fn round_robin_serves_everyone_equally() {
        let mut peers: Vec<_> = (0..10).map(|link| peer(link, 0)).collect();
        let mut served = [0; 10];
        for round in 0..30 {
            let now = round * 10;
            let chosen = choose(&mut RoundRobin, &peers, now, round);
            for peer in &mut peers {
                let unchoke = chosen.contains(&peer.link);
                if unchoke && !peer.unchoked {
                    peer.unchoked_at = Some(at(now));
                }
                peer.unchoked = unchoke;
                served[peer.link as usize] += u32::from(unchoke);
            }
        }
        assert!(served.iter().all(|&rounds| (9..=15).contains(&rounds)), "{served:?}");
    }

    #[test]
    fn a_seed_serves_the_fastest_and_prop_share_by_what_it_got() {
        let mut peers: Vec<_> = (0..8)
            .map(|link| peer(link, if link == 2 { 9_000 } else { 1_000 }))
            .collect();
        peers
            .iter_mut()
            .for_each(|peer| peer.up_rate = u64::from(10 - peer.link) * 10);
        assert_eq!(choose(&mut FastestFirst::default(), &peers, 5, 1)[..3], [0, 1, 2]);
        let first = |seed| choose(&mut PropShare::default(), &peers, 5, seed)[0];
        let hits = (0..1_000).filter(|&seed| first(seed) == 2).count();
        assert!((510..620).contains(&hits), "{hits} of 1000, 562 expected");
        peers[5].progress = 500;
        peers[6].progress = 950;
        assert!(!choose(&mut AntiLeech, &peers, 5, 1).contains(&5));
    }
}
