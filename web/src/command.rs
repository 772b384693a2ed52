//! The page's commands.

use js_sys::{Array, Uint8Array};
use tombolo_core::event::{Event, Link, Torrent};
use tombolo_core::gather::Gather;
use tombolo_core::swarm::Priority;
use tombolo_core::swarm::window::Playback;
use tombolo_core::time::Span;
use wasm_bindgen::prelude::*;

use crate::add;
use crate::boot;
use crate::create;
use crate::engine::{Core, turn};
use crate::keep::{REMEMBERED, remember};
use crate::platform::{Host, member, message, text_member};
use crate::refusal::Refusal;
use crate::snapshot::priority_of;
use crate::storage::{Backing, Place, Task, file_name};

/// Does what the page asks for; gives what it asked for.
pub(crate) async fn run(name: String, arguments: JsValue) -> Result<JsValue, Refusal> {
    let number = |torrent: Torrent| JsValue::from(torrent.0);
    match name.as_str() {
        "add" => return add::add(&arguments).await.map(number),
        "seed" => return add::seed(&arguments).map(number),
        "fetchseed" => return Ok(number(add::fetch_and_seed(&arguments))),
        "configure" => {
            let (up, down) = rates(&arguments);
            let shares = member(&arguments, "share").as_bool() != Some(false);
            turn(|core| core.tell(Event::Limit(if shares { up } else { Some(0) }, down)));
            return Ok(JsValue::UNDEFINED);
        }
        "reconnect" => {
            turn(Core::reconnect_relay);
            return Ok(JsValue::UNDEFINED);
        }
        _ => {}
    }
    let torrent = Torrent(member(&arguments, "torrent").as_f64().unwrap_or(0.0) as u32);
    if !turn(|core| core.torrents.contains_key(&torrent)) {
        return Err(Refusal::no_torrent());
    }
    match name.as_str() {
        "file" => return file(torrent, file_index(&arguments)).await,
        "remove" => {
            let files = member(&arguments, "files").is_truthy();
            remove(torrent, files).await;
        }
        "metainfo" => return turn(|core| core.torrent_file(torrent)),
        "pieces" => return turn(|core| Ok(core.pieces_of(torrent, &arguments))),
        "select" => turn(|core| core.select_files(torrent, &arguments))?,
        "priority" => turn(|core| core.set_priority(torrent, &arguments))?,
        "deadline" => turn(|core| core.set_deadline(torrent, &arguments))?,
        "limit" => {
            let (up, down) = rates(&arguments);
            turn(|core| core.tell(Event::LimitTorrent(torrent, up, down)));
        }
        "pause" | "resume" => {
            turn(|core| core.pause(torrent, name == "pause"));
            remember(torrent).await;
        }
        "unrelay" => turn(|core| core.leave_relay(torrent)),
        "pace" => turn(|core| core.pace(torrent, file_index(&arguments), &arguments)),
        "follow" => turn(|core| core.follow(torrent)),
        "show" => turn(|core| core.show_anew(torrent)),
        "announce" => turn(|core| core.announce_now(torrent)),
        _ => return Err(Refusal::new("engine", format!("There is no command {name}."))),
    }
    Ok(JsValue::UNDEFINED)
}

/// Limits in bytes a second: up, down.
fn rates(arguments: &JsValue) -> (Option<u64>, Option<u64>) {
    let rate = |key| boot::rate(&member(arguments, key));
    (rate("up"), rate("down"))
}

fn file_index(arguments: &JsValue) -> usize {
    member(arguments, "file")
        .as_f64()
        .map_or(usize::MAX, |file| file as usize)
}

impl Core {
    fn torrent_file(&self, torrent: Torrent) -> Result<JsValue, Refusal> {
        let metainfo = self.torrents.get(&torrent).and_then(|entry| entry.metainfo.as_ref());
        let metainfo = metainfo.ok_or_else(|| Refusal::new("not-found", "The file list is not known yet."))?;
        Ok(Uint8Array::from(&create::with_trackers(metainfo)[..]).into())
    }

    /// Which pieces a peer has, a byte each; null where that is not known.
    fn pieces_of(&self, torrent: Torrent, arguments: &JsValue) -> JsValue {
        let link = Link(member(arguments, "link").as_f64().unwrap_or(0.0) as u64);
        let Some(pieces) = self.session.pieces_of(torrent, link) else {
            return JsValue::NULL;
        };
        let has: Vec<u8> = (0..pieces.len()).map(|piece| u8::from(pieces.contains(piece))).gather();
        Uint8Array::from(&has[..]).into()
    }

    fn files(&self, torrent: Torrent) -> usize {
        let metainfo = self.torrents.get(&torrent).and_then(|entry| entry.metainfo.as_ref());
        metainfo.map_or(0, |metainfo| metainfo.files.len())
    }

    fn select_files(&mut self, torrent: Torrent, arguments: &JsValue) -> Result<(), Refusal> {
        let wanted = text_member(arguments, "priority")
            .and_then(|name| priority_of(&name))
            .unwrap_or_default();
        let mut priorities = vec![Priority::Skip; self.files(torrent)];
        for index in Array::from(&member(arguments, "files")).iter() {
            let index = index.as_f64().map_or(usize::MAX, |index| index as usize);
            *priorities.get_mut(index).ok_or_else(|| Refusal::no_file(index))? = wanted;
        }
        self.select(torrent, priorities);
        self.push_snapshot(torrent);
        Ok(())
    }

    fn set_priority(&mut self, torrent: Torrent, arguments: &JsValue) -> Result<(), Refusal> {
        let index = file_index(arguments);
        let priority = text_member(arguments, "priority").and_then(|name| priority_of(&name));
        let priority =
            priority.ok_or_else(|| Refusal::new("bad-priority", "A priority is high, normal, low or skip."))?;
        let mut priorities = self
            .torrents
            .get(&torrent)
            .map_or_else(Vec::new, |entry| entry.priorities.clone());
        priorities.resize(self.files(torrent), Priority::Normal);
        *priorities.get_mut(index).ok_or_else(|| Refusal::no_file(index))? = priority;
        self.select(torrent, priorities);
        self.push_snapshot(torrent);
        Ok(())
    }

    fn set_deadline(&mut self, torrent: Torrent, arguments: &JsValue) -> Result<(), Refusal> {
        let index = file_index(arguments);
        let metainfo = self.torrents.get(&torrent).and_then(|entry| entry.metainfo.as_ref());
        let file = metainfo.and_then(|metainfo| metainfo.files.get(index));
        let file = file.ok_or_else(|| Refusal::no_file(index))?;
        let playback = Playback {
            file: file.offset..file.offset + file.length,
            position: member(arguments, "start").as_f64().unwrap_or(0.0) as u64,
            rate: boot::rate(&member(arguments, "rate")),
            buffered: Span::ZERO,
        };
        self.tell(Event::Play(torrent, Some(playback)));
        Ok(())
    }

    fn pause(&mut self, torrent: Torrent, paused: bool) {
        let Some(entry) = self.torrents.get_mut(&torrent) else {
            return;
        };
        entry.paused = paused;
        if !paused {
            entry.failure = None;
            entry.notices.clear();
        }
        self.tell(Event::Pause(torrent, paused));
        if !paused {
            self.join_relay(torrent);
        }
        self.push_snapshot(torrent);
    }

    /// Another tab has this torrent: the relay is left to it.
    fn follow(&mut self, torrent: Torrent) {
        self.leave_relay(torrent);
        if let Some(entry) = self.torrents.get_mut(&torrent) {
            entry.follows = true;
        }
    }

    /// Somebody new looks: the next snapshot and counters are pushed whole.
    fn show_anew(&mut self, torrent: Torrent) {
        self.reporter.forget_pushed(torrent);
        self.push_snapshot(torrent);
        self.push_probe(torrent);
    }

    fn announce_now(&mut self, torrent: Torrent) {
        // Going on after a pause announces at once, and peers stay known.
        self.tell(Event::Pause(torrent, true));
        self.tell(Event::Pause(torrent, false));
        self.join_relay(torrent);
    }

    /// Forgets a torrent: gives its folder's claim.
    fn forget(&mut self, torrent: Torrent) -> Option<JsValue> {
        self.close_streams(torrent);
        self.tell(Event::Remove(torrent));
        let of = |(link, state): (&_, &crate::link::LinkState)| (state.torrent == torrent).then_some(*link);
        let links: Vec<_> = self.links.iter().filter_map(of).gather();
        links.into_iter().for_each(|link| self.drop_link(link));
        self.reporter.forget(torrent);
        let mut entry = self.torrents.remove(&torrent)?;
        if let Some(Backing::Disk(disk)) = entry.store.as_mut().map(|store| store.backing_mut()) {
            disk.close();
        }
        self.host.report("removed", &torrent.0.to_string());
        entry.folder
    }
}

async fn remove(torrent: Torrent, files: bool) {
    let Some(claim) = turn(|core| core.forget(torrent)) else {
        return;
    };
    if !files {
        turn(|core| core.host.clone())
            .write_file(&member(&claim, "folder"), REMEMBERED, &[])
            .await
            .unwrap_or_default();
    } else if let Ok(remove) = member(&claim, "remove").dyn_into::<js_sys::Function>() {
        let removed = remove.call0(&claim).map(js_sys::Promise::from);
        if let Ok(removed) = removed {
            // What cannot be removed now will be offered to be freed with the rest.
            let _ = crate::task::resolved(removed).await;
        }
    }
    add::release(&claim);
}

/// Where a whole file is.
enum Whole {
    Stored(Host, JsValue, String),
    Blob(JsValue),
}

/// A whole verified file, without a copy where that can be.
async fn file(torrent: Torrent, index: usize) -> Result<JsValue, Refusal> {
    turn(|core| {
        let store = core.torrents.get(&torrent).and_then(|entry| entry.store.as_ref());
        if store.is_some_and(|store| !store.backing().plan().is_own(index)) {
            core.store(torrent, Task::Own(index));
        }
    });
    match turn(|core| core.whole_file(torrent, index))? {
        Whole::Blob(blob) => Ok(blob),
        Whole::Stored(host, folder, name) => {
            let file = host.file(&folder, &name).await;
            file.map_err(|error| Refusal::new("storage", format!("The file cannot be read: {}.", message(&error))))
        }
    }
}

impl Core {
    fn whole_file(&self, torrent: Torrent, index: usize) -> Result<Whole, Refusal> {
        let entry = self.torrents.get(&torrent).ok_or_else(Refusal::no_torrent)?;
        let metainfo = entry.metainfo.as_ref().ok_or_else(|| Refusal::no_file(index))?;
        let file = metainfo.files.get(index).ok_or_else(|| Refusal::no_file(index))?;
        let layout = &metainfo.layout;
        let (start, end) = (file.offset, file.offset + file.length);
        let held = self.session.held(torrent);
        let is_held = |index| held.is_some_and(|held| held.contains(index));
        let missing = layout
            .pieces_of(start, end)
            .filter(|piece| !is_held(piece.index()))
            .count();
        if missing > 0 {
            return Err(Refusal::new(
                "incomplete",
                format!("{missing} pieces of this file are still missing."),
            ));
        }
        let store = entry.store.as_ref().ok_or_else(|| Refusal::no_file(index))?;
        let parts = Array::new();
        match store.backing() {
            Backing::Disk(disk) if file.length > 0 && !file.pad => {
                let name = file_name(Place::File(index));
                return Ok(Whole::Stored(self.host.clone(), disk.folder().clone(), name));
            }
            Backing::Blobs(blobs) => {
                let all: &web_sys::Blob = blobs.blob().unchecked_ref();
                if let Ok(part) = all.slice_with_f64_and_f64(start as f64, end as f64) {
                    parts.push(&part);
                }
            }
            Backing::Memory(memory) => {
                for piece in layout.pieces_of(start, end) {
                    let from = start.max(layout.offset(piece)) - layout.offset(piece);
                    let to = (end - layout.offset(piece)).min(u64::from(layout.piece_length(piece)));
                    let range = layout.range(piece.number(), from as u32, (to - from) as u32);
                    let bytes = range.and_then(|range| memory.read(range).ok()).unwrap_or_default();
                    parts.push(&Uint8Array::from(&bytes[..]));
                }
            }
            Backing::Disk(_) => {}
        }
        Ok(Whole::Blob(self.host.join_blobs(&parts)))
    }
}
