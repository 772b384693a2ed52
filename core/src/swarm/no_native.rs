//! Stands in for `native` and `announce_udp` where the feature `native` is off: every other tracker fails at once.

use alloc::vec::Vec;
use core::net::SocketAddr;

use super::Swarm;
use super::announce::failure;
use crate::session::context::Context;
use crate::tracker::announcer::Tracker;
use crate::tracker::query::AnnounceRequest;

impl Swarm {
    pub(super) fn announce_native(&mut self, cx: &mut Context, at: usize) {
        self.tracker_failed(cx, at, &failure("a browser cannot ask this tracker"));
    }

    pub(super) fn add_announced(&mut self, _: &mut Context, _: Vec<SocketAddr>) {}

    pub(super) const fn stop_native(_: &mut Context, _: &Tracker, _: &AnnounceRequest) {}

    pub(super) const fn resend_udp(&mut self, _: &mut Context, _: usize) -> bool {
        false
    }
}
