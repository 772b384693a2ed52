//! `tombolo show`: what a .torrent or a magnet link says.
//!
//! Cost: what reading costs; the output is written as it is made, never held.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path as FilePlace;

use clap::Args;
use serde::Serialize;
use serde::ser::{SerializeSeq, Serializer};
use tombolo_core::key::hex;
use tombolo_core::magnet::Magnet;
use tombolo_core::metainfo::{File, FilePath, Metainfo};

use super::failure::Failure;
use super::units::size;
use super::{input, output, raw};

/// The arguments of `show`.
#[derive(Args, Debug)]
pub(super) struct Show {
    /// A .torrent, a magnet link or an info-hash
    #[arg(value_name = "FILE|MAGNET")]
    source: OsString,
    /// Print any bencoded file as it is
    #[arg(long)]
    raw: bool,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

impl Show {
    /// Runs the command.
    ///
    /// # Errors
    /// What is given is refused or cannot be read.
    pub(super) fn run(&self) -> Result<(), Failure> {
        if self.raw {
            let bytes = input::read_file(FilePlace::new(&self.source))?;
            return raw::show(&bytes, self.json);
        }
        if let Some(link) = input::as_magnet(&self.source) {
            let magnet = Magnet::parse(link)?;
            show(self.json, &Link::of(&magnet), |out| magnet_text(&magnet, out));
        } else {
            let metainfo = input::read_torrent(FilePlace::new(&self.source))?;
            show(self.json, &Torrent::of(&metainfo), |out| torrent_text(&metainfo, out));
        }
        Ok(())
    }
}

fn show(json: bool, value: &impl Serialize, text: impl FnOnce(&mut dyn Write) -> io::Result<()>) {
    output::stream(|out| {
        if json {
            value.serialize(&mut serde_json::Serializer::new(out))?;
            Ok(())
        } else {
            text(out)
        }
    });
}

/// A torrent as it is printed.
#[derive(Serialize)]
struct Torrent<'a> {
    info_hash_v1: Option<String>,
    info_hash_v2: Option<String>,
    name: &'a str,
    piece_length: u32,
    pieces: usize,
    total_length: u64,
    private: bool,
    files: Files<'a>,
    trackers: &'a [Vec<String>],
    web_seeds: &'a [String],
    comment: Option<&'a str>,
    created_by: Option<&'a str>,
    creation_date: Option<i64>,
}

impl<'a> Torrent<'a> {
    fn of(metainfo: &'a Metainfo) -> Self {
        Self {
            info_hash_v1: metainfo.hashes.v1().map(|hash| hash.to_string()),
            info_hash_v2: metainfo.hashes.v2().map(|hash| hash.to_string()),
            name: &metainfo.name,
            piece_length: metainfo.layout.nominal_piece_length(),
            pieces: metainfo.layout.pieces(),
            total_length: metainfo.content_length(),
            private: metainfo.private,
            files: Files(&metainfo.files),
            trackers: &metainfo.trackers,
            web_seeds: &metainfo.web_seeds,
            comment: metainfo.comment.as_deref(),
            created_by: metainfo.created_by.as_deref(),
            creation_date: metainfo.creation_date,
        }
    }
}

/// The list of files; there may be a million.
struct Files<'a>(&'a [File]);

#[derive(Serialize)]
struct Entry<'a> {
    path: Path<'a>,
    length: u64,
    pad: bool,
    symlink: Option<Path<'a>>,
    executable: bool,
    hidden: bool,
    pieces_root: Option<String>,
}

struct Path<'a>(&'a FilePath);

impl Serialize for Files<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|file| Entry {
            path: Path(&file.path),
            length: file.length,
            pad: file.pad,
            symlink: file.symlink.as_ref().map(Path),
            executable: file.executable,
            hidden: file.hidden,
            pieces_root: file.pieces_root.as_deref().map(|root| hex(root)),
        }))
    }
}

impl Serialize for Path<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        for element in self.0.elements() {
            list.serialize_element(element)?;
        }
        list.end()
    }
}

/// A magnet link as it is printed.
#[derive(Serialize)]
pub(super) struct Link<'a> {
    info_hash_v1: Option<String>,
    info_hash_v2: Option<String>,
    name: Option<&'a str>,
    trackers: &'a [String],
    web_seeds: &'a [String],
    peers: Vec<String>,
    select_only: Option<&'a [u32]>,
}

impl<'a> Link<'a> {
    /// What a link says.
    pub(super) fn of(magnet: &'a Magnet) -> Self {
        Self {
            info_hash_v1: magnet.hashes.v1().map(|hash| hash.to_string()),
            info_hash_v2: magnet.hashes.v2().map(|hash| hash.to_string()),
            name: magnet.name.as_deref(),
            trackers: &magnet.trackers,
            web_seeds: &magnet.web_seeds,
            peers: magnet.peers.iter().map(ToString::to_string).collect(),
            select_only: magnet.select_only.as_deref(),
        }
    }
}

fn torrent_text(metainfo: &Metainfo, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}", metainfo.name)?;
    hash_lines(metainfo.hashes, out)?;
    let layout = &metainfo.layout;
    writeln!(
        out,
        "  {} in {} pieces of {}{}",
        size(metainfo.content_length()),
        layout.pieces(),
        size(u64::from(layout.nominal_piece_length())),
        if metainfo.private { ", private" } else { "" }
    )?;
    for (tier, urls) in metainfo.trackers.iter().enumerate() {
        writeln!(out, "  tracker, tier {}: {}", tier + 1, printable(&urls.join(", ")))?;
    }
    for url in &metainfo.web_seeds {
        writeln!(out, "  web seed: {}", printable(url))?;
    }
    let lines = [("comment", &metainfo.comment), ("created by", &metainfo.created_by)];
    for (what, text) in lines {
        if let Some(text) = text {
            writeln!(out, "  {what}: {}", printable(text))?;
        }
    }
    let files = metainfo.files.iter().filter(|file| !file.pad);
    write!(out, "  {} files", files.clone().count())?;
    for file in files {
        write!(out, "\n    {:>10}  {}", size(file.length), file.path)?;
    }
    Ok(())
}

/// Writes what a link says, for people.
pub(super) fn magnet_text(magnet: &Magnet, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}", printable(magnet.name.as_deref().unwrap_or("(no name)")))?;
    hash_lines(magnet.hashes, out)?;
    for (what, urls) in [("tracker", &magnet.trackers), ("web seed", &magnet.web_seeds)] {
        for url in urls {
            writeln!(out, "  {what}: {}", printable(url))?;
        }
    }
    for peer in &magnet.peers {
        writeln!(out, "  peer: {}", printable(&peer.to_string()))?;
    }
    match &magnet.select_only {
        None => write!(out, "  all files"),
        Some(selected) => write!(out, "  {} files selected", selected.len()),
    }
}

fn hash_lines(hashes: tombolo_core::key::InfoHashes, out: &mut dyn Write) -> io::Result<()> {
    if let Some(hash) = hashes.v1() {
        writeln!(out, "  info-hash v1 {hash}")?;
    }
    if let Some(hash) = hashes.v2() {
        writeln!(out, "  info-hash v2 {hash}")?;
    }
    Ok(())
}

/// Text of strangers without what would move a terminal's cursor.
pub(super) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}
