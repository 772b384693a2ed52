//! `tombolo check`: whether a folder holds a torrent's content, whole and unchanged.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::bar::Bar;
use super::failure::Failure;
use super::flags::Threads;
use super::{input, output};
use crate::storage::verify;

/// The arguments of `check`.
#[derive(Args, Debug)]
pub(super) struct Check {
    /// A .torrent
    #[arg(value_name = "FILE")]
    torrent: PathBuf,
    /// The folder that holds its content
    #[arg(long)]
    dir: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    threads: Threads,
}

#[derive(Serialize)]
struct Document<'a> {
    pieces: usize,
    good: usize,
    bad: &'a [u32],
    missing: usize,
}

impl Check {
    /// Runs the command: 0 if all is there and good, else 1.
    ///
    /// # Errors
    /// The .torrent is refused, or the folder cannot be read.
    pub(super) fn run(&self) -> Result<ExitCode, Failure> {
        let metainfo = input::read_torrent(&self.torrent)?;
        let pieces = metainfo.layout.pieces();
        let bar = Bar::pieces("checking", pieces, self.json);
        let threads = self.threads.count();
        let verdict = verify(&self.dir, &metainfo, threads, || bar.advance(1))
            .map_err(|error| Failure::io(self.dir.display(), &error))?;
        bar.finish();
        if self.json {
            output::line(&Document {
                pieces,
                good: verdict.good,
                bad: &verdict.bad,
                missing: verdict.missing,
            });
        } else {
            let bad = verdict.bad.len();
            output::say(&format!(
                "{} of {pieces} pieces are good, {bad} bad, {} missing",
                verdict.good, verdict.missing
            ));
            for path in &verdict.misfits {
                output::say(&format!("missing, or not of the length it should have: {path}"));
            }
        }
        Ok(ExitCode::from(u8::from(!verdict.is_whole())))
    }
}
