//! Proves that the core needs no standard library: it is compiled for a processor that has none.

use crate::command;
use crate::console::Console;
use crate::toolchain::Compiler;

/// A bare-metal target: no operating system, so nothing of `std` exists for it.
const TARGET: &str = "thumbv7em-none-eabi";

/// Builds the core without feature `std`. `Ok(Err(why))` when no compiler for the target can be had.
pub(crate) fn check(console: &Console) -> Result<Result<(), String>, String> {
    let compiler = match Compiler::find(console, TARGET) {
        Ok(compiler) => compiler,
        Err(why) => return Ok(Err(why)),
    };
    let arguments = [
        "build",
        "--quiet",
        "--package",
        "tombolo-core",
        "--lib",
        "--no-default-features",
        "--features",
        "native",
    ];
    command::run(&mut compiler.cargo(TARGET, "core,alloc", &arguments)).map(Ok)
}
