//! What a worker thread does: take jobs, do them, answer.
//!
//! Small jobs are taken several at a time, but never more than a worker's fair share of what waits: the others shall not be idle.

use std::sync::{Arc, PoisonError};

use tombolo_core::bits::Bits;
use tombolo_core::digest::Hashing;
use tombolo_core::event::{Event, Job, Torrent};
use tombolo_core::layout::{Piece, Range};
use tombolo_core::metainfo::Metainfo;
use tombolo_core::slices::Slices;

use super::io::storage_error;
use super::queue::Turn;
use super::store::Store;
use super::{Shared, lock, not_open};
use crate::hash;

/// Names a piece of all torrents.
pub(super) type Key = (Torrent, Piece);

/// Jobs of fewer bytes together are taken at once: some 100 µs of hashing.
const BATCH: usize = 256 * 1024;

/// The most jobs taken at once.
const MAX_BATCH: usize = 32;

/// Something to be done.
pub(super) enum Work {
    Open(Torrent, Arc<Metainfo>),
    Select(Arc<Store>, Vec<bool>),
    Hash(Job, Slices, Hashing),
    /// A job of a piece; without a store its torrent is not open.
    Piece(Option<Arc<Store>>, Piece, Task),
}

/// What is to be done with a piece.
pub(super) enum Task {
    Check(Job, Hashing),
    Store(Job, Slices),
    Load(Job, Range),
    Discard,
}

impl Task {
    /// Whether it changes what is stored.
    pub(super) const fn writes(&self) -> bool {
        matches!(self, Self::Store(..) | Self::Discard)
    }
}

impl Work {
    /// About how many bytes it handles.
    fn cost(&self) -> usize {
        match self {
            Self::Hash(_, data, _) | Self::Piece(_, _, Task::Store(_, data)) => data.len(),
            Self::Piece(_, _, Task::Load(_, range)) => range.length as usize,
            Self::Piece(_, _, Task::Discard) => 4096,
            // So many are hashed together.
            Self::Piece(_, _, Task::Check(..)) => BATCH / hash::LANES,
            Self::Open(..) | Self::Select(..) => BATCH,
        }
    }
}

/// Does jobs until the disk is dropped and none is left.
pub(super) fn work(shared: &Shared, deliver: &impl Fn(Event)) {
    let mut batch = Vec::with_capacity(MAX_BATCH);
    let mut turns = Vec::with_capacity(MAX_BATCH);
    while let Some(again) = take(shared, &mut turns, &mut batch) {
        let mut batch = batch.drain(..).peekable();
        while let Some((turn, work)) = batch.next() {
            if let Some(mut checks) = Checks::begin(&work) {
                turns.push(turn);
                while let Some((turn, _)) = batch.next_if(|(_, work)| checks.take(work)) {
                    turns.push(turn);
                }
                checks.run(deliver);
                continue;
            }
            match perform(shared, deliver, work, again) {
                None => turns.push(turn),
                Some(work) => wait(shared, deliver, turn, work),
            }
        }
    }
}

/// Pieces of one torrent that are checked together: hashing two takes little longer than one.
struct Checks {
    store: Arc<Store>,
    jobs: Vec<Job>,
    pieces: Vec<(Piece, Hashing)>,
}

impl Checks {
    /// The first one, if that is what the work is.
    fn begin(work: &Work) -> Option<Self> {
        match work {
            Work::Piece(Some(store), piece, Task::Check(job, hashing)) => Some(Self {
                store: Arc::clone(store),
                jobs: vec![*job],
                pieces: vec![(*piece, *hashing)],
            }),
            _ => None,
        }
    }

    /// Adds another one, if that is what the work is.
    fn take(&mut self, work: &Work) -> bool {
        match work {
            Work::Piece(Some(store), piece, Task::Check(job, hashing)) if Arc::ptr_eq(store, &self.store) => {
                self.jobs.push(*job);
                self.pieces.push((*piece, *hashing));
                true
            }
            _ => false,
        }
    }

    fn run(self, deliver: &impl Fn(Event)) {
        let found = self.store.check(&self.pieces);
        let events = self.jobs.into_iter().zip(found);
        events.for_each(|(job, digests)| deliver(Event::Checked(job, digests.ok())));
    }
}

/// A piece found no room: it is kept until there is some.
fn wait(shared: &Shared, deliver: &impl Fn(Event), turn: Turn<Key>, work: Work) {
    let Turn::Write((torrent, _)) = turn else { return };
    let first = lock(&shared.inbox).waiting.push(torrent, turn, work);
    // Whoever waits for work is to know until when.
    shared.wake.notify_one();
    if first {
        deliver(Event::StorageFull(torrent, true));
    }
}

/// Ends the jobs of `turns` and waits for the next ones; true: one that waited for room, to be tried again. `None` when there will be none.
fn take(shared: &Shared, turns: &mut Vec<Turn<Key>>, batch: &mut Vec<(Turn<Key>, Work)>) -> Option<bool> {
    let mut inbox = lock(&shared.inbox);
    turns.drain(..).for_each(|turn| inbox.queue.done(turn));
    loop {
        let stopping = inbox.stopping;
        // First, or it would wait for as long as there is other work.
        if let Some(waiting) = inbox.waiting.pop(stopping) {
            batch.push(waiting);
            return Some(true);
        }
        let share = inbox.queue.ready().div_ceil(shared.threads).min(MAX_BATCH);
        let mut cost = 0;
        while batch.len() < share && cost < BATCH {
            let Some((turn, work)) = inbox.queue.pop() else { break };
            cost += work.cost();
            batch.push((turn, work));
        }
        if !batch.is_empty() {
            if inbox.queue.ready() > 0 && inbox.idle > 0 {
                shared.wake.notify_one();
            }
            return Some(false);
        }
        if stopping {
            return None;
        }
        inbox.idle += 1;
        inbox = match inbox.waiting.pause() {
            Some(pause) => shared
                .wake
                .wait_timeout(inbox, pause)
                .map_or_else(|error| error.into_inner().0, |woken| woken.0),
            None => shared.wake.wait(inbox).unwrap_or_else(PoisonError::into_inner),
        };
        inbox.idle -= 1;
    }
}

/// Does a job; gives it back if it has to wait for room. `again`: it waited before.
fn perform(shared: &Shared, deliver: &impl Fn(Event), work: Work, again: bool) -> Option<Work> {
    match work {
        Work::Hash(job, data, hashing) => deliver(Event::Hashed(job, hashing.digest(&data))),
        Work::Open(torrent, metainfo) => deliver(open(shared, torrent, &metainfo)),
        Work::Select(store, selected) => store.select(&selected),
        Work::Piece(Some(store), piece, Task::Store(job, data)) => match store.store(piece, &data) {
            Err(error) if store.waits_for_room(&error) && !lock(&shared.inbox).stopping => {
                return Some(Work::Piece(Some(store), piece, Task::Store(job, data)));
            }
            stored => {
                if again {
                    let going_on = lock(&shared.inbox).waiting.went_well();
                    let said = going_on.into_iter().map(|torrent| Event::StorageFull(torrent, false));
                    said.for_each(deliver);
                }
                deliver(Event::Stored(job, stored.map_err(|error| storage_error(&error))));
            }
        },
        Work::Piece(store, piece, task) => {
            if let Some(event) = piece_task(store.as_deref(), piece, task) {
                deliver(event);
            }
        }
    }
    None
}

fn open(shared: &Shared, torrent: Torrent, metainfo: &Metainfo) -> Event {
    let selected = lock(&shared.selected).get(&torrent).cloned().unwrap_or_default();
    let (store, found) = Store::open(&shared.policy, metainfo, &selected);
    lock(&shared.stores).insert(torrent, Arc::new(store));
    let nothing = || Bits::new(metainfo.layout.pieces());
    let (held, check) = found.map_or_else(|| (nothing(), nothing()), |found| (found.held, found.check));
    Event::Restored { torrent, held, check }
}

fn piece_task(store: Option<&Store>, piece: Piece, task: Task) -> Option<Event> {
    match task {
        // With a store, these were done before.
        Task::Check(job, _) => Some(Event::Checked(job, None)),
        Task::Store(job, _) => Some(Event::Stored(job, Err(not_open()))),
        Task::Load(job, range) => {
            let loaded = store.map_or_else(
                || Err(not_open()),
                |store| store.load(range).map_err(|error| storage_error(&error)),
            );
            Some(Event::Loaded(job, loaded.map(Slices::from)))
        }
        Task::Discard => {
            if let Some(store) = store {
                store.discard(piece);
            }
            None
        }
    }
}
