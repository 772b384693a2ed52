//! A peer that sends corrupt blocks is banned and the download completes from the others.

use tombolo_core::event::Link;
use tombolo_core::time::Span;
use tombolo_core::wire::message::Message;
use tombolo_tests::sim::{Content, Id, Puppet, Setup, Sim};

/// A leecher that has completed from four seeds of that rate, one of which lied.
fn complete_beside_a_liar(sim: &mut Sim, content: &Content, up: u64) -> Id {
    let seed = || Setup::seed(content).up(up);
    let seeds = [seed().corrupt(), seed(), seed(), seed()].map(|setup| sim.add(setup));
    let leech = sim.add(Setup::leech(content));
    seeds.into_iter().for_each(|seed| sim.introduce(leech, seed));
    assert!(sim.run_until(Span::from_secs(300), |sim| sim.node(leech).is_complete()));
    leech
}

/// The first block of a piece, with nothing but zeros in it.
fn zeros(index: u32) -> Message {
    Message::Piece {
        index,
        begin: 0,
        block: bytes::Bytes::from(vec![0; 16_384]).into(),
    }
}

/// Has everything, serves, and sends zeros for what it is asked.
fn lie(sim: &mut Sim, leech: Id, link: Link) {
    for message in [Message::HaveAll, Message::Unchoke, zeros(0)] {
        sim.say(leech, link, &message);
    }
    assert_eq!(sim.node(leech).bans(), 1);
}

#[test]
fn the_culprit_is_banned_and_the_download_completes() {
    let content = Content::single(40 * 65_536, 65_536);
    let mut sim = Sim::new(1);
    let leech = complete_beside_a_liar(&mut sim, &content, 1_000_000);
    assert_eq!(
        sim.node(leech).bans(),
        1,
        "only the culprit is banned: {:?}",
        sim.node(leech).closed
    );
}

#[test]
fn several_liars_are_banned_and_nobody_else() {
    let content = Content::single(120 * 65_536, 65_536);
    for seed in 0..8 {
        let mut sim = Sim::new(seed);
        let honest = || Setup::seed(&content).up(400_000);
        let setups = [
            honest().corrupt(),
            honest(),
            honest().corrupt(),
            honest(),
            honest().corrupt(),
        ];
        let seeds = setups.map(|setup| sim.add(setup));
        let leech = sim.add(Setup::leech(&content));
        seeds.into_iter().for_each(|seed| sim.introduce(leech, seed));
        let completes = sim.run_until(Span::from_secs(300), |sim| sim.node(leech).is_complete());
        assert!(completes, "{:?}", sim.status(leech));
        assert_eq!(sim.node(leech).bans(), 3);
    }
}

#[test]
fn an_innocent_peer_is_not_banned_when_blocks_of_one_piece_came_from_many() {
    // One piece of sixteen blocks: every peer has a share in it.
    let content = Content::single(16 * 16_384, 16 * 16_384);
    for seed in 0..20 {
        let mut sim = Sim::new(seed);
        let leech = complete_beside_a_liar(&mut sim, &content, 100_000);
        assert!(sim.node(leech).bans() <= 1, "{:?}", sim.node(leech).closed);
    }
}

#[test]
fn a_banned_peer_is_not_taken_again() {
    let content = Content::single(16_384, 16_384);
    let mut sim = Sim::new(2);
    let leech = sim.add(Setup::leech(&content));
    let link = sim.puppet(leech, Puppet::new(1));
    lie(&mut sim, leech, link);
    let again = sim.puppet(leech, Puppet::new(1));
    assert!(sim.node(leech).closed.iter().any(|(link, _)| *link == again));
}

#[test]
fn unasked_and_malformed_data_is_not_kept() {
    let content = Content::single(65_536, 65_536);
    let mut sim = Sim::new(3);
    let leech = sim.add(Setup::leech(&content));
    let link = sim.puppet(leech, Puppet::new(1));
    sim.say(leech, link, &Message::HaveAll);
    sim.say(leech, link, &zeros(0));
    assert!(sim.node(leech).closed.is_empty(), "an unasked block is wasted, no more");
    sim.say(leech, link, &zeros(7));
    assert_eq!(
        sim.node(leech).closed.len(),
        1,
        "a block outside the torrent closes the link"
    );
    assert_eq!(sim.node(leech).bans(), 0);
}

#[test]
fn a_banned_peer_that_comes_back_under_another_name_is_known_by_where_it_listens() {
    let content = Content::single(16_384, 16_384);
    let mut sim = Sim::new(4);
    let leech = sim.add(Setup::leech(&content));
    let hello = Message::Extended {
        id: 0,
        payload: bytes::Bytes::from_static(b"d1:pi7001ee"),
    };
    let from = |port: u16| Some(std::net::SocketAddr::from(([127, 0, 0, 1], port)));
    let mut liar = Puppet::new(1);
    liar.address = from(40_001);
    let link = sim.puppet(leech, liar);
    sim.say(leech, link, &hello);
    lie(&mut sim, leech, link);
    // Many peers share a loopback address: another one there is welcome.
    for (number, port, welcome) in [(2, 7001, false), (3, 7002, true)] {
        let mut puppet = Puppet::new(number);
        puppet.address = from(40_000 + u16::from(number));
        let link = sim.puppet(leech, puppet);
        let payload = format!("d1:pi{port}ee").into_bytes().into();
        sim.say(leech, link, &Message::Extended { id: 0, payload });
        let closed = sim.node(leech).closed.iter().any(|(closed, _)| *closed == link);
        assert_eq!(closed, !welcome, "the peer listening on {port}");
    }
}
