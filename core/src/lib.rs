//! BitTorrent's protocol as a pure state machine.
//!
//! No clock, no entropy, no I/O, no async, no unsafe: time and randomness come from outside, everything the shell
//! must do is an [`Action`](event::Action).
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

pub mod bencode;
pub mod bits;
pub mod config;
pub mod digest;
pub mod door;
pub mod event;
pub mod key;
pub mod layout;
pub mod magnet;
pub mod map;
pub mod merkle;
pub mod metainfo;
#[cfg(feature = "native")]
pub mod mse;
mod percent;
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
