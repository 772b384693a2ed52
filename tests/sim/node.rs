//! One node: a session, its storage, and its place in the network.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use bytes::Bytes;
use tombolo_core::bits::Bits;
use tombolo_core::config::Config;
use tombolo_core::event::{Action, Add, Event, Link, Mode, Report, Source};
use tombolo_core::key::{InfoHashes, PeerId, SwarmKey};
use tombolo_core::layout::{BLOCK, Layout, Piece, Range};
use tombolo_core::magnet::Magnet;
use tombolo_core::session::Session;
use tombolo_core::slices::Slices;
use tombolo_core::swarm::Priority;
use tombolo_core::swarm::reason::Reason;
use tombolo_core::time::{Span, Time};
use tombolo_core::wire::handshake::Reserved;

use super::{Content, Id, Puppet, TORRENT};

/// How a node begins.
pub struct Setup {
    /// Its settings; the peer id is set for it.
    pub config: Config,
    content: Content,
    held: Vec<u32>,
    unchecked: bool,
    damaged: Vec<u32>,
    mode: Mode,
    magnet: bool,
    priorities: Vec<Priority>,
    up: u64,
    latency: Span,
    corrupt: bool,
    corrupt_block: Option<(u32, u32)>,
    web: bool,
    reserved: Reserved,
}

impl Setup {
    /// A node that wants everything and has nothing.
    pub fn leech(content: &Content) -> Self {
        Self {
            config: Config::default(),
            content: content.clone(),
            held: Vec::new(),
            unchecked: false,
            damaged: Vec::new(),
            mode: Mode::Whole,
            magnet: false,
            priorities: Vec::new(),
            up: 1_000_000,
            latency: Span::from_millis(20),
            corrupt: false,
            corrupt_block: None,
            web: false,
            reserved: Reserved::OURS,
        }
    }

    /// A node that has everything.
    pub fn seed(content: &Content) -> Self {
        Self {
            held: (0..content.metainfo.layout.pieces() as u32).collect(),
            ..Self::leech(content)
        }
    }

    /// A node that bridges, with a cache of so many bytes.
    pub fn bridge(content: &Content, cache: u64) -> Self {
        let mut setup = Self {
            mode: Mode::Bridge { prefetch: false },
            ..Self::leech(content)
        };
        setup.config.relay = true;
        setup.config.cache = cache;
        setup.config.unchoke_slots = 50;
        setup
    }

    /// How it holds the torrent.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// It fetches what it bridges without being asked.
    pub fn prefetching(mut self) -> Self {
        self.mode = Mode::Bridge { prefetch: true };
        self
    }

    /// It has these pieces.
    pub fn holding(mut self, pieces: impl IntoIterator<Item = u32>) -> Self {
        self.held = pieces.into_iter().collect();
        self
    }

    /// What it has must be checked first.
    pub fn unchecked(mut self) -> Self {
        self.unchecked = true;
        self
    }

    /// These of its pieces are not what they should be.
    pub fn damaged(mut self, pieces: &[u32]) -> Self {
        self.damaged = pieces.to_vec();
        self
    }

    /// It knows the info-hash alone.
    pub fn by_magnet(mut self) -> Self {
        self.magnet = true;
        self
    }

    /// The priorities of its files.
    pub fn selecting(mut self, priorities: &[Priority]) -> Self {
        self.priorities = priorities.to_vec();
        self
    }

    /// Its uplink in bytes a second.
    pub fn up(mut self, up: u64) -> Self {
        self.up = up;
        self
    }

    /// The time that its frames travel.
    pub fn latency(mut self, latency: Span) -> Self {
        self.latency = latency;
        self
    }

    /// It sends wrong bytes.
    pub fn corrupt(mut self) -> Self {
        self.corrupt = true;
        self
    }

    /// It sends that block of that piece wrong.
    pub fn corrupting(mut self, piece: u32, block: u32) -> Self {
        self.corrupt_block = Some((piece, block));
        self
    }

    /// It is a tab.
    pub fn web(mut self) -> Self {
        self.web = true;
        self
    }

    /// It speaks BEP 3 alone, as far as others see.
    pub fn plain(mut self) -> Self {
        self.reserved = Reserved([0; 8]);
        self
    }
}

/// One node.
pub struct Node {
    /// Its session.
    pub session: Session,
    /// Its address.
    pub address: SocketAddr,
    /// What happened in it.
    pub reports: Vec<(Time, Report)>,
    /// The links that it closed, and why.
    pub closed: Vec<(Link, Reason)>,
    /// Nodes of the DHT that it was told of.
    pub nodes: Vec<SocketAddr>,
    /// Addresses that it was to punch a hole to.
    pub punched: Vec<SocketAddr>,
    /// Pieces in storage.
    pub stored: BTreeMap<Piece, Bytes>,
    /// The most bytes of pieces that were in memory at a time.
    pub peak_memory: u64,
    /// The most bytes that its cache held at a time.
    pub peak_cache: u64,
    /// Storage refuses to write.
    pub full: bool,
    pub(super) swarm: SwarmKey,
    pub(super) hashes: InfoHashes,
    pub(super) peer_id: PeerId,
    pub(super) reserved: Reserved,
    pub(super) latency: Span,
    pub(super) online: bool,
    pub(super) web: bool,
    pub(super) busy: bool,
    pub(super) alarm: Option<Time>,
    pub(super) ends: BTreeMap<Link, (Id, Link)>,
    pub(super) puppets: BTreeMap<Link, Puppet>,
    pub(super) sending: VecDeque<Link>,
    setup: Setup,
}

impl Node {
    pub(super) fn new(setup: Setup, number: usize, seed: u64) -> Self {
        let mut peer_id = *b"-TO0100-sim000000000";
        peer_id[12..].copy_from_slice(&(number as u64).to_be_bytes());
        let peer_id = PeerId(peer_id);
        let config = Config {
            peer_id,
            ..setup.config.clone()
        };
        Self {
            session: Session::new(config, seed),
            address: SocketAddr::from(([10, 0, (number / 250) as u8, (number % 250) as u8 + 1], 6881)),
            reports: Vec::new(),
            closed: Vec::new(),
            nodes: Vec::new(),
            punched: Vec::new(),
            stored: BTreeMap::new(),
            peak_memory: 0,
            peak_cache: 0,
            full: false,
            swarm: setup.content.metainfo.hashes.swarm(),
            hashes: setup.content.metainfo.hashes,
            peer_id,
            reserved: setup.reserved,
            latency: setup.latency,
            online: true,
            web: setup.web,
            busy: false,
            alarm: None,
            ends: BTreeMap::new(),
            puppets: BTreeMap::new(),
            sending: VecDeque::new(),
            setup,
        }
    }

    /// Whether everything it wants is there, byte for byte.
    pub fn is_complete(&self) -> bool {
        self.reports.iter().any(|(_, report)| super::is_complete(report))
            && self
                .stored
                .iter()
                .all(|(piece, bytes)| *bytes == self.setup.content.piece(*piece))
    }

    /// When it was complete.
    pub fn completed_at(&self) -> Option<Time> {
        self.reports
            .iter()
            .find(|(_, report)| super::is_complete(report))
            .map(|(at, _)| *at)
    }

    /// The order in which pieces were verified.
    pub fn order(&self) -> Vec<u32> {
        let verified = |(_, report): &(Time, Report)| match report {
            Report::Verified(piece, _) => Some(piece.number()),
            _ => None,
        };
        self.reports.iter().filter_map(verified).collect()
    }

    /// Peers that it banned.
    pub fn bans(&self) -> usize {
        self.reports
            .iter()
            .filter(|(_, report)| matches!(report, Report::Banned(_)))
            .count()
    }

    /// How often it told that it has come to know the hash of every piece.
    pub fn layers_told(&self) -> usize {
        let told = |(_, report): &&(Time, Report)| matches!(report, Report::Layers(_));
        self.reports.iter().filter(told).count()
    }

    pub(super) fn first_event(&self) -> Event {
        let metainfo = &self.setup.content.metainfo;
        let source = if self.setup.magnet {
            let mut magnet = Magnet::new(metainfo.hashes);
            magnet.web_seeds.clone_from(&metainfo.web_seeds);
            Source::Magnet(Magnet::parse(&magnet.to_string()).expect("a magnet link"))
        } else {
            Source::Metainfo(metainfo.clone())
        };
        let add = Add {
            torrent: TORRENT,
            source,
            mode: self.setup.mode,
            trackers: None,
            peers: Vec::new(),
            priorities: self.setup.priorities.clone(),
        };
        Event::Add(Box::new(add))
    }

    pub(super) fn sending_time(&self, bytes: usize) -> Span {
        Span::from_micros(bytes as u64 * 1_000_000 / self.setup.up)
    }

    pub(super) fn report(&mut self, now: Time, report: Report) {
        self.reports.push((now, report));
    }

    /// Does a storage action; the event that answers it.
    pub(super) fn store(&mut self, action: Action) -> Option<Event> {
        self.peak_memory = self.peak_memory.max(self.session.memory());
        self.peak_cache = self.peak_cache.max(self.session.cached());
        match action {
            Action::Open(torrent, metainfo) => {
                let held = self.restore(&metainfo.layout);
                let none = Bits::new(held.len());
                let (held, check) = if self.setup.unchecked {
                    (none, held)
                } else {
                    (held, none)
                };
                Some(Event::Restored { torrent, held, check })
            }
            Action::Hash(job, data, hashing) => Some(Event::Hashed(job, hashing.digest(&data))),
            Action::Check(job, _, piece, hashing) => {
                let stored = self.stored.get(&piece).cloned();
                Some(Event::Checked(job, stored.map(|data| hashing.digest(&data.into()))))
            }
            Action::Store(job, _, _, _) if self.full => {
                Some(Event::Stored(job, Err(tombolo_core::event::StorageError::Full)))
            }
            Action::Store(job, _, piece, data) => {
                self.stored.insert(piece, data.to_vec().into());
                Some(Event::Stored(job, Ok(())))
            }
            Action::Load(job, _, range) => {
                let piece = self.stored.get(&range.piece).cloned().unwrap_or_default();
                let (begin, end) = (range.begin as usize, (range.begin + range.length) as usize);
                let data = if self.setup.corrupt {
                    vec![0xbd; end - begin].into()
                } else {
                    self.spoil(range, piece.slice(begin..end))
                };
                Some(Event::Loaded(job, Ok(Slices::from(data))))
            }
            Action::Discard(_, piece) => {
                self.stored.remove(&piece);
                None
            }
            _ => None,
        }
    }

    /// Makes the bytes that are of the block to be corrupted wrong.
    fn spoil(&self, range: Range, data: Bytes) -> Bytes {
        let Some((_, block)) = self
            .setup
            .corrupt_block
            .filter(|(piece, _)| *piece == range.piece.number())
        else {
            return data;
        };
        let mut data = data.to_vec();
        let of_block = |(at, _): &(usize, &mut u8)| (range.begin as usize + at) / BLOCK as usize == block as usize;
        data.iter_mut()
            .enumerate()
            .filter(of_block)
            .for_each(|(_, byte)| *byte ^= 0xff);
        data.into()
    }

    fn restore(&mut self, layout: &Layout) -> Bits {
        let mut held = Bits::new(layout.pieces());
        for piece in self.setup.held.iter().filter_map(|&index| layout.piece(index)) {
            held.insert(piece.index());
            let damaged = self.setup.damaged.contains(&piece.number());
            let bytes = self.setup.content.piece(piece);
            self.stored
                .insert(piece, if damaged { vec![0; bytes.len()].into() } else { bytes });
        }
        held
    }
}
