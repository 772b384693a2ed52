//! WebSocket frames (RFC 6455), the server's side, as a stream: what has arrived of a frame is passed on at once.
//!
//! The invariant: payload is unmasked where it lies and handed on as slices of the receive buffer, so a byte stream in
//! binary messages costs one pass over its bytes and no copy. Only control frames, at most 125 bytes, are gathered.
//! Cost: linear in the bytes received.

use bytes::{Buf, Bytes, BytesMut};

/// The longest head of a frame that we send: two bytes and a 64-bit length. The server does not mask.
pub(crate) const MAX_HEAD: usize = 10;

/// The longest payload of a control frame (RFC 6455, 5.5).
const MAX_CONTROL: usize = 125;

/// What kind of message a data frame is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// UTF-8 text.
    Text,
    /// Bytes.
    Binary,
}

/// What a chunk of input holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Bytes of a message, and whether they are its last. Empty ones only end a message.
    Data {
        /// What kind of message it is.
        kind: Kind,
        /// The bytes, unmasked.
        data: BytesMut,
        /// Whether the message ends with them.
        last: bool,
    },
    /// A ping, to be answered with a pong of the same bytes.
    Ping(Bytes),
    /// A pong.
    Pong,
    /// The other end closes, with a code if it gave one.
    Close(Option<u16>),
}

/// Why a connection must be closed, with the code for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Against the framing rules: 1002.
    Protocol(&'static str),
    /// A message over the bound: 1009.
    TooBig,
}

impl Fault {
    /// The close code that says so (RFC 6455, 7.4.1).
    pub(crate) const fn code(self) -> u16 {
        match self {
            Self::Protocol(_) => 1002,
            Self::TooBig => 1009,
        }
    }

    /// The same in words.
    pub(crate) const fn reason(self) -> &'static str {
        match self {
            Self::Protocol(reason) => reason,
            Self::TooBig => "the message is too long",
        }
    }
}

/// Opcodes (RFC 6455, 5.2).
pub(crate) mod opcode {
    pub(crate) const CONTINUATION: u8 = 0;
    pub(crate) const TEXT: u8 = 1;
    pub(crate) const BINARY: u8 = 2;
    pub(crate) const CLOSE: u8 = 8;
    pub(crate) const PING: u8 = 9;
    pub(crate) const PONG: u8 = 10;
}

/// Where in a frame the input stands.
#[derive(Debug)]
enum State {
    /// In its head: what has come of it.
    Head([u8; 14], usize),
    /// In the payload of a data frame.
    Data { left: u64, mask: [u8; 4], last: bool },
    /// In the payload of a control frame.
    Control {
        opcode: u8,
        left: usize,
        mask: [u8; 4],
        gathered: BytesMut,
    },
}

/// Reads the frames that one client sends.
#[derive(Debug)]
pub(crate) struct Decoder {
    state: State,
    /// The kind of the message that is open between frames.
    open: Option<Kind>,
    /// Bytes of the open message so far.
    length: u64,
    /// The longest message accepted.
    limit: u64,
}

impl Decoder {
    /// A decoder for a new connection. A message over `limit` bytes is a fault.
    pub(crate) const fn new(limit: u64) -> Self {
        Self {
            state: State::Head([0; 14], 0),
            open: None,
            length: 0,
            limit,
        }
    }

    /// The next part of `input`, which is consumed; `None` when all of it is.
    ///
    /// # Errors
    /// Any fault ends the connection: the decoder is of no more use.
    pub(crate) fn next(&mut self, input: &mut BytesMut) -> Result<Option<Part>, Fault> {
        loop {
            match &mut self.state {
                State::Head(head, have) => {
                    let needed = head_length(&head[..*have]);
                    if *have < needed {
                        let Some(byte) = input.first().copied() else {
                            return Ok(None);
                        };
                        input.advance(1);
                        head[*have] = byte;
                        *have += 1;
                        continue;
                    }
                    let head = *head;
                    if let Some(part) = self.begin(&head[..needed])? {
                        return Ok(Some(part));
                    }
                }
                State::Data { left, mask, last } => {
                    if input.is_empty() {
                        return Ok(None);
                    }
                    let count = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                    let mut data = input.split_to(count);
                    unmask(&mut data, *mask);
                    mask.rotate_left(count % 4);
                    *left -= count as u64;
                    let (ended, last) = (*left == 0, *last);
                    return self.data(data, ended, last).map(Some);
                }
                State::Control {
                    opcode,
                    left,
                    mask,
                    gathered,
                } => {
                    let count = (*left).min(input.len());
                    gathered.extend_from_slice(&input[..count]);
                    input.advance(count);
                    *left -= count;
                    if *left > 0 {
                        return Ok(None);
                    }
                    unmask(gathered, *mask);
                    let part = control(*opcode, gathered.split().freeze())?;
                    self.state = State::Head([0; 14], 0);
                    return Ok(Some(part));
                }
            }
        }
    }

    /// Takes in bytes of a data frame.
    fn data(&mut self, data: BytesMut, frame_ended: bool, last_frame: bool) -> Result<Part, Fault> {
        let kind = self.open.ok_or(Fault::Protocol("no message is open"))?;
        if frame_ended {
            self.state = State::Head([0; 14], 0);
        }
        let last = frame_ended && last_frame;
        if last {
            self.open = None;
            self.length = 0;
        }
        Ok(Part::Data { kind, data, last })
    }

    /// Reads a whole head. Gives a part where the frame has no payload.
    fn begin(&mut self, head: &[u8]) -> Result<Option<Part>, Fault> {
        let (first, second) = (head[0], head[1]);
        let (last, opcode) = (first & 0x80 != 0, first & 0x0f);
        if first & 0x70 != 0 {
            return Err(Fault::Protocol("no extension was agreed on"));
        }
        if second & 0x80 == 0 {
            return Err(Fault::Protocol("a client masks its frames"));
        }
        let (length, rest) = match second & 0x7f {
            126 => (u64::from(u16::from_be_bytes([head[2], head[3]])), &head[4..]),
            127 => {
                let mut length = [0; 8];
                length.copy_from_slice(&head[2..10]);
                (u64::from_be_bytes(length), &head[10..])
            }
            length => (u64::from(length), &head[2..]),
        };
        let mask = [rest[0], rest[1], rest[2], rest[3]];
        if opcode >= opcode::CLOSE {
            let left = usize::try_from(length).unwrap_or(usize::MAX);
            if !last || left > MAX_CONTROL {
                return Err(Fault::Protocol("a control frame is whole and short"));
            }
            self.state = State::Control {
                opcode,
                left,
                mask,
                gathered: BytesMut::new(),
            };
            return Ok(None);
        }
        self.open = match (opcode, self.open) {
            (opcode::CONTINUATION, Some(kind)) => Some(kind),
            (opcode::TEXT, None) => Some(Kind::Text),
            (opcode::BINARY, None) => Some(Kind::Binary),
            _ => return Err(Fault::Protocol("not the next frame of a message")),
        };
        self.length = self.length.saturating_add(length);
        if self.length > self.limit {
            return Err(Fault::TooBig);
        }
        if length == 0 {
            return self.data(BytesMut::new(), true, last).map(Some);
        }
        self.state = State::Data {
            left: length,
            mask,
            last,
        };
        Ok(None)
    }
}

/// How long the head is that begins with these bytes, as far as they tell.
fn head_length(head: &[u8]) -> usize {
    let length = match head.get(1).map(|second| second & 0x7f) {
        None => return 2,
        Some(126) => 4,
        Some(127) => 10,
        Some(_) => 2,
    };
    let masked = head.get(1).is_some_and(|second| second & 0x80 != 0);
    length + if masked { 4 } else { 0 }
}

fn control(opcode: u8, payload: Bytes) -> Result<Part, Fault> {
    match opcode {
        opcode::PING => Ok(Part::Ping(payload)),
        opcode::PONG => Ok(Part::Pong),
        opcode::CLOSE => match *payload {
            [] => Ok(Part::Close(None)),
            [high, low, ..] => Ok(Part::Close(Some(u16::from_be_bytes([high, low])))),
            [_] => Err(Fault::Protocol("a close code has two bytes")),
        },
        _ => Err(Fault::Protocol("an unknown control frame")),
    }
}

/// Applies the mask, a machine word at a time.
fn unmask(data: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let mut words = data.chunks_exact_mut(8);
    for word in &mut words {
        let mut value = [0; 8];
        value.copy_from_slice(word);
        word.copy_from_slice(&(u64::from_ne_bytes(value) ^ wide).to_ne_bytes());
    }
    for (byte, mask) in words.into_remainder().iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
}

/// The head of an unmasked frame that is a whole message of `length` bytes.
pub(crate) fn head(opcode: u8, length: usize) -> Bytes {
    let mut head = [0; MAX_HEAD];
    head[0] = 0x80 | opcode;
    let end = if let (Ok(short), true) = (u8::try_from(length), length <= MAX_CONTROL) {
        head[1] = short;
        2
    } else if let Ok(medium) = u16::try_from(length) {
        head[1] = 126;
        head[2..4].copy_from_slice(&medium.to_be_bytes());
        4
    } else {
        head[1] = 127;
        head[2..10].copy_from_slice(&(length as u64).to_be_bytes());
        10
    };
    Bytes::copy_from_slice(&head[..end])
}

/// A whole frame with its payload copied in: for short messages.
pub(crate) fn message(opcode: u8, payload: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(MAX_HEAD + payload.len());
    frame.extend_from_slice(&head(opcode, payload.len()));
    frame.extend_from_slice(payload);
    frame.freeze()
}

/// A close frame; the reason is cut to what fits.
pub(crate) fn close(code: u16, reason: &str) -> Bytes {
    let mut end = reason.len().min(MAX_CONTROL - 2);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    let mut payload = code.to_be_bytes().to_vec();
    payload.extend_from_slice(&reason.as_bytes()[..end]);
    message(opcode::CLOSE, &payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = head(0, payload.len()).to_vec();
        frame[0] = first;
        frame[1] |= 0x80;
        let mask = [0x11, 0x22, 0x33, 0x44];
        frame.extend(mask);
        frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        frame
    }

    fn feed(decoder: &mut Decoder, bytes: &[u8], step: usize) -> Result<Vec<Part>, Fault> {
        let mut parts = Vec::new();
        for chunk in bytes.chunks(step) {
            let mut input = BytesMut::from(chunk);
            while let Some(part) = decoder.next(&mut input)? {
                parts.push(part);
            }
            assert!(input.is_empty());
        }
        Ok(parts)
    }

    #[test]
    fn any_split_of_the_input_gives_the_same_bytes() {
        let payload: Vec<u8> = (0..70_000_u32).map(|n| (n * 7) as u8).collect();
        let mut stream = masked(0x02, &payload[..300]);
        stream.extend(masked(0x89, b"ping"));
        stream.extend(masked(0x80, &payload[300..]));
        stream.extend(masked(0x88, &[0x03, 0xe8, b'x']));
        for step in [1, 3, 7, 1000, stream.len()] {
            let parts = feed(&mut Decoder::new(1 << 20), &stream, step).unwrap();
            let mut bytes = Vec::new();
            let mut ended = false;
            for part in &parts {
                if let Part::Data { kind, data, last } = part {
                    assert_eq!(*kind, Kind::Binary);
                    bytes.extend_from_slice(data);
                    ended = *last;
                }
            }
            assert!(ended && bytes == payload, "step {step}");
            assert!(parts.contains(&Part::Ping(Bytes::from_static(b"ping"))));
            assert_eq!(parts.last(), Some(&Part::Close(Some(1000))));
        }
    }

    #[test]
    fn against_the_rules() {
        let unmasked = vec![0x82, 0x01, 0x00];
        let cases: [(&str, Vec<u8>, u16); 8] = [
            ("unmasked", unmasked, 1002),
            ("reserved bit", masked(0xc2, b"x"), 1002),
            ("continuation of nothing", masked(0x80, b"x"), 1002),
            (
                "a second message within one",
                [masked(0x02, b"x"), masked(0x82, b"y")].concat(),
                1002,
            ),
            ("fragmented ping", masked(0x09, b"x"), 1002),
            ("long ping", masked(0x89, &[0; 126]), 1002),
            ("close code of one byte", masked(0x88, &[3]), 1002),
            (
                "over the limit",
                [masked(0x02, &[0; 90]), masked(0x80, &[0; 20])].concat(),
                1009,
            ),
        ];
        for (name, bytes, code) in cases {
            let fault = feed(&mut Decoder::new(100), &bytes, 5).unwrap_err();
            assert_eq!(fault.code(), code, "{name}");
        }
    }

    #[test]
    fn heads_have_the_shortest_form() {
        assert_eq!(&head(opcode::BINARY, 125)[..], [0x82, 125]);
        assert_eq!(&head(opcode::BINARY, 126)[..], [0x82, 126, 0, 126]);
        assert_eq!(&head(opcode::BINARY, 65_536)[..], [0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
        assert_eq!(close(4403, &"é".repeat(100)).len(), 2 + 2 + 122);
    }
}
