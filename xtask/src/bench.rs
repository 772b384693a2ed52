//! `cargo xtask bench`: builds what users run (release, optimised wasm) and measures it.

use crate::command;
use crate::console::Console;
use crate::{place, setup, wasm};

/// Runs `tests/bench/main.mjs` with the arguments given (names of measurements; all without), or after `tracker` the trackers' bench.
pub(crate) fn run(console: &Console, arguments: &[String]) -> Result<(), String> {
    if let Some(("tracker", names)) = arguments.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        let mut cargo = command::cargo(&[
            "bench",
            "--quiet",
            "--package",
            "tombolo-relay",
            "--bench",
            "tracker",
            "--",
        ]);
        return command::run(cargo.args(names));
    }
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
