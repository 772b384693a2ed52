//! Compilers for targets that are not this machine's: found, added, or borrowed from Debian.
//!
//! The order: the target is installed; rustup adds it; Debian's own compiler builds the standard library from its source
//! package (36 s cold); else one line that says what to install. The target is deliberately not named in a
//! `rust-toolchain.toml`: where it cannot be downloaded, every cargo command would then fail.
//!
//! What the browser downloads is built with a standard library of its own ([`Compiler::small`]), for which the own compiler needs the
//! component `rust-src`.

use crate::command;
use crate::console::Console;
use crate::place;
use crate::setup;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Debian's packages of a compiler with library source.
const DEBIAN_PACKAGES: [&str; 3] = ["rustc-web", "cargo-web", "rust-web-src"];
const DEBIAN_CARGO: &str = "/usr/bin/cargo";
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_SOURCE: &str = "/usr/lib/rustlib/src/rust/library/std/Cargo.toml";
/// Where the library's source is below the folder of a compiler.
const SOURCE: &str = "lib/rustlib/src/rust/library/std/Cargo.toml";
/// How long `rustup target add` may take: it takes 2 s where the download works, and hangs where packets vanish.
const ADD_LIMIT: Duration = Duration::from_secs(120);

/// What makes a program small that is built with its own standard library: a panic is a trap without a message (the page
/// shows that the engine stopped), and no text is kept for messages that nobody sees. In MIR only what is as small as a call is
/// inlined: at the size levels rustc itself inlines nothing there, which leaves thousands of closures that LLVM keeps.
const SMALL: [&str; 7] = [
    "-Zunstable-options",
    "-Cpanic=immediate-abort",
    "-Zlocation-detail=none",
    "-Zfmt-debug=none",
    "-Zinline-mir=yes",
    "-Zinline-mir-threshold=20",
    "-Zinline-mir-hint-threshold=40",
];

/// What can compile for a target.
pub(crate) enum Compiler {
    /// The cargo that started this tool.
    Own,
    /// Debian's, which also builds the named crates of the standard library.
    Debian,
}

impl Compiler {
    /// A compiler for `target`, or the line that says what to install.
    pub(crate) fn find(console: &Console, target: &str) -> Result<Self, String> {
        if is_installed(target) {
            return Ok(Self::Own);
        }
        if rustup_add(console, "target", target) && is_installed(target) {
            return Ok(Self::Own);
        }
        if !has_debian() {
            // Fails without root or apt; what counts is whether the files are there afterwards.
            let _ = setup::install(console, &DEBIAN_PACKAGES);
        }
        if has_debian() {
            console.say(&format!("using Debian's compiler for {target}"));
            return Ok(Self::Debian);
        }
        Err(format!(
            "no compiler for {target}: `rustup target add {target}` or `apt-get install {}`",
            DEBIAN_PACKAGES.join(" ")
        ))
    }

    /// `cargo` with `arguments`, for `target`; `library` names what Debian's compiler builds of the standard library.
    pub(crate) fn cargo(&self, target: &str, library: &str, arguments: &[&str]) -> Command {
        match self {
            Self::Own => {
                let mut command = command::cargo(arguments);
                command.args(["--target", target]);
                command
            }
            Self::Debian => debian_cargo(target, library, arguments),
        }
    }

    /// `cargo` with `arguments`, for `target`, as small as can be: with a standard library built for it. Needs [`Self::has_source`].
    pub(crate) fn small(&self, target: &str, arguments: &[&str]) -> Command {
        let library = "std,panic_abort";
        let mut command = self.cargo(target, library, arguments);
        if let Self::Own = self {
            command
                .env("RUSTC_BOOTSTRAP", "1")
                .arg(format!("-Zbuild-std={library}"));
            command.arg("--target-dir").arg(self.small_folder());
        }
        command
            .arg("-Zbuild-std-features=optimize_for_size")
            .env("CARGO_ENCODED_RUSTFLAGS", SMALL.join("\x1f"));
        command
    }

    /// Whether the source of the standard library is there; rustup adds it where it can.
    pub(crate) fn has_source(&self, console: &Console) -> bool {
        let Self::Own = self else { return true };
        has_source() || rustup_add(console, "component", "rust-src") && has_source()
    }

    /// The folder below which this compiler's output goes.
    pub(crate) fn target_folder(&self) -> PathBuf {
        match self {
            Self::Own => place::target(),
            Self::Debian => place::target().join("debian"),
        }
    }

    /// The folder below which [`Self::small`] puts its output: apart, since other flags build everything anew.
    pub(crate) fn small_folder(&self) -> PathBuf {
        match self {
            Self::Own => place::target().join("small"),
            Self::Debian => self.target_folder(),
        }
    }
}

/// Lets rustup add a target or a component; false where it is not there or cannot.
fn rustup_add(console: &Console, kind: &str, name: &str) -> bool {
    if place::which("rustup").is_none() {
        return false;
    }
    console.say(&format!("adding the {kind} {name} with rustup"));
    command::run_bounded(&mut command::program("rustup", &[kind, "add", name]), ADD_LIMIT).is_ok()
}

/// The folder of the toolchain that started this tool.
fn sysroot() -> Option<PathBuf> {
    let folder = command::run_quietly(&mut command::program("rustc", &["--print", "sysroot"])).ok()?;
    Some(folder.trim().into())
}

fn has_source() -> bool {
    sysroot().is_some_and(|folder| folder.join(SOURCE).is_file())
}

fn is_installed(target: &str) -> bool {
    let mut rustc = command::program("rustc", &["--print", "target-libdir", "--target", target]);
    command::run_quietly(&mut rustc).is_ok_and(|folder| Path::new(folder.trim()).is_dir())
}

fn has_debian() -> bool {
    [DEBIAN_CARGO, DEBIAN_RUSTC, DEBIAN_SOURCE]
        .iter()
        .all(|file| Path::new(file).is_file())
}

/// A cargo of another version: nothing that the outer cargo or rustup set may reach it, except how to reach a registry.
fn debian_cargo(target: &str, library: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(DEBIAN_CARGO);
    command.args(arguments).current_dir(place::root());
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let kept = [
            "CARGO_HOME",
            "CARGO_HTTP_",
            "CARGO_NET_",
            "CARGO_REGISTR",
            "CARGO_SOURCE_",
            "RUSTUP_HOME",
        ];
        let foreign = text.starts_with("CARGO") || text.starts_with("RUST") || text == "LD_LIBRARY_PATH";
        if foreign && !kept.iter().any(|prefix| text.starts_with(prefix)) {
            command.env_remove(name);
        }
    }
    command.env("RUSTC", DEBIAN_RUSTC).env("RUSTC_BOOTSTRAP", "1");
    if let Some(linker) = linker() {
        let name = format!("CARGO_TARGET_{}_LINKER", target.replace('-', "_").to_uppercase());
        command.env(name, linker);
    }
    let folder = place::target().join("debian");
    command
        .args(["--target", target, &format!("-Zbuild-std={library}"), "--target-dir"])
        .arg(folder);
    command
}

/// `rust-lld` of the rustup toolchain, or Debian's linker.
fn linker() -> Option<PathBuf> {
    let host = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let own = sysroot().map(|folder| folder.join("lib/rustlib").join(host).join("bin/rust-lld"));
    if let Some(own) = own.filter(|file| file.is_file()) {
        return Some(own);
    }
    ["wasm-ld", "wasm-ld-19", "wasm-ld-16", "wasm-ld-14"]
        .iter()
        .find_map(|name| place::which(name))
}
