//! What storage says: what it holds, what was checked, stored and loaded; and what a bridge no longer keeps.

use alloc::vec::Vec;

use super::Swarm;
use crate::bits::Bits;
use crate::digest::Digests;
use crate::event::{Action, Job, Report, StorageError};
use crate::gather::Gather;
use crate::layout::Piece;
use crate::metainfo::Verdict;
use crate::session::context::Context;
use crate::slices::Slices;

/// Pieces that are checked at a time: enough to keep every core at it.
const CHECKS: usize = 16;

impl Swarm {
    /// Storage is open.
    pub(crate) fn restored(&mut self, cx: &mut Context, held: &Bits, check: &Bits) {
        let Some(content) = &mut self.content else { return };
        let pieces: Vec<Piece> = content
            .layout
            .iter()
            .filter(|piece| held.contains(piece.index()))
            .gather();
        content.unchecked = Bits::new(content.layout.pieces());
        check.difference(held).for_each(|index| {
            content.unchecked.insert(index);
        });
        for piece in pieces {
            self.found(cx, piece);
        }
        self.check_more(cx);
    }

    /// A piece in storage has been hashed.
    pub(crate) fn checked(&mut self, cx: &mut Context, job: Job, digests: Option<Digests>) {
        if self.proved(cx, job, digests.as_ref()) {
            return;
        }
        let Some(content) = &mut self.content else { return };
        let Some(piece) = content.checking.remove(&job) else {
            return;
        };
        self.judge_stored(cx, piece, digests.unwrap_or_default());
        self.check_more(cx);
    }

    /// Says whether a piece in storage is what it should be, once that can be known.
    pub(super) fn judge_stored(&mut self, cx: &mut Context, piece: Piece, digests: Digests) {
        let hash = digests.v2;
        let Some(content) = &mut self.content else { return };
        match content.metainfo.is_right(piece, &digests) {
            Some(Verdict::Right) => self.found(cx, piece),
            None if digests.v2.is_some() => {
                let blocks = Vec::new();
                content.proofs.unproven.insert(piece, Digests { blocks, ..digests });
            }
            #[cfg(feature = "native")]
            _ if content.bridge.is_some() => cx.act(Action::Discard(self.torrent, piece)),
            _ => {}
        }
        self.note_hash(cx, piece, hash);
    }

    /// Storage holds a verified piece.
    fn found(&mut self, cx: &mut Context, piece: Piece) {
        let Some(content) = self.content.as_mut().filter(|content| !content.holds(piece)) else {
            return;
        };
        let length = content.layout.piece_length(piece);
        content.picker.set_held(piece);
        content.have += u64::from(length);
        if let Some(bridge) = &mut content.bridge {
            bridge.keep(piece, length, cx.now);
            cx.cached += u64::from(length);
        }
        self.promise_piece(piece);
    }

    pub(super) fn check_more(&mut self, cx: &mut Context) {
        let Some(content) = &mut self.content else { return };
        while content.checking.len() < CHECKS {
            let Some(index) = content.unchecked.iter().next() else {
                break;
            };
            content.unchecked.remove(index);
            if let Some(piece) = content.layout.piece(index as u32) {
                let job = cx.job(self.torrent);
                content.checking.insert(job, piece);
                cx.act(Action::Check(job, self.torrent, piece, content.metainfo.hashing(piece)));
            }
        }
        if content.checking.is_empty() && content.proofs.unproven.is_empty() && !content.restored {
            content.restored = true;
            cx.report(self.torrent, Report::Checked);
            self.check_complete(cx);
            self.touch_all();
        }
    }

    /// A piece was written, or could not be.
    pub(crate) fn stored(&mut self, cx: &mut Context, job: Job, result: Result<(), StorageError>) {
        let Some(content) = &mut self.content else { return };
        let Some(piece) = content.end_storing(job) else { return };
        content.settle_memory(cx);
        if let Err(error) = result {
            self.lose(cx, piece);
            cx.report(self.torrent, Report::StorageFailed(error));
            if self.content.as_ref().is_some_and(|content| content.bridge.is_none()) {
                self.pause(cx, true);
            }
        }
        self.check_complete(cx);
        self.touch_hungry();
    }

    /// Storage has no room for now, or has some again.
    pub(crate) fn storage_full(&mut self, cx: &mut Context, full: bool) {
        let Some(content) = &mut self.content else { return };
        content.full = full;
        cx.report(self.torrent, Report::StorageFull(full));
        self.touch_hungry();
    }

    /// A span was read for uploads, or could not be.
    pub(crate) fn loaded(&mut self, cx: &mut Context, job: Job, result: Result<Slices, StorageError>) {
        let Some(content) = &mut self.content else { return };
        let Some(range) = content.loading.remove(&job) else {
            return;
        };
        match result {
            Ok(data) => {
                content.reads.loaded(range, data, cx.now);
                self.touch_uploading();
            }
            Err(_) => {
                content.reads.failed(range);
                self.refuse_waiting(cx, range.piece);
            }
        }
    }

    /// Drops a piece from a bridge's cache. Who waits for it will have it fetched again.
    #[cfg(feature = "native")]
    pub(crate) fn evict(&mut self, cx: &mut Context, piece: Piece) {
        cx.act(Action::Discard(self.torrent, piece));
        self.lose(cx, piece);
    }

    /// Storage keeps a piece no longer. Who was promised it is told, and it is fetched again if it is played again.
    pub(crate) fn lost(&mut self, cx: &mut Context, piece: Piece) {
        self.lose(cx, piece);
        self.unpromise(piece);
        self.touch_hungry();
    }

    /// A piece is not held any more.
    fn lose(&mut self, cx: &mut Context, piece: Piece) {
        let Some(content) = self.content.as_mut().filter(|content| content.holds(piece)) else {
            return;
        };
        content.picker.set_missing(piece);
        content.reads.forget(piece);
        content.have -= u64::from(content.layout.piece_length(piece));
        content.complete = false;
        let Some(bridge) = &mut content.bridge else { return };
        cx.cached = cx.cached.saturating_sub(bridge.evict(piece));
        bridge.spoil();
        let waits = |upload: &&super::peer::Upload| upload.range.piece == piece && upload.data.is_none();
        let waiting = self
            .peers
            .values()
            .flat_map(|peer| peer.uploads.iter())
            .filter(waits)
            .count();
        for _ in 0..waiting {
            if bridge.want(piece) {
                content.picker.set_urgent(piece, cx.now);
            }
        }
    }

    /// Reports when every wanted piece is verified and stored, once.
    pub(super) fn check_complete(&mut self, cx: &mut Context) {
        let Some(content) = &mut self.content else { return };
        if content.bridge.is_none() && !content.complete && content.is_complete() {
            content.complete = true;
            cx.report(self.torrent, Report::Complete);
            // A torrent that was whole to begin with is not announced as completed (BEP 3).
            if self.received.total() > 0 {
                self.announcer.complete(cx.now);
            }
        }
        self.tell_upload_only(cx);
    }
}
