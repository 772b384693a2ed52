//! The size of what a browser downloads before it can download anything else.

use crate::command;
use crate::console::Console;
use crate::pack;
use crate::place;
use crate::wasm::Built;
use std::path::{Path, PathBuf};

/// All of the page's scripts and wasm together, each compressed by itself as a server sends it.
///
/// Chosen so that the page is there within a second on a slow mobile connection; WebTorrent's bundle alone has 64 kB.
/// What is aimed at is 200,000; web seeds came after that was reached.
const LIMIT: u64 = 223_500;

/// Compressed bytes of all scripts and wasm of the packed page, with the largest named and how much of it is loaded later.
fn measure() -> Result<(u64, String), String> {
    let mut files = Vec::new();
    collect(&place::packed(), &mut files)?;
    let (mut sizes, mut later) = (Vec::new(), 0);
    for file in files {
        let size = compressed(&file)?;
        if pack::LATER.iter().any(|name| file.ends_with(name)) {
            later += size;
        }
        sizes.push((size, file));
    }
    sizes.sort_by(|one, other| other.cmp(one));
    let total = sizes.iter().map(|(size, _)| size).sum();
    let largest = sizes
        .iter()
        .take(5)
        .map(|(size, file)| format!("{} {size}", name(file)));
    let largest = largest.collect::<Vec<_>>().join(", ");
    Ok((total, format!("{largest}; {later} of them when they are first needed")))
}

/// Says how large the page is, or why that is not known; whether it is as small as it has to be, where that is known.
pub(crate) fn show(console: &Console, built: &Built) -> Result<Option<bool>, String> {
    if let Some(why) = built.large {
        console.say(&format!("size not measured: {why}"));
        return Ok(None);
    }
    let (total, largest) = measure()?;
    console.say(&format!("{total} bytes gzipped, {LIMIT} allowed: {largest}"));
    Ok(Some(total <= LIMIT))
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), String> {
    let entries = std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
        if path.is_dir() {
            collect(&path, files)?;
        } else if path
            .extension()
            .is_some_and(|kind| ["js", "mjs", "wasm"].iter().any(|known| kind == *known))
        {
            files.push(path);
        }
    }
    Ok(())
}

/// Bytes of a file as a server sends it.
pub(crate) fn compressed(file: &Path) -> Result<u64, String> {
    let mut gzip = command::program("gzip", &["-9", "-c"]);
    let output = gzip.arg(file).output().map_err(|error| format!("gzip: {error}"))?;
    if output.status.success() {
        Ok(output.stdout.len() as u64)
    } else {
        Err(format!("gzip: {}", output.status))
    }
}

fn name(file: &Path) -> String {
    file.file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}
