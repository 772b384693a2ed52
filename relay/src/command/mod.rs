//! The commands of the shell: what they are given, what they print, how they end.
//!
//! Invariants: an exit status is 0, 1 (failed while running), 2 (refused input or usage) or 130 (interrupted); stdout has what was asked
//! for and nothing else; that nobody reads stdout any more ends nothing.

mod bar;
mod check;
mod control;
mod create;
mod failure;
mod flags;
mod get;
mod input;
mod listener;
mod network;
mod node;
mod output;
mod peer;
mod progress;
mod raw;
mod seed;
mod serve;
mod show;
mod signals;
mod trade;
mod units;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use failure::Failure;

/// BitTorrent for browser tabs and native swarms alike.
#[derive(Debug, Parser)]
#[command(name = "tombolo", version)]
struct Tombolo {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a .torrent of a file or a folder
    Create(create::Create),
    /// Fetch a torrent
    Get(get::Get),
    /// Offer content that is there
    Seed(seed::Seed),
    /// Trade a torrent under the control of another program
    Peer(peer::Peer),
    /// Show what a .torrent or a magnet link says
    Show(show::Show),
    /// Check whether a folder holds a torrent's content
    Check(check::Check),
    /// Run a relay: tracker, bridge, API and page
    Serve(Box<serve::ServeArgs>),
}

/// Runs the command that the process was started with.
pub fn run() -> ExitCode {
    crate::panics::watch();
    let command = match Tombolo::try_parse() {
        Ok(tombolo) => tombolo.command,
        Err(error) if error.use_stderr() => return misused(&error),
        Err(help) => {
            output::say(help.to_string().trim_end());
            return ExitCode::SUCCESS;
        }
    };
    let (json, ended) = match &command {
        Command::Create(create) => (create.json, create.run().map(|()| ExitCode::SUCCESS)),
        Command::Get(get) => (get.json, get.run()),
        Command::Seed(seed) => (seed.json, seed.run()),
        Command::Peer(peer) => (true, peer.run()),
        Command::Show(show) => (show.json, show.run().map(|()| ExitCode::SUCCESS)),
        Command::Check(check) => (check.json, check.run()),
        Command::Serve(serve) => (serve.json, serve::run(serve)),
    };
    ended.unwrap_or_else(|failure: Failure| failure.report(json))
}

/// Says in one line what is wrong with the arguments.
fn misused(error: &clap::Error) -> ExitCode {
    let text = error.to_string();
    let paragraph = text.split("\n\n").next().unwrap_or_default();
    let words = paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
    output::complain(&format!("{words}; see 'tombolo --help'"));
    ExitCode::from(2)
}
