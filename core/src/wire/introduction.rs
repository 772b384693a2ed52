//! Introductions: peers that can only be reached over WebRTC meet through one that both are linked with. An extension of ours, named
//! `tombolo_introduce` (docs/introductions.md); what holepunch (BEP 55) is to native peers.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use bytes::Bytes;

use crate::gather::Gather;
use crate::key::PeerId;
use crate::tracker::ws::OfferId;

/// Peers in one list at most.
pub const MAX_NAMED: usize = 50;

/// The longest description passed on, in bytes; browsers' have about a thousand.
pub const MAX_DESCRIPTION: usize = 8 << 10;

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Introduction {
    /// All whom the sender can introduce the receiver to; takes the place of the list before.
    Circle(Vec<Named>),
    /// An offer or an answer on its way.
    Note(Step, Note),
}

/// A peer that can be met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named {
    /// Its id.
    pub peer: PeerId,
    /// Whether it has everything.
    pub seed: bool,
}

/// What is passed on, and where it is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// To the peer in the middle: an offer for the peer named.
    OfferFor = 1,
    /// From the peer in the middle: an offer of the peer named.
    OfferOf,
    /// To the peer in the middle: an answer for the peer named.
    AnswerFor,
    /// From the peer in the middle: an answer of the peer named.
    AnswerOf,
}

/// An offer or an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Whom it is for, or whose it is.
    pub peer: PeerId,
    /// The offer that it is, or that it answers.
    pub offer: OfferId,
    /// The session description (RFC 8866).
    pub sdp: String,
}

/// Why a payload is no such message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntroductionError {
    /// A length that no message of its kind has.
    Length {
        /// How long it is, in bytes.
        received: usize,
    },
    /// A kind that there is not.
    Kind(u8),
    /// The description is no UTF-8.
    Text,
}

/// The bytes of a peer in a list: its id, and 1 for a seed.
const ENTRY: usize = 21;

impl Introduction {
    /// The payload to send.
    pub fn encode(&self) -> Bytes {
        let mut out = Vec::new();
        match self {
            Self::Circle(named) => {
                out.push(0);
                for one in named {
                    out.extend_from_slice(&one.peer.0);
                    out.push(one.seed.into());
                }
            }
            Self::Note(step, note) => {
                out.push(*step as u8);
                out.extend_from_slice(&note.peer.0);
                out.extend_from_slice(&note.offer.0);
                out.extend_from_slice(note.sdp.as_bytes());
            }
        }
        out.into()
    }

    /// Reads a payload. Unknown bits of a peer in a list mean nothing.
    pub fn decode(payload: &[u8]) -> Result<Self, IntroductionError> {
        let length = IntroductionError::Length {
            received: payload.len(),
        };
        let (kind, rest) = payload.split_first().ok_or(length)?;
        let step = match kind {
            0 => return circle(rest).ok_or(length),
            1 => Step::OfferFor,
            2 => Step::OfferOf,
            3 => Step::AnswerFor,
            4 => Step::AnswerOf,
            other => return Err(IntroductionError::Kind(*other)),
        };
        let (peer, rest) = rest.split_first_chunk().ok_or(length)?;
        let (offer, sdp) = rest.split_first_chunk().ok_or(length)?;
        if sdp.len() > MAX_DESCRIPTION {
            return Err(length);
        }
        let sdp = core::str::from_utf8(sdp).map_err(|_| IntroductionError::Text)?;
        let note = Note {
            peer: PeerId(*peer),
            offer: OfferId(*offer),
            sdp: sdp.to_string(),
        };
        Ok(Self::Note(step, note))
    }
}

fn circle(bytes: &[u8]) -> Option<Introduction> {
    if !bytes.len().is_multiple_of(ENTRY) || bytes.len() / ENTRY > MAX_NAMED {
        return None;
    }
    let named = bytes.chunks_exact(ENTRY).filter_map(|entry| {
        let (peer, flags) = entry.split_first_chunk()?;
        Some(Named {
            peer: PeerId(*peer),
            seed: flags.first()? & 1 != 0,
        })
    });
    Some(Introduction::Circle(named.gather()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn messages_round_trip() {
        let named = |peer, seed| Named {
            peer: PeerId([peer; 20]),
            seed,
        };
        let note = Note {
            peer: PeerId([7; 20]),
            offer: OfferId([9; 20]),
            sdp: "v=0\r\n".into(),
        };
        for message in [
            Introduction::Circle(vec![]),
            Introduction::Circle(vec![named(1, true), named(2, false)]),
            Introduction::Note(Step::OfferFor, note.clone()),
            Introduction::Note(Step::OfferOf, note.clone()),
            Introduction::Note(Step::AnswerFor, note.clone()),
            Introduction::Note(Step::AnswerOf, note),
        ] {
            assert_eq!(Introduction::decode(&message.encode()), Ok(message));
        }
    }

    #[test]
    fn malformed_messages_are_refused() {
        let long = [&[1; 41][..], &[b'a'; MAX_DESCRIPTION + 1]].concat();
        let no_text = [&[2; 41][..], &[0xff]].concat();
        let table: [(&[u8], IntroductionError); 7] = [
            (&[], IntroductionError::Length { received: 0 }),
            (&[0, 1], IntroductionError::Length { received: 2 }),
            (&[0; 1 + 51 * 21], IntroductionError::Length { received: 1072 }),
            (&[1; 40], IntroductionError::Length { received: 40 }),
            (&long, IntroductionError::Length { received: long.len() }),
            (&[5; 50], IntroductionError::Kind(5)),
            (&no_text, IntroductionError::Text),
        ];
        for (bytes, error) in table {
            assert_eq!(Introduction::decode(bytes), Err(error));
        }
    }
}
