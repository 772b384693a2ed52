//! Message stream encryption (MSE/PE): the handshake that hides BitTorrent's, and the ciphers that may follow.
//!
//! A machine without I/O below the [door](crate::door): bytes in, bytes out. Invariants: any cut of the byte stream comes to the same; a peer
//! is believed at most 512 bytes of padding at each place, so what is held is bounded. Cost: two powers in a group of 768 bits, about 0.2 ms.
//!
//! ```text
//! A → B  key A, padding
//! B → A  key B, padding
//! A → B  hash("req1", S), hash("req2", swarm) ^ hash("req3", S), RC4(8 zeros, methods, padding, first bytes)
//! B → A  RC4(8 zeros, method, padding), then the stream by that method
//! ```

mod exchange;
mod rc4;
#[cfg(test)]
mod tests;

use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;

use crate::key::SwarmKey;
use crate::rng::Rng;
use crate::wire::handshake::PROTOCOL;
use exchange::{KEY, SECRET};
pub use rc4::Rc4;
use rc4::hash;

/// The most padding at each place, in bytes (the specification's).
const MAX_PADDING: usize = 512;

/// The eight zeros by which one finds the beginning of what is encrypted.
const ZEROS: usize = 8;

/// The stream as it is.
const PLAINTEXT: u32 = 1;

/// The stream encrypted.
const RC4: u32 = 2;

/// What is done about encryption.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// The hidden handshake is tried first; plaintext is taken too. After the hidden handshake the stream goes on as plaintext if both
    /// may: the handshake is what middle boxes look at, and a stream that nobody need decrypt is several times as fast.
    #[default]
    Prefer,
    /// Encrypted streams alone.
    Require,
    /// Plaintext handshakes alone.
    Off,
}

impl Policy {
    const fn methods(self) -> u32 {
        match self {
            Self::Prefer => PLAINTEXT | RC4,
            Self::Require => RC4,
            Self::Off => 0,
        }
    }

    /// Whether a peer may be answered that begins in that way.
    pub const fn accepts(self, hidden: bool) -> bool {
        match self {
            Self::Prefer => true,
            Self::Require => hidden,
            Self::Off => !hidden,
        }
    }
}

/// Whether a connection begins with the hidden handshake; `None`: more bytes are needed.
pub fn is_hidden(begin: &[u8]) -> Option<bool> {
    let length = begin.len().min(PROTOCOL.len());
    if begin[..length] != PROTOCOL[..length] {
        return Some(true);
    }
    (length == PROTOCOL.len()).then_some(false)
}

/// Randomness for one handshake, from a source that cannot be guessed.
pub type Entropy = [u8; SECRET + 8];

/// How a swarm is named without being named: `hash("req2", swarm)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Alias(pub [u8; 20]);

impl Alias {
    /// The alias of a swarm.
    pub fn of(swarm: SwarmKey) -> Self {
        Self(hash(&[b"req2", &swarm.0]))
    }
}

/// The ciphers of both directions.
#[derive(Clone, Debug)]
pub struct Ciphers {
    /// For what is received.
    pub receive: Rc4,
    /// For what is sent.
    pub send: Rc4,
}

/// What the bytes received so far come to.
#[derive(Debug)]
pub enum Progress {
    /// More bytes are needed.
    More,
    /// A peer asks for the swarm with this alias: [`admit`](Handshake::admit) it or drop the connection.
    Asked(Alias),
    /// It is done: what follows is the stream, by these ciphers or as it is; its first bytes, decrypted.
    Open(Option<Ciphers>, Bytes),
}

/// Why a connection is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MseError {
    /// The public key is one that hides nothing.
    Key,
    /// After as much padding as may be, what should come is not there.
    Lost,
    /// More padding than may be.
    Padding {
        /// Its length in bytes.
        received: usize,
    },
    /// The methods offered, or the one chosen, are none that may be used.
    Method {
        /// As bits: 1 plaintext, 2 RC4.
        expected: u32,
        /// The same.
        received: u32,
    },
}

/// The handshake of one connection.
#[derive(Debug)]
pub struct Handshake {
    stage: Stage,
    methods: u32,
    secret: [u8; SECRET],
    rng: Rng,
    /// What was received and not yet understood.
    waiting: Vec<u8>,
    /// Of `waiting`, so much is decrypted.
    decrypted: usize,
    output: Vec<u8>,
    shared: [u8; KEY],
    ciphers: Option<Ciphers>,
}

/// What is waited for.
#[derive(Debug)]
enum Stage {
    /// Either: the other's public key. With the swarm and the first bytes of whoever opened.
    Key(Option<(SwarmKey, Bytes)>),
    /// Who opened: the eight zeros, encrypted, which the other sends next.
    Zeros([u8; ZEROS]),
    /// Who opened: the method, and how much padding follows.
    Method,
    /// Who answers: the hash that follows the padding.
    Request,
    /// Who answers: which swarm.
    Swarm,
    /// Who answers: that the swarm is admitted.
    Admission(Alias),
    /// Who answers: the methods, and how much padding follows.
    Methods,
    /// Who answers: that padding, and how many first bytes follow.
    First {
        chosen: u32,
        padding: usize,
    },
    /// Padding or first bytes of that length; then it is done.
    Last {
        chosen: u32,
        length: usize,
        keep: bool,
    },
    Done {
        chosen: u32,
    },
}

impl Handshake {
    /// The handshake of a connection that we opened, to talk about `swarm`; `first` is what the stream begins with.
    pub fn outgoing(policy: Policy, swarm: SwarmKey, first: Bytes, entropy: &Entropy) -> Self {
        let mut handshake = Self::new(policy, Some((swarm, first)), entropy);
        handshake.send_key();
        handshake
    }

    /// The handshake of a connection that was opened to us.
    pub fn incoming(policy: Policy, entropy: &Entropy) -> Self {
        Self::new(policy, None, entropy)
    }

    fn new(policy: Policy, opens: Option<(SwarmKey, Bytes)>, entropy: &Entropy) -> Self {
        let mut secret = [0; SECRET];
        let mut seed = [0; 8];
        secret.copy_from_slice(&entropy[..SECRET]);
        seed.copy_from_slice(&entropy[SECRET..]);
        Self {
            stage: Stage::Key(opens),
            methods: policy.methods(),
            secret,
            rng: Rng::new(u64::from_le_bytes(seed)),
            waiting: Vec::new(),
            decrypted: 0,
            output: Vec::new(),
            shared: [0; KEY],
            ciphers: None,
        }
    }

    /// What is to be sent.
    pub fn take_output(&mut self) -> Option<Bytes> {
        let output = core::mem::take(&mut self.output);
        (!output.is_empty()).then(|| output.into())
    }

    /// Takes what was received. Once open there is nothing more to give to it.
    ///
    /// # Errors
    /// It is no such handshake, or not one that the policy allows; see [`MseError`].
    pub fn receive(&mut self, data: &[u8]) -> Result<Progress, MseError> {
        self.waiting.extend_from_slice(data);
        self.advance()
    }

    /// Answers a peer that asked for this swarm.
    ///
    /// # Errors
    /// As of [`receive`](Self::receive).
    pub fn admit(&mut self, swarm: SwarmKey) -> Result<Progress, MseError> {
        if matches!(self.stage, Stage::Admission(_)) {
            let key = |name: &[u8; 4]| Rc4::new(&[name, &self.shared, &swarm.0]);
            let (receive, send) = (key(b"keyA"), key(b"keyB"));
            self.ciphers = Some(Ciphers { receive, send });
            self.stage = Stage::Methods;
        }
        self.advance()
    }

    fn advance(&mut self) -> Result<Progress, MseError> {
        while let Some(stage) = self.step()? {
            self.stage = stage;
            if let Stage::Done { chosen } = self.stage {
                return Ok(self.open(chosen));
            }
        }
        Ok(match self.stage {
            Stage::Admission(alias) => Progress::Asked(alias),
            _ => Progress::More,
        })
    }

    /// The next stage, if enough was received for this one.
    fn step(&mut self) -> Result<Option<Stage>, MseError> {
        match &mut self.stage {
            Stage::Key(opens) => {
                let Some(key) = self.waiting.first_chunk::<KEY>() else {
                    return Ok(None);
                };
                self.shared = exchange::shared(&self.secret, key).ok_or(MseError::Key)?;
                let opens = opens.take();
                self.waiting.drain(..KEY);
                Ok(Some(match opens {
                    Some((swarm, first)) => self.request(swarm, &first),
                    None => {
                        self.send_key();
                        Stage::Request
                    }
                }))
            }
            Stage::Zeros(zeros) => {
                let zeros = *zeros;
                Ok(self.find(&zeros)?.then_some(Stage::Method))
            }
            Stage::Request => {
                let request = hash(&[b"req1", &self.shared]);
                Ok(self.find(&request)?.then_some(Stage::Swarm))
            }
            Stage::Swarm => {
                let Some(hidden) = self.waiting.first_chunk::<20>() else {
                    return Ok(None);
                };
                let mask = hash(&[b"req3", &self.shared]);
                let alias = core::array::from_fn(|n| hidden[n] ^ mask[n]);
                self.waiting.drain(..20);
                Ok(Some(Stage::Admission(Alias(alias))))
            }
            Stage::Method => self.method(),
            Stage::Methods => self.offered(),
            &mut Stage::First { chosen, padding } => {
                let Some(length) = self.number::<2>(padding) else {
                    return Ok(None);
                };
                self.skip(padding + 2);
                let (length, keep) = (length as usize, true);
                Ok(Some(Stage::Last { chosen, length, keep }))
            }
            &mut Stage::Last { chosen, length, keep } => Ok(self.decrypt(length).then(|| {
                if !keep {
                    self.skip(length);
                }
                Stage::Done { chosen }
            })),
            Stage::Admission(_) | Stage::Done { .. } => Ok(None),
        }
    }

    /// Reads which method the other chose.
    fn method(&mut self) -> Result<Option<Stage>, MseError> {
        let (Some(chosen), Some(length)) = (self.number::<4>(0), self.number::<2>(4)) else {
            return Ok(None);
        };
        if chosen & self.methods == 0 || !chosen.is_power_of_two() {
            return Err(self.no_method(chosen));
        }
        self.skip(6);
        Ok(Some(Stage::Last {
            chosen,
            length: padding(length)?,
            keep: false,
        }))
    }

    /// Reads which methods the other offers, and answers with one of them.
    fn offered(&mut self) -> Result<Option<Stage>, MseError> {
        const HEAD: usize = ZEROS + 4;
        let (Some(offered), Some(length)) = (self.number::<4>(ZEROS), self.number::<2>(HEAD)) else {
            return Ok(None);
        };
        if self.waiting[..ZEROS] != [0; ZEROS] {
            return Err(MseError::Lost);
        }
        let padding = padding(length)?;
        let both = offered & self.methods;
        if both == 0 {
            return Err(self.no_method(offered));
        }
        // Plaintext where both may; see `Policy`.
        let chosen = both & both.wrapping_neg();
        self.skip(HEAD + 2);
        let mut answer = alloc::vec![0; ZEROS];
        answer.extend_from_slice(&chosen.to_be_bytes());
        let filling = self.rng.below(MAX_PADDING + 1);
        answer.extend_from_slice(&(filling as u16).to_be_bytes());
        answer.resize(answer.len() + filling, 0);
        self.send_encrypted(answer);
        Ok(Some(Stage::First { chosen, padding }))
    }

    const fn no_method(&self, received: u32) -> MseError {
        MseError::Method {
            expected: self.methods,
            received,
        }
    }

    fn send_key(&mut self) {
        self.output.extend_from_slice(&exchange::public(&self.secret));
        let mut padding = alloc::vec![0; self.rng.below(MAX_PADDING + 1)];
        self.rng.fill(&mut padding);
        self.output.append(&mut padding);
    }

    /// Asks for the swarm, now that a key is shared.
    fn request(&mut self, swarm: SwarmKey, first: &[u8]) -> Stage {
        let shared = self.shared;
        let key = |name: &[u8; 4]| Rc4::new(&[name, &shared, &swarm.0]);
        let (send, mut receive) = (key(b"keyA"), key(b"keyB"));
        let mut zeros = [0; ZEROS];
        receive.apply(&mut zeros);
        self.ciphers = Some(Ciphers { receive, send });
        let mask = hash(&[b"req3", &shared]);
        let alias = Alias::of(swarm).0;
        self.output.extend_from_slice(&hash(&[b"req1", &shared]));
        self.output.extend((0..20).map(|n| alias[n] ^ mask[n]));
        let mut request = alloc::vec![0; ZEROS];
        request.extend_from_slice(&self.methods.to_be_bytes());
        let filling = self.rng.below(MAX_PADDING + 1);
        request.extend_from_slice(&(filling as u16).to_be_bytes());
        request.resize(request.len() + filling, 0);
        let first = first.get(..usize::from(u16::MAX)).unwrap_or(first);
        request.extend_from_slice(&(first.len() as u16).to_be_bytes());
        request.extend_from_slice(first);
        self.send_encrypted(request);
        Stage::Zeros(zeros)
    }

    fn send_encrypted(&mut self, mut bytes: Vec<u8>) {
        if let Some(ciphers) = &mut self.ciphers {
            ciphers.send.apply(&mut bytes);
            self.output.append(&mut bytes);
        }
    }

    /// Looks for what ends the padding, and takes both off. False: more bytes are needed.
    fn find(&mut self, end: &[u8]) -> Result<bool, MseError> {
        let found = self
            .waiting
            .windows(end.len())
            .take(MAX_PADDING + 1)
            .position(|part| part == end);
        match found {
            Some(at) => {
                self.waiting.drain(..at + end.len());
                Ok(true)
            }
            None if self.waiting.len() >= MAX_PADDING + end.len() => Err(MseError::Lost),
            None => Ok(false),
        }
    }

    /// Decrypts the first `length` bytes that wait. False: more are needed.
    fn decrypt(&mut self, length: usize) -> bool {
        if self.waiting.len() < length {
            return false;
        }
        if let (Some(ciphers), Some(part)) = (&mut self.ciphers, self.waiting.get_mut(self.decrypted..length)) {
            ciphers.receive.apply(part);
        }
        self.decrypted = self.decrypted.max(length);
        true
    }

    /// The number of `N` bytes at that place, decrypted.
    fn number<const N: usize>(&mut self, at: usize) -> Option<u32> {
        if !self.decrypt(at + N) {
            return None;
        }
        let bytes = self.waiting.get(at..at + N)?;
        Some(bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte)))
    }

    /// Forgets bytes that are decrypted and understood.
    fn skip(&mut self, length: usize) {
        self.waiting.drain(..length);
        self.decrypted -= length;
    }

    /// Hands out the ciphers and the stream's first bytes.
    fn open(&mut self, chosen: u32) -> Progress {
        let mut waiting = core::mem::take(&mut self.waiting);
        let mut ciphers = self.ciphers.take().filter(|_| chosen == RC4);
        if let Some(ciphers) = &mut ciphers {
            ciphers.receive.apply(&mut waiting[self.decrypted..]);
        }
        Progress::Open(ciphers, waiting.into())
    }
}

const fn padding(length: u32) -> Result<usize, MseError> {
    let received = length as usize;
    if received > MAX_PADDING {
        Err(MseError::Padding { received })
    } else {
        Ok(received)
    }
}

impl fmt::Display for MseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key => f.write_str("a public key that hides nothing"),
            Self::Lost => f.write_str("no encryption handshake"),
            Self::Padding { received } => write!(f, "{received} bytes of padding, expected at most {MAX_PADDING}"),
            Self::Method { expected, received } => {
                write!(f, "encryption methods {received:#x}, expected of {expected:#x}")
            }
        }
    }
}

impl core::error::Error for MseError {}
