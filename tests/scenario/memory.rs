//! Pieces between request and storage stay within the budget, also when one piece is as large as the budget.

use tombolo_core::time::Span;
use tombolo_tests::sim::{Content, Setup, Sim};

fn peak(piece_length: usize, pieces: usize, budget: u64) -> u64 {
    let content = Content::single(piece_length * pieces - 5, piece_length);
    let mut sim = Sim::new(1);
    let seeds: Vec<_> = (0..4).map(|_| sim.add(Setup::seed(&content).up(20_000_000))).collect();
    let mut setup = Setup::leech(&content);
    setup.config.memory = budget;
    let leech = sim.add(setup);
    for seed in seeds {
        sim.introduce(leech, seed);
    }
    assert!(sim.run_until(Span::from_secs(300), |sim| sim.node(leech).is_complete()));
    sim.node(leech).peak_memory
}

#[test]
fn sixteen_mebibyte_pieces_stay_within_sixty_four() {
    assert!(peak(16 << 20, 8, 64 << 20) <= 64 << 20);
}

#[test]
fn one_piece_is_always_allowed() {
    assert!(peak(4 << 20, 4, 1 << 20) <= 4 << 20);
}

#[test]
fn small_pieces_use_the_budget_and_no_more() {
    let peak = peak(256 << 10, 60, 2 << 20);
    assert!(peak <= 2 << 20 && peak > 1 << 20, "{peak}");
}
