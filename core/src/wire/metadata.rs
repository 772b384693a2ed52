//! Metadata exchange (BEP 9): peers ask each other for the info dictionary, 16 KiB at a time. An extended message named `ut_metadata`.

use crate::bencode::{self, BencodeError, Writer};
use alloc::vec::Vec;
use bytes::Bytes;

/// The length of every piece of metadata but the last, in bytes.
pub const METADATA_PIECE: usize = 16 * 1024;

/// The longest info dictionary fetched or served, in bytes: as much as a .torrent may have.
pub const MAX_METADATA: u32 = 32 * 1024 * 1024;

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetadataMessage {
    /// Please send this piece.
    Request {
        /// Its number, from 0.
        piece: u32,
    },
    /// A piece.
    Data {
        /// Its number, from 0.
        piece: u32,
        /// The length of the whole info dictionary, in bytes.
        total_size: u32,
        /// Its bytes.
        payload: Bytes,
    },
    /// The sender will not send this piece.
    Reject {
        /// Its number, from 0.
        piece: u32,
    },
}

/// Why a payload is not such a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetadataError {
    /// It does not begin with a bencoded value.
    Bencode(BencodeError),
    /// It begins with something else than a dictionary, or this is missing in it or no number in range.
    Field(&'static str),
    /// The total is over [`MAX_METADATA`], or 0.
    TotalSize(i64),
    /// The piece does not have the length it must have.
    Length {
        /// The length by its number and the total, in bytes.
        expected: usize,
        /// The length that it has.
        received: usize,
    },
    /// A kind of message that does not exist yet; such are passed over (BEP 9).
    Unknown(i64),
}

/// How many pieces `total_size` bytes of metadata have.
pub const fn pieces(total_size: u32) -> u32 {
    total_size.div_ceil(METADATA_PIECE as u32)
}

/// The length of a piece in bytes; 0 if there is none of that number.
pub const fn piece_length(piece: u32, total_size: u32) -> usize {
    let left = (total_size as usize).saturating_sub((piece as usize).saturating_mul(METADATA_PIECE));
    if left < METADATA_PIECE { left } else { METADATA_PIECE }
}

impl MetadataMessage {
    /// The payload to send.
    pub fn encode(&self) -> Bytes {
        let mut out = Vec::new();
        let (kind, piece, total, payload) = match self {
            Self::Request { piece } => (0, *piece, None, None),
            Self::Data {
                piece,
                total_size,
                payload,
            } => (1, *piece, Some(*total_size), Some(payload)),
            Self::Reject { piece } => (2, *piece, None, None),
        };
        Writer::new(&mut out).dict(|dict| {
            dict.integer("msg_type", kind);
            dict.integer("piece", piece.into());
            total
                .into_iter()
                .for_each(|total| dict.integer("total_size", total.into()));
        });
        payload.into_iter().for_each(|payload| out.extend_from_slice(payload));
        out.into()
    }

    /// Reads a payload. The bytes of a piece are a view of it.
    pub fn decode(payload: &Bytes) -> Result<Self, MetadataError> {
        let (value, rest) = bencode::decode_prefix(payload).map_err(MetadataError::Bencode)?;
        let dict = value.dict().ok_or(MetadataError::Field("a dictionary"))?;
        let number = |key| {
            dict.get(key)
                .and_then(|value| value.integer())
                .ok_or(MetadataError::Field(key))
        };
        let kind = number("msg_type")?;
        let piece = u32::try_from(number("piece")?).map_err(|_| MetadataError::Field("piece"))?;
        match kind {
            0 => Ok(Self::Request { piece }),
            1 => {
                let total = number("total_size")?;
                let total_size = u32::try_from(total)
                    .ok()
                    .filter(|total| (1..=MAX_METADATA).contains(total))
                    .ok_or(MetadataError::TotalSize(total))?;
                let (expected, received) = (piece_length(piece, total_size), rest.len());
                if received != expected || expected == 0 {
                    return Err(MetadataError::Length { expected, received });
                }
                Ok(Self::Data {
                    piece,
                    total_size,
                    payload: payload.slice(payload.len() - received..),
                })
            }
            2 => Ok(Self::Reject { piece }),
            unknown => Err(MetadataError::Unknown(unknown)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bencode::Fault;
    use alloc::vec;

    #[test]
    fn messages_are_those_of_the_bep() {
        let request = MetadataMessage::Request { piece: 0 };
        assert_eq!(&request.encode()[..], b"d8:msg_typei0e5:piecei0ee");
        let reject = MetadataMessage::Reject { piece: 7 };
        assert_eq!(&reject.encode()[..], b"d8:msg_typei2e5:piecei7ee");
        let data = MetadataMessage::Data {
            piece: 2,
            total_size: 34_256,
            payload: vec![b'x'; 34_256 - 2 * METADATA_PIECE].into(),
        };
        assert!(
            data.encode()
                .starts_with(b"d8:msg_typei1e5:piecei2e10:total_sizei34256eexxx")
        );
        for message in [request, reject, data] {
            assert_eq!(MetadataMessage::decode(&message.encode()), Ok(message));
        }
    }

    #[test]
    fn pieces_are_16_kib_but_for_the_last() {
        assert_eq!((pieces(0), pieces(1), pieces(16_384), pieces(16_385)), (0, 1, 1, 2));
        assert_eq!(piece_length(0, 16_385), METADATA_PIECE);
        assert_eq!(piece_length(1, 16_385), 1);
        assert_eq!(piece_length(u32::MAX, 16_385), 0);
    }

    #[test]
    fn malformed_messages_are_refused() {
        use MetadataError::{Bencode, Field, Length, TotalSize, Unknown};
        let table: [(&[u8], MetadataError); 10] = [
            (
                b"d8:msg_type",
                Bencode(BencodeError {
                    offset: 11,
                    fault: Fault::Expected("a value", None),
                }),
            ),
            (b"le", Field("a dictionary")),
            (b"d5:piecei0ee", Field("msg_type")),
            (b"d8:msg_typei0ee", Field("piece")),
            (b"d8:msg_typei0e5:piecei-1ee", Field("piece")),
            (b"d8:msg_typei1e5:piecei0eeabc", Field("total_size")),
            (
                b"d8:msg_typei1e5:piecei0e10:total_sizei33554433eeabc",
                TotalSize(33_554_433),
            ),
            (
                b"d8:msg_typei1e5:piecei0e10:total_sizei4eeabc",
                Length {
                    expected: 4,
                    received: 3,
                },
            ),
            (
                b"d8:msg_typei1e5:piecei1e10:total_sizei4ee",
                Length {
                    expected: 0,
                    received: 0,
                },
            ),
            (b"d8:msg_typei9e5:piecei0ee", Unknown(9)),
        ];
        for (bytes, error) in table {
            assert_eq!(
                MetadataMessage::decode(&Bytes::from_static(bytes)),
                Err(error),
                "{}",
                bytes.escape_ascii()
            );
        }
    }
}
