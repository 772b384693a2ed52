//! What the tests that span the crates are made with.

pub mod sim;
