//! When what happened to a torrent: the first times that the page's `probe()` tells, the log of the page's adding view, and
//! events not reported yet. All times are in ms by the worker's clock.

/// Events that are kept until the next report, at most: a page that is not read from loses the oldest.
const EVENTS_KEPT: usize = 200;

/// Moments that are told; each is set once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// It was added.
    Added,
    /// The bytes of `&seed=` are here.
    FileFetched,
    /// The metadata is known.
    Metadata,
    /// Storage is open and checked.
    Ready,
    /// A tracker answered.
    Announced,
    /// A wire is past its handshake.
    FirstPeer,
    /// The first byte of a PIECE came.
    FirstByte,
    /// The first piece is verified.
    FirstPiece,
    /// All selected pieces are verified and stored.
    Done,
}

/// The names under which moments are told.
const MOMENTS: [(Moment, &str); 9] = [
    (Moment::Added, "added"),
    (Moment::FileFetched, "fileFetched"),
    (Moment::Metadata, "metadata"),
    (Moment::Ready, "ready"),
    (Moment::Announced, "announced"),
    (Moment::FirstPeer, "firstPeer"),
    (Moment::FirstByte, "firstByte"),
    (Moment::FirstPiece, "firstPiece"),
    (Moment::Done, "done"),
];

/// Something that happened, for the log.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Happened {
    /// When.
    pub(crate) at: f64,
    /// What kind of thing.
    pub(crate) kind: &'static str,
    /// What it was.
    pub(crate) text: String,
}

/// The times of one torrent.
#[derive(Clone, Debug)]
pub(crate) struct Timeline {
    times: [Option<f64>; MOMENTS.len()],
    events: Vec<Happened>,
}

impl Timeline {
    /// The times of a torrent that was added at `at`.
    pub(crate) fn new(at: f64) -> Self {
        let mut timeline = Self {
            times: [None; MOMENTS.len()],
            events: Vec::new(),
        };
        timeline.mark(Moment::Added, at);
        timeline
    }

    /// Notes a moment if it is the first of its kind: whether it was.
    pub(crate) fn mark(&mut self, moment: Moment, at: f64) -> bool {
        let place = &mut self.times[moment as usize];
        let is_first = place.is_none();
        place.get_or_insert(at);
        is_first
    }

    /// When a moment was.
    pub(crate) fn at(&self, moment: Moment) -> Option<f64> {
        self.times[moment as usize]
    }

    /// The moments that were, by name.
    pub(crate) fn times(&self) -> impl Iterator<Item = (&'static str, f64)> + '_ {
        MOMENTS
            .iter()
            .filter_map(|(moment, name)| self.at(*moment).map(|at| (*name, at)))
    }

    /// Notes something for the log.
    pub(crate) fn note(&mut self, at: f64, kind: &'static str, text: String) {
        if self.events.len() >= EVENTS_KEPT {
            self.events.remove(0);
        }
        self.events.push(Happened { at, kind, text });
    }

    /// What was noted since the last call.
    pub(crate) fn take_events(&mut self) -> Vec<Happened> {
        std::mem::take(&mut self.events)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_noted_once_and_named() {
        let mut timeline = Timeline::new(5.0);
        assert!(timeline.mark(Moment::FirstByte, 9.0));
        assert!(!timeline.mark(Moment::FirstByte, 12.0));
        assert_eq!(
            timeline.times().collect::<Vec<_>>(),
            [("added", 5.0), ("firstByte", 9.0)]
        );
        for (place, (moment, _)) in MOMENTS.iter().enumerate() {
            assert_eq!(*moment as usize, place);
        }
    }

    #[test]
    fn events_are_given_once_and_bounded() {
        let mut timeline = Timeline::new(0.0);
        (0..300).for_each(|n| timeline.note(f64::from(n), "wire", n.to_string()));
        let events = timeline.take_events();
        assert_eq!((events.len(), events[0].text.as_str()), (EVENTS_KEPT, "100"));
        assert!(timeline.take_events().is_empty());
    }
}
