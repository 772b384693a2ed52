//! What all torrents of a session share: time, randomness, budgets, bans, and the queue of actions.

use alloc::collections::VecDeque;
use core::net::IpAddr;

use super::sockets::Sockets;
use crate::address::Address;
use crate::config::Config;
use crate::event::{Action, Dial, Job, Offer, Report, Torrent};
use crate::key::PeerId;
use crate::map::{Map, Set};
use crate::rng::Rng;
use crate::swarm::rate::Limiter;
use crate::swarm::usage::Usage;
use crate::time::Time;

/// Bans that are kept; past it the oldest entries of the kind in key order make room.
const MAX_BANS: usize = 10_000;

/// What all torrents of a session share.
pub(crate) struct Context {
    pub(crate) now: Time,
    pub(crate) config: Config,
    pub(crate) rng: Rng,
    pub(crate) memory: Memory,
    /// Bytes of pieces that bridged torrents keep. The limit is `config.cache`.
    pub(crate) cached: u64,
    pub(crate) up: Limiter,
    pub(crate) down: Limiter,
    /// Links and dials of all torrents.
    pub(crate) usage: Usage,
    pub(crate) bans: Bans,
    pub(crate) sockets: Sockets,
    actions: VecDeque<Action>,
    owners: Map<u64, Torrent>,
    handles: u64,
}

impl Context {
    pub(crate) fn new(config: Config, seed: u64) -> Self {
        Self {
            now: Time::ZERO,
            rng: Rng::new(seed),
            memory: Memory {
                used: 0,
                limit: config.memory,
            },
            cached: 0,
            up: Limiter::new(config.up),
            down: Limiter::new(config.down),
            usage: Usage::default(),
            bans: Bans::default(),
            sockets: Sockets::default(),
            actions: VecDeque::new(),
            owners: Map::new(),
            handles: 0,
            config,
        }
    }

    /// Other budgets. What they have room for is seen at the next tick.
    #[cfg(feature = "native")]
    pub(crate) const fn rebudget(&mut self, budgets: crate::event::Budgets) {
        self.memory.limit = budgets.memory;
        self.config.cache = budgets.cache;
        self.config.max_links = budgets.links;
        self.config.half_open = budgets.dials;
    }

    pub(crate) fn act(&mut self, action: Action) {
        self.actions.push_back(action);
    }

    pub(crate) fn report(&mut self, torrent: Torrent, report: Report) {
        self.act(Action::Report(torrent, report));
    }

    pub(crate) fn has_actions(&self) -> bool {
        !self.actions.is_empty()
    }

    pub(crate) fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    pub(crate) fn job(&mut self, torrent: Torrent) -> Job {
        Job(self.handle(torrent))
    }

    pub(crate) fn dial(&mut self, torrent: Torrent) -> Dial {
        Dial(self.handle(torrent))
    }

    pub(crate) fn offer(&mut self, torrent: Torrent) -> Offer {
        Offer(self.handle(torrent))
    }

    /// A number that names nothing else.
    pub(crate) fn unique(&mut self) -> u64 {
        self.handles += 1;
        self.handles
    }

    fn handle(&mut self, torrent: Torrent) -> u64 {
        let handle = self.unique();
        self.owners.insert(handle, torrent);
        handle
    }

    /// The torrent that a handle was made for, while it is in use.
    pub(crate) fn owner(&self, handle: u64) -> Option<Torrent> {
        self.owners.get(&handle).copied()
    }

    /// The handle was answered for the last time.
    pub(crate) fn retire(&mut self, handle: u64) {
        self.owners.remove(&handle);
    }

    /// No handle of this torrent is answered any more.
    pub(crate) fn disown(&mut self, torrent: Torrent) {
        self.owners.retain(|_, owner| *owner != torrent);
    }
}

/// The budget for pieces between request and storage. A piece is charged whole when its first block is asked for.
#[derive(Debug)]
pub(crate) struct Memory {
    used: u64,
    limit: u64,
}

impl Memory {
    /// Bytes that may still be charged. One piece is always allowed, however long, or nothing would ever complete.
    pub(crate) fn room(&self, piece_length: u32) -> u64 {
        if self.used == 0 {
            self.limit.max(piece_length.into())
        } else {
            self.limit.saturating_sub(self.used)
        }
    }

    /// A torrent that was charged `before` bytes needs `after` bytes from now on.
    pub(crate) const fn adjust(&mut self, before: u64, after: u64) {
        self.used = self.used.saturating_sub(before).saturating_add(after);
    }

    pub(crate) const fn used(&self) -> u64 {
        self.used
    }
}

/// Peers that sent data which failed its hash. An address is refused whole, but for loopback addresses, which many
/// peers share: there the one port and the peer id are.
#[derive(Debug, Default)]
pub(crate) struct Bans {
    addresses: Set<IpAddr>,
    sockets: Set<Address>,
    ids: Set<PeerId>,
    /// Whom the user does not want to talk to.
    #[cfg(feature = "native")]
    pub(crate) filter: alloc::sync::Arc<crate::filter::Filter>,
}

impl Bans {
    pub(crate) fn ban(&mut self, id: PeerId, address: Option<Address>) {
        insert_bounded(&mut self.ids, id);
        match address {
            Some(address) if address.ip().is_loopback() => insert_bounded(&mut self.sockets, address),
            Some(address) => insert_bounded(&mut self.addresses, address.ip()),
            None => {}
        }
    }

    pub(crate) fn bans_address(&self, address: Address) -> bool {
        self.addresses.contains(&address.ip()) || self.sockets.contains(&address)
    }

    /// Whether the user's lists are against an address.
    #[cfg(feature = "native")]
    pub(crate) fn filters(&self, address: Address) -> bool {
        !self.filter.allows(address.ip())
    }

    /// There are no lists.
    #[cfg(not(feature = "native"))]
    pub(crate) const fn filters(&self, _: Address) -> bool {
        false
    }

    /// Whether an address is of no use, for either reason.
    pub(crate) fn refuses(&self, address: Address) -> bool {
        self.bans_address(address) || self.filters(address)
    }

    pub(crate) fn bans_peer(&self, id: PeerId, address: Option<Address>) -> bool {
        self.ids.contains(&id) || address.is_some_and(|address| self.bans_address(address))
    }
}

fn insert_bounded<T: Ord>(set: &mut Set<T>, item: T) {
    set.insert(item);
    if set.len() > MAX_BANS {
        set.pop_first();
    }
}
