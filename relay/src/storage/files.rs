//! A torrent as the files a person wants: `DIR/<name>/<path…>`, and our own state under `DIR/.tombolo`.
//!
//! Invariants: nothing is written outside the folder, nothing at all when it is only to be read; a piece is called held only when all
//! its bytes are in place; a file nobody selected is not made: the bytes it shares with pieces of its neighbours lie in a parts file,
//! sparse, at their offset in the torrent. The event that makes the last wanted piece held comes after every file is final.

use std::collections::BTreeSet;
use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;
use tombolo_core::bits::Bits;
use tombolo_core::digest::{Digests, Hashing};
use tombolo_core::layout::{Piece, Range};
use tombolo_core::slices::Slices;

use super::content::Content;
use super::handles::Handles;
use super::io::{read_into, write_all};
use super::moving::Roots;
use super::plan::{Entry, Kind, Span};
use super::restore::{self, Found};
use super::resume::Resume;
use super::root::{Access, STATE, Stat};
use super::{Folder, lock, read, write};
use crate::hash;

/// How often the record of verified pieces is written while pieces come in. More often costs time on torrents of many files; less often
/// means more hashing after a kill.
const SAVE_EVERY: Duration = Duration::from_secs(5);

/// Where the bytes of a file are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the file itself.
    File,
    /// In the parts file, for nobody wants the file.
    Parts,
    /// Nowhere: they are zeros, or there are none.
    Nowhere,
}

/// The files of one torrent.
pub(super) struct Files {
    roots: Roots,
    content: Content,
    /// Names our own state; hexadecimal digits.
    name: String,
    writable: bool,
    handles: Handles,
    places: RwLock<Vec<Place>>,
    progress: Mutex<Progress>,
}

/// What is held, and what of that the record on disk knows.
struct Progress {
    held: Bits,
    selected: Vec<bool>,
    wanted: Bits,
    /// How many wanted pieces are not held.
    missing: usize,
    /// What the files looked like when they were last looked at; the parts file is the last.
    stats: Vec<Option<Stat>>,
    /// Files written to since.
    touched: BTreeSet<usize>,
    saved: Instant,
    dirty: bool,
    /// Whether every file that is wanted is in its final form and place.
    settled: bool,
    /// Whether all files have their room.
    allocated: bool,
}

impl Files {
    /// Opens a torrent below `dir` and says what is there: the pieces held and those to be checked.
    pub(super) fn open(
        folder: &Folder,
        content: Content,
        name: String,
        selected: &[bool],
    ) -> io::Result<(Self, Found)> {
        let roots = Roots::open(folder, content.plan.entries(), &name)?;
        let root = roots.now();
        let stats = content.plan.entries().iter().map(|entry| match entry.kind {
            Kind::Regular { .. } => root.stat(&entry.elements()).unwrap_or_default(),
            _ => None,
        });
        let mut stats = stats.collect::<Vec<_>>();
        let places = places(content.plan.entries(), &stats, selected);
        let parts = format!("{name}.parts");
        stats.push(root.stat(&[STATE, &parts]).unwrap_or_default());
        let count = content.layout.pieces();
        let record = format!("{name}.resume");
        let state = (folder.writable && root.stat(&[STATE, &record])?.is_some()).then(|| root.below(&[STATE]));
        let resume = state.and_then(|state| Resume::load(&state.ok()?, &record, count, stats.len()));
        let found = restore::find(&content, &places, &stats, resume.as_ref(), |file| {
            match content.plan.entries().get(file) {
                Some(entry) => root.file(&entry.elements(), Access::Read),
                None => root.file(&[STATE, &parts], Access::Read),
            }
        });
        let wanted = wanted(&content, selected);
        let progress = Progress {
            missing: wanted.iter().filter(|&piece| !found.held.contains(piece)).count(),
            held: found.held.clone(),
            selected: selected.to_vec(),
            wanted,
            stats,
            touched: BTreeSet::new(),
            saved: Instant::now(),
            dirty: false,
            settled: false,
            allocated: !folder.preallocate,
        };
        let files = Self {
            roots,
            content,
            name,
            writable: folder.writable,
            handles: Handles::default(),
            places: RwLock::new(places),
            progress: Mutex::new(progress),
        };
        if lock(&files.progress).missing == 0 {
            files.settle(&mut lock(&files.progress))?;
        }
        Ok((files, found))
    }

    /// Writes a verified piece.
    pub(super) fn store(&self, piece: Piece, data: &Slices) -> io::Result<()> {
        if !self.writable {
            return Err(io::Error::other("this content is only read"));
        }
        let places = read(&self.places);
        self.allocate(&places)?;
        for span in self.content.spans(piece) {
            let part = data.slice(span.at..span.at + span.length);
            if let Some((file, offset)) = self.place(&places, span, true)? {
                write_all(&file, &part, offset)?;
            }
        }
        self.hold(piece, &places, true)
    }

    /// Reads a part of a piece.
    pub(super) fn load(&self, range: Range) -> io::Result<Bytes> {
        let mut data = Vec::with_capacity(range.length as usize);
        let places = read(&self.places);
        let start = self.content.layout.offset(range.piece) + u64::from(range.begin);
        for span in self.content.plan.spans(start, u64::from(range.length)) {
            match self.place(&places, span, false)? {
                Some((file, offset)) => {
                    data.resize(span.at, 0);
                    read_into(&file, &mut data, offset, span.length)?;
                }
                None => data.resize(span.at + span.length, 0),
            }
        }
        data.resize(range.length as usize, 0);
        Ok(data.into())
    }

    /// The digests of what is there of a few pieces; an error for one that is not there in full.
    pub(super) fn check(&self, pieces: &[(Piece, Hashing)]) -> Vec<io::Result<Digests>> {
        let places = read(&self.places);
        let layout = &self.content.layout;
        let mut checked = hash::of_each(pieces, layout, |piece, at, part| {
            let start = layout.offset(piece) + at as u64;
            let mut end = 0;
            for span in self.content.plan.spans(start, part.len() as u64) {
                part[end..span.at].fill(0);
                end = span.at + span.length;
                match self.place(&places, span, false)? {
                    Some((file, offset)) => file.read_exact_at(&mut part[span.at..end], offset)?,
                    None => part[span.at..end].fill(0),
                }
            }
            part[end..].fill(0);
            Ok(())
        });
        for (&(piece, _), checked) in pieces.iter().zip(&mut checked) {
            let is_right = checked
                .as_ref()
                .is_ok_and(|digests| self.content.matches(piece, digests));
            if is_right && let Err(error) = self.hold(piece, &places, false) {
                *checked = Err(error);
            }
        }
        checked
    }

    /// Takes over another selection. What was kept of a file nobody wanted is moved into the file when somebody does.
    pub(super) fn select(&self, selected: &[bool]) -> io::Result<()> {
        let mut places = write(&self.places);
        for (number, entry) in self.content.plan.entries().iter().enumerate() {
            if places.get(number) == Some(&Place::Parts) && is_selected(selected, number) {
                self.move_out(&places, number, entry)?;
                places[number] = Place::File;
            }
        }
        let mut progress = lock(&self.progress);
        progress.selected = selected.to_vec();
        progress.settled = false;
        progress.wanted = wanted(&self.content, selected);
        progress.missing = progress
            .wanted
            .iter()
            .filter(|&piece| !progress.held.contains(piece))
            .count();
        if progress.missing == 0 {
            drop(places);
            self.settle(&mut progress)?;
        }
        Ok(())
    }

    /// Copies what is held of a file from the parts file into the file.
    fn move_out(&self, places: &[Place], number: usize, entry: &Entry) -> io::Result<()> {
        let held = lock(&self.progress).held.clone();
        for piece in self.content.layout.pieces_of(entry.start, entry.end()) {
            let spans = self.content.spans(piece).filter(|span| span.file == number);
            for span in spans.filter(|_| held.contains(piece.index())) {
                let Some((parts, offset)) = self.place(places, span, false)? else {
                    continue;
                };
                let mut data = Vec::with_capacity(span.length);
                read_into(&parts, &mut data, offset, span.length)?;
                let file = self.roots.file(&entry.elements(), Access::Write)?;
                write_all(&file, &Slices::from(Bytes::from(data)), span.offset)?;
            }
        }
        Ok(())
    }

    /// Counts a piece as held; with the last one that is wanted, makes the files final.
    fn hold(&self, piece: Piece, places: &[Place], written: bool) -> io::Result<()> {
        let mut progress = lock(&self.progress);
        let parts = self.content.plan.entries().len();
        if written {
            let numbers = self.content.spans(piece).map(|span| match places.get(span.file) {
                Some(Place::Parts) => parts,
                _ => span.file,
            });
            progress.touched.extend(numbers);
        }
        progress.dirty = true;
        if progress.held.insert(piece.index()) && progress.wanted.contains(piece.index()) {
            progress.missing -= 1;
        }
        if progress.missing == 0 && !progress.settled {
            return self.settle(&mut progress);
        }
        if progress.saved.elapsed() > SAVE_EVERY {
            self.try_save(&mut progress);
        }
        Ok(())
    }

    /// Takes the room of every file, once, where that is wanted. A file system that cannot do so makes them sparse.
    fn allocate(&self, places: &[Place]) -> io::Result<()> {
        let mut progress = lock(&self.progress);
        if progress.allocated {
            return Ok(());
        }
        for (number, entry) in self.content.plan.entries().iter().enumerate() {
            if entry.length > 0 && places.get(number) == Some(&Place::File) {
                let file = self.roots.file(&entry.elements(), Access::Write)?;
                reserve(&file, entry.length)?;
            }
        }
        progress.allocated = true;
        Ok(())
    }

    /// Gives every selected file its final form: its length, its permissions; and makes those of which no piece has a byte.
    fn settle(&self, progress: &mut Progress) -> io::Result<()> {
        if !self.writable {
            return Ok(());
        }
        for (number, entry) in self.content.plan.entries().iter().enumerate() {
            if !is_selected(&progress.selected, number) {
                continue;
            }
            match &entry.kind {
                Kind::Pad => {}
                Kind::Symlink(target) => self.roots.now().symlink(&entry.elements(), target)?,
                Kind::Regular { executable } => {
                    let stat = self.roots.stat(&entry.elements())?;
                    if stat.map(|stat| stat.length) == Some(entry.length) && !executable {
                        continue;
                    }
                    let file = self.roots.file(&entry.elements(), Access::Write)?;
                    file.set_len(entry.length)?;
                    if *executable {
                        allow_execution(&file)?;
                    }
                    progress.touched.insert(number);
                }
            }
        }
        if self.roots.move_on(self.content.plan.entries())? {
            // A file that was copied is another one now.
            self.handles.close_all();
            progress.touched.extend(0..progress.stats.len());
        }
        progress.settled = true;
        self.try_save(progress);
        Ok(())
    }

    /// As [`Self::save`]. Where that fails, everything is hashed at the next start, which does no harm; so no piece fails with it.
    fn try_save(&self, progress: &mut Progress) {
        if self.save(progress).is_err() {
            progress.saved = Instant::now();
        }
    }

    /// Writes the record of verified pieces.
    fn save(&self, progress: &mut Progress) -> io::Result<()> {
        if !self.writable {
            return Ok(());
        }
        for number in std::mem::take(&mut progress.touched) {
            let stat = match self.content.plan.entries().get(number) {
                Some(entry) if entry.is_regular() => self.roots.stat(&entry.elements()),
                Some(_) => Ok(None),
                None => self.roots.stat(&[STATE, &self.parts()]),
            };
            if let Some(known) = progress.stats.get_mut(number) {
                *known = stat.unwrap_or_default();
            }
        }
        let resume = Resume {
            held: progress.held.clone(),
            files: progress.stats.clone(),
        };
        resume.save(&self.roots.now().below(&[STATE])?, &format!("{}.resume", self.name))?;
        progress.saved = Instant::now();
        progress.dirty = false;
        Ok(())
    }

    /// The open file that has a span and where in it; `None` for zeros.
    fn place(&self, places: &[Place], span: Span, writable: bool) -> io::Result<Option<(Arc<File>, u64)>> {
        let entries = self.content.plan.entries();
        let (Some(entry), Some(place)) = (entries.get(span.file), places.get(span.file)) else {
            return Ok(None);
        };
        let access = if writable { Access::Write } else { Access::Read };
        match place {
            Place::Nowhere => Ok(None),
            Place::File => {
                let file = self
                    .handles
                    .file(span.file, writable, || self.roots.file(&entry.elements(), access))?;
                Ok(Some((file, span.offset)))
            }
            Place::Parts => {
                let open = || self.roots.file(&[STATE, &self.parts()], access);
                let file = self.handles.file(entries.len(), writable, open)?;
                Ok(Some((file, entry.start + span.offset)))
            }
        }
    }

    fn parts(&self) -> String {
        format!("{}.parts", self.name)
    }
}

/// Leaves the record as it should be found next time.
impl Drop for Files {
    fn drop(&mut self) {
        let mut progress = lock(&self.progress);
        if progress.dirty {
            // Nobody is left to be told; without the record everything is hashed again.
            let _ = self.save(&mut progress);
        }
    }
}

/// Whether a file is selected; those past the end of the list are.
fn is_selected(selected: &[bool], number: usize) -> bool {
    selected.get(number).copied().unwrap_or(true)
}

/// Where each file's bytes belong: a file that is there stays in use even if nobody wants it any more.
fn places(entries: &[Entry], stats: &[Option<Stat>], selected: &[bool]) -> Vec<Place> {
    let place = |(number, entry): (usize, &Entry)| match stats.get(number) {
        _ if !entry.is_regular() => Place::Nowhere,
        Some(None) if !is_selected(selected, number) => Place::Parts,
        _ => Place::File,
    };
    entries.iter().enumerate().map(place).collect()
}

/// The pieces that have a byte of a selected file.
fn wanted(content: &Content, selected: &[bool]) -> Bits {
    let mut wanted = Bits::new(content.layout.pieces());
    for (number, entry) in content.plan.entries().iter().enumerate() {
        if is_selected(selected, number) && entry.kind != Kind::Pad {
            let pieces = content.layout.pieces_of(entry.start, entry.end());
            for piece in pieces {
                wanted.insert(piece.index());
            }
        }
    }
    wanted
}

/// Whoever may read it may execute it.
fn allow_execution(file: &File) -> io::Result<()> {
    let mode = file.metadata()?.permissions().mode();
    file.set_permissions(Permissions::from_mode(mode | (mode & 0o444) >> 2))
}

/// Takes the room of the first `length` bytes of a file.
fn reserve(file: &File, length: u64) -> io::Result<()> {
    match fallocate(file, FallocateFlags::empty(), 0, length) {
        Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
