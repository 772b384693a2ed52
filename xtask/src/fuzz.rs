//! `cargo xtask fuzz`: every fuzz target for a while, guided by what of the decoders an input reaches.
//!
//! The same checks run over seeded damage in every `cargo test` (`tests/fuzz`); this is the deep search, for whoever changes a
//! decoder. `cargo fuzz` wants unstable flags, which a stable compiler takes with `RUSTC_BOOTSTRAP=1`, and a build of its own.

use crate::command;
use crate::console::Console;
use crate::place;
use crate::tally::Tally;

const FOLDER: &str = "tests/fuzz";

/// Runs every target for as many seconds as the first argument says (60 by default).
pub(crate) fn run(console: &Console, arguments: &[String]) -> Result<(), String> {
    let seconds: u32 = match arguments.first() {
        Some(text) => text.parse().map_err(|_| format!("`{text}` is no number of seconds"))?,
        None => 60,
    };
    if place::which("cargo-fuzz").is_none() {
        return Err("cargo-fuzz is not installed: `cargo install --locked cargo-fuzz`".to_owned());
    }
    let list = command::run_quietly(&mut fuzz("list", &[]))?;
    let mut tally = Tally::default();
    for target in list.split_whitespace() {
        console.say(&format!("fuzz target {target} for {seconds} s"));
        let time = format!("-max_total_time={seconds}");
        match command::run_quietly(&mut fuzz("run", &[target, "--", &time, "-rss_limit_mb=1024"])) {
            Ok(_) => tally += Tally::PASSED,
            Err(error) => {
                console.say(&error);
                tally += Tally::FAILED;
            }
        }
    }
    if tally.failed > 0 {
        Err(format!("fuzz targets: {tally}"))
    } else {
        Ok(())
    }
}

fn fuzz(verb: &str, arguments: &[&str]) -> std::process::Command {
    let mut command = command::cargo(&["fuzz", verb, "--fuzz-dir", FOLDER]);
    command.args(arguments).env("RUSTC_BOOTSTRAP", "1");
    command.env("CARGO_TARGET_DIR", place::target().join("fuzz"));
    command
}
