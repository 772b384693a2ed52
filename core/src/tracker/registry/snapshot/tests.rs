use super::*;
use crate::rng::Rng;
use crate::time::Span;
use crate::tracker::query::AnnounceEvent;
use crate::tracker::registry::{Answer, RegistryConfig};
use alloc::vec;

const A: SwarmKey = SwarmKey([1; 20]);
const B: SwarmKey = SwarmKey([2; 20]);
const TTL: u64 = 100;

fn registry(max_peers: usize, max_swarms: usize) -> Registry {
    let config = RegistryConfig {
        peer_ttl: Span::from_secs(TTL),
        max_peers,
        max_swarms,
    };
    Registry::new(config, 5)
}

fn at(secs: u64) -> Time {
    Time::from_micros(secs * 1_000_000)
}

fn announce(registry: &mut Registry, now: u64, swarm: SwarmKey, number: u8, address: &str) {
    let peer = SavedPeer {
        peer_id: PeerId([number; 20]),
        address: address.parse().unwrap(),
        is_seed: number.is_multiple_of(2),
        silent: 0,
    };
    let mut request = peer.announce(swarm);
    request.event = AnnounceEvent::Completed;
    let asker = Asker {
        request: &request,
        place: Place::Native(peer.address),
        numwant: 50,
        family: None,
    };
    registry.announce(at(now), &mut Rng::new(1), &asker, &mut Answer::default());
}

/// Two swarms: one of both families with a peer in both, one that is deserted but not forgotten.
fn table() -> Registry {
    let mut registry = registry(100, 100);
    announce(&mut registry, 100, A, 1, "10.0.0.1:1");
    announce(&mut registry, 120, A, 1, "[2001:db8::1]:1");
    announce(&mut registry, 130, A, 2, "10.0.0.2:2");
    announce(&mut registry, 130, A, 4, "[2001:db8::4]:4");
    announce(&mut registry, 100, B, 6, "10.0.0.6:6");
    registry.leave(B, PeerId([6; 20]), Place::Native("10.0.0.6:6".parse().unwrap()));
    registry
}

fn payload(registry: &Registry, now: u64) -> Vec<u8> {
    let mut payload = vec![];
    assert_eq!(registry.save(at(now), 0, &mut payload), None);
    payload
}

fn restored(mut registry: Registry, now: u64, payload: &[u8]) -> Registry {
    let head = section_head(payload);
    assert_eq!(section_length(&head), Ok(payload.len()));
    swarms(&head, payload)
        .unwrap()
        .for_each(|saved| registry.restore(at(now), &saved));
    registry
}

#[test]
fn a_table_comes_back_as_it_was() {
    let before = table();
    let bytes = payload(&before, 150);
    let mut after = restored(registry(100, 100), 1_000, &bytes);
    for swarm in [A, B] {
        assert_eq!(after.scrape(swarm), before.scrape(swarm));
    }
    assert_eq!((after.peers(), after.swarms()), (4, 1));
    assert_eq!(after.scrape(B).downloaded, 1);
    let mut again = payload(&after, 1_000);
    let mut expected = bytes.clone();
    // The swarms may be in another order.
    again.sort_unstable();
    expected.sort_unstable();
    assert_eq!(again, expected);
    // The first had been silent for 50 s of 100, the last for 20.
    let mut counts = |now| {
        after.expire(at(now));
        after.peers()
    };
    assert_eq!([1_049, 1_052, 1_072, 1_082].map(&mut counts), [4, 3, 2, 0]);
}

#[test]
fn what_comes_back_is_bounded() {
    let bytes = payload(&table(), 150);
    let few = restored(registry(2, 1), 1_000, &bytes);
    assert_eq!((few.peers(), few.swarms()), (2, 1));
    assert_eq!(few.scrape(B).downloaded, 0, "there was no room for a second swarm");
}

#[test]
fn a_large_table_is_saved_in_sections() {
    let mut registry = registry(100_000, 10);
    for swarm in [A, B] {
        for number in 0..40_000_u32 {
            let [a, b, c, d] = number.to_be_bytes();
            let mut id = [9; 20];
            id[..4].copy_from_slice(&[a, b, c, d]);
            let peer = SavedPeer {
                peer_id: PeerId(id),
                address: SocketAddr::from(([a, b, c, d], 1)),
                is_seed: false,
                silent: 0,
            };
            let request = peer.announce(swarm);
            let asker = Asker {
                request: &request,
                place: Place::Native(peer.address),
                numwant: 0,
                family: None,
            };
            registry.announce(at(1), &mut Rng::new(1), &asker, &mut Answer::default());
        }
    }
    let mut first = vec![];
    assert_eq!(registry.save(at(1), 0, &mut first), Some(1));
    assert_eq!(first.len(), 40 + 40_000 * 30);
    let mut second = vec![];
    assert_eq!(registry.save(at(1), 1, &mut second), None);
    assert_eq!(second.len(), first.len());
}

#[test]
fn malformed_snapshots_cost_what_is_damaged() {
    assert_eq!(parse_head(&head(77)), Ok(77));
    assert_eq!(parse_head(&[0; HEAD]), Err(SnapshotError::Magic));
    let whole = payload(&table(), 150);
    let good = section_head(&whole);
    assert_eq!(
        section_length(&[0xff; SECTION_HEAD]),
        Err(SnapshotError::TooLong(u32::MAX as usize))
    );
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        assert_eq!(swarms(&good, &damaged).err(), Some(SnapshotError::Checksum));
    }
    assert!(swarms(&good, &whole[1..]).is_err());
    // With a checksum that fits, as of a writer that is not us: swarms up to the one that is not whole.
    let count = |bytes: &[u8]| swarms(&section_head(bytes), bytes).unwrap().count();
    for end in 0..whole.len() {
        let found = count(&whole[..end]);
        assert!(found < 2, "{end}");
    }
    let absurd = [&[1; 24][..], &[0xff; 16], &[0; 100]].concat();
    assert_eq!((count(&whole), count(&absurd), count(b"")), (2, 0, 0));
    // More peers that are no seeds than peers, and a peer without a port.
    let mut odd = [&[3; 20][..], &[0; 4], &[0, 0, 0, 9, 0, 0, 0, 2], &[0; 8]].concat();
    odd.extend([&[1; 20][..], &[0xff; 4], &[10, 0, 0, 1, 0, 1]].concat());
    odd.extend([&[2; 20][..], &[0; 4], &[10, 0, 0, 1, 0, 0]].concat());
    let after = restored(registry(10, 10), 1_000, &odd);
    assert_eq!((after.peers(), after.scrape(SwarmKey([3; 20])).incomplete), (1, 1));
}
