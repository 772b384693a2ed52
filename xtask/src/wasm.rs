//! Builds `tombolo-web` for the browser: cargo, then wasm-bindgen's bindings, then `wasm-opt` where npm can get it.
//!
//! The bindings are of the `web` kind: a module worker imports them. What is up to date is left alone: a build without changes
//! costs one call of cargo.

use crate::command;
use crate::console::Console;
use crate::names;
use crate::order;
use crate::pack;
use crate::place;
use crate::setup;
use crate::size;
use crate::toolchain::Compiler;
use std::path::Path;
use wasm_bindgen_cli_support::{Bindgen, EncodeInto};

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

/// For size, measured compressed: functions stay as LLVM cut them, apart from those of four instructions. Inlining what has one caller makes the
/// file 2 % smaller and its compressed form 6 % larger, since the functions left alone resemble each other. Common subexpressions are left
/// where they are for the same reason (0.8 %), as is code that could be moved or nested (0.2 %), and loads and stores carry no hint of how they
/// are aligned (0.6 %), which engines on 64-bit machines do not use.
const OPTIMISE: [&str; 12] = [
    "-Oz",
    "-ocimfs",
    "1",
    "-aimfs",
    "4",
    "--low-memory-unused",
    "--converge",
    "--skip-pass=local-cse",
    "--skip-pass=code-pushing",
    "--skip-pass=simplify-locals-nostructure",
    "--dealign",
    "--strip-debug",
];

/// Functions by the names that they were given for it ([`order`]), which then go.
const ORDER: [&str; 3] = [
    "--reorder-functions-by-name",
    "--strip-debug",
    "--strip-target-features",
];

/// A built engine.
pub(crate) struct Built {
    /// What compiled it.
    pub(crate) compiler: Compiler,
    /// Why it is larger than it could be, if it is.
    pub(crate) large: Option<&'static str>,
}

/// Builds into `www/pkg`, and packs the page.
pub(crate) fn build(console: &Console) -> Result<Built, String> {
    let compiler = Compiler::find(console, TARGET)?;
    console.say("building the browser's engine");
    let small = compiler.has_source(console);
    let arguments = ["build", "--quiet", "--package", "tombolo-web", "--profile", "wasm"];
    let (mut cargo, folder) = if small {
        (compiler.small(TARGET, &arguments), compiler.small_folder())
    } else {
        let cargo = compiler.cargo(TARGET, "std,panic_abort", &arguments);
        (cargo, compiler.target_folder())
    };
    command::run(&mut cargo)?;
    let input = folder.join(TARGET).join("wasm").join(NAME).with_extension("wasm");
    let optimiser = setup::npm_tools(console, ["wasm-opt"]).map(|[wasm_opt]| wasm_opt);
    if optimiser.is_none() {
        console.say("wasm-opt skipped: npm package binaryen is not in tests/browser/node_modules");
    }
    bind(console, &input, optimiser.as_deref())?;
    let packed = pack::build(console)?;
    let large = match (small, optimiser.is_some() && packed) {
        (false, _) => Some("the component rust-src is missing (`rustup component add rust-src`)"),
        (_, false) => Some("npm packages are missing in tests/browser"),
        (true, true) => None,
    };
    Ok(Built { compiler, large })
}

/// Makes `www/pkg` of what cargo built, unless it is up to date.
fn bind(console: &Console, input: &Path, optimiser: Option<&Path>) -> Result<(), String> {
    let stamp = place::target().join("wasm-stamp");
    let output = place::package().join(format!("{NAME}_bg.wasm"));
    // What made it: another compiler's, or a `wasm-opt` that came later, is used on the next build.
    let made_by = format!(
        "{} {OPTIMISE:?} {ORDER:?} {:?} {}",
        input.display(),
        order::WAYS,
        optimiser.is_some()
    );
    let same = std::fs::read_to_string(&stamp).is_ok_and(|before| before == made_by);
    if output.is_file() && same && place::changed(&stamp) >= place::changed(input) {
        console.say("www/pkg is up to date");
        return Ok(());
    }
    Bindgen::new()
        .input_path(input)
        .web(true)
        .map(|bindgen| {
            bindgen
                .typescript(false)
                .remove_name_section(true)
                .remove_producers_section(true)
                // Every browser with module workers has it.
                .encode_into(EncodeInto::Always)
        })
        .and_then(|bindgen| bindgen.out_name(NAME).generate(place::package()))
        .map_err(|error| format!("wasm-bindgen: {error:#}"))?;
    names::shorten(&output, &place::package().join(format!("{NAME}.js")))?;
    if let Some(wasm_opt) = optimiser {
        optimise(wasm_opt, &output)?;
    }
    std::fs::write(&stamp, made_by).map_err(|error| format!("{}: {error}", stamp.display()))?;
    let size = std::fs::metadata(&output).map_or(0, |data| data.len());
    console.say(&format!("www/pkg/{NAME}_bg.wasm: {size} bytes"));
    Ok(())
}

/// Makes the file smaller, then its functions stand so that they compress well: in the best of several orders.
fn optimise(wasm_opt: &Path, file: &Path) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", file.display());
    transform(wasm_opt, file, &OPTIMISE)?;
    let module = std::fs::read(file).map_err(failed)?;
    let mut orders = Vec::new();
    for way in &order::WAYS {
        let named = order::name(&module, way);
        let named = named.ok_or_else(|| format!("{}: functions not understood", file.display()))?;
        std::fs::write(file, named).map_err(failed)?;
        transform(wasm_opt, file, &ORDER)?;
        orders.push((size::compressed(file)?, std::fs::read(file).map_err(failed)?));
    }
    let (_, best) = orders.into_iter().min().unwrap_or_default();
    std::fs::write(file, best).map_err(failed)
}

/// The result replaces the file only when it is whole.
fn transform(wasm_opt: &Path, file: &Path, arguments: &[&str]) -> Result<(), String> {
    let changed = file.with_extension("opt");
    let mut command = command::program(wasm_opt, arguments);
    command.args(FEATURES).arg(file).arg("-o").arg(&changed);
    command::run_quietly(&mut command)?;
    std::fs::rename(&changed, file).map_err(|error| format!("{}: {error}", file.display()))
}
