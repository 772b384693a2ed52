//! The door of a connection: both handshakes, before any swarm is known.
//!
//! A machine without I/O: bytes in, bytes out. Whoever answers the door learns which swarm is asked for, and only then says under which name
//! it answers, or shuts the door by dropping it. Invariant: at most [`MAX_WAITING`] bytes are held.

use crate::key::{PeerId, SwarmKey};
use crate::wire::handshake::{Handshake, Reserved};
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;

/// How many bytes a peer may send before its handshake is answered: its handshake and what it may say at once.
pub const MAX_WAITING: usize = 64 * 1024;

/// The two handshakes of one connection.
#[derive(Debug)]
pub struct Door {
    state: State,
    /// What was received and not yet understood.
    waiting: Vec<u8>,
    output: Option<Bytes>,
    /// The v2 name of the swarm, where it is a hybrid's and either name will do (BEP 52).
    v2: Option<SwarmKey>,
    /// Whether we are a node of the DHT, as our handshake says.
    dht: bool,
}

/// Where the door stands. It never goes back.
#[derive(Clone, Copy, Debug)]
enum State {
    /// A peer came and has not named a swarm.
    Incoming,
    /// It named this swarm and waits for our answer.
    Asked(SwarmKey),
    /// Our handshake is sent, its own is not whole.
    Answering { swarm: SwarmKey, local: PeerId },
    /// Done.
    Open,
}

/// What the bytes received so far come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// More bytes are needed.
    More,
    /// A peer asks for this swarm: [`admit`](Door::admit) it or drop the door.
    Asked(SwarmKey),
    /// Both handshakes are done (ours may still be in [`take_output`](Door::take_output)).
    Open(Greeting),
}

/// What the other side said of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Greeting {
    /// The swarm both want to talk about.
    pub swarm: SwarmKey,
    /// The other's name.
    pub peer_id: PeerId,
    /// The extensions it speaks.
    pub reserved: Reserved,
    /// What it sent after its handshake.
    pub rest: Bytes,
}

/// Why the connection is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DoorError {
    /// It does not speak BitTorrent.
    NotBitTorrent,
    /// It answers for another swarm.
    Swarm {
        /// The one asked for.
        expected: SwarmKey,
        /// The one it names.
        received: SwarmKey,
    },
    /// It is ourselves.
    Ourselves,
    /// It sent more than [`MAX_WAITING`] bytes without waiting for our answer.
    Flood,
}

impl Door {
    /// The door of a connection that we opened, to talk about `swarm` under the name `local`.
    pub fn outgoing(swarm: SwarmKey, local: PeerId) -> Self {
        Self {
            state: State::Answering { swarm, local },
            waiting: Vec::new(),
            output: Some(greet(swarm, local, Reserved::OURS)),
            v2: None,
            dht: false,
        }
    }

    /// The same for a hybrid, asked for by its v1 name: the other side may answer by this v2 name, to speak v2 (BEP 52).
    pub fn outgoing_hybrid(swarm: SwarmKey, v2: SwarmKey, local: PeerId) -> Self {
        Self {
            output: Some(greet(swarm, local, what_we_speak(swarm != v2, false))),
            v2: Some(v2),
            ..Self::outgoing(swarm, local)
        }
    }

    /// The door of a connection that was opened to us.
    pub const fn incoming() -> Self {
        Self {
            state: State::Incoming,
            waiting: Vec::new(),
            output: None,
            v2: None,
            dht: false,
        }
    }

    /// The same door, whose handshake says whether we are a node of the DHT (BEP 5).
    pub fn with_dht(mut self, dht: bool) -> Self {
        self.dht = dht;
        if let State::Answering { swarm, local } = self.state {
            let hybrid = self.v2.is_some_and(|v2| v2 != swarm);
            self.output = Some(greet(swarm, local, what_we_speak(hybrid, dht)));
        }
        self
    }

    /// What is to be sent.
    pub const fn take_output(&mut self) -> Option<Bytes> {
        self.output.take()
    }

    /// Takes what was received. Once open there is nothing more to give to it.
    pub fn receive(&mut self, data: Bytes) -> Result<Progress, DoorError> {
        // Of the bytes after the handshake, those in `data` need no copy.
        let lacking = Handshake::LEN.saturating_sub(self.waiting.len()).min(data.len());
        self.waiting.extend_from_slice(&data[..lacking]);
        self.advance(data.slice(lacking..))
    }

    /// Answers a peer that asked for a swarm, under the name `local`.
    pub fn admit(&mut self, local: PeerId) -> Result<Progress, DoorError> {
        self.admit_hybrid(local, None)
    }

    /// The same where the swarm is a hybrid's with this v2 name: a peer that speaks v2 is answered by it (BEP 52).
    pub fn admit_hybrid(&mut self, local: PeerId, v2: Option<SwarmKey>) -> Result<Progress, DoorError> {
        if let State::Asked(asked) = self.state {
            let reserved = self.waiting.get(20..28).and_then(|bytes| bytes.try_into().ok());
            let upgrades = reserved.is_some_and(|bytes| Reserved(bytes).v2());
            let swarm = v2.filter(|_| upgrades).unwrap_or(asked);
            self.v2 = v2;
            self.state = State::Answering { swarm, local };
            self.output = Some(greet(swarm, local, what_we_speak(false, self.dht)));
        }
        self.advance(Bytes::new())
    }

    fn advance(&mut self, rest: Bytes) -> Result<Progress, DoorError> {
        let head = self.waiting.get(..Handshake::LEN).unwrap_or(&self.waiting);
        let named = Handshake::swarm(head).map_err(|_| DoorError::NotBitTorrent)?;
        match (self.state, named) {
            (State::Open, _) | (_, None) => Ok(Progress::More),
            (State::Incoming, Some(swarm)) => {
                self.state = State::Asked(swarm);
                self.keep(&rest)?;
                Ok(Progress::Asked(swarm))
            }
            (State::Asked(_), Some(_)) => {
                self.keep(&rest)?;
                Ok(Progress::More)
            }
            (State::Answering { swarm, local }, Some(received)) => {
                // Where one side named a hybrid by v2, both speak it.
                let upgraded = self.v2.filter(|&v2| v2 == swarm || v2 == received);
                if swarm != received && upgraded.is_none() {
                    return Err(DoorError::Swarm {
                        expected: swarm,
                        received,
                    });
                }
                self.open(local, upgraded.unwrap_or(swarm), rest)
            }
        }
    }

    fn open(&mut self, local: PeerId, swarm: SwarmKey, rest: Bytes) -> Result<Progress, DoorError> {
        let Some((handshake, held)) = self.waiting.split_first_chunk() else {
            return Ok(Progress::More);
        };
        let handshake = Handshake::decode(handshake).map_err(|_| DoorError::NotBitTorrent)?;
        if handshake.peer_id == local {
            return Err(DoorError::Ourselves);
        }
        let rest = if held.is_empty() {
            rest
        } else {
            [held, &rest].concat().into()
        };
        self.state = State::Open;
        self.waiting = Vec::new();
        Ok(Progress::Open(Greeting {
            swarm,
            peer_id: handshake.peer_id,
            reserved: handshake.reserved,
            rest,
        }))
    }

    /// Holds what follows a handshake that is not answered yet.
    fn keep(&mut self, rest: &[u8]) -> Result<(), DoorError> {
        if self.waiting.len() + rest.len() > MAX_WAITING {
            return Err(DoorError::Flood);
        }
        self.waiting.extend_from_slice(rest);
        Ok(())
    }
}

/// What our handshake says that we speak.
fn what_we_speak(hybrid: bool, dht: bool) -> Reserved {
    let ours = if hybrid {
        Reserved::OURS.with_v2()
    } else {
        Reserved::OURS
    };
    if dht { ours.with_dht() } else { ours }
}

fn greet(swarm: SwarmKey, peer_id: PeerId, reserved: Reserved) -> Bytes {
    let handshake = Handshake {
        reserved,
        swarm,
        peer_id,
    };
    Bytes::copy_from_slice(&handshake.encode())
}

impl fmt::Display for DoorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotBitTorrent => f.write_str("it does not speak BitTorrent"),
            Self::Swarm { expected, received } => write!(f, "it answers for {received}, not {expected}"),
            Self::Ourselves => f.write_str("it is ourselves"),
            Self::Flood => write!(f, "it sent more than {MAX_WAITING} bytes before it was answered"),
        }
    }
}

impl core::error::Error for DoorError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use alloc::vec;

    const SWARM: SwarmKey = SwarmKey([5; 20]);
    const HERE: PeerId = PeerId([1; 20]);
    const THERE: PeerId = PeerId([2; 20]);

    fn greeting(rest: &[u8]) -> Greeting {
        Greeting {
            swarm: SWARM,
            peer_id: THERE,
            reserved: Reserved::OURS,
            rest: Bytes::copy_from_slice(rest),
        }
    }

    /// Gives `bytes` to a door in random parts; the greeting it ends with, with what was not given yet joined to it.
    fn give(door: &mut Door, bytes: &[u8], rng: &mut Rng) -> Greeting {
        let mut rest = Bytes::copy_from_slice(bytes);
        loop {
            let part = rest.split_to((1 + rng.below(40)).min(rest.len()));
            let mut progress = door.receive(part).unwrap();
            if let Progress::Asked(swarm) = progress {
                assert_eq!(swarm, SWARM);
                assert_eq!(door.take_output(), None);
                for _ in 0..rng.below(3) {
                    let early = rest.split_to(rng.below(40).min(rest.len()));
                    assert_eq!(door.receive(early), Ok(Progress::More));
                }
                progress = door.admit(HERE).unwrap();
                assert_eq!(door.take_output(), Some(greet(SWARM, HERE, Reserved::OURS)));
            }
            if let Progress::Open(mut greeting) = progress {
                greeting.rest = [&greeting.rest[..], &rest].concat().into();
                return greeting;
            }
        }
    }

    #[test]
    fn both_sides_greet_whatever_the_cut() {
        let bytes = [&greet(SWARM, THERE, Reserved::OURS)[..], &[9; 100]].concat();
        for seed in 0..200 {
            let mut rng = Rng::new(seed);
            assert_eq!(
                give(&mut Door::incoming(), &bytes, &mut rng),
                greeting(&[9; 100]),
                "seed {seed}"
            );
            let mut door = Door::outgoing(SWARM, HERE);
            assert_eq!(door.take_output(), Some(greet(SWARM, HERE, Reserved::OURS)));
            assert_eq!(give(&mut door, &bytes, &mut rng), greeting(&[9; 100]), "seed {seed}");
            assert_eq!(door.take_output(), None);
        }
    }

    #[test]
    fn a_peer_that_waits_after_the_swarm_is_answered() {
        let bytes = greet(SWARM, THERE, Reserved::OURS);
        let mut door = Door::incoming();
        assert_eq!(door.receive(bytes.slice(..47)), Ok(Progress::More));
        assert_eq!(door.receive(bytes.slice(47..48)), Ok(Progress::Asked(SWARM)));
        assert_eq!(door.admit(HERE), Ok(Progress::More));
        assert!(door.take_output().is_some());
        assert_eq!(door.receive(bytes.slice(48..)), Ok(Progress::Open(greeting(&[]))));
    }

    #[test]
    fn a_wrong_greeting_is_refused() {
        let other = SwarmKey([6; 20]);
        let outgoing = || Door::outgoing(SWARM, HERE);
        let swarm = DoorError::Swarm {
            expected: SWARM,
            received: other,
        };
        let table = [
            (
                outgoing(),
                Bytes::from_static(b"HTTP/1.1 400"),
                DoorError::NotBitTorrent,
            ),
            (
                Door::incoming(),
                Bytes::from_static(b"\x13bitTorrent"),
                DoorError::NotBitTorrent,
            ),
            (outgoing(), greet(other, THERE, Reserved::OURS).slice(..48), swarm),
            (outgoing(), greet(SWARM, HERE, Reserved::OURS), DoorError::Ourselves),
        ];
        for (mut door, bytes, error) in table {
            assert_eq!(door.receive(bytes), Err(error));
        }
        let mut door = Door::incoming();
        assert_eq!(
            door.receive(greet(SWARM, HERE, Reserved::OURS)),
            Ok(Progress::Asked(SWARM))
        );
        assert_eq!(door.admit(HERE), Err(DoorError::Ourselves));
    }

    #[test]
    fn a_hybrid_is_spoken_of_as_v2_where_both_can() {
        let v2 = SwarmKey([7; 20]);
        let open = |progress| match progress {
            Ok(Progress::Open(Greeting { swarm, .. })) => swarm,
            other => panic!("{other:?}"),
        };
        // (what the one who asks calls it by, whether it knows v2), whether the one who answers does; by what they then call it.
        for (asked, knows, answers, expected) in [
            (SWARM, true, true, v2),
            (SWARM, true, false, SWARM),
            (SWARM, false, true, SWARM),
            (v2, true, true, v2),
            (v2, false, true, v2),
        ] {
            let mut out = if knows {
                Door::outgoing_hybrid(asked, v2, HERE)
            } else {
                Door::outgoing(asked, HERE)
            };
            let mut door = Door::incoming();
            assert_eq!(door.receive(out.take_output().unwrap()), Ok(Progress::Asked(asked)));
            let there = open(door.admit_hybrid(THERE, answers.then_some(v2)));
            let here = open(out.receive(door.take_output().unwrap()));
            assert_eq!((here, there), (expected, expected), "{asked} {knows} {answers}");
        }
        let mut out = Door::outgoing_hybrid(SWARM, v2, HERE);
        let other = SwarmKey([6; 20]);
        assert!(matches!(
            out.receive(greet(other, THERE, Reserved::OURS)),
            Err(DoorError::Swarm { .. })
        ));
    }

    #[test]
    fn a_flood_before_the_answer_is_refused() {
        let mut door = Door::incoming();
        assert_eq!(
            door.receive(greet(SWARM, THERE, Reserved::OURS)),
            Ok(Progress::Asked(SWARM))
        );
        let part = Bytes::from(vec![0; MAX_WAITING - Handshake::LEN]);
        assert_eq!(door.receive(part), Ok(Progress::More));
        assert_eq!(door.receive(Bytes::from_static(&[0])), Err(DoorError::Flood));
    }
}
