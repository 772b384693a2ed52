//! At the end the last blocks are asked of several peers, and cancelled where they are not needed any more.

use tombolo_core::time::Span;
use tombolo_tests::sim::{Content, Setup, Sim};

#[test]
fn a_slow_peer_does_not_hold_up_the_end() {
    let content = Content::single(64 * 65_536, 65_536);
    let mut sim = Sim::new(1);
    let quick = sim.add(Setup::seed(&content).up(1_000_000));
    let slow = sim.add(Setup::seed(&content).up(4_000));
    let leech = sim.add(Setup::leech(&content));
    sim.introduce(leech, slow);
    sim.run_for(Span::from_secs(1));
    sim.introduce(leech, quick);
    assert!(sim.run_until(Span::from_secs(60), |sim| sim.node(leech).is_complete()));
    let took = sim.node(leech).completed_at().unwrap().as_micros();
    // 4.2 MB at 1 MB/s; the slow peer alone would need 4 s for each block that it was asked for.
    assert!(took < 9_000_000, "{took} virtual us");
    let received = sim.status(leech).received.total();
    assert!(received < 64 * 65_536 + 40 * 16_384, "{received} bytes were received");
}
