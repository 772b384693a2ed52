//! `cargo xtask bench`: builds what users run (release, optimised wasm) and measures it.

use crate::command;
use crate::console::Console;
use crate::{place, setup, wasm};

/// Runs `tests/bench/main.mjs` with the arguments given (names of measurements; all without).
pub(crate) fn run(console: &Console, arguments: &[String]) -> Result<(), String> {
    setup::everything(console);
    wasm::build(console)?;
    console.say("building the relay in release");
    command::run(&mut command::cargo(&[
        "build",
        "--quiet",
        "--release",
        "--package",
        "tombolo-relay",
    ]))?;
    let mut node = command::program("node", &["tests/bench/main.mjs"]);
    node.args(arguments)
        .env("TOMBOLO_BIN", place::target().join("release/tombolo"));
    command::run(&mut node)
}
