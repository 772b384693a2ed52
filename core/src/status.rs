//! What a session shows of itself: plain numbers, taken when asked for.

use alloc::string::String;

use crate::address::Address;
use crate::event::{Link, Transport};
use crate::key::{InfoHashes, PeerId};

/// What a torrent is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Asking peers for the metadata (BEP 9).
    Metadata,
    /// Storage is being opened, or what it holds is being checked.
    Checking,
    /// Wanted pieces are missing.
    Downloading,
    /// Every wanted piece is here.
    Seeding,
    /// Held as a bridge.
    Bridging,
    /// Paused.
    Paused,
}

/// A torrent, in numbers. Bytes but where said otherwise.
#[derive(Clone, Debug)]
pub struct Status {
    /// Its info-hashes.
    pub hashes: InfoHashes,
    /// What it is doing.
    pub state: State,
    /// Verified bytes.
    pub have: u64,
    /// Verified bytes that storage has said to hold: what a kill at this moment would not lose.
    pub stored: u64,
    /// Bytes that are wanted, in whole pieces.
    pub wanted: u64,
    /// Verified bytes among the wanted.
    pub have_wanted: u64,
    /// Pieces held.
    pub pieces: usize,
    /// PIECE bytes received, unwanted ones too.
    pub received: Traffic,
    /// PIECE bytes sent.
    pub sent: Traffic,
    /// Of those sent, what came out of the cache or storage rather than straight from another peer.
    pub sent_cached: u64,
    /// PIECE bytes received a second.
    pub down: u64,
    /// PIECE bytes sent a second.
    pub up: u64,
    /// Distributed copies among connected peers, without our own, in thousandths.
    pub copies: u32,
    /// Links.
    pub peers: usize,
    /// Addresses and peers heard of.
    pub known: usize,
    /// Pieces that failed their hash.
    pub hash_failures: u64,
    /// Metadata bytes held and their number, once it is known.
    pub metadata: Option<(u32, u32)>,
}

/// Bytes of PIECE messages by what carried them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Over TCP and uTP.
    pub native: u64,
    /// Over data channels.
    pub rtc: u64,
    /// Over relay WebSockets.
    pub wire: u64,
    /// From web seeds; no PIECE messages, but blocks all the same.
    pub http: u64,
}

impl Traffic {
    /// Counts `bytes` carried by `transport`.
    pub fn count(&mut self, transport: Transport, bytes: u64) {
        match transport {
            Transport::Tcp | Transport::Utp => self.native += bytes,
            Transport::Rtc => self.rtc += bytes,
            Transport::Wire => self.wire += bytes,
            Transport::Http => self.http += bytes,
        }
    }

    /// All of it.
    pub const fn total(&self) -> u64 {
        self.native + self.rtc + self.wire + self.http
    }

    /// What web peers sent or got.
    pub const fn web(&self) -> u64 {
        self.rtc + self.wire
    }
}

/// A peer, in numbers.
#[derive(Clone, Debug)]
pub struct PeerStatus {
    /// Its link.
    pub link: Link,
    /// Its id.
    pub peer_id: PeerId,
    /// The client's name: as it says (BEP 10), or from the peer id (BEP 20).
    pub client: String,
    /// Its address, where there is one.
    pub address: Option<Address>,
    /// What carries the link.
    pub transport: Transport,
    /// Whether it says that it is a relay.
    pub relay: bool,
    /// Whether it connected to us.
    pub inbound: bool,
    /// We want something of it.
    pub interested: bool,
    /// It lets us ask.
    pub unchoked: bool,
    /// It wants something of us.
    pub peer_interested: bool,
    /// We let it ask.
    pub peer_unchoked: bool,
    /// It is unchoked whatever it gives, to find out what that is.
    pub optimistic: bool,
    /// It sent nothing for a minute though we asked.
    pub snubbed: bool,
    /// It sent part of a piece that failed its check, and has not sent a good one alone since.
    pub suspect: bool,
    /// Pieces it has.
    pub pieces: usize,
    /// PIECE bytes a second from it.
    pub down: u64,
    /// PIECE bytes a second to it.
    pub up: u64,
    /// PIECE bytes from it.
    pub received: u64,
    /// PIECE bytes to it.
    pub sent: u64,
    /// Requests outstanding to it.
    pub requests: usize,
}

impl PeerStatus {
    /// The letters that clients use, parted by blanks: D and d what we want of it (served or choked), U and u what it wants of us, K and ?
    /// where nobody wants what may be had, O optimistic, S snubbed, F suspect, I inbound.
    pub fn flags(&self) -> String {
        let down = match (self.interested, self.unchoked) {
            (true, true) => "D",
            (true, false) => "d",
            (false, true) => "K",
            (false, false) => "",
        };
        let up = match (self.peer_interested, self.peer_unchoked) {
            (true, true) => "U",
            (true, false) => "u",
            (false, true) => "?",
            (false, false) => "",
        };
        let mut flags = String::new();
        for (set, letter) in [
            (true, down),
            (true, up),
            (self.optimistic, "O"),
            (self.snubbed, "S"),
            (self.suspect, "F"),
            (self.inbound, "I"),
        ] {
            if set && !letter.is_empty() {
                flags.push_str(if flags.is_empty() { "" } else { " " });
                flags.push_str(letter);
            }
        }
        flags
    }
}

/// A tracker of a torrent.
#[derive(Clone, Debug)]
pub struct TrackerStatus {
    /// Its URL.
    pub url: String,
    /// How it is doing.
    pub state: TrackerState,
    /// Peers it named last time.
    pub peers: usize,
    /// Seeds it counts.
    pub seeds: Option<u32>,
    /// Failures since the last answer.
    pub failures: u32,
    /// The last failure, in the tracker's or the system's words.
    pub error: Option<String>,
    /// Microseconds since the last answer.
    pub age: Option<u64>,
    /// Microseconds until the next announce.
    pub next: Option<u64>,
}

/// How a tracker is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrackerState {
    /// Not asked yet.
    Idle,
    /// Asked, no answer yet.
    Announcing,
    /// The last announce was answered.
    Working,
    /// The last announce failed.
    Failed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_letters_in_a_fixed_order() {
        let peer = PeerStatus {
            link: Link(1),
            peer_id: PeerId([0; 20]),
            client: String::new(),
            address: None,
            transport: Transport::Tcp,
            relay: false,
            inbound: false,
            interested: false,
            unchoked: false,
            peer_interested: false,
            peer_unchoked: false,
            optimistic: false,
            snubbed: false,
            suspect: false,
            pieces: 0,
            down: 0,
            up: 0,
            received: 0,
            sent: 0,
            requests: 0,
        };
        assert_eq!(peer.flags(), "");
        let wants = PeerStatus {
            interested: true,
            snubbed: true,
            peer_unchoked: true,
            inbound: true,
            ..peer.clone()
        };
        assert_eq!(wants.flags(), "d ? S I");
        let gives = PeerStatus {
            unchoked: true,
            peer_interested: true,
            peer_unchoked: true,
            optimistic: true,
            suspect: true,
            ..peer
        };
        assert_eq!(gives.flags(), "K U O F");
    }
}
