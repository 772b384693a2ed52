//! What a folder holds of a torrent when it is opened: pieces that are known to be good, and pieces that may be.
//!
//! Cost: O(pieces + spans), a stat for each file, and where there is a record a walk over the extents of each file that changed.

use std::fs::File;
use std::io;

use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;
use tombolo_core::bits::Bits;
use tombolo_core::layout::Piece;

use super::content::Content;
use super::files::Place;
use super::resume::Resume;
use super::root::Stat;

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Pieces that were verified before and have not changed since.
    pub(super) held: Bits,
    /// Pieces all bytes of which are there, to be hashed.
    pub(super) check: Bits,
}

/// What is known of one file.
struct Known {
    length: u64,
    unchanged: bool,
    /// The parts of it that have data; `None` = all of it.
    extents: Option<Vec<(u64, u64)>>,
}

/// Looks at files of these `stats` (the last is the parts file). `open` opens one of them by number.
///
/// Holes are skipped only where a record shows that it was us who left them: a file that somebody else made sparse may be whole.
pub(super) fn find(
    content: &Content,
    places: &[Place],
    stats: &[Option<Stat>],
    resume: Option<&Resume>,
    open: impl Fn(usize) -> io::Result<File>,
) -> Found {
    let known = |(number, stat): (usize, &Option<Stat>)| {
        let unchanged = resume.is_some_and(|resume| resume.files.get(number) == Some(stat));
        let record = resume.is_some_and(|resume| matches!(resume.files.get(number), Some(Some(_))));
        Known {
            length: stat.map_or(0, |stat| stat.length),
            unchanged: unchanged && stat.is_some(),
            extents: record
                .then(|| open(number).and_then(|file| extents(&file)).ok())
                .flatten(),
        }
    };
    let known = stats.iter().enumerate().map(known).collect::<Vec<_>>();
    let count = content.layout.pieces();
    let mut found = Found {
        held: Bits::new(count),
        check: Bits::new(count),
    };
    for piece in content.layout.iter() {
        match state(content, places, &known, piece) {
            State::Unchanged if resume.is_some_and(|resume| resume.held.contains(piece.index())) => {
                found.held.insert(piece.index());
            }
            State::Unchanged | State::There => {
                found.check.insert(piece.index());
            }
            State::Missing => {}
        }
    }
    found
}

/// What is there of a piece.
enum State {
    /// Not all of it.
    Missing,
    /// All of it.
    There,
    /// All of it, in files that have not changed since the record was made.
    Unchanged,
}

fn state(content: &Content, places: &[Place], known: &[Known], piece: Piece) -> State {
    let mut unchanged = true;
    for span in content.spans(piece) {
        let number = match places.get(span.file) {
            Some(Place::File) => span.file,
            Some(Place::Parts) => content.plan.entries().len(),
            // Zeros need no file.
            Some(Place::Nowhere) | None => continue,
        };
        let (Some(file), Some(entry)) = (known.get(number), content.plan.entries().get(span.file)) else {
            return State::Missing;
        };
        let offset = if number == span.file { 0 } else { entry.start } + span.offset;
        if !file.has(offset, offset + span.length as u64) {
            return State::Missing;
        }
        unchanged &= file.unchanged;
    }
    if unchanged { State::Unchanged } else { State::There }
}

impl Known {
    /// Whether all bytes of a range are there, and no hole among them: a piece that was stored has none.
    fn has(&self, start: u64, end: u64) -> bool {
        let Some(extents) = &self.extents else {
            return end <= self.length;
        };
        let first = extents.partition_point(|&(_, to)| to <= start);
        extents.get(first).is_some_and(|&(from, to)| from <= start && end <= to)
    }
}

/// The parts of a file that are no holes.
fn extents(file: &File) -> io::Result<Vec<(u64, u64)>> {
    let mut extents = Vec::new();
    let mut at = 0;
    loop {
        let start = match seek(file, SeekFrom::Data(at)) {
            Ok(start) => start,
            Err(Errno::NXIO) => return Ok(extents),
            Err(error) => return Err(error.into()),
        };
        at = seek(file, SeekFrom::Hole(start))?;
        extents.push((start, at));
    }
}
