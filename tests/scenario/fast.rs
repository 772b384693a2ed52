//! The fast extension (BEP 6): have all and none, reject, suggest, allowed fast; and none of it with peers that do not speak it.

use tombolo_core::time::Span;
use tombolo_core::wire::message::{Message, RawRange};
use tombolo_tests::sim::{Content, Puppet, Setup, Sim};

const FIRST: RawRange = RawRange {
    index: 0,
    begin: 0,
    length: 16_384,
};

fn has(messages: &[Message], wanted: &Message) -> bool {
    messages.contains(wanted)
}

#[test]
fn have_all_and_have_none_stand_for_the_bitfield() {
    let content = Content::single(100_000, 16_384);
    let mut sim = Sim::new(1);
    let seed = sim.add(Setup::seed(&content));
    let leech = sim.add(Setup::leech(&content));
    let (to_seed, to_leech) = (sim.puppet(seed, Puppet::new(1)), sim.puppet(leech, Puppet::new(1)));
    assert_eq!(sim.heard(seed, to_seed)[0], Message::HaveAll);
    assert_eq!(sim.heard(leech, to_leech)[0], Message::HaveNone);
}

#[test]
fn its_messages_from_a_peer_that_did_not_agree_on_it_close_the_link() {
    for message in [
        Message::HaveAll,
        Message::HaveNone,
        Message::Reject(FIRST),
        Message::Suggest(0),
        Message::AllowedFast(0),
    ] {
        let content = Content::single(100_000, 16_384);
        let mut sim = Sim::new(2);
        let leech = sim.add(Setup::leech(&content));
        let link = sim.puppet(leech, Puppet::new(1).plain());
        sim.say(leech, link, &message);
        assert_eq!(sim.node(leech).closed.len(), 1, "{message:?}");
    }
}

#[test]
fn every_request_is_answered_by_a_piece_or_a_reject() {
    let content = Content::single(100_000, 16_384);
    let mut sim = Sim::new(3);
    let seed = sim.add(Setup::seed(&content));
    let mut puppet = Puppet::new(1);
    // A web peer has no address, so nothing is allowed fast.
    puppet.address = None;
    let link = sim.puppet(seed, puppet);
    sim.say(seed, link, &Message::Request(FIRST));
    assert!(has(&sim.heard(seed, link), &Message::Reject(FIRST)), "it is choked");
    sim.say(seed, link, &Message::Interested);
    assert!(has(&sim.heard(seed, link), &Message::Unchoke));
    sim.say(seed, link, &Message::Request(FIRST));
    assert!(
        sim.heard(seed, link)
            .iter()
            .any(|message| matches!(message, Message::Piece { index: 0, begin: 0, .. }))
    );
}

#[test]
fn a_rejected_block_is_asked_of_another() {
    let content = Content::single(16_384, 16_384);
    let mut sim = Sim::new(4);
    let leech = sim.add(Setup::leech(&content));
    let first = sim.puppet(leech, Puppet::new(1));
    sim.say(leech, first, &Message::HaveAll);
    sim.say(leech, first, &Message::Unchoke);
    assert!(has(&sim.heard(leech, first), &Message::Request(FIRST)));
    let second = sim.puppet(leech, Puppet::new(2));
    sim.say(leech, second, &Message::HaveAll);
    sim.say(leech, second, &Message::Unchoke);
    sim.heard(leech, second);
    sim.say(leech, first, &Message::Reject(FIRST));
    sim.run_for(Span::from_secs(2));
    assert!(
        !has(&sim.heard(leech, first), &Message::Request(FIRST)),
        "the one that rejected is not asked again"
    );
}

#[test]
fn a_choke_takes_no_request_back_but_the_rejects_do() {
    let content = Content::single(16_384, 16_384);
    let mut sim = Sim::new(5);
    let leech = sim.add(Setup::leech(&content));
    let link = sim.puppet(leech, Puppet::new(1));
    sim.say(leech, link, &Message::HaveAll);
    sim.say(leech, link, &Message::Unchoke);
    sim.heard(leech, link);
    sim.say(leech, link, &Message::Choke);
    sim.say(leech, link, &Message::Reject(FIRST));
    sim.say(leech, link, &Message::Unchoke);
    assert!(
        has(&sim.heard(leech, link), &Message::Request(FIRST)),
        "it is asked again once it unchokes"
    );
}

#[test]
fn allowed_pieces_are_asked_for_and_served_though_choked() {
    let content = Content::single(100_000, 16_384);
    let mut sim = Sim::new(6);
    let leech = sim.add(Setup::leech(&content));
    let link = sim.puppet(leech, Puppet::new(1));
    sim.say(leech, link, &Message::HaveAll);
    sim.say(leech, link, &Message::AllowedFast(3));
    let asked: Vec<_> = sim
        .heard(leech, link)
        .into_iter()
        .filter(|message| matches!(message, Message::Request(_)))
        .collect();
    assert_eq!(
        asked,
        [Message::Request(RawRange {
            index: 3,
            begin: 0,
            length: 16_384
        })]
    );

    let seed = sim.add(Setup::seed(&content));
    let link = sim.puppet(seed, Puppet::new(2));
    let allowed = |message: &Message| match message {
        Message::AllowedFast(index) => Some(*index),
        _ => None,
    };
    let granted: Vec<u32> = sim.heard(seed, link).iter().filter_map(allowed).collect();
    assert!(!granted.is_empty());
    let index = granted[0];
    let length = content
        .metainfo
        .layout
        .piece_length(content.metainfo.layout.piece(index).unwrap());
    sim.say(
        seed,
        link,
        &Message::Request(RawRange {
            index,
            begin: 0,
            length,
        }),
    );
    assert!(
        sim.heard(seed, link)
            .iter()
            .any(|message| matches!(message, Message::Piece { .. }))
    );
}

#[test]
fn a_suggested_piece_is_preferred() {
    let content = Content::single(1_000 * 16_384, 16_384);
    let mut sim = Sim::new(7);
    let leech = sim.add(Setup::leech(&content));
    let link = sim.puppet(leech, Puppet::new(1));
    sim.say(leech, link, &Message::HaveAll);
    sim.say(leech, link, &Message::Suggest(777));
    sim.say(leech, link, &Message::Unchoke);
    let heard = sim.heard(leech, link);
    assert!(
        has(
            &heard,
            &Message::Request(RawRange {
                index: 777,
                begin: 0,
                length: 16_384
            })
        ),
        "{heard:?}"
    );
}
