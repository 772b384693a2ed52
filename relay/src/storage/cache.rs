//! The cache of a bridged torrent: one file a piece under `cache/<info-hash>`, so that a relay that was killed has its pieces when it
//! starts again.
//!
//! Invariant: what is found after a start is only ever offered for checking, never called held. What to forget is the session's choice.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use bytes::Bytes;
use tombolo_core::bits::Bits;
use tombolo_core::digest::{Digests, Hashing};
use tombolo_core::layout::{Layout, Piece, Range};
use tombolo_core::slices::Slices;

use super::handles::Handles;
use super::io::{read_into, write_all};
use super::restore::Found;
use super::root::{Access, Root};
use crate::hash;

/// The cached pieces of one torrent.
pub(super) struct Cache {
    folder: Root,
    layout: Layout,
    handles: Handles,
}

impl Cache {
    /// Opens the cache of the torrent of that name below `dir` and says which pieces are to be checked. Files that can be no piece
    /// of it are removed.
    pub(super) fn open(dir: &Path, name: &str, layout: Layout) -> io::Result<(Self, Found)> {
        let folder = Root::create(dir)?.below(&["cache", name])?;
        let mut check = Bits::new(layout.pieces());
        for found in folder.names()? {
            let Some(text) = found.to_str() else { continue };
            let piece = text.parse().ok().and_then(|number| layout.piece(number));
            let length = folder.stat(&[text]).ok().flatten().map(|stat| stat.length);
            match piece {
                Some(piece) if length == Some(u64::from(layout.piece_length(piece))) => {
                    check.insert(piece.index());
                }
                _ => folder.remove(text)?,
            }
        }
        let held = Bits::new(layout.pieces());
        let cache = Self {
            folder,
            layout,
            handles: Handles::default(),
        };
        Ok((cache, Found { held, check }))
    }

    /// Writes a verified piece.
    pub(super) fn store(&self, piece: Piece, data: &Slices) -> io::Result<()> {
        let open = || self.folder.file(&[piece.number().to_string()], Access::Replace);
        let written = self
            .handles
            .file(piece.index(), true, open)
            .and_then(|file| write_all(&file, data, 0));
        if written.is_err() {
            self.discard(piece);
        }
        written
    }

    /// Reads a part of a piece.
    pub(super) fn load(&self, range: Range) -> io::Result<Bytes> {
        let mut data = Vec::with_capacity(range.length as usize);
        read_into(
            &*self.file(range.piece)?,
            &mut data,
            u64::from(range.begin),
            range.length as usize,
        )?;
        Ok(data.into())
    }

    /// The digests of a few pieces; an error for one that is not there in full.
    pub(super) fn check(&self, pieces: &[(Piece, Hashing)]) -> Vec<io::Result<Digests>> {
        hash::of_each(pieces, &self.layout, |piece, at, part| {
            self.file(piece)?.read_exact_at(part, at as u64)
        })
    }

    /// Forgets a piece.
    pub(super) fn discard(&self, piece: Piece) {
        self.handles.close(piece.index());
        // What cannot be removed now is checked at the next start.
        let _ = self.folder.remove(&piece.number().to_string());
    }

    fn file(&self, piece: Piece) -> io::Result<std::sync::Arc<File>> {
        let open = || self.folder.file(&[piece.number().to_string()], Access::Read);
        self.handles.file(piece.index(), false, open)
    }
}
