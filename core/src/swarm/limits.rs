//! What a torrent may use, on its own and together with all others: rates, links, dials.
//!
//! Invariant: whatever passes is counted against the torrent's limit and against that of the session, and passes only if both allow it.

use alloc::vec::Vec;

use super::Swarm;
use super::rate::Limiter;
use super::reason::Reason;
use crate::config::Config;
use crate::event::Link;
use crate::session::context::Context;
use crate::time::Time;

/// Links and dials under way.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    links: usize,
    dials: usize,
}

/// The limits of one torrent, and what of the session's it uses.
pub(crate) struct Limits {
    up: Limiter,
    down: Limiter,
    counted: Usage,
}

impl Limits {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            up: Limiter::new(config.torrent_up),
            down: Limiter::new(config.torrent_down),
            counted: Usage::default(),
        }
    }

    /// New rates of this torrent, in bytes a second.
    pub(crate) fn set(&mut self, up: Option<u64>, down: Option<u64>, now: Time) {
        self.up.set_rate(up, now);
        self.down.set_rate(down, now);
    }

    /// Bytes that may be sent now.
    pub(super) fn up(&mut self, cx: &mut Context) -> u64 {
        cx.up.allowance(cx.now).min(self.up.allowance(cx.now))
    }

    /// When there will be some.
    pub(super) fn up_at(&mut self, cx: &mut Context) -> Time {
        cx.up.ready_at(cx.now).max(self.up.ready_at(cx.now))
    }

    /// Bytes are sent.
    pub(super) fn sent(&mut self, cx: &mut Context, bytes: u64) {
        cx.up.spend(bytes, cx.now);
        self.up.spend(bytes, cx.now);
    }

    /// Bytes that may be asked for now.
    pub(super) fn down(&mut self, cx: &mut Context) -> u64 {
        cx.down.allowance(cx.now).min(self.down.allowance(cx.now))
    }

    /// When there will be some.
    pub(super) fn down_at(&mut self, cx: &mut Context) -> Time {
        cx.down.ready_at(cx.now).max(self.down.ready_at(cx.now))
    }

    /// Bytes are asked for.
    pub(super) fn asked(&mut self, cx: &mut Context, bytes: u64) {
        cx.down.spend(bytes, cx.now);
        self.down.spend(bytes, cx.now);
    }
}

impl Swarm {
    /// Brings what all torrents together use up to date.
    pub(crate) fn count_usage(&mut self, cx: &mut Context) {
        let before = self.limits.counted;
        let now = Usage {
            links: self.peers.len(),
            dials: self.dialer.dialling(),
        };
        cx.usage.links = cx.usage.links - before.links + now.links;
        cx.usage.dials = cx.usage.dials - before.dials + now.dials;
        self.limits.counted = now;
    }

    /// How many links more this torrent may have.
    pub(super) fn room(&self, cx: &Context) -> usize {
        let own = cx.config.max_peers.saturating_sub(self.peers.len());
        own.min(cx.config.max_links.saturating_sub(cx.usage.links))
    }

    /// How many addresses more may be dialled now.
    pub(super) fn dials(&self, cx: &Context) -> usize {
        let own = self.room(cx).saturating_sub(self.dialer.dialling());
        let all = cx.config.max_links.saturating_sub(cx.usage.links + cx.usage.dials);
        own.min(all).min(cx.config.half_open.saturating_sub(cx.usage.dials))
    }
}

impl Swarm {
    /// There is another list: who may not be talked to any more is let go, who may again is dialled.
    pub(crate) fn refilter(&mut self, cx: &mut Context) {
        let peers = self.peers.values();
        let links: Vec<Link> = peers
            .filter(|peer| peer.address.is_some_and(|address| cx.bans.filters(address)))
            .map(|peer| peer.link)
            .collect();
        links
            .into_iter()
            .for_each(|link| self.close(cx, link, Reason::Filtered));
        self.dialer.hurry(cx.now);
        self.clock.wake(cx.now);
    }
}
