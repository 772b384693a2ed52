//! Why a link was closed by us.

use alloc::string::String;
use core::fmt;

use crate::wire::frame::FrameError;

/// Why a link was closed by us.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// Its byte stream is not the peer wire protocol (BEP 3).
    Frame(FrameError),
    /// A message broke the protocol; the text names the message and what was wrong.
    Protocol(&'static str),
    /// An extension's message could not be read.
    Extension(String),
    /// It sent data that failed its hash, now or before.
    Banned,
    /// Its address is on the block-list, or on no allow-list.
    Filtered,
    /// It is us.
    Ourselves,
    /// The same peer has another link, which stays.
    Duplicate,
    /// Neither side has anything the other could want.
    BothSeeds,
    /// There are links enough.
    Full,
    /// It said nothing for too long.
    Silent,
    /// It does not read what it asked for.
    Clogged,
    /// The torrent was removed or paused.
    Stopped,
    /// The torrent is not in the session.
    UnknownTorrent,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frame(error) => write!(f, "{error}"),
            Self::Protocol(what) => f.write_str(what),
            Self::Extension(what) => write!(f, "malformed extended message: {what}"),
            Self::Banned => f.write_str("it sent data that failed its hash"),
            Self::Filtered => f.write_str("its address is not allowed"),
            Self::Ourselves => f.write_str("it is this peer itself"),
            Self::Duplicate => f.write_str("the same peer has another link"),
            Self::BothSeeds => f.write_str("both ends have everything"),
            Self::Full => f.write_str("there are links enough"),
            Self::Silent => f.write_str("nothing came for too long"),
            Self::Clogged => f.write_str("it does not read what it is sent"),
            Self::Stopped => f.write_str("the torrent was stopped"),
            Self::UnknownTorrent => f.write_str("the torrent is not served here"),
        }
    }
}
