//! `tombolo seed`: offers content that is there. Nothing is written.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use serde_json::json;
use tombolo_core::event::Source;
use tombolo_core::magnet::Magnet;
use tombolo_core::metainfo::Metainfo;

use super::content::{Content, Wishes};
use super::failure::Failure;
use super::flags::Version;
use super::input;
use super::limits::Limits;
use super::logs::Logs;
use super::network::Network;
use super::node::Settings;
use super::settings::Config;
use super::trade::{self, Orders, Ready};
use crate::storage::Folder;

/// The arguments of `seed`.
#[derive(Args, Debug)]
pub(super) struct Seed {
    /// A file or folder, or the .torrent of content in `--dir`
    #[arg(value_name = "PATH|FILE.torrent")]
    path: OsString,
    /// The folder that holds the content of a .torrent
    #[arg(long, default_value = ".", value_name = "DIR")]
    dir: PathBuf,
    /// Reveal pieces one at a time until the peers have a copy between them, to upload less (BEP 16)
    #[arg(long = "super")]
    super_seed: bool,
    #[command(flatten)]
    version: Version,
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

impl Seed {
    /// Runs the command.
    pub(super) fn run(&self) -> Result<ExitCode, Failure> {
        self.logs.begin("warn");
        let path = Path::new(&self.path);
        let is_torrent = path
            .extension()
            .is_some_and(|kind| kind.eq_ignore_ascii_case("torrent"));
        let (metainfo, dir) = if is_torrent {
            (input::read_torrent(path)?, self.dir.clone())
        } else {
            self.make(path)?
        };
        let ready = ready(&metainfo, self.network.trackers());
        let source = Source::Metainfo(Arc::new(metainfo));
        let orders = Orders {
            json: self.json,
            seed: true,
            once: false,
            ready: Some(ready),
            early: Vec::new(),
            control: None,
        };
        let settings = Settings {
            super_seed: self.super_seed,
            ..self.network.settings(source, Folder::read_only(dir), &self.limits)?
        };
        trade::run(settings, orders)
    }

    /// The torrent of content that has none yet, and the folder it is in.
    fn make(&self, path: &Path) -> Result<(Metainfo, PathBuf), Failure> {
        let mut content = Content::find(path, &Wishes::default())?;
        content.creator.set_version(self.version.into());
        let bytes = content.torrent(self.network.threads(), self.json)?;
        Ok((Metainfo::parse(&bytes.into())?, content.folder()))
    }
}

/// What is printed beside the port.
fn ready(metainfo: &Metainfo, trackers: Option<Vec<String>>) -> Ready {
    let own = || metainfo.trackers.iter().flatten().cloned().collect();
    let magnet = Magnet {
        name: Some(metainfo.name.clone()),
        trackers: trackers.unwrap_or_else(own),
        ..Magnet::new(metainfo.hashes)
    };
    let mut ready = Ready::new();
    let v1 = metainfo.hashes.v1().map(|hash| hash.to_string());
    let v2 = metainfo.hashes.v2().map(|hash| hash.to_string());
    ready.insert("info_hash_v1".into(), json!(v1));
    ready.insert("info_hash_v2".into(), json!(v2));
    ready.insert("magnet".into(), json!(magnet.to_string()));
    ready
}
