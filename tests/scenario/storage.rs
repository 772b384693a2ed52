//! What storage holds is used; what it cannot write pauses the torrent and loses nothing.

use tombolo_core::event::{Event, Report, StorageError};
use tombolo_core::status::State;
use tombolo_core::time::Span;
use tombolo_tests::sim::{Content, Setup, Sim, TORRENT};

#[test]
fn verified_pieces_are_not_asked_for_again() {
    let content = Content::single(20 * 65_536, 65_536);
    let mut sim = Sim::new(1);
    let seed = sim.add(Setup::seed(&content));
    let leech = sim.add(Setup::leech(&content).holding((0..20).step_by(2)));
    sim.introduce(leech, seed);
    assert!(sim.run_until(Span::from_secs(60), |sim| sim.node(leech).is_complete()));
    assert_eq!(sim.status(leech).received.total(), 10 * 65_536);
}

#[test]
fn what_storage_may_hold_is_checked() {
    let content = Content::single(20 * 65_536, 65_536);
    let mut sim = Sim::new(2);
    let seed = sim.add(Setup::seed(&content));
    let leech = sim.add(Setup::leech(&content).holding(0..10).unchecked().damaged(&[3, 7]));
    sim.introduce(leech, seed);
    assert!(sim.run_until(Span::from_secs(60), |sim| sim.node(leech).is_complete()));
    assert_eq!(sim.status(leech).received.total(), 12 * 65_536);
}

#[test]
fn a_full_disk_pauses_and_goes_on_when_there_is_room() {
    let content = Content::single(20 * 65_536, 65_536);
    let mut sim = Sim::new(3);
    let seed = sim.add(Setup::seed(&content).up(200_000));
    let leech = sim.add(Setup::leech(&content));
    sim.introduce(leech, seed);
    sim.run_for(Span::from_secs(3));
    sim.node(leech).full = true;
    sim.run_for(Span::from_secs(3));
    assert_eq!(sim.status(leech).state, State::Paused);
    assert!(
        sim.node(leech)
            .reports
            .iter()
            .any(|(_, report)| matches!(report, Report::StorageFailed(StorageError::Full)))
    );
    sim.node(leech).full = false;
    sim.tell(leech, Event::Pause(TORRENT, false));
    assert!(sim.run_until(Span::from_secs(60), |sim| sim.node(leech).is_complete()));
}

#[test]
fn while_storage_waits_for_room_nothing_is_asked_for_and_no_link_is_closed() {
    let content = Content::single(40 * 65_536, 65_536);
    let mut sim = Sim::new(4);
    let seed = sim.add(Setup::seed(&content).up(200_000));
    let leech = sim.add(Setup::leech(&content));
    sim.introduce(leech, seed);
    sim.run_for(Span::from_secs(3));
    sim.tell(leech, Event::StorageFull(TORRENT, true));
    // What was asked for before still comes.
    sim.run_for(Span::from_secs(30));
    let before = sim.status(leech).received.total();
    assert!((1..content.bytes.len() as u64).contains(&before), "{before}");
    sim.run_for(Span::from_secs(30));
    assert_eq!(sim.status(leech).received.total(), before);
    assert_eq!(sim.status(leech).peers, 1);
    sim.tell(leech, Event::StorageFull(TORRENT, false));
    assert!(sim.run_until(Span::from_secs(60), |sim| sim.node(leech).is_complete()));
    assert_eq!(sim.status(leech).received.total(), content.bytes.len() as u64);
}
