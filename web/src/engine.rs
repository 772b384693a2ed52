//! The engine: a [`Session`] and everything that it asks of the browser, in one worker.
//!
//! Whatever happens (a message, a timer, a promise that is kept) is one *turn*: it is told to the session, then every action of
//! the session is performed and every link that has room is given its frames, until nothing is left. Invariant: a turn never
//! waits and is never entered twice. Costs beside the work itself: one look at the clock.

use std::cell::{Cell, RefCell, RefMut};

use tombolo_core::config::Config;
use tombolo_core::event::{Event, Job, Link, Socket, Torrent};
use tombolo_core::key::PeerId;
use tombolo_core::map::Map;
use tombolo_core::session::Session;
use tombolo_core::time::Time;

use crate::boot::Boot;
use crate::entry::Entry;
use crate::link::LinkState;
use crate::platform::{self, Body, Host, Timer};
use crate::relay::Relay;
use crate::report::Reporter;
use crate::signal::Negotiations;
use crate::socket::TrackerSocket;
use crate::stream::Streams;

/// Our name to peers and trackers, before 12 random characters (BEP 20).
const PEER_ID_PREFIX: [u8; 8] = *b"-TO0100-";

/// Bytes of pieces between request and storage: enough to keep a gigabit busy, little against a tab's memory.
const MEMORY: u64 = 64 << 20;

/// All that the engine is.
pub(crate) struct Core {
    pub(crate) session: Session,
    pub(crate) host: Host,
    pub(crate) boot: Boot,
    pub(crate) peer_id: PeerId,
    /// The moment of this turn, in ms.
    pub(crate) now: f64,
    pub(crate) torrents: Map<Torrent, Entry>,
    pub(crate) links: Map<Link, LinkState>,
    /// Links to be given frames in this turn.
    pub(crate) ready: Vec<Link>,
    pub(crate) sockets: Map<Socket, TrackerSocket>,
    pub(crate) negotiations: Negotiations,
    pub(crate) relay: Relay,
    pub(crate) reporter: Reporter,
    pub(crate) streams: Streams,
    /// What web seeds are sending.
    pub(crate) bodies: Map<Job, Body>,
    /// Where frames are joined to one message.
    pub(crate) scratch: Vec<u8>,
    next_torrent: u32,
    next_link: u64,
    due: Timer,
}

thread_local! {
    /// The engine of this worker, once it is started. Nothing drops it, so that it carries no code for that.
    static ENGINE: Cell<Option<&'static RefCell<Core>>> = const { Cell::new(None) };
}

/// Starts the engine.
pub(crate) fn start(boot: Boot, host: Host) {
    let seed = u64::from_le_bytes(platform::random());
    let peer_id = PeerId(peer_id(platform::random()));
    let config = Config {
        peer_id,
        dials: false,
        offers: boot.webrtc,
        memory: MEMORY,
        up: boot.up,
        down: boot.down,
        ..Config::default()
    };
    let core = Core {
        session: Session::new(config, seed),
        peer_id,
        now: platform::now(),
        torrents: Map::new(),
        links: Map::new(),
        ready: Vec::new(),
        sockets: Map::new(),
        negotiations: Negotiations::default(),
        relay: Relay::new(&boot, ring(Core::relay_due)),
        reporter: Reporter::new(ring(Core::probe_due), ring(Core::snapshot_due)),
        streams: Streams::default(),
        bodies: Map::new(),
        scratch: Vec::new(),
        next_torrent: 1,
        next_link: 1,
        due: ring(Core::session_due),
        boot,
        host,
    };
    ENGINE.set(Some(Box::leak(Box::new(RefCell::new(core)))));
}

/// One turn that begins with `act`.
pub(crate) fn turn<R>(act: impl FnOnce(&mut Core) -> R) -> R {
    let mut core = begin();
    let result = act(&mut core);
    end(core);
    result
}

// What all turns have in common is apart, since there is a `turn` for each thing that can happen.
#[inline(never)]
fn begin() -> RefMut<'static, Core> {
    let engine = ENGINE.get();
    let mut core = engine
        .unwrap_or_else(|| unreachable!("nothing happens before the start"))
        .borrow_mut();
    core.now = platform::now();
    core
}

#[inline(never)]
fn end(mut core: RefMut<'static, Core>) {
    core.settle();
}

/// A timer that makes a turn.
fn ring(act: fn(&mut Core)) -> Timer {
    Timer::new(move || turn(act))
}

impl Core {
    /// Tells the session something.
    pub(crate) fn tell(&mut self, event: Event) {
        self.session.handle(self.time(), event);
    }

    /// The moment of this turn, as the session counts.
    pub(crate) fn time(&self) -> Time {
        Time::from_micros((self.now * 1000.0) as u64)
    }

    /// A handle for a torrent.
    pub(crate) const fn new_torrent(&mut self) -> Torrent {
        let torrent = Torrent(self.next_torrent);
        self.next_torrent += 1;
        torrent
    }

    /// A handle for a link.
    pub(crate) const fn new_link(&mut self) -> Link {
        let link = Link(self.next_link);
        self.next_link += 1;
        link
    }

    /// Does all that follows from what was told, and sets the timer for what comes next.
    fn settle(&mut self) {
        loop {
            while let Some(action) = self.session.poll(self.time()) {
                self.perform(action);
            }
            if self.streams.stirred {
                self.feed_streams();
                continue;
            }
            let Some(link) = self.ready.pop() else { break };
            self.pump(link);
        }
        self.reporter.changed(self.now);
        if let Some(deadline) = self.session.deadline() {
            let now = self.now;
            self.due.set(deadline.as_micros() as f64 / 1000.0, now);
        }
    }

    fn session_due(&mut self) {
        self.due.rung();
        self.tell(Event::Due);
    }
}

/// A peer id of ours: random letters and digits after the prefix, since some trackers show ids to people.
fn peer_id(random: [u8; 12]) -> [u8; 20] {
    const DIGITS: &[u8; 64] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_";
    let mut id = [0; 20];
    let characters = random.iter().map(|byte| DIGITS[usize::from(byte % 64)]);
    id.iter_mut()
        .zip(PEER_ID_PREFIX.into_iter().chain(characters))
        .for_each(|(to, from)| *to = from);
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_id_names_the_client_and_is_text() {
        let id = peer_id([0, 63, 64, 255, 10, 36, 1, 2, 3, 4, 5, 6]);
        assert_eq!(&id, b"-TO0100-0_0_aA123456");
    }
}
