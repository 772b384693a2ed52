//! Holepunch (BEP 55): a peer that both know helps two to connect that are each behind a NAT. An extended message named `ut_holepunch`.

use alloc::vec::Vec;
use bytes::Bytes;
use core::net::SocketAddr;

use crate::address::{compact, put_compact};

/// One message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holepunch {
    /// To a peer both know: tell that one and me to connect to each other.
    Rendezvous(SocketAddr),
    /// From that peer: connect to this one now, over uTP; it does the same.
    Connect(SocketAddr),
    /// From that peer: it cannot be done.
    Error(SocketAddr, HolepunchFailure),
}

/// Why two are not brought together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HolepunchFailure {
    /// The address is none.
    NoSuchPeer,
    /// The peer in the middle is not linked with it.
    NotConnected,
    /// The target does not speak holepunch.
    NoSupport,
    /// The target is the peer in the middle.
    NoSelf,
    /// A code that BEP 55 does not have.
    Unknown(u32),
}

/// Why a payload is no such message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HolepunchError {
    /// It is shorter than its kind needs.
    Short {
        /// How long it is, in bytes.
        received: usize,
    },
    /// A kind of message that BEP 55 does not have.
    Kind(u8),
    /// A kind of address that BEP 55 does not have.
    Family(u8),
}

impl HolepunchFailure {
    const fn code(self) -> u32 {
        match self {
            Self::NoSuchPeer => 1,
            Self::NotConnected => 2,
            Self::NoSupport => 3,
            Self::NoSelf => 4,
            Self::Unknown(code) => code,
        }
    }

    const fn from_code(code: u32) -> Self {
        match code {
            1 => Self::NoSuchPeer,
            2 => Self::NotConnected,
            3 => Self::NoSupport,
            4 => Self::NoSelf,
            code => Self::Unknown(code),
        }
    }
}

impl Holepunch {
    /// The payload to send.
    pub fn encode(&self) -> Bytes {
        let (kind, address, code) = match *self {
            Self::Rendezvous(address) => (0, address, 0),
            Self::Connect(address) => (1, address, 0),
            Self::Error(address, failure) => (2, address, failure.code()),
        };
        let mut out = Vec::with_capacity(24);
        out.extend([kind, u8::from(address.is_ipv6())]);
        put_compact(address, &mut out);
        // Zero but in errors; it is always there.
        out.extend_from_slice(&code.to_be_bytes());
        out.into()
    }

    /// Reads a payload. The code may be left out where it means nothing.
    pub fn decode(payload: &[u8]) -> Result<Self, HolepunchError> {
        let received = payload.len();
        let short = HolepunchError::Short { received };
        let [kind, family, rest @ ..] = payload else {
            return Err(short);
        };
        let length = match family {
            0 => 6,
            1 => 18,
            other => return Err(HolepunchError::Family(*other)),
        };
        let (address, code) = rest.split_at_checked(length).ok_or(short)?;
        let address = compact(address).ok_or(short)?;
        match kind {
            0 => Ok(Self::Rendezvous(address)),
            1 => Ok(Self::Connect(address)),
            2 => {
                let code = code.first_chunk().ok_or(short)?;
                let failure = HolepunchFailure::from_code(u32::from_be_bytes(*code));
                Ok(Self::Error(address, failure))
            }
            other => Err(HolepunchError::Kind(*other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_round_trip() {
        for text in ["1.2.3.4:258", "[2001:db8::1]:6881"] {
            let address = text.parse().unwrap();
            let failures = [1, 2, 3, 4, 77].map(HolepunchFailure::from_code);
            let errors = failures.map(|failure| Holepunch::Error(address, failure));
            for message in [Holepunch::Rendezvous(address), Holepunch::Connect(address)]
                .into_iter()
                .chain(errors)
            {
                assert_eq!(Holepunch::decode(&message.encode()), Ok(message));
            }
        }
        let connect = Holepunch::Connect("1.2.3.4:258".parse().unwrap());
        assert_eq!(&connect.encode()[..], [1, 0, 1, 2, 3, 4, 1, 2, 0, 0, 0, 0]);
        assert_eq!(
            Holepunch::decode(&connect.encode()[..8]),
            Ok(connect),
            "without the code"
        );
    }

    #[test]
    fn malformed_messages_are_refused() {
        let short = |received| HolepunchError::Short { received };
        let table: [(&[u8], HolepunchError); 6] = [
            (&[], short(0)),
            (&[0], short(1)),
            (&[0, 0, 1, 2, 3, 4, 5], short(7)),
            (&[2, 0, 1, 2, 3, 4, 5, 6, 0, 0, 0], short(11)),
            (&[0, 2, 1, 2, 3, 4, 5, 6], HolepunchError::Family(2)),
            (&[3, 0, 1, 2, 3, 4, 5, 6], HolepunchError::Kind(3)),
        ];
        for (bytes, error) in table {
            assert_eq!(Holepunch::decode(bytes), Err(error));
        }
    }
}
