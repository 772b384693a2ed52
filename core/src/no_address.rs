//! Stands in for the addresses of peers where the feature `native` is off: a browser tells none.

use core::net::IpAddr;

/// The address of a peer. There is none, so that what is done with one needs no code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Address {}

impl Address {
    pub(crate) const fn ip(&self) -> IpAddr {
        match *self {}
    }

    pub(crate) const fn set_port(&mut self, _: u16) {
        match *self {}
    }
}
