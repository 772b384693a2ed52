//! A message of either side that is read is written so that it is read the same.
#![no_main]
use libfuzzer_sys::fuzz_target;
use tombolo_core::tracker::ws::{Reply, Request};

fuzz_target!(|text: &str| {
    if let Ok(request) = Request::decode(text) {
        let written = request.encode();
        assert_eq!(Request::decode(&written), Ok(request));
    }
    if let Ok(reply) = Reply::decode(text) {
        let written = reply.encode();
        assert_eq!(Reply::decode(&written), Ok(reply));
    }
});
