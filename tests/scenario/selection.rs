//! Files: only what is selected is fetched, the more urgent first; a selection may change on the way.

use tombolo_core::event::Event;
use tombolo_core::swarm::Priority;
use tombolo_core::time::Span;
use tombolo_tests::sim::{Content, Setup, Sim, TORRENT};

#[test]
fn only_selected_files_are_fetched() {
    let content = Content::new(&[1_000_000, 1_000_000, 500_000], 65_536);
    let mut sim = Sim::new(1);
    let seed = sim.add(Setup::seed(&content));
    let leech = sim.add(Setup::leech(&content).selecting(&[Priority::Skip, Priority::Normal, Priority::Skip]));
    sim.introduce(leech, seed);
    assert!(sim.run_until(Span::from_secs(60), |sim| sim.node(leech).is_complete()));
    let received = sim.status(leech).received.total();
    assert!(
        received <= 17 * 65_536,
        "whole pieces of the file, both its edges: {received} bytes"
    );
    sim.tell(leech, Event::Select(TORRENT, vec![Priority::Normal; 3]));
    assert!(sim.run_until(Span::from_secs(60), |sim| sim.status(leech).have == 2_500_000));
    let reports = sim
        .node(leech)
        .reports
        .iter()
        .filter(|(_, report)| tombolo_tests::sim::is_complete(report))
        .count();
    assert_eq!(reports, 2, "complete once for each selection");
}

#[test]
fn deselecting_everything_left_completes() {
    let content = Content::new(&[200_000, 5_000_000], 65_536);
    let mut sim = Sim::new(2);
    let seed = sim.add(Setup::seed(&content));
    let leech = sim.add(Setup::leech(&content));
    sim.introduce(leech, seed);
    sim.run_for(Span::from_secs(2));
    sim.tell(leech, Event::Select(TORRENT, vec![Priority::High, Priority::Skip]));
    assert!(sim.run_until(Span::from_secs(5), |sim| sim.node(leech).is_complete()));
    sim.run_for(Span::from_secs(5));
    assert_eq!(
        sim.node(leech).session.memory(),
        0,
        "nothing that was under way holds memory"
    );
}
