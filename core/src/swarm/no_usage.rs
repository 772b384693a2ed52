//! Stands in for `usage` where the feature `native` is off: nothing is dialled, and links are counted by the torrent alone.

use super::Swarm;
use crate::session::context::Context;

/// Nothing is counted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {}

impl Swarm {
    pub(crate) const fn count_usage(&mut self, _: &mut Context) {}

    pub(super) fn room(&self, cx: &Context) -> usize {
        cx.config.max_peers.saturating_sub(self.peers.len())
    }

    pub(super) const fn dials(&self, _: &Context) -> usize {
        0
    }
}
