//! Trackers over UDP (BEP 15, with the options of BEP 41): the packets of both sides.
//!
//! Reading a packet allocates nothing but its lists. Which length an address has follows from the socket's family, not from the packet.

use super::query::{AnnounceEvent, AnnounceReply, AnnounceRequest, MAX_PEERS, ScrapeCounts};
use crate::key::{PeerId, SwarmKey};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};

/// What a connect request begins with.
const PROTOCOL_ID: u64 = 0x0417_2710_1980;

/// The most swarms in one scrape: so many fit in a packet (BEP 15).
pub const MAX_SCRAPE: usize = 74;

/// The longest path that the options of an announce may give (BEP 41), in bytes.
pub const MAX_URL_DATA: usize = 2048;

/// The longest reason kept of a refusal, in bytes.
const MAX_REASON: usize = 1024;

const CONNECT: u32 = 0;
const ANNOUNCE: u32 = 1;
const SCRAPE: u32 = 2;
const ERROR: u32 = 3;

/// What says "your own number" for how many peers are wanted.
const NUMWANT_DEFAULT: u32 = u32::MAX;

/// What is said to be left while the metadata is unknown; the same as over HTTP.
const LEFT_UNKNOWN: u64 = 16 * 1024;

/// The number by which an answer finds its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Transaction(pub u32);

/// The number that a tracker gives to an address, to show that it is no forged one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Connection(pub u64);

/// Which addresses the peers of an answer have: those of the family it travels by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// IPv4, 6 bytes a peer.
    V4,
    /// IPv6, 18 bytes a peer.
    V6,
}

/// What a client sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// It asks for a connection number.
    Connect(Transaction),
    /// It announces a peer.
    Announce {
        /// The connection number it was given.
        connection: Connection,
        /// Names this request.
        transaction: Transaction,
        /// The announce.
        announce: AnnounceRequest,
        /// Where it says it is. To be believed only from a proxy that is trusted.
        ip: Option<Ipv4Addr>,
        /// Path and query of the tracker's URL (BEP 41); empty without.
        url_data: Vec<u8>,
    },
    /// It asks for counts.
    Scrape {
        /// The connection number it was given.
        connection: Connection,
        /// Names this request.
        transaction: Transaction,
        /// The swarms, at most [`MAX_SCRAPE`].
        swarms: Vec<SwarmKey>,
    },
}

/// What a tracker sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    /// A connection number.
    Connect(Transaction, Connection),
    /// The answer to an announce.
    Announce(Transaction, AnnounceReply),
    /// The counts, in the order of the scrape.
    Scrape(Transaction, Vec<ScrapeCounts>),
    /// A refusal, in words.
    Error(Transaction, String),
}

/// Why a packet cannot be read. The right answer to most is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UdpError {
    /// It is too short for what it is.
    Short {
        /// How long it must at least be, in bytes.
        expected: usize,
        /// How long it is.
        received: usize,
    },
    /// Its list has an item that is not whole, or is empty where it may not be.
    List {
        /// The length of an item in bytes.
        item: usize,
        /// The length of the list.
        received: usize,
    },
    /// A kind of packet that does not exist.
    Action(u32),
    /// A connect request without the number it must begin with.
    Protocol(u64),
}

impl Request {
    /// The connection number it carries; a connect request has none.
    pub const fn connection(&self) -> Option<Connection> {
        match self {
            Self::Connect(_) => None,
            Self::Announce { connection, .. } | Self::Scrape { connection, .. } => Some(*connection),
        }
    }

    /// The packet to send.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(98);
        match self {
            Self::Connect(transaction) => head(Connection(PROTOCOL_ID), CONNECT, *transaction, &mut out),
            Self::Announce {
                connection,
                transaction,
                announce,
                ip,
                url_data,
            } => {
                head(*connection, ANNOUNCE, *transaction, &mut out);
                encode_announce(announce, *ip, &mut out);
                // Option 2, in parts of at most 255 bytes.
                for part in url_data.chunks(255) {
                    out.extend_from_slice(&[2, part.len() as u8]);
                    out.extend_from_slice(part);
                }
            }
            Self::Scrape {
                connection,
                transaction,
                swarms,
            } => {
                head(*connection, SCRAPE, *transaction, &mut out);
                swarms
                    .iter()
                    .take(MAX_SCRAPE)
                    .for_each(|swarm| out.extend_from_slice(&swarm.0));
            }
        }
        out
    }

    /// Reads a packet that a client sent.
    pub fn decode(packet: &[u8]) -> Result<Self, UdpError> {
        let mut reader = Reader::new(packet, 16)?;
        let connection = Connection(reader.u64());
        let action = reader.u32();
        let transaction = Transaction(reader.u32());
        match action {
            CONNECT if connection.0 == PROTOCOL_ID => Ok(Self::Connect(transaction)),
            CONNECT => Err(UdpError::Protocol(connection.0)),
            ANNOUNCE => {
                let mut reader = Reader::new(packet, 98)?;
                reader.array::<16>();
                let (announce, ip) = decode_announce(&mut reader);
                Ok(Self::Announce {
                    connection,
                    transaction,
                    announce,
                    ip,
                    url_data: url_data(reader.rest),
                })
            }
            SCRAPE => {
                let (swarms, rest) = reader.rest.as_chunks::<20>();
                if !rest.is_empty() || swarms.is_empty() {
                    let received = reader.rest.len();
                    return Err(UdpError::List { item: 20, received });
                }
                let swarms = swarms.iter().take(MAX_SCRAPE).map(|swarm| SwarmKey(*swarm)).collect();
                Ok(Self::Scrape {
                    connection,
                    transaction,
                    swarms,
                })
            }
            other => Err(UdpError::Action(other)),
        }
    }
}

impl Response {
    /// The request it answers.
    pub const fn transaction(&self) -> Transaction {
        match self {
            Self::Connect(transaction, _)
            | Self::Announce(transaction, _)
            | Self::Scrape(transaction, _)
            | Self::Error(transaction, _) => *transaction,
        }
    }

    /// Appends the packet to send; of an announce only the peers of that family.
    pub fn encode(&self, family: Family, out: &mut Vec<u8>) {
        let action = match self {
            Self::Connect(..) => CONNECT,
            Self::Announce(..) => ANNOUNCE,
            Self::Scrape(..) => SCRAPE,
            Self::Error(..) => ERROR,
        };
        put(action, out);
        put(self.transaction().0, out);
        match self {
            Self::Connect(_, connection) => out.extend_from_slice(&connection.0.to_be_bytes()),
            Self::Announce(_, reply) => {
                put(reply.interval, out);
                put(reply.incomplete.unwrap_or(0), out);
                put(reply.complete.unwrap_or(0), out);
                reply.peers.iter().for_each(|peer| put_peer(*peer, family, out));
            }
            Self::Scrape(_, swarms) => {
                for counts in swarms.iter().take(MAX_SCRAPE) {
                    put(counts.complete, out);
                    put(counts.downloaded, out);
                    put(counts.incomplete, out);
                }
            }
            Self::Error(_, reason) => out.extend_from_slice(reason.as_bytes()),
        }
    }

    /// Reads a packet that a tracker sent over that family. At most [`MAX_PEERS`] peers are kept, those without a port are not.
    pub fn decode(packet: &[u8], family: Family) -> Result<Self, UdpError> {
        let mut reader = Reader::new(packet, 8)?;
        let action = reader.u32();
        let transaction = Transaction(reader.u32());
        match action {
            CONNECT => {
                let mut reader = Reader::new(packet, 16)?;
                reader.array::<8>();
                Ok(Self::Connect(transaction, Connection(reader.u64())))
            }
            ANNOUNCE => {
                let mut reader = Reader::new(packet, 20)?;
                reader.array::<8>();
                let mut reply = AnnounceReply {
                    interval: reader.u32(),
                    incomplete: Some(reader.u32()),
                    complete: Some(reader.u32()),
                    ..AnnounceReply::default()
                };
                reply.peers = match family {
                    Family::V4 => peers::<4, 6>(reader.rest),
                    Family::V6 => peers::<16, 18>(reader.rest),
                }?;
                Ok(Self::Announce(transaction, reply))
            }
            SCRAPE => {
                let (swarms, rest) = reader.rest.as_chunks::<12>();
                if !rest.is_empty() {
                    let received = reader.rest.len();
                    return Err(UdpError::List { item: 12, received });
                }
                let counts = swarms.iter().take(MAX_SCRAPE).map(|counts| {
                    let mut reader = Reader { rest: counts };
                    ScrapeCounts {
                        complete: reader.u32(),
                        downloaded: reader.u32(),
                        incomplete: reader.u32(),
                    }
                });
                Ok(Self::Scrape(transaction, counts.collect()))
            }
            ERROR => {
                let reason = String::from_utf8_lossy(reader.rest.get(..MAX_REASON).unwrap_or(reader.rest));
                let end = reason.floor_char_boundary(MAX_REASON);
                Ok(Self::Error(transaction, reason[..end].into()))
            }
            other => Err(UdpError::Action(other)),
        }
    }
}

fn encode_announce(announce: &AnnounceRequest, ip: Option<Ipv4Addr>, out: &mut Vec<u8>) {
    out.extend_from_slice(&announce.swarm.0);
    out.extend_from_slice(&announce.peer_id.0);
    let left = announce.left.unwrap_or(LEFT_UNKNOWN);
    for count in [announce.downloaded, left, announce.uploaded] {
        out.extend_from_slice(&count.to_be_bytes());
    }
    put(
        match announce.event {
            AnnounceEvent::Periodic | AnnounceEvent::Paused => 0,
            AnnounceEvent::Completed => 1,
            AnnounceEvent::Started => 2,
            AnnounceEvent::Stopped => 3,
        },
        out,
    );
    put(ip.map_or(0, u32::from), out);
    put(announce.key.unwrap_or(0), out);
    put(announce.numwant.unwrap_or(NUMWANT_DEFAULT), out);
    out.extend_from_slice(&announce.port.to_be_bytes());
}

/// Reads the 82 bytes after the head.
fn decode_announce(reader: &mut Reader<'_>) -> (AnnounceRequest, Option<Ipv4Addr>) {
    let swarm = SwarmKey(reader.array());
    let peer_id = PeerId(reader.array());
    let [downloaded, left, uploaded] = [(); 3].map(|()| reader.u64());
    let event = match reader.u32() {
        1 => AnnounceEvent::Completed,
        2 => AnnounceEvent::Started,
        3 => AnnounceEvent::Stopped,
        _ => AnnounceEvent::Periodic,
    };
    let [ip, key, numwant] = [(); 3].map(|()| reader.u32());
    let announce = AnnounceRequest {
        swarm,
        peer_id,
        port: u16::from_be_bytes(reader.array()),
        uploaded,
        downloaded,
        left: Some(left),
        event,
        // Negative numbers all mean the tracker's own, as -1 does.
        numwant: i32::try_from(numwant).is_ok().then_some(numwant),
        key: (key != 0).then_some(key),
        tracker_id: None,
    };
    (announce, (ip != 0).then(|| Ipv4Addr::from(ip)))
}

/// Joins the parts of option 2, up to the option that ends them or one that is not whole (BEP 41).
fn url_data(options: &[u8]) -> Vec<u8> {
    let mut data = Vec::new();
    let mut rest = options;
    while let Some((&kind, after)) = rest.split_first() {
        rest = match kind {
            0 => break,
            1 => after,
            _ => {
                let Some((part, next)) = after
                    .split_first()
                    .and_then(|(&len, part)| part.split_at_checked(len.into()))
                else {
                    break;
                };
                if kind == 2 && data.len() + part.len() <= MAX_URL_DATA {
                    data.extend_from_slice(part);
                }
                next
            }
        };
    }
    data
}

fn peers<const IP: usize, const LEN: usize>(bytes: &[u8]) -> Result<Vec<SocketAddr>, UdpError>
where
    IpAddr: From<[u8; IP]>,
{
    let (entries, rest) = bytes.as_chunks::<LEN>();
    if !rest.is_empty() {
        let received = bytes.len();
        return Err(UdpError::List { item: LEN, received });
    }
    let addresses = entries.iter().map(|entry| {
        let mut reader = Reader { rest: entry };
        let ip = IpAddr::from(reader.array::<IP>());
        SocketAddr::new(ip, u16::from_be_bytes(reader.array()))
    });
    Ok(addresses
        .filter(|address| address.port() != 0)
        .take(MAX_PEERS)
        .collect())
}

fn put_peer(peer: SocketAddr, family: Family, out: &mut Vec<u8>) {
    match (peer.ip(), family) {
        (IpAddr::V4(ip), Family::V4) => out.extend_from_slice(&ip.octets()),
        (IpAddr::V6(ip), Family::V6) => out.extend_from_slice(&ip.octets()),
        _ => return,
    }
    out.extend_from_slice(&peer.port().to_be_bytes());
}

fn head(connection: Connection, action: u32, transaction: Transaction, out: &mut Vec<u8>) {
    out.extend_from_slice(&connection.0.to_be_bytes());
    put(action, out);
    put(transaction.0, out);
}

fn put(number: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(&number.to_be_bytes());
}

/// Reads a packet from its beginning; past its end everything is 0, so its length is checked first.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    const fn new(packet: &'a [u8], expected: usize) -> Result<Self, UdpError> {
        let received = packet.len();
        if received < expected {
            Err(UdpError::Short { expected, received })
        } else {
            Ok(Self { rest: packet })
        }
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        match self.rest.split_first_chunk() {
            Some((array, rest)) => {
                self.rest = rest;
                *array
            }
            None => [0; N],
        }
    }

    fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.array())
    }

    fn u64(&mut self) -> u64 {
        u64::from_be_bytes(self.array())
    }
}

impl From<IpAddr> for Family {
    /// The family that packets to that address travel by; one of IPv4 in the clothes of IPv6 travels by IPv4.
    fn from(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}

impl fmt::Display for UdpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short { expected, received } => write!(f, "a packet of {received} bytes, expected {expected}"),
            Self::List { item, received } => write!(f, "a list of {received} bytes, expected items of {item}"),
            Self::Action(action) => write!(f, "a packet of the unknown kind {action}"),
            Self::Protocol(number) => write!(f, "a connect request that begins with {number:#x}"),
        }
    }
}

impl core::error::Error for UdpError {}

#[cfg(test)]
mod tests;
