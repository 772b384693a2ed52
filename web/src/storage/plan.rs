//! Where the bytes of a torrent lie: which part of which file holds which bytes of which piece.
//!
//! A file is *own* when it has a stored file of its own, which it gets once it is selected and then keeps. Bytes of pieces that
//! reach into other files lie in the parts file, one slot of a piece's length for each such piece.

use tombolo_core::gather::Gather;
use tombolo_core::layout::{Layout, Piece, Range};
use tombolo_core::map::Map;

/// A file's place in the torrent, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Where it begins.
    pub(crate) start: u64,
    /// How long it is.
    pub(crate) length: u64,
    /// Whether it only pads (BEP 47): all zeros, never stored.
    pub(crate) pad: bool,
}

/// A run of bytes that lies in one stored file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Where it is stored.
    pub(crate) place: Place,
    /// The offset in there.
    pub(crate) at: u64,
    /// Its first byte, counted from the beginning of the range that was asked for.
    pub(crate) from: usize,
    /// Its length in bytes.
    pub(crate) length: usize,
}

/// A stored file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// The file of that index.
    File(usize),
    /// The parts file.
    Parts,
    /// None: the bytes are zeros.
    Zeros,
}

/// The plan of one torrent.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    layout: Layout,
    files: Vec<Extent>,
    own: Vec<bool>,
    slots: Map<u32, u32>,
}

impl Plan {
    /// The plan of a torrent of these files, in order and without gaps. None is own yet.
    pub(crate) fn new(layout: Layout, files: Vec<Extent>) -> Self {
        let own = vec![false; files.len()];
        Self {
            layout,
            files,
            own,
            slots: Map::new(),
        }
    }

    /// The geometry of the torrent.
    pub(crate) const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The files' places.
    pub(crate) fn files(&self) -> &[Extent] {
        &self.files
    }

    /// Whether that file has a stored file of its own.
    pub(crate) fn is_own(&self, file: usize) -> bool {
        self.own.get(file).copied().unwrap_or(false)
    }

    /// Gives a file a stored file of its own.
    pub(crate) fn set_own(&mut self, file: usize) {
        if let Some(own) = self.own.get_mut(file) {
            *own = true;
        }
    }

    /// The pieces with bytes in the parts file, in the order of their slots.
    #[cfg(test)]
    fn slots(&self) -> Vec<u32> {
        let mut order: Vec<_> = self.slots.iter().map(|(piece, slot)| (*slot, *piece)).gather();
        order.sort_unstable();
        order.into_iter().map(|(_, piece)| piece).gather()
    }

    /// The slots as they were stored.
    pub(crate) fn restore_slots(&mut self, pieces: &[u32]) {
        self.slots.clear();
        for (piece, slot) in pieces.iter().zip(0..) {
            self.slots.insert(*piece, slot);
        }
    }

    /// Gives a piece a slot of the parts file if it needs one and has none: `true` when it is new.
    pub(crate) fn claim_slot(&mut self, piece: Piece) -> bool {
        let start = self.layout.offset(piece);
        let end = start + u64::from(self.layout.piece_length(piece));
        let apart = |(index, file): (usize, &Extent)| !file.pad && !self.own.get(index).copied().unwrap_or(false);
        if self.slots.contains_key(&piece.number()) || !self.overlapping(start, end).any(apart) {
            return false;
        }
        let slot = self.slots.len() as u32;
        self.slots.insert(piece.number(), slot);
        true
    }

    /// The stored places of a range, in order and without gaps.
    pub(crate) fn segments(&self, range: Range) -> Vec<Segment> {
        let start = self.layout.offset(range.piece) + u64::from(range.begin);
        let end = start + u64::from(range.length);
        self.overlapping(start, end)
            .map(|(index, file)| {
                let first = file.start.max(start);
                let last = (file.start + file.length).min(end);
                let (place, at) = self.place(range.piece, index, first);
                Segment {
                    place,
                    at,
                    from: (first - start) as usize,
                    length: (last - first) as usize,
                }
            })
            .gather()
    }

    /// Where the byte `offset` of the torrent lies, which is in that piece and file.
    fn place(&self, piece: Piece, index: usize, offset: u64) -> (Place, u64) {
        let Some(file) = self.files.get(index) else {
            return (Place::Zeros, 0);
        };
        if file.pad {
            (Place::Zeros, 0)
        } else if self.is_own(index) {
            (Place::File(index), offset - file.start)
        } else {
            let slot = self.slots.get(&piece.number()).copied().unwrap_or(u32::MAX);
            let within = offset - self.layout.offset(piece);
            let slot_length = u64::from(self.layout.nominal_piece_length());
            (Place::Parts, u64::from(slot) * slot_length + within)
        }
    }

    /// The files with bytes in `start..end`. O(log files + found).
    fn overlapping(&self, start: u64, end: u64) -> impl Iterator<Item = (usize, &Extent)> {
        let first = self.files.partition_point(|file| file.start + file.length <= start);
        self.files
            .iter()
            .enumerate()
            .skip(first)
            .take_while(move |(_, file)| file.start < end)
            .filter(|(_, file)| file.length > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 40 bytes in pieces of 16: a (10 bytes), an empty file, b (14), a pad (8), c (8).
    fn plan() -> Plan {
        let mut start = 0;
        let extents = [(10, false), (0, false), (14, false), (8, true), (8, false)].map(|(length, pad)| {
            let extent = Extent { start, length, pad };
            start += length;
            extent
        });
        Plan::new(Layout::new(40, 16).unwrap(), extents.to_vec())
    }

    fn whole(plan: &Plan, index: u32) -> Vec<(Place, u64, usize, usize)> {
        let piece = plan.layout().piece(index).unwrap();
        let range = plan
            .layout()
            .range(index, 0, plan.layout().piece_length(piece))
            .unwrap();
        let flat = |s: Segment| (s.place, s.at, s.from, s.length);
        plan.segments(range).into_iter().map(flat).collect()
    }

    #[test]
    fn own_files_hold_their_bytes() {
        let mut plan = plan();
        (0..5).for_each(|file| plan.set_own(file));
        assert_eq!(
            whole(&plan, 0),
            [(Place::File(0), 0, 0, 10), (Place::File(2), 0, 10, 6)]
        );
        assert_eq!(whole(&plan, 1), [(Place::File(2), 6, 0, 8), (Place::Zeros, 0, 8, 8)]);
        assert_eq!(whole(&plan, 2), [(Place::File(4), 0, 0, 8)]);
        assert!(!plan.claim_slot(plan.layout().piece(0).unwrap()));
    }

    #[test]
    fn what_reaches_into_other_files_lies_in_the_parts() {
        let mut plan = plan();
        plan.set_own(2);
        let (first, second) = (plan.layout().piece(0).unwrap(), plan.layout().piece(1).unwrap());
        assert!(!plan.claim_slot(second), "a pad needs no slot");
        assert!(plan.claim_slot(plan.layout().piece(2).unwrap()));
        assert!(plan.claim_slot(first));
        assert!(!plan.claim_slot(first));
        assert_eq!(plan.slots(), [2, 0]);
        assert_eq!(whole(&plan, 0), [(Place::Parts, 16, 0, 10), (Place::File(2), 0, 10, 6)]);
        assert_eq!(whole(&plan, 2), [(Place::Parts, 0, 0, 8)]);
    }

    #[test]
    fn a_part_of_a_piece_begins_where_it_begins() {
        let mut plan = plan();
        (0..5).for_each(|file| plan.set_own(file));
        let range = plan.layout().range(0, 8, 4).unwrap();
        let segments = plan.segments(range);
        assert_eq!(
            segments[0],
            Segment {
                place: Place::File(0),
                at: 8,
                from: 0,
                length: 2
            }
        );
        assert_eq!(
            segments[1],
            Segment {
                place: Place::File(2),
                at: 0,
                from: 2,
                length: 2
            }
        );
    }

    #[test]
    fn slots_come_back() {
        let mut plan = plan();
        plan.restore_slots(&[2, 0]);
        assert_eq!(plan.slots(), [2, 0]);
        assert_eq!(whole(&plan, 0)[0], (Place::Parts, 16, 0, 10));
    }
}
