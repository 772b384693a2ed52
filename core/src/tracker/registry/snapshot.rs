//! The table as bytes, so that a restart forgets nobody who is reached at an address.
//!
//! Web peers are not in it: they come again by themselves, since their connections end with the tracker. A snapshot is a head and
//! sections, each with its length and a checksum; a damaged section costs what was in it, a file that is cut short what comes after. How long
//! a peer was silent is kept, and the time that the tracker was away does not count. Cost: 30 bytes a peer (IPv6: 42), 40 a swarm.

use super::swarm::Swarm;
use super::{Asker, Place, Registry, span_tenths, tenths};
use crate::key::{PeerId, SwarmKey};
use crate::time::Time;
use crate::tracker::query::AnnounceRequest;
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, SocketAddr};
use sha1::{Digest, Sha1};

/// What a snapshot begins with: its name and version.
const MAGIC: [u8; 8] = *b"tombtrk1";

/// The length of a snapshot's head: [`MAGIC`] and when it was taken.
pub const HEAD: usize = 16;

/// The length of a section's head: how long its payload is, and the first bytes of its SHA-1.
pub const SECTION_HEAD: usize = 12;

/// Bytes after which a section ends at the next swarm: so short is the table locked.
const SECTION: usize = 1 << 20;

/// The longest section read, in bytes: more than the largest swarm that is likely.
pub const MAX_SECTION: usize = 256 << 20;

/// Why a snapshot, or a section, is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotError {
    /// Not one of ours, or of another version.
    Magic,
    /// Cut short.
    Short,
    /// A section longer than [`MAX_SECTION`], in bytes.
    TooLong(usize),
    /// A section whose checksum is wrong.
    Checksum,
}

/// A swarm as it was saved, checked to be whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Saved<'a> {
    /// The swarm.
    pub swarm: SwarmKey,
    /// Peers that became whole, ever.
    pub downloaded: u32,
    v4: List<'a, 6>,
    v6: List<'a, 18>,
}

/// The records of one family: peers that are no seeds, and then seeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct List<'a, const ADDRESS: usize> {
    leeches: usize,
    records: &'a [u8],
}

/// One peer that was saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SavedPeer {
    /// Its id.
    pub peer_id: PeerId,
    /// Where it is reached.
    pub address: SocketAddr,
    /// Whether it had everything.
    pub is_seed: bool,
    /// How long it had been silent, in tenths of a second.
    pub silent: u32,
}

/// The head of a snapshot taken at that moment, in Unix seconds.
pub fn head(taken: u64) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    head[..8].copy_from_slice(&MAGIC);
    head[8..].copy_from_slice(&taken.to_be_bytes());
    head
}

/// When a snapshot was taken, in Unix seconds.
///
/// # Errors
/// It is no snapshot of this version.
pub fn parse_head(head: &[u8; HEAD]) -> Result<u64, SnapshotError> {
    let mut reader = Reader(head);
    let magic: [u8; 8] = reader.array().ok_or(SnapshotError::Short)?;
    if magic != MAGIC {
        return Err(SnapshotError::Magic);
    }
    reader.array().map(u64::from_be_bytes).ok_or(SnapshotError::Short)
}

/// The head of a section with that payload.
pub fn section_head(payload: &[u8]) -> [u8; SECTION_HEAD] {
    let mut head = [0; SECTION_HEAD];
    head[..4].copy_from_slice(&(payload.len() as u32).to_be_bytes());
    head[4..].copy_from_slice(&checksum(payload));
    head
}

/// How long the payload is that follows a head, in bytes.
///
/// # Errors
/// It is longer than any section.
pub fn section_length(head: &[u8; SECTION_HEAD]) -> Result<usize, SnapshotError> {
    let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
    if length > MAX_SECTION {
        Err(SnapshotError::TooLong(length))
    } else {
        Ok(length)
    }
}

/// The swarms of a section, up to one that is not whole.
///
/// # Errors
/// Its checksum is wrong.
pub fn swarms<'a>(
    head: &[u8; SECTION_HEAD],
    payload: &'a [u8],
) -> Result<impl Iterator<Item = Saved<'a>> + use<'a>, SnapshotError> {
    if head[4..] != checksum(payload) {
        return Err(SnapshotError::Checksum);
    }
    let mut reader = Reader(payload);
    Ok(core::iter::from_fn(move || reader.swarm()))
}

fn checksum(payload: &[u8]) -> [u8; 8] {
    let whole: [u8; 20] = Sha1::digest(payload).into();
    core::array::from_fn(|at| whole[at])
}

impl Registry {
    /// Appends a section's payload: the swarms from the place `from` on. Gives where to go on, `None` at the end.
    pub fn save(&self, now: Time, from: usize, payload: &mut Vec<u8>) -> Option<usize> {
        let now = tenths(now);
        for (place, swarm) in self.swarms.iter().enumerate().skip(from) {
            if payload.len() >= SECTION {
                return Some(place);
            }
            if swarm.natives() > 0 || swarm.counts.downloaded > 0 {
                save(swarm, now, payload);
            }
        }
        None
    }

    /// Puts a swarm back as it was, within the bounds of the table. To be called before the first announce.
    pub fn restore(&mut self, now: Time, saved: &Saved<'_>) {
        let slot = match self.find(saved.swarm) {
            Some(slot) => slot,
            None if self.has_room() => {
                let oldest = saved.peers().map(|peer| peer.silent).max().unwrap_or(0);
                let left = span_tenths(self.config.peer_ttl).saturating_sub(oldest);
                self.create(tenths(now).saturating_add(left) + 1, saved.swarm)
            }
            None => return,
        };
        let (seed, max_peers) = (self.seed, self.config.max_peers);
        let Some(swarm) = self.swarms.get_mut(slot as usize) else {
            return;
        };
        let before = swarm.len();
        swarm.counts.downloaded = swarm.counts.downloaded.max(saved.downloaded);
        for peer in saved.peers() {
            let request = peer.announce(saved.swarm);
            let asker = Asker {
                request: &request,
                place: Place::Native(peer.address),
                numwant: 0,
                family: None,
            };
            let seen = tenths(now).saturating_sub(peer.silent);
            swarm.put(&asker, seen, max_peers, seed);
        }
        let after = swarm.len();
        self.recount(before, after);
    }
}

fn save(swarm: &Swarm, now: u32, payload: &mut Vec<u8>) {
    payload.extend_from_slice(&swarm.key.0);
    payload.extend_from_slice(&swarm.counts.downloaded.to_be_bytes());
    let ((v4_leeches, v4), (v6_leeches, v6)) = (swarm.saved_v4(), swarm.saved_v6());
    for count in [v4_leeches, v4.len(), v6_leeches, v6.len()] {
        payload.extend_from_slice(&(count as u32).to_be_bytes());
    }
    for record in v4 {
        put(record.id, now - record.seen.min(now), record.address, payload);
    }
    for record in v6 {
        put(record.id, now - record.seen.min(now), record.address, payload);
    }
}

fn put<const N: usize>(id: PeerId, silent: u32, (ip, port): ([u8; N], [u8; 2]), payload: &mut Vec<u8>) {
    payload.extend_from_slice(&id.0);
    payload.extend_from_slice(&silent.to_be_bytes());
    payload.extend_from_slice(&ip);
    payload.extend_from_slice(&port);
}

impl Saved<'_> {
    /// The same without its peers: what it counted.
    #[must_use]
    pub const fn deserted(self) -> Self {
        Self {
            v4: List {
                leeches: 0,
                records: &[],
            },
            v6: List {
                leeches: 0,
                records: &[],
            },
            ..self
        }
    }

    /// Its peers.
    pub fn peers(&self) -> impl Iterator<Item = SavedPeer> {
        self.v4.peers::<4>().chain(self.v6.peers::<16>())
    }
}

impl<const ADDRESS: usize> List<'_, ADDRESS> {
    /// Those that are well-formed: with a port.
    fn peers<const IP: usize>(&self) -> impl Iterator<Item = SavedPeer>
    where
        IpAddr: From<[u8; IP]>,
    {
        let leeches = self.leeches;
        let records = self.records.chunks_exact(24 + ADDRESS).enumerate();
        records.filter_map(move |(at, record)| {
            let mut reader = Reader(record);
            let peer = SavedPeer {
                peer_id: PeerId(reader.array()?),
                silent: reader.array().map(u32::from_be_bytes)?,
                address: SocketAddr::new(
                    IpAddr::from(reader.array::<IP>()?),
                    reader.array().map(u16::from_be_bytes)?,
                ),
                is_seed: at >= leeches,
            };
            Some(peer).filter(|peer| peer.address.port() != 0)
        })
    }
}

impl SavedPeer {
    fn announce(&self, swarm: SwarmKey) -> AnnounceRequest {
        AnnounceRequest {
            port: self.address.port(),
            left: Some(u64::from(!self.is_seed)),
            ..AnnounceRequest::new(swarm, self.peer_id)
        }
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*array)
    }

    fn count(&mut self) -> Option<usize> {
        self.array().map(|bytes| u32::from_be_bytes(bytes) as usize)
    }

    fn list<const ADDRESS: usize>(&mut self, leeches: usize, count: usize) -> Option<List<'a, ADDRESS>> {
        let (records, rest) = self.0.split_at_checked(count.checked_mul(24 + ADDRESS)?)?;
        self.0 = rest;
        Some(List { leeches, records })
    }

    fn swarm(&mut self) -> Option<Saved<'a>> {
        let swarm = SwarmKey(self.array()?);
        let downloaded = self.array().map(u32::from_be_bytes)?;
        let [v4_leeches, v4, v6_leeches, v6] = [self.count()?, self.count()?, self.count()?, self.count()?];
        Some(Saved {
            swarm,
            downloaded,
            v4: self.list(v4_leeches, v4)?,
            v6: self.list(v6_leeches, v6)?,
        })
    }
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Magic => f.write_str("no snapshot of this version"),
            Self::Short => f.write_str("cut short"),
            Self::TooLong(length) => write!(f, "a section of {length} bytes is longer than {MAX_SECTION}"),
            Self::Checksum => f.write_str("a section with a wrong checksum"),
        }
    }
}

impl core::error::Error for SnapshotError {}

#[cfg(test)]
mod tests;
