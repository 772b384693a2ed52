//! The sending half of a connection: a stream of bytes in, packets out until each has arrived.
//!
//! Invariants: a packet keeps its bytes and its number for ever, since uTP numbers packets (BEP 29: it cannot repackage); bytes are shared
//! with whoever wrote them until they are put into a datagram. A packet counts as lost when three sent after it have arrived, so a lost
//! repetition is found as well. Cost: O(1) a packet, O(packets under way) where some are missing.

use alloc::collections::VecDeque;
use bytes::{Buf, Bytes};

use super::packet::{Kind, Packet, Sequence};
use crate::slices::Slices;
use crate::time::{Span, Time};

/// Packets sent after one that must have arrived before it counts as lost (BEP 29: 3).
const REORDERED: u64 = 3;

/// Packets under way at once. Numbers are told apart within 32,767.
const MAX_UNDER_WAY: usize = 16_000;

/// A packet with fewer bytes counts as small even if it is all there is to send: it waits while another small one is under way.
const LEAST_FULL: usize = 1_200;

/// A packet that has been sent.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) kind: Kind,
    pub(super) payload: Slices,
    /// When it was sent last.
    at: Time,
    /// Its place among all that was sent, the first time and the last.
    first: u64,
    last: u64,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    UnderWay,
    /// To be sent again.
    Lost,
    Arrived,
}

/// The sending half.
#[derive(Debug)]
pub(super) struct Sender {
    /// The number of the next new packet.
    pub(super) next: Sequence,
    /// What was sent and not acknowledged in order; the last is `next - 1`.
    sent: VecDeque<Sent>,
    /// Payload bytes of those under way, and how many are lost.
    under_way: usize,
    lost: usize,
    unsent: VecDeque<Bytes>,
    unsent_bytes: usize,
    /// How many packets have been sent, repetitions too.
    count: u64,
    /// The latest of those that arrived.
    latest: u64,
    /// The shortest round trip so far.
    fastest: Span,
    /// Acknowledgements in a row that said nothing new.
    duplicates: u32,
    /// Losses of packets sent before this one belong to a loss that is known.
    recovered: u64,
    /// Whether something after the first packet has arrived: those before it may be lost.
    has_gap: bool,
    /// The last packet that was not full.
    partial: Option<Sequence>,
    /// The stream ends after what is unsent.
    ending: bool,
    /// The packet that says so was sent.
    fin: bool,
}

/// What an acknowledgement brought.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Acked {
    /// Packets that arrived.
    pub(super) packets: usize,
    /// Their payload.
    pub(super) bytes: usize,
    /// The shortest time that one of them took, of those sent once.
    pub(super) rtt: Option<Span>,
    /// Packets were lost, and this is no loss known already.
    pub(super) loss: bool,
    /// Bytes under way before.
    pub(super) under_way: usize,
}

impl Sender {
    pub(super) const fn new(next: Sequence) -> Self {
        Self {
            next,
            sent: VecDeque::new(),
            under_way: 0,
            lost: 0,
            unsent: VecDeque::new(),
            unsent_bytes: 0,
            count: 0,
            latest: 0,
            fastest: Span::from_secs(60),
            duplicates: 0,
            recovered: 0,
            has_gap: false,
            partial: None,
            ending: false,
            fin: false,
        }
    }

    /// Bytes to be sent.
    pub(super) fn write(&mut self, bytes: Bytes) {
        if !bytes.is_empty() && !self.ending {
            self.unsent_bytes += bytes.len();
            self.unsent.push_back(bytes);
        }
    }

    /// No more bytes will come.
    pub(super) const fn finish(&mut self) {
        self.ending = true;
    }

    /// Bytes that were never sent.
    pub(super) const fn unsent(&self) -> usize {
        self.unsent_bytes
    }

    /// Payload bytes under way.
    pub(super) const fn under_way(&self) -> usize {
        self.under_way
    }

    /// Whether anything sent has not arrived.
    pub(super) fn is_waiting(&self) -> bool {
        !self.sent.is_empty()
    }

    /// Whether the end of the stream was sent, and all has arrived.
    pub(super) fn is_done(&self) -> bool {
        self.fin && self.sent.is_empty()
    }

    /// Whether something is to be sent again.
    pub(super) const fn has_lost(&self) -> bool {
        self.lost > 0
    }

    /// Sends the packet of kind SYN that opens a connection.
    pub(super) fn syn(&mut self, now: Time) -> Sequence {
        self.push(Kind::Syn, Slices::new(), now)
    }

    fn push(&mut self, kind: Kind, payload: Slices, now: Time) -> Sequence {
        let sequence = self.next;
        self.next = sequence.plus(1);
        self.count += 1;
        self.under_way += payload.len();
        self.sent.push_back(Sent {
            kind,
            payload,
            at: now,
            first: self.count,
            last: self.count,
            state: State::UnderWay,
        });
        sequence
    }

    /// The first lost packet, which is sent again now.
    pub(super) fn again(&mut self, now: Time) -> Option<(Sequence, &Sent)> {
        if self.lost == 0 {
            return None;
        }
        let place = self.sent.iter().position(|sent| sent.state == State::Lost)?;
        Some(self.repeat(place, now))
    }

    /// The last packet under way, sent again to learn what became of those before it.
    pub(super) fn tail(&mut self, now: Time) -> Option<(Sequence, &Sent)> {
        let place = self.sent.iter().rposition(|sent| sent.state != State::Arrived)?;
        Some(self.repeat(place, now))
    }

    fn repeat(&mut self, place: usize, now: Time) -> (Sequence, &Sent) {
        let sequence = self.first().plus(place as u16);
        self.count += 1;
        let sent = &mut self.sent[place];
        if sent.state == State::Lost {
            sent.state = State::UnderWay;
            self.lost -= 1;
            self.under_way += sent.payload.len();
        }
        (sent.at, sent.last) = (now, self.count);
        (sequence, sent)
    }

    /// A new packet of at most `length` bytes, or the end of the stream.
    pub(super) fn cut(&mut self, length: usize, now: Time) -> Option<(Sequence, &Sent)> {
        if self.sent.len() >= MAX_UNDER_WAY || self.fin {
            return None;
        }
        if self.unsent_bytes == 0 {
            if !self.ending {
                return None;
            }
            self.fin = true;
            let sequence = self.push(Kind::Fin, Slices::new(), now);
            return self.sent.back().map(|sent| (sequence, sent));
        }
        if !self.has_next() {
            return None;
        }
        let is_full = self.unsent_bytes >= LEAST_FULL;
        let mut payload = Slices::new();
        while let Some(front) = self.unsent.front_mut()
            && payload.len() < length
        {
            let part = front.split_to(front.len().min(length - payload.len()));
            payload.push(part);
            if !front.has_remaining() {
                self.unsent.pop_front();
            }
        }
        self.unsent_bytes -= payload.len();
        let sequence = self.push(Kind::Data, payload, now);
        if !is_full {
            self.partial = Some(sequence);
        }
        self.sent.back().map(|sent| (sequence, sent))
    }

    /// The length of the first lost packet.
    pub(super) fn lost_length(&self) -> Option<usize> {
        let lost = self
            .sent
            .iter()
            .find(|sent| self.lost > 0 && sent.state == State::Lost)?;
        Some(lost.payload.len())
    }

    /// The length of the last packet under way.
    pub(super) fn tail_length(&self) -> Option<usize> {
        let last = self.sent.iter().rev().find(|sent| sent.state != State::Arrived)?;
        Some(last.payload.len())
    }

    /// Whether a packet is there to be sent: lost, new, or the end of the stream.
    pub(super) fn has_next(&self) -> bool {
        if self.lost > 0 {
            return true;
        }
        if self.sent.len() >= MAX_UNDER_WAY || self.fin {
            return false;
        }
        if self.unsent_bytes == 0 {
            return self.ending;
        }
        // Not full: it waits while another such is under way (BEP 29 leaves this open; Minshall's form of Nagle's rule).
        self.unsent_bytes >= LEAST_FULL
            || self.ending
            || !self.partial.is_some_and(|partial| self.is_under_way(partial))
    }

    fn first(&self) -> Sequence {
        Sequence(self.next.0.wrapping_sub(self.sent.len() as u16))
    }

    /// The place of a packet among those not acknowledged in order.
    fn place(&self, sequence: Sequence) -> Option<usize> {
        let place = usize::from(sequence.since(self.first()));
        (place < self.sent.len()).then_some(place)
    }

    fn is_under_way(&self, sequence: Sequence) -> bool {
        self.place(sequence)
            .is_some_and(|place| self.sent[place].state != State::Arrived)
    }

    /// Takes in what a packet acknowledges; each that arrives is given to `arrived`, each lost to `lost`, which says whether it
    /// was a sign of a full path.
    pub(super) fn acknowledge(
        &mut self,
        packet: &Packet,
        now: Time,
        arrived: &mut impl FnMut(Sequence),
        lost: &mut impl FnMut(Sequence) -> bool,
    ) -> Acked {
        let mut acked = Acked {
            under_way: self.under_way,
            ..Acked::default()
        };
        let ack = packet.header.ack;
        let first = self.first();
        let count = usize::from(ack.since(first.previous()));
        if count <= self.sent.len() {
            for n in 0..count {
                self.arrive(n, now, &mut acked);
                arrived(first.plus(n as u16));
            }
            self.sent.drain(..count);
            // Older acknowledgements that were overtaken say nothing of what is missing now.
            for sequence in packet.selected() {
                if let Some(place) = self.place(sequence) {
                    self.arrive(place, now, &mut acked);
                    arrived(sequence);
                }
            }
        }
        let repeats = count == 0 && packet.header.kind == Kind::State && acked.packets == 0;
        self.duplicates = if repeats && self.is_waiting() {
            self.duplicates + 1
        } else {
            0
        };
        acked.loss = self.find_lost(lost);
        acked
    }

    fn arrive(&mut self, place: usize, now: Time, acked: &mut Acked) {
        let sent = &mut self.sent[place];
        match sent.state {
            State::Arrived => return,
            State::Lost => self.lost -= 1,
            State::UnderWay => self.under_way -= sent.payload.len(),
        }
        sent.state = State::Arrived;
        acked.packets += 1;
        acked.bytes += sent.payload.len();
        if sent.first == sent.last {
            // Of one sent twice nobody knows which arrived.
            let took = now.since(sent.at);
            acked.rtt = Some(acked.rtt.map_or(took, |least| least.min(took)));
            self.fastest = self.fastest.min(took);
            self.latest = self.latest.max(sent.last);
        } else if now.since(sent.at) >= self.fastest {
            // The repetition, as far as can be told (RFC 8985): else only a timeout would find the next lost repetition.
            self.latest = self.latest.max(sent.last);
        }
        sent.payload = Slices::new();
    }

    /// Finds what is lost by now. True: a loss not known before.
    fn find_lost(&mut self, lost: &mut impl FnMut(Sequence) -> bool) -> bool {
        let mut new = false;
        let first = self.first();
        // The third acknowledgement that says nothing new: the first packet is missing (for peers without selective ones).
        let third = u64::from(self.duplicates) == REORDERED;
        let beyond = self
            .sent
            .front()
            .is_some_and(|sent| sent.state == State::Arrived || self.latest >= sent.last + REORDERED);
        let scan = if self.has_gap || beyond {
            self.sent.len()
        } else {
            usize::from(third)
        };
        let mut seen_arrived = false;
        for place in 0..scan.min(self.sent.len()) {
            let sent = &mut self.sent[place];
            seen_arrived |= sent.state == State::Arrived;
            let overtaken = self.latest >= sent.last + REORDERED || third && place == 0;
            if sent.state != State::UnderWay || !overtaken {
                continue;
            }
            sent.state = State::Lost;
            self.lost += 1;
            self.under_way -= sent.payload.len();
            if lost(first.plus(place as u16)) && sent.last > self.recovered {
                new = true;
            }
        }
        self.has_gap = seen_arrived;
        if new {
            self.recovered = self.count;
        }
        new
    }

    /// Nothing was heard in time: all that is under way is lost.
    pub(super) fn time_out(&mut self) {
        for sent in self.sent.iter_mut().filter(|sent| sent.state == State::UnderWay) {
            sent.state = State::Lost;
            self.lost += 1;
            self.under_way -= sent.payload.len();
        }
        self.recovered = self.count;
        self.duplicates = 0;
    }
}
