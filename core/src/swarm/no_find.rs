//! What a tab has in the place of `find`: it has no addresses, so it neither finds nor names any.

use bytes::Bytes;

use super::Swarm;
use super::peer::Peer;
use super::reason::Reason;
use crate::address::Address;
use crate::config::Config;
use crate::event::Link;
use crate::session::context::Context;
use crate::time::Time;
use crate::wire::extended::{Extension, Ids};
use crate::wire::handshake::Reserved;

pub(crate) struct Finder;

pub(crate) type Acquaintance = ();

impl Finder {
    pub(crate) const fn new(_: &Config, _: Time) -> Self {
        Self
    }

    pub(crate) const fn deadline(&self) -> Option<Time> {
        None
    }

    pub(crate) const fn restart(&mut self, _: Time) {}

    pub(crate) const fn rank(&self, _: &Config, _: Address) -> u32 {
        0
    }
}

impl Swarm {
    pub(super) const fn find(&mut self, _: &mut Context) {}

    pub(super) const fn exchange(&mut self, _: &mut Context, _: Link) {}

    pub(super) const fn add_native_ids(&self, _: &Config, _: &Peer, _: &mut Ids) {}

    pub(super) const fn tell_port(&mut self, _: &Context, _: Link, _: Reserved) {}

    pub(super) const fn on_port(&self, _: &mut Context, _: Link, _: u16) {}

    pub(super) const fn on_native(&mut self, _: &mut Context, _: Link, _: Extension, _: &Bytes) -> Result<(), Reason> {
        Ok(())
    }

    pub(super) const fn on_your_ip(&mut self, _: Link) {}

    pub(super) const fn ask_for_punch(&mut self, _: &mut Context, _: Address) {}

    pub(super) const fn make_room(&mut self, _: &mut Context, _: Option<Address>) -> bool {
        false
    }
}
