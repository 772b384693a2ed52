//! A torrent's bytes in the browser: written, read and checked in the order that the session asked for.
//!
//! Invariant: tasks of one torrent are done as if in order, so that a read after a write sees it. What can be done at once is:
//! opened files of the origin's private file system are read and written without waiting. Where a file must be opened first, the
//! tasks behind it wait too. The user's own files are only read, so there the tasks behind go on.

mod blobs;
mod disk;
mod memory;
mod plan;
mod record;

use std::collections::VecDeque;

use bytes::Bytes;
use tombolo_core::bits::Bits;
use tombolo_core::digest::Hashing;
use tombolo_core::event::{Event, Job, StorageError};
use tombolo_core::gather::Gather;
use tombolo_core::layout::{Piece, Range};
use tombolo_core::slices::Slices;
use wasm_bindgen::JsValue;

use crate::platform::{Access, member, message, text_member};

pub(crate) use blobs::Blobs;
pub(crate) use disk::{Disk, file_name};
pub(crate) use memory::{LEAST_CACHE, LIMIT, Memory};
pub(crate) use plan::{Extent, Place, Plan};

/// Where a torrent's bytes are.
#[derive(Debug)]
pub(crate) enum Backing {
    /// In the origin's private file system.
    Disk(Disk),
    /// In memory, where there is no such file system.
    Memory(Memory),
    /// In the user's own files, read only.
    Blobs(Blobs),
}

/// Who wants bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reader {
    /// The session.
    Session(Job),
    /// A stream of the service worker, by its number.
    Stream(u32),
}

/// One thing to do.
#[derive(Debug)]
pub(crate) enum Task {
    /// Write a verified piece.
    Store(Job, Piece, Slices),
    /// Read some bytes.
    Load(Reader, Range),
    /// Hash a piece.
    Check(Job, Piece, Hashing),
    /// Give a file a stored file of its own, since it is wanted now.
    Own(usize),
}

/// What a task came to.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The session is to be told.
    Event(Event),
    /// A stream is to be given these bytes.
    Read(u32, Result<Vec<u8>, StorageError>),
    /// Nothing follows of it.
    Nothing,
}

/// Why bytes cannot be had just now.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// A file must be opened.
    Closed(Place),
    /// A part of the user's files must be read.
    Unread(u64),
    /// It failed.
    Failed(StorageError),
}

/// A torrent's bytes and what is to be done with them.
#[derive(Debug)]
pub(crate) struct Store {
    backing: Backing,
    /// A file is being opened.
    waiting: bool,
    queue: VecDeque<Task>,
    /// Tasks that wait for parts of the user's files, by part.
    parked: Vec<(u64, Task)>,
}

impl Store {
    /// A store on this backing, with nothing to do.
    pub(crate) const fn new(backing: Backing) -> Self {
        Self {
            backing,
            waiting: false,
            queue: VecDeque::new(),
            parked: Vec::new(),
        }
    }

    /// Where the bytes are.
    pub(crate) const fn backing(&self) -> &Backing {
        &self.backing
    }

    /// Where the bytes are, to change it.
    pub(crate) const fn backing_mut(&mut self) -> &mut Backing {
        &mut self.backing
    }

    /// The pieces that are held.
    pub(crate) fn held(&self, pieces: usize) -> Bits {
        match &self.backing {
            Backing::Disk(disk) => disk.held(),
            Backing::Memory(_) => Bits::new(pieces),
            Backing::Blobs(_) => Bits::full(pieces),
        }
    }

    /// The pieces that may be held: what was written last, perhaps not in full if all stopped at once.
    pub(crate) fn unsure(&self, pieces: usize) -> Bits {
        match &self.backing {
            Backing::Disk(disk) => disk.unsure(),
            _ => Bits::new(pieces),
        }
    }

    /// What is not held any more since this was last asked.
    pub(crate) fn lost(&mut self) -> Vec<Piece> {
        match &mut self.backing {
            Backing::Memory(memory) => memory.lost(),
            _ => Vec::new(),
        }
    }

    /// Puts a task behind the others.
    pub(crate) fn push(&mut self, task: Task) {
        self.queue.push_back(task);
    }

    /// Does the next task. `Err` tells what must be seen to: a file to be [`opened`](Self::opened), until when nothing more is done,
    /// or a part of the user's files to be [`read_part`](Self::read_part).
    pub(crate) fn step(&mut self) -> Option<Result<Outcome, Trouble>> {
        if self.waiting {
            return None;
        }
        let task = self.queue.pop_front()?;
        match self.attempt(&task) {
            Ok(outcome) => Some(Ok(outcome)),
            Err(Trouble::Failed(error)) => Some(Ok(failed(&task, error))),
            Err(Trouble::Closed(place)) => {
                self.queue.push_front(task);
                self.waiting = true;
                Some(Err(Trouble::Closed(place)))
            }
            Err(Trouble::Unread(part)) => {
                let is_being_read = self.parked.iter().any(|(parked, _)| *parked == part);
                self.parked.push((part, task));
                Some(if is_being_read {
                    Ok(Outcome::Nothing)
                } else {
                    Err(Trouble::Unread(part))
                })
            }
        }
    }

    /// A file was opened, or cannot be.
    pub(crate) fn opened(&mut self, place: Place, access: Result<Access, StorageError>) -> Option<Outcome> {
        self.waiting = false;
        match (access, &mut self.backing) {
            (Ok(access), Backing::Disk(disk)) => {
                disk.opened(place, access);
                None
            }
            (Ok(access), _) => {
                access.close();
                None
            }
            (Err(error), _) => self.queue.pop_front().map(|task| failed(&task, error)),
        }
    }

    /// A part of the user's files was read, or cannot be: what becomes of the tasks that cannot be done.
    pub(crate) fn read_part(&mut self, part: u64, bytes: Result<Bytes, StorageError>) -> Vec<Outcome> {
        let parked = std::mem::take(&mut self.parked);
        let (ready, parked): (Vec<_>, Vec<_>) = parked.into_iter().partition(|(index, _)| *index == part);
        self.parked = parked;
        match (bytes, &mut self.backing) {
            (Ok(bytes), Backing::Blobs(blobs)) => {
                blobs.arrived(part, bytes);
                let ready = ready.into_iter().rev();
                ready.for_each(|(_, task)| self.queue.push_front(task));
                Vec::new()
            }
            (Ok(_), _) => Vec::new(),
            (Err(error), _) => ready.iter().map(|(_, task)| failed(task, error.clone())).gather(),
        }
    }

    fn attempt(&mut self, task: &Task) -> Result<Outcome, Trouble> {
        Ok(match task {
            Task::Store(job, piece, data) => {
                match &mut self.backing {
                    Backing::Disk(disk) => disk.write(*piece, data)?,
                    Backing::Memory(memory) => memory.write(*piece, data).map_err(Trouble::Failed)?,
                    Backing::Blobs(_) => {}
                }
                Outcome::Event(Event::Stored(*job, Ok(())))
            }
            Task::Load(reader, range) => {
                let bytes = self.read(*range)?;
                match reader {
                    Reader::Session(job) => Outcome::Event(Event::Loaded(*job, Ok(bytes.into()))),
                    Reader::Stream(stream) => Outcome::Read(*stream, Ok(bytes.to_vec())),
                }
            }
            Task::Check(job, piece, hashing) => {
                let layout = self.backing.plan().layout();
                let range = layout.range(piece.number(), 0, layout.piece_length(*piece));
                let bytes = range.map(|range| self.read(range)).transpose()?;
                let digests = bytes.map(|bytes| hashing.digest(&bytes.into()));
                Outcome::Event(Event::Checked(*job, digests))
            }
            Task::Own(file) => {
                if let Backing::Disk(disk) = &mut self.backing {
                    disk.own(*file)?;
                }
                Outcome::Nothing
            }
        })
    }

    fn read(&mut self, range: Range) -> Result<Bytes, Trouble> {
        match &mut self.backing {
            Backing::Disk(disk) => disk.read(range).map(Bytes::from),
            Backing::Memory(memory) => {
                memory.touch(range.piece);
                memory.read(range).map_err(Trouble::Failed)
            }
            Backing::Blobs(blobs) => blobs.read(range),
        }
    }
}

impl Backing {
    /// Where the bytes lie.
    pub(crate) const fn plan(&self) -> &Plan {
        match self {
            Self::Disk(disk) => disk.plan(),
            Self::Memory(memory) => memory.plan(),
            Self::Blobs(blobs) => blobs.plan(),
        }
    }
}

fn failed(task: &Task, error: StorageError) -> Outcome {
    match task {
        Task::Store(job, ..) => Outcome::Event(Event::Stored(*job, Err(error))),
        Task::Load(Reader::Session(job), _) => Outcome::Event(Event::Loaded(*job, Err(error))),
        Task::Load(Reader::Stream(stream), _) => Outcome::Read(*stream, Err(error)),
        Task::Check(job, ..) => Outcome::Event(Event::Checked(*job, None)),
        Task::Own(_) => Outcome::Nothing,
    }
}

/// A storage error in words.
pub(crate) fn words(error: &StorageError) -> &str {
    match error {
        StorageError::Full => "there is no room left",
        StorageError::Other(why) => why,
    }
}

/// What the browser threw, as the session knows it.
pub(crate) fn storage_error(error: &JsValue) -> StorageError {
    if text_member(error, "name").as_deref() == Some("QuotaExceededError") || !member(error, "quota").is_undefined() {
        StorageError::Full
    } else {
        StorageError::Other(message(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tombolo_core::layout::Layout;

    fn memory_store() -> Store {
        let layout = Layout::new(40, 16).unwrap();
        let extent = Extent {
            start: 0,
            length: 40,
            pad: false,
        };
        Store::new(Backing::Memory(Memory::new(Plan::new(layout, vec![extent]), 32)))
    }

    #[test]
    fn a_part_is_read_once_for_all_who_wait() {
        let layout = Layout::new(256 << 10, 64 << 10).unwrap();
        let mut store = Store::new(Backing::Blobs(Blobs::new(
            Plan::new(layout.clone(), Vec::new()),
            JsValue::NULL,
        )));
        for (stream, begin) in [(1, 0), (2, 9)] {
            store.push(Task::Load(Reader::Stream(stream), layout.range(1, begin, 3).unwrap()));
        }
        store.push(Task::Load(Reader::Stream(3), layout.range(2, 0, 1).unwrap()));
        assert!(matches!(store.step(), Some(Err(Trouble::Unread(1)))));
        assert!(matches!(store.step(), Some(Ok(Outcome::Nothing))));
        assert!(matches!(store.step(), Some(Err(Trouble::Unread(2)))));
        assert!(store.step().is_none());
        assert!(store.read_part(1, Ok(Bytes::from(vec![7; 64 << 10]))).is_empty());
        assert!(matches!(store.step(), Some(Ok(Outcome::Read(1, Ok(_))))));
        assert!(matches!(store.step(), Some(Ok(Outcome::Read(2, Ok(_))))));
        let lost = store.read_part(2, Err(StorageError::Full));
        assert!(matches!(lost[..], [Outcome::Read(3, Err(StorageError::Full))]));
        assert!(store.step().is_none());
    }

    #[test]
    fn a_stream_reads_what_was_written_before() {
        let mut store = memory_store();
        let layout = store.backing().plan().layout().clone();
        let data = Slices::from(Bytes::from_static(b"0123456789abcdef"));
        let Backing::Memory(memory) = store.backing_mut() else {
            unreachable!()
        };
        memory.write(layout.piece(1).unwrap(), &data).unwrap();
        store.push(Task::Load(Reader::Stream(7), layout.range(1, 4, 3).unwrap()));
        store.push(Task::Load(Reader::Stream(8), layout.range(0, 0, 1).unwrap()));
        let Some(Ok(Outcome::Read(7, Ok(bytes)))) = store.step() else {
            panic!("no bytes")
        };
        assert_eq!(bytes, b"456");
        assert!(matches!(
            store.step(),
            Some(Ok(Outcome::Read(8, Err(StorageError::Other(_)))))
        ));
        assert!(store.step().is_none());
    }
}
