//! Introductions: tabs meet through one that both know, and the swarm goes on without it; never in private torrents, never without bound.

use tombolo_core::event::{Link, Transport};
use tombolo_core::key::PeerId;
use tombolo_core::status::State;
use tombolo_core::swarm::reason::Reason;
use tombolo_core::time::Span;
use tombolo_core::tracker::ws::OfferId;
use tombolo_core::wire::extended::{ExtendedHandshake, Extension, Ids};
use tombolo_core::wire::introduction::{Introduction, Named, Note, Step};
use tombolo_core::wire::message::Message;
use tombolo_tests::sim::{Content, Id, Puppet, Setup, Sim, TORRENT};

const INTRODUCE: u8 = 9;

fn tab(mut setup: Setup) -> Setup {
    setup.config.offers = true;
    setup.web()
}

/// The extended handshake of a puppet that can be introduced.
fn hello() -> Message {
    let mut ids = Ids::default();
    ids.set(Extension::Introduction, INTRODUCE);
    let payload = ExtendedHandshake {
        ids,
        ..ExtendedHandshake::default()
    }
    .encode();
    Message::Extended { id: 0, payload }
}

fn say(sim: &mut Sim, node: Id, link: Link, message: &Introduction) {
    let id = Extension::Introduction.id();
    let payload = message.encode();
    sim.say(node, link, &Message::Extended { id, payload });
}

/// A hand-driven tab linked with a node.
fn puppet(sim: &mut Sim, node: Id, number: u8) -> Link {
    let link = sim.puppet(node, Puppet::new(number).over(Transport::Rtc));
    sim.say(node, link, &hello());
    link
}

fn introductions(messages: &[Message]) -> Vec<Introduction> {
    let introduction = |message: &Message| match message {
        Message::Extended { id: INTRODUCE, payload } => Some(Introduction::decode(payload).expect("it is well formed")),
        _ => None,
    };
    messages.iter().filter_map(introduction).collect()
}

/// Whether the last extended handshake that a puppet heard names the extension.
fn offers_it(messages: &[Message]) -> Option<bool> {
    let hello = |message: &Message| match message {
        Message::Extended { id: 0, payload } => ExtendedHandshake::decode(payload).ok(),
        _ => None,
    };
    let last = messages.iter().filter_map(hello).next_back()?;
    Some(last.ids.of(Extension::Introduction).is_some())
}

fn note(peer: u8) -> Note {
    Note {
        peer: PeerId([peer; 20]),
        offer: OfferId([3; 20]),
        sdp: "v=0".into(),
    }
}

fn links(sim: &mut Sim, node: Id) -> usize {
    let now = sim.now;
    sim.node(node).session.peers(now, TORRENT).len()
}

#[test]
fn a_swarm_of_tabs_outlives_who_brought_it_together() {
    let content = Content::single(3_000_000, 65_536);
    let mut sim = Sim::new(1);
    let middle = sim.add(tab(Setup::leech(&content)));
    let seed = sim.add(tab(Setup::seed(&content)));
    let leeches: Vec<Id> = (0..4).map(|_| sim.add(tab(Setup::leech(&content)))).collect();
    for node in leeches.iter().chain([&seed]) {
        sim.introduce(*node, middle);
    }
    let all_met = |sim: &mut Sim| leeches.iter().all(|node| links(sim, *node) == leeches.len() + 1);
    assert!(
        sim.run_until(Span::from_secs(20), all_met),
        "each knows the middle, the seed and the others"
    );
    sim.unplug(middle);
    let complete = |sim: &mut Sim| leeches.iter().all(|node| sim.node(*node).is_complete());
    assert!(sim.run_until(Span::from_secs(60), complete));
}

#[test]
fn two_seeds_do_not_seek_each_other() {
    let content = Content::single(400_000, 65_536);
    let mut sim = Sim::new(2);
    let middle = sim.add(tab(Setup::leech(&content).up(1_000)));
    let seeds = [
        sim.add(tab(Setup::seed(&content).up(1_000))),
        sim.add(tab(Setup::seed(&content).up(1_000))),
    ];
    seeds.iter().for_each(|seed| sim.introduce(*seed, middle));
    sim.run_for(Span::from_secs(30));
    assert_ne!(sim.status(middle).state, State::Seeding, "it takes long");
    assert_eq!(seeds.map(|seed| links(&mut sim, seed)), [1, 1]);
}

#[test]
fn enough_links_are_enough() {
    let content = Content::single(400_000, 65_536);
    let mut sim = Sim::new(3);
    let middle = sim.add(tab(Setup::leech(&content)));
    for number in 1..=6 {
        puppet(&mut sim, middle, number);
    }
    let named = (100..110).map(|peer| Named {
        peer: PeerId([peer; 20]),
        seed: false,
    });
    let introducer = puppet(&mut sim, middle, 50);
    say(&mut sim, middle, introducer, &Introduction::Circle(named.collect()));
    sim.run_for(Span::from_secs(10));
    let notes = introductions(&sim.heard(middle, introducer));
    assert!(
        notes.iter().all(|message| matches!(message, Introduction::Circle(_))),
        "{notes:?}"
    );
}

#[test]
fn lists_and_notes_pass_between_those_who_speak_it() {
    let content = Content::single(400_000, 65_536);
    let mut sim = Sim::new(4);
    let middle = sim.add(tab(Setup::leech(&content)));
    let (one, other) = (puppet(&mut sim, middle, 1), puppet(&mut sim, middle, 2));
    let mute = sim.puppet(middle, Puppet::new(4).over(Transport::Rtc));
    sim.run_for(Span::from_secs(6));
    let listed = |peer| {
        vec![Named {
            peer: PeerId([peer; 20]),
            seed: false,
        }]
    };
    assert_eq!(
        introductions(&sim.heard(middle, one)).last(),
        Some(&Introduction::Circle(listed(2)))
    );
    assert_eq!(
        introductions(&sim.heard(middle, other)).last(),
        Some(&Introduction::Circle(listed(1)))
    );
    for (step, heard) in [(Step::OfferFor, Step::OfferOf), (Step::AnswerFor, Step::AnswerOf)] {
        say(&mut sim, middle, one, &Introduction::Note(step, note(2)));
        sim.run_for(Span::from_millis(100));
        assert_eq!(
            introductions(&sim.heard(middle, other)),
            [Introduction::Note(heard, note(1))]
        );
    }
    for stranger in [4, 77] {
        say(
            &mut sim,
            middle,
            one,
            &Introduction::Note(Step::OfferFor, note(stranger)),
        );
    }
    sim.run_for(Span::from_millis(100));
    assert_eq!(introductions(&sim.heard(middle, mute)), []);
    sim.tell(middle, tombolo_core::event::Event::Closed(other));
    sim.run_for(Span::from_secs(6));
    assert_eq!(
        introductions(&sim.heard(middle, one)),
        [Introduction::Circle(vec![])],
        "it is gone"
    );
}

#[test]
fn a_flood_of_notes_is_not_passed_on() {
    let content = Content::single(400_000, 65_536);
    let mut sim = Sim::new(5);
    let middle = sim.add(tab(Setup::leech(&content)));
    let (one, other) = (puppet(&mut sim, middle, 1), puppet(&mut sim, middle, 2));
    sim.run_for(Span::from_secs(6));
    sim.heard(middle, other);
    for _ in 0..1000 {
        say(&mut sim, middle, one, &Introduction::Note(Step::OfferFor, note(2)));
    }
    sim.run_for(Span::from_secs(1));
    let passed = introductions(&sim.heard(middle, other)).len();
    assert!((1..=50).contains(&passed), "{passed}");
}

#[test]
fn what_is_no_introduction_ends_the_link() {
    let content = Content::single(400_000, 65_536);
    let mut sim = Sim::new(6);
    let middle = sim.add(tab(Setup::leech(&content)));
    let link = puppet(&mut sim, middle, 1);
    let id = Extension::Introduction.id();
    let payload = vec![9].into();
    sim.say(middle, link, &Message::Extended { id, payload });
    assert!(matches!(&sim.node(middle).closed[..], [(closed, Reason::Extension(_))] if *closed == link));
}

#[test]
fn neither_private_torrents_nor_native_peers_have_any_of_it() {
    let content = Content::private(400_000, 65_536);
    let mut sim = Sim::new(7);
    let middle = sim.add(tab(Setup::leech(&content)));
    let (one, other) = (puppet(&mut sim, middle, 1), puppet(&mut sim, middle, 2));
    say(&mut sim, middle, one, &Introduction::Note(Step::OfferFor, note(2)));
    sim.run_for(Span::from_secs(10));
    let heard = sim.heard(middle, other);
    assert_eq!((offers_it(&heard), introductions(&heard)), (Some(false), vec![]));

    let content = Content::single(400_000, 65_536);
    let mut sim = Sim::new(8);
    let node = sim.add(tab(Setup::leech(&content)));
    let native = sim.puppet(node, Puppet::new(1));
    sim.say(node, native, &hello());
    puppet(&mut sim, node, 2);
    sim.run_for(Span::from_secs(10));
    let heard = sim.heard(node, native);
    assert_eq!((offers_it(&heard), introductions(&heard)), (Some(false), vec![]));
}
