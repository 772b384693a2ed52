//! What strangers may cost us: how often one address is answered, and how many bytes of answers go out in all.
//!
//! Answers are longer than questions and go to whatever address the question bears, so without a bound the node would be a weapon. Cost:
//! at most [`MAX_ADDRESSES`] entries of 40 bytes; O(log n) a question.

use core::net::IpAddr;

use crate::map::Map;
use crate::time::{Span, Time};

/// Questions of one address that are answered in a row, and then so many a second. A lookup asks each node once or twice.
const BURST: u32 = 40;
const PER_SECOND: u64 = 8;

/// Bytes of answers that go out in a row, and then a second.
const BYTES_BURST: u64 = 256 << 10;
const BYTES_PER_SECOND: u64 = 64 << 10;

/// Addresses that are remembered.
const MAX_ADDRESSES: usize = 4_096;

/// What strangers may cost us.
#[derive(Debug)]
pub(crate) struct Guard {
    addresses: Map<IpAddr, Allowance>,
    bytes: u64,
    filled: Time,
}

#[derive(Debug)]
struct Allowance {
    left: u32,
    filled: Time,
}

impl Guard {
    pub(crate) const fn new(now: Time) -> Self {
        Self {
            addresses: Map::new(),
            bytes: BYTES_BURST,
            filled: now,
        }
    }

    /// Whether a question of that address is to be answered. Loopback is shared by many, and nobody's victim.
    pub(crate) fn admits(&mut self, ip: IpAddr, now: Time) -> bool {
        if ip.is_loopback() {
            return true;
        }
        if self.addresses.len() >= MAX_ADDRESSES && !self.addresses.contains_key(&ip) {
            self.forget(now);
        }
        let allowance = self.addresses.get_or_insert_with(ip, || Allowance {
            left: BURST,
            filled: now,
        });
        let earned = now.since(allowance.filled).as_micros() * PER_SECOND / 1_000_000;
        if earned > 0 {
            allowance.left = (u64::from(allowance.left) + earned).min(BURST.into()) as u32;
            allowance.filled = now;
        }
        let admitted = allowance.left > 0;
        allowance.left = allowance.left.saturating_sub(1);
        admitted
    }

    /// Whether an answer of so many bytes may go out.
    pub(crate) fn sends(&mut self, length: usize, now: Time) -> bool {
        let earned = now.since(self.filled).as_micros().saturating_mul(BYTES_PER_SECOND) / 1_000_000;
        if earned > 0 {
            self.bytes = self.bytes.saturating_add(earned).min(BYTES_BURST);
            self.filled = now;
        }
        let left = self.bytes.checked_sub(length as u64);
        self.bytes = left.unwrap_or(self.bytes);
        left.is_some()
    }

    /// Forgets those that have their whole allowance again; if that makes no room, everybody.
    fn forget(&mut self, now: Time) {
        let whole = Span::from_secs(u64::from(BURST).div_ceil(PER_SECOND));
        self.addresses
            .retain(|_, allowance| now.since(allowance.filled) < whole);
        if self.addresses.len() >= MAX_ADDRESSES {
            self.addresses.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_is_answered_so_often_and_others_all_the_same() {
        let mut guard = Guard::new(Time::ZERO);
        let (one, other) = ("1.2.3.4".parse().unwrap(), "1.2.3.5".parse().unwrap());
        let admitted = (0..1_000).filter(|_| guard.admits(one, Time::ZERO)).count();
        assert_eq!(admitted, BURST as usize);
        assert!(guard.admits(other, Time::ZERO));
        let later = Time::ZERO + Span::from_secs(1);
        let admitted = (0..1_000).filter(|_| guard.admits(one, later)).count();
        assert_eq!(admitted, PER_SECOND as usize);
        assert!((0..1_000).all(|_| guard.admits("127.0.0.1".parse().unwrap(), later)));
    }

    #[test]
    fn many_addresses_are_not_remembered_for_ever() {
        let mut guard = Guard::new(Time::ZERO);
        for n in 0..20_000u32 {
            guard.admits(core::net::Ipv4Addr::from(0x4000_0000 + n).into(), Time::ZERO);
        }
        assert!(guard.addresses.len() <= MAX_ADDRESSES);
    }

    #[test]
    fn answers_are_bounded_in_bytes() {
        let mut guard = Guard::new(Time::ZERO);
        let sent = (0..10_000).filter(|_| guard.sends(1_000, Time::ZERO)).count();
        assert_eq!(sent as u64, BYTES_BURST / 1_000);
        let later = Time::ZERO + Span::from_secs(1);
        let sent = (0..10_000).filter(|_| guard.sends(1_000, later)).count() as u64;
        assert!((60..=66).contains(&sent), "{sent}");
    }
}
