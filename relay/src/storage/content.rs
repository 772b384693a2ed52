//! What storage needs to know of a torrent: its files, its pieces and their digests.

use bytes::Bytes;
use tombolo_core::digest::Digests;
use tombolo_core::layout::{Layout, Piece};
use tombolo_core::metainfo::{File, FilePath, Layers, Metainfo};

use super::plan::{Entry, Kind, Plan, Span};

/// The files, pieces and digests of a torrent.
#[derive(Clone, Debug)]
pub(super) struct Content {
    /// Its files.
    pub(super) plan: Plan,
    /// Its pieces.
    pub(super) layout: Layout,
    /// The SHA-1 of each piece, one after the other (BEP 3); empty if it is v2 alone.
    pub(super) digests: Bytes,
    /// The hash trees of its files (BEP 52), as far as they were known when it was opened.
    pub(super) layers: Layers,
}

impl Content {
    /// That of a torrent.
    pub(super) fn of(metainfo: &Metainfo) -> Self {
        let entry = |file: &File| Entry {
            path: file.path.clone(),
            start: file.offset,
            length: file.length,
            kind: match &file.symlink {
                _ if file.pad => Kind::Pad,
                Some(target) => Kind::Symlink(relative(&file.path, target)),
                None => Kind::Regular {
                    executable: file.executable,
                },
            },
        };
        Self {
            plan: Plan::new(metainfo.files.iter().map(entry).collect()),
            layout: metainfo.layout.clone(),
            digests: metainfo.piece_hashes.clone(),
            layers: metainfo.layers.clone(),
        }
    }

    /// Whether these are the digests of the piece, by every version that is known of it.
    pub(super) fn matches(&self, piece: Piece, digests: &Digests) -> bool {
        let at = piece.index() * 20;
        let v1 = self.digests.get(at..at + 20);
        let v2 = self.layers.piece(piece).0;
        let same_v1 = v1.is_none_or(|v1| digests.v1.is_some_and(|digest| digest[..] == *v1));
        let same_v2 = v2.is_none_or(|v2| digests.v2 == Some(v2));
        (v1.is_some() || v2.is_some()) && same_v1 && same_v2
    }

    /// The spans of a piece.
    pub(super) fn spans(&self, piece: Piece) -> impl Iterator<Item = Span> + '_ {
        let length = self.layout.piece_length(piece);
        self.plan.spans(self.layout.offset(piece), u64::from(length))
    }
}

/// The way from a link to its target, which is given from the torrent's folder: the first element of `link`.
fn relative(link: &FilePath, target: &FilePath) -> String {
    let depth = link.elements().count().saturating_sub(2);
    "../".repeat(depth) + target.as_str()
}
