//! One peer of a torrent: what is known of the other end of a link, and what waits to be sent to it.
//!
//! What waits is kept as numbers (pieces to announce, ranges to upload) and becomes bytes when the link pulls a frame; only
//! small control messages wait as bytes.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;

use super::assembly::Source;
use super::depth::Depth;
use super::find::Acquaintance;
use super::introduce::Circle;
use super::proofs::HashAsked;
use super::rate::{Debt, Meter, STEADY};
use super::reason::Reason;
use crate::address::Address;
use crate::bits::Bits;
use crate::event::{Link, Opened, Transport};
use crate::gather::Gather;
use crate::key::PeerId;
use crate::layout::{Block, Layout, Piece, Range};
use crate::session::context::Context;
use crate::slices::Slices;
use crate::time::Time;
use crate::wire::extended::ExtendedHandshake;
use crate::wire::frame::Framer;
use crate::wire::message::Message;

/// HAVE messages of a peer that are remembered while the number of pieces is not known.
const MAX_EARLY_HAVES: usize = 4096;

/// Requests given up, by time-out or by CANCEL, that are remembered.
const MAX_LATE: usize = 1024;

/// What one side of a link said last (BEP 3). Every link begins choked and not interested.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Side {
    /// It does not let the other side ask.
    pub(crate) choking: bool,
    /// It wants something of the other side.
    pub(crate) interested: bool,
}

/// The pieces that a peer has.
#[derive(Debug)]
pub(crate) enum Has {
    /// What it said before the number of pieces was known, to be checked then.
    Unread {
        /// BITFIELD or HAVE ALL.
        all: Option<Claim>,
        /// HAVE messages.
        haves: Vec<u32>,
    },
    /// A set of the right size, and how many are in it.
    Known(Bits, usize),
}

/// The first thing a peer says of its pieces.
#[derive(Clone, Debug)]
pub(crate) enum Claim {
    /// HAVE ALL (BEP 6).
    All,
    /// BITFIELD.
    Bitfield(Bytes),
}

/// A request of ours that is not answered yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) block: Block,
    pub(crate) at: Time,
}

/// A request of the other end that is not answered yet.
#[derive(Debug)]
pub(crate) struct Upload {
    pub(crate) range: Range,
    /// The bytes, once they are in memory.
    pub(crate) data: Option<Slices>,
    /// The bytes came straight from another peer, not out of storage.
    pub(crate) fresh: bool,
}

/// One peer of a torrent.
pub(crate) struct Peer {
    pub(crate) link: Link,
    /// A small number of its own within the swarm, for the picker.
    pub(crate) slot: u32,
    pub(crate) id: PeerId,
    pub(crate) transport: Transport,
    /// The other end brought the link about.
    pub(crate) inbound: bool,
    pub(crate) address: Option<Address>,
    pub(crate) opened: Time,
    pub(crate) framer: Framer,

    /// It speaks the fast extension (BEP 6).
    pub(crate) fast: bool,
    /// It speaks v2: the link was opened by the v2 info-hash (BEP 52).
    pub(crate) v2: bool,
    /// Hash requests to it that are not answered.
    pub(crate) hashes_asked: Vec<HashAsked>,
    /// For the work that its own hash requests made.
    pub(crate) hashes_owed: Debt,
    /// It speaks the extension protocol (BEP 10).
    pub(crate) extended: bool,
    /// What its extended handshake said; empty before.
    pub(crate) hello: ExtendedHandshake,
    /// We told it that we download nothing (BEP 21).
    pub(crate) told_upload_only: bool,
    pub(crate) client: String,
    #[cfg_attr(not(feature = "native"), expect(dead_code, reason = "a tab exchanges no addresses"))]
    pub(super) acquaintance: Acquaintance,
    pub(super) circle: Circle,
    pub(crate) has: Has,
    pub(crate) ours: Side,
    pub(crate) theirs: Side,
    /// Pieces it lets us ask for though it chokes us (BEP 6).
    pub(crate) allowed: Option<Bits>,
    /// Pieces we let it ask for though we choke it (BEP 6).
    pub(crate) granted: Vec<Piece>,
    /// Pieces it suggests (BEP 6), newest last.
    pub(crate) suggested: Vec<Piece>,
    /// What we said that we have. `None` before the first word on it.
    pub(crate) promised: Option<Bits>,

    pub(crate) asked: VecDeque<Asked>,
    /// Requests taken back by CANCEL that will still be answered, by REJECT or by a block that crossed it (BEP 6).
    cancelled: Vec<Block>,
    /// Requests that were given up after their time-out: an answer is still welcome.
    late: Vec<Block>,
    pub(crate) uploads: VecDeque<Upload>,
    pub(crate) depth: Depth,
    pub(crate) down: Meter,
    pub(crate) up: Meter,
    pub(crate) received: u64,
    pub(crate) sent: u64,
    pub(crate) last_heard: Time,
    pub(crate) last_sent: Time,
    /// When the last block came, or, if it owed us nothing before, when the first was asked for.
    pub(crate) last_block: Time,
    pub(crate) unchoked_at: Option<Time>,
    pub(crate) snubbed: bool,
    /// It sent part of a piece that failed: it gets pieces of its own until one passes.
    pub(crate) parole: bool,
    /// The last pick gave it less than it could take.
    pub(crate) hungry: bool,
    /// It is in the swarm's list of peers to be looked at again.
    pub(crate) dirty: bool,
    /// The shell was told that there is something to send and has not found nothing since.
    pub(crate) flushing: bool,

    control: Vec<u8>,
    scratch: Vec<u8>,
    haves: VecDeque<Piece>,
}

impl Peer {
    pub(crate) fn new(opened: &Opened, slot: u32, cx: &Context) -> Self {
        let now = cx.now;
        let reserved = opened.greeting.reserved;
        let quiet = Side {
            choking: true,
            interested: false,
        };
        Self {
            link: opened.link,
            slot,
            id: opened.greeting.peer_id,
            transport: opened.transport,
            inbound: false,
            address: opened.address,
            opened: now,
            framer: Framer::new(),
            fast: reserved.fast(),
            v2: false,
            hashes_asked: Vec::new(),
            hashes_owed: Debt::default(),
            extended: reserved.extended(),
            hello: ExtendedHandshake::default(),
            told_upload_only: false,
            client: client_name(opened.greeting.peer_id),
            acquaintance: Acquaintance::default(),
            circle: Circle::default(),
            has: Has::Unread {
                all: None,
                haves: Vec::new(),
            },
            ours: quiet,
            theirs: quiet,
            allowed: None,
            granted: Vec::new(),
            suggested: Vec::new(),
            promised: None,
            asked: VecDeque::new(),
            cancelled: Vec::new(),
            late: Vec::new(),
            uploads: VecDeque::new(),
            depth: Depth::new(cx.config.max_requests),
            down: Meter::new(STEADY),
            up: Meter::new(STEADY),
            received: 0,
            sent: 0,
            last_heard: now,
            last_sent: now,
            last_block: now,
            unchoked_at: None,
            snubbed: false,
            parole: false,
            hungry: false,
            dirty: false,
            flushing: false,
            control: Vec::new(),
            scratch: Vec::new(),
            haves: VecDeque::new(),
        }
    }

    pub(crate) fn source(&self) -> Source {
        Source {
            link: self.link,
            id: self.id,
            address: self.address,
            listens: self.listens(),
            transport: self.transport,
        }
    }

    /// Where it says that it takes links (BEP 10): for a peer that connected to us, not the address we see.
    pub(crate) fn listens(&self) -> Option<Address> {
        let mut address = self.address?;
        address.set_port(self.hello.port?);
        Some(address)
    }

    /// Whether it can serve a piece of which it only says so because it could fetch it from others.
    pub(crate) const fn relay(&self) -> bool {
        self.hello.relay
    }

    /// Whether it downloads nothing (BEP 21).
    pub(crate) fn is_upload_only(&self) -> bool {
        self.hello.upload_only == Some(true)
    }

    /// The pieces it has, once that can be known.
    pub(crate) const fn pieces(&self) -> Option<&Bits> {
        match &self.has {
            Has::Known(bits, _) => Some(bits),
            Has::Unread { .. } => None,
        }
    }

    pub(crate) fn is_seed(&self) -> bool {
        matches!(&self.has, Has::Known(bits, count) if *count == bits.len())
    }

    /// Remembers HAVE before the number of pieces is known. Past a bound it is forgotten: the peer is then only
    /// asked for less than it has.
    pub(crate) fn early_have(&mut self, piece: u32) {
        if let Has::Unread { haves, .. } = &mut self.has
            && haves.len() < MAX_EARLY_HAVES
        {
            haves.push(piece);
        }
    }

    /// Remembers BITFIELD, HAVE ALL or HAVE NONE before the number of pieces is known.
    pub(crate) fn early_claim(&mut self, claim: Option<Claim>) {
        if let Has::Unread { all, haves } = &mut self.has {
            *all = claim;
            haves.clear();
        }
    }

    /// The number of pieces is known now: reads what the peer said before.
    pub(crate) fn learn_layout(&mut self, layout: &Layout) -> Result<(), Reason> {
        let Has::Unread { all, haves } = &self.has else {
            return Ok(());
        };
        let mut bits = match all {
            Some(Claim::All) => Bits::full(layout.pieces()),
            Some(Claim::Bitfield(bytes)) => read_bitfield(bytes, layout)?,
            None => Bits::new(layout.pieces()),
        };
        for &have in haves {
            let piece = layout
                .piece(have)
                .ok_or(Reason::Protocol("HAVE of a piece that does not exist"))?;
            bits.insert(piece.index());
        }
        let count = bits.count();
        self.has = Has::Known(bits, count);
        Ok(())
    }

    /// Whether it owes us blocks, in time or late.
    pub(crate) fn is_asked(&self) -> bool {
        !self.asked.is_empty() || !self.late.is_empty()
    }

    /// Thousandths of the torrent that it has.
    pub(crate) fn progress(&self) -> u16 {
        match &self.has {
            Has::Known(bits, count) => (count * 1000 / bits.len().max(1)) as u16,
            Has::Unread { .. } => 0,
        }
    }

    /// Takes out those of its requests that are not to be answered.
    pub(crate) fn take_uploads(&mut self, is_gone: impl Fn(&Upload) -> bool) -> Vec<Upload> {
        let mut gone = Vec::new();
        for _ in 0..self.uploads.len() {
            match self.uploads.pop_front() {
                Some(upload) if is_gone(&upload) => gone.push(upload),
                Some(upload) => self.uploads.push_back(upload),
                None => break,
            }
        }
        gone
    }

    /// Takes back a request that waits for an answer.
    pub(crate) fn take_asked(&mut self, block: Block) -> Option<Asked> {
        let at = self.asked.iter().position(|asked| asked.block == block)?;
        self.asked.remove(at)
    }

    /// A request was taken back by CANCEL.
    pub(crate) fn cancelled(&mut self, block: Block) {
        if self.fast {
            self.cancelled.push(block);
            self.cancelled.truncate(MAX_LATE);
        }
    }

    /// Whether an answer about this block is the one that CANCEL left open.
    pub(crate) fn take_cancelled(&mut self, block: Block) -> bool {
        let at = self.cancelled.iter().position(|cancelled| *cancelled == block);
        at.map(|at| self.cancelled.remove(at)).is_some()
    }

    /// Gives up every request that waits, but remembers it in case an answer comes late.
    pub(crate) fn shelve_asked(&mut self) {
        for asked in core::mem::take(&mut self.asked) {
            self.late.push(asked.block);
        }
        let over = self.late.len().saturating_sub(MAX_LATE);
        self.late.drain(..over);
    }

    /// Whether the block was asked for and given up; forgets it.
    pub(crate) fn was_late(&mut self, block: Block) -> bool {
        let at = self.late.iter().position(|late| *late == block);
        at.map(|at| self.late.remove(at)).is_some()
    }

    /// Queues a control message.
    pub(crate) fn send(&mut self, message: &Message) {
        self.scratch.clear();
        message.encode(&mut self.scratch);
        self.control.extend_from_slice(&self.scratch);
    }

    /// Queues HAVE. It waits as a number and is sent after what was queued before.
    pub(crate) fn send_have(&mut self, piece: Piece) {
        self.haves.push_back(piece);
    }

    /// Bytes of control messages that wait: large only for a peer that asks and does not read.
    pub(crate) fn backlog(&self) -> usize {
        self.control.len()
    }

    /// Whether something could be sent now.
    pub(crate) fn has_output(&self) -> bool {
        !self.control.is_empty() || !self.haves.is_empty() || self.uploads.iter().any(|upload| upload.data.is_some())
    }

    /// The next control bytes, at most `room` of them.
    pub(crate) fn take_control(&mut self, room: usize) -> Option<Bytes> {
        while self.control.len() < room {
            let Some(piece) = self.haves.pop_front() else { break };
            self.send(&Message::Have(piece.number()));
        }
        let length = self.control.len().min(room);
        (length > 0).then(|| {
            let rest = self.control.split_off(length);
            core::mem::replace(&mut self.control, rest).into()
        })
    }
}

/// Reads BITFIELD.
pub(crate) fn read_bitfield(bytes: &[u8], layout: &Layout) -> Result<Bits, Reason> {
    Bits::from_bytes(bytes, layout.pieces()).map_err(|_| Reason::Protocol("BITFIELD is not of the torrent's size"))
}

/// A client's name from its peer id, as `-XXyyyy-` (BEP 20) has it, for peers that do not say more (BEP 10).
fn client_name(id: PeerId) -> String {
    const NAMES: [(&[u8; 2], &str); 12] = [
        (b"TO", "Tombolo"),
        (b"WW", "WebTorrent"),
        (b"WD", "WebTorrent Desktop"),
        (b"TR", "Transmission"),
        (b"LT", "libtorrent"),
        (b"lt", "rTorrent"),
        (b"qB", "qBittorrent"),
        (b"DE", "Deluge"),
        (b"UT", "µTorrent"),
        (b"rQ", "rqbit"),
        (b"A2", "aria2"),
        (b"AZ", "Vuze"),
    ];
    let [b'-', first, second, version @ ..] = &id.0[..8] else {
        return String::from("unknown");
    };
    let name = NAMES
        .iter()
        .find(|(code, _)| **code == [*first, *second])
        .map(|(_, name)| *name);
    let version = version
        .iter()
        .take(2)
        .map(|&digit| char::from(digit))
        .filter(char::is_ascii_alphanumeric);
    let version = version.map(|digit| alloc::format!("{digit}")).gather().join(".");
    alloc::format!("{} {version}", name.unwrap_or("unknown"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_named_by_their_ids() {
        assert_eq!(client_name(PeerId(*b"-TR3000-abcdefghijkl")), "Transmission 3.0");
        assert_eq!(client_name(PeerId(*b"-??1200-abcdefghijkl")), "unknown 1.2");
        assert_eq!(client_name(PeerId([0; 20])), "unknown");
        assert_eq!(client_name(PeerId([b'-'; 20])), "unknown ");
    }
}
