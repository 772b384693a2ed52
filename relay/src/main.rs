//! The native relay and peer.
fn main() {}
