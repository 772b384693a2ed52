//! Measures the picker: nanoseconds for one pick and for one HAVE, in torrents of 100,000 pieces with 1,000 peers.
//!
//! `cargo run --release -p tombolo-core --example picker`

use std::hint::black_box;
use std::time::Instant;
use tombolo_core::bits::Bits;
use tombolo_core::layout::{BLOCK, Block, Layout};
use tombolo_core::rng::Rng;
use tombolo_core::swarm::picker::{Asker, Budget, Picker, Received};
use tombolo_core::time::Time;

const PIECES: usize = 100_000;
const PEERS: usize = 1_000;

/// One swarm to pick from.
struct Swarm {
    picker: Picker,
    peers: Vec<Bits>,
    rng: Rng,
}

fn swarm(blocks: u64, percent: usize) -> Swarm {
    let length = blocks * u64::from(BLOCK);
    let layout = Layout::new(PIECES as u64 * length, length).expect("a sane layout");
    let (mut picker, mut rng) = (Picker::new(layout.clone()), Rng::new(1));
    let peers: Vec<Bits> = (0..PEERS)
        .map(|_| {
            let mut has = Bits::new(PIECES);
            for index in 0..PIECES {
                if rng.below(100) < percent {
                    has.insert(index);
                }
            }
            picker.add_peer(&has);
            has
        })
        .collect();
    for index in 0..10 {
        picker.set_held(layout.piece(index).expect("it exists"));
    }
    Swarm { picker, peers, rng }
}

/// Downloads a part of the torrent with `count` blocks a pick: nanoseconds a block for picking and for receiving, in the
/// median of many batches (so that a busy machine does not decide).
fn download(swarm: &mut Swarm, count: usize, total: usize) -> (f64, f64) {
    let (mut picking, mut receiving, mut picked) = (Vec::new(), Vec::new(), 0);
    let mut out: Vec<(u32, Block)> = Vec::new();
    let mut blocks = Vec::new();
    while picked < total {
        let start = Instant::now();
        for round in 0..256 {
            let link = ((picked + round) % PEERS) as u32;
            let asker = Asker {
                link,
                has: &swarm.peers[link as usize],
                seed: false,
                only: None,
                prefer: &[],
                exclusive: false,
                fast: true,
                now: Time::ZERO,
            };
            let mut room = Budget::UNLIMITED;
            swarm.picker.pick(&asker, count, &mut room, &mut swarm.rng, &mut blocks);
            out.extend(blocks.drain(..).map(|block| (link, block)));
        }
        let blocks_picked = out.len().max(1);
        picking.push(start.elapsed().as_nanos() as f64 / blocks_picked as f64);
        picked += blocks_picked;
        let start = Instant::now();
        for (link, block) in out.drain(..) {
            if let Received::Accepted {
                piece_complete: true, ..
            } = black_box(swarm.picker.received(block, link))
            {
                swarm.picker.set_held(block.piece);
            }
        }
        receiving.push(start.elapsed().as_nanos() as f64 / blocks_picked as f64);
    }
    (median(picking), median(receiving))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn haves(swarm: &mut Swarm, layout: &Layout) -> f64 {
    let pieces: Vec<_> = (0..1_000_000)
        .filter_map(|_| layout.piece(swarm.rng.below(PIECES) as u32))
        .collect();
    let start = Instant::now();
    for &piece in &pieces {
        swarm.picker.add_have(piece);
    }
    start.elapsed().as_nanos() as f64 / pieces.len() as f64
}

fn main() {
    println!("{PIECES} pieces, {PEERS} peers; ns a block");
    println!(
        "{:>14} {:>12} {:>10} {:>8} {:>9}",
        "blocks a piece", "peers have", "at a time", "pick", "received"
    );
    for (blocks, percent) in [(16, 50), (16, 90), (16, 2), (1, 50), (1, 2)] {
        for count in [1, 16] {
            let mut swarm = swarm(blocks, percent);
            let (pick, received) = download(&mut swarm, count, 400_000.min(PIECES * blocks as usize / 2));
            println!("{blocks:>14} {percent:>10} % {count:>10} {pick:>8.0} {received:>9.0}");
        }
    }
    let length = u64::from(BLOCK);
    let layout = Layout::new(PIECES as u64 * length, length).expect("a sane layout");
    let mut swarm = swarm(1, 50);
    println!("HAVE: {:.0} ns", haves(&mut swarm, &layout));
    let full = swarm.peers[0].clone();
    let start = Instant::now();
    (0..100).for_each(|_| swarm.picker.add_peer(&full));
    println!("BITFIELD: {:.0} µs", start.elapsed().as_micros() as f64 / 100.0);
    let start = Instant::now();
    for round in 0..1_000 {
        black_box(swarm.picker.wants(&swarm.peers[round % PEERS]));
    }
    println!("wants: {:.0} ns", start.elapsed().as_nanos() as f64 / 1_000.0);
}
