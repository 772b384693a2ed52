//! One connection: its state, its timers, and which packet is sent next.
//!
//! Invariants: never more is under way than the smaller of both windows; at most one timer of each kind; a peer that acknowledges what was
//! never sent is not listened to. Cost: O(1) a packet.

use alloc::vec::Vec;
use bytes::BytesMut;
use core::net::SocketAddr;

use super::delay::BothDelays;
use super::mtu::Mtu;
use super::packet::{HEADER, Header, Kind, Packet, Sequence};
use super::receiver::{Receiver, Taken};
use super::rtt::Rtt;
use super::sender::Sender;
use super::window::Window;
use super::{Fault, Transmit};
use crate::time::{Span, Time};

/// Silence after which a packet keeps the way through routers open: many forget a mapping after 30 s.
const KEEP_ALIVE: Span = Span::from_secs(29);

/// How long a connection that is closed here tries to bring its last bytes over.
const LINGER: Span = Span::from_secs(10);

/// How long a connection whose both ends are closed still answers a repeated end.
const FAREWELL: Span = Span::from_secs(1);

/// How often the opening packet is sent again.
const SYN_REPEATS: u32 = 2;

/// Timeouts in a row after which the other end is gone: half a minute and more.
const MAX_TIMEOUTS: u32 = 6;

/// How long somebody who opened a connection may say nothing more.
const UNCONFIRMED: Span = Span::from_secs(10);

/// The shortest wait before the last packet is repeated. Others hold acknowledgements back for up to 100 ms, but repeating is cheap.
const TAIL: Span = Span::from_millis(30);

/// Most bytes that wait to be sent for the first time.
const MAX_UNSENT: usize = 1 << 20;

/// Fewest that may wait.
const LEAST_UNSENT: usize = 64 << 10;

/// Packets that are sent before one may still be spoken of.
const RECENT: u16 = 1 << 14;

/// Where a connection stands. It never goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// We opened it and wait for the answer.
    Opening,
    /// It was opened by a packet whose sender may be forged.
    Unconfirmed,
    /// Both ends know.
    Open,
    /// It is over.
    Over(Fault),
}

/// Which numbers packets of a connection have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ids {
    /// Of those to us.
    pub(super) receive: u16,
    /// Of those to the other end.
    pub(super) send: u16,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) address: SocketAddr,
    pub(super) ids: Ids,
    pub(super) state: State,
    sender: Sender,
    receiver: Receiver,
    delays: BothDelays,
    window: Window,
    rtt: Rtt,
    mtu: Mtu,
    /// Bytes that the other end has room for.
    their_room: usize,
    /// What we last said we have room for.
    said_room: usize,
    ack_due: bool,
    /// Nobody here reads or writes any more.
    closed: bool,
    /// The writer waits for room.
    full: bool,
    /// When something was last sent, and when something last arrived there.
    sent_at: Time,
    progress_at: Time,
    /// The last packet was repeated and nothing has arrived since.
    tail_sent: bool,
    /// Over at this time whatever happens.
    end_by: Time,
    /// Something to be sent although the other end has no room.
    persist: bool,
}

impl Connection {
    /// A connection that we open.
    pub(super) fn open(address: SocketAddr, ids: Ids, capacity: usize, now: Time) -> Self {
        let mut connection = Self::new(address, ids, (Sequence(1), Sequence(0)), capacity, now);
        connection.state = State::Opening;
        connection.end_by = Time::NEVER;
        connection
    }

    /// A connection that was opened to us by packet `opening`.
    pub(super) fn opened(
        address: SocketAddr,
        ids: Ids,
        (first, opening): (Sequence, &Packet),
        capacity: usize,
        now: Time,
    ) -> Self {
        let header = &opening.header;
        let mut connection = Self::new(address, ids, (first, header.sequence), capacity, now);
        connection.delays.packet(header.timestamp, 0, now);
        connection.their_room = header.window as usize;
        connection.ack_due = true;
        connection.end_by = now + UNCONFIRMED;
        connection
    }

    fn new(address: SocketAddr, ids: Ids, (first, ack): (Sequence, Sequence), capacity: usize, now: Time) -> Self {
        let mtu = Mtu::new(address);
        Self {
            address,
            ids,
            state: State::Unconfirmed,
            sender: Sender::new(first),
            receiver: Receiver::new(ack, capacity),
            delays: BothDelays::new(),
            window: Window::new(mtu.size() - HEADER),
            rtt: Rtt::default(),
            mtu,
            their_room: 0,
            said_room: capacity,
            ack_due: false,
            closed: false,
            full: false,
            sent_at: now,
            progress_at: now,
            tail_sent: false,
            end_by: Time::NEVER,
            persist: false,
        }
    }

    /// Takes in a packet of this connection. True: whoever uses the connection should look.
    pub(super) fn receive(&mut self, packet: &Packet, now: Time) -> bool {
        let header = &packet.header;
        if matches!(self.state, State::Over(_)) || !self.is_plausible(packet) {
            return false;
        }
        match header.kind {
            // Our answer was lost.
            Kind::Syn => {
                self.ack_due = true;
                return false;
            }
            Kind::Reset => {
                self.state = State::Over(Fault::Reset);
                return true;
            }
            Kind::Data | Kind::Fin | Kind::State => {}
        }
        let before = self.state;
        if self.state == State::Opening {
            // The answer has the number that the first packet with bytes will have (as all do it; the BEP's figure says one less).
            self.receiver.ack = header.sequence.previous();
        }
        if self.state != State::Open {
            self.state = State::Open;
            self.end_by = Time::NEVER;
        }
        self.delays.packet(header.timestamp, header.difference, now);
        self.their_room = header.window as usize;
        self.acknowledged(packet, now);
        self.take(packet);
        self.settle(now);
        before != self.state || self.receiver.is_readable() || self.receiver.is_ended() || self.has_room_again()
    }

    /// Whether a packet can be of the other end: it acknowledges what was sent, or what was acknowledged before.
    fn is_plausible(&self, packet: &Packet) -> bool {
        let ack = packet.header.ack;
        match (packet.header.kind, self.state) {
            (Kind::Syn, _) => self.state == State::Unconfirmed && packet.header.sequence == self.receiver.ack,
            (_, State::Opening) => self.sender.is_waiting() && ack == self.sender.next.previous(),
            // It answers any packet of ours, those without a number of their own too.
            (Kind::Reset, _) => self.sender.next.since(ack) < RECENT,
            _ => self.sender.next.previous().since(ack) < RECENT,
        }
    }

    fn acknowledged(&mut self, packet: &Packet, now: Time) {
        let (mtu, mut probes) = (core::cell::RefCell::new(&mut self.mtu), 0);
        let acked = self.sender.acknowledge(
            packet,
            now,
            &mut |sequence| mtu.borrow_mut().acked(sequence),
            &mut |sequence| {
                let is_probe = mtu.borrow_mut().lost(sequence);
                probes += usize::from(is_probe);
                !is_probe
            },
        );
        self.rtt.heard();
        if acked.packets > 0 {
            self.progress_at = now;
            self.tail_sent = false;
            self.persist = false;
        }
        if let Some(took) = acked.rtt {
            self.rtt.add(took);
        }
        let packet = self.mtu.size() - HEADER;
        if acked.bytes > 0 {
            // No packet waits longer than its round trip takes.
            let most = acked.rtt.unwrap_or(Span::from_secs(60));
            let queueing = self.delays.queueing().unwrap_or(Span::ZERO).min(most);
            let full = acked.under_way + packet >= self.window.size();
            self.window.acked(acked.bytes, queueing, full, packet);
        }
        if acked.loss {
            self.window.lost(packet);
        }
    }

    fn take(&mut self, packet: &Packet) {
        let sequence = packet.header.sequence;
        match packet.header.kind {
            Kind::Data => {
                let taken = self.receiver.data(sequence, packet.payload);
                if self.closed && taken == Taken::Advanced {
                    self.receiver.discard();
                }
                self.ack_due = true;
            }
            Kind::Fin => {
                self.receiver.fin(sequence);
                self.ack_due = true;
            }
            _ => {}
        }
    }

    /// Once both ends are closed and know it, only a repeated end may still come.
    fn settle(&mut self, now: Time) {
        if self.closed && self.sender.is_done() && self.receiver.is_ended() {
            self.end_by = self.end_by.min(now + FAREWELL);
        }
    }

    /// The next bytes of the stream.
    pub(super) fn read(&mut self) -> Option<BytesMut> {
        let bytes = self.receiver.read()?;
        // Said anew when there was little room and is much again.
        let room = self.receiver.room();
        if room > self.said_room && room - self.said_room >= self.said_room.max(HEADER << 10) {
            self.ack_due = true;
        }
        Some(bytes)
    }

    pub(super) fn is_ended(&self) -> bool {
        self.receiver.is_ended() && !self.receiver.is_readable()
    }

    /// The longest datagram that passes, as far as is known.
    #[cfg(test)]
    pub(super) const fn datagram(&self) -> usize {
        self.mtu.size()
    }

    pub(super) const fn held(&self) -> usize {
        self.receiver.held()
    }

    /// How many bytes the writer may hand over. 0: it will be told.
    pub(super) fn room(&mut self) -> usize {
        let limit = self.unsent_limit();
        let room = match self.state {
            State::Open => limit.saturating_sub(self.sender.unsent()),
            _ => 0,
        };
        self.full = room == 0;
        room
    }

    fn unsent_limit(&self) -> usize {
        (2 * self.window.size()).clamp(LEAST_UNSENT, MAX_UNSENT)
    }

    /// Whether the writer waits, and there is room enough to be worth its while.
    pub(super) fn has_room_again(&self) -> bool {
        self.full && self.sender.unsent() <= self.unsent_limit() / 2
    }

    pub(super) fn write(&mut self, bytes: bytes::Bytes) {
        self.sender.write(bytes);
    }

    /// No more will be written.
    pub(super) const fn finish(&mut self) {
        self.sender.finish();
    }

    /// Nobody uses it any more: what was written is brought over, what comes is dropped.
    pub(super) fn close(&mut self, now: Time) {
        self.closed = true;
        self.sender.finish();
        self.receiver.discard();
        self.end_by = match self.state {
            State::Open => now + LINGER,
            _ => now,
        };
        self.settle(now);
    }

    /// Whether it can be forgotten.
    pub(super) fn is_gone(&self, now: Time) -> bool {
        self.end_by <= now || self.closed && matches!(self.state, State::Over(_))
    }

    /// When [`due`](Self::due) is to be called.
    pub(super) fn deadline(&self) -> Time {
        if matches!(self.state, State::Over(_)) {
            return self.end_by;
        }
        let mut deadline = self.end_by.min(self.sent_at + KEEP_ALIVE);
        if self.is_timed() {
            deadline = deadline.min(self.progress_at + self.rtt.timeout());
            if let Some(tail) = self.tail_at() {
                deadline = deadline.min(tail);
            }
        }
        deadline
    }

    /// Whether something must be heard in time.
    fn is_timed(&self) -> bool {
        self.sender.is_waiting() || self.sender.unsent() > 0
    }

    /// When the last packet is repeated: long before the timeout, which costs the whole window.
    fn tail_at(&self) -> Option<Time> {
        let waits = !self.tail_sent && self.sender.under_way() > 0 && !self.sender.has_lost();
        let mean = self.rtt.mean().filter(|_| waits)?;
        Some(self.sent_at.max(self.progress_at) + (mean + mean).max(TAIL))
    }

    /// Time has come to [`deadline`](Self::deadline). True: it is over.
    pub(super) fn due(&mut self, now: Time) -> bool {
        if self.state == State::Unconfirmed && self.end_by <= now {
            self.state = State::Over(Fault::TimedOut);
        }
        if matches!(self.state, State::Over(_)) {
            return true;
        }
        if self.sent_at + KEEP_ALIVE <= now {
            self.ack_due = true;
        }
        if self.is_timed() && self.progress_at + self.rtt.timeout() <= now {
            return self.time_out(now);
        }
        false
    }

    /// Nothing was heard in time. True: the other end is gone.
    fn time_out(&mut self, now: Time) -> bool {
        let times = self.rtt.timed_out();
        let most = if self.state == State::Opening {
            SYN_REPEATS
        } else {
            MAX_TIMEOUTS
        };
        if times > most {
            self.state = State::Over(Fault::TimedOut);
            return true;
        }
        self.progress_at = now;
        if self.sender.is_waiting() {
            if times >= 2 {
                self.mtu.stalled();
            } else {
                self.mtu.timed_out();
            }
            self.window.timed_out(self.mtu.size() - HEADER);
            self.sender.time_out();
        }
        self.persist = true;
        self.tail_sent = true;
        false
    }

    /// Writes up to `most` packets of one length (the last may be shorter) to `out`.
    pub(super) fn transmit(&mut self, now: Time, room: usize, most: usize, out: &mut Vec<u8>) -> Option<Transmit> {
        if matches!(self.state, State::Over(_)) {
            return None;
        }
        if self.state == State::Opening && !self.sender.is_waiting() {
            self.sender.syn(now);
            self.sent_at = now;
            return Some(self.put(Kind::Syn, Sequence(1), &[], (now, room), out));
        }
        let segment = self.transmit_run(now, room, most, out);
        if segment.is_some() || !self.ack_due || self.state == State::Opening {
            return segment;
        }
        let mask = self.receiver.mask();
        self.sent_at = now;
        Some(self.put(Kind::State, self.sender.next, &mask, (now, room), out))
    }

    fn transmit_run(&mut self, now: Time, room: usize, most: usize, out: &mut Vec<u8>) -> Option<Transmit> {
        let mut run: Option<Transmit> = None;
        for _ in 0..most {
            let segment = run.map_or(usize::MAX, |run| run.segment);
            let Some((length, probe)) = self.next_length(now) else {
                break;
            };
            // A run is of one length, and a probe is a run of its own.
            if HEADER + length > segment || probe && run.is_some() {
                break;
            }
            let start = out.len();
            if !self.transmit_one(now, room, (length, probe), out) {
                break;
            }
            let length = out.len() - start;
            let to = self.address;
            let run = run.get_or_insert(Transmit {
                to,
                segment: length,
                probe,
            });
            if length < run.segment || probe {
                break;
            }
        }
        run
    }

    /// Writes the next packet that has a number. False: there is none.
    fn transmit_one(&mut self, now: Time, room: usize, (length, probe): (usize, bool), out: &mut Vec<u8>) -> bool {
        let idle = !self.sender.is_waiting();
        let header = self.header(Kind::Data, now, room);
        let tail = self.is_tail_due(now);
        let sent = if tail {
            self.sender.tail(now)
        } else if self.sender.has_lost() {
            self.sender.again(now)
        } else {
            self.sender.cut(length, now)
        };
        let Some((sequence, sent)) = sent else { return false };
        let mut header = Header {
            kind: sent.kind,
            sequence,
            ..header
        };
        if sent.kind == Kind::Syn {
            header.connection = self.ids.receive;
        }
        header.encode(&[], out);
        sent.payload.iter().for_each(|bytes| out.extend_from_slice(bytes));
        if probe {
            self.mtu.sent(sequence, HEADER + length);
        } else {
            // Repeated it may be cut, and then its arrival shows nothing.
            self.mtu.lost(sequence);
        }
        if idle {
            self.progress_at = now;
        }
        self.tail_sent |= tail;
        (self.sent_at, self.persist) = (now, false);
        // The mask of what is missing goes in a packet of its own.
        self.ack_due &= self.receiver.has_gap();
        true
    }

    /// How long the payload of the next packet is, if one may be sent now, and whether it is a probe.
    fn next_length(&self, now: Time) -> Option<(usize, bool)> {
        let usual = self.mtu.size() - HEADER;
        if self.state == State::Opening && !self.sender.has_lost() {
            return None;
        }
        if self.is_tail_due(now) {
            return Some((self.sender.tail_length()?, false));
        }
        let mut probe = false;
        let length = match self.sender.lost_length() {
            Some(length) => length,
            None => match self.mtu.wanted() {
                Some(size) if self.sender.unsent() >= size && self.window.size() > 4 * size => {
                    probe = true;
                    size - HEADER
                }
                _ => usual.min(self.sender.unsent()),
            },
        };
        // What is sent again had room when it was sent first, and what waits behind it in the other end's memory needs it.
        let room = if self.sender.has_lost() {
            usize::MAX
        } else {
            self.their_room
        };
        let window = self.window.size().min(room);
        let under_way = self.sender.under_way();
        let fits = under_way + length <= window || under_way == 0 && (self.persist || length <= room);
        (fits && self.sender.has_next()).then_some((length, probe))
    }

    fn is_tail_due(&self, now: Time) -> bool {
        self.tail_at().is_some_and(|at| at <= now)
    }

    fn put(
        &mut self,
        kind: Kind,
        sequence: Sequence,
        mask: &[u8],
        (now, room): (Time, usize),
        out: &mut Vec<u8>,
    ) -> Transmit {
        let start = out.len();
        let mut header = Header {
            sequence,
            ..self.header(kind, now, room)
        };
        if kind == Kind::Syn {
            header.connection = self.ids.receive;
            header.ack = Sequence(0);
        }
        header.encode(mask, out);
        self.ack_due = false;
        let (to, segment) = (self.address, out.len() - start);
        Transmit {
            to,
            segment,
            probe: false,
        }
    }

    /// A header for now; `room` bytes are free for all connections together.
    fn header(&mut self, kind: Kind, now: Time, room: usize) -> Header {
        self.said_room = self.receiver.room().min(room);
        Header {
            kind,
            connection: self.ids.send,
            // 0 would say that there is no clock.
            timestamp: (now.as_micros() as u32).max(1),
            difference: self.delays.reply,
            window: self.said_room as u32,
            sequence: self.sender.next,
            ack: self.receiver.ack,
        }
    }
}
