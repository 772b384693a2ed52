//! Don't-have (BEP 54): a piece that a peer lost is not asked of it.

use bytes::Bytes;
use tombolo_core::time::Span;
use tombolo_core::wire::dont_have;
use tombolo_core::wire::extended::Extension;
use tombolo_core::wire::message::Message;
use tombolo_tests::sim::{Content, Puppet, Setup, Sim};

fn lost(index: u32) -> Message {
    Message::Extended {
        id: Extension::DontHave.id(),
        payload: dont_have::encode(index),
    }
}

fn requested(messages: &[Message]) -> Vec<u32> {
    let index = |message: &Message| match message {
        Message::Request(range) => Some(range.index),
        _ => None,
    };
    messages.iter().filter_map(index).collect()
}

#[test]
fn it_is_not_asked_for_and_asked_for_again_when_it_is_back() {
    let content = Content::single(3 * 16_384, 16_384);
    let mut sim = Sim::new(1);
    let leech = sim.add(Setup::leech(&content));
    let link = sim.puppet(leech, Puppet::new(1));
    sim.say(leech, link, &Message::HaveAll);
    sim.say(leech, link, &lost(1));
    sim.say(leech, link, &Message::Unchoke);
    let mut asked = requested(&sim.heard(leech, link));
    asked.sort_unstable();
    assert_eq!(asked, [0, 2]);
    sim.say(leech, link, &Message::Have(1));
    assert_eq!(requested(&sim.heard(leech, link)), [1]);
}

#[test]
fn what_was_asked_there_is_asked_of_another() {
    let content = Content::single(16_384, 16_384);
    let mut sim = Sim::new(2);
    let leech = sim.add(Setup::leech(&content));
    let (first, second) = (sim.puppet(leech, Puppet::new(1)), sim.puppet(leech, Puppet::new(2)));
    sim.say(leech, first, &Message::HaveAll);
    sim.say(leech, first, &Message::Unchoke);
    assert_eq!(requested(&sim.heard(leech, first)), [0]);
    sim.say(leech, first, &lost(0));
    sim.say(leech, second, &Message::HaveAll);
    sim.say(leech, second, &Message::Unchoke);
    sim.run_for(Span::from_millis(10));
    assert_eq!(requested(&sim.heard(leech, second)), [0]);
}

#[test]
fn a_malformed_one_closes_the_link() {
    let content = Content::single(16_384, 16_384);
    for payload in [Bytes::from_static(b"abc"), dont_have::encode(1)] {
        let mut sim = Sim::new(3);
        let leech = sim.add(Setup::leech(&content));
        let link = sim.puppet(leech, Puppet::new(1));
        sim.say(
            leech,
            link,
            &Message::Extended {
                id: Extension::DontHave.id(),
                payload,
            },
        );
        assert_eq!(sim.node(leech).closed.len(), 1);
    }
}
