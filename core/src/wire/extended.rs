//! The handshake of the extension protocol (BEP 10): which extensions a peer speaks, and by which id it wants to be sent each.
//!
//! It may come more than once; what it leaves out stays as it was, an id of 0 switches an extension off ([`Ids::update`]).

use crate::bencode::{self, BencodeError, Dict, Writer};
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::IpAddr;

/// An extension that we speak. Its number is also the id by which we want to be sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Extension {
    /// Metadata exchange (BEP 9).
    Metadata = 1,
    /// Don't-have (BEP 54).
    DontHave = 2,
    /// Peer exchange (BEP 11).
    PeerExchange = 3,
    /// Holepunch (BEP 55).
    Holepunch = 4,
    /// Introductions of peers that only WebRTC reaches; our own.
    Introduction = 5,
}

/// The ids by which a peer wants to be sent the extensions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ids([Option<u8>; Extension::ALL.len()]);

/// What the handshake says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExtendedHandshake {
    /// The extensions the sender names, with the id it gives each; 0 switches it off.
    pub ids: Ids,
    /// The sender's client and version.
    pub client: Option<String>,
    /// How many requests the sender lets wait without dropping any.
    pub reqq: Option<u32>,
    /// The length of the info dictionary in bytes, if the sender has it (BEP 9).
    pub metadata_size: Option<u32>,
    /// The TCP port the sender listens on.
    pub port: Option<u16>,
    /// Whether the sender will download nothing (BEP 21); `None`: as it said before.
    pub upload_only: Option<bool>,
    /// Whether the sender offers what it can fetch from others, as a relay between swarms does. Our own key: a relay
    /// must not take another relay's promise for a source.
    pub relay: bool,
    /// The receiver's address as the sender sees it.
    pub your_ip: Option<IpAddr>,
}

/// Why a payload is not such a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExtendedError {
    /// It is not bencoded.
    Bencode(BencodeError),
    /// It is bencoded but no dictionary.
    NoDictionary,
}

/// The longest name of a client kept, in bytes.
const MAX_CLIENT: usize = 64;

impl Extension {
    /// Every extension we know.
    pub const ALL: [Self; 5] = [
        Self::Metadata,
        Self::DontHave,
        Self::PeerExchange,
        Self::Holepunch,
        Self::Introduction,
    ];

    /// The name by which handshakes map it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Metadata => "ut_metadata",
            Self::DontHave => "lt_donthave",
            Self::PeerExchange => "ut_pex",
            Self::Holepunch => "ut_holepunch",
            Self::Introduction => "tombolo_introduce",
        }
    }

    /// The id by which we want to be sent it.
    pub const fn id(self) -> u8 {
        self as u8
    }

    /// The extension that a message with that id of ours belongs to.
    pub fn from_id(id: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|extension| extension.id() == id)
    }

    const fn place(self) -> usize {
        self as usize - 1
    }
}

impl Ids {
    /// The ids of ours for `extensions`, to send in our handshake.
    pub fn ours(extensions: &[Extension]) -> Self {
        let mut ids = Self::default();
        extensions
            .iter()
            .for_each(|&extension| ids.set(extension, extension.id()));
        ids
    }

    /// The id to send that extension by; `None` if the peer does not speak it.
    pub fn of(&self, extension: Extension) -> Option<u8> {
        self.0[extension.place()].filter(|&id| id != 0)
    }

    /// Names the id of an extension; 0 switches it off.
    pub const fn set(&mut self, extension: Extension, id: u8) {
        self.0[extension.place()] = Some(id);
    }

    /// Takes over what a later handshake says; what it leaves out stays.
    pub fn update(&mut self, later: &Self) {
        for (ours, theirs) in self.0.iter_mut().zip(later.0) {
            *ours = theirs.or(*ours);
        }
    }
}

impl ExtendedHandshake {
    /// The payload to send as message 0.
    pub fn encode(&self) -> Bytes {
        let mut out = Vec::new();
        Writer::new(&mut out).dict(|dict| {
            dict.entry("m").dict(|m| {
                let mut named: Vec<_> = Extension::ALL.map(|one| (one.name(), self.ids.0[one.place()])).into();
                named.sort_unstable();
                for (name, id) in named {
                    id.into_iter().for_each(|id| m.integer(name, id.into()));
                }
            });
            self.metadata_size
                .into_iter()
                .for_each(|size| dict.integer("metadata_size", size.into()));
            self.port.into_iter().for_each(|port| dict.integer("p", port.into()));
            if self.relay {
                dict.integer("relay", 1);
            }
            self.reqq.into_iter().for_each(|reqq| dict.integer("reqq", reqq.into()));
            self.upload_only
                .into_iter()
                .for_each(|only| dict.integer("upload_only", only.into()));
            self.client.iter().for_each(|client| dict.bytes("v", client));
            match self.your_ip {
                Some(IpAddr::V4(ip)) => dict.bytes("yourip", ip.octets()),
                Some(IpAddr::V6(ip)) => dict.bytes("yourip", ip.octets()),
                None => {}
            }
        });
        out.into()
    }

    /// Reads the payload of message 0. What is of the wrong type or out of range counts as left out.
    pub fn decode(payload: &[u8]) -> Result<Self, ExtendedError> {
        let (value, _) = bencode::decode_prefix(payload).map_err(ExtendedError::Bencode)?;
        let dict = value.dict().ok_or(ExtendedError::NoDictionary)?;
        let mut handshake = Self::default();
        if let Some(m) = dict.get("m").and_then(|m| m.dict()) {
            for extension in Extension::ALL {
                if let Some(id) = number(&m, extension.name()) {
                    handshake.ids.set(extension, id);
                }
            }
        }
        handshake.client = dict.get("v").and_then(|v| v.text()).map(printable);
        handshake.reqq = number(&dict, "reqq");
        handshake.metadata_size = number(&dict, "metadata_size");
        handshake.port = number(&dict, "p").filter(|&port| port != 0);
        handshake.upload_only = number::<i64>(&dict, "upload_only").map(|flag| flag != 0);
        handshake.relay = number::<i64>(&dict, "relay").is_some_and(|flag| flag != 0);
        handshake.your_ip = dict.get("yourip").and_then(|ip| ip.bytes()).and_then(address);
        Ok(handshake)
    }
}

fn number<N: TryFrom<i64>>(dict: &Dict<'_>, key: &str) -> Option<N> {
    dict.get(key)?.integer()?.try_into().ok()
}

/// A peer's text made safe to show: short and without control characters.
fn printable(text: &str) -> String {
    let mut shown = String::new();
    for c in text.chars().filter(|c| !c.is_control()) {
        if shown.len() + c.len_utf8() > MAX_CLIENT {
            break;
        }
        shown.push(c);
    }
    shown
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(bytes)
        .map(IpAddr::from)
        .or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bencode::Fault;

    #[test]
    fn a_handshake_round_trips_in_canonical_form() {
        let mut handshake = ExtendedHandshake {
            ids: Ids::ours(&[Extension::Metadata, Extension::DontHave]),
            client: Some("Tombolo 0.1".into()),
            reqq: Some(500),
            metadata_size: Some(31_235),
            port: Some(6881),
            upload_only: Some(true),
            relay: true,
            your_ip: Some([10, 0, 0, 1].into()),
        };
        let bytes = handshake.encode();
        assert_eq!(
            &bytes[..],
            b"d1:md11:lt_donthavei2e11:ut_metadatai1ee13:metadata_sizei31235e1:pi6881e5:relayi1e4:reqqi500e11:upload_onlyi1e\
              1:v11:Tombolo 0.16:yourip4:\x0a\0\0\x01e"
        );
        assert_eq!(ExtendedHandshake::decode(&bytes).as_ref(), Ok(&handshake));
        handshake.your_ip = Some(core::net::Ipv6Addr::LOCALHOST.into());
        assert_eq!(ExtendedHandshake::decode(&handshake.encode()), Ok(handshake));
    }

    #[test]
    fn what_is_left_out_stays_and_zero_switches_off() {
        let mut ids = Ids::default();
        let first = ExtendedHandshake::decode(b"d1:md11:lt_donthavei7e11:ut_metadatai3eee").unwrap();
        ids.update(&first.ids);
        assert_eq!(
            (ids.of(Extension::DontHave), ids.of(Extension::Metadata)),
            (Some(7), Some(3))
        );
        ids.update(&ExtendedHandshake::decode(b"d1:md11:lt_donthavei0eee").unwrap().ids);
        assert_eq!(
            (ids.of(Extension::DontHave), ids.of(Extension::Metadata)),
            (None, Some(3))
        );
        assert_eq!(Extension::from_id(2), Some(Extension::DontHave));
        assert_eq!((Extension::from_id(0), Extension::from_id(9)), (None, None));
    }

    #[test]
    fn what_is_out_of_range_counts_as_left_out() {
        let absurd: &[u8] = b"d1:md11:ut_metadatai256e6:ut_pexi-1ee13:metadata_sizei-5e1:pi65536e4:reqq3:abc\
                              11:upload_only1:x1:v2:\xff\xfe6:yourip3:abce";
        assert_eq!(ExtendedHandshake::decode(absurd), Ok(ExtendedHandshake::default()));
        let long = [&b"d1:v100:"[..], &[b'x'; 99], b"\x07e"].concat();
        assert_eq!(
            ExtendedHandshake::decode(&long).unwrap().client.unwrap().len(),
            MAX_CLIENT
        );
        assert_eq!(
            ExtendedHandshake::decode(b"de trailing"),
            Ok(ExtendedHandshake::default())
        );
    }

    #[test]
    fn malformed_handshakes_are_refused() {
        let bencode = |offset, fault| ExtendedError::Bencode(BencodeError { offset, fault });
        let table: [(&[u8], ExtendedError); 4] = [
            (b"", bencode(0, Fault::Expected("a value", None))),
            (b"d1:m", bencode(4, Fault::Expected("a value", None))),
            (b"d1:vi1e1:vi1ee", bencode(9, Fault::Duplicate)),
            (b"le", ExtendedError::NoDictionary),
        ];
        for (bytes, error) in table {
            assert_eq!(ExtendedHandshake::decode(bytes), Err(error));
        }
    }
}
