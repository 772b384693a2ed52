//! Tit-for-tat: who gives gets; slots rotate; nobody is left out for ever; free slots are given at once (BEP 3).

use tombolo_core::time::Span;
use tombolo_tests::sim::{Content, Setup, Sim};

#[test]
fn four_are_served_at_a_time_and_everybody_in_the_end() {
    let content = Content::single(60_000_000, 65_536);
    let mut sim = Sim::new(1);
    let seed = sim.add(Setup::seed(&content).up(200_000));
    // They do not know each other: the seed decides alone.
    let leeches: Vec<_> = (0..10).map(|_| sim.add(Setup::leech(&content))).collect();
    for &leech in &leeches {
        sim.introduce(leech, seed);
    }
    let mut served = std::collections::BTreeSet::new();
    for _ in 0..40 {
        sim.run_for(Span::from_secs(10));
        let now = sim.now;
        let unchoked: Vec<_> = sim
            .node(seed)
            .session
            .peers(now, tombolo_tests::sim::TORRENT)
            .into_iter()
            .filter(|peer| peer.peer_unchoked)
            .collect();
        assert!(unchoked.len() <= 4, "{} are unchoked", unchoked.len());
        served.extend(unchoked.iter().map(|peer| peer.link));
    }
    assert_eq!(served.len(), 10, "everybody had a turn");
}

#[test]
fn a_peer_that_gives_gets_more_than_one_that_does_not() {
    let content = Content::single(16_000_000, 65_536);
    let mut sim = Sim::new(2);
    let half = content.metainfo.layout.pieces() as u32 / 2;
    let us = sim.add(Setup::leech(&content).holding(0..half).up(200_000));
    let givers: Vec<_> = (0..3)
        .map(|_| sim.add(Setup::leech(&content).holding(half..2 * half).up(40_000)))
        .collect();
    let takers: Vec<_> = (0..6).map(|_| sim.add(Setup::leech(&content).up(1))).collect();
    for &peer in givers.iter().chain(&takers) {
        sim.introduce(peer, us);
    }
    sim.run_for(Span::from_secs(100));
    let mean = |sim: &mut Sim, peers: &[tombolo_tests::sim::Id]| {
        let total: u64 = peers.iter().map(|&peer| sim.status(peer).received.total()).sum();
        total / peers.len() as u64
    };
    let (given, taken) = (mean(&mut sim, &givers), mean(&mut sim, &takers));
    assert!(given > 2 * taken, "givers got {given} bytes each, takers {taken}");
}

#[test]
fn a_free_slot_is_given_at_once() {
    let content = Content::single(100_000, 16_384);
    let mut sim = Sim::new(3);
    let seed = sim.add(Setup::seed(&content));
    let leech = sim.add(Setup::leech(&content));
    sim.introduce(leech, seed);
    assert!(
        sim.run_until(Span::from_secs(1), |sim| sim.node(leech).is_complete()),
        "no choking round was waited for"
    );
}
