//! KRPC: the messages that nodes exchange, bencoded, one a datagram (BEP 5, BEP 32, BEP 42, BEP 43).
//!
//! Reading bounds what is kept of a message, however much it holds: [`MAX_NODES`] nodes of each family and [`MAX_VALUES`] peers.

use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;

use super::id::NodeId;
use crate::address::{compact, put_compact};
use crate::bencode::{self, BencodeError, Dict, DictWriter, Value, Writer};
use crate::key::SwarmKey;

/// The longest datagram that is read, in bytes: what fits a path's usual packet, and some more for those that do not care.
pub const MAX_DATAGRAM: usize = 4096;

/// Nodes of a message that are kept, of each family. Honest answers have eight.
pub const MAX_NODES: usize = 16;

/// Peers of a message that are kept. More do not fit an honest datagram.
pub const MAX_VALUES: usize = 200;

/// The longest transaction id that is echoed, in bytes.
pub const MAX_TRANSACTION: usize = 20;

/// The longest token that is kept to be given back, in bytes.
const MAX_TOKEN: usize = 64;

/// Our client and version, as messages say it.
const VERSION: [u8; 4] = *b"TO\x00\x01";

/// A node and where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contact {
    /// Its id.
    pub id: NodeId,
    /// Its address.
    pub address: SocketAddr,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Chosen by who asks, repeated by who answers.
    pub transaction: Vec<u8>,
    /// What it says.
    pub body: Body,
    /// In a query: its sender answers none itself (BEP 43).
    pub read_only: bool,
    /// In an answer: the address of who asked, as the answerer sees it (BEP 42).
    pub ip: Option<SocketAddr>,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// A question, and the id of who asks.
    Query(NodeId, Query),
    /// An answer.
    Response(Response),
    /// A refusal: its code.
    Error(i64),
}

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// Are you there?
    Ping,
    /// Which nodes are nearest to that point?
    FindNode(NodeId, Want),
    /// Who is in that swarm, and which nodes are nearest to it?
    GetPeers(SwarmKey, Want),
    /// I am in that swarm.
    Announce(Announce),
    /// A question that we do not know, about a point: answered as [`Query::FindNode`], so that newer nodes find their way past us.
    Unknown(NodeId),
}

/// `announce_peer`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announce {
    /// The swarm.
    pub swarm: SwarmKey,
    /// The port that the peer listens at; `None`: the one that the datagram comes from.
    pub port: Option<u16>,
    /// What the asked node gave out for this address.
    pub token: Vec<u8>,
}

/// The families that an answer is to have nodes of (BEP 32); if none is named, that of the question's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Want {
    /// IPv4.
    pub v4: bool,
    /// IPv6.
    pub v6: bool,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The id of who answers.
    pub id: NodeId,
    /// Nodes near the point, of both families.
    pub nodes: Vec<Contact>,
    /// Peers of the swarm.
    pub values: Vec<SocketAddr>,
    /// To be given back by `announce_peer`.
    pub token: Option<Vec<u8>>,
}

/// Why a datagram is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KrpcError {
    /// It is longer than [`MAX_DATAGRAM`]; its length.
    Long(usize),
    /// It is not bencoded.
    Bencode(BencodeError),
    /// This is missing or not of its kind.
    Field(&'static str),
    /// A question that we do not know, and not about a point; what is needed to refuse it.
    Method,
}

impl Response {
    /// An answer that says who answers, and nothing else.
    pub const fn bare(id: NodeId) -> Self {
        Self {
            id,
            nodes: Vec::new(),
            values: Vec::new(),
            token: None,
        }
    }
}

impl Message {
    /// The datagram to send.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        Writer::new(&mut out).dict(|dict| {
            let kind = match &self.body {
                Body::Query(id, query) => {
                    dict.entry("a").dict(|a| encode_arguments(a, *id, query));
                    dict.bytes("q", query.method());
                    if self.read_only {
                        dict.integer("ro", 1);
                    }
                    "q"
                }
                Body::Response(response) => {
                    self.encode_ip(dict);
                    dict.entry("r").dict(|r| encode_response(r, response));
                    "r"
                }
                Body::Error(code) => {
                    dict.entry("e").list(|e| {
                        e.integer(*code);
                        e.bytes(error_text(*code).as_bytes());
                    });
                    self.encode_ip(dict);
                    "e"
                }
            };
            dict.bytes("t", &self.transaction);
            dict.bytes("v", VERSION);
            dict.bytes("y", kind);
        });
        out
    }

    fn encode_ip(&self, dict: &mut DictWriter<'_>) {
        if let Some(ip) = self.ip {
            let mut bytes = Vec::with_capacity(18);
            put_compact(ip, &mut bytes);
            dict.bytes("ip", bytes);
        }
    }

    /// Reads a datagram.
    pub fn decode(datagram: &[u8]) -> Result<Self, KrpcError> {
        if datagram.len() > MAX_DATAGRAM {
            return Err(KrpcError::Long(datagram.len()));
        }
        // What follows the message is passed over: some pad.
        let (value, _) = bencode::decode_prefix(datagram).map_err(KrpcError::Bencode)?;
        let dict = value.dict().ok_or(KrpcError::Field("a dictionary"))?;
        let [a, e, ip, q, r, ro, t, y] = dict.fields(["a", "e", "ip", "q", "r", "ro", "t", "y"]);
        let transaction = bytes(t, "t")?;
        if transaction.len() > MAX_TRANSACTION {
            return Err(KrpcError::Field("t"));
        }
        let body = match bytes(y, "y")? {
            b"q" => decode_query(a, bytes(q, "q")?)?,
            b"r" => Body::Response(decode_response(r)?),
            b"e" => Body::Error(e.and_then(|e| e.list()?.next()?.integer()).unwrap_or(GENERIC)),
            _ => return Err(KrpcError::Field("y")),
        };
        Ok(Self {
            transaction: transaction.into(),
            body,
            read_only: ro.and_then(|ro| ro.integer()) == Some(1),
            ip: ip.and_then(|ip| compact(ip.bytes()?)),
        })
    }
}

/// The transaction of a datagram that holds a question, though one that cannot be read: what is needed to refuse it.
pub fn transaction_of_query(datagram: &[u8]) -> Option<Vec<u8>> {
    let dict = bencode::decode_prefix(datagram).ok()?.0.dict()?;
    let [t, y] = dict.fields(["t", "y"]);
    let transaction = t?.bytes()?;
    (y?.bytes()? == b"q" && transaction.len() <= MAX_TRANSACTION).then(|| transaction.into())
}

/// Generic error.
pub const GENERIC: i64 = 201;
/// Protocol error: malformed arguments, a bad token.
pub const PROTOCOL: i64 = 203;
/// Method unknown.
pub const METHOD: i64 = 204;

const fn error_text(code: i64) -> &'static str {
    match code {
        PROTOCOL => "Protocol Error",
        METHOD => "Method Unknown",
        _ => "Generic Error",
    }
}

impl Query {
    const fn method(&self) -> &'static str {
        match self {
            Self::Ping => "ping",
            Self::FindNode(..) | Self::Unknown(_) => "find_node",
            Self::GetPeers(..) => "get_peers",
            Self::Announce(_) => "announce_peer",
        }
    }
}

fn encode_arguments(a: &mut DictWriter<'_>, id: NodeId, query: &Query) {
    a.bytes("id", id.0);
    match query {
        Query::Ping => {}
        Query::FindNode(target, want) => {
            a.bytes("target", target.0);
            encode_want(a, *want);
        }
        Query::Unknown(target) => a.bytes("target", target.0),
        Query::GetPeers(swarm, want) => {
            a.bytes("info_hash", swarm.0);
            encode_want(a, *want);
        }
        Query::Announce(announce) => {
            a.integer("implied_port", i64::from(announce.port.is_none()));
            a.bytes("info_hash", announce.swarm.0);
            // To nodes that do not know `implied_port` it must be there all the same.
            a.integer("port", announce.port.unwrap_or(1).into());
            a.bytes("token", &announce.token);
        }
    }
}

fn encode_want(a: &mut DictWriter<'_>, want: Want) {
    if want.v4 || want.v6 {
        a.entry("want").list(|list| {
            if want.v4 {
                list.bytes(b"n4");
            }
            if want.v6 {
                list.bytes(b"n6");
            }
        });
    }
}

fn encode_response(r: &mut DictWriter<'_>, response: &Response) {
    r.bytes("id", response.id.0);
    for (key, v6) in [("nodes", false), ("nodes6", true)] {
        let mut bytes = Vec::new();
        for node in response.nodes.iter().filter(|node| node.address.is_ipv6() == v6) {
            bytes.extend_from_slice(&node.id.0);
            put_compact(node.address, &mut bytes);
        }
        if !bytes.is_empty() {
            r.bytes(key, bytes);
        }
    }
    response.token.iter().for_each(|token| r.bytes("token", token));
    if !response.values.is_empty() {
        r.entry("values").list(|list| {
            for peer in &response.values {
                let mut bytes = Vec::with_capacity(18);
                put_compact(*peer, &mut bytes);
                list.bytes(&bytes);
            }
        });
    }
}

fn decode_query(a: Option<Value<'_>>, method: &[u8]) -> Result<Body, KrpcError> {
    let a = a.and_then(|a| a.dict()).ok_or(KrpcError::Field("a"))?;
    let [id, implied, info_hash, port, target, token, want] =
        a.fields(["id", "implied_port", "info_hash", "port", "target", "token", "want"]);
    let id = NodeId(twenty(id, "id")?);
    let query = match method {
        b"ping" => Query::Ping,
        b"find_node" => Query::FindNode(NodeId(twenty(target, "target")?), decode_want(want)),
        b"get_peers" => Query::GetPeers(SwarmKey(twenty(info_hash, "info_hash")?), decode_want(want)),
        b"announce_peer" => {
            let port = port.and_then(|port| u16::try_from(port.integer()?).ok());
            let implied = implied.and_then(|implied| implied.integer()).unwrap_or(0) != 0;
            Query::Announce(Announce {
                swarm: SwarmKey(twenty(info_hash, "info_hash")?),
                port: if implied {
                    None
                } else {
                    Some(port.filter(|port| *port != 0).ok_or(KrpcError::Field("port"))?)
                },
                token: bytes(token, "token")?.into(),
            })
        }
        _ => match (twenty(target, "target"), twenty(info_hash, "info_hash")) {
            (Ok(target), _) | (_, Ok(target)) => Query::Unknown(NodeId(target)),
            _ => return Err(KrpcError::Method),
        },
    };
    Ok(Body::Query(id, query))
}

fn decode_want(want: Option<Value<'_>>) -> Want {
    let mut wanted = Want::default();
    for family in want.and_then(|want| want.list()).into_iter().flatten() {
        match family.bytes() {
            Some(b"n4") => wanted.v4 = true,
            Some(b"n6") => wanted.v6 = true,
            _ => {}
        }
    }
    wanted
}

fn decode_response(r: Option<Value<'_>>) -> Result<Response, KrpcError> {
    let r: Dict<'_> = r.and_then(|r| r.dict()).ok_or(KrpcError::Field("r"))?;
    let [id, nodes, nodes6, token, values] = r.fields(["id", "nodes", "nodes6", "token", "values"]);
    let mut contacts = Vec::new();
    for (list, length) in [(nodes, 26), (nodes6, 38)] {
        let list = list.and_then(|list| list.bytes()).unwrap_or_default();
        contacts.extend(list.chunks_exact(length).filter_map(contact).take(MAX_NODES));
    }
    let values = values.and_then(|values| values.list()).into_iter().flatten();
    Ok(Response {
        id: NodeId(twenty(id, "id")?),
        nodes: contacts,
        values: values
            .filter_map(|value| compact(value.bytes()?))
            .take(MAX_VALUES)
            .collect(),
        token: token
            .and_then(|token| token.bytes())
            .filter(|token| token.len() <= MAX_TOKEN)
            .map(Into::into),
    })
}

fn contact(bytes: &[u8]) -> Option<Contact> {
    let (id, address) = bytes.split_first_chunk::<20>()?;
    Some(Contact {
        id: NodeId(*id),
        address: compact(address)?,
    })
}

fn bytes<'a>(value: Option<Value<'a>>, name: &'static str) -> Result<&'a [u8], KrpcError> {
    value.and_then(|value| value.bytes()).ok_or(KrpcError::Field(name))
}

fn twenty(value: Option<Value<'_>>, name: &'static str) -> Result<[u8; 20], KrpcError> {
    bytes(value, name)?.try_into().map_err(|_| KrpcError::Field(name))
}

impl fmt::Display for KrpcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Long(length) => write!(f, "a datagram of {length} bytes"),
            Self::Bencode(error) => error.fmt(f),
            Self::Field(name) => write!(f, "`{name}` is missing or wrong"),
            Self::Method => f.write_str("an unknown question"),
        }
    }
}

impl core::error::Error for KrpcError {}

#[cfg(test)]
mod tests;
