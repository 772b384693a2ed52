//! Pieces on disk: a [`Disk`] does the storage actions of a session on worker threads and answers with events.
//!
//! Invariants: every job is answered exactly once; jobs of one piece happen as if in the order they were given; nothing is written
//! outside the policy's folder, and no symbolic link below it is followed. A worker takes several small jobs at a time, so that a
//! torrent of 16 KiB pieces costs little more than one of large ones.

mod cache;
mod content;
mod files;
mod handles;
mod io;
mod moving;
mod plan;
mod queue;
mod restore;
mod resume;
mod room;
mod root;
mod store;
#[cfg(test)]
mod tests;
mod verify;
mod worker;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread::JoinHandle;

use tombolo_core::event::{Action, Event, StorageError, Torrent};

pub use verify::{Verdict, verify};

use queue::{Queue, Turn};
use room::Waiting;
use store::Store;
use worker::{Key, Task, Work, work};

/// How torrents are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Policy {
    /// As the files a person wants, under `dir`, with our own state in `dir/.tombolo`.
    Files(Folder),
    /// As single pieces that may be forgotten, in `dir/cache`.
    Cache {
        /// The folder.
        dir: PathBuf,
    },
}

/// A folder for the files of torrents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// Where they are, or come to be.
    pub dir: PathBuf,
    /// Whether anything may be written there; a seed only reads.
    pub writable: bool,
    /// Whether the room of every file is taken before its first piece is written.
    pub preallocate: bool,
    /// Where files are moved to when all of them are there.
    pub move_to: Option<PathBuf>,
}

impl Folder {
    /// A folder that pieces are written to as they come.
    pub const fn writable(dir: PathBuf) -> Self {
        Self {
            dir,
            writable: true,
            preallocate: false,
            move_to: None,
        }
    }

    /// A folder that is only read.
    pub fn read_only(dir: PathBuf) -> Self {
        Self {
            writable: false,
            ..Self::writable(dir)
        }
    }
}

/// Storage for all torrents of a session.
pub struct Disk {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// What the workers and the one who gives them work share.
struct Shared {
    policy: Policy,
    inbox: Mutex<Inbox>,
    wake: Condvar,
    stores: Mutex<HashMap<Torrent, Arc<Store>>>,
    /// Which files of a torrent are selected, told before it is opened.
    selected: Mutex<HashMap<Torrent, Vec<bool>>>,
    threads: usize,
}

/// Jobs, and who waits for them.
struct Inbox {
    queue: Queue<Key, Work>,
    waiting: Waiting,
    idle: usize,
    stopping: bool,
}

impl Disk {
    /// Starts `threads` workers. `deliver` is called from them, and must not wait for the one who calls [`Disk::perform`].
    pub fn start(
        policy: Policy,
        threads: usize,
        deliver: impl Fn(Event) + Send + Sync + Clone + 'static,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            policy,
            inbox: Mutex::new(Inbox {
                queue: Queue::new(),
                waiting: Waiting::default(),
                idle: 0,
                stopping: false,
            }),
            wake: Condvar::new(),
            stores: Mutex::default(),
            selected: Mutex::default(),
            threads: threads.max(1),
        });
        let start = |number| {
            let (shared, deliver) = (Arc::clone(&shared), deliver.clone());
            std::thread::Builder::new()
                .name(format!("disk {number}"))
                .spawn(move || work(&shared, &deliver))
        };
        let threads = (0..threads.max(1)).map(start).collect::<Result<_, _>>()?;
        Ok(Self { shared, threads })
    }

    /// Does a storage action: [`Action::Open`], `Hash`, `Check`, `Store`, `Load` or `Discard`. Gives back any other.
    pub fn perform(&self, action: Action) -> Option<Action> {
        let (turn, work) = match action {
            Action::Open(torrent, metainfo) => (Turn::Free, Work::Open(torrent, metainfo)),
            Action::Hash(job, data, hashing) => (Turn::Free, Work::Hash(job, data, hashing)),
            Action::Check(job, torrent, piece, hashing) => self.task(torrent, piece, Task::Check(job, hashing)),
            Action::Store(job, torrent, piece, data) => self.task(torrent, piece, Task::Store(job, data)),
            Action::Load(job, torrent, range) => self.task(torrent, range.piece, Task::Load(job, range)),
            Action::Discard(torrent, piece) => self.task(torrent, piece, Task::Discard),
            other => return Some(other),
        };
        self.give(turn, work);
        None
    }

    /// Says which files of a torrent are wanted, by number; files past the end of the list are. To be told before the torrent is
    /// opened, and whenever it changes. Only a file that is wanted is made.
    pub fn select(&self, torrent: Torrent, selected: Vec<bool>) {
        let store = lock(&self.shared.stores).get(&torrent).cloned();
        lock(&self.shared.selected).insert(torrent, selected.clone());
        if let Some(store) = store {
            self.give(Turn::Free, Work::Select(store, selected));
        }
    }

    /// Forgets a torrent, once the jobs it has are done; what it holds on disk stays.
    pub fn close(&self, torrent: Torrent) {
        lock(&self.shared.stores).remove(&torrent);
        lock(&self.shared.selected).remove(&torrent);
        let mut inbox = lock(&self.shared.inbox);
        for turn in inbox.waiting.forget(torrent) {
            inbox.queue.done(turn);
        }
    }

    fn task(&self, torrent: Torrent, piece: tombolo_core::layout::Piece, task: Task) -> (Turn<Key>, Work) {
        let key = (torrent, piece);
        let turn = if task.writes() {
            Turn::Write(key)
        } else {
            Turn::Read(key)
        };
        let store = lock(&self.shared.stores).get(&torrent).cloned();
        (turn, Work::Piece(store, piece, task))
    }

    fn give(&self, turn: Turn<Key>, work: Work) {
        let mut inbox = lock(&self.shared.inbox);
        inbox.queue.push(turn, work);
        let idle = inbox.idle > 0;
        drop(inbox);
        if idle {
            self.shared.wake.notify_one();
        }
    }
}

/// Finishes the jobs that were given, writes what is to be remembered, and ends the workers.
impl Drop for Disk {
    fn drop(&mut self) {
        lock(&self.shared.inbox).stopping = true;
        self.shared.wake.notify_all();
        for thread in self.threads.drain(..) {
            // A worker that panicked has said so on stderr.
            let _ = thread.join();
        }
        lock(&self.shared.stores).clear();
    }
}

/// The error of a torrent that is not open.
fn not_open() -> StorageError {
    StorageError::Other("the torrent is not open".into())
}

/// Locks, also after another thread panicked: what these locks guard is whole between any two statements.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
