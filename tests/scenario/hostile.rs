//! Whatever a peer sends, a session does not panic, keeps its budgets, and serves the others.

use bytes::Bytes;
use tombolo_core::event::Transport;
use tombolo_core::rng::Rng;
use tombolo_core::time::Span;
use tombolo_core::wire::message::{Message, RawRange};
use tombolo_tests::sim::{Content, Id, Puppet, Setup, Sim};

/// A message whose numbers are mostly near the edges of what is valid.
fn message(rng: &mut Rng) -> Message {
    let edge = |rng: &mut Rng| {
        [
            0,
            1,
            2,
            3,
            4,
            15,
            16,
            16_383,
            16_384,
            16_385,
            65_536,
            u32::MAX - 1,
            u32::MAX,
        ][rng.below(13)]
    };
    let range = RawRange {
        index: rng.below(5) as u32,
        begin: [0, 16_384, 32_768, edge(rng)][rng.below(4)],
        length: [16_384, 16_384, edge(rng)][rng.below(3)],
    };
    let bytes = |rng: &mut Rng, longest: usize| {
        let mut bytes = vec![0; rng.below(longest)];
        rng.fill(&mut bytes);
        Bytes::from(bytes)
    };
    match rng.below(20) {
        0 => Message::KeepAlive,
        1 => Message::Choke,
        2 | 3 => Message::Unchoke,
        4 | 5 => Message::Interested,
        6 => Message::NotInterested,
        7 => Message::Have(rng.below(5) as u32),
        8 => Message::Bitfield(Bytes::from(vec![(rng.next_u64() as u8) & 0xf0])),
        9 => Message::HaveAll,
        10 => Message::HaveNone,
        11 | 12 => Message::Request(range),
        13 => Message::Cancel(range),
        14 | 15 => Message::Piece {
            index: range.index,
            begin: range.begin,
            block: Bytes::from(vec![7; range.length.min(20_000) as usize]).into(),
        },
        16 => Message::Reject(range),
        17 => [
            Message::Suggest(range.index),
            Message::AllowedFast(range.index),
            Message::Port(1),
            Message::Unknown(99),
        ][rng.below(4)]
        .clone(),
        18 => Message::Extended {
            id: rng.below(4) as u8,
            payload: extended(rng),
        },
        _ => Message::Extended {
            id: rng.below(256) as u8,
            payload: bytes(rng, 200),
        },
    }
}

fn extended(rng: &mut Rng) -> Bytes {
    let texts: [&'static [u8]; 8] = [
        b"d1:md11:ut_metadatai3e11:lt_donthavei7ee13:metadata_sizei100e4:reqqi0ee",
        b"d1:md11:ut_metadatai0eee",
        b"d1:md11:ut_metadatai3ee13:metadata_sizei99999999999ee",
        b"d8:msg_typei0e5:piecei0ee",
        b"d8:msg_typei1e5:piecei0e10:total_sizei100eeabc",
        b"d8:msg_typei2e5:piecei4294967295ee",
        b"\0\0\0\x01",
        b"\xff\xff\xff\xff",
    ];
    Bytes::from_static(texts[rng.below(8)])
}

fn harass(sim: &mut Sim, target: Id, seed: u64) {
    let mut rng = Rng::new(seed);
    for round in 0..60 {
        let mut puppet = Puppet::new(round);
        puppet.transport = [Transport::Tcp, Transport::Rtc, Transport::Wire][rng.below(3)];
        if rng.below(4) == 0 {
            puppet = puppet.plain();
        }
        let link = sim.puppet(target, puppet);
        for _ in 0..rng.below(200) {
            sim.say(target, link, &message(&mut rng));
            if rng.below(20) == 0 {
                sim.run_for(Span::from_millis(rng.below(5_000) as u64));
            }
        }
    }
}

fn content() -> Content {
    Content::single(4 * 65_536 - 100, 65_536)
}

/// Harasses a node, lets it meet another one five minutes later, and waits until both have everything.
fn survives(seed: u64, target: Setup, other: Setup) -> (Sim, Id) {
    let mut sim = Sim::new(seed);
    let target = sim.add(target);
    harass(&mut sim, target, seed);
    sim.run_for(Span::from_secs(300));
    let other = sim.add(other);
    sim.introduce(other, target);
    let complete = |sim: &mut Sim| [target, other].into_iter().all(|id| sim.node(id).is_complete());
    assert!(
        sim.run_until(Span::from_secs(300), complete),
        "{:?}",
        sim.status(target)
    );
    (sim, target)
}

#[test]
fn a_leecher_survives_and_completes_all_the_same() {
    for seed in 0..12 {
        let (mut sim, leech) = survives(seed, Setup::leech(&content()), Setup::seed(&content()));
        assert_eq!(sim.node(leech).session.memory(), 0);
    }
}

#[test]
fn one_that_lacks_the_metadata_survives() {
    for seed in 100..112 {
        survives(seed, Setup::leech(&content()).by_magnet(), Setup::seed(&content()));
    }
}

#[test]
fn a_seed_survives_and_serves() {
    for seed in 200..212 {
        survives(seed, Setup::seed(&content()), Setup::leech(&content()));
    }
}

#[test]
fn a_bridge_survives_within_its_budgets_and_bridges() {
    for seed in 300..312 {
        let mut sim = Sim::new(seed);
        let native = sim.add(Setup::seed(&content()));
        let relay = sim.add(Setup::bridge(&content(), 65_536));
        sim.introduce(relay, native);
        harass(&mut sim, relay, seed);
        sim.run_for(Span::from_secs(300));
        let tab = sim.add(Setup::leech(&content()).web());
        sim.introduce(relay, native);
        sim.introduce(tab, relay);
        assert!(
            sim.run_until(Span::from_secs(300), |sim| sim.node(tab).is_complete()),
            "{:?}",
            sim.status(relay)
        );
        assert!(
            sim.node(relay).peak_cache <= 2 * 65_536,
            "{}",
            sim.node(relay).peak_cache
        );
    }
}

#[test]
fn random_bytes_close_the_link() {
    let mut sim = Sim::new(1);
    let leech = sim.add(Setup::leech(&content()));
    let mut rng = Rng::new(1);
    for round in 0..100 {
        let link = sim.puppet(leech, Puppet::new(round));
        let mut bytes = vec![0; 4_000];
        rng.fill(&mut bytes);
        sim.tell(leech, tombolo_core::event::Event::Received(link, bytes.into()));
    }
    assert_eq!(sim.node(leech).bans(), 0);
}
