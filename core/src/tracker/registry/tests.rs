use super::*;
use alloc::collections::BTreeSet;
use alloc::vec;

const SWARM: SwarmKey = SwarmKey([7; 20]);
const TTL: u64 = 100;

fn registry(max_peers: usize) -> Registry {
    let config = RegistryConfig {
        peer_ttl: Span::from_secs(TTL),
        max_peers,
        max_swarms: 1_000,
    };
    Registry::new(config, 42)
}

fn id(number: u32) -> PeerId {
    let mut id = [b'-'; 20];
    id[16..].copy_from_slice(&number.to_be_bytes());
    PeerId(id)
}

fn v4(number: u32) -> Place {
    Place::Native(SocketAddr::new((0x0a00_0000 + number).to_be_bytes().into(), 6881))
}

fn v6(number: u32) -> Place {
    let mut ip = [0x20; 16];
    ip[12..].copy_from_slice(&number.to_be_bytes());
    Place::Native(SocketAddr::new(ip.into(), 6881))
}

fn at(secs: u64) -> Time {
    Time::from_micros(secs * 1_000_000)
}

fn request(number: u32, left: u64, event: AnnounceEvent) -> AnnounceRequest {
    AnnounceRequest {
        port: 6881,
        left: Some(left),
        event,
        ..AnnounceRequest::new(SWARM, id(number))
    }
}

/// One announce of a table under test.
struct Table {
    registry: Registry,
    rng: Rng,
    now: Time,
}

#[test]
fn whether_there_are_native_and_web_peers() {
    let mut table = Table::new(9);
    let mut both = |number, place| table.join(number, 5, place).both_kinds;
    assert_eq!((both(1, Place::Web(4)), both(2, Place::Web(5))), (false, false));
    assert_eq!(
        (both(3, v6(3)), both(2, Place::Web(5)), both(4, v4(4))),
        (true, true, true)
    );
    let leaves = |number| request(number, 5, AnnounceEvent::Stopped);
    let answer = table.announce(&leaves(1), Place::Web(4), 0);
    assert!(!answer.both_kinds, "one that leaves is not told");
    table.announce(&leaves(2), Place::Web(5), 0);
    assert!(!table.join(4, 5, v4(4)).both_kinds);
}

impl Table {
    fn new(max_peers: usize) -> Self {
        Self {
            registry: registry(max_peers),
            rng: Rng::new(3),
            now: at(0),
        }
    }

    fn announce(&mut self, request: &AnnounceRequest, place: Place, numwant: usize) -> Answer {
        let mut answer = Answer::default();
        let family = None;
        let asker = Asker {
            request,
            place,
            numwant,
            family,
        };
        self.registry.announce(self.now, &mut self.rng, &asker, &mut answer);
        answer
    }

    fn join(&mut self, number: u32, left: u64, place: Place) -> Answer {
        self.announce(&request(number, left, AnnounceEvent::Started), place, 50)
    }

    fn counts(&self) -> (u32, u32, u32) {
        let counts = self.registry.scrape(SWARM);
        (counts.complete, counts.incomplete, counts.downloaded)
    }
}

#[test]
fn a_sample_has_distinct_others_and_reaches_everyone() {
    let mut table = Table::new(10_000);
    (0..500).for_each(|number| _ = table.join(number, 1, v4(number)));
    let mut seen = BTreeSet::new();
    for round in 0..100 {
        let answer = table.join(round, 1, v4(round));
        let ids: BTreeSet<_> = answer.ids.iter().copied().collect();
        assert_eq!((ids.len(), answer.addresses.len()), (50, 50));
        assert!(!ids.contains(&id(round)), "the asker was offered itself");
        seen.extend(ids);
    }
    assert!(seen.len() > 490, "{}", seen.len());
    assert_eq!(table.counts(), (0, 500, 0));
}

#[test]
fn seeds_are_not_offered_seeds() {
    let mut table = Table::new(10_000);
    (0..100).for_each(|number| _ = table.join(number, u64::from(number % 10 == 0), v4(number)));
    let offered = table.join(1, 0, v4(1));
    assert_eq!(offered.ids.len(), 10);
    assert!(offered.ids.iter().all(|id| id.0[19] % 10 == 0));
    assert_eq!(table.counts(), (90, 10, 0));
    assert_eq!(table.join(200, 5, v4(200)).ids.len(), 50);
}

#[test]
fn an_asker_is_given_the_families_it_can_use() {
    let mut table = Table::new(100);
    (0..10).for_each(|number| _ = table.join(number, 1, v4(number)));
    (10..20).for_each(|number| _ = table.join(number, 1, v6(number)));
    let ask = |table: &mut Table, family| {
        let request = request(99, 1, AnnounceEvent::Periodic);
        let (mut answer, place, numwant) = (Answer::default(), v4(99), 50);
        let asker = Asker {
            request: &request,
            place,
            numwant,
            family,
        };
        table.registry.announce(table.now, &mut table.rng, &asker, &mut answer);
        let v4 = answer.addresses.iter().filter(|address| address.is_ipv4()).count();
        (v4, answer.addresses.len() - v4)
    };
    assert_eq!(ask(&mut table, Some(Family::V4)), (10, 0));
    assert_eq!(ask(&mut table, Some(Family::V6)), (0, 10));
    assert_eq!(ask(&mut table, None), (10, 10));
}

#[test]
fn a_peer_reached_in_several_ways_counts_once() {
    let mut table = Table::new(100);
    table.join(1, 5, v4(1));
    table.join(1, 5, v6(1));
    table.join(1, 0, Place::Web(9));
    assert_eq!(table.counts(), (1, 0, 0));
    assert_eq!((table.registry.peers(), table.registry.swarms()), (3, 1));
    for (place, counts) in [(v4(1), (1, 0, 0)), (Place::Web(9), (1, 0, 0)), (v6(1), (0, 0, 0))] {
        table.registry.leave(SWARM, id(1), place);
        assert_eq!(table.counts(), counts);
    }
    assert_eq!((table.registry.peers(), table.registry.swarms()), (0, 0));
}

#[test]
fn web_peers_are_offered_web_peers() {
    let mut table = Table::new(100);
    table.join(1, 5, v4(1));
    (2..12).for_each(|number| _ = table.join(number, 5, Place::Web(number.into())));
    let answer = table.announce(&request(2, 5, AnnounceEvent::Periodic), Place::Web(2), 5);
    assert_eq!((answer.web.len(), answer.addresses.len()), (5, 0));
    assert!(
        answer
            .web
            .iter()
            .all(|peer| peer.peer_id == id(peer.connection as u32) && peer.connection != 2)
    );
    assert_eq!(answer.replaced, None);
    assert!(table.join(50, 5, v4(50)).ids == [id(1)]);
    assert_eq!(table.registry.connection(SWARM, id(5)), Some(5));
    assert_eq!(table.registry.connection(SWARM, id(1)), None);
}

#[test]
fn a_tab_that_is_loaded_again_replaces_its_connection_at_once() {
    let mut table = Table::new(100);
    table.join(1, 5, Place::Web(10));
    assert_eq!(table.join(1, 5, Place::Web(11)).replaced, Some(10));
    table.registry.leave(SWARM, id(1), Place::Web(10));
    assert_eq!(table.registry.connection(SWARM, id(1)), Some(11));
    assert_eq!(table.counts(), (0, 1, 0));
}

#[test]
fn who_wants_one_peer_may_be_given_any() {
    let mut table = Table::new(100);
    (0..20).for_each(|number| _ = table.join(number, u64::from(number % 2), v4(number)));
    (20..30).for_each(|number| _ = table.join(number, 1, v6(number)));
    let asks = request(1, 1, AnnounceEvent::Periodic);
    let mut named = BTreeSet::new();
    for _ in 0..1_000 {
        let answer = table.announce(&asks, v4(1), 1);
        assert_eq!((answer.ids.len(), answer.addresses.len()), (1, 1));
        named.insert(answer.ids[0]);
    }
    assert_eq!(named.len(), 29, "all but itself");
}

#[test]
fn nobody_stops_another() {
    let mut table = Table::new(100);
    table.join(1, 5, v4(1));
    let stop = request(1, 5, AnnounceEvent::Stopped);
    table.announce(&stop, v4(2), 50);
    assert_eq!(table.counts(), (0, 1, 0));
    let elsewhere = Place::Native("10.0.0.1:9".parse().unwrap());
    let answer = table.announce(&stop, elsewhere, 50);
    assert_eq!((table.counts(), answer.ids.len()), ((0, 0, 0), 0));
}

#[test]
fn a_completion_counts_once() {
    let mut table = Table::new(100);
    table.join(1, 5, v4(1));
    let completed = request(1, 0, AnnounceEvent::Completed);
    for _ in 0..3 {
        table.announce(&completed, v4(1), 50);
        assert_eq!(table.counts(), (1, 0, 1));
    }
    table.join(2, 0, v4(2));
    assert_eq!(table.counts(), (2, 0, 1));
}

#[test]
fn a_full_swarm_answers_and_keeps_no_more() {
    let mut table = Table::new(10);
    (0..10).for_each(|number| _ = table.join(number, 1, v4(number)));
    let answer = table.join(11, 1, v4(11));
    assert_eq!((answer.ids.len(), answer.counts.incomplete), (10, 10));
    table.join(3, 0, v4(3));
    assert_eq!(table.counts(), (1, 9, 0));
    table.join(3, 0, v6(3));
    table.announce(&request(11, 0, AnnounceEvent::Completed), v4(11), 50);
    assert_eq!((table.counts(), table.registry.peers()), ((1, 9, 0), 10));
    let hidden = table.join(12, 1, Place::Native("10.0.0.9:0".parse().unwrap()));
    assert_eq!((hidden.ids.len(), table.registry.peers()), (10, 10));
}

#[test]
fn the_silent_are_forgotten_within_two_seconds_and_not_before() {
    let mut table = Table::new(100);
    table.join(1, 5, v4(1));
    table.join(2, 5, Place::Web(2));
    table.now = at(50);
    table.join(3, 0, v6(3));
    for second in 0..=TTL {
        table.registry.expire(at(second));
        assert_eq!(table.counts(), (1, 2, 0), "{second}");
    }
    table.registry.expire(at(TTL + 1));
    table.registry.expire(at(TTL + 2));
    assert_eq!(table.counts(), (1, 0, 0));
    table.now = at(140);
    table.join(3, 0, v6(3));
    (TTL + 3..=240).for_each(|second| table.registry.expire(at(second)));
    assert_eq!(table.counts(), (1, 0, 0));
    (241..=242).for_each(|second| table.registry.expire(at(second)));
    assert_eq!(
        (table.counts(), table.registry.swarms(), table.registry.peers()),
        ((0, 0, 0), 0, 0)
    );
    assert!(table.registry.due.is_empty());
}

#[test]
fn completions_are_remembered_for_a_day_without_peers() {
    let mut table = Table::new(100);
    table.announce(&request(1, 0, AnnounceEvent::Completed), v4(1), 0);
    let day = u64::from(REMEMBERED) / 10;
    (0..day)
        .step_by(100)
        .for_each(|second| table.registry.expire(at(second)));
    assert_eq!(table.counts(), (0, 0, 1));
    (day..day + 500)
        .step_by(100)
        .for_each(|second| table.registry.expire(at(second)));
    assert_eq!(table.counts(), (0, 0, 0));
    assert_eq!(table.registry.free, [0]);
}

#[test]
fn swarms_are_bounded() {
    let mut table = Table::new(10);
    for number in 0..1_500u32 {
        let mut request = request(number, 1, AnnounceEvent::Started);
        request.swarm.0[..4].copy_from_slice(&number.to_be_bytes());
        table.announce(&request, v4(number), 5);
    }
    assert_eq!((table.registry.swarms(), table.registry.iter().count()), (1_000, 1_000));
}

/// A naive table beside it: one list of (peer, way, seed, seen).
#[test]
fn it_agrees_with_a_naive_table() {
    for seed in 0..4 {
        let mut table = Table::new(usize::MAX);
        let mut rng = Rng::new(seed);
        let mut naive: Vec<(u32, usize, bool, u64)> = vec![];
        for step in 0..4_000u64 {
            let second = step / 10;
            table.now = at(second);
            let number = rng.below(300) as u32;
            let way = rng.below(3);
            let place = [v4(number), v6(number), Place::Web(number.into())][way];
            if rng.below(5) == 0 {
                table.registry.leave(SWARM, id(number), place);
                naive.retain(|peer| (peer.0, peer.1) != (number, way));
            } else {
                let is_seed = rng.below(2) == 0;
                table.join(number, u64::from(!is_seed), place);
                naive.retain(|peer| (peer.0, peer.1) != (number, way));
                naive
                    .iter_mut()
                    .filter(|peer| peer.0 == number)
                    .for_each(|peer| peer.2 = is_seed);
                naive.push((number, way, is_seed, second));
            }
            if step % 500 == 499 {
                table.registry.expire(at(second + 70));
                table.registry.expire(at(second + 71));
                naive.retain(|peer| peer.3 + TTL > second + 70);
            }
            let distinct: BTreeSet<_> = naive.iter().map(|peer| (peer.0, peer.2)).collect();
            let seeds = distinct.iter().filter(|peer| peer.1).count();
            let expected = (seeds as u32, (distinct.len() - seeds) as u32, 0);
            assert_eq!(table.counts(), expected, "seed {seed}, step {step}");
            assert_eq!(table.registry.peers(), naive.len());
        }
    }
}
