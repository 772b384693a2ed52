//! Stands in for `bridge` where the feature `native` is off: there is none, and the compiler knows it.

use super::peer::Peer;
use crate::bits::Bits;
use crate::event::{Mode, Transport};
use crate::layout::Piece;
use crate::time::Time;

/// What nothing is.
#[derive(Debug)]
pub(crate) enum Bridge {}

impl Bridge {
    pub(crate) const fn of(_: Mode, _: usize) -> Option<Self> {
        None
    }

    pub(crate) fn refresh<'a>(&mut self, _: impl Iterator<Item = &'a Peer>, _: bool) {
        match *self {}
    }

    pub(crate) const fn spoil(&mut self) {
        match *self {}
    }

    pub(crate) const fn is_stale(&self) -> bool {
        match *self {}
    }

    pub(crate) const fn beyond(&self, _: Transport) -> &Bits {
        match *self {}
    }

    pub(crate) const fn fetches_all(&self) -> bool {
        match *self {}
    }

    pub(crate) const fn fill(&mut self, _: u64, _: u64) -> bool {
        match *self {}
    }

    pub(crate) const fn want(&mut self, _: Piece) -> bool {
        match *self {}
    }

    pub(crate) const fn unwant(&mut self, _: Piece) -> bool {
        match *self {}
    }

    pub(crate) const fn keep(&mut self, _: Piece, _: u32, _: Time) {
        match *self {}
    }

    pub(crate) const fn touch(&mut self, _: Piece, _: Time) {
        match *self {}
    }

    pub(crate) const fn evict(&mut self, _: Piece) -> u64 {
        match *self {}
    }

    pub(crate) const fn cached(&self) -> u64 {
        match *self {}
    }
}
