//! The npm package: the engine without the page, for pages of one's own.

use crate::console::Console;
use crate::{pack, place};
use std::path::Path;

/// What is in it: from below the packed page, from the workspace's root, and the name in the package.
const PAGE: [&str; 7] = [
    "client.js",
    "worker.js",
    "sw.js",
    "save.js",
    "zip.js",
    "cap.js",
    "pkg/tombolo_web_bg.wasm",
];
const ROOT: [(&str, &str); 4] = [
    ("www/client.d.ts", "client.d.ts"),
    ("docs/package.md", "README.md"),
    ("LICENSE-APACHE", "LICENSE-APACHE"),
    ("LICENSE-MIT", "LICENSE-MIT"),
];

/// Writes the package to `npm` below the target folder, of the page that is packed already.
pub(crate) fn build(console: &Console) -> Result<(), String> {
    let out = place::target().join("npm");
    for name in PAGE {
        pack::copy(&place::packed().join(name), &out.join(name))?;
    }
    for (from, name) in ROOT {
        pack::copy(&place::root().join(from), &out.join(name))?;
    }
    write(&out.join("package.json"), &manifest())?;
    console.say(&format!("npm package in {}", out.display()));
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}

fn manifest() -> String {
    format!(
        r#"{{
  "name": "tombolo",
  "version": "{}",
  "description": "BitTorrent for the browser: download, stream and seed in a tab, over WebRTC and through a relay",
  "license": "MIT OR Apache-2.0",
  "keywords": ["bittorrent", "webtorrent", "webrtc", "streaming", "wasm"],
  "type": "module",
  "types": "./client.d.ts",
  "exports": {{
    ".": {{ "types": "./client.d.ts", "default": "./client.js" }},
    "./sw.js": "./sw.js"
  }},
  "files": ["client.js", "client.d.ts", "worker.js", "sw.js", "save.js", "zip.js", "cap.js", "pkg/tombolo_web_bg.wasm"]
}}
"#,
        env!("CARGO_PKG_VERSION")
    )
}
