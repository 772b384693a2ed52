//! A message of the metadata exchange that is read is written so that it is read the same.

use bytes::Bytes;
use tombolo_core::wire::metadata::MetadataMessage;

/// Checks one input.
pub(crate) fn check(data: &[u8]) {
    if let Ok(message) = MetadataMessage::decode(&Bytes::copy_from_slice(data)) {
        assert_eq!(MetadataMessage::decode(&message.encode()), Ok(message));
    }
}
