//! The native half of Tombolo: everything that needs sockets, files and a clock.

pub mod command;
pub mod finding;
mod hash;
pub mod journal;
mod lease;
pub mod limits;
pub mod lists;
pub mod outside;
pub mod panics;
pub mod proxy;
mod replace;
pub mod rtc;
pub mod serve;
pub mod shard;
pub mod shards;
pub mod storage;
mod stream;
mod system;
pub mod udp;
