//! A link that is read is written so that it is read the same.
#![no_main]
use libfuzzer_sys::fuzz_target;
use tombolo_core::magnet::Magnet;

fuzz_target!(|text: &str| {
    if let Ok(magnet) = Magnet::parse(text) {
        assert_eq!(Magnet::parse(&magnet.to_string()), Ok(magnet));
    }
});
