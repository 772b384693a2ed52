//! Cuts a byte stream into messages without copying blocks.
//!
//! Bytes are pushed as they come, in any cut; the same stream gives the same messages. A block leaves as views of the pushed
//! buffers: O(buffers it straddles), no work per byte. What is announced too long is refused from its length alone, and
//! trickled bytes are joined, so that one connection holds at most about [`MAX_MESSAGE`] bytes and what was pushed last.

use super::hashes::{HEAD, MAX_HASHES};
use super::message::{Message, RawRange, id};
use crate::layout::MAX_PIECES;
use crate::merkle::HASH;
use crate::slices::Slices;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;

/// The longest block read, in bytes. We ask for 16 KiB; libtorrent's own limit on requests is as high as this.
pub const MAX_BLOCK: usize = 128 * 1024;

/// The longest BITFIELD read, in bytes of bits.
pub const MAX_BITFIELD: usize = MAX_PIECES as usize / 8;

/// The longest message of the extension protocol read, in bytes: libtorrent's limit too.
pub const MAX_EXTENDED: usize = 1024 * 1024;

/// The longest message read, in bytes after the length prefix.
pub const MAX_MESSAGE: usize = MAX_EXTENDED + 2;

/// Buffers shorter than this, in bytes, are joined while they wait: a peer that trickles single bytes must not cost a view each.
const SMALL: usize = 1024;

/// The length prefix, in bytes.
const PREFIX: usize = 4;

/// Why a stream cannot be read further; the connection is of no use any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// A message is longer than any may be.
    TooLong {
        /// The longest that is read, in bytes.
        limit: usize,
        /// What the length prefix says.
        received: usize,
    },
    /// A message has a length that its kind never has.
    Length {
        /// The kind.
        id: u8,
        /// The length, or the least length, of such a message.
        expected: usize,
        /// What the length prefix says.
        received: usize,
    },
}

/// Reads messages from a stream.
#[derive(Debug, Default)]
pub struct Framer {
    buffers: VecDeque<Bytes>,
    /// Bytes in `buffers`.
    waiting: usize,
}

impl Framer {
    /// A framer at the start of a stream, after its handshake.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends what was received. Call [`next`](Self::next) until it gives none before pushing more.
    pub fn push(&mut self, data: Bytes) {
        if data.is_empty() {
            return;
        }
        self.waiting += data.len();
        match self.buffers.back_mut() {
            Some(last) if last.len() + data.len() < SMALL => {
                let mut joined = Vec::with_capacity(last.len() + data.len());
                joined.extend_from_slice(last);
                joined.extend_from_slice(&data);
                *last = joined.into();
            }
            _ => self.buffers.push_back(data),
        }
    }

    /// Bytes that wait for the rest of their message.
    pub const fn waiting(&self) -> usize {
        self.waiting
    }

    /// The next whole message; `None` until more is pushed.
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator cannot fail and go on being asked"
    )]
    pub fn next(&mut self) -> Result<Option<Message>, FrameError> {
        let Some(prefix) = self.peek::<PREFIX>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes(prefix) as usize;
        if length == 0 {
            self.skip(PREFIX);
            return Ok(Some(Message::KeepAlive));
        }
        if length > MAX_MESSAGE {
            return Err(FrameError::TooLong {
                limit: MAX_MESSAGE,
                received: length,
            });
        }
        let Some([.., id]) = self.peek::<{ PREFIX + 1 }>() else {
            return Ok(None);
        };
        check(id, length)?;
        if self.waiting < PREFIX + length {
            return Ok(None);
        }
        self.skip(PREFIX + 1);
        Ok(Some(self.body(id, length - 1)))
    }

    /// The message of that kind whose `length` bytes are next, all of them there.
    fn body(&mut self, id: u8, length: usize) -> Message {
        match id {
            id::CHOKE => Message::Choke,
            id::UNCHOKE => Message::Unchoke,
            id::INTERESTED => Message::Interested,
            id::NOT_INTERESTED => Message::NotInterested,
            id::HAVE => Message::Have(self.number()),
            id::BITFIELD => Message::Bitfield(self.take(length)),
            id::REQUEST => Message::Request(self.range()),
            id::PIECE => Message::Piece {
                index: self.number(),
                begin: self.number(),
                block: self.view(length - 8),
            },
            id::CANCEL => Message::Cancel(self.range()),
            id::PORT => {
                let port = self.peek().map(u16::from_be_bytes).unwrap_or_default();
                self.skip(2);
                Message::Port(port)
            }
            id::SUGGEST => Message::Suggest(self.number()),
            id::HAVE_ALL => Message::HaveAll,
            id::HAVE_NONE => Message::HaveNone,
            id::REJECT => Message::Reject(self.range()),
            id::ALLOWED_FAST => Message::AllowedFast(self.number()),
            id::HASH_REQUEST => Message::HashRequest(self.take(length)),
            id::HASHES => Message::Hashes(self.take(length)),
            id::HASH_REJECT => Message::HashReject(self.take(length)),
            id::EXTENDED => {
                let id = self.peek::<1>().unwrap_or_default()[0];
                self.skip(1);
                Message::Extended {
                    id,
                    payload: self.take(length - 1),
                }
            }
            _ => {
                self.skip(length);
                Message::Unknown(id)
            }
        }
    }

    fn range(&mut self) -> RawRange {
        RawRange {
            index: self.number(),
            begin: self.number(),
            length: self.number(),
        }
    }

    fn number(&mut self) -> u32 {
        let number = self.peek().map(u32::from_be_bytes).unwrap_or_default();
        self.skip(4);
        number
    }

    /// The next `N` bytes, if there are so many, left in place.
    fn peek<const N: usize>(&self) -> Option<[u8; N]> {
        if let Some(bytes) = self.buffers.front()?.first_chunk() {
            return Some(*bytes);
        }
        if self.waiting < N {
            return None;
        }
        let mut array = [0; N];
        let all = self.buffers.iter().flat_map(|bytes| bytes.iter());
        array.iter_mut().zip(all).for_each(|(to, from)| *to = *from);
        Some(array)
    }

    /// Drops the next `length` bytes.
    fn skip(&mut self, length: usize) {
        self.each(length, drop);
    }

    /// The next `length` bytes as one run: a view where they lie in one buffer, else a copy.
    fn take(&mut self, length: usize) -> Bytes {
        let view = self.view(length);
        let mut slices = view.iter();
        match (slices.next(), slices.next()) {
            (Some(only), None) => only.clone(),
            (None, _) => Bytes::new(),
            _ => view.to_vec().into(),
        }
    }

    /// The next `length` bytes as views.
    fn view(&mut self, length: usize) -> Slices {
        let mut slices = Slices::new();
        self.each(length, |bytes| slices.push(bytes));
        slices
    }

    /// Takes out the next `length` bytes, buffer by buffer.
    fn each(&mut self, length: usize, mut take: impl FnMut(Bytes)) {
        let mut wanted = length;
        while wanted > 0
            && let Some(front) = self.buffers.front_mut()
        {
            let part = if front.len() > wanted {
                front.split_to(wanted)
            } else {
                core::mem::take(front)
            };
            if front.is_empty() {
                self.buffers.pop_front();
            }
            wanted -= part.len();
            self.waiting -= part.len();
            take(part);
        }
    }
}

/// Whether a message of that kind may have that length (counted after the prefix).
const fn check(id: u8, length: usize) -> Result<(), FrameError> {
    let (least, most) = match id {
        id::CHOKE | id::UNCHOKE | id::INTERESTED | id::NOT_INTERESTED | id::HAVE_ALL | id::HAVE_NONE => (1, 1),
        id::HAVE | id::SUGGEST | id::ALLOWED_FAST => (5, 5),
        id::REQUEST | id::CANCEL | id::REJECT => (13, 13),
        id::PORT => (3, 3),
        id::BITFIELD => (1, 1 + MAX_BITFIELD),
        id::PIECE => (9, 9 + MAX_BLOCK),
        id::EXTENDED => (2, 2 + MAX_EXTENDED),
        id::HASH_REQUEST | id::HASH_REJECT => (1 + HEAD, 1 + HEAD),
        id::HASHES => (1 + HEAD + HASH, 1 + MAX_HASHES),
        _ => (1, MAX_BLOCK),
    };
    if length < least || (length > most && least == most) {
        Err(FrameError::Length {
            id,
            expected: least,
            received: length,
        })
    } else if length > most {
        Err(FrameError::TooLong {
            limit: most,
            received: length,
        })
    } else {
        Ok(())
    }
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { limit, received } => {
                write!(f, "a message of {received} bytes is longer than {limit}")
            }
            Self::Length { id, expected, received } => {
                write!(f, "a message of kind {id} has {received} bytes instead of {expected}")
            }
        }
    }
}

impl core::error::Error for FrameError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use alloc::vec;

    fn messages() -> Vec<Message> {
        let range = RawRange {
            index: 3,
            begin: 0x4000,
            length: 0x3fff,
        };
        let block: Bytes = (0..20_000u32).map(|n| n as u8).collect();
        vec![
            Message::HaveAll,
            Message::Bitfield(vec![0xa5; 300].into()),
            Message::KeepAlive,
            Message::Unchoke,
            Message::Request(range),
            Message::Piece {
                index: 1,
                begin: 2,
                block: block.into(),
            },
            Message::Piece {
                index: 1,
                begin: 2,
                block: Slices::new(),
            },
            Message::Extended {
                id: 0,
                payload: vec![7; 1_500].into(),
            },
            Message::Extended {
                id: 9,
                payload: Bytes::new(),
            },
            Message::Cancel(range),
            Message::Port(6881),
            Message::Unknown(99),
            Message::Have(u32::MAX),
            Message::Choke,
            Message::Interested,
            Message::NotInterested,
            Message::Suggest(1),
            Message::HaveNone,
            Message::Reject(range),
            Message::AllowedFast(4),
            Message::HashRequest(vec![1; HEAD].into()),
            Message::Hashes(vec![2; HEAD + 3 * HASH].into()),
            Message::HashReject(vec![3; HEAD].into()),
        ]
    }

    fn drain(framer: &mut Framer) -> Vec<Message> {
        core::iter::from_fn(|| framer.next().unwrap()).collect()
    }

    #[test]
    fn any_cut_of_the_stream_gives_the_same_messages() {
        let messages = messages();
        let mut stream = Vec::new();
        messages.iter().for_each(|message| message.encode(&mut stream));
        for (seed, most) in (0..60).zip([1, 2, 5, 17, 1_400, 16_384, 40_000].into_iter().cycle()) {
            let mut rng = Rng::new(seed);
            let mut framer = Framer::new();
            let mut seen = Vec::new();
            let mut rest = Bytes::from(stream.clone());
            while !rest.is_empty() {
                framer.push(rest.split_to((1 + rng.below(most)).min(rest.len())));
                seen.extend(drain(&mut framer));
            }
            assert_eq!(seen, messages, "seed {seed}, parts of at most {most}");
            assert_eq!(framer.waiting(), 0);
        }
    }

    #[test]
    fn a_block_shares_the_memory_it_came_in() {
        let mut bytes = Message::piece_head(0, 0, 16_384).to_vec();
        bytes.resize(13 + 16_384, 1);
        let stream = Bytes::from(bytes);
        let mut framer = Framer::new();
        framer.push(stream.slice(..5_000));
        assert_eq!(framer.next(), Ok(None));
        framer.push(stream.slice(5_000..));
        let Ok(Some(Message::Piece { block, .. })) = framer.next() else {
            panic!("no block");
        };
        let places: Vec<_> = block.iter().map(|slice| slice.as_ptr()).collect();
        assert_eq!(places, [stream[13..].as_ptr(), stream[5_000..].as_ptr()]);
    }

    #[test]
    fn trickled_bytes_are_joined() {
        let mut framer = Framer::new();
        let head = [&(MAX_MESSAGE as u32).to_be_bytes()[..], &[id::EXTENDED]].concat();
        head.iter()
            .for_each(|&byte| framer.push(Bytes::copy_from_slice(&[byte])));
        for _ in 0..10_000 {
            framer.push(Bytes::from_static(&[0]));
            assert_eq!(framer.next(), Ok(None));
        }
        assert!(framer.buffers.len() <= 11, "{}", framer.buffers.len());
    }

    #[test]
    fn malformed_messages_are_refused_from_their_first_bytes() {
        let too_long = |limit, received| FrameError::TooLong { limit, received };
        let length = |id, expected, received| FrameError::Length { id, expected, received };
        let table: [(&[u8], FrameError); 16] = [
            (&[0xff; 4], too_long(MAX_MESSAGE, u32::MAX as usize)),
            (&[0, 0x10, 0, 3], too_long(MAX_MESSAGE, MAX_MESSAGE + 1)),
            (&[0, 0x10, 0, 2, 7], too_long(MAX_BLOCK + 9, MAX_MESSAGE)),
            (&[0, 0x10, 0, 2, 5], too_long(MAX_BITFIELD + 1, MAX_MESSAGE)),
            (&[0, 0x10, 0, 2, 99], too_long(MAX_BLOCK, MAX_MESSAGE)),
            (&[0, 0, 0, 2, 0], length(0, 1, 2)),
            (&[0, 0, 0, 1, 4], length(4, 5, 1)),
            (&[0, 0, 0, 14, 6], length(6, 13, 14)),
            (&[0, 0, 0, 8, 7], length(7, 9, 8)),
            (&[0, 0, 0, 2, 9], length(9, 3, 2)),
            (&[0, 0, 0, 1, 20], length(20, 2, 1)),
            (&[0, 1, 0, 0, 16], length(16, 13, 65_536)),
            (&[0, 0, 0, 48, 21], length(21, 49, 48)),
            (&[0, 0, 0, 50, 23], length(23, 49, 50)),
            (&[0, 0, 0, 80, 22], length(22, 81, 80)),
            (&[0, 0, 0x48, 0, 22], too_long(MAX_HASHES + 1, 0x4800)),
        ];
        for (bytes, error) in table {
            let mut framer = Framer::new();
            framer.push(Bytes::from_static(bytes));
            assert_eq!(framer.next(), Err(error), "{bytes:?}");
        }
    }
}
