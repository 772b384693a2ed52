//! What a torrent is once its metainfo is known: its pieces, held, coming in and wanted.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::assembly::{Assembly, Finished};
use super::bridge::Bridge;
use super::open::OpenPiece;
use super::picker::{Picker, Priority};
use super::proofs::Proofs;
use super::prove::Provings;
use super::reads::Reads;
use super::window::Window;
use crate::bits::Bits;
use crate::event::{Job, Mode};
use crate::gather::Gather;
use crate::layout::{Block, Layout, Piece, Range};
use crate::map::Map;
use crate::metainfo::Metainfo;
use crate::session::context::Context;

/// A torrent whose metainfo is known.
pub(crate) struct Content {
    pub(crate) metainfo: Arc<Metainfo>,
    pub(crate) layout: Layout,
    pub(crate) picker: Picker,
    pub(crate) assembly: Assembly,
    pub(crate) proofs: Proofs,
    pub(crate) proving: Provings,
    pub(crate) reads: Reads,
    pub(crate) bridge: Option<Bridge>,
    /// Storage has said what it holds.
    pub(crate) restored: bool,
    /// What is being played.
    pub(crate) window: Option<Window>,
    /// Pieces that storage may hold and that wait to be checked.
    pub(crate) unchecked: Bits,
    pub(crate) checking: Map<Job, Piece>,
    pub(crate) hashing: Map<Job, Finished>,
    pub(crate) storing: Map<Job, Piece>,
    pub(crate) loading: Map<Job, Range>,
    /// Verified bytes.
    pub(crate) have: u64,
    pub(crate) hash_failures: u64,
    /// Storage waits for room.
    pub(crate) full: bool,
    /// Only what is played is wanted.
    passing: bool,
    /// It was reported complete since something was last missing.
    pub(crate) complete: bool,
    storing_bytes: u64,
    charged: u64,
}

impl Content {
    pub(crate) fn new(metainfo: Arc<Metainfo>, mode: Mode, priorities: &[Priority]) -> Self {
        let layout = metainfo.layout.clone();
        let mut content = Self {
            picker: Picker::new(layout.clone()),
            assembly: Assembly::default(),
            proofs: Proofs::new(&metainfo.layers),
            proving: Provings::new(),
            reads: Reads::default(),
            bridge: Bridge::of(mode, layout.pieces()),
            restored: false,
            window: None,
            unchecked: Bits::new(layout.pieces()),
            checking: Map::new(),
            hashing: Map::new(),
            storing: Map::new(),
            loading: Map::new(),
            have: 0,
            hash_failures: 0,
            full: false,
            passing: mode == Mode::Passing,
            complete: false,
            storing_bytes: 0,
            charged: 0,
            metainfo,
            layout,
        };
        content.prioritise(priorities);
        content
    }

    /// Sets the priority of every piece to the highest among the files in it. Pieces under way that are wanted no more are
    /// given up, for they would hold their memory: the requests to cancel.
    pub(crate) fn prioritise(&mut self, priorities: &[Priority]) -> Vec<(u32, Block)> {
        if let Some(bridge) = &self.bridge {
            self.want_all(bridge.fetches_all());
            return Vec::new();
        }
        for (piece, priority) in self.layout.iter().zip(self.piece_priorities(priorities)) {
            self.picker.set_priority(piece, priority);
        }
        self.complete = false;
        let unwanted = |open: &&OpenPiece| !open.is_complete() && !self.picker.lacks(open.piece());
        let open = self.picker.open_pieces().iter();
        let unwanted: Vec<Piece> = open.filter(unwanted).map(OpenPiece::piece).gather();
        let mut dropped = Vec::new();
        for piece in unwanted {
            self.assembly.discard(piece);
            dropped.append(&mut self.picker.drop_piece(piece));
        }
        dropped
    }

    /// A bridge wants nothing of its own, or, to fill its cache, everything.
    pub(crate) fn want_all(&mut self, all: bool) {
        let priority = if all { Priority::Low } else { Priority::Skip };
        for piece in self.layout.iter() {
            self.picker.set_priority(piece, priority);
        }
    }

    /// Starts or stops fetching unasked, as the room in the cache is; true if that is a change.
    pub(crate) fn fill_cache(&mut self, cx: &Context) -> bool {
        let room = cx.config.cache.saturating_sub(cx.cached + self.picker.open_bytes());
        let fill = |bridge: &mut Bridge| bridge.fill(room, cx.config.cache);
        let changes = self.bridge.as_mut().is_some_and(fill);
        if changes {
            self.want_all(room > 0);
        }
        changes
    }

    fn piece_priorities(&self, priorities: &[Priority]) -> Vec<Priority> {
        let mut wanted = alloc::vec![Priority::Skip; self.layout.pieces()];
        for (number, file) in self.metainfo.files.iter().enumerate() {
            let priority = if self.passing {
                Priority::Skip
            } else {
                priorities.get(number).copied().unwrap_or_default()
            };
            for piece in self.layout.pieces_of(file.offset, file.offset + file.length) {
                let place = &mut wanted[piece.index()];
                *place = (*place).max(priority);
            }
        }
        wanted
    }

    /// Bytes that are wanted, in whole pieces, and how many of them are verified.
    pub(crate) fn wanted(&self) -> (u64, u64) {
        let left = self.picker.left().bytes;
        let wanted = |piece: &Piece| self.picker.priority(*piece) > Priority::Skip;
        let have = self
            .layout
            .iter()
            .filter(wanted)
            .filter(|piece| self.picker.held().contains(piece.index()));
        let have: u64 = have.map(|piece| u64::from(self.layout.piece_length(piece))).sum();
        (have + left, have)
    }

    /// Whether every wanted piece is verified and stored. Of what is only played there may always be more.
    pub(crate) fn is_complete(&self) -> bool {
        self.restored
            && !self.passing
            && self.checking.is_empty()
            && self.unchecked.is_empty()
            && self.proofs.unproven.is_empty()
            && self.storing.is_empty()
            && self.picker.left().pieces == 0
    }

    /// Whether it holds every piece there is.
    pub(crate) fn is_seed(&self) -> bool {
        self.picker.held().is_full()
    }

    pub(crate) fn holds(&self, piece: Piece) -> bool {
        self.picker.held().contains(piece.index())
    }

    /// A verified piece goes to storage.
    pub(crate) fn begin_storing(&mut self, job: Job, piece: Piece) {
        self.storing.insert(job, piece);
        self.storing_bytes += u64::from(self.layout.piece_length(piece));
    }

    /// Storage is done with a piece.
    pub(crate) fn end_storing(&mut self, job: Job) -> Option<Piece> {
        let piece = self.storing.remove(&job)?;
        self.storing_bytes -= u64::from(self.layout.piece_length(piece));
        Some(piece)
    }

    /// Verified bytes that storage holds: not those that it has yet to write.
    pub(crate) const fn stored(&self) -> u64 {
        self.have.saturating_sub(self.storing_bytes)
    }

    /// Brings the session's budget up to date: pieces that are open, being hashed or being stored count.
    pub(crate) fn settle_memory(&mut self, cx: &mut Context) {
        let needed = self.picker.open_bytes() + self.storing_bytes;
        cx.memory.adjust(self.charged, needed);
        self.charged = needed;
    }

    /// The torrent is going: gives its share of the budgets back.
    pub(crate) fn release(&mut self, cx: &mut Context) {
        cx.memory.adjust(self.charged, 0);
        self.charged = 0;
        if let Some(bridge) = &self.bridge {
            cx.cached -= bridge.cached();
        }
    }
}
