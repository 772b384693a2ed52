//! Magnet links (BEP 9, BEP 53, BEP 19's `ws`): a torrent named by its hash alone.
//!
//! Also read are bare hashes: 40 hexadecimal or 32 base32 digits (v1), 64 hexadecimal digits (v2). Cost: O(n log n) in the link's length
//! and in the [`MAX_SELECTED`] indices it may select.

use crate::gather::Gather;
use crate::host;
use crate::key::{InfoHashV1, InfoHashV2, InfoHashes, hex, unhex};
use crate::map::Set;
use crate::percent;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

/// One more than the highest index of a file that a link may select: as many files as a torrent may have.
pub const MAX_SELECTED: u32 = crate::metainfo::MAX_FILES as u32;

/// The longest link read, in bytes.
pub const MAX_MAGNET: usize = 1024 * 1024;

/// What a magnet link says. The lists hold no entry twice and keep the link's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Magnet {
    /// The hashes of the info dictionary.
    pub hashes: InfoHashes,
    /// A name to show until the metadata is there.
    pub name: Option<String>,
    /// Trackers.
    pub trackers: Vec<String>,
    /// URLs of the content (BEP 19).
    pub web_seeds: Vec<String>,
    /// Peers to connect to.
    pub peers: Vec<PeerAddress>,
    /// The indices of the files wanted, ascending (BEP 53); `None` for all.
    pub select_only: Option<Vec<u32>>,
}

/// Where a peer is: a name or an address, and a port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerAddress {
    /// A host name, an IPv4 address, or an IPv6 address without brackets.
    pub host: String,
    /// Its TCP and uTP port, not 0.
    pub port: u16,
}

/// Why a text is not a magnet link of a torrent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MagnetError {
    /// It does not begin with `magnet:?` and is no hash.
    NotMagnet,
    /// Longer than [`MAX_MAGNET`].
    TooLong {
        /// Its length in bytes.
        received: usize,
    },
    /// It has no `xt` with an info-hash.
    NoHash,
    /// A hash has the wrong number of digits.
    HashLength {
        /// How many it must have.
        expected: &'static str,
        /// How many it has.
        received: usize,
    },
    /// A hash has something else than digits in it.
    HashDigit {
        /// What it must be.
        expected: &'static str,
        /// The first character that is none.
        received: char,
    },
    /// A `btmh` is no SHA-256, which begins with `1220`.
    HashKind {
        /// How it begins.
        received: String,
    },
    /// Two hashes of the same kind differ.
    TwoHashes,
}

impl Magnet {
    /// A link of that torrent and nothing else.
    pub const fn new(hashes: InfoHashes) -> Self {
        Self {
            hashes,
            name: None,
            trackers: Vec::new(),
            web_seeds: Vec::new(),
            peers: Vec::new(),
            select_only: None,
        }
    }

    /// Whether `text` has the form of a link or of a bare hash, be it right or wrong inside.
    pub fn is_like(text: &str) -> bool {
        let digits = text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let base32 = text.bytes().all(|byte| base32_digit(byte).is_some());
        query(text).is_some() || matches!(text.len(), 40 | 64) && digits || text.len() == 32 && base32
    }

    /// Reads a link or a bare hash. Keys and hashes may be in either letter case; keys we do not know are passed over.
    pub fn parse(text: &str) -> Result<Self, MagnetError> {
        let text = text.trim();
        if text.len() > MAX_MAGNET {
            return Err(MagnetError::TooLong { received: text.len() });
        }
        let Some(query) = query(text) else {
            return match text.len() {
                64 => v2(text).map(|hash| InfoHashes::new(None, Some(hash))),
                _ if Self::is_like(text) => v1(text).map(|hash| InfoHashes::new(Some(hash), None)),
                _ => Err(MagnetError::NotMagnet),
            }
            .and_then(|hashes| hashes.map(Self::new).ok_or(MagnetError::NoHash));
        };
        let mut link = Reader::default();
        for pair in query.split('&').filter_map(|pair| pair.split_once('=')) {
            link.parameter(pair.0, pair.1)?;
        }
        Ok(Self {
            hashes: InfoHashes::new(link.v1, link.v2).ok_or(MagnetError::NoHash)?,
            name: link.name,
            trackers: distinct(link.trackers),
            web_seeds: distinct(link.web_seeds),
            peers: distinct(link.peers),
            select_only: link.selected.map(expand),
        })
    }
}

/// What was read so far.
#[derive(Default)]
struct Reader {
    v1: Option<InfoHashV1>,
    v2: Option<InfoHashV2>,
    name: Option<String>,
    trackers: Vec<String>,
    web_seeds: Vec<String>,
    peers: Vec<PeerAddress>,
    /// Ranges of indices, ends included.
    selected: Option<Vec<(u32, u32)>>,
}

impl Reader {
    fn parameter(&mut self, key: &str, value: &str) -> Result<(), MagnetError> {
        // `xt.1`, `tr.2`: numbered where there are several. In pages `&` may have been written `&amp;`.
        let key = key.strip_prefix("amp;").unwrap_or(key).to_ascii_lowercase();
        let key = match key.rsplit_once('.') {
            Some((key, number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => key,
            _ => &key,
        };
        match key {
            "xt" => return self.hash(&text(value)),
            "dn" if self.name.is_none() => self.name = Some(text(&value.replace('+', " "))),
            "tr" => url(value).into_iter().gather_into(&mut self.trackers),
            "ws" => url(value).into_iter().gather_into(&mut self.web_seeds),
            "x.pe" => text(value).parse().into_iter().gather_into(&mut self.peers),
            "so" => self.select(&text(value)),
            _ => {}
        }
        Ok(())
    }

    fn hash(&mut self, urn: &str) -> Result<(), MagnetError> {
        let lower = urn.to_ascii_lowercase();
        if lower.starts_with("urn:btih:") {
            let hash = v1(&urn["urn:btih:".len()..])?;
            if *self.v1.get_or_insert(hash) != hash {
                return Err(MagnetError::TwoHashes);
            }
        } else if let Some(multihash) = lower.strip_prefix("urn:btmh:") {
            let hash = multihash.strip_prefix("1220").ok_or_else(|| MagnetError::HashKind {
                received: multihash.chars().take(4).collect(),
            })?;
            let hash = v2(hash)?;
            if *self.v2.get_or_insert(hash) != hash {
                return Err(MagnetError::TwoHashes);
            }
        }
        Ok(())
    }

    /// `0,2,4-6`. What is no index, turned round or absurd is dropped.
    fn select(&mut self, ranges: &str) {
        let index = |text: &str| number(text.trim()).filter(|&index| index < MAX_SELECTED);
        let selected = self.selected.get_or_insert_default();
        for range in ranges.split(',') {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            if let (Some(first), Some(last)) = (index(first), index(last))
                && first <= last
            {
                selected.push((first, last));
            }
        }
    }
}

/// Every index of some ranges once, ascending.
fn expand(mut ranges: Vec<(u32, u32)>) -> Vec<u32> {
    ranges.sort_unstable();
    let mut indices = Vec::new();
    let mut next = 0;
    for (first, last) in ranges {
        (first.max(next)..=last).gather_into(&mut indices);
        next = next.max(last + 1);
    }
    indices
}

/// A list without what it has twice, in order of first appearance.
fn distinct<T: Ord + Clone>(list: Vec<T>) -> Vec<T> {
    let mut seen = Set::new();
    list.into_iter().filter(|item| seen.insert(item.clone())).gather()
}

/// What follows `magnet:?`.
fn query(text: &str) -> Option<&str> {
    let scheme = text.get(.."magnet:".len())?;
    let rest = text.get("magnet:".len()..)?;
    scheme
        .eq_ignore_ascii_case("magnet:")
        .then(|| rest.strip_prefix('?').unwrap_or(rest))
}

fn v1(digits: &str) -> Result<InfoHashV1, MagnetError> {
    const EXPECTED: &str = "40 hexadecimal or 32 base32 digits";
    if digits.len() == 32 {
        return base32(digits).map(InfoHashV1);
    }
    check(digits, 40, EXPECTED)?;
    unhex(digits).map(InfoHashV1).ok_or(MagnetError::NoHash)
}

fn v2(digits: &str) -> Result<InfoHashV2, MagnetError> {
    check(digits, 64, "64 hexadecimal digits")?;
    unhex(digits).map(InfoHashV2).ok_or(MagnetError::NoHash)
}

fn check(digits: &str, length: usize, expected: &'static str) -> Result<(), MagnetError> {
    if let Some(received) = digits.chars().find(|c| !c.is_ascii_hexdigit()) {
        return Err(MagnetError::HashDigit { expected, received });
    }
    if digits.len() != length {
        let received = digits.len();
        return Err(MagnetError::HashLength { expected, received });
    }
    Ok(())
}

/// 20 bytes from 32 digits (RFC 4648).
fn base32(digits: &str) -> Result<[u8; 20], MagnetError> {
    let expected = "32 base32 digits";
    let mut bytes = [0; 20];
    for (at, c) in digits.chars().enumerate() {
        let value = u8::try_from(c).ok().and_then(base32_digit);
        let value = value.ok_or(MagnetError::HashDigit { expected, received: c })?;
        // The five bits at `at * 5`, of which the last may lie in the next byte.
        let (byte, shift) = (at * 5 / 8, 11 - at * 5 % 8);
        let [high, low] = (u16::from(value) << shift).to_be_bytes();
        bytes[byte] |= high;
        if let Some(next) = bytes.get_mut(byte + 1) {
            *next |= low;
        }
    }
    Ok(bytes)
}

const fn base32_digit(byte: u8) -> Option<u8> {
    match byte.to_ascii_lowercase() {
        letter @ b'a'..=b'z' => Some(letter - b'a'),
        digit @ b'2'..=b'7' => Some(digit - b'2' + 26),
        _ => None,
    }
}

/// A parameter's value with its percent signs resolved; a sign without two digits after it stays, what is not UTF-8 is replaced.
fn text(value: &str) -> String {
    String::from_utf8_lossy(&percent::decode(value)).into_owned()
}

/// A value that is a URL; none if it is empty.
fn url(value: &str) -> Option<String> {
    Some(text(value).trim().into()).filter(|url: &String| !url.is_empty())
}

/// A number in decimal digits. Of all sizes it is read as one, since each would be a reader of its own.
fn number<T: TryFrom<u64>>(text: &str) -> Option<T> {
    T::try_from(text.parse::<u64>().ok()?).ok()
}

impl FromStr for PeerAddress {
    type Err = ();

    /// Reads `host:port`, an IPv6 address in brackets.
    fn from_str(text: &str) -> Result<Self, ()> {
        let (host, port) = text.trim().rsplit_once(':').ok_or(())?;
        let digits = port.bytes().all(|byte| byte.is_ascii_digit());
        let port = number(port).filter(|&port| digits && port != 0).ok_or(())?;
        let host = match host.strip_prefix('[').map(|inner| inner.strip_suffix(']')) {
            Some(inner) => inner.filter(|inner| host::is_v6(inner)).ok_or(())?,
            None => Some(host).filter(|name| host::is_host(name)).ok_or(())?,
        };
        Ok(Self {
            host: host.to_ascii_lowercase(),
            port,
        })
    }
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for Magnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let v1 = self.hashes.v1().map(|hash| alloc::format!("xt=urn:btih:{hash}"));
        let v2 = self
            .hashes
            .v2()
            .map(|hash| alloc::format!("xt=urn:btmh:1220{}", hex(&hash.0)));
        let mut link: Vec<String> = v1.into_iter().chain(v2).gather();
        let mut add = |key: &str, value: &str| {
            let mut pair = [key, "="].concat();
            percent::encode(value.as_bytes(), &mut pair);
            link.push(pair);
        };
        self.name.iter().for_each(|name| add("dn", name));
        self.trackers.iter().for_each(|tracker| add("tr", tracker));
        self.web_seeds.iter().for_each(|seed| add("ws", seed));
        self.peers.iter().for_each(|peer| add("x.pe", &peer.to_string()));
        if let Some(selected) = &self.select_only {
            let runs = selected.chunk_by(|a, b| a + 1 == *b).map(|run| match run {
                [first, .., last] => alloc::format!("{first}-{last}"),
                _ => run.iter().map(u32::to_string).collect(),
            });
            link.push(["so=", &runs.gather().join(",")].concat());
        }
        write!(f, "magnet:?{}", link.join("&"))
    }
}

impl MagnetError {
    /// A short name of the kind of refusal, for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "too-large",
            _ => "bad-magnet",
        }
    }
}

impl fmt::Display for MagnetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotMagnet => f.write_str(
                "expected a link that begins with 'magnet:?', or a hash of 40 or 64 hexadecimal or 32 base32 digits",
            ),
            Self::TooLong { received } => write!(f, "{received} bytes are more than {MAX_MAGNET}"),
            Self::NoHash => {
                f.write_str("expected 'xt=urn:btih:' or 'xt=urn:btmh:' with an info-hash, and there is none")
            }
            Self::HashLength { expected, received } => {
                write!(f, "the info-hash has {received} digits, expected {expected}")
            }
            // What is not ASCII is shown by its number: knowing which other characters can be shown takes tables.
            Self::HashDigit { expected, received } => {
                write!(
                    f,
                    "the info-hash has '{}' in it, expected {expected}",
                    received.escape_default()
                )
            }
            Self::HashKind { received } => {
                f.write_str("the 'btmh' hash begins with '")?;
                received.chars().try_for_each(|c| c.escape_default().fmt(f))?;
                f.write_str("', expected '1220' for SHA-256")
            }
            Self::TwoHashes => f.write_str("it has two different info-hashes of one kind"),
        }
    }
}

impl core::error::Error for MagnetError {}

#[cfg(test)]
mod tests;
