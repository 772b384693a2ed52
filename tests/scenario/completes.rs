//! A leecher downloads everything; a swarm whose pieces are spread outlives its seed.

use tombolo_core::time::Span;
use tombolo_tests::sim::{Content, Setup, Sim};

#[test]
fn from_one_seed_at_the_speed_of_its_uplink() {
    let content = Content::single(5_000_000, 65_536);
    let mut sim = Sim::new(1);
    let seed = sim.add(Setup::seed(&content));
    let leech = sim.add(Setup::leech(&content));
    sim.introduce(leech, seed);
    assert!(sim.run_until(Span::from_secs(60), |sim| sim.node(leech).is_complete()));
    let took = sim.node(leech).completed_at().unwrap().as_micros();
    assert!(took < 5_700_000, "5 MB at 1 MB/s took {took} virtual us");
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

#[test]
fn a_swarm_outlives_its_seed_once_every_piece_is_out() {
    let content = Content::single(4_000_000, 32_768);
    let mut sim = Sim::new(4);
    let seed = sim.add(Setup::seed(&content).up(500_000));
    let leeches: Vec<_> = (0..6).map(|_| sim.add(Setup::leech(&content).up(500_000))).collect();
    sim.introduce_all();
    let out = |sim: &mut Sim| {
        let pieces: std::collections::BTreeSet<u32> =
            leeches.iter().flat_map(|&leech| sim.node(leech).order()).collect();
        pieces.len() == content.metainfo.layout.pieces()
    };
    assert!(
        sim.run_until(Span::from_secs(60), out),
        "the seed sends every piece once"
    );
    assert!(
        leeches.iter().any(|&leech| !sim.node(leech).is_complete()),
        "somebody still needs something"
    );
    sim.unplug(seed);
    assert!(sim.run_until(Span::from_secs(120), |sim| {
        leeches.iter().all(|&leech| sim.node(leech).is_complete())
    }));
}

#[test]
fn many_peers_share_the_work() {
    let content = Content::single(4_000_000, 32_768);
    let mut sim = Sim::new(5);
    let seed = sim.add(Setup::seed(&content).up(1_000_000));
    let leeches: Vec<_> = (0..10).map(|_| sim.add(Setup::leech(&content).up(1_000_000))).collect();
    sim.introduce_all();
    assert!(sim.run_until(Span::from_secs(120), |sim| {
        leeches.iter().all(|&leech| sim.node(leech).is_complete())
    }));
    let sent = sim.status(seed).sent.total();
    // Alone it would have to send ten copies.
    assert!(sent < 3 * 4_000_000, "the seed sent {sent} bytes");
}
