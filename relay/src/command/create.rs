//! `tombolo create`: makes a .torrent of a file or a folder.
//!
//! Deterministic: the same content and options give the same bytes. Hashes on all threads; memory does not grow with the content.

use std::fs;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use tombolo_core::metainfo::Metainfo;
use tombolo_core::metainfo::create::CreateError;

use super::content::{Content, Wishes};
use super::failure::Failure;
use super::flags::{Threads, Version};
use super::output;
use super::units::parse_size;

/// The arguments of `create`.
#[derive(Args, Debug)]
pub(super) struct Create {
    /// A file or a folder
    path: PathBuf,
    /// The .torrent to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Bytes a piece, or with KiB or MiB [default: by the size of the content]
    #[arg(long, value_name = "N", value_parser = parse_size)]
    piece_length: Option<u64>,
    #[command(flatten)]
    version: Version,
    /// A tracker; may be repeated, each is a tier of its own
    #[arg(long, value_name = "URL")]
    tracker: Vec<String>,
    /// Where the content is found on the web; may be repeated
    #[arg(long, value_name = "URL")]
    web_seed: Vec<String>,
    /// Peers may come from the trackers alone
    #[arg(long)]
    private: bool,
    /// Have every file begin at a piece, with pad files between them in version 1
    #[arg(long)]
    pad: bool,
    /// Keep symbolic links, which must lead to something in the folder, instead of what they lead to
    #[arg(long)]
    symlinks: bool,
    /// Leave out which files are executable or hidden
    #[arg(long)]
    no_attributes: bool,
    /// Another name than that of the file or folder
    #[arg(long)]
    name: Option<String>,
    /// What to say of it
    #[arg(long)]
    comment: Option<String>,
    /// A date, in seconds since 1970 [default: none]
    #[arg(long, value_name = "UNIX", allow_negative_numbers = true)]
    date: Option<i64>,
    #[command(flatten)]
    threads: Threads,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Serialize)]
struct Document {
    info_hash_v1: Option<String>,
    info_hash_v2: Option<String>,
    name: String,
    piece_length: u32,
    pieces: usize,
    total_length: u64,
}

impl Create {
    /// Runs the command.
    ///
    /// # Errors
    /// The content cannot be read or makes no torrent, or the .torrent cannot be written.
    pub(super) fn run(&self) -> Result<(), Failure> {
        let wishes = Wishes {
            without: Some(&self.output),
            name: self.name.as_deref(),
            symlinks: self.symlinks,
        };
        let mut content = Content::find(&self.path, &wishes)?;
        let creator = &mut content.creator;
        creator.piece_length = self.piece_length.unwrap_or(creator.piece_length);
        creator.private = self.private;
        creator.trackers.clone_from(&self.tracker);
        creator.web_seeds.clone_from(&self.web_seed);
        creator.comment.clone_from(&self.comment);
        creator.creation_date = self.date;
        creator.pad = self.pad;
        if self.no_attributes {
            creator.set_attributes(|_| (false, false));
        }
        creator.set_version(self.version.into());
        let bytes = content.torrent(self.threads.count(), self.json)?;
        let metainfo = Metainfo::parse(&bytes.clone().into())?;
        fs::write(&self.output, bytes).map_err(|error| Failure::io(self.output.display(), &error))?;
        let v1 = metainfo.hashes.v1().map(|hash| hash.to_string());
        let v2 = metainfo.hashes.v2().map(|hash| hash.to_string());
        if self.json {
            output::line(&Document {
                info_hash_v1: v1,
                info_hash_v2: v2,
                piece_length: metainfo.layout.nominal_piece_length(),
                pieces: metainfo.layout.pieces(),
                total_length: metainfo.content_length(),
                name: metainfo.name,
            });
        } else {
            for hash in [v1, v2].into_iter().flatten() {
                output::say(&hash);
            }
        }
        Ok(())
    }
}

impl From<CreateError> for Failure {
    fn from(error: CreateError) -> Self {
        Self::refused("bad-content", error.to_string())
    }
}
