//! Packets of uTP (BEP 29): header, extensions, payload.
//!
//! Reading takes any bytes and never panics. Invariant: what is read was whole; an extension that is not known is skipped. Cost: O(1),
//! without copying.

use alloc::vec::Vec;
use core::fmt;

/// Bytes of the header.
pub const HEADER: usize = 20;

/// The version that all speak.
const VERSION: u8 = 1;

/// The extension that acknowledges packets after a gap.
const SELECTIVE_ACK: u8 = 1;

/// The extension that says why a connection is closed; libtorrent's, not of the BEP.
const CLOSE_REASON: u8 = 3;

/// A packet's number. Numbers wrap, so of two the one within half the circle is the later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Hash)]
pub struct Sequence(pub u16);

impl Sequence {
    /// The number `count` later.
    #[must_use]
    pub const fn plus(self, count: u16) -> Self {
        Self(self.0.wrapping_add(count))
    }

    /// The number before.
    #[must_use]
    pub const fn previous(self) -> Self {
        Self(self.0.wrapping_sub(1))
    }

    /// How many numbers it is after `other`; over 32,767 if it is before.
    pub const fn since(self, other: Self) -> u16 {
        self.0.wrapping_sub(other.0)
    }
}

/// What a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It has bytes of the stream.
    Data = 0,
    /// The stream ends with it.
    Fin = 1,
    /// It acknowledges, and has no number of its own.
    State = 2,
    /// The connection is not known, or is given up.
    Reset = 3,
    /// It opens a connection.
    Syn = 4,
}

/// The fixed part of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What it is.
    pub kind: Kind,
    /// The connection, as its receiver numbers it.
    pub connection: u16,
    /// The sender's clock in microseconds, modulo 2^32.
    pub timestamp: u32,
    /// The last one-way delay that the sender saw, of packets to it; 0: none yet.
    pub difference: u32,
    /// Bytes that the sender has room for.
    pub window: u32,
    /// Its number.
    pub sequence: Sequence,
    /// The last number that its sender has received in order.
    pub ack: Sequence,
}

/// A packet that was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// The fixed part.
    pub header: Header,
    /// The mask of packets received after a gap; empty without one. Bit 0 of byte 0 is `ack + 2`.
    pub selective: &'a [u8],
    /// Why its sender closes; 0: nothing is said.
    pub close_reason: u16,
    /// Bytes of the stream.
    pub payload: &'a [u8],
}

/// Why a datagram is no packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketError {
    /// It is shorter than the header.
    Short {
        /// Its length in bytes.
        received: usize,
    },
    /// It has another version.
    Version(u8),
    /// It is of a kind that does not exist.
    Kind(u8),
    /// An extension goes past its end.
    Extension {
        /// The extension's number.
        extension: u8,
    },
}

impl Kind {
    const fn of(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::Data,
            1 => Self::Fin,
            2 => Self::State,
            3 => Self::Reset,
            4 => Self::Syn,
            _ => return None,
        })
    }
}

impl Header {
    /// Appends the header, with the mask of selective acknowledgements unless that is empty (its length is a multiple of 4).
    pub fn encode(&self, selective: &[u8], out: &mut Vec<u8>) {
        let extension = if selective.is_empty() { 0 } else { SELECTIVE_ACK };
        out.extend_from_slice(&[(self.kind as u8) << 4 | VERSION, extension]);
        out.extend_from_slice(&self.connection.to_be_bytes());
        for number in [self.timestamp, self.difference, self.window] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        out.extend_from_slice(&self.sequence.0.to_be_bytes());
        out.extend_from_slice(&self.ack.0.to_be_bytes());
        if !selective.is_empty() {
            out.extend_from_slice(&[0, selective.len() as u8]);
            out.extend_from_slice(selective);
        }
    }
}

impl<'a> Packet<'a> {
    /// Reads a datagram.
    ///
    /// # Errors
    /// It is malformed; see [`PacketError`].
    pub fn decode(datagram: &'a [u8]) -> Result<Self, PacketError> {
        let received = datagram.len();
        let (head, rest) = datagram
            .split_first_chunk::<HEADER>()
            .ok_or(PacketError::Short { received })?;
        let header = decode_header(head)?;
        let mut packet = Self {
            header,
            selective: &[],
            close_reason: 0,
            payload: rest,
        };
        let mut extension = head[1];
        while extension != 0 {
            let missing = PacketError::Extension { extension };
            let ([next, length], rest) = packet.payload.split_first_chunk().ok_or(missing)?;
            let (body, rest) = rest.split_at_checked(usize::from(*length)).ok_or(missing)?;
            match (extension, body) {
                // BEP 29 wants a multiple of 4 bytes; libtorrent sends what it needs.
                (SELECTIVE_ACK, mask) => packet.selective = mask,
                (CLOSE_REASON, [.., high, low]) => packet.close_reason = u16::from_be_bytes([*high, *low]),
                _ => {}
            }
            packet.payload = rest;
            extension = *next;
        }
        Ok(packet)
    }

    /// The packets that the mask acknowledges.
    pub fn selected(&self) -> impl Iterator<Item = Sequence> + '_ {
        let first = self.header.ack.plus(2);
        let bits = (0..self.selective.len() * 8).filter(|bit| self.selective[bit / 8] >> (bit % 8) & 1 == 1);
        bits.map(move |bit| first.plus(bit as u16))
    }
}

fn decode_header(head: &[u8; HEADER]) -> Result<Header, PacketError> {
    let [
        first,
        _,
        c0,
        c1,
        t0,
        t1,
        t2,
        t3,
        d0,
        d1,
        d2,
        d3,
        w0,
        w1,
        w2,
        w3,
        s0,
        s1,
        a0,
        a1,
    ] = *head;
    if first & 0x0f != VERSION {
        return Err(PacketError::Version(first & 0x0f));
    }
    Ok(Header {
        kind: Kind::of(first >> 4).ok_or(PacketError::Kind(first >> 4))?,
        connection: u16::from_be_bytes([c0, c1]),
        timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
        difference: u32::from_be_bytes([d0, d1, d2, d3]),
        window: u32::from_be_bytes([w0, w1, w2, w3]),
        sequence: Sequence(u16::from_be_bytes([s0, s1])),
        ack: Sequence(u16::from_be_bytes([a0, a1])),
    })
}

impl fmt::Display for PacketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short { received } => write!(f, "a packet of {received} bytes, expected {HEADER}"),
            Self::Version(version) => write!(f, "version {version}, expected {VERSION}"),
            Self::Kind(kind) => write!(f, "a packet of the unknown kind {kind}"),
            Self::Extension { extension } => write!(f, "extension {extension} goes past the end"),
        }
    }
}

impl core::error::Error for PacketError {}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    const HEAD: Header = Header {
        kind: Kind::State,
        connection: 0x1234,
        timestamp: 0x0102_0304,
        difference: 7,
        window: 65_536,
        sequence: Sequence(0xfffe),
        ack: Sequence(0xffff),
    };

    fn encoded(selective: &[u8], payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        HEAD.encode(selective, &mut out);
        out.extend_from_slice(payload);
        out
    }

    #[test]
    fn the_layout_is_that_of_the_bep() {
        let bytes = b"\x21\x01\x12\x34\x01\x02\x03\x04\0\0\0\x07\0\x01\0\0\xff\xfe\xff\xff\0\x04\x05\0\0\x80hi";
        assert_eq!(encoded(&[5, 0, 0, 0x80], b"hi"), bytes);
        let packet = Packet::decode(bytes).unwrap();
        assert_eq!((packet.header, packet.payload), (HEAD, &b"hi"[..]));
        let selected: Vec<_> = packet.selected().map(|sequence| sequence.0).collect();
        assert_eq!(selected, [1, 3, 32]);
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        for kind in [Kind::Data, Kind::Fin, Kind::State, Kind::Reset, Kind::Syn] {
            let header = Header { kind, ..HEAD };
            let mut out = Vec::new();
            header.encode(&[], &mut out);
            let packet = Packet::decode(&out).unwrap();
            assert_eq!(
                (packet.header, packet.selective, packet.payload),
                (header, &[][..], &[][..])
            );
        }
    }

    #[test]
    fn a_mask_of_any_length_is_read() {
        for length in [0_u8, 1, 3, 5, 255] {
            let mut bytes = encoded(&[], &[0, length]);
            bytes.resize(bytes.len() + usize::from(length), 0xff);
            bytes[1] = 1;
            let selected = Packet::decode(&bytes).map(|packet| packet.selected().count());
            assert_eq!(selected, Ok(8 * usize::from(length)));
        }
    }

    #[test]
    fn unknown_extensions_are_skipped_and_reasons_read() {
        let mut bytes = encoded(&[], &[3, 2, 9, 9, 0, 4, 0, 0, 0x12, 0x34, b'x']);
        bytes[1] = 200;
        let packet = Packet::decode(&bytes).unwrap();
        assert_eq!((packet.close_reason, packet.payload), (0x1234, &b"x"[..]));
    }

    #[test]
    fn malformed_packets_are_refused() {
        let with = |at: usize, byte: u8, rest: &[u8]| {
            let mut bytes = encoded(&[], rest);
            bytes[at] = byte;
            bytes
        };
        let table = [
            (vec![], PacketError::Short { received: 0 }),
            (encoded(&[], b"")[..19].to_vec(), PacketError::Short { received: 19 }),
            (with(0, 0x22, b""), PacketError::Version(2)),
            (with(0, 0x51, b""), PacketError::Kind(5)),
            (with(1, 1, b""), PacketError::Extension { extension: 1 }),
            (with(1, 9, b"\0"), PacketError::Extension { extension: 9 }),
            (with(1, 9, b"\0\x02x"), PacketError::Extension { extension: 9 }),
            (with(1, 9, b"\x07\0\0"), PacketError::Extension { extension: 7 }),
        ];
        for (bytes, error) in table {
            assert_eq!(Packet::decode(&bytes), Err(error), "{bytes:?}");
        }
    }
}
