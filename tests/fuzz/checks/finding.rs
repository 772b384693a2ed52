//! Messages by which peers name others: PEX, holepunch, introductions, local discovery. What is read is written so that it is read the same.

use tombolo_core::lsd::LocalAnnounce;
use tombolo_core::wire::holepunch::Holepunch;
use tombolo_core::wire::introduction::Introduction;
use tombolo_core::wire::pex::PexMessage;

/// Checks one input.
pub(crate) fn check(data: &[u8]) {
    if let Ok(message) = PexMessage::decode(data) {
        assert_eq!(PexMessage::decode(&message.encode()), Ok(message));
    }
    if let Ok(message) = Holepunch::decode(data) {
        assert_eq!(Holepunch::decode(&message.encode()), Ok(message));
    }
    if let Ok(message) = Introduction::decode(data) {
        assert_eq!(Introduction::decode(&message.encode()), Ok(message));
    }
    if let Ok(announce) = LocalAnnounce::decode(data) {
        let group = ([239, 192, 152, 143], 6771).into();
        let again = announce.encode(group);
        if again.len() <= 1_400 {
            assert_eq!(LocalAnnounce::decode(&again), Ok(announce));
        }
    }
}
