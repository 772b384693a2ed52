//! `tombolo magnet`: the link of a .torrent, and the parts of a link.

use std::ffi::OsString;
use std::path::Path;

use clap::Args;
use serde::Serialize;
use tombolo_core::magnet::{Magnet, PeerAddress};

use super::failure::Failure;
use super::show::{self, Link};
use super::{input, output};

/// The arguments of `magnet`.
#[derive(Args, Debug)]
pub(super) struct MagnetLink {
    /// A .torrent, a magnet link or an info-hash
    #[arg(value_name = "FILE|MAGNET")]
    source: OsString,
    #[command(flatten)]
    changes: Changes,
    /// Print JSON: the link and its parts
    #[arg(long)]
    pub(super) json: bool,
}

/// What the link is to say otherwise.
#[derive(Args, Debug)]
#[command(next_help_heading = "Changes to the link")]
struct Changes {
    /// Another name to show
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// A tracker, instead of those that are there; may be repeated
    #[arg(long, value_name = "URL")]
    tracker: Vec<String>,
    /// Name no tracker
    #[arg(long, conflicts_with = "tracker")]
    no_trackers: bool,
    /// Where the content is found on the web, instead of what is there; may be repeated
    #[arg(long, value_name = "URL")]
    web_seed: Vec<String>,
    /// A peer to connect to, beside those that are there; may be repeated
    #[arg(long, value_name = "HOST:PORT", value_parser = peer)]
    peer: Vec<PeerAddress>,
    /// The files that are wanted, by their numbers from 0
    #[arg(long, value_name = "0,2,4-6", value_parser = indices)]
    select: Option<Indices>,
}

/// Numbers of files, ascending.
#[derive(Clone, Debug)]
struct Indices(Vec<u32>);

#[derive(Serialize)]
struct Document<'a> {
    magnet: String,
    #[serde(flatten)]
    parts: Link<'a>,
}

impl MagnetLink {
    /// Runs the command.
    ///
    /// # Errors
    /// What is given is refused or cannot be read, or has fewer files than are selected.
    pub(super) fn run(&self) -> Result<(), Failure> {
        let given = input::as_magnet(&self.source);
        let mut magnet = match given {
            Some(link) => Magnet::parse(link)?,
            None => self.link_of_torrent()?,
        };
        let is_changed = self.changes.apply(&mut magnet);
        if self.json {
            output::line(&Document {
                magnet: magnet.to_string(),
                parts: Link::of(&magnet),
            });
        } else if given.is_some() && !is_changed {
            output::stream(|out| show::magnet_text(&magnet, out));
        } else {
            output::say(&magnet.to_string());
        }
        Ok(())
    }

    fn link_of_torrent(&self) -> Result<Magnet, Failure> {
        let metainfo = input::read_torrent(Path::new(&self.source))?;
        let files = metainfo.files.len();
        let last = self.changes.select.as_ref().and_then(|select| select.0.last());
        if let Some(last) = last.filter(|last| **last as usize >= files) {
            let message = format!("there is no file {last}: the torrent has {files}, the first of which is 0");
            return Err(Failure::refused("bad-selection", message));
        }
        Ok(Magnet {
            name: Some(metainfo.name.clone()),
            trackers: metainfo.trackers.iter().flatten().cloned().collect(),
            web_seeds: metainfo.web_seeds.clone(),
            ..Magnet::new(metainfo.hashes)
        })
    }
}

impl Changes {
    /// Changes a link; whether anything was to be.
    fn apply(&self, magnet: &mut Magnet) -> bool {
        let before = magnet.clone();
        if let Some(name) = &self.name {
            magnet.name = Some(name.clone());
        }
        if self.no_trackers || !self.tracker.is_empty() {
            magnet.trackers.clone_from(&self.tracker);
        }
        if !self.web_seed.is_empty() {
            magnet.web_seeds.clone_from(&self.web_seed);
        }
        for peer in &self.peer {
            if !magnet.peers.contains(peer) {
                magnet.peers.push(peer.clone());
            }
        }
        if let Some(select) = &self.select {
            magnet.select_only = Some(select.0.clone());
        }
        before != *magnet
    }
}

fn peer(text: &str) -> Result<PeerAddress, String> {
    text.parse().map_err(|()| "expected HOST:PORT".into())
}

/// Reads `0,2,4-6` as links have it (BEP 53), but passes over nothing.
fn indices(text: &str) -> Result<Indices, String> {
    let is_range = |range: &str| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        first
            .parse::<u32>()
            .ok()
            .zip(last.parse::<u32>().ok())
            .is_some_and(|(first, last)| first <= last)
    };
    let link = format!("magnet:?xt=urn:btih:{}&so={text}", "0".repeat(40));
    let selected = Magnet::parse(&link).ok().and_then(|magnet| magnet.select_only);
    selected
        .filter(|selected| !selected.is_empty() && text.split(',').all(is_range))
        .map(Indices)
        .ok_or_else(|| "expected numbers of files, as in 0,2,4-6".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selections_are_read_or_refused() {
        assert_eq!(indices("4-6,0,5").unwrap().0, [0, 4, 5, 6]);
        for text in ["", "x", "1-", "3-1", "1,,2", "-1", "1,x", "0&tr=x", "99999999999"] {
            assert!(indices(text).is_err(), "{text}");
        }
    }
}
