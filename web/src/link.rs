//! Links: byte streams over data channels and over the relay's WebSocket (with a body of HTTP beside it for the way down), from the first byte of the handshake on.
//!
//! Receiving: a message is copied into wasm once and then only sliced. Sending: frames are pulled while the transport has room
//! and joined to messages as large as the other end takes, since peers parse a byte stream and a message's cost hardly depends
//! on its size. Invariant: at most [`HIGH_WATER`] and one message more are buffered in the browser.

use bytes::Bytes;
use js_sys::{ArrayBuffer, Uint8Array};
use tombolo_core::door::{Door, Progress};
use tombolo_core::event::{Event, Link, Opened, Origin, Torrent, Transport};
use tombolo_core::key::{SwarmKey, hex};
use tombolo_core::swarm::reason::Reason;
use wasm_bindgen::prelude::*;
use web_sys::{
    BinaryType, CloseEvent, MessageEvent, RtcDataChannel, RtcDataChannelState, RtcDataChannelType, WebSocket,
};

use crate::engine::{Core, turn};
use crate::entry::Entry;
use crate::platform::{self, Body, Callback, Claim, Timer, bytes_of, callback};
use crate::task::spawn;

/// How much may wait in the browser, in bytes: some round trips' worth, so that the wire never runs dry between two wake-ups.
const HIGH_WATER: u32 = 512 << 10;

/// When a data channel asks for more, in bytes that still wait.
const LOW_WATER: u32 = HIGH_WATER / 2;

/// How often a WebSocket with too much waiting is looked at again, in ms: it has no event for it.
const WEB_SOCKET_POLL: f64 = 4.0;

/// The largest WebSocket message, in bytes.
const WIRE_MESSAGE: usize = 256 << 10;

/// What carries a link, with the callbacks that live as long as it does.
pub(crate) enum Pipe {
    /// A data channel, and the negotiation it came of.
    Channel {
        channel: RtcDataChannel,
        offer: u32,
        _callbacks: ChannelCallbacks,
    },
    /// The relay's WebSocket, and the body that it sends down, if that is not the WebSocket too.
    Wire {
        socket: WebSocket,
        _down: Option<Body>,
        poll: Timer,
        _callbacks: WireCallbacks,
    },
}

/// The callbacks of a data channel.
pub(crate) struct ChannelCallbacks {
    message: Callback,
    open: Callback,
    close: Callback,
    low: Callback,
}

/// The callbacks of the relay's WebSocket.
pub(crate) struct WireCallbacks {
    message: Callback,
    open: Callback,
    close: Callback,
}

/// A link, open or on the way to it.
pub(crate) struct LinkState {
    pub(crate) torrent: Torrent,
    pub(crate) origin: Origin,
    pipe: Pipe,
    /// The handshakes, until they are done.
    door: Option<Door>,
    /// Our handshake, until it is sent. The other end's may be here before a transferred channel counts as open.
    hello: Option<Bytes>,
    /// Whether frames wait for room.
    wants_room: bool,
    max_message: usize,
}

impl LinkState {
    /// What carries it.
    pub(crate) const fn transport(&self) -> Transport {
        match self.pipe {
            Pipe::Channel { .. } => Transport::Rtc,
            Pipe::Wire { .. } => Transport::Wire,
        }
    }

    /// Whether the handshakes are done.
    pub(crate) const fn is_open(&self) -> bool {
        self.door.is_none()
    }

    /// Whether it is a relay's WebSocket, past its handshakes.
    pub(crate) const fn is_wire(&self) -> bool {
        self.is_open() && matches!(self.pipe, Pipe::Wire { .. })
    }

    fn buffered(&self) -> u32 {
        match &self.pipe {
            Pipe::Channel { channel, .. } => channel.buffered_amount(),
            Pipe::Wire { socket, .. } => socket.buffered_amount(),
        }
    }

    /// Sends one message. A failure is followed by the transport's own close event.
    fn send(&self, bytes: &[u8]) {
        let _ = match &self.pipe {
            Pipe::Channel { channel, .. } => channel.send_with_u8_array(bytes),
            Pipe::Wire { socket, .. } => socket.send_with_u8_array(bytes),
        };
    }
}

impl Core {
    /// A data channel is here, open or about to be.
    pub(crate) fn add_channel(&mut self, offer: u32, channel: RtcDataChannel) {
        let Some(negotiation) = self.negotiations.get_mut(offer) else {
            channel.close();
            return;
        };
        let (torrent, origin) = (negotiation.torrent, Origin::Offered(negotiation.offer));
        let max_message = negotiation.max_message;
        let link = self.new_link();
        if let Some(negotiation) = self.negotiations.get_mut(offer) {
            negotiation.link = Some(link);
        }
        channel.set_binary_type(RtcDataChannelType::Arraybuffer);
        channel.set_buffered_amount_low_threshold(LOW_WATER);
        let callbacks = ChannelCallbacks {
            message: on_message(link),
            open: turn_on(move |core| core.greet(link)),
            close: turn_on(move |core| core.lost(link)),
            low: turn_on(move |core| core.has_room(link)),
        };
        channel.set_onmessage(Some(callbacks.message.as_ref().unchecked_ref()));
        channel.set_onopen(Some(callbacks.open.as_ref().unchecked_ref()));
        channel.set_onclose(Some(callbacks.close.as_ref().unchecked_ref()));
        channel.set_onbufferedamountlow(Some(callbacks.low.as_ref().unchecked_ref()));
        let is_open = channel.ready_state() == RtcDataChannelState::Open;
        let pipe = Pipe::Channel {
            channel,
            offer,
            _callbacks: callbacks,
        };
        self.insert_link(link, torrent, origin, pipe, max_message);
        if is_open {
            self.greet(link);
        }
    }

    /// Opens the relay's WebSocket for a torrent; the handshake is sent when [`greet`](Self::greet) is called once it is open.
    /// With leave for a body, that is what the relay sends down: browsers read one several times as fast.
    pub(crate) fn open_wire(&mut self, torrent: Torrent, url: &str, claim: Option<Claim>) -> Option<Link> {
        let token = claim.is_some().then(|| hex(&platform::random::<16>()));
        let url = token.map_or_else(|| url.to_owned(), |token| format!("{url}?down={token}"));
        let socket = WebSocket::new(&url).ok()?;
        socket.set_binary_type(BinaryType::Arraybuffer);
        let link = self.new_link();
        let down = claim.map(|claim| {
            let chunk = move |bytes: Uint8Array| turn(|core| core.received(link, bytes.to_vec().into()));
            let url = format!("http{}", url.strip_prefix("ws").unwrap_or(&url));
            let end = move || turn(|core| core.body_ended(link));
            self.host.body(claim, &url, chunk, end)
        });
        let callbacks = WireCallbacks {
            message: on_message(link),
            open: turn_on(move |core| core.wire_opened(torrent, link)),
            close: {
                callback(move |event: CloseEvent| {
                    turn(|core| {
                        core.wire_closed(torrent, link, event.code(), &event.reason());
                        core.lost(link);
                    });
                })
            },
        };
        socket.set_onmessage(Some(callbacks.message.as_ref().unchecked_ref()));
        socket.set_onopen(Some(callbacks.open.as_ref().unchecked_ref()));
        socket.set_onclose(Some(callbacks.close.as_ref().unchecked_ref()));
        let pipe = Pipe::Wire {
            socket,
            _down: down,
            poll: Timer::new(move || turn(|core| core.wire_poll(link))),
            _callbacks: callbacks,
        };
        self.insert_link(link, torrent, Origin::Chosen, pipe, WIRE_MESSAGE);
        Some(link)
    }

    /// The relay sends no more. What it has to say about that comes by the WebSocket.
    fn body_ended(&mut self, link: Link) {
        let Some(state) = self.links.get(&link) else { return };
        if !state.is_open() {
            self.relay.no_body = true;
        }
        if let Pipe::Wire { socket, .. } = &state.pipe {
            let _ = socket.close();
        }
    }

    fn insert_link(&mut self, link: Link, torrent: Torrent, origin: Origin, pipe: Pipe, max_message: usize) {
        let entry = self.torrents.get(&torrent);
        let hashes = entry.and_then(|entry| entry.hashes);
        // A way to the relay is opened before the session has the torrent.
        let swarm = self.session.swarm(torrent, origin).or_else(|| entry.map(Entry::swarm));
        let swarm = swarm.unwrap_or(SwarmKey([0; 20]));
        let v2 = hashes.and_then(|hashes| hashes.v2()).map(SwarmKey::from);
        let mut door = match v2 {
            Some(v2) => Door::outgoing_hybrid(swarm, v2, self.peer_id),
            None => Door::outgoing(swarm, self.peer_id),
        };
        let state = LinkState {
            torrent,
            origin,
            pipe,
            hello: door.take_output(),
            door: Some(door),
            wants_room: false,
            max_message,
        };
        self.links.insert(link, state);
    }

    /// Sends our handshake: the transport is open, and the other end may know us now.
    pub(crate) fn greet(&mut self, link: Link) {
        let Some(state) = self.links.get_mut(&link) else { return };
        if let Pipe::Channel { offer, .. } = state.pipe
            && let Some(negotiation) = self.negotiations.get_mut(offer)
        {
            // Known for certain only now: the answer to our offer came after the channel.
            state.max_message = negotiation.max_message;
        }
        if let Some(hello) = state.hello.take() {
            state.send(&hello);
        }
        self.has_room(link);
    }

    /// Bytes came in.
    pub(crate) fn received(&mut self, link: Link, data: Bytes) {
        let Some(state) = self.links.get_mut(&link) else { return };
        let Some(door) = &mut state.door else {
            let torrent = state.torrent;
            self.tell(Event::Received(link, data));
            self.watch_for_first_byte(torrent);
            return;
        };
        match door.receive(data) {
            Ok(Progress::Open(greeting)) => {
                state.door = None;
                let opened = Opened {
                    link,
                    torrent: state.torrent,
                    greeting,
                    transport: state.transport(),
                    origin: state.origin,
                    address: None,
                };
                self.link_opened(&opened);
                self.tell(Event::Opened(Box::new(opened)));
            }
            Ok(_) => {}
            Err(error) => {
                let (torrent, text) = (state.torrent, format!("handshake: {error}"));
                self.note(torrent, "warning", text);
                self.lost(link);
            }
        }
    }

    /// The transport is gone, or of no use.
    pub(crate) fn lost(&mut self, link: Link) {
        let Some(state) = self.links.get(&link) else { return };
        if state.is_open() {
            self.tell(Event::Closed(link));
        } else if let Origin::Offered(offer) = state.origin {
            self.tell(Event::OfferFailed(offer));
        }
        self.drop_link(link);
    }

    /// The session closes a link.
    pub(crate) fn close_link(&mut self, link: Link, reason: &Reason) {
        if let Some(state) = self.links.get(&link) {
            let torrent = state.torrent;
            self.note(torrent, "wire close", reason.to_string());
        }
        self.drop_link(link);
    }

    /// Closes the transport and forgets the link.
    pub(crate) fn drop_link(&mut self, link: Link) {
        let Some(state) = self.links.remove(&link) else { return };
        match &state.pipe {
            Pipe::Channel { channel, offer, .. } => {
                channel.set_onmessage(None);
                channel.set_onopen(None);
                channel.set_onclose(None);
                channel.set_onbufferedamountlow(None);
                channel.close();
                let offer = *offer;
                self.negotiations.remove(offer);
                self.host.negotiate("close", offer, None);
            }
            Pipe::Wire { socket, .. } => {
                socket.set_onmessage(None);
                socket.set_onopen(None);
                socket.set_onclose(None);
                let _ = socket.close();
                self.wire_dropped(state.torrent, link);
            }
        }
        // The closures may be what is running just now: they are freed when this turn is over.
        spawn(async move { drop(state) });
    }

    /// There is something to send on a link.
    pub(crate) fn wake(&mut self, link: Link) {
        let Some(state) = self.links.get_mut(&link) else { return };
        if !state.wants_room && !self.ready.contains(&link) {
            self.ready.push(link);
        }
    }

    /// A link has room again.
    fn has_room(&mut self, link: Link) {
        let Some(state) = self.links.get_mut(&link) else { return };
        if std::mem::take(&mut state.wants_room) {
            self.wake(link);
        }
    }

    fn wire_poll(&mut self, link: Link) {
        if let Some(LinkState {
            pipe: Pipe::Wire { poll, .. },
            ..
        }) = self.links.get_mut(&link)
        {
            poll.rung();
        }
        self.has_room(link);
    }

    /// Gives a link its frames while it has room.
    pub(crate) fn pump(&mut self, link: Link) {
        let (now, time) = (self.now, self.time());
        let Some(state) = self.links.get_mut(&link) else { return };
        while state.hello.is_none() && state.buffered() < HIGH_WATER {
            self.scratch.clear();
            let mut room = state.max_message;
            while let Some(frame) = self.session.poll_frame(time, link, room) {
                frame.iter().for_each(|bytes| self.scratch.extend_from_slice(bytes));
                room = state.max_message.saturating_sub(self.scratch.len());
            }
            if self.scratch.is_empty() {
                return;
            }
            state.send(&self.scratch);
        }
        state.wants_room = true;
        if let Pipe::Wire { poll, .. } = &mut state.pipe {
            poll.set(now + WEB_SOCKET_POLL, now);
        }
    }
}

/// The callback for a transport's messages.
fn on_message(link: Link) -> Callback {
    callback(move |event: MessageEvent| {
        let data = event.data();
        // Text is not the peer wire protocol; no peer sends it.
        if !data.is_instance_of::<ArrayBuffer>() {
            return;
        }
        if let Some(bytes) = bytes_of(&data) {
            turn(|core| core.received(link, bytes.into()));
        }
    })
}

/// A callback that makes a turn.
fn turn_on(mut act: impl FnMut(&mut Core) + 'static) -> Callback {
    callback(move |_: JsValue| turn(&mut act))
}
