//! uTP (BEP 29): streams of bytes over datagrams, which yield to other traffic.
//!
//! [`Socket`] is all connections of one UDP socket as a machine without I/O: datagrams in by [`receive`](Socket::receive), datagrams out by
//! [`transmit`](Socket::transmit), time by [`deadline`](Socket::deadline) and [`due`](Socket::due); bytes of streams by
//! [`read`](Socket::read) and [`write`](Socket::write). Invariants: memory is bounded for each connection and for all together; a connection
//! that others open is reported only when its opener has shown that it receives what is sent to it. Cost: O(log n) for a datagram among
//! n connections, O(1) for the next of the same one.

mod connection;
mod delay;
mod mtu;
pub mod packet;
mod receiver;
mod rtt;
mod sender;
#[cfg(test)]
mod tests;
mod window;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use bytes::{Bytes, BytesMut};
use core::net::SocketAddr;

use crate::rng::Rng;
use crate::time::Time;
use connection::{Connection, Ids, State};
use packet::{Header, Kind, Packet, Sequence};

/// Answers to packets of connections that are not known, kept until they are sent.
const MAX_RESETS: usize = 64;

/// The limits of a socket.
#[derive(Clone, Debug)]
pub struct Config {
    /// Connections, at most.
    pub connections: usize,
    /// Those among them whose opener may be forged.
    pub unconfirmed: usize,
    /// Bytes that one connection may hold for its reader, after gaps too. It bounds the speed over long paths.
    pub receive: usize,
    /// The same for all together.
    pub memory: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            connections: 4_000,
            unconfirmed: 250,
            receive: 2 << 20,
            memory: 64 << 20,
        }
    }
}

/// A connection of a socket. It is not used again for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handle {
    slot: u32,
    serial: u32,
}

/// Something that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Somebody opened a connection.
    Accepted(Handle, SocketAddr),
    /// A connection is open, can be read or written again, or is over.
    Stirred(Handle),
}

/// Why a connection is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The other end does not know it.
    Reset,
    /// The other end does not answer.
    TimedOut,
}

/// What reading gives.
#[derive(Debug, PartialEq, Eq)]
pub enum Read {
    /// These bytes, and perhaps more.
    Data(BytesMut),
    /// Nothing now.
    Empty,
    /// Nothing any more: the other end is done.
    End,
    /// Nothing any more.
    Failed(Fault),
}

/// Datagrams to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Where to.
    pub to: SocketAddr,
    /// The length of each but the last, which may be shorter.
    pub segment: usize,
    /// Routers may not cut it: it is to show whether that length passes.
    pub probe: bool,
}

#[derive(Debug, Default)]
struct Slot {
    serial: u32,
    connection: Option<Box<Connection>>,
    /// It is in the queue of those that may have something to send.
    queued: bool,
    /// Its entry in the table of timers; never later than its deadline.
    timer: Option<Time>,
}

/// All connections of one UDP socket.
#[derive(Debug)]
pub struct Socket {
    config: Config,
    rng: Rng,
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Slots by the other end's address and the number of packets to us.
    routes: BTreeMap<(SocketAddr, u16), u32>,
    /// The route used last.
    last: Option<((SocketAddr, u16), u32)>,
    /// Slots that may have something to send.
    queue: VecDeque<u32>,
    timers: BTreeSet<(Time, u32)>,
    events: VecDeque<Event>,
    resets: VecDeque<(SocketAddr, Header)>,
    unconfirmed: usize,
    held: usize,
}

impl Socket {
    /// A socket without connections. Its numbers follow from `seed`.
    pub fn new(config: Config, seed: u64) -> Self {
        Self {
            config,
            rng: Rng::new(seed),
            slots: Vec::new(),
            free: Vec::new(),
            routes: BTreeMap::new(),
            last: None,
            queue: VecDeque::new(),
            timers: BTreeSet::new(),
            events: VecDeque::new(),
            resets: VecDeque::new(),
            unconfirmed: 0,
            held: 0,
        }
    }

    /// Opens a connection; `None` when there are too many. It can be written once it is reported as stirred.
    pub fn connect(&mut self, now: Time, to: SocketAddr) -> Option<Handle> {
        if self.routes.len() >= self.config.connections {
            return None;
        }
        let receive = (0..16)
            .map(|_| self.rng.next_u64() as u16)
            .find(|receive| !self.routes.contains_key(&(to, *receive)))?;
        let ids = Ids {
            receive,
            send: receive.wrapping_add(1),
        };
        let connection = Connection::open(to, ids, self.config.receive, now);
        let slot = self.insert(connection);
        self.touch(slot);
        Some(self.handle(slot))
    }

    /// Takes in a datagram. One that is no packet, or that nobody waits for, is dropped or answered by a reset.
    pub fn receive(&mut self, now: Time, from: SocketAddr, datagram: &[u8]) {
        let Ok(packet) = Packet::decode(datagram) else { return };
        let Some(slot) = self.route(from, &packet.header) else {
            return self.unexpected(now, from, &packet);
        };
        let Some(connection) = self.connection(slot) else {
            return;
        };
        let (before, held) = (connection.state, connection.held());
        let stirred = connection.receive(&packet, now);
        let (after, held_now) = (connection.state, connection.held());
        self.held = self.held + held_now - held;
        let handle = self.handle(slot);
        if before == State::Unconfirmed && after != before {
            self.unconfirmed -= 1;
            if after == State::Open {
                self.events.push_back(Event::Accepted(handle, from));
            }
        }
        if stirred {
            self.stir(handle);
        }
        self.touch(slot);
    }

    /// The slot that a packet belongs to.
    fn route(&mut self, from: SocketAddr, header: &Header) -> Option<u32> {
        let id = header.connection;
        // An opening packet has the number of what is sent back.
        let key = (
            from,
            if header.kind == Kind::Syn {
                id.wrapping_add(1)
            } else {
                id
            },
        );
        if let Some((_, slot)) = self.last.filter(|(last, _)| *last == key) {
            return Some(slot);
        }
        let found = self.routes.get(&key).copied();
        if let Some(slot) = found {
            self.last = Some((key, slot));
            return found;
        }
        if header.kind != Kind::Reset {
            return None;
        }
        // Some send a reset back under the number that the packet came with.
        [id.wrapping_sub(1), id.wrapping_add(1)]
            .into_iter()
            .find_map(|receive| {
                let slot = *self.routes.get(&(from, receive))?;
                self.connection(slot).filter(|connection| connection.ids.send == id)?;
                Some(slot)
            })
    }

    /// A packet of no connection that is known.
    fn unexpected(&mut self, now: Time, from: SocketAddr, packet: &Packet) {
        let header = &packet.header;
        match header.kind {
            Kind::Syn => {
                let full = self.routes.len() >= self.config.connections || self.unconfirmed >= self.config.unconfirmed;
                // Dropped: whoever is in earnest asks again.
                if !full {
                    let ids = Ids {
                        receive: header.connection.wrapping_add(1),
                        send: header.connection,
                    };
                    let first = Sequence(self.rng.next_u64() as u16);
                    let connection = Connection::opened(from, ids, (first, packet), self.config.receive, now);
                    let slot = self.insert(connection);
                    self.unconfirmed += 1;
                    self.touch(slot);
                }
            }
            Kind::Reset => {}
            Kind::Data | Kind::Fin | Kind::State => {
                if self.resets.len() < MAX_RESETS {
                    let reset = Header {
                        kind: Kind::Reset,
                        connection: header.connection,
                        timestamp: (now.as_micros() as u32).max(1),
                        difference: 0,
                        window: 0,
                        sequence: Sequence(self.rng.next_u64() as u16),
                        ack: header.sequence,
                    };
                    self.resets.push_back((from, reset));
                }
            }
        }
    }

    /// The next thing that happened.
    pub fn poll(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The next bytes of a stream.
    pub fn read(&mut self, handle: Handle) -> Read {
        let Some(connection) = self.of(handle) else {
            return Read::Failed(Fault::Reset);
        };
        let Some(bytes) = connection.read() else {
            return match connection.state {
                _ if connection.is_ended() => Read::End,
                State::Over(fault) => Read::Failed(fault),
                _ => Read::Empty,
            };
        };
        self.held -= bytes.len();
        self.touch(handle.slot);
        Read::Data(bytes)
    }

    /// How many bytes may be written; 0: the connection will be stirred when some may.
    ///
    /// # Errors
    /// The connection is over.
    pub fn room(&mut self, handle: Handle) -> Result<usize, Fault> {
        let connection = self.of(handle).ok_or(Fault::Reset)?;
        match connection.state {
            State::Over(fault) => Err(fault),
            _ => Ok(connection.room()),
        }
    }

    /// Writes bytes. They are taken, however little room there is.
    pub fn write(&mut self, handle: Handle, bytes: Bytes) {
        if let Some(connection) = self.of(handle) {
            connection.write(bytes);
            self.touch(handle.slot);
        }
    }

    /// Says that nothing more will be written.
    pub fn finish(&mut self, handle: Handle) {
        if let Some(connection) = self.of(handle) {
            connection.finish();
            self.touch(handle.slot);
        }
    }

    /// Lets go of a connection: what was written still goes out, what comes is dropped.
    pub fn close(&mut self, now: Time, handle: Handle) {
        if let Some(connection) = self.of(handle) {
            let held = connection.held();
            connection.close(now);
            let left = connection.held();
            self.held = self.held + left - held;
            self.touch(handle.slot);
        }
    }

    /// When [`due`](Self::due) is to be called.
    pub fn deadline(&self) -> Option<Time> {
        self.timers.first().map(|(time, _)| *time)
    }

    /// Time has come to [`deadline`](Self::deadline).
    pub fn due(&mut self, now: Time) {
        // Those whose time this is now: what is set anew meanwhile waits for what is sent.
        let later = self.timers.split_off(&(now, u32::MAX));
        for (_, slot) in core::mem::replace(&mut self.timers, later) {
            self.slots[slot as usize].timer = None;
            let Some(connection) = self.connection(slot) else {
                continue;
            };
            let before = connection.state;
            let over = connection.deadline() <= now && connection.due(now);
            let gone = connection.is_gone(now);
            if before == State::Unconfirmed && over {
                self.unconfirmed -= 1;
                self.remove(slot);
            } else if gone {
                self.remove(slot);
            } else {
                if over {
                    self.stir(self.handle(slot));
                }
                self.touch(slot);
            }
        }
    }

    /// Appends datagrams for one address to `out`, at most `most` of them; `None` when there is nothing to be sent now.
    pub fn transmit(&mut self, now: Time, most: usize, out: &mut Vec<u8>) -> Option<Transmit> {
        if let Some((to, header)) = self.resets.pop_front() {
            header.encode(&[], out);
            return Some(Transmit {
                to,
                segment: out.len(),
                probe: false,
            });
        }
        let room = self.config.memory.saturating_sub(self.held);
        while let Some(slot) = self.queue.pop_front() {
            self.slots[slot as usize].queued = false;
            let Some(connection) = self.connection(slot) else {
                continue;
            };
            let transmit = connection.transmit(now, room, most, out);
            let again = connection.has_room_again();
            if again && transmit.is_some() {
                self.stir(self.handle(slot));
            }
            if transmit.is_some() {
                self.touch(slot);
                return transmit;
            }
            self.schedule(slot);
        }
        None
    }

    /// How many connections there are.
    pub fn len(&self) -> usize {
        self.routes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }

    fn stir(&mut self, handle: Handle) {
        if self.events.back() != Some(&Event::Stirred(handle)) {
            self.events.push_back(Event::Stirred(handle));
        }
    }

    fn handle(&self, slot: u32) -> Handle {
        let serial = self.slots[slot as usize].serial;
        Handle { slot, serial }
    }

    fn connection(&mut self, slot: u32) -> Option<&mut Connection> {
        self.slots.get_mut(slot as usize)?.connection.as_deref_mut()
    }

    fn of(&mut self, handle: Handle) -> Option<&mut Connection> {
        let slot = self.slots.get_mut(handle.slot as usize)?;
        slot.connection.as_deref_mut().filter(|_| slot.serial == handle.serial)
    }

    fn insert(&mut self, connection: Connection) -> u32 {
        let key = (connection.address, connection.ids.receive);
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            self.slots.len() as u32 - 1
        });
        self.slots[slot as usize].connection = Some(Box::new(connection));
        self.routes.insert(key, slot);
        slot
    }

    fn remove(&mut self, slot: u32) {
        let entry = &mut self.slots[slot as usize];
        entry.serial += 1;
        if let Some(time) = entry.timer.take() {
            self.timers.remove(&(time, slot));
        }
        if let Some(connection) = entry.connection.take() {
            self.held -= connection.held();
            self.routes.remove(&(connection.address, connection.ids.receive));
        }
        self.last = None;
        self.free.push(slot);
    }

    /// Something has changed: it may have something to send, and another deadline.
    fn touch(&mut self, slot: u32) {
        let entry = &mut self.slots[slot as usize];
        if entry.connection.is_some() && !entry.queued {
            entry.queued = true;
            self.queue.push_back(slot);
        }
        self.schedule(slot);
    }

    fn schedule(&mut self, slot: u32) {
        let entry = &mut self.slots[slot as usize];
        let Some(connection) = &entry.connection else { return };
        let deadline = connection.deadline();
        // An entry that is too early costs a look; moving it for each packet costs more.
        if entry.timer.is_none_or(|timer| deadline < timer) {
            if let Some(timer) = entry.timer.replace(deadline) {
                self.timers.remove(&(timer, slot));
            }
            self.timers.insert((deadline, slot));
        }
    }
}
