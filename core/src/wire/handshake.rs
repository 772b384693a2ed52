//! The handshake that opens every connection (BEP 3): 68 bytes, the same both ways.

use crate::key::{PeerId, SwarmKey};

/// How a handshake begins: the protocol's name with its length before it.
pub const PROTOCOL: [u8; 20] = *b"\x13BitTorrent protocol";

/// The eight reserved bytes, by which a peer says which extensions it speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Reserved(pub [u8; 8]);

/// A whole handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handshake {
    /// The extensions the sender speaks.
    pub reserved: Reserved,
    /// The swarm it wants to talk about.
    pub swarm: SwarmKey,
    /// Its name.
    pub peer_id: PeerId,
}

/// Why bytes are not a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotBitTorrent;

impl Reserved {
    /// What we speak: the extension protocol (BEP 10) and the fast extension (BEP 6).
    pub const OURS: Self = Self([0, 0, 0, 0, 0, Self::EXTENDED, 0, Self::FAST]);

    const EXTENDED: u8 = 0x10;
    const FAST: u8 = 0x04;
    const DHT: u8 = 0x01;
    const V2: u8 = 0x10;

    /// The same, and that it speaks v2 of a hybrid that it names by v1 (BEP 52). To a torrent of v1 alone libtorrent takes it for a fault.
    pub const fn with_v2(mut self) -> Self {
        self.0[7] |= Self::V2;
        self
    }

    /// Whether it may be answered by the v2 name of a hybrid (BEP 52).
    pub const fn v2(self) -> bool {
        self.0[7] & Self::V2 != 0
    }

    /// The same, as a node of the DHT says it (BEP 5).
    pub const fn with_dht(mut self) -> Self {
        self.0[7] |= Self::DHT;
        self
    }

    /// Whether it speaks the extension protocol (BEP 10).
    pub const fn extended(self) -> bool {
        self.0[5] & Self::EXTENDED != 0
    }

    /// Whether it speaks the fast extension (BEP 6).
    pub const fn fast(self) -> bool {
        self.0[7] & Self::FAST != 0
    }

    /// Whether it is a node of the DHT (BEP 5).
    pub const fn dht(self) -> bool {
        self.0[7] & Self::DHT != 0
    }
}

impl Handshake {
    /// Its length in bytes.
    pub const LEN: usize = 68;
    /// The part that names the swarm: a peer may wait for our answer after it, before it tells its id.
    pub const LEN_WITH_SWARM: usize = 48;

    /// The bytes to send.
    pub fn encode(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..20].copy_from_slice(&PROTOCOL);
        bytes[20..28].copy_from_slice(&self.reserved.0);
        bytes[28..48].copy_from_slice(&self.swarm.0);
        bytes[48..].copy_from_slice(&self.peer_id.0);
        bytes
    }

    /// Reads a whole handshake.
    pub fn decode(bytes: &[u8; Self::LEN]) -> Result<Self, NotBitTorrent> {
        Ok(Self {
            swarm: Self::swarm(bytes)?.ok_or(NotBitTorrent)?,
            reserved: Reserved(array(&bytes[20..])),
            peer_id: PeerId(array(&bytes[48..])),
        })
    }

    /// The swarm named by the first bytes of a handshake, once there are enough; an error as soon as they cannot be one.
    pub fn swarm(bytes: &[u8]) -> Result<Option<SwarmKey>, NotBitTorrent> {
        if bytes
            .iter()
            .zip(&PROTOCOL)
            .any(|(received, expected)| received != expected)
        {
            return Err(NotBitTorrent);
        }
        Ok(bytes.get(28..Self::LEN_WITH_SWARM).map(|key| SwarmKey(array(key))))
    }
}

/// The first `N` bytes, which the caller knows to be there.
fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    array.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    array
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handshake_round_trips() {
        let handshake = Handshake {
            reserved: Reserved::OURS,
            swarm: SwarmKey([7; 20]),
            peer_id: PeerId(*b"-TB0100-abcdefghijkl"),
        };
        let bytes = handshake.encode();
        assert_eq!(&bytes[..28], b"\x13BitTorrent protocol\0\0\0\0\0\x10\0\x04");
        assert_eq!(Handshake::decode(&bytes), Ok(handshake));
        assert!(Reserved::OURS.with_dht().dht() && Reserved::OURS.with_dht().fast());
        assert!(handshake.reserved.extended() && handshake.reserved.fast() && !handshake.reserved.dht());
    }

    #[test]
    fn the_swarm_is_known_before_the_peer_id() {
        let bytes = Handshake {
            reserved: Reserved::default(),
            swarm: SwarmKey([9; 20]),
            peer_id: PeerId([1; 20]),
        }
        .encode();
        for have in 0..=Handshake::LEN {
            let expected = (have >= Handshake::LEN_WITH_SWARM).then_some(SwarmKey([9; 20]));
            assert_eq!(Handshake::swarm(&bytes[..have]), Ok(expected), "{have}");
        }
    }

    #[test]
    fn another_protocol_is_refused_at_its_first_wrong_byte() {
        assert_eq!(Handshake::swarm(b"\x13Bit"), Ok(None));
        for bytes in [&b"\x12"[..], b"GET / HTTP/1.1", b"\x13bit"] {
            assert_eq!(Handshake::swarm(bytes), Err(NotBitTorrent));
        }
        let mut whole = [0; Handshake::LEN];
        assert_eq!(Handshake::decode(&whole), Err(NotBitTorrent));
        whole[..20].copy_from_slice(&PROTOCOL);
        assert!(Handshake::decode(&whole).is_ok());
    }
}
