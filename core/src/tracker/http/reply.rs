//! The bencoded answers: read by the client, written by the server.

use crate::bencode::{self, BencodeError, Dict, DictWriter, Value, Writer};
use crate::key::{PeerId, SwarmKey};
use crate::tracker::query::{AnnounceReply, Failure, MAX_PEERS, ScrapeCounts};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, SocketAddr};

/// The longest answer read, in bytes: [`MAX_PEERS`] peers in the dictionary form have some 200 KiB.
pub const MAX_REPLY: usize = 1024 * 1024;

/// Seconds between announces where a tracker does not say: the number most trackers say.
const DEFAULT_INTERVAL: u32 = 1800;

/// How a server writes peers down.
#[derive(Clone, Copy, Debug)]
pub enum PeerForm<'a> {
    /// As bytes: 6 for IPv4, 18 for IPv6 (BEP 23, BEP 7).
    Compact,
    /// As dictionaries (BEP 3), with the peers' ids in the same order, or without.
    Dictionary(Option<&'a [PeerId]>),
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplyError {
    /// The tracker refuses.
    Failure(Failure),
    /// Longer than [`MAX_REPLY`].
    TooLong {
        /// Its length in bytes.
        received: usize,
    },
    /// Not bencoded.
    Bencode(BencodeError),
    /// This field is missing or not what it should be.
    Field(&'static str),
}

/// Reads the answer to an announce. At most [`MAX_PEERS`] peers are kept; those without a port or with a name for an address are not.
pub fn parse_announce(body: &[u8]) -> Result<AnnounceReply, ReplyError> {
    let dict = document(body)?;
    let [
        complete,
        external_ip,
        incomplete,
        interval,
        min_interval,
        peers,
        peers6,
        tracker_id,
        warning,
    ] = dict.fields([
        "complete",
        "external ip",
        "incomplete",
        "interval",
        "min interval",
        "peers",
        "peers6",
        "tracker id",
        "warning message",
    ]);
    let mut found = Vec::new();
    if let Some(peers) = peers {
        match (peers.bytes(), peers.list()) {
            (Some(bytes), _) => compact::<4, 6>(bytes, "peers", &mut found)?,
            (_, Some(list)) => found.extend(list.filter_map(|peer| listed(&peer.dict()?)).take(MAX_PEERS)),
            _ => return Err(ReplyError::Field("peers")),
        }
    }
    if let Some(peers) = peers6.and_then(|peers| peers.bytes()) {
        compact::<16, 18>(peers, "peers6", &mut found)?;
    }
    found.truncate(MAX_PEERS);
    Ok(AnnounceReply {
        interval: interval.and_then(small).unwrap_or(DEFAULT_INTERVAL),
        min_interval: min_interval.and_then(small),
        complete: complete.and_then(small),
        incomplete: incomplete.and_then(small),
        peers: found,
        warning: warning.and_then(text),
        tracker_id: tracker_id.and_then(text),
        external_ip: external_ip.and_then(|ip| octets(ip.bytes()?)),
    })
}

/// Reads the answer to a scrape.
pub fn parse_scrape(body: &[u8]) -> Result<Vec<(SwarmKey, ScrapeCounts)>, ReplyError> {
    let dict = document(body)?;
    let files = dict
        .get("files")
        .and_then(|files| files.dict())
        .ok_or(ReplyError::Field("files"))?;
    let counts = files.filter_map(|(key, file)| {
        let [complete, downloaded, incomplete] = file.dict()?.fields(["complete", "downloaded", "incomplete"]);
        let count = |value: Option<Value<'_>>| value.and_then(small).unwrap_or(0);
        let counts = ScrapeCounts {
            complete: count(complete),
            incomplete: count(incomplete),
            downloaded: count(downloaded),
        };
        Some((SwarmKey(key.try_into().ok()?), counts))
    });
    Ok(counts.collect())
}

/// Writes the answer to an announce.
pub fn encode_announce(reply: &AnnounceReply, form: PeerForm<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(160 + 18 * reply.peers.len());
    encode_announce_into(reply, form, &mut out);
    out
}

/// Appends the answer to an announce.
pub fn encode_announce_into(reply: &AnnounceReply, form: PeerForm<'_>, out: &mut Vec<u8>) {
    Writer::new(out).dict(|dict| {
        number(dict, "complete", reply.complete);
        match reply.external_ip {
            Some(IpAddr::V4(ip)) => dict.bytes("external ip", ip.octets()),
            Some(IpAddr::V6(ip)) => dict.bytes("external ip", ip.octets()),
            None => {}
        }
        number(dict, "incomplete", reply.incomplete);
        number(dict, "interval", Some(reply.interval));
        number(dict, "min interval", reply.min_interval);
        match form {
            PeerForm::Compact => encode_compact(&reply.peers, dict),
            PeerForm::Dictionary(ids) => dict.entry("peers").list(|list| {
                for (at, peer) in reply.peers.iter().enumerate() {
                    list.dict(|dict| {
                        dict.bytes("ip", peer.ip().to_string());
                        let id = ids.and_then(|ids| ids.get(at));
                        id.into_iter().for_each(|id| dict.bytes("peer id", id.0));
                        dict.integer("port", peer.port().into());
                    });
                }
            }),
        }
        reply.tracker_id.iter().for_each(|id| dict.bytes("tracker id", id));
        reply
            .warning
            .iter()
            .for_each(|warning| dict.bytes("warning message", warning));
    });
}

/// Writes the answer to a scrape; `swarms` in any order.
pub fn encode_scrape(swarms: &[(SwarmKey, ScrapeCounts)]) -> Vec<u8> {
    let mut sorted: Vec<_> = swarms.iter().collect();
    sorted.sort_unstable_by_key(|(swarm, _)| *swarm);
    sorted.dedup_by_key(|(swarm, _)| *swarm);
    let mut out = Vec::with_capacity(20 + 90 * sorted.len());
    Writer::new(&mut out).dict(|dict| {
        dict.entry("files").dict(|files| {
            for (swarm, counts) in sorted {
                files.entry(swarm.0).dict(|file| {
                    number(file, "complete", Some(counts.complete));
                    number(file, "downloaded", Some(counts.downloaded));
                    number(file, "incomplete", Some(counts.incomplete));
                });
            }
        });
    });
    out
}

/// Writes a refusal (BEP 3, BEP 31).
pub fn encode_failure(failure: &Failure) -> Vec<u8> {
    let mut out = Vec::new();
    Writer::new(&mut out).dict(|dict| {
        dict.bytes("failure reason", &failure.reason);
        match failure.retry_in_minutes {
            Some(u32::MAX) => dict.bytes("retry in", "never"),
            minutes => number(dict, "retry in", minutes),
        }
    });
    out
}

/// The dictionary that an answer is, unless it is a refusal.
fn document(body: &[u8]) -> Result<Dict<'_>, ReplyError> {
    if body.len() > MAX_REPLY {
        return Err(ReplyError::TooLong { received: body.len() });
    }
    // Some servers put a line break after the answer.
    let (value, _) = bencode::decode_prefix(body).map_err(ReplyError::Bencode)?;
    let dict = value.dict().ok_or(ReplyError::Field("a dictionary"))?;
    let [reason, retry] = dict.fields(["failure reason", "retry in"]);
    let Some(reason) = reason else {
        return Ok(dict);
    };
    let never = retry.and_then(|retry| retry.text()) == Some("never");
    Err(ReplyError::Failure(Failure {
        reason: text(reason).unwrap_or_default(),
        retry_in_minutes: if never { Some(u32::MAX) } else { retry.and_then(small) },
    }))
}

fn compact<const IP: usize, const LEN: usize>(
    bytes: &[u8],
    field: &'static str,
    peers: &mut Vec<SocketAddr>,
) -> Result<(), ReplyError> {
    let (entries, rest) = bytes.as_chunks::<LEN>();
    if !rest.is_empty() {
        return Err(ReplyError::Field(field));
    }
    let addresses = entries.iter().filter_map(|entry| {
        let (ip, port) = entry.split_at(IP);
        Some(SocketAddr::new(octets(ip)?, u16::from_be_bytes(port.try_into().ok()?)))
    });
    peers.extend(addresses.filter(|address| address.port() != 0).take(MAX_PEERS));
    Ok(())
}

fn listed(peer: &Dict<'_>) -> Option<SocketAddr> {
    let [ip, port] = peer.fields(["ip", "port"]);
    let port = u16::try_from(port?.integer()?).ok().filter(|&port| port != 0)?;
    Some(SocketAddr::new(ip?.text()?.parse().ok()?, port))
}

fn encode_compact(peers: &[SocketAddr], dict: &mut DictWriter<'_>) {
    let (mut v4, mut v6) = (Vec::with_capacity(6 * peers.len()), Vec::new());
    for peer in peers {
        let list = match peer.ip() {
            IpAddr::V4(ip) => {
                v4.extend_from_slice(&ip.octets());
                &mut v4
            }
            IpAddr::V6(ip) => {
                v6.extend_from_slice(&ip.octets());
                &mut v6
            }
        };
        list.extend_from_slice(&peer.port().to_be_bytes());
    }
    dict.bytes("peers", v4);
    if !v6.is_empty() {
        dict.bytes("peers6", v6);
    }
}

fn octets(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

/// A number that is not negative, cut to what 32 bits hold.
fn small(value: Value<'_>) -> Option<u32> {
    let number = value.integer().filter(|&number| number >= 0)?;
    Some(u32::try_from(number).unwrap_or(u32::MAX))
}

fn number(dict: &mut DictWriter<'_>, key: &str, value: Option<u32>) {
    value.into_iter().for_each(|value| dict.integer(key, value.into()));
}

fn text(value: Value<'_>) -> Option<String> {
    value.bytes().map(|bytes| String::from_utf8_lossy(bytes).into_owned())
}

impl fmt::Display for ReplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failure(failure) => write!(f, "the tracker refuses: {}", failure.reason),
            Self::TooLong { received } => write!(f, "an answer of {received} bytes is longer than {MAX_REPLY}"),
            Self::Bencode(error) => write!(f, "the tracker's answer is not bencoded: {error}"),
            Self::Field(field) => write!(f, "the tracker's answer has no valid '{field}'"),
        }
    }
}

impl core::error::Error for ReplyError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bencode::Fault;
    use alloc::vec;

    fn reply() -> AnnounceReply {
        AnnounceReply {
            interval: 1800,
            min_interval: Some(60),
            complete: Some(1),
            incomplete: Some(2),
            peers: vec!["1.2.3.4:5".parse().unwrap(), "[2001:db8::1]:6".parse().unwrap()],
            warning: Some("careful".into()),
            tracker_id: Some("id".into()),
            external_ip: Some([9, 8, 7, 6].into()),
        }
    }

    /// 50 peers in 300 bytes, as a busy tracker answers.
    #[test]
    fn the_golden_answer_is_read_and_written() {
        let peers: Vec<SocketAddr> = (1..=50u8).map(|n| SocketAddr::new([n, 1, 2, 3].into(), 6881)).collect();
        let golden = AnnounceReply {
            interval: 1800,
            complete: Some(1328),
            incomplete: Some(97),
            peers,
            ..AnnounceReply::default()
        };
        let bytes = encode_announce(&golden, PeerForm::Compact);
        assert!(
            bytes.starts_with(
                b"d8:completei1328e10:incompletei97e8:intervali1800e5:peers300:\x01\x01\x02\x03\x1a\xe1\x02"
            )
        );
        assert_eq!(bytes.len(), 61 + 300 + 1);
        assert_eq!(parse_announce(&bytes), Ok(golden));
    }

    #[test]
    fn both_forms_round_trip() {
        let ids = [PeerId([1; 20]), PeerId([2; 20])];
        for form in [
            PeerForm::Compact,
            PeerForm::Dictionary(None),
            PeerForm::Dictionary(Some(&ids)),
        ] {
            assert_eq!(
                parse_announce(&encode_announce(&reply(), form)),
                Ok(reply()),
                "{form:?}"
            );
        }
        let dictionary = encode_announce(&reply(), PeerForm::Dictionary(Some(&ids)));
        let expected = b"d2:ip7:1.2.3.47:peer id20:\x01\x01";
        assert!(dictionary.windows(expected.len()).any(|part| part == expected));
    }

    #[test]
    fn a_scrape_round_trips_in_order() {
        let counts = |complete| ScrapeCounts {
            complete,
            incomplete: 2,
            downloaded: 3,
        };
        let (a, b) = (SwarmKey([1; 20]), SwarmKey([2; 20]));
        let bytes = encode_scrape(&[(b, counts(8)), (a, counts(9)), (b, counts(8))]);
        assert_eq!(parse_scrape(&bytes), Ok(vec![(a, counts(9)), (b, counts(8))]));
    }

    #[test]
    fn a_refusal_is_no_answer() {
        for retry_in_minutes in [None, Some(5), Some(u32::MAX)] {
            let failure = Failure {
                reason: "no".into(),
                retry_in_minutes,
            };
            assert_eq!(
                parse_announce(&encode_failure(&failure)),
                Err(ReplyError::Failure(failure.clone()))
            );
            assert_eq!(
                parse_scrape(&encode_failure(&failure)),
                Err(ReplyError::Failure(failure))
            );
        }
    }

    #[test]
    fn useless_peers_and_absurd_numbers_are_passed_over() {
        let body = b"d8:intervali-5e5:peersld2:ip4:host4:porti1eed2:ip7:1.2.3.44:porti0eed2:ip7:1.2.3.44:porti9eei7ee\
                     8:completei99999999999ee\r\n";
        let reply = parse_announce(body).unwrap();
        assert_eq!((reply.interval, reply.complete), (DEFAULT_INTERVAL, Some(u32::MAX)));
        assert_eq!(reply.peers, ["1.2.3.4:9".parse().unwrap()]);
        let many = [&b"d5:peers30000:"[..], &[1; 30_000], b"e"].concat();
        assert_eq!(parse_announce(&many).unwrap().peers.len(), MAX_PEERS);
    }

    #[test]
    fn malformed_answers_are_refused() {
        let expected = |offset, what, byte| {
            let fault = Fault::Expected(what, byte);
            ReplyError::Bencode(BencodeError { offset, fault })
        };
        let long = vec![b'0'; MAX_REPLY + 1];
        let table: [(&[u8], ReplyError); 6] = [
            (b"", expected(0, "a value", None)),
            (b"<html>", expected(0, "a value", Some(b'<'))),
            (b"le", ReplyError::Field("a dictionary")),
            (b"d5:peersi5ee", ReplyError::Field("peers")),
            (b"d5:peers7:1234567e", ReplyError::Field("peers")),
            (
                &long,
                ReplyError::TooLong {
                    received: MAX_REPLY + 1,
                },
            ),
        ];
        for (body, error) in table {
            assert_eq!(parse_announce(body), Err(error));
        }
        assert_eq!(parse_announce(b"d6:peers65:12345e"), Err(ReplyError::Field("peers6")));
        assert_eq!(parse_scrape(b"de"), Err(ReplyError::Field("files")));
    }
}
