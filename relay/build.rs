//! Embeds the page: every file below `www`, as it is and compressed, with the hash that is its ETag.
//!
//! `cargo xtask` builds the wasm in `www/pkg` and packs the page into `www/pkg/page`, which is embedded instead while it is newer
//! than all it was made of. Without them the relay builds all the same and serves a page that cannot start. At run time `--page`
//! serves a folder instead.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use std::{env, fs, io};

use sha1::{Digest, Sha1};

/// Files that compression makes no smaller than this share of their size are served as they are.
const WORTH: f64 = 0.95;

fn main() -> io::Result<()> {
    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or(io::ErrorKind::NotFound)?);
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?);
    let page = manifest.join("../www");
    println!("cargo::rerun-if-changed=build.rs");
    // A folder that is missing would count as changed each time.
    println!(
        "cargo::rerun-if-changed={}",
        if page.is_dir() { "../www" } else { "../Cargo.toml" }
    );
    let mut files = Vec::new();
    if page.is_dir() {
        collect(&page, &mut files)?;
    }
    let packed = page.join("pkg/page");
    let (inside, sources): (Vec<PathBuf>, Vec<PathBuf>) = files.into_iter().partition(|file| file.starts_with(&packed));
    let is_fresh = changed(&packed.join(".stamp")) > sources.iter().filter_map(|file| changed(file)).max();
    let (page, mut files) = if is_fresh { (packed, inside) } else { (page, sources) };
    files.sort();
    let mut table = String::from("static ASSETS: &[Asset] = &[\n");
    for (index, file) in files.iter().enumerate() {
        let name = file.strip_prefix(&page).map_err(io::Error::other)?;
        let Some(name) = name.to_str() else { continue };
        table.push_str(&asset(file, name, &out.join(format!("asset-{index}")))?);
    }
    table.push_str("];\n");
    fs::write(out.join("assets.rs"), table)
}

/// Every file below a folder but hidden ones.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), files)?;
        } else {
            files.push(entry.path());
        }
    }
    Ok(())
}

fn changed(file: &Path) -> Option<SystemTime> {
    fs::metadata(file).and_then(|data| data.modified()).ok()
}

/// The table's line for one file, whose compressed forms are written beside `out`.
fn asset(file: &Path, name: &str, out: &Path) -> io::Result<String> {
    let bytes = fs::read(file)?;
    let tag = Sha1::digest(&bytes)
        .iter()
        .take(10)
        .fold(String::new(), |mut tag, byte| {
            let _ = write!(tag, "{byte:02x}");
            tag
        });
    let plain = out.with_extension("bin");
    fs::write(&plain, &bytes)?;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(&bytes)?;
    let gzip = kept(&bytes, &gzip.finish()?, &out.with_extension("gz"))?;
    let mut brotli = Vec::new();
    brotli::CompressorWriter::new(&mut brotli, 1 << 16, 11, 22).write_all(&bytes)?;
    let brotli = kept(&bytes, &brotli, &out.with_extension("br"))?;
    Ok(format!(
        "Asset {{ path: {name:?}, tag: \"\\\"{tag}\\\"\", plain: include_bytes!({plain:?}), gzip: {gzip}, brotli: {brotli} }},\n"
    ))
}

/// Writes a compressed form if it is worth it; the expression that embeds it.
fn kept(plain: &[u8], compressed: &[u8], path: &Path) -> io::Result<String> {
    if compressed.len() as f64 > plain.len() as f64 * WORTH {
        return Ok(String::from("None"));
    }
    fs::write(path, compressed)?;
    Ok(format!("Some(include_bytes!({path:?}))"))
}
