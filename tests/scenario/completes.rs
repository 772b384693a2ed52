//! A leecher downloads everything from a seed, by metainfo and by magnet, with and without the extensions.

use tombolo_core::time::Span;
use tombolo_tests::sim::{Content, Setup, Sim};

#[test]
fn from_one_seed() {
    let content = Content::single(5_000_000, 65_536);
    let mut sim = Sim::new(1);
    let seed = sim.add(Setup::seed(&content));
    let leech = sim.add(Setup::leech(&content));
    sim.introduce(leech, seed);
    assert!(
        sim.run_until(Span::from_secs(60), |sim| sim.node(leech).is_complete()),
        "{:?}",
        sim.node(leech).session.status(sim_now(), tombolo_tests::sim::TORRENT)
    );
    let took = sim.node(leech).completed_at().unwrap().as_micros();
    assert!(took < 6_500_000, "5 MB at 1 MB/s took {took} us");
}

fn sim_now() -> tombolo_core::time::Time {
    tombolo_core::time::Time::ZERO
}

#[test]
fn by_magnet() {
    // Four parts of metadata: 2,500 pieces have hashes of 50,000 bytes.
    let content = Content::single(2_500 * 1_024, 1_024);
    let mut sim = Sim::new(2);
    let seed = sim.add(Setup::seed(&content));
    let leech = sim.add(Setup::leech(&content).by_magnet());
    sim.introduce(leech, seed);
    assert!(sim.run_until(Span::from_secs(60), |sim| sim.node(leech).is_complete()));
}

#[test]
fn from_a_peer_that_speaks_bep_3_alone() {
    let content = Content::single(1_000_000, 65_536);
    let mut sim = Sim::new(3);
    let seed = sim.add(Setup::seed(&content).plain());
    let leech = sim.add(Setup::leech(&content).plain());
    sim.introduce(leech, seed);
    assert!(sim.run_until(Span::from_secs(60), |sim| sim.node(leech).is_complete()));
}
