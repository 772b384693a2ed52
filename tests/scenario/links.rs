//! Which links are kept: one to each peer, none to ourselves, none between seeds; silence ends one, keep-alives hold it.

use tombolo_core::priority::priority;
use tombolo_core::swarm::reason::Reason;
use tombolo_core::time::Span;
use tombolo_core::wire::extended::ExtendedHandshake;
use tombolo_core::wire::message::Message;
use tombolo_tests::sim::{Content, Puppet, Setup, Sim};

#[test]
fn two_that_dial_each_other_at_once_keep_one_link() {
    let content = Content::single(3_000_000, 65_536);
    for seed in 0..10 {
        let mut sim = Sim::new(seed);
        let a = sim.add(Setup::leech(&content).holding(0..20).up(100_000));
        let b = sim.add(Setup::leech(&content).holding(20..40).up(100_000));
        sim.introduce(a, b);
        sim.introduce(b, a);
        sim.run_for(Span::from_secs(4));
        assert_eq!((sim.status(a).peers, sim.status(b).peers), (1, 1));
    }
}

#[test]
fn seeds_do_not_stay_connected() {
    let content = Content::single(65_536, 65_536);
    let mut sim = Sim::new(1);
    let a = sim.add(Setup::seed(&content));
    let b = sim.add(Setup::seed(&content));
    sim.introduce(a, b);
    sim.run_for(Span::from_secs(3));
    assert_eq!((sim.status(a).peers, sim.status(b).peers), (0, 0));
}

#[test]
fn a_silent_peer_is_closed_and_a_quiet_one_is_kept() {
    let content = Content::single(65_536, 65_536);
    let mut sim = Sim::new(2);
    let leech = sim.add(Setup::leech(&content));
    let silent = sim.puppet(leech, Puppet::new(1));
    let quiet = sim.puppet(leech, Puppet::new(2));
    for _ in 0..5 {
        sim.run_for(Span::from_secs(60));
        sim.say(leech, quiet, &Message::KeepAlive);
    }
    assert_eq!(sim.node(leech).closed, [(silent, Reason::Silent)]);
    let heard = sim.heard(leech, quiet);
    assert!(
        heard.iter().filter(|message| **message == Message::KeepAlive).count() >= 2,
        "{heard:?}"
    );
}

#[test]
fn a_malformed_stream_closes_the_link_and_bans_nobody() {
    let content = Content::single(65_536, 65_536);
    for message in [
        Message::Have(1),
        Message::Bitfield(bytes::Bytes::from_static(&[0xff])),
        Message::Suggest(9),
        Message::AllowedFast(9),
    ] {
        let mut sim = Sim::new(3);
        let leech = sim.add(Setup::leech(&content));
        let link = sim.puppet(leech, Puppet::new(1));
        sim.say(leech, link, &message);
        assert_eq!(sim.node(leech).closed.len(), 1, "{message:?}");
        assert_eq!(sim.node(leech).bans(), 0);
    }
}

#[test]
fn no_more_links_than_the_limit() {
    let content = Content::single(65_536, 65_536);
    let mut sim = Sim::new(4);
    let mut setup = Setup::leech(&content);
    setup.config.max_peers = 5;
    let leech = sim.add(setup);
    for number in 0..9 {
        sim.puppet(leech, Puppet::new(number));
    }
    assert_eq!(sim.status(leech).peers, 5);
    assert!(sim.node(leech).closed.iter().all(|(_, reason)| *reason == Reason::Full));
}

/// A full swarm makes place for a newcomer of a better rank (BEP 40). Hosts of one far network have one rank: the link that goes is that
/// with the longest round trip.
#[test]
fn of_equal_ranks_the_slowest_makes_place() {
    let content = Content::single(3 * 16_384, 16_384);
    let own: std::net::IpAddr = "60.1.1.1".parse().unwrap();
    let at = |number: u8| std::net::SocketAddr::from(([10, 1, 0, number], 6881));
    let rank = |number| priority((own, 0).into(), at(number));
    let (slow, quick) = (2, 8);
    assert_eq!(rank(slow), rank(quick));
    let better = (1..).find(|number| rank(*number) > rank(slow)).unwrap();
    for order in [[slow, quick], [quick, slow]] {
        let mut sim = Sim::new(5);
        let mut setup = Setup::leech(&content);
        setup.config.max_peers = 2;
        let leech = sim.add(setup);
        let hello = ExtendedHandshake {
            your_ip: Some(own),
            ..ExtendedHandshake::default()
        };
        let payload = hello.encode();
        let links = order.map(|number| {
            let link = sim.puppet(leech, Puppet::new(number));
            let extended = Message::Extended {
                id: 0,
                payload: payload.clone(),
            };
            let piece = u32::from(number == slow);
            for message in [extended, Message::Have(piece), Message::Unchoke] {
                sim.say(leech, link, &message);
            }
            (number, piece, link)
        });
        for (wanted, wait) in [(quick, 20), (slow, 800)] {
            sim.run_for(Span::from_millis(wait));
            let (_, index, link) = *links.iter().find(|(number, ..)| *number == wanted).unwrap();
            let block = content.piece(content.metainfo.layout.piece(index).unwrap()).into();
            let piece = Message::Piece { index, begin: 0, block };
            sim.say(leech, link, &piece);
        }
        sim.run_for(Span::from_secs(70));
        assert_eq!(sim.status(leech).have, 2 * 16_384);
        sim.puppet(leech, Puppet::new(better));
        let gone: Vec<_> = sim.node(leech).closed.iter().map(|(link, _)| *link).collect();
        let slowest = links.iter().find(|(number, ..)| *number == slow).unwrap();
        assert_eq!(gone, [slowest.2], "{order:?}");
    }
}
