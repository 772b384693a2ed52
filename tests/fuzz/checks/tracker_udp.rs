//! A packet of either side that is read is written so that it is read the same.

use tombolo_core::tracker::udp::{Family, Request, Response};

/// Checks one input.
pub(crate) fn check(packet: &[u8]) {
    if let Ok(request) = Request::decode(packet) {
        assert_eq!(Request::decode(&request.encode()), Ok(request));
    }
    for family in [Family::V4, Family::V6] {
        if let Ok(response) = Response::decode(packet, family) {
            let mut again = Vec::new();
            response.encode(family, &mut again);
            assert_eq!(Response::decode(&again, family), Ok(response));
        }
    }
}
