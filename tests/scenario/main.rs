//! Behaviours of whole swarms under virtual time, one a file.

mod bad_data;
mod bridge;
mod choking;
mod completes;
mod dont_have;
mod endgame;
mod extended;
mod fast;
mod hostile;
mod limits;
mod links;
mod memory;
mod metadata;
mod rarest_first;
mod selection;
mod snub;
mod storage;
mod trackers;
mod v2;
