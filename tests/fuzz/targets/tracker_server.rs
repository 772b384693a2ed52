#![no_main]
#[path = "../checks/tracker_server.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::check(data));
