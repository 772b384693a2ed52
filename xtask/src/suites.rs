//! `cargo xtask test`: every check and every suite, with one count at the end.
//!
//! Everything native is built in the `dev` profile, whose dependencies (and our own hot crates) are optimised: one build
//! serves unit tests, scenario tests and the relay that the browser tests start. A failure does not stop what comes
//! after it; it is counted.

use crate::command;
use crate::console::Console;
use crate::tally::Tally;
use crate::toolchain::Compiler;
use crate::{dependencies, no_std, npm, place, setup, size, wasm};
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

/// A run in progress: its console and what was counted until now.
struct Run<'a> {
    console: &'a Console,
    total: Tally,
    failures: Vec<String>,
}

/// Runs everything, or only the suites named (`checks`, `rust`, `browser`).
pub(crate) fn run(console: &Console, only: &[String]) -> Result<(), String> {
    let known = ["checks", "rust", "browser"];
    if let Some(unknown) = only.iter().find(|name| !known.contains(&name.as_str())) {
        return Err(format!("no suite `{unknown}`: {}", known.join(", ")));
    }
    let chosen = |name: &str| only.is_empty() || only.iter().any(|one| one == name);
    let mut run = Run {
        console,
        total: Tally::default(),
        failures: Vec::new(),
    };
    setup::everything(console);
    // First, since the relay carries the page in its binary.
    let compiler = run.wasm();
    if chosen("checks") {
        run.checks(compiler.as_ref());
    }
    if chosen("rust") {
        run.rust();
    }
    if chosen("browser") {
        run.browser();
    }
    for failure in &run.failures {
        console.say(&format!("FAILED {failure}"));
    }
    println!("{}", run.total);
    if run.total.failed > 0 {
        Err("some tests failed".to_owned())
    } else {
        Ok(())
    }
}

impl Run<'_> {
    /// Runs one step, prints how it went and how long it took, and adds its count.
    fn step(&mut self, name: &str, work: impl FnOnce(&Console) -> Result<Tally, String>) {
        self.console.say(&format!("{name} …"));
        let start = Instant::now();
        let (tally, note) = match work(self.console) {
            Ok(tally) => (tally, String::new()),
            Err(error) => (Tally::FAILED, format!("\n{error}")),
        };
        let verdict = match tally {
            Tally { failed: 1.., .. } => "FAILED",
            Tally {
                passed: 0,
                skipped: 1..,
                ..
            } => "skipped",
            _ => "ok",
        };
        self.console.say(&format!(
            "{name}: {verdict} ({:.0} s) {tally}{note}",
            start.elapsed().as_secs_f64()
        ));
        if tally.failed > 0 {
            self.failures.push(format!("{name}: {tally}"));
        }
        self.total += tally;
    }

    fn wasm(&mut self) -> Option<Compiler> {
        let mut built = None;
        self.step("wasm", |console| {
            built = Some(wasm::build(console)?);
            Ok(Tally::PASSED)
        });
        let built = built?;
        self.step("npm package", |console| {
            if !place::packed().is_dir() {
                return Ok(skipped(console, "the page could not be packed"));
            }
            npm::build(console).map(|()| Tally::PASSED)
        });
        self.step("size of scripts and wasm", |console| {
            Ok(match size::show(console, &built)? {
                None => Tally::SKIPPED,
                Some(true) => Tally::PASSED,
                Some(false) => Tally::FAILED,
            })
        });
        Some(built.compiler)
    }

    fn checks(&mut self, compiler: Option<&Compiler>) {
        self.step("rustfmt", |_| passed(&mut command::cargo(&["fmt", "--all", "--check"])));
        self.step("core without std", |console| {
            Ok(match no_std::check(console)? {
                Ok(()) => Tally::PASSED,
                Err(why) => skipped(console, &why),
            })
        });
        self.step("clippy", |_| {
            passed(&mut command::cargo(&[
                "clippy",
                "--quiet",
                "--workspace",
                "--all-targets",
                "--",
                "-D",
                "warnings",
            ]))
        });
        self.step("clippy of the browser's engine", |console| {
            let Some(Compiler::Own) = compiler else {
                return Ok(skipped(console, "needs the target installed for this toolchain"));
            };
            let arguments = [
                "clippy",
                "--quiet",
                "--package",
                "tombolo-web",
                "--profile",
                "wasm",
                "--target",
                wasm::TARGET,
            ];
            passed(command::cargo(&arguments).args(["--", "-D", "warnings"]))
        });
        self.step("licences and sources of dependencies", |_| dependencies::check());
    }

    fn rust(&mut self) {
        if place::which("cargo-nextest").is_some() {
            self.step("cargo nextest", |_| {
                counted(&mut command::cargo(&[
                    "nextest",
                    "run",
                    "--workspace",
                    "--no-fail-fast",
                ]))
            });
            self.step("doc tests", |_| {
                counted(&mut command::cargo(&["test", "--workspace", "--doc", "--no-fail-fast"]))
            });
        } else {
            self.step("cargo test", |_| {
                counted(&mut command::cargo(&["test", "--workspace", "--no-fail-fast"]))
            });
        }
    }

    fn browser(&mut self) {
        // Exactly what the Rust suite builds: with the features of another selection, hundreds of crates are built twice.
        self.step("relay for the browser tests", |_| {
            passed(&mut command::cargo(&["test", "--quiet", "--workspace", "--no-run"]))
        });
        self.step("browser and interop tests", |console| {
            if place::which("node").is_none() {
                return Ok(skipped(console, "node is not installed"));
            }
            let mut node = command::program("node", &["--test", "--test-concurrency=1", "--test-reporter=tap"]);
            // Of a whole file; its tests have limits of their own.
            node.args(["--test-timeout=900000"]).args(test_files()?);
            counted(&mut node)
        });
    }
}

/// Every `*.test.mjs`, in a fixed order.
fn test_files() -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    for folder in ["tests/browser", "tests/interop"] {
        let folder = place::root().join(folder);
        let entries = std::fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let named = entries.filter_map(Result::ok).map(|entry| entry.path());
        files.extend(named.filter(|path| path.to_string_lossy().ends_with(".test.mjs")));
    }
    files.sort();
    Ok(files)
}

fn passed(command: &mut Command) -> Result<Tally, String> {
    command::run(command).map(|()| Tally::PASSED)
}

/// Runs a suite and counts its tests; one that fails without counting a failure (it did not compile) is a failure.
fn counted(command: &mut Command) -> Result<Tally, String> {
    let mut tally = Tally::default();
    let succeeded = command::run_seen(command, |line| tally.see(line))?;
    if !succeeded && tally.failed == 0 {
        tally += Tally::FAILED;
    }
    Ok(tally)
}

fn skipped(console: &Console, why: &str) -> Tally {
    console.say(&format!("skipped: {why}"));
    Tally::SKIPPED
}
