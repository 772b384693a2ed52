//! `tombolo peer`: a peer under outside control, for measurements and conformance tests.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use tombolo_core::event::Source;

use super::failure::Failure;
use super::flags::{Threads, Trackers, Traffic};
use super::logs::Logs;
use super::node::Settings;
use super::trade::{self, Orders, Ready};
use super::{control, input};
use crate::finding;
use crate::storage::Folder;

/// The arguments of `peer`.
#[derive(Args, Debug)]
pub(super) struct Peer {
    /// Whether the content is there already
    #[arg(long)]
    role: Role,
    /// A .torrent, a magnet link or an info-hash
    #[arg(long, value_name = "FILE|MAGNET")]
    torrent: OsString,
    /// The folder of the content
    #[arg(long)]
    dir: PathBuf,
    /// Where to listen; port 0 is any free one
    #[arg(long, value_name = "ADDR:PORT")]
    listen: SocketAddr,
    /// Read JSON lines from stdin, print them to stdout
    #[arg(long, required = true)]
    json_control: bool,
    /// The only transport used, both ways
    #[arg(long, default_value = "tcp")]
    transport: Transport,
    #[command(flatten)]
    trackers: Trackers,
    #[command(flatten)]
    traffic: Traffic,
    #[command(flatten)]
    threads: Threads,
    /// No limits on the number of peers
    #[arg(long)]
    no_limits: bool,
    #[command(flatten)]
    logs: Logs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Role {
    Seeder,
    Leecher,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Transport {
    Tcp,
    Utp,
    Rtc,
}

impl Peer {
    /// Runs the command.
    pub(super) fn run(&self) -> Result<ExitCode, Failure> {
        self.logs.begin("warn");
        let source = without_web_seeds(input::read_source(&self.torrent)?);
        let seed = self.role == Role::Seeder;
        if seed && matches!(source, Source::Magnet(_)) {
            return Err(Failure::refused("no-metadata", "a seeder needs the .torrent itself"));
        }
        let control = control::lines().map_err(|error| Failure::io("stdin", &error))?;
        let orders = Orders {
            json: true,
            seed,
            once: false,
            ready: Some(Ready::new()),
            early: Vec::new(),
            control: Some(control),
        };
        trade::run(self.settings(source), orders)
    }

    fn settings(&self, source: Source) -> Settings {
        let listens = |transport| (self.transport == transport).then_some(self.listen);
        Settings {
            source,
            folder: Folder {
                writable: self.role == Role::Leecher,
                ..Folder::writable(self.dir.clone())
            },
            tcp: self.transport == Transport::Tcp,
            utp: self.transport == Transport::Utp,
            encryption: self.traffic.encryption.into(),
            listen: listens(Transport::Tcp).or_else(|| listens(Transport::Utp)),
            rtc: listens(Transport::Rtc),
            trackers: self.trackers.replacement(),
            peers: Vec::new(),
            allow_local: true,
            // Under control, it only knows whom it is told of.
            finding: finding::Settings::default(),
            limits: self.traffic.rates.limits(),
            unlimited: self.no_limits,
            super_seed: false,
            threads: self.threads.count(),
        }
    }
}

/// Under control it has content from those alone that it is told of.
fn without_web_seeds(source: Source) -> Source {
    match source {
        Source::Magnet(mut magnet) => {
            magnet.web_seeds.clear();
            Source::Magnet(magnet)
        }
        Source::Metainfo(metainfo) => {
            let mut metainfo = Arc::unwrap_or_clone(metainfo);
            metainfo.web_seeds.clear();
            metainfo.http_seeds.clear();
            Source::Metainfo(Arc::new(metainfo))
        }
    }
}
