//! The order in which jobs are done: any worker takes any job, but jobs of one piece happen as if in the order they came.
//!
//! Invariant: a job that changes a piece is done alone; jobs that read it are done together, after the changes that came before them
//! and before those that come after. Jobs of different pieces, and hashing, need no order. A job costs O(1).

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// Jobs waiting and being done. `K` names a piece, `J` is a job.
pub(super) struct Queue<K, J> {
    ready: VecDeque<(Turn<K>, J)>,
    pieces: HashMap<K, Piece<J>>,
}

/// What a job does to its piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn<K> {
    /// It has nothing to do with any piece.
    Free,
    /// It reads this piece.
    Read(K),
    /// It changes this piece.
    Write(K),
}

/// The jobs of one piece that are not done yet.
struct Piece<J> {
    reading: usize,
    writing: bool,
    waiting: VecDeque<(bool, J)>,
}

impl<J> Default for Piece<J> {
    fn default() -> Self {
        Self {
            reading: 0,
            writing: false,
            waiting: VecDeque::new(),
        }
    }
}

impl<J> Piece<J> {
    /// Marks a job as begun, if it may begin now.
    const fn begin(&mut self, writes: bool) -> bool {
        let may = !self.writing && (!writes || self.reading == 0);
        if may && writes {
            self.writing = true;
        } else if may {
            self.reading += 1;
        }
        may
    }
}

impl<K: Copy + Eq + Hash, J> Queue<K, J> {
    /// No jobs.
    pub(super) fn new() -> Self {
        Self {
            ready: VecDeque::new(),
            pieces: HashMap::new(),
        }
    }

    /// Adds a job.
    pub(super) fn push(&mut self, turn: Turn<K>, job: J) {
        let (key, writes) = match turn {
            Turn::Free => return self.ready.push_back((turn, job)),
            Turn::Read(key) => (key, false),
            Turn::Write(key) => (key, true),
        };
        let piece = self.pieces.entry(key).or_default();
        if piece.waiting.is_empty() && piece.begin(writes) {
            self.ready.push_back((turn, job));
        } else {
            piece.waiting.push_back((writes, job));
        }
    }

    /// The next job that may be done now. [`Queue::done`] must follow.
    pub(super) fn pop(&mut self) -> Option<(Turn<K>, J)> {
        self.ready.pop_front()
    }

    /// How many jobs could be done now.
    pub(super) fn ready(&self) -> usize {
        self.ready.len()
    }

    /// A job that was taken is done: those that waited for it may follow.
    pub(super) fn done(&mut self, turn: Turn<K>) {
        let (key, writes) = match turn {
            Turn::Free => return,
            Turn::Read(key) => (key, false),
            Turn::Write(key) => (key, true),
        };
        let Some(piece) = self.pieces.get_mut(&key) else { return };
        if writes {
            piece.writing = false;
        } else {
            piece.reading -= 1;
        }
        while let Some(&(writes, _)) = piece.waiting.front() {
            if !piece.begin(writes) {
                break;
            }
            if let Some((_, job)) = piece.waiting.pop_front() {
                let turn = if writes { Turn::Write(key) } else { Turn::Read(key) };
                self.ready.push_back((turn, job));
            }
        }
        if !piece.writing && piece.reading == 0 {
            self.pieces.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pops everything that is ready and gives the jobs' names.
    fn pop(queue: &mut Queue<u32, char>) -> (String, Vec<Turn<u32>>) {
        let mut jobs = (String::new(), Vec::new());
        while let Some((turn, job)) = queue.pop() {
            jobs.0.push(job);
            jobs.1.push(turn);
        }
        jobs
    }

    #[test]
    fn jobs_of_a_piece_keep_their_order() {
        let mut queue = Queue::new();
        for (turn, job) in [
            (Turn::Write(1), 'a'),
            (Turn::Read(1), 'b'),
            (Turn::Read(2), 'c'),
            (Turn::Read(1), 'd'),
            (Turn::Write(1), 'e'),
            (Turn::Read(1), 'f'),
            (Turn::Free, 'g'),
        ] {
            queue.push(turn, job);
        }
        let (names, turns) = pop(&mut queue);
        assert_eq!(names, "acg");
        turns.into_iter().for_each(|turn| queue.done(turn));
        let (names, turns) = pop(&mut queue);
        assert_eq!(names, "bd", "readers go together");
        queue.done(turns[0]);
        assert_eq!(pop(&mut queue).0, "", "the writer waits for both");
        queue.done(turns[1]);
        let (names, turns) = pop(&mut queue);
        assert_eq!(names, "e");
        queue.done(turns[0]);
        let (names, turns) = pop(&mut queue);
        assert_eq!(names, "f", "f came after the writer");
        queue.done(turns[0]);
        assert!(queue.pieces.is_empty(), "nothing is remembered of a piece that is idle");
    }

    #[test]
    fn a_reader_that_came_late_does_not_overtake_a_writer() {
        let mut queue = Queue::new();
        queue.push(Turn::Read(1), 'a');
        queue.push(Turn::Write(1), 'b');
        queue.push(Turn::Read(1), 'c');
        assert_eq!(pop(&mut queue).0, "a");
        queue.done(Turn::Read(1));
        assert_eq!(pop(&mut queue).0, "b");
    }
}
