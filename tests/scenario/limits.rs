//! Rates are held to their limits, within five per cent over five seconds.

use tombolo_core::time::Span;
use tombolo_tests::sim::{Content, Setup, Sim};

fn rate(up: Option<u64>, down: Option<u64>) -> u64 {
    let content = Content::single(20_000_000, 65_536);
    let mut sim = Sim::new(1);
    let mut seed = Setup::seed(&content).up(50_000_000);
    seed.config.up = up;
    let seed = sim.add(seed);
    let mut leech = Setup::leech(&content);
    leech.config.down = down;
    let leech = sim.add(leech);
    sim.introduce(leech, seed);
    sim.run_for(Span::from_secs(2));
    let before = sim.status(leech).received.total();
    sim.run_for(Span::from_secs(5));
    (sim.status(leech).received.total() - before) / 5
}

#[test]
fn upload() {
    let rate = rate(Some(500_000), None);
    assert!((475_000..=525_000).contains(&rate), "{rate} bytes a second");
}

#[test]
fn download() {
    let rate = rate(None, Some(500_000));
    assert!((475_000..=525_000).contains(&rate), "{rate} bytes a second");
}
