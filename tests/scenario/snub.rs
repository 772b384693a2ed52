//! A peer that takes requests and sends nothing is snubbing us: its requests go to others, and after a minute it counts as snubbed.

use tombolo_core::time::Span;
use tombolo_core::wire::message::Message;
use tombolo_tests::sim::{Content, Puppet, Setup, Sim, TORRENT};

#[test]
fn the_download_goes_on_without_it() {
    let content = Content::single(10 * 65_536, 65_536);
    let mut sim = Sim::new(1);
    let leech = sim.add(Setup::leech(&content));
    let mute = sim.puppet(leech, Puppet::new(1));
    sim.say(leech, mute, &Message::HaveAll);
    sim.say(leech, mute, &Message::Unchoke);
    sim.run_for(Span::from_millis(100));
    assert!(
        sim.heard(leech, mute)
            .iter()
            .any(|message| matches!(message, Message::Request(_)))
    );
    sim.run_for(Span::from_secs(65));
    let now = sim.now;
    let peers = sim.node(leech).session.peers(now, TORRENT);
    assert!(peers[0].snubbed, "{peers:?}");
    let seed = sim.add(Setup::seed(&content));
    sim.introduce(leech, seed);
    assert!(sim.run_until(Span::from_secs(90), |sim| sim.node(leech).is_complete()));
}

#[test]
fn a_block_that_comes_after_its_time_out_is_still_taken() {
    let content = Content::single(16_384, 16_384);
    let mut sim = Sim::new(2);
    let leech = sim.add(Setup::leech(&content));
    let late = sim.puppet(leech, Puppet::new(1));
    sim.say(leech, late, &Message::HaveAll);
    sim.say(leech, late, &Message::Unchoke);
    sim.run_for(Span::from_secs(22));
    sim.say(leech, late, &Message::Choke);
    let block = content.piece(content.metainfo.layout.piece(0).unwrap()).into();
    sim.say(
        leech,
        late,
        &Message::Piece {
            index: 0,
            begin: 0,
            block,
        },
    );
    sim.run_for(Span::from_secs(1));
    assert!(sim.node(leech).is_complete());
}
