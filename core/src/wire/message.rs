//! The messages peers exchange (BEP 3, BEP 5, BEP 6, BEP 10), and how they are written.
//!
//! Reading them from a stream is [`Framer`](super::frame::Framer)'s part. A block is sent as [`Message::piece_head`]
//! followed by the very slices that hold it, so that writing PIECE copies 13 bytes.

use crate::slices::Slices;
use alloc::vec::Vec;
use bytes::Bytes;

/// What REQUEST, CANCEL and REJECT name, as the wire carries it: nothing is checked yet.
/// [`Layout::range`](crate::layout::Layout::range) makes it valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RawRange {
    /// The index of a piece.
    pub index: u32,
    /// The first byte within the piece.
    pub begin: u32,
    /// The length in bytes.
    pub length: u32,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Nothing but a sign of life.
    KeepAlive,
    /// The sender will not answer requests.
    Choke,
    /// The sender will answer requests.
    Unchoke,
    /// The sender wants pieces that the receiver has.
    Interested,
    /// The sender wants nothing.
    NotInterested,
    /// The sender has this piece now.
    Have(u32),
    /// The pieces the sender has; the high bit of the first byte is piece 0.
    Bitfield(Bytes),
    /// Please send this block.
    Request(RawRange),
    /// A block.
    Piece {
        /// The index of its piece.
        index: u32,
        /// Its first byte within the piece.
        begin: u32,
        /// Its bytes.
        block: Slices,
    },
    /// The block is not wanted any more.
    Cancel(RawRange),
    /// The UDP port of the sender's DHT node (BEP 5).
    Port(u16),
    /// The sender would like to be asked for this piece (BEP 6).
    Suggest(u32),
    /// The sender has every piece (BEP 6).
    HaveAll,
    /// The sender has no piece (BEP 6).
    HaveNone,
    /// The sender will not answer this request (BEP 6).
    Reject(RawRange),
    /// This piece may be asked for while choked (BEP 6).
    AllowedFast(u32),
    /// Please send these nodes of a hash tree (BEP 52): the payload, see [`HashRange`](super::hashes::HashRange).
    HashRequest(Bytes),
    /// The nodes that were asked for, after the payload that asked for them (BEP 52).
    Hashes(Bytes),
    /// The sender will not answer this hash request (BEP 52): its payload.
    HashReject(Bytes),
    /// A message of the extension protocol (BEP 10); id 0 is its handshake.
    Extended {
        /// The id that the receiver gave to the extension.
        id: u8,
        /// What the extension says.
        payload: Bytes,
    },
    /// A message of a kind we do not know: passed over, as every client does.
    Unknown(u8),
}

/// The numbers of the messages.
pub(super) mod id {
    pub(crate) const CHOKE: u8 = 0;
    pub(crate) const UNCHOKE: u8 = 1;
    pub(crate) const INTERESTED: u8 = 2;
    pub(crate) const NOT_INTERESTED: u8 = 3;
    pub(crate) const HAVE: u8 = 4;
    pub(crate) const BITFIELD: u8 = 5;
    pub(crate) const REQUEST: u8 = 6;
    pub(crate) const PIECE: u8 = 7;
    pub(crate) const CANCEL: u8 = 8;
    pub(crate) const PORT: u8 = 9;
    pub(crate) const SUGGEST: u8 = 0x0d;
    pub(crate) const HAVE_ALL: u8 = 0x0e;
    pub(crate) const HAVE_NONE: u8 = 0x0f;
    pub(crate) const REJECT: u8 = 0x10;
    pub(crate) const ALLOWED_FAST: u8 = 0x11;
    pub(crate) const EXTENDED: u8 = 20;
    pub(crate) const HASH_REQUEST: u8 = 21;
    pub(crate) const HASHES: u8 = 22;
    pub(crate) const HASH_REJECT: u8 = 23;
}

impl RawRange {
    fn encode(self, id: u8, out: &mut Vec<u8>) {
        head(13, id, out);
        for number in [self.index, self.begin, self.length] {
            out.extend_from_slice(&number.to_be_bytes());
        }
    }
}

impl Message {
    /// The bytes of PIECE that come before the block.
    pub fn piece_head(index: u32, begin: u32, length: u32) -> [u8; 13] {
        let mut bytes = [0; 13];
        bytes[..4].copy_from_slice(&length.saturating_add(9).to_be_bytes());
        bytes[4] = id::PIECE;
        bytes[5..9].copy_from_slice(&index.to_be_bytes());
        bytes[9..].copy_from_slice(&begin.to_be_bytes());
        bytes
    }

    /// Appends the message as the wire carries it.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::KeepAlive => out.extend_from_slice(&[0; 4]),
            Self::Choke => head(1, id::CHOKE, out),
            Self::Unchoke => head(1, id::UNCHOKE, out),
            Self::Interested => head(1, id::INTERESTED, out),
            Self::NotInterested => head(1, id::NOT_INTERESTED, out),
            Self::Have(index) => with_index(id::HAVE, *index, out),
            Self::Bitfield(bits) => with_bytes(id::BITFIELD, bits, out),
            Self::HashRequest(payload) => with_bytes(id::HASH_REQUEST, payload, out),
            Self::Hashes(payload) => with_bytes(id::HASHES, payload, out),
            Self::HashReject(payload) => with_bytes(id::HASH_REJECT, payload, out),
            Self::Request(range) => range.encode(id::REQUEST, out),
            Self::Piece { index, begin, block } => {
                // A block is at most `frame::MAX_BLOCK` long.
                out.extend_from_slice(&Self::piece_head(*index, *begin, block.len() as u32));
                block.iter().for_each(|bytes| out.extend_from_slice(bytes));
            }
            Self::Cancel(range) => range.encode(id::CANCEL, out),
            Self::Port(port) => {
                head(3, id::PORT, out);
                out.extend_from_slice(&port.to_be_bytes());
            }
            Self::Suggest(index) => with_index(id::SUGGEST, *index, out),
            Self::HaveAll => head(1, id::HAVE_ALL, out),
            Self::HaveNone => head(1, id::HAVE_NONE, out),
            Self::Reject(range) => range.encode(id::REJECT, out),
            Self::AllowedFast(index) => with_index(id::ALLOWED_FAST, *index, out),
            Self::Extended { id, payload } => {
                head(2 + payload.len(), id::EXTENDED, out);
                out.push(*id);
                out.extend_from_slice(payload);
            }
            Self::Unknown(id) => head(1, *id, out),
        }
    }
}

/// Writes the length prefix and the id.
fn head(length: usize, id: u8, out: &mut Vec<u8>) {
    out.extend_from_slice(&(length as u32).to_be_bytes());
    out.push(id);
}

fn with_bytes(id: u8, bytes: &[u8], out: &mut Vec<u8>) {
    head(1 + bytes.len(), id, out);
    out.extend_from_slice(bytes);
}

fn with_index(id: u8, index: u32, out: &mut Vec<u8>) {
    head(5, id, out);
    out.extend_from_slice(&index.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_written_as_the_beps_say() {
        let range = RawRange {
            index: 1,
            begin: 0x4000,
            length: 0x4000,
        };
        let table: [(Message, &[u8]); 8] = [
            (Message::KeepAlive, &[0, 0, 0, 0]),
            (Message::Unchoke, &[0, 0, 0, 1, 1]),
            (Message::Have(0x0102), &[0, 0, 0, 5, 4, 0, 0, 1, 2]),
            (Message::Bitfield(Bytes::from_static(&[0xf0])), &[0, 0, 0, 2, 5, 0xf0]),
            (
                Message::Request(range),
                &[0, 0, 0, 13, 6, 0, 0, 0, 1, 0, 0, 0x40, 0, 0, 0, 0x40, 0],
            ),
            (Message::Port(6881), &[0, 0, 0, 3, 9, 0x1a, 0xe1]),
            (Message::HaveNone, &[0, 0, 0, 1, 15]),
            (
                Message::Extended {
                    id: 3,
                    payload: Bytes::from_static(b"de"),
                },
                b"\0\0\0\x04\x14\x03de",
            ),
        ];
        for (message, bytes) in table {
            let mut out = Vec::new();
            message.encode(&mut out);
            assert_eq!(out, bytes, "{message:?}");
        }
    }

    #[test]
    fn a_block_follows_its_head() {
        let mut out = Vec::new();
        let block = Slices::from(Bytes::from_static(b"abc"));
        Message::Piece {
            index: 2,
            begin: 5,
            block,
        }
        .encode(&mut out);
        assert_eq!(out, [&Message::piece_head(2, 5, 3)[..], b"abc"].concat());
        assert_eq!(out, b"\0\0\0\x0c\x07\0\0\0\x02\0\0\0\x05abc");
    }
}
