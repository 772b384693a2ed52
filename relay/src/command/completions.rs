//! `tombolo completions`: what a shell completes when `tombolo` is typed.

use std::process::ExitCode;

use clap::Args;
use clap_complete::Shell;

use super::{output, settings};

/// The arguments of `completions`.
#[derive(Args, Debug)]
pub(super) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    /// Prints the script.
    pub(super) fn run(&self) -> ExitCode {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut settings::commands(), "tombolo", &mut script);
        output::stream(|out| out.write_all(script.trim_ascii_end()));
        ExitCode::SUCCESS
    }
}
