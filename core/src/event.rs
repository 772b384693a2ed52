//! What goes into a [`Session`](crate::session::Session) and what comes out: every command, byte and completion is an
//! [`Event`], everything the shell must do is an [`Action`]. A log of (time, event) replays a session.
//!
//! Handles: the shell names torrents and links, the session names jobs, dials, offers and sockets. A handle is never used twice.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::address::Address;
use crate::bits::Bits;
use crate::digest::{Digests, Hashing};
use crate::door::Greeting;
#[cfg(feature = "native")]
use crate::key::SwarmKey;
use crate::layout::{Piece, Range};
use crate::magnet::Magnet;
use crate::metainfo::Metainfo;
use crate::slices::Slices;
use crate::swarm::Priority;
use crate::swarm::reason::Reason;
use crate::swarm::window::Playback;
#[cfg(feature = "native")]
use crate::tracker::udp::Family;

/// A torrent in a session. Named by the shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Torrent(pub u32);

/// An ordered byte stream to one peer, past its handshake, whatever carries it. Named by the shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Link(pub u64);

/// Work that the shell was asked to do and must answer exactly once (unless its torrent is removed meanwhile).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Job(pub u64);

/// An attempt to reach a peer by its address; answered by [`Event::Opened`] or [`Event::DialFailed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dial(pub(crate) u64);

/// A WebRTC connection being negotiated, by an offer of ours or of the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Offer(pub(crate) u64);

/// A WebSocket to a tracker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Socket(pub(crate) u64);

/// What carries a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// TCP (BEP 3).
    Tcp,
    /// uTP (BEP 29).
    Utp,
    /// A WebRTC data channel.
    Rtc,
    /// The byte stream in binary WebSocket messages, between a relay and its own tabs.
    Wire,
    /// HTTP, from a web seed (BEP 19, BEP 17): no link, but a source all the same.
    Http,
}

impl Transport {
    /// Whether the other end is a web peer: a tab, or a program that speaks as one.
    pub const fn is_web(self) -> bool {
        matches!(self, Self::Rtc | Self::Wire)
    }

    /// Whether the other end is a native peer.
    pub const fn is_native(self) -> bool {
        matches!(self, Self::Tcp | Self::Utp)
    }
}

/// How a torrent is held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// The selected pieces are wanted, and kept.
    #[default]
    Whole,
    /// Nothing is wanted but what is played; storage keeps as much of it as it likes ([`Event::Lost`]).
    Passing,
    /// Nothing is wanted but what peers ask for; pieces stay in a cache with a budget.
    Bridge {
        /// Fetch without being asked, as far as the cache goes.
        prefetch: bool,
    },
}

/// What names a torrent to be added.
#[derive(Clone, Debug)]
pub enum Source {
    /// The whole metainfo.
    Metainfo(Arc<Metainfo>),
    /// A magnet link: the metadata comes from peers (BEP 9).
    Magnet(Magnet),
}

/// A torrent to be added.
#[derive(Clone, Debug)]
pub struct Add {
    /// Its handle, not used before.
    pub torrent: Torrent,
    /// What it is.
    pub source: Source,
    /// How it is held.
    pub mode: Mode,
    /// Trackers instead of the torrent's own, one tier each; `None` uses its own.
    pub trackers: Option<Vec<String>>,
    /// Addresses of peers known beforehand.
    pub peers: Vec<Address>,
    /// A priority for each file; files past its end are [`Priority::Normal`].
    pub priorities: Vec<Priority>,
}

/// A link that is past its handshake.
#[derive(Clone, Debug)]
pub struct Opened {
    /// Its handle, not used before.
    pub link: Link,
    /// The torrent it is for.
    pub torrent: Torrent,
    /// What the handshake said, and what came after it.
    pub greeting: Greeting,
    /// What carries it.
    pub transport: Transport,
    /// How it came to be.
    pub origin: Origin,
    /// The address of the other end, where there is one.
    pub address: Option<Address>,
}

/// How a link came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The other end connected to us.
    Inbound,
    /// By [`Action::Dial`].
    Dialled(Dial),
    /// By an offer, ours or theirs.
    Offered(Offer),
    /// The shell connected of its own accord (a tab to its relay).
    Chosen,
}

/// Something that happened outside.
#[derive(Debug)]
pub enum Event {
    /// Add a torrent. Its swarms must be in no other torrent of this session.
    Add(Box<Add>),
    /// Forget a torrent: its links are closed, its trackers told.
    Remove(Torrent),
    /// Stop trading (`true`: links are closed, nothing is announced but `stopped`) or go on.
    Pause(Torrent, bool),
    /// New priorities, one for each file.
    Select(Torrent, Vec<Priority>),
    /// Play a part of a torrent, or no longer.
    Play(Torrent, Option<Playback>),
    /// More addresses of peers.
    #[cfg(feature = "native")]
    Peers(Torrent, Vec<Address>),
    /// New limits on the rates of all torrents together, in bytes a second: up, down. `None` = no limit.
    Limit(Option<u64>, Option<u64>),
    /// New limits on the rates of one torrent, beside those of all together. `None` = no limit.
    LimitTorrent(Torrent, Option<u64>, Option<u64>),
    /// Who may be talked to from now on: links to others are closed.
    #[cfg(feature = "native")]
    Filter(Arc<crate::filter::Filter>),
    /// New budgets of all torrents together.
    #[cfg(feature = "native")]
    Budgets(Budgets),

    /// Answers [`Action::Open`]: which pieces storage is known to hold, and which must be checked because it may.
    Restored {
        /// The torrent.
        torrent: Torrent,
        /// Pieces that are there, verified before.
        held: Bits,
        /// Pieces of which some bytes are there, to be checked.
        check: Bits,
    },
    /// Answers [`Action::Hash`] with the digests of the data.
    Hashed(Job, Digests),
    /// Answers [`Action::Check`] with the digests of what storage holds; `None` when the piece is not there in full.
    Checked(Job, Option<Digests>),
    /// Answers [`Action::Store`].
    Stored(Job, Result<(), StorageError>),
    /// Storage has no room for pieces of a torrent and keeps them until it has (`true`), or has found it: [`Action::Store`] is
    /// answered late, not in vain. Until then nothing more is asked for.
    StorageFull(Torrent, bool),
    /// Storage keeps a piece of a [`Mode::Passing`] torrent no longer.
    Lost(Torrent, Piece),
    /// Answers [`Action::Load`].
    Loaded(Job, Result<Slices, StorageError>),

    /// A link is past its handshake.
    Opened(Box<Opened>),
    /// Bytes came in.
    Received(Link, Bytes),
    /// The other end closed the link, or it broke.
    Closed(Link),
    /// A dial came to nothing.
    #[cfg(feature = "native")]
    DialFailed(Dial),

    /// Answers [`Action::MakeOffer`] (an offer) or [`Action::Answer`] (an answer), gathered in full.
    Described(Offer, String),
    /// The negotiation came to nothing, at any stage before [`Event::Opened`].
    OfferFailed(Offer),

    /// A tracker's WebSocket is open.
    Connected(Socket),
    /// A message came on a tracker's WebSocket.
    Text(Socket, String),
    /// A tracker's WebSocket closed or could not be opened, and why.
    Disconnected(Socket, String),
    /// Answers [`Action::Fetch`] with the body of a 200, or why there is none.
    #[cfg(feature = "native")]
    Fetched(Job, Result<Bytes, String>),
    /// Bytes came of what [`Action::Stream`] asked for.
    Streamed(Job, Bytes),
    /// [`Action::Stream`] is over: all bytes came, or why not.
    StreamEnded(Job, Result<(), Refused>),
    /// A datagram of the conversation came, over that family, or the conversation cannot be had (no such host, say).
    #[cfg(feature = "native")]
    Datagram(Job, Result<(Family, Bytes), String>),

    /// Time has come to [`Session::deadline`](crate::session::Session::deadline).
    Due,
}

/// What all torrents together may hold. Links above their number stay, and no new ones come.
#[cfg(feature = "native")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budgets {
    /// Bytes of pieces between request and storage.
    pub memory: u64,
    /// Bytes of verified pieces that bridged torrents keep.
    pub cache: u64,
    /// Links.
    pub links: usize,
    /// Dials under way.
    pub dials: usize,
}

/// Why a server did not send what it was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// The HTTP status, 0 if it did not come to that.
    pub status: u16,
    /// Seconds after which to ask again, as the server says: `Retry-After`, or the body of a 503 (BEP 17).
    pub retry: Option<u32>,
    /// In words.
    pub why: String,
}

/// Why storage could not do as asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StorageError {
    /// There is no room left.
    Full,
    /// Anything else, in the system's words.
    Other(String),
}

/// Something that the shell must do.
#[derive(Debug)]
pub enum Action {
    /// The metainfo is known: open storage, answer with [`Event::Restored`].
    Open(Torrent, Arc<Metainfo>),
    /// Hash the bytes of a piece (see [`Hashing::digest`]).
    Hash(Job, Slices, Hashing),
    /// Hash what storage holds of a piece.
    Check(Job, Torrent, Piece, Hashing),
    /// Write a verified piece. Jobs of one torrent are done as if in order: a `Load` after it sees the piece.
    Store(Job, Torrent, Piece, Slices),
    /// Read bytes of a stored piece.
    Load(Job, Torrent, Range),
    /// Forget a piece of the cache.
    #[cfg(feature = "native")]
    Discard(Torrent, Piece),

    /// Connect to a peer and shake hands (see [`crate::door`]).
    Dial(Dial, Torrent, Address),
    /// Connect to a peer over uTP now, as it connects to us (BEP 55); answered like a dial.
    Punch(Dial, Torrent, Address),
    /// Look for peers of a torrent in the DHT and on the local network, and announce it there under each of these names. Peers come
    /// back by [`Event::Peers`], whenever and as often as any are found.
    #[cfg(feature = "native")]
    Lookup(Torrent, Vec<SwarmKey>),
    /// A node of the DHT may be at this address.
    Node(Address),
    /// Close a link. What was pulled before still goes out; no event about it is expected, and any is ignored.
    Close(Link, Reason),
    /// There is something to send: pull it with [`Session::poll_frame`](crate::session::Session::poll_frame) as the
    /// link has room, until that gives `None`. Not repeated before it has.
    Flush(Link),

    /// Make a WebRTC offer with a data channel.
    MakeOffer(Offer, Torrent),
    /// Answer this offer of another peer.
    Answer(Offer, Torrent, String),
    /// The answer to our offer: go on with it.
    Accept(Offer, String),
    /// Nobody took the offer in time: free it.
    Withdraw(Offer),

    /// Open a WebSocket to a tracker.
    Connect(Socket, String),
    /// Send a text message.
    Text(Socket, String),
    /// Close the WebSocket. No event about it is expected any more.
    Disconnect(Socket),
    /// GET a URL; a body of more than `limit` bytes is a failure.
    #[cfg(feature = "native")]
    Fetch {
        /// The job to answer.
        job: Job,
        /// An `http` or `https` URL.
        url: String,
        /// The most bytes to read.
        limit: usize,
    },
    /// GET bytes of a URL and give them on as they come, by [`Event::Streamed`] and at last [`Event::StreamEnded`].
    Stream {
        /// The job to answer.
        job: Job,
        /// An `http` or `https` URL.
        url: String,
        /// The first byte of the range to ask for; `None`: the whole body is asked for.
        start: Option<u64>,
        /// How many bytes to read, never more.
        length: u64,
    },
    /// A stream is not needed any more. No event about it is expected.
    Abort(Job),
    /// Send a datagram to `host:port`. The job names the conversation: all its datagrams use one socket until [`Action::Hangup`].
    #[cfg(feature = "native")]
    Datagram(Job, String, Bytes),
    /// The conversation of datagrams is over.
    #[cfg(feature = "native")]
    Hangup(Job),

    /// Something worth telling the user or keeping.
    Report(Torrent, Report),
}

/// What happened in a torrent.
#[derive(Clone, Debug)]
pub enum Report {
    /// The metadata came from peers.
    Metadata(Arc<Metainfo>),
    /// The hash of every piece of a v2 torrent is known that came without some (BEP 52).
    #[cfg(feature = "native")]
    Layers(Arc<Metainfo>),
    /// What storage held has been checked.
    Checked,
    /// A piece was verified, with the transport and the kind of source of its last block.
    Verified(Piece, Transport),
    /// Every wanted piece is verified and stored.
    Complete,
    /// A peer is past its handshake.
    PeerOpened(Link),
    /// A peer is gone, and why if it was our decision.
    PeerClosed(Link, Option<Reason>),
    /// A piece failed its hash.
    HashFailed(Piece),
    /// A peer sent bad data and is refused from now on.
    Banned(Link),
    /// A tracker answered for the first time, with this many peers.
    Announced(String, usize),
    /// A tracker failed, with the reason it gave.
    TrackerFailed(String, String),
    /// A tracker's warning.
    TrackerWarning(String, String),
    /// A web seed failed, and why.
    WebSeedFailed(String, String),
    /// Storage has no room left and waits for some (`true`), or goes on.
    StorageFull(bool),
    /// Storage failed; the torrent is paused.
    StorageFailed(StorageError),
    /// Metadata that matches the info-hash cannot be used.
    BadMetadata(String),
}
