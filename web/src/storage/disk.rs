//! Pieces in the origin's private file system: a stored file for each file of the torrent, so that a finished one is handed to
//! the user without a copy.
//!
//! A folder holds `f0`, `f1` …, the own files; `parts`, see [`Plan`]; `record`, see [`Record`]. Invariant: a piece's bit is
//! written after its bytes. At most [`MAX_OPEN`] files are open
//! (more only while one piece needs more); all reads and writes of open files are synchronous.

use tombolo_core::bits::Bits;
use tombolo_core::event::StorageError;
use tombolo_core::gather::Gather;
use tombolo_core::layout::{Piece, Range};
use tombolo_core::map::Map;
use tombolo_core::slices::Slices;
use wasm_bindgen::JsValue;

use super::plan::Segment;
use super::record::Record;
use super::{Place, Plan, Trouble, storage_error};
use crate::platform::{Access, Host};

/// The name of the record in a torrent's folder.
pub(crate) const RECORD: &str = "record";

/// How many stored files one torrent keeps open: each costs the browser a file handle.
const MAX_OPEN: usize = 128;

/// One torrent's folder.
#[derive(Debug)]
pub(crate) struct Disk {
    host: Host,
    folder: JsValue,
    plan: Plan,
    record: Record,
    record_file: Access,
    open: Map<Place, (Access, u64)>,
    uses: u64,
    /// Where a piece is joined for one write: whole pieces are written twice as fast as blocks.
    scratch: Vec<u8>,
}

impl Disk {
    /// Opens the folder of a torrent and reads what is recorded there.
    pub(crate) async fn open(host: Host, folder: JsValue, mut plan: Plan) -> Result<Self, StorageError> {
        let pieces = plan.layout().pieces();
        let stored = host.read_file(&folder, RECORD).await;
        let names = host.names(&folder).await;
        for index in names
            .iter()
            .filter_map(|name| name.strip_prefix('f')?.parse::<u64>().ok())
        {
            let index = usize::try_from(index).unwrap_or(usize::MAX);
            plan.set_own(index);
        }
        let known = stored.and_then(|bytes| Record::decode(&bytes, pieces));
        let is_new = known.is_none();
        let record = known.unwrap_or_else(|| Record::empty(pieces));
        plan.restore_slots(&record.slots);
        let failure = |error: JsValue| storage_error(&error);
        if is_new {
            host.write_file(&folder, RECORD, &record.encode())
                .await
                .map_err(failure)?;
        }
        let record_file = host.open(&folder, RECORD).await.map_err(failure)?;
        Ok(Self {
            host,
            folder,
            plan,
            record,
            record_file,
            open: Map::new(),
            uses: 0,
            scratch: Vec::new(),
        })
    }

    /// Where the bytes lie.
    pub(crate) const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The torrent's folder.
    pub(crate) const fn folder(&self) -> &JsValue {
        &self.folder
    }

    /// The pieces that are recorded as held, apart from those that are [`unsure`](Self::unsure).
    pub(crate) fn held(&self) -> Bits {
        self.recorded(false)
    }

    /// Those of them that were written last.
    pub(crate) fn unsure(&self) -> Bits {
        self.recorded(true)
    }

    fn recorded(&self, late: bool) -> Bits {
        let pieces = self.plan.layout().pieces();
        let mut bits = Bits::new(pieces);
        let recorded = (0..pieces).filter(|piece| self.record.holds(*piece) && self.record.is_late(*piece) == late);
        recorded.for_each(|piece| {
            bits.insert(piece);
        });
        bits
    }

    /// A piece is not what was recorded.
    pub(crate) fn disown(&mut self, piece: usize) {
        if let Some((at, byte)) = self.record.set(piece, false) {
            // If it cannot be written now, it will be found again.
            let _ = self.write_bytes(&self.record_file, &[byte], at);
        }
    }

    /// Takes a file that was opened.
    pub(crate) fn opened(&mut self, place: Place, access: Access) {
        while self.open.len() >= MAX_OPEN {
            // Never one that the present task needs: a piece may reach over more files than that.
            let idle = self.open.iter().filter(|(_, (_, used))| *used < self.uses);
            let oldest = idle.min_by_key(|(_, (_, used))| *used).map(|(place, _)| *place);
            let Some((access, _)) = oldest.and_then(|place| self.open.remove(&place)) else {
                break;
            };
            access.close();
        }
        self.open.insert(place, (access, self.uses));
    }

    /// Writes a verified piece and then its bit.
    pub(crate) fn write(&mut self, piece: Piece, data: &Slices) -> Result<(), Trouble> {
        let layout = self.plan.layout().clone();
        let Some(range) = layout.range(piece.number(), 0, layout.piece_length(piece)) else {
            return Ok(());
        };
        if self.plan.claim_slot(piece) {
            let (at, bytes) = self.record.push_slot(piece.number());
            self.write_bytes(&self.record_file, &bytes, at)?;
        }
        let segments = self.plan.segments(range);
        self.require_open(&segments)?;
        let (at, bytes) = self.record.note_late(piece.number());
        self.write_bytes(&self.record_file, &bytes, at)?;
        self.scratch.clear();
        data.iter().for_each(|bytes| self.scratch.extend_from_slice(bytes));
        for segment in segments.iter().filter(|segment| segment.place != Place::Zeros) {
            let bytes = self
                .scratch
                .get(segment.from..segment.from + segment.length)
                .unwrap_or_default();
            self.write_bytes(self.access(segment.place)?, bytes, segment.at)?;
        }
        if let Some((at, byte)) = self.record.set(piece.index(), true) {
            self.write_bytes(&self.record_file, &[byte], at)?;
        }
        Ok(())
    }

    /// The bytes of a range of a piece that is held.
    pub(crate) fn read(&mut self, range: Range) -> Result<Vec<u8>, Trouble> {
        let segments = self.plan.segments(range);
        self.require_open(&segments)?;
        let mut bytes = vec![0; range.length as usize];
        for segment in segments.iter().filter(|segment| segment.place != Place::Zeros) {
            let part = bytes
                .get_mut(segment.from..segment.from + segment.length)
                .unwrap_or_default();
            let access = self.access(segment.place)?;
            let expected = part.len();
            let read = self.host.read_at(access, part, segment.at as f64);
            if read.map_err(|error| Trouble::Failed(storage_error(&error)))? as usize != expected {
                return Err(Trouble::Failed(StorageError::Other(String::from(
                    "a stored file is too short",
                ))));
            }
        }
        Ok(bytes)
    }

    /// Gives a file a stored file of its own and moves there what other places hold of it.
    pub(crate) fn own(&mut self, file: usize) -> Result<(), Trouble> {
        let Some(extent) = self.plan.files().get(file).copied().filter(|file| !file.pad) else {
            return Ok(());
        };
        if self.plan.is_own(file) && self.open.contains_key(&Place::File(file)) {
            return Ok(());
        }
        if !self.open.contains_key(&Place::File(file)) {
            return Err(Trouble::Closed(Place::File(file)));
        }
        let layout = self.plan.layout().clone();
        let end = extent.start + extent.length;
        let mut moved = Vec::new();
        let pieces = layout.pieces_of(extent.start, end);
        for piece in pieces.filter(|piece| self.record.holds(piece.index())).gather() {
            let from = extent.start.max(layout.offset(piece)) - layout.offset(piece);
            let to = (end - layout.offset(piece)).min(u64::from(layout.piece_length(piece)));
            if let Some(range) = layout.range(piece.number(), from as u32, (to - from) as u32) {
                moved.push((layout.offset(piece) + from - extent.start, self.read(range)?));
            }
        }
        for (at, bytes) in moved {
            self.write_bytes(self.access(Place::File(file))?, &bytes, at)?;
        }
        self.plan.set_own(file);
        Ok(())
    }

    /// Makes a file own that is not open, if nothing of it is anywhere yet.
    pub(crate) fn adopt(&mut self, file: usize) {
        let Some(extent) = self.plan.files().get(file).copied().filter(|file| !file.pad) else {
            return;
        };
        let mut pieces = self.plan.layout().pieces_of(extent.start, extent.start + extent.length);
        if !pieces.any(|piece| self.record.holds(piece.index())) {
            self.plan.set_own(file);
        }
    }

    /// Forgets which pieces are held whose bytes cannot be there: the stored file ends before them. Call once all own files
    /// are open; those that are not are passed over.
    pub(crate) fn drop_what_is_not_there(&mut self) {
        let layout = self.plan.layout().clone();
        let mut sizes = Map::new();
        for (place, (access, _)) in self.open.iter() {
            if let Ok(size) = access.size() {
                sizes.insert(*place, size as u64);
            }
        }
        for piece in layout.iter().filter(|piece| self.record.holds(piece.index())).gather() {
            let Some(range) = layout.range(piece.number(), 0, layout.piece_length(piece)) else {
                continue;
            };
            let short = |segment: &Segment| {
                let size = sizes.get(&segment.place);
                size.is_some_and(|size| *size < segment.at + segment.length as u64)
            };
            if self.plan.segments(range).iter().any(short) {
                self.disown(piece.index());
            }
        }
    }

    /// Closes every file, so that others may open them.
    pub(crate) fn close(&mut self) {
        self.open.values().for_each(|(access, _)| access.close());
        self.open.clear();
        self.record_file.close();
    }

    fn require_open(&mut self, segments: &[Segment]) -> Result<(), Trouble> {
        self.uses += 1;
        let mut closed = None;
        for segment in segments.iter().filter(|segment| segment.place != Place::Zeros) {
            match self.open.get_mut(&segment.place) {
                Some((_, used)) => *used = self.uses,
                None => closed = Some(segment.place),
            }
        }
        closed.map_or(Ok(()), |place| Err(Trouble::Closed(place)))
    }

    fn access(&self, place: Place) -> Result<&Access, Trouble> {
        self.open
            .get(&place)
            .map(|(access, _)| access)
            .ok_or(Trouble::Closed(place))
    }

    fn write_bytes(&self, access: &Access, bytes: &[u8], at: u64) -> Result<(), Trouble> {
        let written = self.host.write_at(access, bytes, at as f64);
        match written.map_err(|error| Trouble::Failed(storage_error(&error)))? {
            written if written as usize == bytes.len() => Ok(()),
            _ => Err(Trouble::Failed(StorageError::Full)),
        }
    }
}

/// The name of a stored file.
pub(crate) fn file_name(place: Place) -> String {
    match place {
        Place::File(index) => format!("f{index}"),
        Place::Parts | Place::Zeros => String::from("parts"),
    }
}
