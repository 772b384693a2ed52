//! Peer exchange (BEP 11): peers meet through one that both know, and never too often, nor of private torrents, nor tabs.

use tombolo_core::event::{Event, Transport};
use tombolo_core::time::Span;
use tombolo_core::wire::extended::{ExtendedHandshake, Extension, Ids};
use tombolo_core::wire::message::Message;
use tombolo_core::wire::pex::{Flags, PexMessage};
use tombolo_tests::sim::{Content, Id, Puppet, Setup, Sim, TORRENT};

const PEX: u8 = 9;

fn listening(mut setup: Setup) -> Setup {
    setup.config.port = 6881;
    setup
}

/// The extended handshake of a puppet that speaks PEX and listens.
fn hello(port: u16) -> Message {
    let mut ids = Ids::default();
    ids.set(Extension::PeerExchange, PEX);
    let hello = ExtendedHandshake {
        ids,
        port: Some(port),
        ..ExtendedHandshake::default()
    };
    Message::Extended {
        id: 0,
        payload: hello.encode(),
    }
}

fn exchanges(messages: &[Message]) -> Vec<PexMessage> {
    let exchange = |message: &Message| match message {
        Message::Extended { id: PEX, payload } => Some(PexMessage::decode(payload).expect("it is well formed")),
        _ => None,
    };
    messages.iter().filter_map(exchange).collect()
}

/// Whether the extended handshake that a puppet heard names PEX.
fn offers_pex(messages: &[Message]) -> Option<bool> {
    let hello = |message: &Message| match message {
        Message::Extended { id: 0, payload } => ExtendedHandshake::decode(payload).ok(),
        _ => None,
    };
    let last = messages.iter().filter_map(hello).next_back()?;
    Some(last.ids.of(Extension::PeerExchange).is_some())
}

fn knows(sim: &mut Sim, node: Id, other: Id) -> bool {
    let address = sim.node(other).address;
    let now = sim.now;
    let peers = sim.node(node).session.peers(now, TORRENT);
    peers
        .iter()
        .any(|peer| peer.address.is_some_and(|at| at.ip() == address.ip()))
}

#[test]
fn two_that_know_a_third_meet() {
    let content = Content::single(4_000_000, 65_536);
    let mut sim = Sim::new(11);
    let middle = sim.add(listening(Setup::leech(&content)));
    let seed = sim.add(listening(Setup::seed(&content)));
    let leech = sim.add(listening(Setup::leech(&content)));
    sim.introduce(seed, middle);
    sim.introduce(leech, middle);
    assert!(sim.run_until(Span::from_secs(70), |sim| knows(sim, leech, seed)));
}

#[test]
fn changes_are_told_once_a_minute() {
    let content = Content::single(400_000, 16_384);
    let mut sim = Sim::new(12);
    let node = sim.add(listening(Setup::seed(&content)));
    let ear = sim.puppet(node, Puppet::new(1));
    sim.say(node, ear, &hello(1111));
    let first = sim.puppet(node, Puppet::new(2));
    sim.say(node, first, &hello(2222));
    sim.run_for(Span::from_secs(5));
    let heard = exchanges(&sim.heard(node, ear));
    assert_eq!(heard.len(), 1);
    assert_eq!(
        heard[0].added,
        [("10.1.0.2:2222".parse().expect("an address"), Flags(0))]
    );
    let second = sim.puppet(node, Puppet::new(3));
    sim.say(node, second, &hello(3333));
    sim.tell(node, Event::Closed(first));
    sim.run_for(Span::from_secs(50));
    assert_eq!(exchanges(&sim.heard(node, ear)), []);
    sim.run_for(Span::from_secs(10));
    let heard = exchanges(&sim.heard(node, ear));
    assert_eq!(
        heard[0].added,
        [("10.1.0.3:3333".parse().expect("an address"), Flags(0))]
    );
    assert_eq!(heard[0].dropped, ["10.1.0.2:2222".parse().expect("an address")]);
    sim.run_for(Span::from_secs(200));
    assert_eq!(exchanges(&sim.heard(node, ear)), [], "nothing changed");
}

#[test]
fn fifty_at_a_time_and_no_tabs() {
    let content = Content::single(400_000, 16_384);
    let mut sim = Sim::new(13);
    let mut setup = listening(Setup::seed(&content));
    setup.config.max_peers = 200;
    let node = sim.add(setup);
    for number in 2..=72 {
        let link = sim.puppet(node, Puppet::new(number));
        sim.say(node, link, &hello(1));
    }
    let tab = sim.puppet(node, Puppet::new(100).over(Transport::Rtc));
    sim.say(node, tab, &hello(1));
    let ear = sim.puppet(node, Puppet::new(1));
    sim.say(node, ear, &hello(1));
    sim.run_for(Span::from_secs(3));
    let heard = exchanges(&sim.heard(node, ear));
    assert_eq!((heard.len(), heard[0].added.len()), (1, 50));
    sim.run_for(Span::from_secs(60));
    let heard = exchanges(&sim.heard(node, ear));
    assert_eq!(heard[0].added.len(), 21, "71 native peers, the tab not");
    assert_eq!(exchanges(&sim.heard(node, tab)), []);
}

#[test]
fn a_flood_of_names_is_not_taken() {
    let content = Content::single(400_000, 16_384);
    let mut sim = Sim::new(14);
    let node = sim.add(listening(Setup::leech(&content)));
    let link = sim.puppet(node, Puppet::new(1));
    sim.say(node, link, &hello(1));
    for n in 0..100u8 {
        let address = |host| std::net::SocketAddr::from(([44, n, host, 1], 1));
        let message = PexMessage {
            added: (0..50).map(|host| (address(host), Flags(0))).collect(),
            dropped: Vec::new(),
        };
        let payload = message.encode();
        sim.say(
            node,
            link,
            &Message::Extended {
                id: Extension::PeerExchange.id(),
                payload,
            },
        );
    }
    assert!(sim.status(node).known <= 4 * 50 + 1, "{}", sim.status(node).known);
}

#[test]
fn private_torrents_have_none_of_it() {
    let content = Content::private(400_000, 16_384);
    let mut sim = Sim::new(15);
    let node = sim.add(listening(Setup::seed(&content)));
    let ear = sim.puppet(node, Puppet::new(1));
    sim.say(node, ear, &hello(1));
    let other = sim.puppet(node, Puppet::new(2));
    sim.say(node, other, &hello(1));
    let names = PexMessage {
        added: vec![("44.1.1.1:1".parse().expect("an address"), Flags(0))],
        dropped: Vec::new(),
    };
    let known = sim.status(node).known;
    sim.say(
        node,
        other,
        &Message::Extended {
            id: Extension::PeerExchange.id(),
            payload: names.encode(),
        },
    );
    sim.run_for(Span::from_secs(70));
    let heard = sim.heard(node, ear);
    assert_eq!(offers_pex(&heard), Some(false));
    assert_eq!(exchanges(&heard), []);
    assert_eq!(sim.status(node).known, known);
}

#[test]
fn tabs_are_not_offered_it() {
    let content = Content::single(400_000, 16_384);
    let mut sim = Sim::new(16);
    let node = sim.add(listening(Setup::seed(&content)));
    for (number, transport, offered) in [(1, Transport::Tcp, true), (2, Transport::Wire, false)] {
        let link = sim.puppet(node, Puppet::new(number).over(transport));
        sim.run_for(Span::from_secs(1));
        assert_eq!(offers_pex(&sim.heard(node, link)), Some(offered));
    }
}
