//! The development tool behind `cargo xtask`: builds the browser's engine, starts the demo, runs every test.
//!
//! It is a plain program over `std` so that it compiles quickly on a fresh machine; the one large dependency is the
//! wasm-bindgen library, which spares everybody an installed command of exactly the same version.

mod bench;
mod command;
mod console;
mod demo;
mod dependencies;
mod fuzz;
mod glue;
mod module;
mod names;
mod no_std;
mod npm;
mod order;
mod pack;
mod place;
mod setup;
mod size;
mod suites;
mod tally;
mod toolchain;
mod wasm;

use console::Console;
use std::process::ExitCode;

const HELP: &str = "\
cargo xtask COMMAND

  run     build the page and the relay, start both with a second native peer, print the address to open
  test    install what the tests need, run all of them, end with the count
  wasm    build the browser's engine into www/pkg and pack the page, print its size
  package build the npm package of the engine into target/npm
  bench   measure the paths through tab and relay, print the table
  fuzz    let every fuzz target run for a minute, or the seconds that are named (needs cargo-fuzz)
";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    let rest: Vec<String> = arguments.collect();
    let console = Console::new();
    let result = match command.as_str() {
        "run" => demo::run(&console, &rest),
        "test" => suites::run(&console, &rest),
        "wasm" => wasm::build(&console)
            .and_then(|built| size::show(&console, &built))
            .map(drop),
        "package" => wasm::build(&console).and_then(|_| npm::build(&console)),
        "bench" => bench::run(&console, &rest),
        "fuzz" => fuzz::run(&console, &rest),
        "" | "help" | "-h" | "--help" => {
            print!("{HELP}");
            Ok(())
        }
        other => {
            eprintln!("no command `{other}`\n\n{HELP}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            console.say(&format!("failed: {failure}"));
            ExitCode::FAILURE
        }
    }
}
