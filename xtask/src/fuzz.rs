//! `cargo xtask fuzz`: every fuzz target for a few seconds, to see that it builds and finds nothing at once.
//!
//! `cargo fuzz` wants unstable flags, which a stable compiler takes with `RUSTC_BOOTSTRAP=1`. Its build is its own (other
//! flags, other target folder), so it is only done where the command is installed.

use crate::command;
use crate::console::Console;
use crate::place;
use crate::tally::Tally;

const FOLDER: &str = "tests/fuzz";
/// For each target in `cargo xtask test`.
pub(crate) const SMOKE_SECONDS: u32 = 5;

/// Runs every target for as many seconds as the first argument says (60 by default).
pub(crate) fn run(console: &Console, arguments: &[String]) -> Result<(), String> {
    let seconds = match arguments.first() {
        Some(text) => text.parse().map_err(|_| format!("`{text}` is no number of seconds"))?,
        None => 60,
    };
    let tally = smoke(console, seconds)?;
    if tally.failed > 0 {
        Err(format!("fuzz targets: {tally}"))
    } else {
        Ok(())
    }
}

/// Runs every target for `seconds` and counts each as a test.
pub(crate) fn smoke(console: &Console, seconds: u32) -> Result<Tally, String> {
    let skipped = |why: &str| {
        console.say(&format!("skipped: {why}"));
        Ok(Tally::SKIPPED)
    };
    if !place::root().join(FOLDER).join("Cargo.toml").is_file() {
        return skipped("there are no fuzz targets");
    }
    if place::which("cargo-fuzz").is_none() {
        return skipped("cargo-fuzz is not installed (`cargo install cargo-fuzz`)");
    }
    let list = command::run_quietly(&mut fuzz("list", &[]))?;
    let mut tally = Tally::default();
    for target in list.split_whitespace() {
        console.say(&format!("fuzz target {target} for {seconds} s"));
        let mut run = fuzz(
            "run",
            &[
                target,
                "--",
                &format!("-max_total_time={seconds}"),
                "-rss_limit_mb=1024",
            ],
        );
        match command::run_quietly(&mut run) {
            Ok(_) => tally += Tally::PASSED,
            Err(error) => {
                console.say(&error);
                tally += Tally::FAILED;
            }
        }
    }
    Ok(tally)
}

fn fuzz(verb: &str, arguments: &[&str]) -> std::process::Command {
    let mut command = command::cargo(&["fuzz", verb, "--fuzz-dir", FOLDER]);
    command.args(arguments).env("RUSTC_BOOTSTRAP", "1");
    command.env("CARGO_TARGET_DIR", place::target().join("fuzz"));
    command
}
