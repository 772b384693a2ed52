//! The queries that a server reads.

use crate::key::{PeerId, SwarmKey, unhex};
use crate::percent;
use crate::tracker::query::{AnnounceEvent, AnnounceRequest};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};

/// The longest query read, in bytes: that of a scrape of some hundred swarms.
pub const MAX_QUERY: usize = 16 * 1024;

/// An announce as its query says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnnounceQuery {
    /// The announce.
    pub request: AnnounceRequest,
    /// Whether peers are wanted as bytes (BEP 23); so unless it asks not to.
    pub compact: bool,
    /// Whether peer ids may be left out of the dictionary form.
    pub no_peer_id: bool,
    /// Where it says it is (BEP 3). To be believed only from a proxy that is trusted.
    pub ip: Option<IpAddr>,
    /// A further address of its own (BEP 7), with a port if that differs.
    pub ipv4: Option<(Ipv4Addr, Option<u16>)>,
    /// A further address of its own (BEP 7), with a port if that differs.
    pub ipv6: Option<(Ipv6Addr, Option<u16>)>,
    /// Bytes that it received and that were corrupt.
    pub corrupt: u64,
}

/// Why a query is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryError {
    /// Longer than [`MAX_QUERY`].
    TooLong {
        /// Its length in bytes.
        received: usize,
    },
    /// This parameter is missing.
    Missing(&'static str),
    /// This parameter does not have its 20 bytes.
    Length {
        /// The parameter.
        parameter: &'static str,
        /// How many bytes it has.
        received: usize,
    },
    /// This parameter is no number in range.
    Number(&'static str),
}

/// Reads the query of an announce: what follows the `?`. Parameters we do not know are passed over; of one given twice the first counts.
pub fn parse_announce_query(query: &str) -> Result<AnnounceQuery, QueryError> {
    let mut seen = Seen::default();
    for (key, value) in parameters(query)? {
        seen.take(key, value);
    }
    seen.announce()
}

/// Reads the query of a scrape: the swarms it names, in order (BEP 48). None means that it asks for all.
pub fn parse_scrape_query(query: &str) -> Result<Vec<SwarmKey>, QueryError> {
    parameters(query)?
        .filter(|(key, _)| *key == "info_hash")
        .map(|(_, value)| twenty("info_hash", value).map(SwarmKey))
        .collect()
}

/// The values of the parameters, as they are written.
#[derive(Default)]
struct Seen<'a> {
    info_hash: Option<&'a str>,
    peer_id: Option<&'a str>,
    port: Option<&'a str>,
    uploaded: Option<&'a str>,
    downloaded: Option<&'a str>,
    left: Option<&'a str>,
    corrupt: Option<&'a str>,
    event: Option<&'a str>,
    numwant: Option<&'a str>,
    key: Option<&'a str>,
    tracker_id: Option<&'a str>,
    compact: Option<&'a str>,
    no_peer_id: Option<&'a str>,
    ip: Option<&'a str>,
    ipv4: Option<&'a str>,
    ipv6: Option<&'a str>,
}

impl<'a> Seen<'a> {
    fn take(&mut self, key: &str, value: &'a str) {
        let place = match key {
            "info_hash" => &mut self.info_hash,
            "peer_id" => &mut self.peer_id,
            "port" => &mut self.port,
            "uploaded" => &mut self.uploaded,
            "downloaded" => &mut self.downloaded,
            "left" => &mut self.left,
            "corrupt" => &mut self.corrupt,
            "event" => &mut self.event,
            "numwant" => &mut self.numwant,
            "key" => &mut self.key,
            "trackerid" => &mut self.tracker_id,
            "compact" => &mut self.compact,
            "no_peer_id" => &mut self.no_peer_id,
            "ip" => &mut self.ip,
            "ipv4" => &mut self.ipv4,
            "ipv6" => &mut self.ipv6,
            _ => return,
        };
        place.get_or_insert(value);
    }

    fn announce(&self) -> Result<AnnounceQuery, QueryError> {
        let swarm = self.info_hash.ok_or(QueryError::Missing("info_hash"))?;
        let peer_id = self.peer_id.ok_or(QueryError::Missing("peer_id"))?;
        let port = self.port.ok_or(QueryError::Missing("port"))?;
        Ok(AnnounceQuery {
            request: AnnounceRequest {
                swarm: twenty("info_hash", swarm).map(SwarmKey)?,
                peer_id: twenty("peer_id", peer_id).map(PeerId)?,
                port: port.parse().map_err(|_| QueryError::Number("port"))?,
                uploaded: count("uploaded", self.uploaded)?.unwrap_or(0),
                downloaded: count("downloaded", self.downloaded)?.unwrap_or(0),
                left: count("left", self.left)?,
                event: self.event.map_or(AnnounceEvent::Periodic, AnnounceEvent::from_word),
                // Some send -1 for the tracker's own number.
                numwant: self.numwant.and_then(|text| text.parse().ok()),
                key: self.key.and_then(|text| u32::from_str_radix(text, 16).ok()),
                tracker_id: self
                    .tracker_id
                    .map(|text| String::from_utf8_lossy(&percent::decode(text)).into_owned()),
            },
            compact: self.compact != Some("0"),
            no_peer_id: self.no_peer_id == Some("1"),
            ip: self.ip.and_then(address::<IpAddr>),
            ipv4: self.ipv4.and_then(|text| {
                let whole = address::<SocketAddrV4>(text).map(|place| (*place.ip(), Some(place.port())));
                whole.or_else(|| Some((address(text)?, None)))
            }),
            // Some put an IPv4 address here; it is passed over.
            ipv6: self.ipv6.and_then(|text| {
                let whole = address::<SocketAddrV6>(text).map(|place| (*place.ip(), Some(place.port())));
                whole.or_else(|| Some((address(text)?, None)))
            }),
            corrupt: count("corrupt", self.corrupt)?.unwrap_or(0),
        })
    }
}

fn parameters(query: &str) -> Result<impl Iterator<Item = (&str, &str)>, QueryError> {
    if query.len() > MAX_QUERY {
        return Err(QueryError::TooLong { received: query.len() });
    }
    Ok(query.split('&').filter_map(|pair| pair.split_once('=')))
}

fn count(parameter: &'static str, value: Option<&str>) -> Result<Option<u64>, QueryError> {
    let number = |text: &str| text.parse().map_err(|_| QueryError::Number(parameter));
    value.filter(|text| !text.is_empty()).map(number).transpose()
}

fn address<A: core::str::FromStr>(text: &str) -> Option<A> {
    core::str::from_utf8(&percent::decode(text)).ok()?.parse().ok()
}

/// The 20 bytes of a hash or id, percent signs resolved in place.
fn twenty(parameter: &'static str, value: &str) -> Result<[u8; 20], QueryError> {
    let mut bytes = [0; 20];
    let mut received = 0;
    let mut rest = value.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let escaped = (first == b'%').then(|| after.first_chunk::<2>()).flatten();
        let escaped = escaped
            .and_then(|digits| core::str::from_utf8(digits).ok())
            .and_then(unhex::<1>);
        if let Some(byte) = bytes.get_mut(received) {
            *byte = escaped.map_or(first, |[byte]| byte);
        }
        received += 1;
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    if received == bytes.len() {
        Ok(bytes)
    } else {
        Err(QueryError::Length { parameter, received })
    }
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { received } => write!(f, "a query of {received} bytes is longer than {MAX_QUERY}"),
            Self::Missing(parameter) => write!(f, "{parameter} is missing"),
            Self::Length { parameter, received } => write!(f, "{parameter} has {received} bytes instead of 20"),
            Self::Number(parameter) => write!(f, "{parameter} is not a number in range"),
        }
    }
}

impl core::error::Error for QueryError {}

#[cfg(test)]
mod tests {
    use super::*;

    const IDS: &str = "info_hash=aaaaaaaaaaaaaaaaaaaa&peer_id=bbbbbbbbbbbbbbbbbbbb";

    /// A client that sends all it can; a private IPv4 address under `ipv6` is no error.
    #[test]
    fn the_golden_announce_is_read() {
        let query = parse_announce_query(
            "info_hash=%c1%3d%ab%00%ff5%20Zabcdefghijkl&peer_id=-qB4500-abcdefghijkl&port=51413&uploaded=7&downloaded=8&left=732766208\
             &corrupt=9&key=8C0FFEE1&event=started&numwant=200&compact=1&no_peer_id=1&supportcrypto=1&redundant=0&ipv6=192.168.1.5",
        )
        .unwrap();
        let request = &query.request;
        assert_eq!(request.swarm.0, *b"\xc1=\xab\x00\xff5 Zabcdefghijkl");
        assert_eq!((request.port, request.uploaded, request.downloaded), (51_413, 7, 8));
        assert_eq!(
            (request.left, request.numwant, request.key),
            (Some(732_766_208), Some(200), Some(0x8c0f_fee1))
        );
        assert_eq!(request.event, AnnounceEvent::Started);
        assert_eq!((query.corrupt, query.compact, query.no_peer_id), (9, true, true));
        assert_eq!((query.ip, query.ipv4, query.ipv6), (None, None, None));
    }

    #[test]
    fn addresses_are_read_with_and_without_port() {
        let query = |rest: &str| parse_announce_query(&[IDS, "&port=1&", rest].concat()).unwrap();
        assert_eq!(query("ip=10.0.0.1").ip, Some([10, 0, 0, 1].into()));
        assert_eq!(query("ip=host.example").ip, None);
        assert_eq!(query("ipv4=1.2.3.4").ipv4, Some(([1, 2, 3, 4].into(), None)));
        assert_eq!(query("ipv4=1.2.3.4%3A80").ipv4, Some(([1, 2, 3, 4].into(), Some(80))));
        assert_eq!(query("ipv6=%3A%3A1").ipv6, Some((Ipv6Addr::LOCALHOST, None)));
        assert_eq!(query("ipv6=[::1]:80").ipv6, Some((Ipv6Addr::LOCALHOST, Some(80))));
    }

    #[test]
    fn what_is_left_out_has_its_default() {
        let query =
            parse_announce_query(&[IDS, "&port=1&numwant=-1&compact=0&left=&event=empty&port=2"].concat()).unwrap();
        assert_eq!((query.request.left, query.request.numwant), (None, None));
        assert_eq!((query.request.event, query.request.port), (AnnounceEvent::Periodic, 1));
        assert!(!query.compact && !query.no_peer_id);
    }

    #[test]
    fn a_scrape_names_swarms() {
        let query = "x=1&info_hash=aaaaaaaaaaaaaaaaaaaa&info_hash=bbbbbbbbbbbbbbbbbbb%62";
        assert_eq!(
            parse_scrape_query(query),
            Ok([SwarmKey([b'a'; 20]), SwarmKey([b'b'; 20])].into())
        );
        assert_eq!(parse_scrape_query(""), Ok(Vec::new()));
        let (parameter, received) = ("info_hash", 1);
        assert_eq!(
            parse_scrape_query("info_hash=a"),
            Err(QueryError::Length { parameter, received })
        );
    }

    #[test]
    fn malformed_announces_are_refused() {
        let length = |parameter, received| QueryError::Length { parameter, received };
        let with = |rest: &str| [IDS, rest].concat();
        let table = [
            ("".into(), QueryError::Missing("info_hash")),
            ("info_hash".into(), QueryError::Missing("info_hash")),
            ("info_hash=aaaaaaaaaaaaaaaaaaaa".into(), QueryError::Missing("peer_id")),
            (with(""), QueryError::Missing("port")),
            ("info_hash=&peer_id=&port=1".into(), length("info_hash", 0)),
            (
                "info_hash=aaaaaaaaaaaaaaaaaaa%6&peer_id=&port=1".into(),
                length("info_hash", 21),
            ),
            (
                "info_hash=aaaaaaaaaaaaaaaaaaa%61&peer_id=b&port=1".into(),
                length("peer_id", 1),
            ),
            (with("&port=65536"), QueryError::Number("port")),
            (with("&port=-1"), QueryError::Number("port")),
            (with("&port=1&left=-5"), QueryError::Number("left")),
            (with("&port=1&left=99999999999999999999"), QueryError::Number("left")),
            (with("&port=1&uploaded=1e3"), QueryError::Number("uploaded")),
            (
                with(&"x".repeat(MAX_QUERY)),
                QueryError::TooLong {
                    received: MAX_QUERY + IDS.len(),
                },
            ),
        ];
        for (query, error) in table {
            assert_eq!(parse_announce_query(&query), Err(error), "{query:.100}");
        }
    }
}
