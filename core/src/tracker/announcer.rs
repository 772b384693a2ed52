//! The tracker client of one torrent: whom to announce to, when, and what became of it.
//!
//! All tiers are announced to, in each the first tracker that answers (BEP 12). A tracker that fails is asked again later and later.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use bytes::Bytes;

use super::offers::Offers;
use super::query::{AnnounceEvent, AnnounceReply, Failure};
use super::udp::Connection;
use crate::event::Job;
use crate::gather::Gather;
use crate::key::SwarmKey;
use crate::session::context::Context;
use crate::status::{TrackerState, TrackerStatus};
use crate::time::{Span, Time};

/// The shortest wait between two announces, whatever a tracker says.
const SHORTEST: Span = Span::from_secs(10);

/// The longest, so that a tracker's mistake does not silence us.
const LONGEST: Span = Span::from_secs(3600);

/// How soon a web tracker is asked again while there are few peers: offers that nobody took are gone by then.
const LONELY: Span = Span::from_secs(60);

/// How long a tracker may take to answer.
const TIMEOUT: Span = Span::from_secs(30);

/// The wait after a first failure; it doubles with each one.
const BACK_OFF: Span = Span::from_secs(2);

/// How many doublings there are: the longest wait is a little over half an hour.
const MAX_DOUBLINGS: u32 = 10;

/// What a tracker speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Face {
    /// BEP 3.
    Http,
    /// BEP 15.
    Udp,
    /// WebTorrent's.
    Ws,
}

/// A tracker of one torrent.
#[derive(Debug)]
pub(crate) struct Tracker {
    pub(crate) url: String,
    pub(crate) face: Face,
    /// It is announced to under this name; `None` = the torrent's first. A hybrid has a second one (BEP 52).
    pub(crate) swarm: Option<SwarmKey>,
    tier: usize,
    pub(crate) state: TrackerState,
    pub(crate) next: Time,
    /// It was told that we began.
    pub(crate) greeted: bool,
    /// It is to be told that we are complete now.
    pub(crate) owes_completed: bool,
    /// The fetch or conversation that is to be answered.
    pub(crate) job: Option<Job>,
    pub(crate) tracker_id: Option<String>,
    /// The connection number that a UDP tracker gave, and when.
    pub(crate) connection: Option<(Connection, Time)>,
    /// What was last sent to a UDP tracker, to be sent again, and how often it was.
    pub(crate) packet: Option<(Bytes, u32)>,
    failures: u32,
    error: Option<String>,
    answered: Option<Time>,
    peers: usize,
    seeds: Option<u32>,
}

/// The tracker client of one torrent.
#[derive(Debug)]
pub(crate) struct Announcer {
    pub(crate) trackers: Vec<Tracker>,
    /// The tracker of each tier that is announced to.
    current: Vec<usize>,
    pub(crate) offers: Offers,
    pub(crate) key: u32,
    running: bool,
}

impl Announcer {
    /// For these trackers in tiers. Each tier is shuffled once (BEP 12); what is of no known kind is left out.
    pub(crate) fn new(tiers: Vec<Vec<String>>, cx: &mut Context) -> Self {
        let mut announcer = Self {
            trackers: Vec::new(),
            current: Vec::new(),
            offers: Offers::default(),
            key: cx.rng.next_u64() as u32,
            running: true,
        };
        for mut tier in tiers {
            cx.rng.shuffle(&mut tier);
            let number = announcer.current.len();
            let known = |url: &String| announcer.trackers.iter().any(|tracker: &Tracker| tracker.url == *url);
            let fresh: Vec<String> = tier.into_iter().filter(|url| !known(url)).gather();
            let mut trackers: Vec<Tracker> = fresh
                .into_iter()
                .filter_map(|url| Tracker::new(url, number, cx.now))
                .gather();
            if !trackers.is_empty() {
                announcer.current.push(announcer.trackers.len());
                announcer.trackers.append(&mut trackers);
            }
        }
        announcer
    }

    /// Announces under a second name too, from now on.
    pub(crate) fn also(&mut self, swarm: SwarmKey, now: Time) {
        let tiers = self.current.len();
        if self.trackers.iter().any(|tracker| tracker.swarm.is_some()) {
            return;
        }
        let twins = self.trackers.iter().filter_map(|tracker| {
            let twin = Tracker::new(tracker.url.clone(), tracker.tier + tiers, now)?;
            let swarm = Some(swarm);
            Some(Tracker { swarm, ..twin })
        });
        let mut twins: Vec<Tracker> = twins.gather();
        let count = self.trackers.len();
        self.trackers.append(&mut twins);
        for tier in 0..tiers {
            self.current.push(self.current[tier] + count);
        }
    }

    /// Announces from now on.
    pub(crate) fn start(&mut self, now: Time) {
        self.running = true;
        for tracker in &mut self.trackers {
            tracker.state = TrackerState::Idle;
            tracker.next = now;
        }
    }

    /// Announces no more.
    pub(crate) fn halt(&mut self) {
        self.running = false;
        for tracker in &mut self.trackers {
            tracker.greeted = false;
            tracker.job = None;
            tracker.state = TrackerState::Idle;
        }
    }

    /// The trackers that know of us are to be told that we are complete.
    pub(crate) fn complete(&mut self, now: Time) {
        for tracker in self.trackers.iter_mut().filter(|tracker| tracker.greeted) {
            tracker.owes_completed = true;
            tracker.next = now;
        }
    }

    /// The trackers to announce to now. With `checking`, while it is not known yet what storage holds, none is told that we
    /// begin: it would count a seed as a leecher, or the other way round.
    pub(crate) fn due(&self, now: Time, checking: bool) -> Vec<usize> {
        let due = |tracker: &Tracker| tracker.state != TrackerState::Announcing && tracker.next <= now;
        self.active(checking).filter(|&at| due(&self.trackers[at])).gather()
    }

    /// The trackers that something is to be done about some time.
    fn active(&self, checking: bool) -> impl Iterator<Item = usize> {
        let held = move |tracker: &Tracker| checking && !tracker.greeted && tracker.state != TrackerState::Announcing;
        let current = self.current.iter().copied().filter(|_| self.running);
        current.filter(move |&at| !held(&self.trackers[at]))
    }

    /// The trackers that have not answered in time.
    pub(crate) fn overdue(&self, now: Time) -> Vec<usize> {
        let late = |&at: &usize| self.trackers[at].state == TrackerState::Announcing && self.trackers[at].next <= now;
        self.current.iter().copied().filter(late).gather()
    }

    /// When something is to be done.
    pub(crate) fn deadline(&self, checking: bool) -> Option<Time> {
        let trackers = self.active(checking).map(|at| self.trackers[at].next).min();
        [trackers, self.offers.deadline()].into_iter().flatten().min()
    }

    /// An announce is under way.
    pub(crate) fn begin(&mut self, at: usize, now: Time) {
        let tracker = &mut self.trackers[at];
        tracker.state = TrackerState::Announcing;
        tracker.next = now + TIMEOUT;
    }

    /// What the next announce to a tracker is for.
    pub(crate) fn event(&mut self, at: usize) -> AnnounceEvent {
        let tracker = &mut self.trackers[at];
        if !tracker.greeted {
            tracker.owes_completed = false;
            AnnounceEvent::Started
        } else if core::mem::take(&mut tracker.owes_completed) {
            AnnounceEvent::Completed
        } else {
            AnnounceEvent::Periodic
        }
    }

    /// A tracker answered; whether it is the first time.
    pub(crate) fn succeed(&mut self, at: usize, reply: &AnnounceReply, lonely: bool, now: Time) -> bool {
        let tracker = &mut self.trackers[at];
        let first = tracker.answered.is_none();
        let interval = reply.min_interval.unwrap_or(0).max(reply.interval);
        let mut wait = Span::from_secs(interval.into()).clamp(SHORTEST, LONGEST);
        if lonely && tracker.face == Face::Ws {
            wait = wait.min(LONELY);
        }
        tracker.next = now + wait;
        tracker.state = TrackerState::Working;
        tracker.greeted = true;
        tracker.failures = 0;
        tracker.error = None;
        tracker.answered = Some(now);
        tracker.peers = reply
            .peers
            .len()
            .max((reply.complete.unwrap_or(0) + reply.incomplete.unwrap_or(0)) as usize);
        tracker.seeds = reply.complete.or(tracker.seeds);
        tracker.tracker_id = reply.tracker_id.clone().or_else(|| tracker.tracker_id.take());
        tracker.job = None;
        first
    }

    /// A tracker failed: the next one of its tier is tried, this one again after a while.
    pub(crate) fn fail(&mut self, at: usize, failure: &Failure, cx: &mut Context) {
        let tracker = &mut self.trackers[at];
        let wait = match failure.retry_in_minutes {
            Some(minutes) => Span::from_secs(u64::from(minutes) * 60),
            None => {
                let longest = BACK_OFF.as_micros() << tracker.failures.min(MAX_DOUBLINGS);
                // Between half and all of it, so that many clients do not come back at once.
                Span::from_micros(longest / 2 + cx.rng.below(longest as usize / 2) as u64)
            }
        };
        tracker.failures += 1;
        tracker.error = Some(failure.reason.clone());
        tracker.state = TrackerState::Failed;
        tracker.next = cx.now + wait;
        tracker.job = None;
        let tier = tracker.tier;
        let of_tier: Vec<usize> = (0..self.trackers.len())
            .filter(|&other| self.trackers[other].tier == tier)
            .gather();
        if let Some(place) = of_tier.iter().position(|&other| other == at) {
            self.current[tier] = of_tier[(place + 1) % of_tier.len()];
        }
    }

    /// The tracker of that URL which is announced to under that name; `None` = the first.
    pub(crate) fn by_url(&self, url: &str, swarm: Option<SwarmKey>) -> Option<usize> {
        let of_url = |tracker: &Tracker| tracker.url == url;
        let second = self
            .trackers
            .iter()
            .position(|tracker| of_url(tracker) && swarm.is_some() && tracker.swarm == swarm);
        second.or_else(|| self.trackers.iter().position(of_url))
    }

    /// The tracker that this job asks.
    pub(crate) fn by_job(&self, job: Job) -> Option<usize> {
        self.trackers.iter().position(|tracker| tracker.job == Some(job))
    }

    pub(crate) fn status(&self, now: Time) -> Vec<TrackerStatus> {
        let first = self.trackers.iter().filter(|tracker| tracker.swarm.is_none());
        first.map(|tracker| tracker.status(now)).gather()
    }
}

impl Tracker {
    fn new(url: String, tier: usize, now: Time) -> Option<Self> {
        let (scheme, rest) = url.split_once(':')?;
        if !rest.starts_with("//") {
            return None;
        }
        let face = match scheme.to_ascii_lowercase().as_str() {
            "http" | "https" => Face::Http,
            "udp" => Face::Udp,
            "ws" | "wss" => Face::Ws,
            _ => return None,
        };
        Some(Self {
            url,
            face,
            swarm: None,
            tier,
            state: TrackerState::Idle,
            next: now,
            greeted: false,
            owes_completed: false,
            job: None,
            tracker_id: None,
            connection: None,
            packet: None,
            failures: 0,
            error: None,
            answered: None,
            peers: 0,
            seeds: None,
        })
    }

    /// How many peers it counts, or named last.
    pub(crate) const fn peers(&self) -> usize {
        self.peers
    }

    fn status(&self, now: Time) -> TrackerStatus {
        TrackerStatus {
            url: self.url.to_string(),
            state: self.state,
            peers: self.peers,
            seeds: self.seeds,
            failures: self.failures,
            error: self.error.clone(),
            age: self.answered.map(|at| now.since(at).as_micros()),
            next: (self.state != TrackerState::Announcing).then(|| self.next.since(now).as_micros()),
        }
    }
}
