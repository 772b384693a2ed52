//! Pieces in memory: all there is where the page is not secure or the browser keeps no files for it, and what is only played.

use bytes::Bytes;
use tombolo_core::event::StorageError;
use tombolo_core::layout::{Piece, Range};
use tombolo_core::map::Map;
use tombolo_core::slices::Slices;

use super::Plan;

/// The most bytes of pieces kept in memory: what a phone's tab survives.
pub(crate) const LIMIT: u64 = 256 << 20;

/// The least that is kept of what is only played: a few of the largest pieces.
pub(crate) const LEAST_CACHE: u64 = 64 << 20;

/// The pieces of one torrent.
#[derive(Debug)]
pub(crate) struct Memory {
    plan: Plan,
    pieces: Map<u32, Bytes>,
    room: u64,
    /// Pieces give way to others, the one that was used longest ago first: they are in that order here.
    passing: Option<Vec<Piece>>,
    /// What has given way.
    lost: Vec<Piece>,
}

impl Memory {
    /// No pieces yet, and room for this many bytes of them.
    pub(crate) const fn new(plan: Plan, room: u64) -> Self {
        Self {
            plan,
            pieces: Map::new(),
            room,
            passing: None,
            lost: Vec::new(),
        }
    }

    /// The same where pieces give way to others when there is no room.
    pub(crate) fn passing(plan: Plan, room: u64) -> Self {
        let passing = Some(Vec::new());
        Self {
            passing,
            ..Self::new(plan, room)
        }
    }

    /// What has given way since this was last asked.
    pub(crate) fn lost(&mut self) -> Vec<Piece> {
        std::mem::take(&mut self.lost)
    }

    /// A piece is used: it gives way after all others.
    pub(crate) fn touch(&mut self, piece: Piece) {
        if let Some(order) = &mut self.passing {
            order.retain(|other| *other != piece);
            order.push(piece);
        }
    }

    /// Where the bytes lie.
    pub(crate) const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Keeps a copy of a piece, since slices of receive buffers hold more memory than they show.
    pub(crate) fn write(&mut self, piece: Piece, data: &Slices) -> Result<(), StorageError> {
        let length = data.len() as u64;
        while length > self.room {
            let order = self.passing.as_mut().filter(|order| !order.is_empty());
            let oldest = order.ok_or(StorageError::Full)?.remove(0);
            if let Some(bytes) = self.pieces.remove(&oldest.number()) {
                self.room += bytes.len() as u64;
                self.lost.push(oldest);
            }
        }
        self.touch(piece);
        if self.pieces.insert(piece.number(), data.to_vec().into()).is_none() {
            self.room -= length;
        }
        Ok(())
    }

    /// The bytes of a range.
    pub(crate) fn read(&self, range: Range) -> Result<Bytes, StorageError> {
        let piece = self.pieces.get(&range.piece.number());
        let end = range.begin as usize + range.length as usize;
        piece
            .filter(|piece| end <= piece.len())
            .map(|piece| piece.slice(range.begin as usize..end))
            .ok_or_else(|| StorageError::Other(String::from("the piece is not there")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tombolo_core::layout::Layout;

    #[test]
    fn what_was_used_longest_ago_gives_way() {
        let layout = Layout::new(80, 16).unwrap();
        let mut memory = Memory::passing(Plan::new(layout.clone(), Vec::new()), 32);
        let data = Slices::from(Bytes::from_static(&[7; 16]));
        let piece = |index| layout.piece(index).unwrap();
        (0..2).for_each(|index| memory.write(piece(index), &data).unwrap());
        memory.touch(piece(0));
        assert_eq!(memory.write(piece(2), &data), Ok(()));
        assert_eq!((memory.lost(), memory.lost()), (vec![piece(1)], Vec::new()));
        assert!(memory.read(layout.range(1, 0, 1).unwrap()).is_err());
        assert!(memory.read(layout.range(0, 0, 1).unwrap()).is_ok());
    }

    #[test]
    fn there_is_room_for_so_much_and_a_piece_counts_once() {
        let layout = Layout::new(40, 16).unwrap();
        let mut memory = Memory::new(Plan::new(layout.clone(), Vec::new()), 32);
        let data = Slices::from(Bytes::from_static(&[7; 16]));
        let piece = |index| layout.piece(index).unwrap();
        assert_eq!(memory.write(piece(0), &data), Ok(()));
        assert_eq!(memory.write(piece(0), &data), Ok(()));
        assert_eq!(memory.write(piece(1), &data), Ok(()));
        assert_eq!(memory.write(piece(2), &data), Err(StorageError::Full));
        assert_eq!(memory.read(layout.range(1, 12, 4).unwrap()).unwrap(), &[7; 4][..]);
        assert!(memory.read(layout.range(2, 0, 1).unwrap()).is_err());
    }
}
