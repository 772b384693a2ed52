//! Where things are: everything is found from this crate's own folder, whatever the current directory.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The workspace's root.
pub(crate) fn root() -> PathBuf {
    let own = std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    own.parent().map_or_else(|| own.clone(), Path::to_path_buf)
}

/// Cargo's target folder; all that is generated goes below it.
pub(crate) fn target() -> PathBuf {
    let named = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    root().join(named.unwrap_or_else(|| "target".into()))
}

/// What wasm-bindgen writes and the page imports.
pub(crate) fn package() -> PathBuf {
    root().join("www/pkg")
}

/// The page as the relay embeds it.
pub(crate) fn packed() -> PathBuf {
    package().join("page")
}

/// The npm project of the browser tests, which also carries `wasm-opt`, `esbuild` and `terser`.
pub(crate) fn browser_tests() -> PathBuf {
    root().join("tests/browser")
}

/// The Python environment of the interop tests.
pub(crate) fn venv() -> PathBuf {
    target().join("venv")
}

/// When a file changed last; `None` if it is not there.
pub(crate) fn changed(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|data| data.modified()).ok()
}

/// The program `name` in `PATH`.
pub(crate) fn which(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}
