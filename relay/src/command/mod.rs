//! The commands of the shell: what they are given, what they print, how they end.
//!
//! Invariants: an exit status is 0, 1 (failed while running), 2 (refused input or usage) or 130 (interrupted); stdout has what was asked
//! for and nothing else; that nobody reads stdout any more ends nothing.

mod ask;
mod bar;
mod check;
mod completions;
mod content;
mod control;
mod create;
mod failure;
mod flags;
mod get;
mod help;
mod input;
mod limits;
mod listener;
mod logs;
mod magnet;
mod network;
mod node;
mod output;
mod passkey;
mod peer;
mod progress;
mod raw;
mod seed;
mod serve;
mod settings;
mod show;
mod signals;
mod trade;
mod units;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use failure::Failure;
use settings::{Asked, Refusal};

/// BitTorrent for browser tabs and native swarms alike.
#[derive(Debug, Parser)]
#[command(name = "tombolo", version)]
struct Tombolo {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Fetch a torrent
    Get(Box<get::Get>),
    /// Offer content that is there
    Seed(Box<seed::Seed>),
    /// Make a .torrent of a file or a folder
    Create(create::Create),
    /// Show what a .torrent or a magnet link says
    Show(show::Show),
    /// Check whether a folder holds a torrent's content
    Check(check::Check),
    /// Make the magnet link of a .torrent, or take a link apart
    Magnet(magnet::MagnetLink),
    /// Announce to trackers once, and print what they answer
    Announce(ask::Announce),
    /// Ask trackers once how many peers their swarms have
    Scrape(ask::Scrape),
    /// Run a relay: tracker, bridge, API and page
    Serve(Box<serve::ServeArgs>),
    /// Run a tracker and nothing else
    Tracker(Box<serve::TrackerArgs>),
    /// Trade a torrent under the control of another program
    Peer(Box<peer::Peer>),
    /// Print the completions of a shell
    Completions(completions::Completions),
    /// Make a passkey for a private tracker
    Passkey(passkey::Passkey),
}

/// Runs the command that the process was started with.
pub fn run() -> ExitCode {
    crate::panics::watch();
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let command = match settings::read(&arguments) {
        Ok(Asked::Run(tombolo)) => tombolo.command,
        Ok(Asked::Print(text)) => {
            output::say(text.trim_end());
            return ExitCode::SUCCESS;
        }
        Err(Refusal::Misused(error)) => return misused(&error),
        Err(Refusal::File(failure, json)) => return failure.report(json),
    };
    let done = |()| ExitCode::SUCCESS;
    let (json, ended) = match &command {
        Command::Create(create) => (create.json, create.run().map(done)),
        Command::Get(get) => (get.json, get.run()),
        Command::Seed(seed) => (seed.json, seed.run()),
        Command::Peer(peer) => (true, peer.run()),
        Command::Show(show) => (show.json, show.run().map(done)),
        Command::Check(check) => (check.json, check.run()),
        Command::Magnet(magnet) => (magnet.json, magnet.run().map(done)),
        Command::Announce(announce) => (announce.json(), announce.run()),
        Command::Scrape(scrape) => (scrape.json(), scrape.run()),
        Command::Serve(serve) => (serve.json(), serve.run()),
        Command::Tracker(tracker) => (tracker.json, tracker.run()),
        Command::Completions(completions) => (false, Ok(completions.run())),
        Command::Passkey(passkey) => (passkey.json, passkey.run().map(done)),
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
