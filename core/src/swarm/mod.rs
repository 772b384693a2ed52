//! What a swarm decides with: which blocks to ask for, how many, and whom to serve.

pub mod choker;
pub mod depth;
pub mod open;
pub mod picker;
pub mod rate;
pub mod window;
