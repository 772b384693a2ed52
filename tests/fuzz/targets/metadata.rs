//! A message of the metadata exchange that is read is written so that it is read the same.
#![no_main]
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use tombolo_core::wire::metadata::MetadataMessage;

fuzz_target!(|data: &[u8]| {
    if let Ok(message) = MetadataMessage::decode(&Bytes::copy_from_slice(data)) {
        assert_eq!(MetadataMessage::decode(&message.encode()), Ok(message));
    }
});
