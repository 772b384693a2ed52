//! The flags that several commands have, each declared once.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use tombolo_core::metainfo::create;
use tombolo_core::mse::Policy;

use super::units::parse_size;
use crate::finding;
use crate::limits::Limits;
use crate::proxy::Way;
use crate::system;

/// Whether native connections are encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Encryption {
    /// Both kinds are accepted; the encryption handshake is tried first
    Prefer,
    /// Encrypted connections alone
    Require,
    /// Plaintext connections alone
    Off,
}

impl From<Encryption> for Policy {
    fn from(encryption: Encryption) -> Self {
        match encryption {
            Encryption::Prefer => Self::Prefer,
            Encryption::Require => Self::Require,
            Encryption::Off => Self::Off,
        }
    }
}

/// Which trackers are asked.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Finding peers")]
pub(super) struct Trackers {
    /// A tracker, instead of the torrent's own; may be repeated
    #[arg(long, value_name = "URL")]
    tracker: Vec<String>,
    /// Ask no tracker
    #[arg(long, conflicts_with = "tracker")]
    no_trackers: bool,
}

impl Trackers {
    /// The trackers that replace the torrent's own; `None` replaces none.
    pub(super) fn replacement(&self) -> Option<Vec<String>> {
        (self.no_trackers || !self.tracker.is_empty()).then(|| self.tracker.clone())
    }
}

/// By what native peers are found beside trackers.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Finding peers")]
pub(super) struct Finders {
    /// Do not use the DHT
    #[arg(long)]
    no_dht: bool,
    /// A node of the DHT to begin with instead of well-known ones, or `none`; may be repeated
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "no_dht")]
    dht_bootstrap: Vec<String>,
    /// Do not look for peers on the local network
    #[arg(long)]
    no_lsd: bool,
    /// The interface to look for local peers on, by its address [default: that of the listener, if it is not loopback]
    #[arg(long, value_name = "ADDR", conflicts_with = "no_lsd")]
    lsd_interface: Option<IpAddr>,
    /// Do not ask the router for a port
    #[arg(long)]
    no_portmap: bool,
}

impl Finders {
    /// What the search is started with; `state` is where the DHT's table is kept.
    pub(super) fn settings(&self, allow_local: bool, state: Option<PathBuf>) -> finding::Settings {
        let nodes = self.dht_bootstrap.iter().filter(|name| *name != "none").cloned();
        finding::Settings {
            dht: !self.no_dht,
            bootstrap: (!self.dht_bootstrap.is_empty()).then(|| nodes.collect()),
            lsd: !self.no_lsd,
            lsd_interface: self.lsd_interface,
            portmap: !self.no_portmap,
            allow_local,
            confined: false,
            listening: Vec::new(),
            way: Way::default(),
            state,
        }
    }
}

/// How much goes over native connections and data channels, and how.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Connections")]
pub(super) struct Traffic {
    /// Whether native connections are encrypted
    #[arg(long, default_value = "prefer")]
    pub(super) encryption: Encryption,
    #[command(flatten)]
    pub(super) rates: Rates,
}

/// The rates of all torrents together.
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct Rates {
    /// Send at most so many bytes a second, to all peers together
    #[arg(long, value_name = "BYTES_PER_S", value_parser = parse_size)]
    up: Option<u64>,
    /// Receive at most so many bytes a second, from all peers together
    #[arg(long, value_name = "BYTES_PER_S", value_parser = parse_size)]
    down: Option<u64>,
}

impl Rates {
    /// Limits that are no more than these.
    pub(super) fn limits(self) -> Limits {
        Limits {
            up: self.up,
            down: self.down,
            ..Limits::default()
        }
    }
}

/// On how many threads it runs.
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct Threads {
    /// Threads [default: one a core]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

impl Threads {
    /// How many, at least one.
    pub(super) fn count(self) -> usize {
        self.threads.unwrap_or_else(system::threads).max(1)
    }
}

/// Which versions of the protocol a torrent is made for.
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct Version {
    /// Make a torrent of version 1 (the default)
    #[arg(long)]
    v1: bool,
    /// Make a torrent of version 2
    #[arg(long, conflicts_with = "v1")]
    v2: bool,
    /// Make a torrent of both versions
    #[arg(long, conflicts_with_all = ["v1", "v2"])]
    hybrid: bool,
}

impl From<Version> for create::Version {
    fn from(version: Version) -> Self {
        match version {
            Version { v2: true, .. } => Self::V2,
            Version { hybrid: true, .. } => Self::Hybrid,
            Version { .. } => Self::V1,
        }
    }
}
