//! Stands in for `limits` where the feature `native` is off: a torrent has no limits of its own, and all share the rates alone.

use super::Swarm;
use crate::config::Config;
use crate::session::context::Context;
use crate::time::Time;

/// Nothing is counted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {}

/// No limits.
pub(crate) struct Limits;

impl Limits {
    pub(crate) const fn new(_: &Config) -> Self {
        Self
    }

    pub(super) fn up(&mut self, cx: &mut Context) -> u64 {
        cx.up.allowance(cx.now)
    }

    pub(super) fn up_at(&mut self, cx: &mut Context) -> Time {
        cx.up.ready_at(cx.now)
    }

    pub(super) fn sent(&mut self, cx: &mut Context, bytes: u64) {
        cx.up.spend(bytes, cx.now);
    }

    pub(super) fn down(&mut self, cx: &mut Context) -> u64 {
        cx.down.allowance(cx.now)
    }

    pub(super) fn down_at(&mut self, cx: &mut Context) -> Time {
        cx.down.ready_at(cx.now)
    }

    pub(super) fn asked(&mut self, cx: &mut Context, bytes: u64) {
        cx.down.spend(bytes, cx.now);
    }
}

impl Swarm {
    pub(crate) const fn count_usage(&mut self, _: &mut Context) {}

    pub(super) fn room(&self, cx: &Context) -> usize {
        cx.config.max_peers.saturating_sub(self.peers.len())
    }

    pub(super) const fn dials(&self, _: &Context) -> usize {
        0
    }
}
