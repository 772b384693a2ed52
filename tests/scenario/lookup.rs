//! When a session wants peers to be looked for outside its trackers (DHT, local network), and what it tells of our own node.

use tombolo_core::config::Config;
use tombolo_core::event::{Action, Add, Event, Mode, Source, Transport};
use tombolo_core::session::Session;
use tombolo_core::time::{Span, Time};
use tombolo_core::wire::extended::{ExtendedHandshake, Extension, Ids};
use tombolo_core::wire::handshake::Reserved;
use tombolo_core::wire::holepunch::{Holepunch, HolepunchFailure};
use tombolo_core::wire::message::Message;
use tombolo_tests::sim::{Content, Puppet, Setup, Sim, TORRENT};

/// When lookups of a torrent happen in the first two hours, in seconds.
fn lookups(content: &Content, finds: bool) -> Vec<u64> {
    let config = Config {
        finds,
        ..Config::default()
    };
    let mut session = Session::new(config, 1);
    let add = Add {
        torrent: TORRENT,
        source: Source::Metainfo(content.metainfo.clone()),
        mode: Mode::Whole,
        trackers: None,
        peers: Vec::new(),
        priorities: Vec::new(),
    };
    session.handle(Time::ZERO, Event::Add(Box::new(add)));
    let (mut now, mut times) = (Time::ZERO, Vec::new());
    while now < Time::ZERO + Span::from_secs(7_200) {
        while let Some(action) = session.poll(now) {
            if let Action::Lookup(TORRENT, swarms) = action {
                assert_eq!(swarms, [content.metainfo.hashes.swarm()]);
                times.push(now.since(Time::ZERO).as_secs());
            }
        }
        let Some(next) = session.deadline() else { break };
        now = next;
        session.handle(now, Event::Due);
    }
    times
}

#[test]
fn a_lonely_torrent_looks_again_soon_and_then_every_quarter_of_an_hour() {
    let content = Content::single(100_000, 16_384);
    assert_eq!(
        lookups(&content, true),
        [
            0, 10, 30, 70, 150, 310, 630, 1_270, 2_170, 3_070, 3_970, 4_870, 5_770, 6_670
        ]
    );
    assert_eq!(lookups(&content, false), []);
}

#[test]
fn a_private_torrent_is_never_looked_for() {
    assert_eq!(lookups(&Content::private(100_000, 16_384), true), []);
}

#[test]
fn nodes_of_the_dht_tell_each_other() {
    for (on, told) in [(Some(7_000), true), (None, false)] {
        let content = Content::single(100_000, 16_384);
        let mut sim = Sim::new(21);
        let mut setup = Setup::seed(&content);
        setup.config.dht_port = on;
        let node = sim.add(setup);
        let mut puppet = Puppet::new(1);
        puppet.reserved = Reserved::OURS.with_dht();
        let link = sim.puppet(node, puppet);
        let plain = sim.puppet(node, Puppet::new(2));
        assert_eq!(sim.heard(node, link).contains(&Message::Port(7_000)), told);
        assert!(!sim.heard(node, plain).contains(&Message::Port(7_000)));
        sim.say(node, link, &Message::Port(8_000));
        let nodes = sim.node(node).nodes.clone();
        let expected: &[_] = if told { &["10.1.0.1:8000"] } else { &[] };
        assert_eq!(nodes.iter().map(ToString::to_string).collect::<Vec<_>>(), expected);
    }
}

const PUNCH: u8 = 12;

fn hello(port: Option<u16>) -> Message {
    let mut ids = Ids::default();
    ids.set(Extension::Holepunch, PUNCH);
    let hello = ExtendedHandshake {
        ids,
        port,
        ..ExtendedHandshake::default()
    };
    Message::Extended {
        id: 0,
        payload: hello.encode(),
    }
}

fn punches(messages: &[Message]) -> Vec<Holepunch> {
    let punch = |message: &Message| match message {
        Message::Extended { id: PUNCH, payload } => Holepunch::decode(payload).ok(),
        _ => None,
    };
    messages.iter().filter_map(punch).collect()
}

/// Its port of a TCP connection is of no use to those who are to send it datagrams; that which it listens at may be.
#[test]
fn who_came_over_tcp_is_introduced_by_where_it_listens() {
    let content = Content::single(100_000, 16_384);
    let mut sim = Sim::new(23);
    let mut setup = Setup::seed(&content);
    setup.config.punches = true;
    let node = sim.add(setup);
    let [over_tcp, over_utp] = [(1, Transport::Tcp), (2, Transport::Utp)].map(|(number, transport)| {
        let link = sim.puppet(node, Puppet::new(number).over(transport));
        sim.say(node, link, &hello(Some(51_413)));
        link
    });
    let at = |number: u8, port: u16| std::net::SocketAddr::from(([10, 1, 0, number], port));
    let message = Message::Extended {
        id: Extension::Holepunch.id(),
        payload: Holepunch::Rendezvous(at(2, 51_413)).encode(),
    };
    sim.say(node, over_tcp, &message);
    assert_eq!(punches(&sim.heard(node, over_tcp)), [Holepunch::Connect(at(2, 6881))]);
    assert_eq!(punches(&sim.heard(node, over_utp)), [Holepunch::Connect(at(1, 51_413))]);
}

#[test]
fn two_peers_are_brought_together() {
    let content = Content::single(100_000, 16_384);
    let mut sim = Sim::new(22);
    let mut setup = Setup::seed(&content);
    setup.config.punches = true;
    let node = sim.add(setup);
    let [one, other] = [1, 2].map(|number| {
        let link = sim.puppet(node, Puppet::new(number));
        sim.say(node, link, &hello(None));
        link
    });
    let deaf = sim.puppet(node, Puppet::new(3));
    let at = |number: u8| std::net::SocketAddr::from(([10, 1, 0, number], 6881));
    let say = |message: Holepunch| Message::Extended {
        id: Extension::Holepunch.id(),
        payload: message.encode(),
    };
    sim.say(node, one, &say(Holepunch::Rendezvous(at(2))));
    assert_eq!(punches(&sim.heard(node, one)), [Holepunch::Connect(at(2))]);
    assert_eq!(punches(&sim.heard(node, other)), [Holepunch::Connect(at(1))]);
    for (target, failure) in [
        (at(3), HolepunchFailure::NoSupport),
        (at(9), HolepunchFailure::NotConnected),
        (at(1), HolepunchFailure::NoSuchPeer),
    ] {
        sim.say(node, one, &say(Holepunch::Rendezvous(target)));
        assert_eq!(punches(&sim.heard(node, one)), [Holepunch::Error(target, failure)]);
    }
    sim.say(node, one, &say(Holepunch::Connect(at(77))));
    assert_eq!(sim.node(node).punched, [at(77)]);
    sim.say(node, deaf, &say(Holepunch::Rendezvous(at(1))));
    assert_eq!(punches(&sim.heard(node, deaf)), [], "it said no id to answer by");
}
