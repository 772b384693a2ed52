//! An extension handshake that is read is written so that it is read the same; a don't-have too.

use tombolo_core::wire::dont_have;
use tombolo_core::wire::extended::ExtendedHandshake;

/// Checks one input.
pub(crate) fn check(data: &[u8]) {
    if let Ok(handshake) = ExtendedHandshake::decode(data) {
        assert_eq!(ExtendedHandshake::decode(&handshake.encode()), Ok(handshake));
    }
    if let Ok(index) = dont_have::decode(data) {
        assert_eq!(&dont_have::encode(index)[..], data);
    }
}
