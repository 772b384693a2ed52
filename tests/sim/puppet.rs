//! A peer that the test drives by hand, message by message.

use std::net::SocketAddr;

use bytes::Bytes;
use tombolo_core::door::Greeting;
use tombolo_core::event::Transport;
use tombolo_core::key::{PeerId, SwarmKey};
use tombolo_core::slices::Slices;
use tombolo_core::wire::frame::Framer;
use tombolo_core::wire::handshake::Reserved;
use tombolo_core::wire::message::Message;

/// A peer that the test drives.
pub struct Puppet {
    /// How it names itself.
    pub id: PeerId,
    /// What it says it can do.
    pub reserved: Reserved,
    /// What carries its link.
    pub transport: Transport,
    /// Its address.
    pub address: Option<SocketAddr>,
    framer: Framer,
}

impl Puppet {
    /// A peer that speaks what we speak, over TCP.
    pub fn new(number: u8) -> Self {
        let address = Some(SocketAddr::from(([10, 1, 0, number], 6881)));
        Self {
            id: PeerId([number; 20]),
            reserved: Reserved::OURS,
            transport: Transport::Tcp,
            address,
            framer: Framer::new(),
        }
    }

    /// The same that speaks BEP 3 alone.
    pub fn plain(mut self) -> Self {
        self.reserved = Reserved([0; 8]);
        self
    }

    /// The same over something else.
    pub fn over(mut self, transport: Transport) -> Self {
        self.transport = transport;
        self
    }

    pub(super) fn greeting(&self, swarm: SwarmKey) -> Greeting {
        Greeting {
            swarm,
            peer_id: self.id,
            reserved: self.reserved,
            rest: Bytes::new(),
        }
    }

    pub(super) fn hear(&mut self, frame: Slices) {
        frame.iter().for_each(|part| self.framer.push(part.clone()));
    }

    pub(super) fn heard(&mut self) -> Vec<Message> {
        std::iter::from_fn(|| self.framer.next().expect("the session speaks the protocol")).collect()
    }
}
