//! Pieces that few peers have are fetched before pieces that many have.

use tombolo_core::bits::Bits;
use tombolo_core::time::Span;
use tombolo_core::wire::message::Message;
use tombolo_tests::sim::{Content, Puppet, Setup, Sim};

#[test]
fn the_rare_pieces_come_first() {
    let content = Content::single(100 * 16_384, 16_384);
    let mut sim = Sim::new(1);
    // Pieces 0 to 89 are everywhere, 90 to 99 at one peer alone. The others say what they have and never send it.
    let all = sim.add(Setup::seed(&content).up(100_000));
    let leech = sim.add(Setup::leech(&content));
    for number in 0..4 {
        let link = sim.puppet(leech, Puppet::new(number));
        let mut common = Bits::new(100);
        (0..90).for_each(|piece| assert!(common.insert(piece)));
        sim.say(leech, link, &Message::Bitfield(common.to_bytes().into()));
    }
    sim.introduce(leech, all);
    assert!(sim.run_until(Span::from_secs(120), |sim| sim.node(leech).is_complete()));
    let order = sim.node(leech).order();
    // Some pieces are asked for at random before four are held.
    let last = (90..100)
        .map(|piece| order.iter().position(|&done| done == piece).unwrap())
        .max()
        .unwrap();
    assert!(last < 30, "{order:?}");
}
