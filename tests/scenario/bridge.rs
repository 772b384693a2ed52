//! A bridge lets tabs and native peers trade through it: it fetches what is asked for, once, and keeps a bounded cache.

use tombolo_core::event::{Budgets, Event, Transport};
use tombolo_core::time::Span;
use tombolo_core::wire::extended::{ExtendedHandshake, Extension, Ids};
use tombolo_core::wire::message::{Message, RawRange};
use tombolo_tests::sim::{Content, Puppet, Setup, Sim, TORRENT};

#[test]
fn a_tab_downloads_what_only_a_native_peer_has() {
    let content = Content::single(4_000_000, 65_536);
    let mut sim = Sim::new(1);
    let native = sim.add(Setup::seed(&content));
    let relay = sim.add(Setup::bridge(&content, 1 << 20));
    let tab = sim.add(Setup::leech(&content).web());
    sim.introduce(relay, native);
    sim.introduce(tab, relay);
    assert!(
        sim.run_until(Span::from_secs(60), |sim| sim.node(tab).is_complete()),
        "{:?} {:?}",
        sim.status(relay),
        sim.status(tab)
    );
    let relayed = sim.status(relay);
    assert!(relayed.received.native <= 4_200_000, "{relayed:?}");
    assert!(sim.node(relay).peak_cache <= (1 << 20) + 65_536);
}

#[test]
fn only_what_is_asked_for_is_fetched() {
    let content = Content::new(&[3_000_000, 1_000_000], 65_536);
    let mut sim = Sim::new(2);
    let native = sim.add(Setup::seed(&content));
    let relay = sim.add(Setup::bridge(&content, 64 << 20));
    let priorities = [
        tombolo_core::swarm::Priority::Skip,
        tombolo_core::swarm::Priority::Normal,
    ];
    let tab = sim.add(Setup::leech(&content).web().selecting(&priorities));
    sim.introduce(relay, native);
    sim.introduce(tab, relay);
    assert!(sim.run_until(Span::from_secs(60), |sim| sim.node(tab).is_complete()));
    let fetched = sim.status(relay).received.native;
    assert!(fetched <= 17 * 65_536, "{fetched}");
}

#[test]
fn a_second_tab_is_served_from_the_cache() {
    let content = Content::single(1_000_000, 65_536);
    let mut sim = Sim::new(3);
    let native = sim.add(Setup::seed(&content));
    let relay = sim.add(Setup::bridge(&content, 64 << 20));
    sim.introduce(relay, native);
    for _ in 0..2 {
        let tab = sim.add(Setup::leech(&content).web());
        sim.introduce(tab, relay);
        assert!(sim.run_until(Span::from_secs(60), |sim| sim.node(tab).is_complete()));
    }
    let relayed = sim.status(relay);
    assert!(
        relayed.received.native < 1_100_000 && relayed.sent_cached >= 900_000,
        "{relayed:?}"
    );
}

#[test]
fn a_native_peer_downloads_what_only_a_tab_has() {
    let content = Content::single(2_000_000, 65_536);
    let mut sim = Sim::new(4);
    let tab = sim.add(Setup::seed(&content).web());
    let relay = sim.add(Setup::bridge(&content, 1 << 20));
    let native = sim.add(Setup::leech(&content));
    sim.introduce(tab, relay);
    sim.introduce(native, relay);
    assert!(
        sim.run_until(Span::from_secs(60), |sim| sim.node(native).is_complete()),
        "{:?}",
        sim.status(relay)
    );
}

#[test]
fn by_magnet_on_both_sides() {
    let content = Content::single(1_000_000, 16_384);
    let mut sim = Sim::new(5);
    let native = sim.add(Setup::seed(&content));
    let relay = sim.add(Setup::bridge(&content, 1 << 20).by_magnet());
    let tab = sim.add(Setup::leech(&content).web().by_magnet());
    sim.introduce(tab, relay);
    sim.run_for(Span::from_secs(3));
    sim.introduce(relay, native);
    assert!(sim.run_until(Span::from_secs(60), |sim| sim.node(tab).is_complete()));
}

#[test]
fn a_piece_larger_than_the_cache_passes_through() {
    let content = Content::single(8 << 20, 2 << 20);
    let mut sim = Sim::new(6);
    let native = sim.add(Setup::seed(&content).up(20_000_000));
    let relay = sim.add(Setup::bridge(&content, 1 << 20).up(20_000_000));
    let tab = sim.add(Setup::leech(&content).web());
    sim.introduce(relay, native);
    sim.introduce(tab, relay);
    assert!(
        sim.run_until(Span::from_secs(120), |sim| sim.node(tab).is_complete()),
        "{:?}",
        sim.status(relay)
    );
}

#[test]
fn prefetching_fills_the_cache_and_stops() {
    let content = Content::single(4_000_000, 65_536);
    let mut sim = Sim::new(7);
    let native = sim.add(Setup::seed(&content));
    let relay = sim.add(Setup::bridge(&content, 1_000_000).prefetching());
    sim.introduce(relay, native);
    sim.run_for(Span::from_secs(30));
    let cached = sim.node(relay).session.cached();
    assert!((800_000..=1_000_000).contains(&cached), "{cached}");
    assert!(sim.status(relay).received.native <= 1_200_000);
}

#[test]
fn a_cache_that_grows_a_little_is_filled_too() {
    let content = Content::single(256 * 16_384, 16_384);
    let mut sim = Sim::new(9);
    let seed = sim.add(Setup::seed(&content));
    let relay = sim.add(Setup::bridge(&content, 61 * 16_384).prefetching());
    sim.introduce(relay, seed);
    sim.run_for(Span::from_secs(20));
    let before = sim.node(relay).session.cached();
    let budgets = Budgets {
        memory: u64::MAX,
        cache: 64 * 16_384,
        links: 100,
        dials: 100,
    };
    sim.tell(relay, Event::Budgets(budgets));
    let more = |sim: &mut Sim| sim.node(relay).session.cached() > before;
    assert!(sim.run_until(Span::from_secs(20), more), "it had {before}");
}

#[test]
fn when_the_last_source_is_gone_the_promise_is_taken_back() {
    let content = Content::single(4 * 16_384, 16_384);
    let mut sim = Sim::new(8);
    let native = sim.add(Setup::seed(&content));
    let relay = sim.add(Setup::bridge(&content, 1 << 20));
    sim.introduce(relay, native);
    sim.run_for(Span::from_secs(1));
    let tab = sim.puppet(relay, Puppet::new(1).over(Transport::Wire));
    let hello = ExtendedHandshake {
        ids: Ids::ours(&[Extension::DontHave]),
        ..ExtendedHandshake::default()
    };
    sim.say(
        relay,
        tab,
        &Message::Extended {
            id: 0,
            payload: hello.encode(),
        },
    );
    assert_eq!(sim.heard(relay, tab)[0], Message::HaveAll, "it can fetch everything");
    sim.unplug(native);
    sim.run_for(Span::from_secs(1));
    let gone = sim
        .heard(relay, tab)
        .into_iter()
        .filter(|message| matches!(message, Message::Extended { id: 2, .. }))
        .count();
    assert_eq!(gone, 4);
    sim.say(relay, tab, &Message::Interested);
    let range = RawRange {
        index: 0,
        begin: 0,
        length: 16_384,
    };
    sim.say(relay, tab, &Message::Request(range));
    assert!(sim.heard(relay, tab).contains(&Message::Reject(range)));
}

#[test]
fn a_peer_that_cannot_be_told_otherwise_is_promised_what_is_held() {
    let content = Content::single(4 * 16_384, 16_384);
    let mut sim = Sim::new(9);
    let native = sim.add(Setup::seed(&content));
    let relay = sim.add(Setup::bridge(&content, 1 << 20).holding([2]));
    sim.introduce(relay, native);
    sim.run_for(Span::from_secs(1));
    let tab = sim.puppet(relay, Puppet::new(1).plain().over(Transport::Rtc));
    assert_eq!(
        sim.heard(relay, tab),
        [Message::Bitfield(bytes::Bytes::from_static(&[0b0010_0000]))]
    );
}

#[test]
fn another_relays_promise_is_no_source() {
    let content = Content::single(4 * 16_384, 16_384);
    let mut sim = Sim::new(10);
    let relay = sim.add(Setup::bridge(&content, 1 << 20));
    let other = sim.puppet(relay, Puppet::new(1));
    let hello = ExtendedHandshake {
        relay: true,
        ..ExtendedHandshake::default()
    };
    sim.say(relay, other, &Message::HaveAll);
    sim.say(
        relay,
        other,
        &Message::Extended {
            id: 0,
            payload: hello.encode(),
        },
    );
    sim.run_for(Span::from_secs(1));
    let tab = sim.puppet(relay, Puppet::new(2).over(Transport::Wire));
    assert_eq!(sim.heard(relay, tab)[0], Message::HaveNone);
}

#[test]
fn a_request_that_nobody_waits_for_any_more_frees_its_memory() {
    let content = Content::single(4 << 20, 1 << 20);
    let mut sim = Sim::new(11);
    let native = sim.add(Setup::seed(&content).up(100_000));
    let relay = sim.add(Setup::bridge(&content, 1 << 20));
    sim.introduce(relay, native);
    sim.run_for(Span::from_secs(1));
    let tab = sim.add(Setup::leech(&content).web());
    sim.introduce(tab, relay);
    sim.run_for(Span::from_secs(3));
    assert!(sim.node(relay).session.memory() > 0);
    sim.unplug(tab);
    sim.run_for(Span::from_secs(3));
    assert_eq!(
        sim.node(relay).session.memory(),
        0,
        "{:?}",
        sim.node(relay).session.peers(tombolo_core::time::Time::ZERO, TORRENT)
    );
}
