//! v2 torrents and hybrids (BEP 52): every block is proven on its own, hashes come from peers, and both versions are one swarm.

use tombolo_core::event::Link;
use tombolo_core::layout::BLOCK;
use tombolo_core::metainfo::create::Version;
use tombolo_core::time::Span;
use tombolo_core::wire::hashes::{HEAD, HashRange};
use tombolo_core::wire::message::Message;
use tombolo_tests::sim::{Content, Id, Puppet, Setup, Sim};

const PIECE: usize = 16 * BLOCK as usize;

fn content(version: Version) -> Content {
    Content::versioned(version, &[0, 5 * PIECE + 20_000, 100, 3 * PIECE, BLOCK as usize], PIECE)
}

/// Bytes of blocks that a node received beyond what it has.
fn wasted(sim: &mut Sim, id: Id) -> u64 {
    let status = sim.status(id);
    status.received.total() - status.have
}

#[test]
fn every_version_is_downloaded_and_checked() {
    for version in [Version::V1, Version::V2, Version::Hybrid] {
        let content = content(version);
        let mut sim = Sim::new(1);
        let seed = sim.add(Setup::seed(&content).unchecked());
        let leech = sim.add(Setup::leech(&content));
        sim.introduce(leech, seed);
        assert!(
            sim.run_until(Span::from_secs(60), |sim| sim.node(leech).is_complete()),
            "{version:?} {:?}",
            sim.status(leech)
        );
        assert_eq!(
            sim.status(leech).have,
            content.metainfo.content_length(),
            "no padding is fetched"
        );
        assert_eq!(wasted(&mut sim, leech), 0);
    }
}

#[test]
fn one_corrupt_block_costs_one_block_and_bans_its_sender() {
    for seed in 0..20 {
        let content = Content::versioned(Version::V2, &[4 * PIECE], PIECE);
        let mut sim = Sim::new(seed);
        let liar = sim.add(Setup::seed(&content).corrupting(2, 5));
        let leech = sim.add(Setup::leech(&content));
        sim.introduce(leech, liar);
        // It has it all from the liar, but for that block.
        sim.run_until(Span::from_secs(60), |sim| sim.node(leech).bans() == 1);
        let good = sim.add(Setup::seed(&content));
        sim.introduce(leech, good);
        assert!(
            sim.run_until(Span::from_secs(60), |sim| sim.node(leech).is_complete()),
            "{:?}",
            sim.status(leech)
        );
        assert_eq!(sim.node(leech).bans(), 1);
        assert_eq!(sim.status(leech).hash_failures, 1);
        assert_eq!(wasted(&mut sim, leech), u64::from(BLOCK), "seed {seed}");
    }
}

#[test]
fn of_many_peers_the_one_that_corrupts_is_found_by_its_block() {
    for seed in 0..20 {
        let content = Content::versioned(Version::V2, &[PIECE], PIECE);
        let mut sim = Sim::new(seed);
        let liar = sim.add(Setup::seed(&content).corrupting(0, 3).up(100_000));
        let good: Vec<_> = (0..3).map(|_| sim.add(Setup::seed(&content).up(100_000))).collect();
        let leech = sim.add(Setup::leech(&content));
        sim.introduce(leech, liar);
        for &seed in &good {
            sim.introduce(leech, seed);
        }
        assert!(sim.run_until(Span::from_secs(120), |sim| sim.node(leech).is_complete()));
        let failures = sim.status(leech).hash_failures;
        assert_eq!(
            sim.node(leech).bans() as u64,
            failures,
            "whoever sent it is banned, nobody else"
        );
        assert!(failures <= 1);
    }
}

#[test]
fn where_nobody_proves_the_blocks_the_whole_piece_is_fetched_again() {
    let content = content(Version::Hybrid);
    let mut sim = Sim::new(3);
    // They know v1 alone: they cannot be asked for hashes.
    let liar = sim.add(Setup::seed(&content.as_v1()).corrupting(2, 5));
    let good = sim.add(Setup::seed(&content.as_v1()));
    let leech = sim.add(Setup::leech(&content));
    sim.introduce(leech, liar);
    sim.introduce(leech, good);
    assert!(sim.run_until(Span::from_secs(120), |sim| sim.node(leech).is_complete()));
    assert!(sim.node(leech).bans() <= 1);
}

#[test]
fn a_btmh_link_is_enough() {
    for content in [content(Version::V2), content(Version::Hybrid).as_v2()] {
        let mut sim = Sim::new(4);
        let seed = sim.add(Setup::seed(&content));
        let first = sim.add(Setup::leech(&content).by_magnet());
        let second = sim.add(Setup::leech(&content).by_magnet());
        sim.introduce(first, seed);
        // It gets metadata, hashes and blocks from one who had none of them before.
        sim.introduce(second, first);
        for leech in [first, second] {
            assert!(
                sim.run_until(Span::from_secs(60), |sim| sim.node(leech).is_complete()),
                "{:?}",
                sim.status(leech)
            );
        }
        let metainfo = sim.node(second).session.metainfo(tombolo_tests::sim::TORRENT).cloned();
        assert!(metainfo.is_some_and(|metainfo| metainfo.layers.is_complete()));
    }
}

#[test]
fn a_large_layer_comes_in_chunks_and_stored_pieces_wait_for_it() {
    let content = Content::versioned(Version::V2, &[1_300 * BLOCK as usize], BLOCK as usize);
    let mut sim = Sim::new(5);
    let seed = sim.add(Setup::seed(&content));
    let mut setup = Setup::leech(&content).by_magnet().holding(0..700).unchecked();
    setup.config.memory = 1 << 20;
    let leech = sim.add(setup);
    sim.introduce(leech, seed);
    assert!(
        sim.run_until(Span::from_secs(120), |sim| sim.node(leech).is_complete()),
        "{:?}",
        sim.status(leech)
    );
    let received = sim.status(leech).received.total();
    assert_eq!(received, 600 * u64::from(BLOCK), "what was there is not fetched");
}

#[test]
fn who_has_the_content_computes_the_hashes_that_nobody_gives() {
    for (content, leeches) in [
        (content(Version::V2), content(Version::V2)),
        (content(Version::Hybrid), content(Version::Hybrid).as_v2()),
    ] {
        let mut sim = Sim::new(8);
        let seed = sim.add(Setup::seed(&content.without_layers()).unchecked());
        let leech = sim.add(Setup::leech(&leeches).by_magnet());
        sim.introduce(leech, seed);
        assert!(
            sim.run_until(Span::from_secs(60), |sim| sim.node(leech).is_complete()),
            "{:?}",
            sim.status(leech)
        );
        // Both tell whoever keeps the metainfo.
        assert_eq!((sim.node(seed).layers_told(), sim.node(leech).layers_told()), (1, 1));
    }
}

#[test]
fn wrong_content_makes_no_hashes() {
    let content = Content::versioned(Version::V2, &[5 * PIECE], PIECE);
    let mut sim = Sim::new(9);
    let damaged = sim.add(Setup::seed(&content.without_layers()).unchecked().damaged(&[3]));
    sim.run_for(Span::from_secs(30));
    assert_eq!(sim.node(damaged).layers_told(), 0);
    let seed = sim.add(Setup::seed(&content));
    sim.introduce(damaged, seed);
    assert!(sim.run_until(Span::from_secs(60), |sim| sim.node(damaged).is_complete()));
    let received = sim.status(damaged).received.total();
    assert_eq!(received, PIECE as u64, "only what was wrong is fetched");
    assert_eq!(sim.node(damaged).layers_told(), 1);
}

#[test]
fn peers_of_either_version_alone_are_one_swarm_by_those_who_know_both() {
    let content = content(Version::Hybrid);
    let mut sim = Sim::new(6);
    let old_seed = sim.add(Setup::seed(&content.as_v1()));
    let both = sim.add(Setup::leech(&content));
    let new_leech = sim.add(Setup::leech(&content.as_v2()));
    let old_leech = sim.add(Setup::leech(&content.as_v1()));
    sim.introduce(both, old_seed);
    sim.introduce(new_leech, both);
    sim.introduce(old_leech, both);
    // The only way to the seed that the v2 peer has is through the one that knows both.
    sim.introduce(new_leech, old_seed);
    for leech in [both, new_leech, old_leech] {
        assert!(
            sim.run_until(Span::from_secs(120), |sim| sim.node(leech).is_complete()),
            "{:?}",
            sim.status(leech)
        );
    }
    assert_eq!(
        sim.node(both).bans() + sim.node(new_leech).bans() + sim.node(old_leech).bans(),
        0
    );
}

#[test]
fn a_hybrid_known_by_its_v1_hash_is_checked_by_both_once_it_can_be() {
    let content = content(Version::Hybrid);
    let mut sim = Sim::new(7);
    let seed = sim.add(Setup::seed(&content));
    let leech = sim.add(Setup::leech(&content).by_magnet());
    sim.introduce(leech, seed);
    assert!(sim.run_until(Span::from_secs(60), |sim| sim.node(leech).is_complete()));
    assert_eq!(sim.status(leech).hashes, content.metainfo.hashes);
}

/// A seed with a hand-driven v2 peer, and a request that it can answer.
fn asked(content: &Content) -> (Sim, Id, Link, HashRange) {
    let mut sim = Sim::new(8);
    let seed = sim.add(Setup::seed(content));
    let link = sim.puppet(seed, Puppet::new(1));
    let range = content
        .metainfo
        .layers
        .request(content.metainfo.layout.piece(0).unwrap())
        .unwrap();
    sim.heard(seed, link);
    (sim, seed, link, range)
}

fn ask(sim: &mut Sim, at: Id, link: Link, range: HashRange) {
    sim.say(at, link, &Message::HashRequest(range.encode().to_vec().into()));
}

fn answers(sim: &mut Sim, at: Id, link: Link) -> (usize, usize) {
    let heard = sim.heard(at, link);
    let hashes = heard
        .iter()
        .filter(|message| matches!(message, Message::Hashes(_)))
        .count();
    let rejects = heard
        .iter()
        .filter(|message| matches!(message, Message::HashReject(_)))
        .count();
    (hashes, rejects)
}

#[test]
fn hash_requests_are_answered_choked_or_not_and_absurd_ones_rejected() {
    let content = Content::versioned(Version::V2, &[5 * PIECE + 20_000], PIECE);
    let (mut sim, seed, link, range) = asked(&content);
    ask(&mut sim, seed, link, range);
    assert_eq!(answers(&mut sim, seed, link), (1, 0));
    let blocks = HashRange {
        base: 0,
        index: 16,
        length: 16,
        proofs: 6,
        ..range
    };
    ask(&mut sim, seed, link, blocks);
    assert_eq!(answers(&mut sim, seed, link), (1, 0));
    let absurd = [
        HashRange { root: [1; 32], ..range },
        HashRange { base: 1, ..range },
        HashRange {
            base: u32::MAX,
            ..range
        },
        HashRange {
            index: u32::MAX - 7,
            ..range
        },
        HashRange { index: 1, ..range },
        HashRange { length: 0, ..range },
        HashRange { length: 3, ..range },
        HashRange {
            length: 1 << 31,
            ..range
        },
        HashRange {
            proofs: u32::MAX,
            ..range
        },
        HashRange { proofs: 3, ..range },
        HashRange { index: 128, ..blocks },
    ];
    for range in absurd {
        ask(&mut sim, seed, link, range);
        assert_eq!(answers(&mut sim, seed, link), (0, 1), "{range:?}");
    }
    assert!(sim.node(seed).closed.is_empty());
}

#[test]
fn a_flood_of_hash_requests_is_held_to_a_budget() {
    let content = Content::versioned(Version::V2, &[5 * PIECE + 20_000], PIECE);
    let (mut sim, seed, link, range) = asked(&content);
    let blocks = HashRange {
        base: 0,
        index: 0,
        length: 16,
        proofs: 3,
        ..range
    };
    for _ in 0..1_000 {
        ask(&mut sim, seed, link, blocks);
    }
    let (hashes, rejects) = answers(&mut sim, seed, link);
    assert_eq!((hashes, rejects), (16, 984), "a piece is read for each");
    sim.run_for(Span::from_secs(10));
    for _ in 0..10_000 {
        ask(&mut sim, seed, link, range);
    }
    let (hashes, rejects) = answers(&mut sim, seed, link);
    assert_eq!((hashes, rejects), (2_000, 8_000));
}

#[test]
fn hashes_that_were_not_asked_for_close_the_link_and_wrong_ones_ban() {
    let content = content(Version::V2);
    let info = content.metainfo.info.clone();
    let bare = tombolo_core::metainfo::Metainfo::from_info(info).unwrap();
    let content_without = Content {
        metainfo: bare.into(),
        ..content
    };
    let mut sim = Sim::new(9);
    let leech = sim.add(Setup::leech(&content_without));
    let stranger = sim.puppet(leech, Puppet::new(1));
    sim.say(leech, stranger, &Message::Hashes(vec![0; HEAD + 64].into()));
    assert_eq!((sim.node(leech).closed.len(), sim.node(leech).bans()), (1, 0));
    let liar = sim.puppet(leech, Puppet::new(2));
    sim.say(leech, liar, &Message::HaveAll);
    let asked = sim.heard(leech, liar).into_iter().find_map(|message| match message {
        Message::HashRequest(payload) => Some(payload),
        _ => None,
    });
    let payload = asked.expect("it is asked for the hashes that are missing");
    let range = HashRange::decode(payload.first_chunk().unwrap()).unwrap();
    let count = (range.length + range.neighbours()) as usize;
    let lie = [&payload[..], &vec![7; 32 * count]].concat();
    sim.say(leech, liar, &Message::Hashes(lie.into()));
    assert_eq!(sim.node(leech).bans(), 1);
}
