//! Behaviours of whole swarms under virtual time, one a file.

mod bad_data;
mod bridge;
mod choking;
mod completes;
mod dht;
mod dont_have;
mod endgame;
mod extended;
mod fast;
mod hostile;
mod introductions;
mod limits;
mod links;
mod lookup;
mod memory;
mod metadata;
mod pex;
mod rarest_first;
mod selection;
mod snub;
mod storage;
mod super_seed;
mod trackers;
mod upload_only;
mod v2;
mod web_seeds;
