//! Both doors come to the same whatever the cut, and hold what comes after the handshake.

use bytes::Bytes;
use tombolo_core::door::{Door, DoorError, Progress};
use tombolo_core::key::{PeerId, SwarmKey};

const HERE: PeerId = PeerId(*b"-TB0000-000000000000");

/// Gives all bytes to a door, in parts of that length.
fn give(mut door: Door, data: &Bytes, part: usize) -> Result<Progress, DoorError> {
    let mut rest = data.clone();
    while !rest.is_empty() {
        let mut progress = door.receive(rest.split_to(part.min(rest.len())))?;
        if let Progress::Asked(_) = progress {
            progress = door.admit(HERE)?;
        }
        if let Progress::Open(mut greeting) = progress {
            greeting.rest = [&greeting.rest[..], &rest].concat().into();
            return Ok(Progress::Open(greeting));
        }
    }
    Ok(Progress::More)
}

/// Checks one input.
pub(crate) fn check(data: &[u8]) {
    let data = Bytes::copy_from_slice(data);
    let part = 1 + data.last().map_or(0, |&byte| usize::from(byte));
    for door in [Door::incoming, || Door::outgoing(SwarmKey([b'a'; 20]), HERE)] {
        assert_eq!(give(door(), &data, part), give(door(), &data, 1));
    }
}
