//! `tombolo serve` from outside, on loopback: its faces, its policies, its end. And two shards that trade.

mod api;
mod limits;
mod process;
mod relay;
mod socket;
mod torrent;
mod tracker;
mod trade;
mod wire;
