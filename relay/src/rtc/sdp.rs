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

#[cfg(test)]
mod tests {
    use super::*;

    const OFFER: &str = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
        m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\n\
        a=candidate:1 1 udp 2113937151 192.0.2.7 50000 typ host generation 0\r\n\
        a=candidate:2 1 udp 2113937151 10.0.0.7 50001 typ host\r\n\
        a=candidate:3 1 udp 2113937151 0a1b2c3d.local 50002 typ host\r\n\
        a=candidate:4 1 tcp 1518280447 192.0.2.7 9 typ host tcptype active\r\n\
        a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\na=fingerprint:sha-256 AA:BB\r\n\
        a=setup:actpass\r\na=mid:0\r\na=sctp-port:5000\r\na=max-message-size:262144\r\n";

    fn public(ip: IpAddr) -> bool {
        !matches!(ip, IpAddr::V4(ip) if ip.is_private())
    }

    #[test]
    fn keeps_only_what_may_be_dialled() {
        let remote = read(OFFER, Kind::Offer, public).unwrap();
        assert_eq!(remote.candidates, [SocketAddr::from(([192, 0, 2, 7], 50_000))]);
        assert_eq!(remote.message, 262_144);
        assert_eq!(remote.text.matches("a=candidate").count(), 1);
        assert!(remote.text.ends_with("a=max-message-size:262144\r\n"));
        // Bare line feeds are read too.
        assert_eq!(
            read(&OFFER.replace('\r', ""), Kind::Offer, public).unwrap().text,
            remote.text
        );
    }

    #[test]
    fn reads_the_bound_on_messages() {
        for (line, size) in [("0", usize::MAX), ("65535", 65_535), ("-1", 65_536), ("x", 65_536)] {
            let text = OFFER.replace("max-message-size:262144", &format!("max-message-size:{line}"));
            assert_eq!(read(&text, Kind::Offer, public).unwrap().message, size, "{line}");
        }
        let text = OFFER.replace("a=max-message-size:262144\r\n", "");
        assert_eq!(read(&text, Kind::Offer, public).unwrap().message, 65_536);
    }

    #[test]
    fn refuses_what_is_malformed() {
        let cases = [
            ("v=0", "v=1", SdpError::NotSdp),
            ("t=0 0", "t", SdpError::BadLine),
            ("t=0 0", "=0", SdpError::BadLine),
            ("t=0 0", "tt=0", SdpError::BadLine),
            ("m=application", "m=audio", SdpError::OtherMedia),
            ("a=mid:0", "m=audio 9 UDP/TLS/RTP/SAVPF 0", SdpError::OtherMedia),
            ("a=mid:0", "m=application 9 UDP/DTLS/SCTP x", SdpError::OtherMedia),
            ("UDP/DTLS/SCTP", "RTP/AVP", SdpError::NoDataChannel),
            ("ice-ufrag:abcd", "ice-ufrag:abc", SdpError::BadFragment),
            ("ice-ufrag:abcd", "ice-ufrag:ab:d", SdpError::BadFragment),
            ("ice-ufrag:abcd", "x:", SdpError::BadFragment),
            ("ice-pwd:abcdefghijklmnopqrstuv", "ice-pwd:short", SdpError::BadPassword),
            (
                "ice-pwd:abcdefghijklmnopqrstuv",
                "ice-pwd:abcdefghijklm opqrstuv",
                SdpError::BadPassword,
            ),
            ("fingerprint:", "print:", SdpError::NoFingerprint),
            ("setup:actpass", "setup:holdconn", SdpError::BadSetup),
        ];
        for (from, to, error) in cases {
            assert_eq!(
                read(&OFFER.replacen(from, to, 1), Kind::Offer, public).unwrap_err(),
                error,
                "{from} -> {to}"
            );
        }
        assert_eq!(read("", Kind::Offer, public).unwrap_err(), SdpError::NotSdp);
        assert_eq!(read("\u{0}", Kind::Offer, public).unwrap_err(), SdpError::NotSdp);
        assert_eq!(
            read(&"a".repeat(LONGEST + 1), Kind::Offer, public).unwrap_err(),
            SdpError::TooLong
        );
        assert_eq!(read(OFFER, Kind::Answer, public).unwrap_err(), SdpError::BadSetup);
    }

    #[test]
    fn bounds_the_candidates() {
        let many: String = (1..100)
            .map(|n| format!("a=candidate:1 1 udp 1 192.0.2.{n} 5 typ host\r\n"))
            .collect();
        let remote = read(&format!("{OFFER}{many}"), Kind::Offer, public).unwrap();
        assert_eq!(remote.candidates.len(), CANDIDATES);
    }

    #[test]
    fn announces_the_shared_port() {
        let text = announce(OFFER, &["127.0.0.1:7".parse().unwrap(), "[::1]:8".parse().unwrap()]);
        let candidates: Vec<&str> = text.lines().filter(|line| line.starts_with("a=candidate")).collect();
        assert_eq!(
            candidates,
            [
                "a=candidate:1 1 udp 2130706431 127.0.0.1 7 typ host",
                "a=candidate:2 1 udp 2130706175 ::1 8 typ host"
            ]
        );
    }
}
