//! Metadata exchange (BEP 9): by magnet, from peers that have it, and served on.

use tombolo_core::time::Span;
use tombolo_tests::sim::{Content, Setup, Sim};

/// Four parts of metadata: 2,500 pieces have hashes of 50,000 bytes.
fn content() -> Content {
    Content::single(2_500 * 1_024, 1_024)
}

#[test]
fn a_magnet_link_is_enough() {
    let mut sim = Sim::new(2);
    let seed = sim.add(Setup::seed(&content()));
    let leech = sim.add(Setup::leech(&content()).by_magnet());
    sim.introduce(leech, seed);
    assert!(sim.run_until(Span::from_secs(60), |sim| sim.node(leech).is_complete()));
}

#[test]
fn who_learned_it_serves_it_on() {
    let mut sim = Sim::new(3);
    let seed = sim.add(Setup::seed(&content()));
    let first = sim.add(Setup::leech(&content()).by_magnet());
    let second = sim.add(Setup::leech(&content()).by_magnet());
    // The second knows only the first, and has been waiting since before that had anything.
    sim.introduce(second, first);
    sim.run_for(Span::from_secs(5));
    sim.introduce(first, seed);
    assert!(sim.run_until(Span::from_secs(60), |sim| sim.node(second).is_complete()));
}

#[test]
fn pieces_that_peers_named_before_the_metadata_are_known_after_it() {
    let mut sim = Sim::new(4);
    let seed = sim.add(Setup::seed(&content()).plain());
    let helper = sim.add(Setup::leech(&content()));
    let leech = sim.add(Setup::leech(&content()).by_magnet());
    // The plain seed cannot give metadata; its BITFIELD comes long before the metadata does.
    sim.introduce(leech, seed);
    sim.run_for(Span::from_secs(5));
    sim.introduce(leech, helper);
    assert!(sim.run_until(Span::from_secs(60), |sim| sim.node(leech).is_complete()));
}
