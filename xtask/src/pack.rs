//! The page as the relay serves it: the files of `www`, with their scripts joined and packed by npm's `esbuild` and `terser`.
//!
//! `www` itself stays what people read and work on, and works as it is. The packed page goes to `www/pkg/page`; the relay
//! embeds it while it is newer than everything else in `www`, and else `www` itself. The addresses of the entries do not change.

use crate::command;
use crate::console::Console;
use crate::place::{self, changed};
use crate::setup;
use std::path::Path;
use std::time::SystemTime;

/// The scripts that something asks for by address: the page, the module for pages of one's own, and three workers; what the parts of the
/// page share, and those of them that are loaded when they are first needed.
const ENTRIES: [&str; 13] = [
    "page.js",
    "client.js",
    "worker.js",
    "sw.js",
    "shell.js",
    "save.js",
    "zip.js",
    "cap.js",
    "ui/app.js",
    "ui/kit.js",
    "ui/player.js",
    "ui/settings.js",
    "ui/qr.js",
];

/// Those of [`ENTRIES`] that a page loads when something is played, saved, set or shared, or data is limited.
pub(crate) const LATER: [&str; 6] = [
    "save.js",
    "zip.js",
    "cap.js",
    "ui/player.js",
    "ui/settings.js",
    "ui/qr.js",
];

/// As scripts name them: modules that stay by themselves.
const APART: [&str; 9] = [
    "./client.js",
    "./save.js",
    "./zip.js",
    "./cap.js",
    "./ui/app.js",
    "./kit.js",
    "./player.js",
    "./settings.js",
    "./qr.js",
];

/// Files that are copied as they are; folders with everything in them.
const COPIED: [&str; 4] = ["index.html", "manifest.webmanifest", "icons", "pkg/tombolo_web_bg.wasm"];

/// Written last: when the page was packed. Hidden, so that it is not served.
const STAMP: &str = ".stamp";

/// Packs the page, unless it is up to date. False where `esbuild` cannot be had.
pub(crate) fn build(console: &Console) -> Result<bool, String> {
    let (www, out) = (place::root().join("www"), place::packed());
    let stamp = out.join(STAMP);
    let Some([esbuild, terser]) = setup::npm_tools(console, ["esbuild", "terser"]) else {
        console.say("packing skipped: npm packages esbuild and terser are not in tests/browser/node_modules");
        remove(&out)?;
        return Ok(false);
    };
    if changed(&stamp).is_some_and(|packed| newest(&www, &out) < Some(packed)) {
        return Ok(true);
    }
    remove(&out)?;
    let mut scripts = vec![String::from("--bundle"), String::from("--format=esm")];
    scripts.extend(APART.map(|name| format!("--external:{name}")));
    run(&esbuild, &scripts, &ENTRIES.map(|entry| format!("www/{entry}")))?;
    ENTRIES
        .iter()
        .try_for_each(|entry| squeeze(&terser, &out.join(entry)))?;
    let styles = list(&www.join("style"))?;
    run(
        &esbuild,
        &[],
        &styles
            .iter()
            .map(|name| format!("www/style/{name}"))
            .collect::<Vec<_>>(),
    )?;
    COPIED
        .iter()
        .try_for_each(|name| copy(&www.join(name), &out.join(name)))?;
    std::fs::write(&stamp, "").map_err(|error| format!("{}: {error}", stamp.display()))?;
    Ok(true)
}

fn run(esbuild: &Path, arguments: &[String], files: &[String]) -> Result<(), String> {
    let mut command = command::program(esbuild, &["--minify", "--legal-comments=none", "--log-level=warning"]);
    command
        .arg(format!("--outdir={}", place::packed().display()))
        .arg("--outbase=www");
    command.args(arguments).args(files);
    command::run(&mut command)
}

/// Packs a script once more: terser sees what can be inlined across functions, another 2.4 % after compression.
fn squeeze(terser: &Path, script: &Path) -> Result<(), String> {
    let options = [
        "--module",
        "--mangle",
        "--compress",
        "passes=2,ecma=2022,hoist_funs=true",
        "--ecma",
        "2022",
    ];
    let mut command = command::program(terser, &options);
    command::run(command.arg("--output").arg(script).arg(script))
}

/// When the file changed last that did, of all below `folder` but those in `except`.
fn newest(folder: &Path, except: &Path) -> Option<SystemTime> {
    let entries = std::fs::read_dir(folder).ok()?;
    let of = |path: &Path| {
        if path.is_dir() {
            newest(path, except)
        } else {
            changed(path)
        }
    };
    let paths = entries.filter_map(Result::ok).map(|entry| entry.path());
    paths.filter(|path| path != except).filter_map(|path| of(&path)).max()
}

/// Copies a file, or a folder with everything in it; the folders above are made.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{} to {}: {error}", from.display(), to.display());
    if from.is_dir() {
        return list(from)?
            .iter()
            .try_for_each(|name| copy(&from.join(name), &to.join(name)));
    }
    to.parent().map_or(Ok(()), std::fs::create_dir_all).map_err(failed)?;
    std::fs::copy(from, to).map(drop).map_err(failed)
}

fn list(folder: &Path) -> Result<Vec<String>, String> {
    let entries = std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(entries
        .filter_map(Result::ok)
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect())
}

fn remove(folder: &Path) -> Result<(), String> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if folder.exists() => Err(format!("{}: {error}", folder.display())),
        _ => Ok(()),
    }
}
