//! Web seeds: files (BEP 19) and pieces (BEP 17) from HTTP servers, alone and beside peers.

use tombolo_core::event::{Event, Refused, Report};
use tombolo_core::metainfo::create::Version;
use tombolo_core::swarm::Priority;
use tombolo_core::swarm::window::Playback;
use tombolo_core::time::Span;
use tombolo_tests::sim::{Content, Id, Server, Setup, Sim, TORRENT};

const PIECE: usize = 64 * 1024;
const FOLDER: &str = "http://w/d/";
const SCRIPT: &str = "http://h/seed";

/// A leech of a content that a server has.
fn leech_of(content: &Content, setup: impl Fn(&Content) -> Setup) -> (Sim, Id) {
    leech_at(content, setup, |_| ())
}

/// A leech of a content that a server has, which is changed before it is asked.
fn leech_at(content: &Content, setup: impl Fn(&Content) -> Setup, change: impl FnOnce(&mut Server)) -> (Sim, Id) {
    let served = content.served_by(&[FOLDER], &[]);
    let mut sim = Sim::new(1);
    let mut server = Server::new(content, FOLDER);
    change(&mut server);
    sim.servers.push(server);
    let leech = sim.add(setup(&served));
    (sim, leech)
}

fn completes(sim: &mut Sim, id: Id, seconds: u64) -> bool {
    sim.run_until(Span::from_secs(seconds), |sim| sim.node(id).is_complete())
}

fn failures(sim: &mut Sim, id: Id) -> Vec<String> {
    let why = |(_, report): &(_, Report)| match report {
        Report::WebSeedFailed(_, why) => Some(why.clone()),
        _ => None,
    };
    sim.node(id).reports.iter().filter_map(why).collect()
}

#[test]
fn a_torrent_comes_from_a_web_seed_alone_and_each_byte_once() {
    for content in [
        Content::single(30 * PIECE + 77, PIECE),
        Content::new(&[5, 0, 3 * PIECE, 100_000, 20 * PIECE, 1], PIECE),
        Content::versioned(Version::V2, &[3, 5 * PIECE + 9, 40_000, PIECE], PIECE),
        Content::versioned(Version::Hybrid, &[3, 5 * PIECE + 9, 40_000, PIECE], PIECE),
    ] {
        let (mut sim, leech) = leech_of(&content, Setup::leech);
        assert!(completes(&mut sim, leech, 60), "{:?}", sim.status(leech));
        let status = sim.status(leech);
        assert_eq!(status.received.http, content.metainfo.content_length());
        assert_eq!(
            (status.received.total(), sim.servers[0].sent),
            (status.received.http, status.received.http)
        );
        assert!(failures(&mut sim, leech).is_empty());
        let now = sim.now;
        let sources = sim.node(leech).session.peers(now, TORRENT);
        assert_eq!((sources.len(), sources[0].client.as_str()), (1, "w"));
    }
}

#[test]
fn while_storage_waits_for_room_no_web_seed_is_asked() {
    let content = Content::single(40 * 65_536, 65_536);
    let (mut sim, leech) = leech_at(&content, Setup::leech, |server| server.rate = 200_000);
    sim.run_for(Span::from_secs(3));
    sim.tell(leech, Event::StorageFull(TORRENT, true));
    // What was asked for before still comes.
    sim.run_for(Span::from_secs(60));
    let before = sim.status(leech).received.total();
    assert!((1..content.bytes.len() as u64).contains(&before), "{before}");
    sim.run_for(Span::from_secs(30));
    assert_eq!(sim.status(leech).received.total(), before);
    sim.tell(leech, Event::StorageFull(TORRENT, false));
    assert!(completes(&mut sim, leech, 120));
}

#[test]
fn questions_grow_with_the_rate_and_use_the_whole_line() {
    let content = Content::single(64 << 20, 256 << 10);
    let (mut sim, leech) = leech_at(&content, Setup::leech, |server| server.rate = 4_000_000);
    assert!(completes(&mut sim, leech, 25), "{:?}", sim.status(leech));
    assert!(sim.servers[0].asked.len() < 12, "{:?}", sim.servers[0].asked);
    assert!(sim.node(leech).peak_memory <= 64 << 20);
}

#[test]
fn pieces_come_from_a_server_of_bep_17() {
    let content = Content::new(&[5, 3 * PIECE, 100_000], PIECE);
    let served = content.served_by(&[], &[SCRIPT]);
    let mut sim = Sim::new(2);
    sim.servers.push(Server::new(&content, SCRIPT));
    let leech = sim.add(Setup::leech(&served));
    assert!(completes(&mut sim, leech, 60), "{:?}", sim.status(leech));
    assert_eq!(sim.servers[0].asked.len(), content.metainfo.layout.pieces());
}

#[test]
fn a_magnet_links_web_seed_is_used_once_peers_gave_the_metadata() {
    let content = Content::single(20 * PIECE, PIECE);
    let (mut sim, leech) = leech_of(&content, |content| Setup::leech(content).by_magnet());
    let slow = sim.add(Setup::seed(&content).up(20_000));
    sim.introduce(leech, slow);
    assert!(completes(&mut sim, leech, 60), "{:?}", sim.status(leech));
    assert!(sim.status(leech).received.http > 15 * PIECE as u64);
}

#[test]
fn peers_and_web_seed_share_the_work() {
    let content = Content::single(160 * PIECE, PIECE);
    let (mut sim, leech) = leech_of(&content, Setup::leech);
    let seeds: Vec<Id> = (0..2).map(|_| sim.add(Setup::seed(&content).up(500_000))).collect();
    for seed in seeds {
        sim.introduce(leech, seed);
    }
    // 10.5 MB at 2 MB/s together.
    assert!(completes(&mut sim, leech, 9), "{:?}", sim.status(leech));
    let received = sim.status(leech).received;
    assert!(received.native > 3_000_000 && received.http > 3_000_000, "{received:?}");
    let wasted = received.total() - sim.status(leech).have;
    assert!(wasted < 20 * 16_384, "{wasted}");
}

#[test]
fn what_no_peer_has_comes_from_the_web_seed_first() {
    let content = Content::single(60 * PIECE, PIECE);
    let (mut sim, leech) = leech_at(&content, Setup::leech, |server| server.rate = 200_000);
    let half = sim.add(Setup::leech(&content).holding(0..40).up(2_000_000));
    sim.introduce(leech, half);
    assert!(completes(&mut sim, leech, 30), "{:?}", sim.status(leech));
    assert!(
        sim.status(leech).received.http < 30 * PIECE as u64,
        "{:?}",
        sim.status(leech)
    );
}

#[test]
fn a_web_seed_with_wrong_bytes_is_dropped_after_one_piece() {
    let content = Content::single(40 * PIECE, PIECE);
    let (mut sim, leech) = leech_at(&content, Setup::leech, |server| {
        server.corrupt = Some((3 * PIECE, 1 << 40))
    });
    sim.run_for(Span::from_secs(20));
    assert_eq!(failures(&mut sim, leech), ["it sent data that failed its hash"]);
    assert_eq!(sim.status(leech).hash_failures, 1);
    let asked = sim.servers[0].asked.len();
    let seed = sim.add(Setup::seed(&content));
    sim.introduce(leech, seed);
    assert!(completes(&mut sim, leech, 60), "{:?}", sim.status(leech));
    assert_eq!((sim.servers[0].asked.len(), sim.node(leech).bans()), (asked, 0));
}

#[test]
fn a_corrupt_web_seed_beside_peers_is_found_out_and_no_peer_suffers() {
    for seed in 0..20 {
        let content = Content::single(40 * PIECE, PIECE);
        let served = content.served_by(&[FOLDER], &[]);
        let mut sim = Sim::new(seed);
        let mut server = Server::new(&content, FOLDER);
        server.corrupt = Some((0, PIECE / 2));
        sim.servers.push(server);
        let leech = sim.add(Setup::leech(&served));
        for _ in 0..3 {
            let good = sim.add(Setup::seed(&content).up(200_000));
            sim.introduce(leech, good);
        }
        assert!(completes(&mut sim, leech, 120), "{:?}", sim.status(leech));
        assert_eq!(sim.node(leech).bans(), 0, "seed {seed}");
        assert!(failures(&mut sim, leech).len() <= 1);
    }
}

#[test]
fn a_server_that_is_busy_is_asked_again_when_it_says() {
    let content = Content::single(4 * PIECE, PIECE);
    let busy = |retry| Refused {
        status: 503,
        retry,
        why: "HTTP 503".into(),
    };
    let refusals = vec![busy(Some(90)), busy(None)];
    let (mut sim, leech) = leech_at(&content, Setup::leech, |server| server.refusals = refusals);
    sim.run_for(Span::from_secs(85));
    assert_eq!(sim.servers[0].asked.len(), 1);
    sim.run_for(Span::from_secs(10));
    assert_eq!(sim.servers[0].asked.len(), 2);
    sim.run_for(Span::from_secs(15));
    assert_eq!(sim.servers[0].asked.len(), 2);
    assert!(completes(&mut sim, leech, 10), "{:?}", sim.status(leech));
}

#[test]
fn a_server_that_sends_nothing_is_asked_less_and_less_and_then_no_more() {
    let content = Content::single(100 * PIECE, PIECE);
    let (mut sim, leech) = leech_at(&content, Setup::leech, |server| server.mute = true);
    sim.run_for(Span::from_secs(3_600));
    assert_eq!(failures(&mut sim, leech), ["it sends nothing"; 5]);
    assert_eq!(sim.node(leech).session.memory(), 0);
    let now = sim.now;
    assert!(sim.node(leech).session.peers(now, TORRENT).is_empty());
}

#[test]
fn of_servers_that_do_not_exist_or_send_nothing_another_does_the_part() {
    let content = Content::single(100 * PIECE, PIECE);
    let served = content.served_by(&["http://mute/", "http://nowhere/", "udp://x/", FOLDER], &[]);
    let mut sim = Sim::new(3);
    sim.servers.push(Server::new(&content, FOLDER));
    let mut mute = Server::new(&content, "http://mute/");
    mute.mute = true;
    sim.servers.push(mute);
    let leech = sim.add(Setup::leech(&served));
    assert!(completes(&mut sim, leech, 60), "{:?}", sim.status(leech));
    assert_eq!(failures(&mut sim, leech)[0], "no such host");
    assert_eq!(sim.servers[1].asked.len(), 1, "the others did its part");
}

#[test]
fn what_is_not_selected_is_not_fetched() {
    let content = Content::new(&[4 * PIECE, 4 * PIECE, 4 * PIECE], PIECE);
    let only = [Priority::Skip, Priority::Normal, Priority::Skip];
    let (mut sim, leech) = leech_of(&content, |content| Setup::leech(content).selecting(&only));
    assert!(completes(&mut sim, leech, 60));
    assert_eq!(sim.servers[0].sent, 4 * PIECE as u64);
}

#[test]
fn a_seek_ends_what_is_no_longer_wanted_first() {
    let content = Content::single(400 * PIECE, PIECE);
    let (mut sim, leech) = leech_at(&content, Setup::leech, |server| server.rate = 500_000);
    let play = |byte: usize| Playback {
        file: 0..400 * PIECE as u64,
        position: byte as u64,
        rate: Some(300_000),
        buffered: Span::ZERO,
    };
    sim.tell(leech, Event::Play(TORRENT, Some(play(0))));
    sim.run_for(Span::from_secs(5));
    sim.tell(leech, Event::Play(TORRENT, Some(play(300 * PIECE))));
    let soon = sim.run_until(Span::from_secs(2), |sim| sim.node(leech).order().contains(&300));
    assert!(soon, "{:?}", sim.node(leech).order());
}

#[test]
fn a_pause_ends_it_and_it_goes_on_after() {
    let content = Content::single(40 * PIECE, PIECE);
    let (mut sim, leech) = leech_of(&content, Setup::leech);
    sim.run_for(Span::from_secs(1));
    sim.tell(leech, Event::Pause(TORRENT, true));
    let before = sim.status(leech).received.http;
    sim.run_for(Span::from_secs(100));
    assert_eq!(sim.status(leech).received.http, before);
    assert_eq!(sim.node(leech).session.memory(), 0);
    sim.tell(leech, Event::Pause(TORRENT, false));
    assert!(completes(&mut sim, leech, 60), "{:?}", sim.status(leech));
}

#[test]
fn a_limit_holds_for_web_seeds() {
    let content = Content::single(40 * PIECE, PIECE);
    let (mut sim, leech) = leech_at(
        &content,
        |content| {
            let mut setup = Setup::leech(content);
            setup.config.down = Some(200_000);
            setup
        },
        |server| server.rate = 50_000_000,
    );
    sim.run_for(Span::from_secs(5));
    let received = sim.status(leech).received.http;
    assert!((800_000..1_200_000).contains(&received), "{received}");
    assert!(completes(&mut sim, leech, 20));
}

#[test]
fn a_bridge_serves_from_a_web_seed() {
    let content = Content::single(40 * PIECE, PIECE);
    let (mut sim, bridge) = leech_of(&content, |content| Setup::bridge(content, 8 << 20));
    let tab = sim.add(Setup::leech(&content).web());
    let native = sim.add(Setup::leech(&content));
    sim.introduce(tab, bridge);
    sim.introduce(native, bridge);
    for id in [tab, native] {
        assert!(completes(&mut sim, id, 60), "{:?}", sim.status(id));
    }
}
