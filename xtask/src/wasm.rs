//! Builds `tombolo-web` for the browser: cargo, then wasm-bindgen's bindings, then `wasm-opt` where npm can get it.
//!
//! The bindings are of the `web` kind, since the page has no bundler and a module worker imports them. What is up to date
//! is left alone: a build without changes costs one call of cargo.

use crate::command;
use crate::console::Console;
use crate::place;
use crate::setup;
use crate::toolchain::Compiler;
use std::path::Path;
use wasm_bindgen_cli_support::Bindgen;

/// The target of the browser's engine.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";
const NAME: &str = "tombolo_web";

/// What compilers of the last years enable by themselves and all browsers with module workers know.
const FEATURES: [&str; 6] = [
    "--enable-bulk-memory",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-multivalue",
    "--enable-sign-ext",
];

/// Builds into `www/pkg` and returns the compiler that did it.
pub(crate) fn build(console: &Console) -> Result<Compiler, String> {
    let compiler = Compiler::find(console, TARGET)?;
    console.say("building the browser's engine");
    let arguments = ["build", "--quiet", "--package", "tombolo-web", "--profile", "wasm"];
    command::run(&mut compiler.cargo(TARGET, "std,panic_abort", &arguments))?;
    let input = compiler
        .target_folder()
        .join(TARGET)
        .join("wasm")
        .join(NAME)
        .with_extension("wasm");
    let optimiser = optimiser(console);
    // Keyed by what made it, so that a `wasm-opt` that comes later is used on the next build.
    let stamp = place::target().join(format!(
        "wasm-stamp-{}",
        if optimiser.is_some() { "optimised" } else { "plain" }
    ));
    let output = place::package().join(format!("{NAME}_bg.wasm"));
    if output.is_file() && is_newer(&stamp, &input) {
        console.say("www/pkg is up to date");
        return Ok(compiler);
    }
    Bindgen::new()
        .input_path(&input)
        .web(true)
        .map(|bindgen| {
            bindgen
                .typescript(false)
                .remove_name_section(true)
                .remove_producers_section(true)
        })
        .and_then(|bindgen| bindgen.out_name(NAME).generate(place::package()))
        .map_err(|error| format!("wasm-bindgen: {error:#}"))?;
    if let Some(wasm_opt) = optimiser {
        optimise(&wasm_opt, &output)?;
    }
    std::fs::write(&stamp, "").map_err(|error| format!("{}: {error}", stamp.display()))?;
    let size = std::fs::metadata(&output).map_or(0, |data| data.len());
    console.say(&format!("www/pkg/{NAME}_bg.wasm: {size} bytes"));
    Ok(compiler)
}

fn optimiser(console: &Console) -> Option<std::path::PathBuf> {
    let wasm_opt = place::browser_tests().join("node_modules/.bin/wasm-opt");
    if !wasm_opt.exists() {
        let _ = setup::npm(console);
    }
    if wasm_opt.exists() {
        return Some(wasm_opt);
    }
    console.say("wasm-opt skipped: npm package binaryen is not in tests/browser/node_modules");
    None
}

/// The result replaces the file only when it is whole.
fn optimise(wasm_opt: &Path, file: &Path) -> Result<(), String> {
    let smaller = file.with_extension("opt");
    let mut command = command::program(wasm_opt, &["-O3", "--strip-debug"]);
    command.args(FEATURES).arg(file).arg("-o").arg(&smaller);
    command::run_quietly(&mut command)?;
    std::fs::rename(&smaller, file).map_err(|error| format!("{}: {error}", file.display()))
}

fn is_newer(file: &Path, than: &Path) -> bool {
    let changed = |path: &Path| std::fs::metadata(path).and_then(|data| data.modified()).ok();
    changed(file)
        .zip(changed(than))
        .is_some_and(|(file, than)| file >= than)
}
