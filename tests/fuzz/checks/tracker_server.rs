//! What a tracker reads beside announces: requests as they begin, lists, passkeys, its own snapshot.

use tombolo_core::key::SwarmKey;
use tombolo_core::rng::Rng;
use tombolo_core::time::{Span, Time};
use tombolo_core::tracker::http::{Head, path_asks};
use tombolo_core::tracker::list::HashList;
use tombolo_core::tracker::passkey::Passkeys;
use tombolo_core::tracker::query::AnnounceRequest;
use tombolo_core::tracker::registry::snapshot::{section_head, swarms};
use tombolo_core::tracker::registry::{Answer, Asker, Place, Registry, RegistryConfig};

const MAX_PEERS: usize = 50;

/// Checks one input.
pub(crate) fn check(data: &[u8]) {
    if let Head::Asked(asked) = Head::read(data) {
        // What comes after does not change what was asked.
        assert_eq!(Head::read(&data[..asked.length]), Head::Asked(asked));
        assert_eq!(Head::read(&data[..asked.length - 1]), Head::Partial);
        assert!(
            asked
                .passkey
                .is_none_or(|passkey| !passkey.is_empty() && !passkey.contains('/'))
        );
    }
    if let Ok(list) = HashList::parse(data) {
        let text: String = list.iter().map(|swarm| format!("{swarm}\n")).collect();
        assert_eq!(HashList::parse(text.as_bytes()), Ok(list.clone()));
        assert!(list.iter().all(|swarm| list.has(swarm)));
    }
    if let Ok(text) = str::from_utf8(data) {
        let _ = path_asks(text);
        let keys = Passkeys::new([7; 32]);
        if let Ok(expires) = keys.check(text, 0) {
            assert_eq!(keys.check(&keys.mint(expires), 0), Ok(expires));
        }
    }
    restore(data);
}

/// Whatever is put back is within bounds, and is saved as it is.
fn restore(payload: &[u8]) {
    let registry = || {
        let config = RegistryConfig {
            peer_ttl: Span::from_secs(100),
            max_peers: MAX_PEERS,
            max_swarms: 3,
        };
        Registry::new(config, 1)
    };
    let now = Time::from_micros(1_000_000_000);
    let read = |payload: &[u8]| {
        let mut registry = registry();
        let found = swarms(&section_head(payload), payload).expect("its own checksum");
        found.for_each(|saved| registry.restore(now, &saved));
        registry
    };
    let mut first = read(payload);
    assert!(first.peers() <= 3 * MAX_PEERS);
    let mut saved = Vec::new();
    first.save(now, 0, &mut saved);
    let again = read(&saved);
    assert_eq!((again.peers(), again.swarms()), (first.peers(), first.swarms()));
    let counts: Vec<_> = first.iter().collect();
    assert!(counts.iter().all(|(swarm, counts)| again.scrape(*swarm) == *counts));
    for (swarm, _) in counts {
        let request = announce(swarm);
        let asker = Asker {
            request: &request,
            place: Place::Web(1),
            numwant: 5,
            family: None,
        };
        first.announce(now, &mut Rng::new(1), &asker, &mut Answer::default());
    }
    first.expire(Time::from_micros(u64::MAX / 2));
    assert_eq!(first.peers(), 0);
}

fn announce(swarm: SwarmKey) -> AnnounceRequest {
    AnnounceRequest::new(swarm, tombolo_core::key::PeerId([5; 20]))
}
