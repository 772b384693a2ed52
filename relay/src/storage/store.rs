//! One open torrent, by whichever policy it is kept.

use std::io;

use bytes::Bytes;
use tombolo_core::digest::{Digests, Hashing};
use tombolo_core::event::StorageError;
use tombolo_core::layout::{Piece, Range};
use tombolo_core::metainfo::Metainfo;
use tombolo_core::slices::Slices;

use super::Policy;
use super::cache::Cache;
use super::content::Content;
use super::files::Files;
use super::io::storage_error;
use super::restore::Found;

/// An open torrent.
pub(super) enum Store {
    /// Kept as files.
    Files(Box<Files>),
    /// Kept as single pieces.
    Cache(Cache),
    /// It could not be opened: every job fails with this.
    Broken(io::Error),
}

impl Store {
    /// Opens a torrent and says what is there of it.
    pub(super) fn open(policy: &Policy, metainfo: &Metainfo, selected: &[bool]) -> (Self, Option<Found>) {
        let name = metainfo.hashes.swarm().to_string();
        let opened = match policy {
            Policy::Files(folder) => {
                let content = Content::of(metainfo);
                Files::open(folder, content, name, selected).map(|(files, found)| (Self::Files(Box::new(files)), found))
            }
            Policy::Cache { dir } => {
                Cache::open(dir, &name, metainfo.layout.clone()).map(|(cache, found)| (Self::Cache(cache), found))
            }
        };
        match opened {
            Ok((store, found)) => (store, Some(found)),
            Err(error) => (Self::Broken(error), None),
        }
    }

    /// Writes a verified piece.
    pub(super) fn store(&self, piece: Piece, data: &Slices) -> io::Result<()> {
        match self {
            Self::Files(files) => files.store(piece, data),
            Self::Cache(cache) => cache.store(piece, data),
            Self::Broken(error) => Err(again(error)),
        }
    }

    /// Whether a piece that failed to be written so is to be kept until there is room. A cache has a limit of its own: it loses the piece.
    pub(super) fn waits_for_room(&self, error: &io::Error) -> bool {
        matches!(self, Self::Files(_)) && storage_error(error) == StorageError::Full
    }

    /// Reads a part of a piece.
    pub(super) fn load(&self, range: Range) -> io::Result<Bytes> {
        match self {
            Self::Files(files) => files.load(range),
            Self::Cache(cache) => cache.load(range),
            Self::Broken(error) => Err(again(error)),
        }
    }

    /// The digests of a few pieces; an error for one that is not there in full.
    pub(super) fn check(&self, pieces: &[(Piece, Hashing)]) -> Vec<io::Result<Digests>> {
        match self {
            Self::Files(files) => files.check(pieces),
            Self::Cache(cache) => cache.check(pieces),
            Self::Broken(error) => pieces.iter().map(|_| Err(again(error))).collect(),
        }
    }

    /// Forgets a piece, where pieces can be forgotten.
    pub(super) fn discard(&self, piece: Piece) {
        if let Self::Cache(cache) = self {
            cache.discard(piece);
        }
    }

    /// Takes over another selection of files.
    pub(super) fn select(&self, selected: &[bool]) {
        if let Self::Files(files) = self {
            // What could not be moved fails again, and loudly, when a piece of that file is stored.
            let _ = files.select(selected);
        }
    }
}

/// The same error once more.
fn again(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}
