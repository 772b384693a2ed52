//! A message of either side that is read is written so that it is read the same.

use tombolo_core::tracker::ws::{Reply, Request};

/// Checks one input.
pub(crate) fn check(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    if let Ok(request) = Request::decode(text) {
        let written = request.encode();
        assert_eq!(Request::decode(&written), Ok(request));
    }
    if let Ok(reply) = Reply::decode(text) {
        let written = reply.encode();
        assert_eq!(Reply::decode(&written), Ok(reply));
    }
}
