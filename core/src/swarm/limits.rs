//! The rates of a torrent, on its own and together with all others.
//!
//! Invariant: whatever passes is counted against the torrent's limit and against that of the session, and passes only if both allow it.

use super::rate::Limiter;
use crate::config::Config;
use crate::session::context::Context;
use crate::time::Time;

/// The limits of one torrent.
pub(crate) struct Limits {
    up: Limiter,
    down: Limiter,
}

impl Limits {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            up: Limiter::new(config.torrent_up),
            down: Limiter::new(config.torrent_down),
        }
    }

    /// New rates of this torrent, in bytes a second.
    pub(crate) fn set(&mut self, up: Option<u64>, down: Option<u64>, now: Time) {
        self.up.set_rate(up, now);
        self.down.set_rate(down, now);
    }

    /// Whether a rate is limited.
    pub(super) fn are_set(&self, cx: &Context) -> bool {
        [&cx.up, &cx.down, &self.up, &self.down]
            .iter()
            .any(|limiter| limiter.rate().is_some())
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
