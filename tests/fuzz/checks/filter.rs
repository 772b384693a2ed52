//! Lists of addresses: whatever is read answers for every address, and ranges stay within their bound.

use std::net::IpAddr;

use tombolo_core::filter::{Filter, List, MAX_RANGES};

/// Checks one input.
pub(crate) fn check(data: &[u8]) {
    let Ok(list) = List::parse(data) else { return };
    assert!(list.ranges.len() <= MAX_RANGES.min(data.len()));
    let blocked = Filter {
        blocked: list.ranges.clone(),
        allowed: None,
    };
    let allowed = Filter {
        allowed: Some(list.ranges.clone()),
        ..Filter::default()
    };
    for text in [
        "0.0.0.0",
        "1.2.3.4",
        "255.255.255.255",
        "::",
        "::ffff:1.2.3.4",
        "2001:db8::1",
    ] {
        let address: IpAddr = text.parse().unwrap();
        assert_ne!(blocked.allows(address), allowed.allows(address), "{text}");
        assert_eq!(
            list.ranges.contain(address),
            list.ranges.contain(address.to_canonical())
        );
    }
    // The same list twice is the same list.
    let twice = List::parse(&[data, b"\n", data].concat()).unwrap();
    assert_eq!(twice, list);
    let mut both = list.ranges.clone();
    both.extend(list.ranges.clone());
    assert_eq!(both, list.ranges);
}
