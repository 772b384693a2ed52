//! Opening a torrent's storage and doing its tasks: what joins the session's storage actions to [`Store`].

use std::sync::Arc;

use bytes::Bytes;
use tombolo_core::event::{Event, StorageError, Torrent};
use tombolo_core::gather::Gather;
use tombolo_core::magnet::Magnet;
use tombolo_core::metainfo::Metainfo;
use tombolo_core::swarm::Priority;
use wasm_bindgen::prelude::*;

use crate::create::with_trackers;
use crate::engine::{Core, turn};
use crate::entry::Entry;
use crate::platform::{Access, Host, bytes_of, member};
use crate::storage::{
    Backing, Disk, Extent, LIMIT, Memory, Outcome, Place, Plan, Store, Task, Trouble, file_name, storage_error,
};
use crate::task::{resolved, spawn};

/// The .torrent in a torrent's folder: a reload needs no peer to know what it is.
pub(crate) const METAINFO: &str = "metainfo";

/// The link to a torrent in its folder, behind a digit: 1 if it is paused. Empty once it is taken off the list.
pub(crate) const REMEMBERED: &str = "remembered";

/// The files' priorities in a torrent's folder, a byte each.
const PRIORITIES: &str = "priorities";

/// How many files are opened before the first write; the others are when they are first used.
const OPEN_AHEAD: usize = 64;

/// What opening a torrent's storage needs.
struct Opening {
    host: Host,
    metainfo: Arc<Metainfo>,
    folder: JsValue,
    priorities: Vec<Priority>,
    passing: Option<u64>,
}

/// A torrent's storage, opened.
struct Ready {
    backing: Backing,
    priorities: Option<Vec<Priority>>,
}

impl Core {
    /// The metainfo is known: opens storage and tells the session what it holds.
    pub(crate) fn open_storage(&mut self, torrent: Torrent, metainfo: Arc<Metainfo>) {
        let Some(entry) = self.torrents.get_mut(&torrent) else {
            return;
        };
        entry.source = vec![0; metainfo.layout.pieces()];
        entry.name.clone_from(&metainfo.name);
        entry.metainfo = Some(Arc::clone(&metainfo));
        // The page takes the files of its `probe()` from it: no counters may tell of the metadata before it has them.
        self.push_snapshot(torrent);
        let Some(entry) = self.torrents.get_mut(&torrent) else {
            return;
        };
        if let Some(blobs) = entry.blobs.take() {
            let ready = Ready {
                backing: Backing::Blobs(blobs),
                priorities: None,
            };
            self.storage_opened(torrent, ready);
            return;
        }
        let chosen = select_only(entry, &metainfo);
        if let Some(priorities) = chosen {
            self.select(torrent, priorities);
        }
        let Some(entry) = self.torrents.get(&torrent) else {
            return;
        };
        let opening = Opening {
            host: self.host.clone(),
            metainfo,
            folder: entry
                .folder
                .as_ref()
                .map_or(JsValue::NULL, |claim| member(claim, "folder")),
            priorities: entry.priorities.clone(),
            passing: entry.passing,
        };
        spawn(async move {
            let ready = opening.open().await;
            turn(|core| core.storage_opened(torrent, ready));
        });
    }

    /// What is noted of a torrent, and in which folder.
    fn reminder(&self, torrent: Torrent) -> Option<(Host, JsValue, String)> {
        let entry = self.torrents.get(&torrent)?;
        let (claim, hashes) = (entry.folder.as_ref()?, entry.hashes?);
        let mut magnet = entry.magnet.clone().unwrap_or_else(|| Magnet::new(hashes));
        magnet.name = Some(entry.name.clone());
        if let Some(trackers) = &entry.trackers {
            magnet.trackers.clone_from(trackers);
        } else if let Some(metainfo) = entry.metainfo.as_ref().filter(|_| magnet.trackers.is_empty()) {
            magnet.trackers = metainfo.trackers.iter().flatten().cloned().gather();
        }
        let text = format!("{}{magnet}", u8::from(entry.paused));
        Some((self.host.clone(), member(claim, "folder"), text))
    }

    fn storage_opened(&mut self, torrent: Torrent, ready: Ready) {
        let Some(entry) = self.torrents.get_mut(&torrent) else {
            return;
        };
        let Some(metainfo) = &entry.metainfo else { return };
        let pieces = metainfo.layout.pieces();
        let store = Store::new(ready.backing);
        let (held, check) = (store.held(pieces), store.unsure(pieces));
        entry.store = Some(store);
        if let Some(priorities) = ready.priorities {
            entry.priorities.clone_from(&priorities);
            self.tell(Event::Select(torrent, priorities));
        }
        self.tell(Event::Restored { torrent, held, check });
        self.run_store(torrent);
    }

    /// Adds a task for a torrent's storage and does what can be done.
    pub(crate) fn store(&mut self, torrent: Torrent, task: Task) {
        if let Some(store) = self.torrents.get_mut(&torrent).and_then(|entry| entry.store.as_mut()) {
            store.push(task);
            self.run_store(torrent);
        }
    }

    fn run_store(&mut self, torrent: Torrent) {
        while let Some(store) = self.torrents.get_mut(&torrent).and_then(|entry| entry.store.as_mut()) {
            let step = store.step();
            let lost = store.lost();
            match step {
                None => break,
                Some(Ok(outcome)) => self.take_outcome(outcome),
                Some(Err(trouble)) => self.wait_for(torrent, trouble),
            }
            for piece in lost {
                self.tell(Event::Lost(torrent, piece));
            }
        }
    }

    /// What was unsure has been checked: what is not held is not recorded any more.
    pub(crate) fn disown_bad(&mut self, torrent: Torrent) {
        let Some(store) = self.torrents.get_mut(&torrent).and_then(|entry| entry.store.as_mut()) else {
            return;
        };
        if let (Backing::Disk(disk), Some(held)) = (store.backing_mut(), self.session.held(torrent)) {
            for piece in disk.unsure().difference(held).gather() {
                disk.disown(piece);
            }
        }
    }

    fn take_outcome(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Event(event) => self.tell(event),
            Outcome::Read(stream, bytes) => self.stream_read(stream, bytes),
            Outcome::Nothing => {}
        }
    }

    /// Sees to what the store waits for.
    fn wait_for(&mut self, torrent: Torrent, trouble: Trouble) {
        let Some(store) = self.torrents.get(&torrent).and_then(|entry| entry.store.as_ref()) else {
            return;
        };
        let host = self.host.clone();
        match (store.backing(), trouble) {
            (Backing::Disk(disk), Trouble::Closed(place)) => {
                let folder = disk.folder().clone();
                spawn(async move {
                    let opened = host.open(&folder, &file_name(place)).await;
                    let opened = opened.map_err(|error| storage_error(&error));
                    turn(|core| core.file_opened(torrent, place, opened));
                });
            }
            (Backing::Blobs(blobs), Trouble::Unread(part)) => {
                let (blob, bounds) = (blobs.blob().clone(), blobs.bounds(part));
                spawn(async move {
                    let bytes = read_blob(&blob, bounds).await.map(Bytes::from);
                    turn(|core| core.part_read(torrent, part, bytes));
                });
            }
            _ => {}
        }
    }

    fn file_opened(&mut self, torrent: Torrent, place: Place, opened: Result<Access, StorageError>) {
        let Some(store) = self.torrents.get_mut(&torrent).and_then(|entry| entry.store.as_mut()) else {
            // Removed meanwhile.
            if let Ok(access) = opened {
                access.close();
            }
            return;
        };
        if let Some(outcome) = store.opened(place, opened) {
            self.take_outcome(outcome);
        }
        self.run_store(torrent);
    }

    fn part_read(&mut self, torrent: Torrent, part: u64, bytes: Result<Bytes, StorageError>) {
        let store = self.torrents.get_mut(&torrent).and_then(|entry| entry.store.as_mut());
        let lost = store.map_or_else(Vec::new, |store| store.read_part(part, bytes));
        lost.into_iter().for_each(|outcome| self.take_outcome(outcome));
        self.run_store(torrent);
    }

    /// New priorities: told to the session, kept for a reload, and newly wanted files get their place.
    pub(crate) fn select(&mut self, torrent: Torrent, priorities: Vec<Priority>) {
        let Some(entry) = self.torrents.get_mut(&torrent) else {
            return;
        };
        entry.priorities.clone_from(&priorities);
        if let Some(claim) = &entry.folder {
            let (host, folder) = (self.host.clone(), member(claim, "folder"));
            let bytes: Vec<u8> = priorities.iter().map(|priority| *priority as u8).gather();
            spawn(async move {
                // Not kept, everything is wanted after a reload; nothing is lost.
                let _ = host.write_file(&folder, PRIORITIES, &bytes).await;
            });
        }
        let wanted: Vec<usize> = (0..priorities.len())
            .filter(|file| entry.priority(*file) != Priority::Skip)
            .gather();
        self.tell(Event::Select(torrent, priorities));
        for file in wanted {
            let store = self.torrents.get(&torrent).and_then(|entry| entry.store.as_ref());
            if store.is_some_and(|store| !store.backing().plan().is_own(file)) {
                self.store(torrent, Task::Own(file));
            }
        }
    }
}

/// Notes in a torrent's folder what puts it on the list again.
pub(crate) async fn remember(torrent: Torrent) {
    if let Some((host, folder, text)) = turn(|core| core.reminder(torrent)) {
        // Not noted, it is not on the list after a restart; what is stored is found when it is added again.
        let _ = host.write_file(&folder, REMEMBERED, text.as_bytes()).await;
    }
}

impl Opening {
    async fn open(self) -> Ready {
        if !self.folder.is_object() {
            return self.in_memory();
        }
        let stored = self.host.read_file(&self.folder, PRIORITIES).await;
        let stored = stored.filter(|bytes| self.priorities.is_empty() && bytes.len() == self.metainfo.files.len());
        let restored = stored.map(|bytes| bytes.into_iter().map(priority).gather());
        match self.on_disk(restored.as_ref().unwrap_or(&self.priorities)).await {
            Ok(disk) => Ready {
                backing: Backing::Disk(disk),
                priorities: restored,
            },
            Err(_) => self.in_memory(),
        }
    }

    async fn on_disk(&self, priorities: &[Priority]) -> Result<Disk, StorageError> {
        let mut disk = Disk::open(self.host.clone(), self.folder.clone(), plan_of(&self.metainfo)).await?;
        let is_wanted = |file: &usize| priorities.get(*file).copied().unwrap_or_default() != Priority::Skip;
        let files = &self.metainfo.files;
        let wanted: Vec<usize> = (0..files.len())
            .filter(is_wanted)
            .filter(|file| !files[*file].pad)
            .gather();
        let known: Vec<usize> = (0..files.len()).filter(|file| disk.plan().is_own(*file)).gather();
        let mut open: Vec<usize> = wanted.into_iter().chain(known).gather();
        open.sort_unstable();
        open.dedup();
        for file in open.into_iter().take(OPEN_AHEAD) {
            let place = Place::File(file);
            let access = self.host.open(&self.folder, &file_name(place)).await;
            disk.opened(place, access.map_err(|error| storage_error(&error))?);
        }
        // Files past those are made own and opened by the first task that needs them.
        for file in (0..files.len()).filter(is_wanted) {
            if disk.own(file).is_err() {
                disk.adopt(file);
            }
        }
        disk.drop_what_is_not_there();
        if self.host.read_file(&self.folder, METAINFO).await.is_none() {
            // Without it a reload asks peers for the metadata again.
            let torrent = with_trackers(&self.metainfo);
            let _ = self.host.write_file(&self.folder, METAINFO, &torrent).await;
        }
        Ok(disk)
    }

    fn in_memory(&self) -> Ready {
        Ready {
            backing: Backing::Memory(match self.passing {
                Some(room) => Memory::passing(plan_of(&self.metainfo), room),
                None => Memory::new(plan_of(&self.metainfo), LIMIT),
            }),
            priorities: None,
        }
    }
}

/// What a link that selects files means for this torrent (BEP 53), unless something else was chosen.
fn select_only(entry: &Entry, metainfo: &Metainfo) -> Option<Vec<Priority>> {
    let only = entry.magnet.as_ref()?.select_only.as_ref()?;
    if !entry.priorities.is_empty() {
        return None;
    }
    let chosen = |file: usize| only.iter().any(|index| *index as usize == file);
    let priority = |file| if chosen(file) { Priority::Normal } else { Priority::Skip };
    Some((0..metainfo.files.len()).map(priority).gather())
}

/// Where the bytes of a torrent lie.
pub(crate) fn plan_of(metainfo: &Metainfo) -> Plan {
    let extents = metainfo.files.iter().map(|file| Extent {
        start: file.offset,
        length: file.length,
        pad: file.pad,
    });
    Plan::new(metainfo.layout.clone(), extents.gather())
}

const fn priority(byte: u8) -> Priority {
    match byte {
        0 => Priority::Skip,
        1 => Priority::Low,
        3 => Priority::High,
        _ => Priority::Normal,
    }
}

/// The bytes of a part of a blob.
async fn read_blob(blob: &JsValue, (start, end): (u64, u64)) -> Result<Vec<u8>, StorageError> {
    let read = async {
        let blob: &web_sys::Blob = blob.unchecked_ref();
        let part = blob.slice_with_f64_and_f64(start as f64, end as f64)?;
        let bytes = bytes_of(&resolved(part.array_buffer().unchecked_into()).await?);
        bytes
            .filter(|bytes| bytes.len() as u64 == end - start)
            .ok_or_else(|| JsValue::from_str("the file became shorter"))
    };
    read.await.map_err(|error| storage_error(&error))
}
