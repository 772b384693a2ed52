//! What is asked of a tracker and what it answers, whatever protocol carries it.

use crate::key::{PeerId, SwarmKey};
use alloc::string::String;
use alloc::vec::Vec;
use core::net::SocketAddr;

/// The most peers that an answer is read for, and the most that we give in one: more helps nobody and costs memory.
pub const MAX_PEERS: usize = 2_000;

/// Why a peer announces itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AnnounceEvent {
    /// It is time to.
    #[default]
    Periodic,
    /// It has begun.
    Started,
    /// It ends.
    Stopped,
    /// It has just become whole; not sent by one that was whole when it began.
    Completed,
    /// It holds all it wants but not all there is (BEP 21).
    Paused,
}

/// An announce: a peer makes itself known and asks for others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnnounceRequest {
    /// The swarm.
    pub swarm: SwarmKey,
    /// The peer's name.
    pub peer_id: PeerId,
    /// The port it listens on; 0 for a web peer.
    pub port: u16,
    /// Bytes uploaded since it began.
    pub uploaded: u64,
    /// Bytes downloaded since it began.
    pub downloaded: u64,
    /// Bytes it still lacks; `None` if it does not know, for want of the metadata.
    pub left: Option<u64>,
    /// Why it announces itself.
    pub event: AnnounceEvent,
    /// How many peers it would like; the tracker's own number if `None`.
    pub numwant: Option<u32>,
    /// A number that proves it to be the same peer when its address changes.
    pub key: Option<u32>,
    /// What the tracker told it to send along.
    pub tracker_id: Option<String>,
}

/// The answer to an announce.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnnounceReply {
    /// Seconds until it should announce itself again.
    pub interval: u32,
    /// Seconds that it must at least let pass.
    pub min_interval: Option<u32>,
    /// Seeds in the swarm.
    pub complete: Option<u32>,
    /// Other peers in the swarm.
    pub incomplete: Option<u32>,
    /// Peers to connect to.
    pub peers: Vec<SocketAddr>,
    /// Something to tell the user.
    pub warning: Option<String>,
    /// What to send along with the next announce.
    pub tracker_id: Option<String>,
    /// The peer's own address as the tracker sees it (BEP 24).
    pub external_ip: Option<core::net::IpAddr>,
}

/// What a tracker counts of one swarm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScrapeCounts {
    /// Seeds.
    pub complete: u32,
    /// Other peers.
    pub incomplete: u32,
    /// Peers that became whole, ever.
    pub downloaded: u32,
}

/// A tracker's refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Why, in its words.
    pub reason: String,
    /// Minutes after which to try again; `None` if it did not say, `u32::MAX` for never (BEP 31).
    pub retry_in_minutes: Option<u32>,
}

impl AnnounceRequest {
    /// A periodic announce of a peer of which nothing else is known: that of a web peer.
    pub const fn new(swarm: SwarmKey, peer_id: PeerId) -> Self {
        Self {
            swarm,
            peer_id,
            port: 0,
            uploaded: 0,
            downloaded: 0,
            left: None,
            event: AnnounceEvent::Periodic,
            numwant: None,
            key: None,
            tracker_id: None,
        }
    }

    /// Whether the peer has everything.
    pub fn is_seed(&self) -> bool {
        self.left == Some(0)
    }
}

impl AnnounceEvent {
    /// The word for it in queries; `None` for a periodic announce.
    pub const fn word(self) -> Option<&'static str> {
        match self {
            Self::Periodic => None,
            Self::Started => Some("started"),
            Self::Stopped => Some("stopped"),
            Self::Completed => Some("completed"),
            Self::Paused => Some("paused"),
        }
    }

    /// The event of that word. One we do not know counts as periodic, as trackers do.
    pub fn from_word(word: &str) -> Self {
        [Self::Started, Self::Stopped, Self::Completed, Self::Paused]
            .into_iter()
            .find(|event| event.word() == Some(word))
            .unwrap_or_default()
    }
}
