//! The names of things: info-hashes, peer ids, digests.

use alloc::string::String;
use core::fmt;

/// SHA-1 of the bencoded `info` dictionary: names a v1 torrent (BEP 3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InfoHashV1(pub [u8; 20]);

/// SHA-256 of the bencoded `info` dictionary: names a v2 torrent (BEP 52).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InfoHashV2(pub [u8; 32]);

/// The 20 bytes that name a swarm on the wire and to trackers: the v1 info-hash, or the v2 info-hash cut short (BEP 52).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SwarmKey(pub [u8; 20]);

/// The info-hashes a torrent has: one of v1 and v2, or both when it is a hybrid. Never none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InfoHashes {
    v1: Option<InfoHashV1>,
    v2: Option<InfoHashV2>,
}

/// The 20 bytes by which a peer names itself (BEP 3, BEP 20).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub [u8; 20]);

impl InfoHashes {
    /// The hashes of a torrent; `None` when there is neither.
    pub const fn new(v1: Option<InfoHashV1>, v2: Option<InfoHashV2>) -> Option<Self> {
        if v1.is_none() && v2.is_none() {
            None
        } else {
            Some(Self { v1, v2 })
        }
    }

    /// The v1 info-hash, if it has one.
    pub const fn v1(&self) -> Option<InfoHashV1> {
        self.v1
    }

    /// The v2 info-hash, if it has one.
    pub const fn v2(&self) -> Option<InfoHashV2> {
        self.v2
    }

    /// The swarms it is traded in: that of v1 first.
    pub fn swarms(&self) -> impl Iterator<Item = SwarmKey> {
        self.v1
            .map(SwarmKey::from)
            .into_iter()
            .chain(self.v2.map(SwarmKey::from))
    }

    /// The swarm to prefer: that of v1 where there is one.
    pub fn swarm(&self) -> SwarmKey {
        self.swarms().next().unwrap_or(SwarmKey([0; 20]))
    }
}

impl From<InfoHashV1> for InfoHashes {
    fn from(hash: InfoHashV1) -> Self {
        Self {
            v1: Some(hash),
            v2: None,
        }
    }
}

impl From<InfoHashV1> for SwarmKey {
    fn from(hash: InfoHashV1) -> Self {
        Self(hash.0)
    }
}

impl From<InfoHashV2> for SwarmKey {
    fn from(hash: InfoHashV2) -> Self {
        let mut key = [0; 20];
        key.copy_from_slice(&hash.0[..20]);
        Self(key)
    }
}

/// Writes bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    use fmt::Write;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// Reads exactly `N` bytes from 2N hexadecimal digits of any case.
pub fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    unhex_into(text.as_bytes(), &mut bytes)?;
    Some(bytes)
}

fn unhex_into(digits: &[u8], bytes: &mut [u8]) -> Option<()> {
    if digits.len() != 2 * bytes.len() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |c: u8| char::from(c).to_digit(16);
        *byte = u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()?;
    }
    Some(())
}

macro_rules! shown_in_hex {
    ($($name:ident)*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex(&self.0))
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    )*};
}
shown_in_hex!(InfoHashV1 InfoHashV2 SwarmKey PeerId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_round_trips_and_refuses_the_rest() {
        assert_eq!(unhex::<3>("00fFa1"), Some([0, 255, 0xa1]));
        assert_eq!(hex(&[0, 255, 0xa1]), "00ffa1");
        assert_eq!(unhex::<3>("00ffa"), None);
        assert_eq!(unhex::<3>("00ffag"), None);
        assert_eq!(unhex::<2>("+0+0"), None);
    }

    #[test]
    fn a_hybrid_has_two_swarms_and_v1_comes_first() {
        let both = InfoHashes::new(Some(InfoHashV1([1; 20])), Some(InfoHashV2([2; 32]))).unwrap();
        assert_eq!(
            both.swarms().collect::<alloc::vec::Vec<_>>(),
            [SwarmKey([1; 20]), SwarmKey([2; 20])]
        );
        assert_eq!(InfoHashes::new(None, None), None);
    }
}
