//! Super-seeding (BEP 16): a first copy appears in the swarm for about one copy's worth of upload.

use tombolo_core::layout::BLOCK;
use tombolo_core::time::Span;
use tombolo_core::wire::extended::ExtendedHandshake;
use tombolo_core::wire::message::{Message, RawRange};
use tombolo_tests::sim::{Content, Id, Puppet, Setup, Sim, TORRENT};

const PIECE: usize = 64 * 1024;
const PIECES: usize = 100;

fn super_seed(content: &Content) -> Setup {
    let mut setup = Setup::seed(content);
    setup.config.super_seed = true;
    setup
}

/// How much a seed uploads, in thousandths of the content, until five leechers have a copy between them.
fn upload_for_one_copy(seed: u64, setup: fn(&Content) -> Setup) -> u64 {
    let content = Content::single(PIECES * PIECE, PIECE);
    let mut sim = Sim::new(seed);
    let first = sim.add(setup(&content).up(500_000));
    let leeches: Vec<Id> = (0..5).map(|_| sim.add(Setup::leech(&content).up(500_000))).collect();
    sim.introduce_all();
    let there = |sim: &mut Sim| {
        let held: Vec<_> = leeches
            .iter()
            .map(|leech| sim.node(*leech).session.held(TORRENT).cloned())
            .collect();
        (0..PIECES).all(|piece| held.iter().flatten().any(|held| held.contains(piece)))
    };
    assert!(sim.run_until(Span::from_secs(300), there));
    let sent = sim.status(first).sent.total();
    for leech in leeches {
        let complete = sim.run_until(Span::from_secs(300), |sim| sim.node(leech).is_complete());
        assert!(complete, "{:?}", sim.status(leech));
    }
    sent * 1_000 / (PIECES * PIECE) as u64
}

#[test]
fn one_copy_appears_for_about_one_copy_of_upload() {
    for seed in 1..6 {
        let (usual, least) = (
            upload_for_one_copy(seed, Setup::seed),
            upload_for_one_copy(seed, super_seed),
        );
        println!("seed {seed}: {usual} thousandths usually, {least} super-seeding");
        assert!(least <= 1_050, "{least} thousandths");
        assert!(least < usual, "{least} and {usual}");
    }
}

/// HAVE messages among these.
fn haves(messages: &[Message]) -> Vec<u32> {
    let index = |message: &Message| match message {
        Message::Have(index) => Some(*index),
        _ => None,
    };
    messages.iter().filter_map(index).collect()
}

#[test]
fn pieces_are_revealed_one_at_a_time_and_only_those_are_served() {
    let content = Content::single(PIECES * PIECE, PIECE);
    let mut sim = Sim::new(1);
    let seed = sim.add(super_seed(&content));
    let links: Vec<_> = (1..3).map(|number| sim.puppet(seed, Puppet::new(number))).collect();
    let mut revealed = Vec::new();
    for &link in &links {
        let heard = sim.heard(seed, link);
        assert_eq!(heard[0], Message::HaveNone);
        revealed.extend(haves(&heard));
        let hello = heard.iter().find_map(|message| match message {
            Message::Extended { id: 0, payload } => ExtendedHandshake::decode(payload).ok(),
            _ => None,
        });
        assert_eq!(
            hello.and_then(|hello| hello.upload_only),
            None,
            "it does not say what it is"
        );
        sim.say(seed, link, &Message::HaveNone);
        sim.say(seed, link, &Message::Interested);
        assert_eq!(haves(&sim.heard(seed, link)), []);
    }
    assert_eq!(revealed.len(), 2);
    assert_ne!(revealed[0], revealed[1]);
    let request = |index| {
        Message::Request(RawRange {
            index,
            begin: 0,
            length: BLOCK,
        })
    };
    sim.say(seed, links[0], &request(revealed[1]));
    let refused = matches!(sim.heard(seed, links[0])[..], [Message::Reject(range)] if range.index == revealed[1]);
    assert!(refused, "what was not revealed is not served");
    sim.say(seed, links[0], &request(revealed[0]));
    sim.say(seed, links[0], &Message::Have(revealed[0]));
    let heard = sim.heard(seed, links[0]);
    assert!(
        heard.iter().any(|message| matches!(message, Message::Piece { .. })),
        "{heard:?}"
    );
    assert_eq!(haves(&heard), [], "its piece was seen nowhere else");
    sim.say(seed, links[1], &Message::Have(revealed[0]));
    assert_eq!(haves(&sim.heard(seed, links[0])).len(), 1);
    // Nobody has the second's piece, which it may have no use for.
    assert_eq!(haves(&sim.heard(seed, links[1])), []);
    sim.run_for(Span::from_secs(65));
    assert_eq!(haves(&sim.heard(seed, links[1])).len(), 1);
}

#[test]
fn when_there_is_a_copy_it_is_an_ordinary_seed() {
    let content = Content::single(PIECES * PIECE, PIECE);
    let mut sim = Sim::new(1);
    let seed = sim.add(super_seed(&content));
    let link = sim.puppet(seed, Puppet::new(1));
    sim.say(seed, link, &Message::HaveNone);
    assert_eq!(haves(&sim.heard(seed, link)).len(), 1);
    let other = sim.puppet(seed, Puppet::new(2));
    sim.say(seed, other, &Message::HaveAll);
    assert_eq!(haves(&sim.heard(seed, link)).len(), PIECES - 1);
}
