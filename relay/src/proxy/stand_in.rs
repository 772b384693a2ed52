//! Names of peers that a proxy is to resolve, under addresses that stand for them: sessions know peers by addresses alone.
//!
//! Invariant: a stand-in is of 100::/64, whose addresses are nobody's (RFC 6666), so that it can be taken for no peer, and is told to none.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};

/// What a stand-in begins with; its number is the rest.
const PREFIX: u128 = 0x100 << 112;

/// Names that are kept. More have no address.
const MAX_NAMES: usize = 10_000;

/// The names, each under the number of its place.
#[derive(Debug, Default)]
pub(super) struct StandIns(Mutex<Vec<(String, u16)>>);

impl StandIns {
    /// The address that stands for a name; the same one each time.
    pub(super) fn put(&self, host: &str, port: u16) -> Option<SocketAddr> {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = names.iter().position(|(name, at)| name == host && *at == port);
        let number = known.unwrap_or(names.len());
        if number >= MAX_NAMES {
            return None;
        }
        if known.is_none() {
            names.push((host.into(), port));
        }
        let ip = Ipv6Addr::from_bits(PREFIX | (number as u128 + 1));
        Some((ip, port).into())
    }

    /// What an address stands for.
    pub(super) fn get(&self, address: SocketAddr) -> Option<(String, u16)> {
        let IpAddr::V6(ip) = address.ip() else { return None };
        let number = usize::try_from(ip.to_bits().checked_sub(PREFIX + 1)?).ok()?;
        let names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        names.get(number).filter(|(_, port)| *port == address.port()).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outside::is_local;

    #[test]
    fn a_name_has_one_address_and_others_stand_for_none() {
        let names = StandIns::default();
        let [one, other] = [("a.test", 1), ("b.test", 1)].map(|(host, port)| names.put(host, port).unwrap());
        assert_eq!(names.put("a.test", 1), Some(one));
        assert_eq!(names.get(other), Some(("b.test".into(), 1)));
        assert!(is_local(one.ip()), "it is told to nobody");
        for text in [
            "[100::3]:1",
            "[100::]:1",
            "[100::1]:2",
            "[::1]:1",
            "[ffff::1]:1",
            "0.0.0.1:1",
        ] {
            assert_eq!(names.get(text.parse().unwrap()), None, "{text}");
        }
        (0..2 * MAX_NAMES).for_each(|n| _ = names.put("c.test", n as u16));
        assert_eq!(names.put("d.test", 1), None);
        assert_eq!(names.get(one), Some(("a.test".into(), 1)));
    }
}
