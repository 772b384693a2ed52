//! A film that plays while it arrives: relay and server help where only they are in time, and bring at most 8.8 % of it in a healthy
//! swarm; what is only played is not kept.

use tombolo_core::event::{Event, Mode};
use tombolo_core::swarm::window::Playback;
use tombolo_core::time::Span;
use tombolo_tests::sim::{Content, Id, Server, Setup, Sim, TORRENT};

const PIECE: usize = 256 << 10;
/// Bytes of a second of the film.
const RATE: u64 = 500_000;
const SECONDS: u64 = 200;
const TICK: Span = Span::from_millis(100);
/// How far a player reads ahead, in bytes.
const READS: u64 = 20 * RATE;
const FOLDER: &str = "http://w/d/";

fn film() -> Content {
    Content::single((SECONDS * RATE) as usize, PIECE)
}

/// A player: what it has read, what it has shown, and how many ticks it waited after the first frame, for which it wants a second of film.
#[derive(Debug, Default)]
struct Player {
    read: u64,
    shown: u64,
    waits: u32,
}

impl Player {
    /// Lets the player read what is there and show a tick's worth of it.
    fn tick(&mut self, sim: &mut Sim, id: Id, length: u64) {
        let ahead = (self.shown + READS).min(length);
        while self.read < ahead {
            let piece = self.read / PIECE as u64;
            let held = sim.node(id).session.held(TORRENT).expect("the metadata is known");
            if !held.contains(piece as usize) {
                break;
            }
            self.read = ((piece + 1) * PIECE as u64).min(ahead);
        }
        let step = RATE * TICK.as_micros() / 1_000_000;
        let least = if self.shown == 0 { RATE } else { step };
        if self.read >= (self.shown + least).min(length) {
            self.shown = (self.shown + step).min(length);
        } else if self.shown > 0 {
            self.waits += 1;
        }
        let playback = Playback {
            file: 0..length,
            position: self.read,
            rate: Some(RATE),
            buffered: Span::from_micros((self.read - self.shown) * 1_000_000 / RATE),
        };
        sim.tell(id, Event::Play(TORRENT, Some(playback)));
        sim.run_for(TICK);
    }

    /// Plays until the film was shown, or too much time has passed.
    fn play(sim: &mut Sim, id: Id, length: u64) -> Self {
        let mut player = Self::default();
        for _ in 0..(SECONDS * 20) {
            if player.shown == length {
                break;
            }
            player.tick(sim, id, length);
        }
        player
    }
}

/// A tab that plays, and as many tabs with all of the film, each with that uplink.
fn tabs(sim: &mut Sim, viewer: Setup, content: &Content, (count, up): (usize, u64)) -> Id {
    let viewer = sim.add(viewer.web());
    for _ in 0..count {
        let tab = sim.add(Setup::seed(content).web().up(up));
        sim.introduce(viewer, tab);
    }
    viewer
}

/// A relay with a native seed behind it, which the viewer knows.
fn relay(sim: &mut Sim, content: &Content, viewer: Id) {
    let native = sim.add(Setup::seed(content).up(8_000_000));
    let relay = sim.add(Setup::bridge(content, 256 << 20).up(8_000_000));
    sim.introduce(relay, native);
    sim.introduce(viewer, relay);
}

#[test]
fn in_a_healthy_swarm_the_relay_brings_the_beginning_and_little_more() {
    let content = film();
    let length = content.bytes.len() as u64;
    let mut sim = Sim::new(1);
    let viewer = tabs(&mut sim, Setup::leech(&content), &content, (4, 200_000));
    relay(&mut sim, &content, viewer);
    let player = Player::play(&mut sim, viewer, length);
    let received = sim.status(viewer).received;
    println!("relay {} of {}, {player:?}", received.wire, received.total());
    assert_eq!((player.shown, player.waits), (length, 0), "{received:?}");
    assert!(received.wire > 0, "it helps at the beginning");
    assert!(received.wire * 1000 <= received.total() * 88, "{received:?}");
}

#[test]
fn a_web_seed_is_spared_in_the_same_way() {
    let content = film();
    let length = content.bytes.len() as u64;
    let mut sim = Sim::new(2);
    sim.servers.push(Server::new(&content, FOLDER));
    let served = content.served_by(&[FOLDER], &[]);
    let viewer = tabs(&mut sim, Setup::leech(&served), &content, (4, 200_000));
    let player = Player::play(&mut sim, viewer, length);
    let received = sim.status(viewer).received;
    println!("server {} of {}, {player:?}", received.http, received.total());
    assert_eq!((player.shown, player.waits), (length, 0), "{received:?}");
    assert!(received.http * 1000 <= received.total() * 88, "{received:?}");
}

#[test]
fn where_peers_are_too_slow_the_relay_brings_what_they_do_not() {
    let content = film();
    let length = content.bytes.len() as u64;
    let mut sim = Sim::new(3);
    let viewer = tabs(&mut sim, Setup::leech(&content), &content, (2, 50_000));
    relay(&mut sim, &content, viewer);
    let player = Player::play(&mut sim, viewer, length);
    let received = sim.status(viewer).received;
    println!("relay {} of {}, {player:?}", received.wire, received.total());
    assert_eq!((player.shown, player.waits), (length, 0), "{received:?}");
}

#[test]
fn what_is_only_played_is_fetched_where_it_plays_and_forgotten_again() {
    let content = film();
    let length = content.bytes.len() as u64;
    let mut sim = Sim::new(4);
    let viewer = tabs(
        &mut sim,
        Setup::leech(&content).mode(Mode::Passing),
        &content,
        (4, 400_000),
    );
    let mut player = Player::default();
    sim.run_for(Span::from_secs(10));
    assert_eq!(sim.status(viewer).received.total(), 0, "nothing plays yet");
    // A store that keeps the 80 pieces that came last.
    let mut kept = 0;
    while player.shown < length / 2 {
        player.tick(&mut sim, viewer, length);
        let order = sim.node(viewer).order();
        for &piece in order.get(kept..order.len().saturating_sub(80)).unwrap_or_default() {
            let piece = content.metainfo.layout.piece(piece).expect("a piece");
            sim.node(viewer).stored.remove(&piece);
            sim.tell(viewer, Event::Lost(TORRENT, piece));
        }
        kept = kept.max(order.len().saturating_sub(80));
    }
    let status = sim.status(viewer);
    assert!(status.have <= 80 * PIECE as u64, "{status:?}");
    assert!(status.received.total() < length * 3 / 4, "{status:?}");
    assert!(!sim.node(viewer).is_complete(), "it never is");
    // Played again, what was forgotten comes again.
    let mut again = Player::default();
    (0..100).for_each(|_| again.tick(&mut sim, viewer, length));
    assert!(again.shown > 0, "{again:?}");
}
