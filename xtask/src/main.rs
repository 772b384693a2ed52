//! The development tool behind `cargo xtask`.
fn main() {}
