//! Rates are held to their limits, within five per cent over five seconds; links and dials to theirs; a paused torrent is silent; lists of
//! addresses are obeyed.

use tombolo_core::config::Config;
use tombolo_core::event::{Action, Add, Budgets, Event, Mode, Source, Torrent};
use tombolo_core::filter::{Filter, List};
use tombolo_core::session::Session;
use tombolo_core::status::State;
use tombolo_core::swarm::reason::Reason;
use tombolo_core::time::{Span, Time};
use tombolo_tests::sim::{Content, Puppet, Setup, Sim, TORRENT};

fn rate(up: Option<u64>, down: Option<u64>) -> u64 {
    let content = Content::single(20_000_000, 65_536);
    let mut sim = Sim::new(1);
    let mut seed = Setup::seed(&content).up(50_000_000);
    seed.config.up = up;
    let seed = sim.add(seed);
    let mut leech = Setup::leech(&content);
    leech.config.down = down;
    let leech = sim.add(leech);
    sim.introduce(leech, seed);
    sim.run_for(Span::from_secs(2));
    let before = sim.status(leech).received.total();
    sim.run_for(Span::from_secs(5));
    (sim.status(leech).received.total() - before) / 5
}

#[test]
fn upload() {
    let rate = rate(Some(500_000), None);
    assert!((475_000..=525_000).contains(&rate), "{rate} bytes a second");
}

#[test]
fn where_nothing_may_be_sent_nobody_is_led_to_hope() {
    let content = Content::single(20 * 65_536, 65_536);
    let mut sim = Sim::new(1);
    let mut seed = Setup::seed(&content);
    seed.config.up = Some(0);
    let seed = sim.add(seed);
    let leech = sim.add(Setup::leech(&content));
    sim.introduce(leech, seed);
    sim.run_for(Span::from_secs(60));
    let now = sim.now;
    let peers = sim.node(leech).session.peers(now, TORRENT);
    assert!(peers.iter().all(|peer| peer.interested && !peer.unchoked), "{peers:?}");
    assert_eq!((peers.len(), sim.status(seed).sent.total()), (1, 0));
    sim.tell(seed, Event::Limit(None, None));
    assert!(sim.run_until(Span::from_secs(60), |sim| sim.node(leech).is_complete()));
    // And back: what was allowed before is over with the next round.
    sim.tell(seed, Event::Limit(Some(0), None));
    sim.run_for(Span::from_secs(11));
    assert_eq!(
        sim.node(seed)
            .session
            .peers(now, TORRENT)
            .iter()
            .filter(|peer| peer.peer_unchoked)
            .count(),
        0
    );
}

#[test]
fn download() {
    let rate = rate(None, Some(500_000));
    assert!((475_000..=525_000).contains(&rate), "{rate} bytes a second");
}

#[test]
fn a_torrent_has_rates_of_its_own() {
    let content = Content::single(20_000_000, 65_536);
    let measured = |up: Option<u64>, down: Option<u64>| {
        let mut sim = Sim::new(2);
        let mut seed = Setup::seed(&content).up(50_000_000);
        seed.config.torrent_up = up;
        let seed = sim.add(seed);
        let leech = sim.add(Setup::leech(&content));
        sim.tell(leech, Event::LimitTorrent(TORRENT, None, down));
        sim.introduce(leech, seed);
        sim.run_for(Span::from_secs(2));
        let before = sim.status(leech).received.total();
        sim.run_for(Span::from_secs(5));
        (sim.status(leech).received.total() - before) / 5
    };
    for rate in [measured(Some(500_000), None), measured(None, Some(500_000))] {
        assert!((475_000..=525_000).contains(&rate), "{rate} bytes a second");
    }
}

#[test]
fn what_a_limit_lets_pass_goes_to_all_in_turn() {
    let content = Content::single(20_000_000, 65_536);
    for (up, down) in [(Some(400_000), None), (None, Some(400_000))] {
        let mut sim = Sim::new(5);
        let mut middle = if up.is_some() {
            Setup::seed(&content)
        } else {
            Setup::leech(&content)
        };
        (middle.config.up, middle.config.down) = (up, down);
        let middle = sim.add(middle);
        let others: Vec<_> = (0..4)
            .map(|_| {
                sim.add(if up.is_some() {
                    Setup::leech(&content)
                } else {
                    Setup::seed(&content)
                })
            })
            .collect();
        others.iter().for_each(|other| sim.introduce(*other, middle));
        sim.run_for(Span::from_secs(20));
        let shares: Vec<u64> = others
            .iter()
            .map(|other| sim.status(*other))
            .map(|status| status.received.total() + status.sent.total())
            .collect();
        let all: u64 = shares.iter().sum();
        assert!(
            shares.iter().all(|share| share * 8 > all),
            "{shares:?} of {all}, half an equal share at least"
        );
    }
}

#[test]
fn links_of_all_torrents_together_have_a_bound() {
    let content = Content::single(2_000_000, 65_536);
    let mut sim = Sim::new(3);
    let mut few = Setup::leech(&content);
    few.config.max_links = 3;
    let few = sim.add(few);
    let others: Vec<_> = (0..8).map(|_| sim.add(Setup::leech(&content).up(1_000))).collect();
    others.iter().take(4).for_each(|other| sim.introduce(few, *other));
    others.iter().skip(4).for_each(|other| sim.introduce(*other, few));
    sim.run_for(Span::from_secs(30));
    assert_eq!(sim.status(few).peers, 3);
}

#[test]
fn the_bound_on_links_can_be_moved() {
    let content = Content::single(65_536, 65_536);
    let mut sim = Sim::new(9);
    let leech = sim.add(Setup::leech(&content));
    let budgets = |links: usize| Budgets {
        memory: 64 << 20,
        cache: 0,
        links,
        dials: 50,
    };
    let mut peers = 0..;
    for (links, linked) in [(2, 2), (4, 4), (1, 4)] {
        sim.tell(leech, Event::Budgets(budgets(links)));
        for number in peers.by_ref().take(4) {
            sim.puppet(leech, Puppet::new(number));
        }
        assert_eq!(sim.status(leech).peers, linked, "who is linked stays");
    }
}

#[test]
fn dials_of_all_torrents_together_have_a_bound() {
    let config = Config {
        half_open: 12,
        ..Config::default()
    };
    let mut session = Session::new(config, 1);
    for number in [1, 2] {
        let content = Content::single(100_000 * usize::from(number), 65_536);
        let peer = |port| ([10, 0, 0, number], port).into();
        session.handle(
            Time::ZERO,
            Event::Add(Box::new(Add {
                torrent: Torrent(number.into()),
                source: Source::Metainfo(content.metainfo.clone()),
                mode: Mode::Whole,
                trackers: None,
                peers: (1..=10).map(peer).collect(),
                priorities: Vec::new(),
            })),
        );
    }
    let mut dials = Vec::new();
    while let Some(action) = session.poll(Time::ZERO) {
        if let Action::Dial(dial, ..) = action {
            dials.push(dial);
        }
    }
    assert_eq!(dials.len(), 12);
    dials
        .drain(..5)
        .for_each(|dial| session.handle(Time::ZERO, Event::DialFailed(dial)));
    let later = Time::ZERO + Span::from_secs(2);
    session.handle(later, Event::Due);
    let mut more = 0;
    while let Some(action) = session.poll(later) {
        more += usize::from(matches!(action, Action::Dial(..)));
    }
    assert_eq!(more, 5, "as many as failed");
}

#[test]
fn a_paused_torrent_is_silent_and_goes_on() {
    let content = Content::single(2_000_000, 65_536);
    let mut sim = Sim::new(4);
    let seed = sim.add(Setup::seed(&content).up(100_000));
    let leech = sim.add(Setup::leech(&content));
    sim.introduce(leech, seed);
    sim.run_for(Span::from_secs(5));
    sim.tell(leech, Event::Pause(TORRENT, true));
    let before = sim.status(leech);
    assert!((1..2_000_000).contains(&before.received.total()) && before.peers == 0);
    // Nobody gets in, either.
    sim.introduce(seed, leech);
    sim.run_for(Span::from_secs(600));
    let after = sim.status(leech);
    assert_eq!((after.state, after.peers), (State::Paused, 0));
    assert_eq!(after.received.total(), before.received.total());
    sim.tell(leech, Event::Pause(TORRENT, false));
    sim.introduce(leech, seed);
    assert!(sim.run_until(Span::from_secs(120), |sim| sim.node(leech).is_complete()));
}

#[test]
fn who_is_on_the_block_list_is_let_go_and_not_let_in() {
    let content = Content::single(2_000_000, 65_536);
    let mut sim = Sim::new(5);
    let seed = sim.add(Setup::seed(&content).up(100_000));
    let leech = sim.add(Setup::leech(&content));
    sim.introduce(leech, seed);
    sim.run_for(Span::from_secs(5));
    assert_eq!(sim.status(leech).peers, 1);
    let address = sim.node(seed).address.ip();
    let list = |text: String| List::parse(text.as_bytes()).unwrap().ranges;
    let block = |text: String| {
        let blocked = list(text);
        Event::Filter(Filter { blocked, allowed: None }.into())
    };
    sim.tell(leech, block(address.to_string()));
    assert_eq!(sim.status(leech).peers, 0);
    sim.introduce(leech, seed);
    sim.introduce(seed, leech);
    sim.run_for(Span::from_secs(20));
    assert_eq!(sim.status(leech).peers, 0);
    assert!(
        sim.node(leech)
            .closed
            .iter()
            .all(|(_, reason)| *reason == Reason::Filtered)
    );
    sim.tell(leech, block(String::new()));
    assert!(sim.run_until(Span::from_secs(60), |sim| sim.node(leech).is_complete()));
    let only = Filter {
        allowed: Some(list("192.0.2.0/24".into())),
        ..Filter::default()
    };
    sim.tell(leech, Event::Filter(only.into()));
    assert_eq!(sim.status(leech).peers, 0, "an allow-list lets nobody else in");
}
