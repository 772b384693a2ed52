//! The peer wire protocol (BEP 3 and its extensions): bytes to messages and back, for every transport alike.
//!
//! Nothing here knows a torrent: what a message names is checked by the swarm's [`Layout`](crate::layout::Layout).

pub mod dont_have;
pub mod extended;
pub mod fast;
pub mod frame;
pub mod handshake;
pub mod hashes;
#[cfg(feature = "native")]
pub mod holepunch;
pub mod introduction;
pub mod message;
pub mod metadata;
#[cfg(feature = "native")]
pub mod pex;
