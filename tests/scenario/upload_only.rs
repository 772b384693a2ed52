//! Upload-only (BEP 21): a seed, and a peer with all it wants, says that it downloads nothing, and takes it back.

use bytes::Bytes;
use tombolo_core::event::{Event, Link};
use tombolo_core::swarm::Priority;
use tombolo_core::swarm::reason::Reason;
use tombolo_core::time::Span;
use tombolo_core::wire::extended::ExtendedHandshake;
use tombolo_core::wire::message::Message;
use tombolo_tests::sim::{Content, Id, Puppet, Setup, Sim, TORRENT};

const PIECE: usize = 65_536;

/// What a node has said of it since it was last asked.
fn said(sim: &mut Sim, id: Id, link: Link) -> Vec<Option<bool>> {
    let only = |message: &Message| match message {
        Message::Extended { id: 0, payload } => Some(ExtendedHandshake::decode(payload).ok()?.upload_only),
        _ => None,
    };
    sim.heard(id, link).iter().filter_map(only).collect()
}

fn hello(payload: &'static [u8]) -> Message {
    Message::Extended {
        id: 0,
        payload: Bytes::from_static(payload),
    }
}

#[test]
fn it_is_said_when_all_that_is_wanted_is_here_and_taken_back_when_more_is() {
    let content = Content::new(&[4 * PIECE, 4 * PIECE], PIECE);
    let mut sim = Sim::new(1);
    let only_first = [Priority::Normal, Priority::Skip];
    let leech = sim.add(Setup::leech(&content).selecting(&only_first));
    let link = sim.puppet(leech, Puppet::new(1));
    assert_eq!(said(&mut sim, leech, link), [None]);
    let seed = sim.add(Setup::seed(&content));
    sim.introduce(leech, seed);
    assert!(sim.run_until(Span::from_secs(60), |sim| sim.node(leech).is_complete()));
    assert_eq!(said(&mut sim, leech, link), [Some(true)]);
    sim.tell(leech, Event::Select(TORRENT, Vec::new()));
    sim.run_for(Span::from_secs(1));
    assert_eq!(
        said(&mut sim, leech, link),
        [Some(false), Some(true)],
        "the rest came too"
    );
}

#[test]
fn a_partial_seed_keeps_peers_that_want_something_and_leaves_those_that_do_not() {
    let content = Content::new(&[4 * PIECE, 4 * PIECE], PIECE);
    let mut sim = Sim::new(2);
    let only_first = [Priority::Normal, Priority::Skip];
    let partial = sim.add(Setup::leech(&content).selecting(&only_first).holding(0..4));
    let links: Vec<_> = (1..4).map(|number| sim.puppet(partial, Puppet::new(number))).collect();
    for &link in &links {
        sim.say(partial, link, &Message::Bitfield(Bytes::from_static(&[0x0f])));
    }
    // The first says nothing of it; the second does, and keeps to it by silence; the third takes it back.
    for &link in &links[1..] {
        sim.say(partial, link, &hello(b"d11:upload_onlyi1ee"));
    }
    sim.say(partial, links[1], &hello(b"de"));
    sim.say(partial, links[2], &hello(b"d11:upload_onlyi0ee"));
    sim.run_for(Span::from_secs(5));
    assert_eq!(sim.node(partial).closed, [(links[1], Reason::BothSeeds)]);
}

#[test]
fn who_wants_something_of_a_partial_seed_is_served_by_it() {
    let content = Content::new(&[4 * PIECE, 4 * PIECE], PIECE);
    let mut sim = Sim::new(3);
    let only_first = [Priority::Normal, Priority::Skip];
    let partial = sim.add(Setup::leech(&content).selecting(&only_first).holding(0..4));
    let leech = sim.add(Setup::leech(&content).selecting(&only_first));
    sim.introduce(leech, partial);
    assert!(sim.run_until(Span::from_secs(60), |sim| sim.node(leech).is_complete()));
    sim.run_for(Span::from_secs(5));
    assert_eq!(sim.status(leech).peers, 0, "two that want nothing part");
}
