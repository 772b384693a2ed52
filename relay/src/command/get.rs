//! `tombolo get`: fetches a torrent, and ends when all of it is there.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::failure::Failure;
use super::input;
use super::limits::Limits;
use super::logs::Logs;
use super::network::Network;
use super::settings::Config;
use super::trade::{self, Orders};
use crate::storage::Folder;

/// The arguments of `get`.
#[derive(Args, Debug)]
pub(super) struct Get {
    /// A .torrent, a magnet link or an info-hash
    #[arg(value_name = "TORRENT|MAGNET")]
    source: OsString,
    /// The folder to put the content in
    #[arg(long, default_value = ".", value_name = "DIR")]
    out: PathBuf,
    /// Move the content to this folder when all of it is there
    #[arg(long, value_name = "DIR")]
    move_to: Option<PathBuf>,
    /// Take the room of every file on the disk before anything is fetched
    #[arg(long)]
    preallocate: bool,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    network: Network,
    #[command(flatten)]
    limits: Limits,
    #[command(flatten)]
    _config: Config,
    #[command(flatten)]
    logs: Logs,
}

impl Get {
    /// Runs the command.
    pub(super) fn run(&self) -> Result<ExitCode, Failure> {
        self.logs.begin("warn");
        let source = input::read_source(&self.source)?;
        let folder = Folder {
            preallocate: self.preallocate,
            move_to: self.move_to.clone(),
            ..Folder::writable(self.out.clone())
        };
        let settings = self.network.settings(source, folder, &self.limits)?;
        let orders = Orders {
            json: self.json,
            seed: false,
            once: true,
            ready: None,
            early: Vec::new(),
            control: None,
        };
        trade::run(settings, orders)
    }
}
