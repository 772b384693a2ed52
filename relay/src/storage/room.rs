//! Pieces that found no room on the disk, and wait for some.
//!
//! Invariant: a job that waits is kept with its data and tried again in turn, until it is done or its torrent
//! is closed; whoever gave it hears that storage waits when the first one of a torrent does, and that it goes on when none does any more.
//! The jobs that can wait are those of the memory that the session may use.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use tombolo_core::event::Torrent;

use super::queue::Turn;
use super::worker::{Key, Work};

/// How long after a failed attempt the next one is made. Room is made by persons.
const AGAIN: Duration = Duration::from_secs(1);

/// The jobs that wait.
#[derive(Default)]
pub(super) struct Waiting {
    jobs: VecDeque<(Turn<Key>, Work)>,
    torrents: BTreeSet<Torrent>,
    /// When to try again; `None` while a worker is at it, or there is nothing to do.
    next: Option<Instant>,
}

impl Waiting {
    /// A job found no room. True: it is the first of its torrent.
    pub(super) fn push(&mut self, torrent: Torrent, turn: Turn<Key>, work: Work) -> bool {
        self.jobs.push_back((turn, work));
        self.next.get_or_insert_with(|| Instant::now() + AGAIN);
        self.torrents.insert(torrent)
    }

    /// A job to try again, if it is time to. [`Self::push`] or [`Self::went_well`] follows.
    pub(super) fn pop(&mut self, at_once: bool) -> Option<(Turn<Key>, Work)> {
        if at_once || self.next.is_some_and(|next| next <= Instant::now()) {
            self.next = None;
            return self.jobs.pop_front();
        }
        None
    }

    /// A job that was tried again is done: the next one may be tried at once. The torrents that go on, if none is left.
    pub(super) fn went_well(&mut self) -> BTreeSet<Torrent> {
        if self.jobs.is_empty() {
            return std::mem::take(&mut self.torrents);
        }
        self.next = Some(Instant::now());
        BTreeSet::new()
    }

    /// How long until something is to be tried again.
    pub(super) fn pause(&self) -> Option<Duration> {
        self.next.map(|next| next.saturating_duration_since(Instant::now()))
    }

    /// The jobs of a torrent are no longer wanted.
    pub(super) fn forget(&mut self, torrent: Torrent) -> Vec<Turn<Key>> {
        self.torrents.remove(&torrent);
        let is_its = |turn: &Turn<Key>| matches!(turn, Turn::Write((of, _)) if *of == torrent);
        let gone = self.jobs.iter().map(|(turn, _)| *turn).filter(is_its).collect();
        self.jobs.retain(|(turn, _)| !is_its(turn));
        if self.jobs.is_empty() {
            self.next = None;
        }
        gone
    }
}
