//! Brings what the tests need onto a machine: Debian packages (as root), npm packages, a Python environment, rqbit.
//!
//! Nothing here is fatal by itself. A test whose tool is missing skips and says so; the lines printed here say how to
//! get it.

use crate::command;
use crate::console::Console;
use crate::place;
use std::path::{Path, PathBuf};

/// Programs that the tests start, each with the Debian package that has it.
const PROGRAMS: [(&str, &str); 9] = [
    ("chromium", "chromium"),
    ("firefox-esr", "firefox-esr"),
    ("transmission-daemon", "transmission-daemon"),
    ("transmission-remote", "transmission-cli"),
    ("transmission-create", "transmission-cli"),
    ("aria2c", "aria2"),
    ("ffmpeg", "ffmpeg"),
    ("ip", "iproute2"),
    ("nft", "nftables"),
];

/// The release of rqbit that is tested with.
const RQBIT: &str = "9.1.0";

/// Everything, in the order in which a missing part would be noticed.
pub(crate) fn everything(console: &Console) {
    let missing: Vec<&str> = PROGRAMS
        .iter()
        .filter(|(program, _)| place::which(program).is_none())
        .map(|(_, package)| *package)
        .collect();
    for result in [
        install(console, &missing),
        npm(console),
        python(console),
        rqbit(console),
    ] {
        if let Err(problem) = result {
            console.say(&problem);
        }
    }
}

/// Installs Debian packages, or says in one line which are missing.
pub(crate) fn install(console: &Console, packages: &[&str]) -> Result<(), String> {
    if packages.is_empty() {
        return Ok(());
    }
    let list = packages.join(" ");
    let advice = format!("missing: `apt-get install {list}`");
    if place::which("apt-get").is_none() || !is_root() {
        return Err(advice);
    }
    console.say(&format!("apt-get install {list}"));
    let mut update = command::program("apt-get", &["-o", "DPkg::Lock::Timeout=300", "update"]);
    command::run_quietly(&mut update).map_err(|error| format!("{advice} ({error})"))?;
    let arguments = [
        "-o",
        "DPkg::Lock::Timeout=300",
        "install",
        "--yes",
        "--no-install-recommends",
    ];
    let mut install = command::program("apt-get", &arguments);
    install.args(packages).env("DEBIAN_FRONTEND", "noninteractive");
    command::run_quietly(&mut install)
        .map(|_| ())
        .map_err(|error| format!("{advice} ({error})"))
}

/// The browser tests' npm packages, exactly as locked. Their install scripts are not run: none is needed.
pub(crate) fn npm(console: &Console) -> Result<(), String> {
    let project = place::browser_tests();
    let lock = project.join("package-lock.json");
    let stamp = project.join("node_modules/.installed");
    if same(&lock, &stamp) {
        return Ok(());
    }
    if place::which("npm").is_none() {
        return Err("missing: node 20 or later with npm".to_owned());
    }
    console.say("npm ci in tests/browser");
    let mut npm = command::program("npm", &["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
    command::run_quietly(npm.current_dir(&project)).map_err(|error| format!("missing: npm packages ({error})"))?;
    std::fs::copy(&lock, &stamp)
        .map(|_| ())
        .map_err(|error| format!("{}: {error}", stamp.display()))
}

/// Programs of those packages, which are installed if need be; `None` where one cannot be had.
pub(crate) fn npm_tools<const N: usize>(console: &Console, names: [&str; N]) -> Option<[PathBuf; N]> {
    let tools = names.map(|name| place::browser_tests().join("node_modules/.bin").join(name));
    let are_there = || tools.iter().all(|tool| tool.exists());
    if !are_there() {
        let _ = npm(console);
    }
    are_there().then_some(tools)
}

/// The interop tests' Python packages, in an environment of their own.
fn python(console: &Console) -> Result<(), String> {
    let wanted = place::root().join("tests/interop/requirements.txt");
    let venv = place::venv();
    let stamp = venv.join("installed.txt");
    if same(&wanted, &stamp) {
        return Ok(());
    }
    console.say("pip install of tests/interop/requirements.txt");
    let missing = |error: String| format!("missing: python 3 with venv and pip, or its packages ({error})");
    let mut create = command::program("python3", &["-m", "venv"]);
    let mut created = command::run_quietly(create.arg(&venv));
    if created.is_err() && install(console, &["python3-venv"]).is_ok() {
        created = command::run_quietly(command::program("python3", &["-m", "venv"]).arg(&venv));
    }
    created.map_err(missing)?;
    let mut pip = command::program(venv.join("bin/pip"), &["install", "--quiet", "--requirement"]);
    command::run_quietly(pip.arg(&wanted)).map_err(missing)?;
    std::fs::copy(&wanted, &stamp)
        .map(|_| ())
        .map_err(|error| format!("{}: {error}", stamp.display()))
}

/// rqbit, which no distribution has, built once. In the dev profile and without what its tests need not (web page, PostgreSQL, Prometheus): half
/// the time of the usual build.
fn rqbit(console: &Console) -> Result<(), String> {
    let tools = place::target().join("tools");
    let stamp = tools.join("rqbit.txt");
    if place::which("rqbit").is_some() || std::fs::read_to_string(&stamp).is_ok_and(|version| version == RQBIT) {
        return Ok(());
    }
    console.say(&format!("cargo install rqbit {RQBIT}"));
    let mut install = command::cargo(&["install", "rqbit", "--version", RQBIT, "--locked", "--debug", "--quiet"]);
    install
        .args(["--no-default-features", "--features", "rust-tls", "--root"])
        .arg(&tools)
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .env("CARGO_TARGET_DIR", tools.join("build"));
    command::run_quietly(&mut install).map_err(|error| format!("missing: rqbit ({error})"))?;
    // What it was built from is larger than all else here.
    std::fs::remove_dir_all(tools.join("build")).map_err(|error| format!("{}: {error}", tools.display()))?;
    std::fs::write(&stamp, RQBIT).map_err(|error| format!("{}: {error}", stamp.display()))
}

fn is_root() -> bool {
    command::run_quietly(&mut command::program("id", &["-u"])).is_ok_and(|id| id.trim() == "0")
}

/// Whether both files are there with the same content.
fn same(one: &Path, other: &Path) -> bool {
    std::fs::read(one)
        .ok()
        .zip(std::fs::read(other).ok())
        .is_some_and(|(one, other)| one == other)
}
