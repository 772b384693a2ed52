//! Peer exchange (BEP 11): peers of a torrent tell each other whom they are linked with. An extended message named `ut_pex`.

use alloc::vec::Vec;
use bytes::Bytes;
use core::net::SocketAddr;

use crate::address::{compact_list, put_compact};
use crate::bencode::{self, BencodeError, Writer};

/// Peers that a message adds, and that it drops, at most, of both families together (BEP 11).
pub const MAX_PEERS: usize = 50;

/// Peers of a message that are read. Others are less strict than BEP 11 in their first message.
pub const MAX_READ: usize = 200;

/// What is known of a peer beside its address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(pub u8);

impl Flags {
    /// It prefers encryption.
    pub const ENCRYPTION: u8 = 0x01;
    /// It only uploads.
    pub const SEED: u8 = 0x02;
    /// It speaks uTP.
    pub const UTP: u8 = 0x04;
    /// It speaks holepunch (BEP 55).
    pub const HOLEPUNCH: u8 = 0x08;
    /// Somebody could connect to it.
    pub const REACHABLE: u8 = 0x10;

    /// Whether a flag is set.
    pub const fn has(self, flag: u8) -> bool {
        self.0 & flag != 0
    }
}

/// One message: what changed since the last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PexMessage {
    /// Peers that the sender is linked with now.
    pub added: Vec<(SocketAddr, Flags)>,
    /// Peers that it is linked with no more.
    pub dropped: Vec<SocketAddr>,
}

/// Why a payload is no such message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PexError {
    /// It is not bencoded.
    Bencode(BencodeError),
    /// It is bencoded but no dictionary.
    NoDictionary,
}

impl PexMessage {
    /// The payload to send.
    pub fn encode(&self) -> Bytes {
        let mut out = Vec::new();
        let added = |v6: bool| self.added.iter().filter(move |(address, _)| address.is_ipv6() == v6);
        let addresses = |v6: bool| {
            let mut bytes = Vec::new();
            added(v6).for_each(|(address, _)| put_compact(*address, &mut bytes));
            bytes
        };
        let flags = |v6: bool| added(v6).map(|(_, flags)| flags.0).collect::<Vec<_>>();
        let dropped = |v6: bool| {
            let mut bytes = Vec::new();
            let dropped = self.dropped.iter().filter(|address| address.is_ipv6() == v6);
            dropped.for_each(|address| put_compact(*address, &mut bytes));
            bytes
        };
        Writer::new(&mut out).dict(|dict| {
            dict.bytes("added", addresses(false));
            dict.bytes("added.f", flags(false));
            dict.bytes("added6", addresses(true));
            dict.bytes("added6.f", flags(true));
            dict.bytes("dropped", dropped(false));
            dict.bytes("dropped6", dropped(true));
        });
        out.into()
    }

    /// Reads a payload. What is of the wrong type counts as left out, flags that are missing as none.
    pub fn decode(payload: &[u8]) -> Result<Self, PexError> {
        let (value, _) = bencode::decode_prefix(payload).map_err(PexError::Bencode)?;
        let dict = value.dict().ok_or(PexError::NoDictionary)?;
        let fields = dict.fields(["added", "added.f", "added6", "added6.f", "dropped", "dropped6"]);
        let [added, flags, added6, flags6, dropped, dropped6] =
            fields.map(|field| field.and_then(|field| field.bytes()).unwrap_or_default());
        let mut message = Self::default();
        for (addresses, flags, v6) in [(added, flags, false), (added6, flags6, true)] {
            let flags = flags.iter().copied().chain(core::iter::repeat(0)).map(Flags);
            message
                .added
                .extend(compact_list(addresses, v6).zip(flags).take(MAX_READ));
        }
        for (addresses, v6) in [(dropped, false), (dropped6, true)] {
            message.dropped.extend(compact_list(addresses, v6).take(MAX_READ));
        }
        Ok(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bencode::Fault;
    use alloc::vec;

    #[test]
    fn a_message_round_trips_in_both_families() {
        let message = PexMessage {
            added: vec![
                ("1.2.3.4:258".parse().unwrap(), Flags(Flags::SEED | Flags::REACHABLE)),
                ("[2001:db8::1]:1".parse().unwrap(), Flags(Flags::UTP)),
            ],
            dropped: vec!["4.3.2.1:2".parse().unwrap(), "[2001:db8::2]:3".parse().unwrap()],
        };
        let bytes = message.encode();
        assert!(bytes.starts_with(b"d5:added6:\x01\x02\x03\x04\x01\x027:added.f1:\x126:added618:"));
        assert_eq!(PexMessage::decode(&bytes), Ok(message));
        assert_eq!(
            PexMessage::decode(&PexMessage::default().encode()),
            Ok(PexMessage::default())
        );
    }

    #[test]
    fn odd_messages_are_read_as_far_as_they_go() {
        let short_flags = b"d5:added12:\x01\x02\x03\x04\x00\x01\x01\x02\x03\x05\x00\x017:added.f1:\x02e";
        let message = PexMessage::decode(short_flags).unwrap();
        assert!(message.added[0].1.has(Flags::SEED) && message.added[1].1 == Flags(0));
        let odd: [(&[u8], usize); 4] = [
            (b"d5:added5:abcdee", 0),
            (b"d5:addedi5e7:droppedlee", 0),
            (b"d5:added7:abcdefgtrailing", 0),
            (b"d5:added7:abcdefge", 1),
        ];
        for (bytes, count) in odd {
            let added = PexMessage::decode(bytes).map_or(0, |message| message.added.len());
            assert_eq!(added, count, "{}", bytes.escape_ascii());
        }
        let many = [&b"d5:added6000:"[..], &[7; 6000], b"e"].concat();
        assert_eq!(PexMessage::decode(&many).unwrap().added.len(), MAX_READ);
    }

    #[test]
    fn malformed_messages_are_refused() {
        let bencode = |offset, fault| PexError::Bencode(BencodeError { offset, fault });
        let table: [(&[u8], PexError); 4] = [
            (b"", bencode(0, Fault::Expected("a value", None))),
            (b"d5:added", bencode(8, Fault::Expected("a value", None))),
            (b"d5:added0:5:added0:e", bencode(12, Fault::Duplicate)),
            (b"i5e", PexError::NoDictionary),
        ];
        for (bytes, error) in table {
            assert_eq!(PexMessage::decode(bytes), Err(error));
        }
    }
}
