//! A torrent as the engine keeps it beside the session: its name, its storage, what happened to it and when.

use std::sync::Arc;

use tombolo_core::event::Torrent;
use tombolo_core::key::{InfoHashes, SwarmKey};
use tombolo_core::magnet::Magnet;
use tombolo_core::metainfo::Metainfo;
use tombolo_core::swarm::Priority;
use wasm_bindgen::JsValue;

use crate::relay::RelayLink;
use crate::storage::{Blobs, Store};
use crate::timeline::Timeline;

/// A torrent of the list.
pub(crate) struct Entry {
    /// Its handle.
    pub(crate) torrent: Torrent,
    /// Its info-hashes; none while its own files are still being hashed.
    pub(crate) hashes: Option<InfoHashes>,
    /// The link it came by, if it came by one.
    pub(crate) magnet: Option<Magnet>,
    /// What to call it: from the link until the metadata is here.
    pub(crate) name: String,
    /// What it is, once that is known.
    pub(crate) metainfo: Option<Arc<Metainfo>>,
    /// Whether it was made of the user's own files.
    pub(crate) own: bool,
    /// How much of the own files is hashed, from 0 to 1.
    pub(crate) hashed: f64,
    /// Whether the session has it.
    pub(crate) live: bool,
    /// Whether an address parameter named it.
    pub(crate) named: bool,
    /// Trackers that replace all others for this torrent.
    pub(crate) trackers: Option<Vec<String>>,
    pub(crate) paused: bool,
    /// Bytes that are kept of it, where it is only to be played.
    pub(crate) passing: Option<u64>,
    /// Another tab has it until now.
    pub(crate) follows: bool,
    /// Why it cannot go on.
    pub(crate) failure: Option<String>,
    /// Where its bytes are.
    pub(crate) store: Option<Store>,
    /// The user's own files, until storage is opened.
    pub(crate) blobs: Option<Blobs>,
    /// Its folder, `{folder, release, remove}`, where there is storage.
    pub(crate) folder: Option<JsValue>,
    pub(crate) priorities: Vec<Priority>,
    /// When what happened first.
    pub(crate) timeline: Timeline,
    pub(crate) relay: RelayLink,
    /// Where each piece came from.
    pub(crate) source: Vec<u8>,
    /// Notices that only the engine can know.
    pub(crate) notices: Vec<Notice>,
}

/// Something the page should tell its user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// There is no room left in this browser: bytes still needed.
    Full(u64),
    /// The relay does not serve this torrent.
    RelayRefused(String),
    /// A peer that sent bad data was banned.
    Banned(String),
    /// One of the user's own files is gone or changed.
    FileGone(String),
}

impl Entry {
    /// A torrent that was just added, at `at` ms.
    pub(crate) fn new(torrent: Torrent, name: String, at: f64) -> Self {
        Self {
            torrent,
            hashes: None,
            magnet: None,
            name,
            metainfo: None,
            own: false,
            hashed: 0.0,
            live: false,
            named: false,
            trackers: None,
            paused: false,
            passing: None,
            follows: false,
            failure: None,
            store: None,
            blobs: None,
            folder: None,
            priorities: Vec::new(),
            timeline: Timeline::new(at),
            relay: RelayLink::default(),
            source: Vec::new(),
            notices: Vec::new(),
        }
    }

    /// The swarm to ask for.
    pub(crate) fn swarm(&self) -> SwarmKey {
        self.hashes.map_or(SwarmKey([0; 20]), |hashes| hashes.swarm())
    }

    /// The priority of a file.
    pub(crate) fn priority(&self, file: usize) -> Priority {
        self.priorities.get(file).copied().unwrap_or_default()
    }

    /// Adds a notice once.
    pub(crate) fn notice(&mut self, notice: Notice) {
        let same = |other: &Notice| std::mem::discriminant(other) == std::mem::discriminant(&notice);
        self.notices.retain(|other| !same(other));
        self.notices.push(notice);
    }
}
