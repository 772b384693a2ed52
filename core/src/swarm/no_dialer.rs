//! Stands in for `dialer` where the feature `native` is off: addresses are of no use to what cannot dial.

use alloc::vec::Vec;

use crate::address::Address;
use crate::event::{Dial, Link};
use crate::rng::Rng;
use crate::time::Time;

/// No addresses.
#[derive(Debug, Default)]
pub(crate) struct Dialer(());

impl Dialer {
    pub(crate) const fn add(&mut self, _: Address, _: Time) {}

    pub(crate) const fn forget(&mut self, _: Address) {}

    pub(crate) const fn pass_over(&mut self, _: Address, _: Time) {}

    pub(crate) const fn known(&self) -> usize {
        0
    }

    pub(crate) const fn dialling(&self) -> usize {
        0
    }

    pub(crate) fn choose(&mut self, _: usize, _: Time, _: &mut Rng, _: impl Fn(Address) -> u32) -> Vec<Address> {
        Vec::new()
    }

    pub(crate) const fn begin(&mut self, _: Dial, _: Address) {}

    pub(crate) const fn fail(&mut self, _: Dial, _: Time) -> Option<Address> {
        None
    }

    pub(crate) const fn link(&mut self, _: Dial, _: Link) {}

    pub(crate) const fn unlink(&mut self, _: Link, _: bool, _: Time) {}

    pub(crate) const fn deadline(&self) -> Option<Time> {
        None
    }

    pub(crate) const fn stop(&mut self, _: Time) {}
}
