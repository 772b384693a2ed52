//! How many links and dials a torrent has, how many all torrents have together, and how many more there may be.

use alloc::vec::Vec;

use super::Swarm;
use super::reason::Reason;
use crate::event::Link;
use crate::session::context::Context;

/// Links and dials under way.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    links: usize,
    dials: usize,
}

impl Swarm {
    /// Brings what all torrents together use up to date.
    pub(crate) fn count_usage(&mut self, cx: &mut Context) {
        let before = self.usage;
        let now = Usage {
            links: self.peers.len(),
            dials: self.dialer.dialling(),
        };
        cx.usage.links = cx.usage.links - before.links + now.links;
        cx.usage.dials = cx.usage.dials - before.dials + now.dials;
        self.usage = now;
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
