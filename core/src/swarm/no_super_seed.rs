//! Stands in for `super_seed` where the feature `native` is off: only `tombolo seed` can be asked for it.

use super::Swarm;
use super::peer::Peer;
use crate::layout::Piece;
use crate::session::context::Context;

/// What is never on.
#[derive(Debug, Default)]
pub(crate) struct SuperSeed;

impl SuperSeed {
    pub(crate) const fn new(_: bool) -> Self {
        Self
    }

    pub(crate) const fn is_on(&self) -> bool {
        false
    }

    pub(crate) const fn stir(&mut self) {}

    pub(crate) const fn serves(&self, _: &Peer, _: Piece) -> bool {
        true
    }
}

impl Swarm {
    pub(super) const fn settle_super_seed(&mut self, _: &mut Context) {}
}
