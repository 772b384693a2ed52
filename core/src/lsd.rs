//! Local service discovery (BEP 14): peers of one network find each other by multicast.
//!
//! A codec and the rules of when to announce: each torrent every five minutes, no datagram more often than every five seconds, many
//! torrents in one. What is heard of others is bounded by [`MAX_HASHES`] a datagram and [`PER_MINUTE`] datagrams a minute.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;
use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::key::{SwarmKey, hex, unhex};
use crate::map::Map;
use crate::time::{Span, Time};

/// The group of IPv4 (BEP 14).
pub const GROUP_V4: Ipv4Addr = Ipv4Addr::new(239, 192, 152, 143);

/// The group of IPv6 (BEP 14).
pub const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff15, 0, 0, 0, 0, 0, 0xefc0, 0x988f);

/// The port of both (BEP 14).
pub const PORT: u16 = 6771;

/// Torrents of one datagram, so that it fits the smallest packet every path takes.
pub const MAX_HASHES: usize = 16;

/// Datagrams that are heard in a minute. A network has few peers, and each announces seldom.
pub const PER_MINUTE: u32 = 240;

/// How often a torrent is announced (BEP 14).
const INTERVAL: Span = Span::from_secs(300);

/// The least time between two datagrams.
const PAUSE: Span = Span::from_secs(5);

/// The longest datagram read, in bytes.
const MAX_DATAGRAM: usize = 1_400;

/// One announce.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalAnnounce {
    /// The port at which its sender takes links.
    pub port: u16,
    /// Its torrents.
    pub swarms: Vec<SwarmKey>,
    /// Chosen by the sender, to know its own datagrams.
    pub cookie: Option<String>,
}

/// Why a datagram is no announce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LsdError {
    /// It is longer than any honest one, or no text.
    NoText,
    /// It does not begin as an announce does.
    Method,
    /// It names no port, or an impossible one.
    Port,
    /// It names no torrent.
    Swarm,
}

impl LocalAnnounce {
    /// The datagram to send to a group.
    pub fn encode(&self, group: SocketAddr) -> Vec<u8> {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = write!(text, "BT-SEARCH * HTTP/1.1\r\nHost: {group}\r\nPort: {}\r\n", self.port);
        for swarm in self.swarms.iter().take(MAX_HASHES) {
            let _ = write!(text, "Infohash: {}\r\n", hex(&swarm.0));
        }
        if let Some(cookie) = &self.cookie {
            let _ = write!(text, "cookie: {cookie}\r\n");
        }
        text.push_str("\r\n\r\n");
        text.into_bytes()
    }

    /// Reads a datagram.
    pub fn decode(datagram: &[u8]) -> Result<Self, LsdError> {
        if datagram.len() > MAX_DATAGRAM {
            return Err(LsdError::NoText);
        }
        let text = core::str::from_utf8(datagram).map_err(|_| LsdError::NoText)?;
        let mut lines = text.split("\r\n");
        if !lines.next().is_some_and(|line| line.starts_with("BT-SEARCH * HTTP/")) {
            return Err(LsdError::Method);
        }
        let (mut port, mut cookie, mut swarms) = (None, None, Vec::new());
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            let (name, value) = (name.trim(), value.trim());
            if name.eq_ignore_ascii_case("port") {
                port = value.parse().ok().filter(|port| *port != 0);
            } else if name.eq_ignore_ascii_case("infohash") && swarms.len() < MAX_HASHES {
                swarms.extend(unhex(value).map(SwarmKey));
            } else if name.eq_ignore_ascii_case("cookie") {
                cookie = Some(value.into());
            }
        }
        if swarms.is_empty() {
            return Err(LsdError::Swarm);
        }
        Ok(Self {
            port: port.ok_or(LsdError::Port)?,
            swarms,
            cookie,
        })
    }
}

/// When to announce which torrents, and whom to hear.
#[derive(Debug)]
pub struct Lsd {
    port: u16,
    cookie: String,
    /// When each torrent was announced last.
    announced: Map<SwarmKey, Time>,
    waiting: VecDeque<SwarmKey>,
    next: Time,
    heard: u32,
    minute: Time,
}

impl Lsd {
    /// Announces links at that port. The cookie must be another one in every process.
    pub const fn new(port: u16, cookie: String) -> Self {
        Self {
            port,
            cookie,
            announced: Map::new(),
            waiting: VecDeque::new(),
            next: Time::ZERO,
            heard: 0,
            minute: Time::ZERO,
        }
    }

    /// Announces a torrent when it may be.
    pub fn announce(&mut self, swarm: SwarmKey, now: Time) {
        self.announced.retain(|_, at| now.since(*at) < INTERVAL);
        if !self.announced.contains_key(&swarm) && !self.waiting.contains(&swarm) {
            self.waiting.push_back(swarm);
        }
    }

    /// What is to be sent to both groups now.
    pub fn poll(&mut self, now: Time) -> Option<LocalAnnounce> {
        if self.waiting.is_empty() || self.next > now {
            return None;
        }
        self.next = now + PAUSE;
        let count = self.waiting.len().min(MAX_HASHES);
        let swarms: Vec<_> = self.waiting.drain(..count).collect();
        for swarm in &swarms {
            self.announced.insert(*swarm, now);
        }
        Some(LocalAnnounce {
            port: self.port,
            swarms,
            cookie: Some(self.cookie.clone()),
        })
    }

    /// When to ask again what is to be sent.
    pub fn deadline(&self) -> Option<Time> {
        (!self.waiting.is_empty()).then_some(self.next)
    }

    /// A datagram came: the peer it tells of, and its torrents. `None`: it is our own, or nothing, or one too many.
    pub fn hear(&mut self, from: SocketAddr, datagram: &[u8], now: Time) -> Option<(SocketAddr, Vec<SwarmKey>)> {
        if now.since(self.minute) >= Span::from_secs(60) {
            (self.minute, self.heard) = (now, 0);
        }
        self.heard = self.heard.saturating_add(1);
        if self.heard > PER_MINUTE {
            return None;
        }
        let announce = LocalAnnounce::decode(datagram).ok()?;
        let own = announce.cookie.as_ref() == Some(&self.cookie);
        let mut peer = from;
        peer.set_port(announce.port);
        (!own).then_some((peer, announce.swarms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn swarm(n: u8) -> SwarmKey {
        SwarmKey([n; 20])
    }

    #[test]
    fn an_announce_round_trips() {
        let announce = LocalAnnounce {
            port: 6881,
            swarms: vec![swarm(0xab), swarm(1)],
            cookie: Some("name of the client".into()),
        };
        let group = SocketAddr::new(GROUP_V4.into(), PORT);
        let bytes = announce.encode(group);
        assert!(
            bytes.starts_with(b"BT-SEARCH * HTTP/1.1\r\nHost: 239.192.152.143:6771\r\nPort: 6881\r\nInfohash: abab")
        );
        assert!(bytes.ends_with(b"\r\n\r\n\r\n"));
        assert_eq!(LocalAnnounce::decode(&bytes), Ok(announce));
        let group = SocketAddr::new(GROUP_V6.into(), PORT);
        assert_eq!(alloc::format!("{group}"), "[ff15::efc0:988f]:6771");
    }

    #[test]
    fn malformed_announces_are_refused() {
        let table: [(&[u8], LsdError); 8] = [
            (b"", LsdError::Method),
            (b"\xff", LsdError::NoText),
            (&[b' '; 1_401], LsdError::NoText),
            (b"M-SEARCH * HTTP/1.1\r\n\r\n", LsdError::Method),
            (b"BT-SEARCH * HTTP/1.1\r\nPort: 1\r\n\r\n", LsdError::Swarm),
            (
                b"BT-SEARCH * HTTP/1.1\r\nPort: 1\r\nInfohash: abc\r\n\r\n",
                LsdError::Swarm,
            ),
            (
                b"BT-SEARCH * HTTP/1.1\r\nInfohash: abababababababababababababababababababab\r\n\r\n",
                LsdError::Port,
            ),
            (
                b"BT-SEARCH * HTTP/1.1\r\nPort: 0\r\nInfohash: abababababababababababababababababababab\r\n\r\n",
                LsdError::Port,
            ),
        ];
        for (bytes, error) in table {
            assert_eq!(LocalAnnounce::decode(bytes), Err(error), "{}", bytes.escape_ascii());
        }
        let loose = b"BT-SEARCH * HTTP/1.1\r\nINFOHASH:ABABABABABABABABABABABABABABABABABABABAB\r\nport:  9 \r\nx\r\n";
        let read = LocalAnnounce::decode(loose).unwrap();
        assert_eq!((read.port, &read.swarms[..]), (9, &[swarm(0xab)][..]));
    }

    #[test]
    fn torrents_are_announced_together_and_seldom() {
        let mut lsd = Lsd::new(1, "me".into());
        let at = |secs| Time::ZERO + Span::from_secs(secs);
        (0..20).for_each(|n| lsd.announce(swarm(n), at(0)));
        assert_eq!(lsd.poll(at(0)).map(|announce| announce.swarms.len()), Some(16));
        assert_eq!((lsd.poll(at(4)), lsd.deadline()), (None, Some(at(5))));
        assert_eq!(lsd.poll(at(5)).map(|announce| announce.swarms.len()), Some(4));
        lsd.announce(swarm(1), at(200));
        assert_eq!(lsd.deadline(), None);
        lsd.announce(swarm(1), at(300));
        assert!(lsd.poll(at(300)).is_some());
    }

    #[test]
    fn others_are_heard_and_ourselves_not_and_floods_not_either() {
        let (mut one, mut other) = (Lsd::new(7, "one".into()), Lsd::new(8, "other".into()));
        one.announce(swarm(3), Time::ZERO);
        let group = SocketAddr::new(GROUP_V4.into(), PORT);
        let datagram = one.poll(Time::ZERO).unwrap().encode(group);
        let from = "192.168.0.7:6771".parse().unwrap();
        assert_eq!(one.hear(from, &datagram, Time::ZERO), None);
        let heard = other.hear(from, &datagram, Time::ZERO);
        assert_eq!(heard, Some(("192.168.0.7:7".parse().unwrap(), vec![swarm(3)])));
        let heard = (0..1_000).filter(|_| other.hear(from, &datagram, Time::ZERO).is_some());
        assert_eq!(heard.count() as u32, PER_MINUTE - 1);
        let later = Time::ZERO + Span::from_secs(60);
        assert!(other.hear(from, &datagram, later).is_some());
    }
}
