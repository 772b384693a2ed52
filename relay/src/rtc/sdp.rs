//! Session descriptions as far as the transport reads and changes them: what a peer sends is checked and cut down before
//! the WebRTC stack sees it, and what we send names the shared port.
//!
//! A description that passes has one media section, a data channel, with ICE credentials and a certificate fingerprint;
//! its candidates are UDP addresses that may be dialled. Cost: linear in the text, which is bounded.

use std::fmt;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

/// Longest description that is read. Chromium's is about 1 KiB with two candidates.
const LONGEST: usize = 32 << 10;
/// Candidates that are tried; the rest are dropped. Each costs a check every 200 ms until a pair works.
const CANDIDATES: usize = 16;
/// A message's bound when the description names none (RFC 8841, 6.1).
const MESSAGE_DEFAULT: usize = 64 << 10;

/// Why a peer's description is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SdpError {
    /// Longer than a description needs to be.
    TooLong,
    /// Not a session description at all.
    NotSdp,
    /// A line is not `letter=value`.
    BadLine,
    /// No `m=application` section of SCTP over DTLS.
    NoDataChannel,
    /// Audio, video, or more than one section.
    OtherMedia,
    /// No `ice-ufrag`, or one of a wrong length or with forbidden characters.
    BadFragment,
    /// No `ice-pwd`, or one of a wrong length or with forbidden characters.
    BadPassword,
    /// No certificate fingerprint.
    NoFingerprint,
    /// The DTLS role is missing or makes no sense here.
    BadSetup,
    /// The stack refused what passed all the above.
    Refused,
}

impl fmt::Display for SdpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the session description is too long",
            Self::NotSdp => "not a session description",
            Self::BadLine => "the session description has a malformed line",
            Self::NoDataChannel => "the session description offers no data channel",
            Self::OtherMedia => "the session description has other media than one data channel",
            Self::BadFragment => "the session description has no valid ice-ufrag",
            Self::BadPassword => "the session description has no valid ice-pwd",
            Self::NoFingerprint => "the session description has no certificate fingerprint",
            Self::BadSetup => "the session description has no valid DTLS role",
            Self::Refused => "the session description was refused",
        })
    }
}

impl std::error::Error for SdpError {}

/// Whether a description opens a negotiation or closes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Offer,
    Answer,
}

/// A peer's description after the checks.
#[derive(Debug)]
pub(super) struct Remote {
    /// What the stack gets to see.
    pub(super) text: String,
    /// Largest message the peer takes, in bytes.
    pub(super) message: usize,
    /// Where it says it can be reached.
    pub(super) candidates: Vec<SocketAddr>,
}

/// Checks a peer's description and drops candidates that `may_dial` refuses.
///
/// # Errors
/// One of `SdpError` but `Refused`.
pub(super) fn read(text: &str, kind: Kind, may_dial: impl Fn(IpAddr) -> bool) -> Result<Remote, SdpError> {
    if text.len() > LONGEST {
        return Err(SdpError::TooLong);
    }
    let mut lines = text
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty())
        .peekable();
    if lines.peek() != Some(&"v=0") {
        return Err(SdpError::NotSdp);
    }
    let mut facts = Facts::default();
    let mut remote = Remote {
        text: String::with_capacity(text.len()),
        message: MESSAGE_DEFAULT,
        candidates: vec![],
    };
    for line in lines {
        let (name, value) = split(line)?;
        match name {
            "m" => facts.media(value)?,
            "candidate" => match candidate(value).filter(|address| may_dial(address.ip())) {
                Some(address) if remote.candidates.len() < CANDIDATES => remote.candidates.push(address),
                _ => continue,
            },
            "max-message-size" => remote.message = message_size(value),
            _ => facts.attribute(name, value),
        }
        remote.text.push_str(line);
        remote.text.push_str("\r\n");
    }
    facts.check(kind)?;
    Ok(remote)
}

/// `a=name:value` and `a=name` by the attribute's name, every other line by its letter.
fn split(line: &str) -> Result<(&str, &str), SdpError> {
    let (letter, value) = line.split_once('=').ok_or(SdpError::BadLine)?;
    if letter.len() != 1 || !letter.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return Err(SdpError::BadLine);
    }
    if letter == "a" {
        Ok(value.split_once(':').unwrap_or((value, "")))
    } else {
        Ok((letter, value))
    }
}

/// 0 means no bound (RFC 8841, 6.1); nonsense counts as absent.
fn message_size(value: &str) -> usize {
    match value.trim().parse::<u64>() {
        Ok(0) => usize::MAX,
        Ok(size) => usize::try_from(size).unwrap_or(usize::MAX),
        Err(_) => MESSAGE_DEFAULT,
    }
}

/// The address of a UDP candidate of the first component; None for TCP, names (mDNS) and malformed ones.
fn candidate(value: &str) -> Option<SocketAddr> {
    let mut words = value.split_ascii_whitespace();
    let (_foundation, component, protocol) = (words.next()?, words.next()?, words.next()?);
    let _priority: u32 = words.next()?.parse().ok()?;
    let ip: IpAddr = words.next()?.parse().ok()?;
    let port: u16 = words.next()?.parse().ok()?;
    let typed = words.next()? == "typ" && words.next().is_some();
    (component == "1" && protocol.eq_ignore_ascii_case("udp") && port != 0 && typed)
        .then_some(SocketAddr::new(ip, port))
}

/// What the checks need to have seen.
#[derive(Default)]
struct Facts<'a> {
    sections: usize,
    data: bool,
    fragment: Option<&'a str>,
    password: Option<&'a str>,
    fingerprint: bool,
    setup: Option<&'a str>,
}

impl<'a> Facts<'a> {
    fn media(&mut self, value: &str) -> Result<(), SdpError> {
        let mut words = value.split_ascii_whitespace();
        let (media, _port, protocol) = (words.next(), words.next(), words.next());
        if self.sections > 0 || media.is_some_and(|media| media != "application") {
            return Err(SdpError::OtherMedia);
        }
        self.sections += 1;
        self.data = protocol.is_some_and(|protocol| protocol.ends_with("DTLS/SCTP"));
        Ok(())
    }

    fn attribute(&mut self, name: &str, value: &'a str) {
        match name {
            "ice-ufrag" => self.fragment = Some(value),
            "ice-pwd" => self.password = Some(value),
            "fingerprint" => self.fingerprint |= value.contains(' '),
            "setup" => self.setup = Some(value),
            _ => {}
        }
    }

    fn check(&self, kind: Kind) -> Result<(), SdpError> {
        let ice = |value: Option<&str>, least: usize| {
            value.is_some_and(|value| {
                (least..=256).contains(&value.len())
                    && value
                        .bytes()
                        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_' | b'='))
            })
        };
        let role = match kind {
            Kind::Offer => matches!(self.setup, Some("actpass" | "active" | "passive")),
            Kind::Answer => matches!(self.setup, Some("active" | "passive")),
        };
        match () {
            () if !self.data => Err(SdpError::NoDataChannel),
            () if !ice(self.fragment, 4) => Err(SdpError::BadFragment),
            () if !ice(self.password, 22) => Err(SdpError::BadPassword),
            () if !self.fingerprint => Err(SdpError::NoFingerprint),
            () if !role => Err(SdpError::BadSetup),
            () => Ok(()),
        }
    }
}

/// Our own description with the addresses that the peer is to use in place of the driver's host candidates.
pub(super) fn announce(text: &str, addresses: &[SocketAddr]) -> String {
    let mut out = String::with_capacity(text.len() + addresses.len() * 80);
    let mut announced = false;
    for line in text.lines().filter(|line| !line.is_empty()) {
        let is_candidate = line.starts_with("a=candidate:");
        if is_candidate && !announced {
            announced = true;
            for (index, address) in addresses.iter().enumerate() {
                // RFC 8445, 5.1.2.1: type preference 126 for host candidates, then a local order.
                let priority = (126_u32 << 24) | ((65_535 - index.min(65_535) as u32) << 8) | 255;
                let (ip, port) = (address.ip(), address.port());
                let _ = write!(
                    out,
                    "a=candidate:{} 1 udp {priority} {ip} {port} typ host\r\n",
                    index + 1
                );
            }
        }
        if is_candidate && line.contains(" typ host") {
            continue;
        }
        out.push_str(line);
        out.push_str("\r\n");
    }
    out
}
