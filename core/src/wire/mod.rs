//! The peer wire protocol (BEP 3 and its extensions): bytes to messages and back, for every transport alike.
//!
//! Nothing here knows a torrent: what a message names is checked by the swarm's [`Layout`](crate::layout::Layout).

pub mod frame;
pub mod handshake;
pub mod message;
