//! A link that is read is written so that it is read the same.

use tombolo_core::magnet::Magnet;

/// Checks one input.
pub(crate) fn check(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    if let Ok(magnet) = Magnet::parse(text) {
        assert_eq!(Magnet::parse(&magnet.to_string()), Ok(magnet));
    }
}
