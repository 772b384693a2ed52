//! Fetching the metadata from peers (BEP 9).
//!
//! Parts are asked of all peers that claim the same size. When the whole does not match the info-hash, nobody knows who lied:
//! from then on one peer alone is asked for everything, and who then fails is guilty.

use alloc::vec::Vec;

use bytes::Bytes;
use sha1::{Digest, Sha1};
use sha2::Sha256;

use crate::event::Link;
use crate::gather::Gather;
use crate::key::{InfoHashV2, InfoHashes, SwarmKey};
use crate::map::Set;
use crate::time::{Span, Time};
use crate::wire::metadata::{self, MAX_METADATA};

/// Parts asked of one peer at a time.
const PIPELINE: usize = 4;

/// How long a peer may take to send a part before others are asked.
const TIMEOUT: Span = Span::from_secs(8);

/// The metadata on its way in.
#[derive(Debug, Default)]
pub(crate) struct MetadataFetch {
    parts: Vec<Part>,
    size: u32,
    /// Only this peer is asked.
    solo: Option<Link>,
    /// Whole metadata was wrong once: only one peer at a time is trusted.
    burnt: bool,
    /// Peers that do not have it, or sent it wrong.
    useless: Set<Link>,
}

#[derive(Clone, Debug, Default)]
struct Part {
    asked: Vec<(Link, Time)>,
    data: Option<Bytes>,
}

/// What came of a part.
#[derive(Debug, PartialEq)]
pub(crate) enum Progress {
    /// More is needed, or the part was of no use.
    More,
    /// The whole metadata, and it matches the info-hash.
    Done(Bytes),
    /// The whole does not match; one peer sent all of it, this one.
    Guilty(Link),
    /// The whole does not match, and several sent it.
    Wrong,
}

impl MetadataFetch {
    /// Parts to ask of `link`, which claims that the metadata has `size` bytes.
    pub(crate) fn ask(&mut self, link: Link, size: u32, now: Time) -> Vec<u32> {
        if size == 0 || size > MAX_METADATA || self.useless.contains(&link) {
            return Vec::new();
        }
        if self.burnt && self.solo.is_none() {
            self.solo = Some(link);
            self.restart(0);
        }
        if self.solo.is_some_and(|solo| solo != link) {
            return Vec::new();
        }
        // Nobody is being asked for what a peer of another size began: it may have lied.
        let idle = !self
            .parts
            .iter()
            .any(|part| part.data.is_none() && !part.asked.is_empty());
        if self.parts.is_empty() || self.size != size && idle {
            self.restart(size);
        }
        if self.size != size {
            return Vec::new();
        }
        let busy = self
            .parts
            .iter()
            .filter(|part| part.data.is_none() && part.asked.iter().any(|(by, _)| *by == link))
            .count();
        let mut chosen = Vec::new();
        for (number, part) in (0..).zip(&mut self.parts) {
            if busy + chosen.len() >= PIPELINE {
                break;
            }
            if part.data.is_none() && part.asked.is_empty() {
                part.asked.push((link, now));
                chosen.push(number);
            }
        }
        chosen
    }

    /// A part came.
    pub(crate) fn receive(&mut self, link: Link, number: u32, data: Bytes, hashes: &InfoHashes) -> Progress {
        let expected = metadata::piece_length(number, self.size);
        let Some(part) = self.parts.get_mut(number as usize) else {
            return Progress::More;
        };
        let asked = part.asked.iter().any(|(by, _)| *by == link);
        if !asked || part.data.is_some() || data.len() != expected {
            return Progress::More;
        }
        part.asked.retain(|(by, _)| *by == link);
        part.data = Some(data);
        if self.parts.iter().any(|part| part.data.is_none()) {
            Progress::More
        } else {
            self.judge(hashes)
        }
    }

    /// The peer does not have the metadata (REJECT), or is gone.
    pub(crate) fn give_up_on(&mut self, link: Link) {
        for part in self.parts.iter_mut().filter(|part| part.data.is_none()) {
            part.asked.retain(|(by, _)| *by != link);
        }
        if self.solo == Some(link) {
            self.solo = None;
        }
    }

    /// Lets others be asked for parts that take too long; true if there was one.
    pub(crate) fn expire(&mut self, now: Time) -> bool {
        let mut expired = false;
        let mut late = Set::new();
        for part in self.parts.iter_mut().filter(|part| part.data.is_none()) {
            part.asked.retain(|(by, at)| {
                let fresh = now.since(*at) < TIMEOUT;
                if !fresh {
                    late.insert(*by);
                }
                fresh
            });
        }
        for &link in late.iter() {
            expired = true;
            if self.solo == Some(link) {
                self.solo = None;
            }
        }
        // A peer that claimed a size no other has must not keep us at it.
        if expired
            && self
                .parts
                .iter()
                .all(|part| part.data.is_none() && part.asked.is_empty())
        {
            self.parts.clear();
        }
        expired
    }

    /// Parts that are here, and how many there are.
    pub(crate) fn progress(&self) -> (u32, u32) {
        (
            self.parts.iter().filter(|part| part.data.is_some()).count() as u32,
            self.parts.len() as u32,
        )
    }

    fn restart(&mut self, size: u32) {
        self.size = size;
        self.parts = alloc::vec![Part::default(); metadata::pieces(size) as usize];
    }

    fn judge(&mut self, hashes: &InfoHashes) -> Progress {
        let mut whole = Vec::new();
        for data in self.parts.iter().filter_map(|part| part.data.as_deref()) {
            whole.extend_from_slice(data);
        }
        let sha256 = InfoHashV2(Sha256::digest(&whole).into());
        let matches = match (hashes.v1(), hashes.v2()) {
            // Twenty bytes may also be a v2 info-hash cut short, as trackers and handshakes have it (BEP 52).
            (Some(v1), _) => v1.0 == <[u8; 20]>::from(Sha1::digest(&whole)) || SwarmKey(v1.0) == sha256.into(),
            (None, Some(v2)) => v2 == sha256,
            (None, None) => false,
        };
        if matches {
            return Progress::Done(whole.into());
        }
        let mut senders: Vec<Link> = self
            .parts
            .iter()
            .flat_map(|part| part.asked.iter().map(|(by, _)| *by))
            .gather();
        senders.sort_unstable();
        senders.dedup();
        self.burnt = true;
        self.solo = None;
        self.parts.clear();
        match senders[..] {
            [only] => {
                self.useless.insert(only);
                Progress::Guilty(only)
            }
            _ => Progress::Wrong,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::InfoHashV1;

    const PART: u32 = metadata::METADATA_PIECE as u32;
    const A: Link = Link(1);
    const B: Link = Link(2);

    fn metadata() -> (Bytes, InfoHashes) {
        let bytes: Bytes = (0..PART + 100).map(|n| n as u8).collect::<Vec<_>>().into();
        let hash = InfoHashV1(Sha1::digest(&bytes).into());
        (bytes, hash.into())
    }

    fn part(bytes: &Bytes, number: u32) -> Bytes {
        bytes.slice((number * PART) as usize..bytes.len().min(((number + 1) * PART) as usize))
    }

    #[test]
    fn parts_of_one_peer_make_the_whole() {
        let (bytes, hashes) = metadata();
        let mut fetch = MetadataFetch::default();
        assert_eq!(fetch.ask(A, bytes.len() as u32, Time::ZERO), [0, 1]);
        assert_eq!(fetch.receive(A, 1, part(&bytes, 1), &hashes), Progress::More);
        assert_eq!(fetch.progress(), (1, 2));
        assert_eq!(
            fetch.receive(B, 0, part(&bytes, 0), &hashes),
            Progress::More,
            "B was not asked"
        );
        assert_eq!(fetch.receive(A, 0, part(&bytes, 0), &hashes), Progress::Done(bytes));
    }

    #[test]
    fn after_a_mixed_lie_one_peer_alone_is_asked_and_the_liar_is_found() {
        let (bytes, hashes) = metadata();
        let (size, lie) = (bytes.len() as u32, Bytes::from(alloc::vec![7; PART as usize]));
        let mut fetch = MetadataFetch::default();
        fetch.ask(A, size, Time::ZERO);
        fetch.give_up_on(A);
        assert_eq!(fetch.ask(B, size, Time::ZERO), [0, 1]);
        fetch.receive(B, 0, lie.clone(), &hashes);
        fetch.give_up_on(B);
        assert_eq!(fetch.ask(A, size, Time::ZERO), [1]);
        assert_eq!(fetch.receive(A, 1, part(&bytes, 1), &hashes), Progress::Wrong);
        assert_eq!(fetch.ask(B, size, Time::ZERO), [0, 1]);
        assert_eq!(fetch.ask(A, size, Time::ZERO), [], "B alone is being tried");
        fetch.receive(B, 0, lie, &hashes);
        assert_eq!(fetch.receive(B, 1, part(&bytes, 1), &hashes), Progress::Guilty(B));
        assert_eq!(fetch.ask(B, size, Time::ZERO), []);
        assert_eq!(fetch.ask(A, size, Time::ZERO), [0, 1]);
    }

    #[test]
    fn absurd_sizes_are_not_believed_and_a_silent_peer_holds_nothing_up() {
        let mut fetch = MetadataFetch::default();
        assert!(fetch.ask(A, 0, Time::ZERO).is_empty());
        assert!(fetch.ask(A, MAX_METADATA + 1, Time::ZERO).is_empty());
        assert_eq!(fetch.ask(A, 5 * PART, Time::ZERO).len(), PIPELINE);
        assert!(fetch.ask(B, 100, Time::ZERO).is_empty());
        assert!(fetch.expire(Time::ZERO + TIMEOUT));
        assert_eq!(fetch.ask(B, 100, Time::ZERO + TIMEOUT), [0]);
        fetch.give_up_on(B);
        assert_eq!(
            fetch.ask(A, 200, Time::ZERO + TIMEOUT),
            [0],
            "B is gone, and with it the size that only B had"
        );
    }
}
