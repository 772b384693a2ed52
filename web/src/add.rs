//! Adding torrents: by link, by .torrent, and made of the user's own files.
//!
//! A torrent is in the list as soon as it is known which one it is. Then its folder is claimed, the relay asked and the session
//! told, in whatever order they come.

use std::sync::Arc;

use js_sys::{Array, Uint8Array};
use tombolo_core::event::{Add, Event, Mode, Source, Torrent};
use tombolo_core::gather::Gather;
use tombolo_core::key::{InfoHashes, hex};
use tombolo_core::magnet::Magnet;
use tombolo_core::metainfo::{MAX_METAINFO, Metainfo};
use wasm_bindgen::prelude::*;

use crate::boot::texts;
use crate::create::{self, SharedFile};
use crate::engine::{Core, turn};
use crate::entry::Entry;
use crate::keep::{METAINFO, plan_of, remember};
use crate::platform::{Request, member, text_member};
use crate::refusal::Refusal;
use crate::storage::{Blobs, LEAST_CACHE, LIMIT};
use crate::task::spawn;
use crate::timeline::Moment;
use crate::trackers::{self, Choice};

/// What the page names when it adds a torrent.
enum Named {
    Magnet(Magnet),
    Metainfo(Box<Metainfo>),
}

impl Named {
    const fn hashes(&self) -> InfoHashes {
        match self {
            Self::Magnet(magnet) => magnet.hashes,
            Self::Metainfo(metainfo) => metainfo.hashes,
        }
    }
}

/// Adds what the page names; gives its number once it is in the list.
pub(crate) async fn add(arguments: &JsValue) -> Result<Torrent, Refusal> {
    let named = understand(&member(arguments, "source")).await?;
    let options = member(arguments, "options");
    let at = moment(arguments);
    let known = turn(|core| core.find(named.hashes()));
    if let Some(torrent) = known {
        return Ok(torrent);
    }
    let torrent = turn(|core| {
        let torrent = core.new_torrent();
        let mut entry = Entry::new(torrent, String::new(), at);
        entry.hashes = Some(named.hashes());
        entry.named = member(&options, "named").is_truthy();
        entry.paused = member(&options, "paused").is_truthy();
        entry.passing = passing(&options);
        entry.relay.off = text_member(&options, "relay").as_deref() == Some("off");
        entry.trackers = Some(texts(&member(&options, "trackers"))).filter(|urls| !urls.is_empty());
        match &named {
            Named::Magnet(magnet) => {
                entry.name = magnet.name.clone().unwrap_or_else(|| hex(&entry.swarm().0));
                entry.magnet = Some(magnet.clone());
            }
            Named::Metainfo(metainfo) => entry.name.clone_from(&metainfo.name),
        }
        if let Named::Metainfo(metainfo) = named {
            entry.metainfo = Some(Arc::new(*metainfo));
            entry.timeline.mark(Moment::Metadata, core.now);
        }
        core.torrents.insert(torrent, entry);
        core.join_relay(torrent);
        core.push_snapshot(torrent);
        torrent
    });
    spawn(async move { begin(torrent).await });
    Ok(torrent)
}

/// What the page gave: a link, a hash, a URL of a .torrent, or its bytes.
async fn understand(source: &JsValue) -> Result<Named, Refusal> {
    if let Some(bytes) = source.dyn_ref::<Uint8Array>() {
        return Ok(Named::Metainfo(Box::new(Metainfo::parse(&bytes.to_vec().into())?)));
    }
    let text = source.as_string().unwrap_or_default();
    let is_url = ["http:", "https:", "blob:", "data:"]
        .iter()
        .any(|scheme| text.starts_with(scheme));
    if Magnet::is_like(&text) || !is_url {
        return Ok(Named::Magnet(Magnet::parse(&text)?));
    }
    let host = turn(|core| core.host.clone());
    let request = Request {
        method: "GET",
        url: &text,
        json: None,
        limit: MAX_METAINFO,
    };
    let refused = |why: &str| Refusal::new("not-found", format!("The .torrent could not be fetched: {why}."));
    let response = host.request(request).await.map_err(|why| refused(&why))?;
    if response.status != 200 {
        return Err(refused(&format!("the server answered {}", response.status)));
    }
    Ok(Named::Metainfo(Box::new(Metainfo::parse(&response.body.into())?)))
}

/// Claims the torrent's folder, looks whether it is known there what it is, and tells the session.
async fn begin(torrent: Torrent) {
    let asked = turn(|core| {
        let entry = core.torrents.get(&torrent)?;
        let needs_folder = entry.blobs.is_none() && entry.passing.is_none();
        Some((core.host.clone(), hex(&entry.swarm().0), needs_folder))
    });
    let Some((host, hash, needs_folder)) = asked else {
        return;
    };
    let claim = if needs_folder {
        host.folder(&hash, torrent.0).await
    } else {
        None
    };
    let known = match &claim {
        Some(claim) => host.read_file(&member(claim, "folder"), METAINFO).await,
        None => None,
    };
    let known = known.and_then(|bytes| Metainfo::parse_unfinished(&bytes.into()).ok());
    turn(|core| core.go_live(torrent, claim, known));
}

/// Makes a torrent of files that the page gives; gives its number at once, while they are hashed.
pub(crate) fn seed(arguments: &JsValue) -> Result<Torrent, Refusal> {
    let list = Array::from(&member(arguments, "files"));
    let (mut shared, mut total) = (Vec::new(), 0);
    let blobs = Array::new();
    for item in list.iter() {
        let (file, blob) = shared_file(&item);
        total += file.length;
        shared.push(file);
        blobs.push(&blob);
    }
    if total == 0 {
        return Err(Refusal::new(
            "bad-metainfo",
            "There is nothing in these files to share.",
        ));
    }
    let options = member(arguments, "options");
    let piece = member(&options, "piece").as_f64().map(|piece| piece as u64);
    let name = text_member(&options, "name").unwrap_or_else(|| create::name(&shared));
    let at = moment(arguments);
    let torrent = turn(|core| core.list_own(name.clone(), at));
    spawn(async move {
        let blob = turn(|core| core.host.join_blobs(&blobs));
        let piece_length = piece.unwrap_or_else(|| create::piece_length(total));
        make(
            torrent,
            Making {
                files: shared,
                name,
                piece_length,
                blob,
            },
        )
        .await;
    });
    Ok(torrent)
}

/// Fetches a file and makes a torrent of it; gives its number at once.
pub(crate) fn fetch_and_seed(arguments: &JsValue) -> Torrent {
    let url = text_member(arguments, "url").unwrap_or_default();
    let piece = member(arguments, "piece").as_f64().map(|piece| piece as u64);
    let name = text_member(arguments, "name").unwrap_or_else(|| last_element(&url));
    let at = moment(arguments);
    let torrent = turn(|core| core.list_own(name.clone(), at));
    spawn(async move {
        let host = turn(|core| core.host.clone());
        let blob = match host.blob(&url, |_| ()).await {
            Ok(blob) => blob,
            Err(why) => {
                return turn(|core| core.give_up(torrent, format!("The file could not be fetched: {why}.")));
            }
        };
        turn(|core| core.mark(torrent, Moment::FileFetched));
        let length = member(&blob, "size").as_f64().unwrap_or(0.0) as u64;
        let piece_length = piece.unwrap_or_else(|| create::piece_length(length));
        let files = vec![SharedFile {
            path: vec![name.clone()],
            length,
        }];
        make(
            torrent,
            Making {
                files,
                name,
                piece_length,
                blob,
            },
        )
        .await;
    });
    torrent
}

/// A torrent to be made.
struct Making {
    files: Vec<SharedFile>,
    name: String,
    piece_length: u64,
    blob: JsValue,
}

/// Hashes the files and seeds them.
async fn make(torrent: Torrent, making: Making) {
    let host = turn(|core| core.host.clone());
    let show = move |share: f64| {
        turn(|core| {
            if let Some(entry) = core.torrents.get_mut(&torrent) {
                entry.hashed = share;
            }
        });
    };
    let hashes = host.hashes(&making.blob, making.piece_length, show).await;
    let made = hashes.map(|hashes| create::info(&making.files, &making.name, making.piece_length, &hashes));
    let made = made.and_then(|info| Metainfo::from_info(info.into()).map_err(|error| error.to_string()));
    match made {
        Ok(metainfo) => {
            turn(|core| core.own_files_hashed(torrent, metainfo, making.blob));
            begin(torrent).await;
        }
        Err(why) => turn(|core| core.give_up(torrent, format!("The files cannot be shared: {why}."))),
    }
}

impl Core {
    /// The torrent with one of these hashes.
    pub(crate) fn find(&self, hashes: InfoHashes) -> Option<Torrent> {
        let same = |entry: &&Entry| {
            entry
                .hashes
                .is_some_and(|of| of.swarms().any(|swarm| hashes.swarms().any(|other| other == swarm)))
        };
        self.torrents.values().find(same).map(|entry| entry.torrent)
    }

    /// Puts a torrent of the user's own files into the list.
    fn list_own(&mut self, name: String, at: f64) -> Torrent {
        let torrent = self.new_torrent();
        let mut entry = Entry::new(torrent, name, at);
        entry.own = true;
        self.torrents.insert(torrent, entry);
        self.push_snapshot(torrent);
        torrent
    }

    fn own_files_hashed(&mut self, torrent: Torrent, metainfo: Metainfo, blob: JsValue) {
        let now = self.now;
        let Some(entry) = self.torrents.get_mut(&torrent) else {
            return;
        };
        entry.hashed = 1.0;
        entry.hashes = Some(metainfo.hashes);
        entry.blobs = Some(Blobs::new(plan_of(&metainfo), blob));
        entry.metainfo = Some(Arc::new(metainfo));
        entry.timeline.mark(Moment::Metadata, now);
        self.join_relay(torrent);
        self.push_snapshot(torrent);
    }

    fn give_up(&mut self, torrent: Torrent, why: String) {
        self.note(torrent, "error", why.clone());
        if let Some(entry) = self.torrents.get_mut(&torrent) {
            entry.failure = Some(why);
        }
        self.push_snapshot(torrent);
    }

    /// Tells the session of a torrent: its folder is claimed, and what is known is known.
    fn go_live(&mut self, torrent: Torrent, claim: Option<JsValue>, known: Option<Metainfo>) {
        let Some(entry) = self.torrents.get_mut(&torrent) else {
            // Removed meanwhile.
            if let Some(claim) = claim {
                release(&claim);
            }
            return;
        };
        entry.folder = claim;
        let known = known.filter(|known| entry.hashes == Some(known.hashes) || entry.swarm() == known.hashes.swarm());
        let metainfo = entry.metainfo.clone().or_else(|| known.map(Arc::new));
        let own: Vec<String> = match (&entry.magnet, &metainfo) {
            (Some(magnet), _) => magnet.trackers.clone(),
            (None, Some(metainfo)) => metainfo.trackers.iter().flatten().cloned().gather(),
            (None, None) => Vec::new(),
        };
        let private = metainfo.as_ref().is_some_and(|metainfo| metainfo.private);
        let relay = self.relay.tracker();
        let named = entry.trackers.as_ref().unwrap_or(&self.boot.trackers);
        let may_go_outside = !self.boot.loopback || (entry.named && entry.magnet.is_some());
        let trackers = trackers::choose(Choice {
            named,
            relay: Some(&relay),
            own: &own,
            extra: if private { &[] } else { &self.boot.extra },
            may_go_outside,
        });
        let mut magnet = entry.magnet.clone();
        let mut named = magnet.as_mut().map(|magnet| core::mem::take(&mut magnet.web_seeds));
        let named = named.get_or_insert_default();
        keep_reachable(named, may_go_outside);
        let source = match (metainfo, magnet) {
            (Some(mut metainfo), _) => {
                let own = Arc::make_mut(&mut metainfo);
                keep_reachable(&mut own.web_seeds, may_go_outside);
                keep_reachable(&mut own.http_seeds, may_go_outside);
                own.web_seeds.append(named);
                Source::Metainfo(metainfo)
            }
            (None, Some(mut magnet)) => {
                magnet.web_seeds.append(named);
                Source::Magnet(magnet)
            }
            (None, None) => return,
        };
        entry.live = true;
        if matches!(source, Source::Metainfo(_)) {
            let now = self.now;
            entry.timeline.mark(Moment::Metadata, now);
        }
        let add = Add {
            torrent,
            source,
            mode: if entry.passing.is_some() {
                Mode::Passing
            } else {
                Mode::Whole
            },
            trackers: Some(trackers),
            peers: Vec::new(),
            priorities: entry.priorities.clone(),
        };
        let (paused, followed) = (entry.paused, std::mem::take(&mut entry.follows));
        if followed {
            entry.relay.off = false;
        }
        self.tell(Event::Add(Box::new(add)));
        if paused {
            self.tell(Event::Pause(torrent, true));
        } else if followed {
            self.join_relay(torrent);
        }
        spawn(remember(torrent));
        self.greet_relay(torrent);
    }
}

/// Leaves of these web seeds those that may be asked.
fn keep_reachable(urls: &mut Vec<String>, may_go_outside: bool) {
    if !may_go_outside {
        urls.retain(|url| trackers::is_loopback(url));
    }
}

/// Lets another tab have the folder.
pub(crate) fn release(claim: &JsValue) {
    if let Ok(release) = member(claim, "release").dyn_into::<js_sys::Function>() {
        let _ = release.call0(claim);
    }
}

/// How many bytes are kept of a torrent that is only to be played; `None` of one that is to be kept.
fn passing(options: &JsValue) -> Option<u64> {
    let passes = member(options, "keep").as_bool() == Some(false);
    let cache = member(options, "cache").as_f64().map_or(LIMIT, |cache| cache as u64);
    passes.then(|| cache.clamp(LEAST_CACHE, LIMIT))
}

/// When the page asked, by the worker's clock.
fn moment(arguments: &JsValue) -> f64 {
    let page = member(arguments, "at").as_f64();
    turn(|core| page.map_or(core.now, |at| at - core.clock_offset()))
}

fn shared_file(item: &JsValue) -> (SharedFile, JsValue) {
    let blob = member(item, "file");
    let file = SharedFile {
        path: texts(&member(item, "path")),
        length: member(&blob, "size").as_f64().unwrap_or(0.0) as u64,
    };
    (file, blob)
}

/// The last element of a URL's path: what a file fetched from there is called.
fn last_element(url: &str) -> String {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let last = path.rsplit('/').find(|element| !element.is_empty());
    String::from(last.unwrap_or("file"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fetched_file_is_called_as_its_url_ends() {
        assert_eq!(last_element("https://a/b/c.bin?x=/y#z"), "c.bin");
        assert_eq!(last_element("https://a/b/"), "b");
    }
}
