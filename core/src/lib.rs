//! BitTorrent's protocol as a pure state machine.
//!
//! No clock, no entropy, no I/O, no async, no unsafe: time and randomness come from outside, everything the shell
//! must do is an [`Action`](event::Action).
//!
//! Feature `native` (on by default) is what a tab cannot do: dialling, bridging, and trackers over HTTP and UDP. Their codecs are
//! there all the same, unused.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(not(feature = "native"), allow(dead_code))]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

#[cfg(feature = "native")]
pub mod address;
#[cfg(not(feature = "native"))]
#[path = "no_address.rs"]
pub mod address;
pub mod bencode;
pub mod bits;
pub mod config;
#[cfg(feature = "native")]
pub mod crc32c;
#[cfg(feature = "native")]
pub mod dht;
pub mod digest;
pub mod door;
pub mod event;
#[cfg(feature = "native")]
pub mod filter;
pub mod gather;
pub mod host;
pub mod key;
pub mod layout;
#[cfg(feature = "native")]
pub mod lsd;
pub mod magnet;
pub mod map;
pub mod merkle;
pub mod metainfo;
#[cfg(feature = "native")]
pub mod mse;
mod percent;
#[cfg(feature = "native")]
pub mod priority;
pub mod rng;
pub mod session;
pub mod slices;
pub mod status;
pub mod swarm;
pub mod time;
pub mod tracker;
#[cfg(feature = "native")]
pub mod utp;
pub mod wire;
