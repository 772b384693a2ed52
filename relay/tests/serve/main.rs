//! `tombolo serve` from outside, on loopback: its faces, its policies, its end. And two shards that trade.

mod access;
mod api;
#[path = "../common/mod.rs"]
mod common;
mod faces;
mod leases;
mod limits;
mod meeting;
mod process;
mod relay;
mod socket;
mod tls;
mod torrent;
mod tracker;
mod trade;
mod wire;
