//! Which addresses are talked to: a block-list, and an allow-list where there is one, as people keep them.
//!
//! Invariant: the ranges of a list are sorted and apart, so that a look-up costs O(log ranges); a list has at most [`MAX_RANGES`].
//! An IPv4 address written as IPv6 (`::ffff:a.b.c.d`) is the IPv4 address.

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The most ranges of one list: public lists have some 300,000. 2^20 of IPv4 are 8 MiB, of IPv6 32 MiB.
pub const MAX_RANGES: usize = 1 << 20;

/// Entries of an `ipfilter.dat` with a level above this are not blocked, as eMule defined it.
const BLOCKED_LEVEL: u32 = 127;

/// Who is talked to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Who is not.
    pub blocked: Ranges,
    /// If there is such a list, nobody else is.
    pub allowed: Option<Ranges>,
}

impl Filter {
    /// Whether an address may be talked to. One that is in both lists may not.
    pub fn allows(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        !self.blocked.contain(address) && self.allowed.as_ref().is_none_or(|allowed| allowed.contain(address))
    }

    /// Whether everybody may be talked to.
    pub fn is_open(&self) -> bool {
        self.blocked.is_empty() && self.allowed.is_none()
    }
}

/// A set of addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges {
    v4: Vec<(u32, u32)>,
    v6: Vec<(u128, u128)>,
}

/// A list that was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List {
    /// The addresses.
    pub ranges: Ranges,
    /// The first line, from 1, that could not be understood, if there is one. Such lines are passed over.
    pub bad: Option<usize>,
}

/// The list has more than [`MAX_RANGES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany;

impl Ranges {
    /// Whether an address is in the set.
    pub fn contain(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(address) => has(&self.v4, address.to_bits()),
            IpAddr::V6(address) => has(&self.v6, address.to_bits()),
        }
    }

    /// Whether no address is in it.
    pub const fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    /// How many ranges there are, once those that touch are joined.
    pub const fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    /// Adds what another set has.
    pub fn extend(&mut self, other: Self) {
        self.v4.extend(other.v4);
        self.v6.extend(other.v6);
        self.settle();
    }

    fn settle(&mut self) {
        join(&mut self.v4, |end| end.checked_add(1));
        join(&mut self.v6, |end| end.checked_add(1));
    }

    fn add(&mut self, (from, to): (IpAddr, IpAddr)) -> Option<()> {
        match (from.to_canonical(), to.to_canonical()) {
            (IpAddr::V4(from), IpAddr::V4(to)) if from <= to => self.v4.push((from.to_bits(), to.to_bits())),
            (IpAddr::V6(from), IpAddr::V6(to)) if from <= to => self.v6.push((from.to_bits(), to.to_bits())),
            _ => return None,
        }
        Some(())
    }
}

impl List {
    /// Reads a list, one entry a line: an address, a CIDR range, `from-to`, a line of eMule's `ipfilter.dat`
    /// (`from - to , level , name`) or of PeerGuardian's `.p2p` (`name:from-to`). `#`, `;` and `//` begin comments.
    ///
    /// # Errors
    /// There are more than [`MAX_RANGES`].
    pub fn parse(text: &[u8]) -> Result<Self, TooMany> {
        let mut list = Self::default();
        for (number, line) in (1..).zip(text.split(|&byte| byte == b'\n')) {
            let line = line.trim_ascii();
            if line.is_empty() || [&b"#"[..], b";", b"//"].iter().any(|mark| line.starts_with(mark)) {
                continue;
            }
            match entry(line) {
                Some(Entry::Range(range)) if list.ranges.add(range).is_some() => {}
                Some(Entry::Unblocked) => {}
                _ => drop(list.bad.get_or_insert(number)),
            }
            // Seldom, so that a list of equal lines does not cost a sort each.
            if list.ranges.len() >= 2 * MAX_RANGES {
                list.ranges.settle();
                if list.ranges.len() > MAX_RANGES {
                    return Err(TooMany);
                }
            }
        }
        list.ranges.settle();
        if list.ranges.len() > MAX_RANGES {
            return Err(TooMany);
        }
        Ok(list)
    }
}

enum Entry {
    Range((IpAddr, IpAddr)),
    Unblocked,
}

/// Reads a line. Names need not be UTF-8; what is before and after them is ASCII.
fn entry(line: &[u8]) -> Option<Entry> {
    let mut fields = line.split(|&byte| byte == b',');
    let first = fields.next()?;
    if let Some(range) = text(first).and_then(range) {
        let level = match fields.next() {
            Some(level) => text(level)?.parse().ok()?,
            None => 0u32,
        };
        let blocked = level <= BLOCKED_LEVEL;
        return Some(if blocked { Entry::Range(range) } else { Entry::Unblocked });
    }
    // The name of a PeerGuardian line may hold anything, and ends with the last colon.
    let colon = line.iter().rposition(|&byte| byte == b':')?;
    text(&line[colon + 1..]).and_then(range).map(Entry::Range)
}

fn text(bytes: &[u8]) -> Option<&str> {
    core::str::from_utf8(bytes).ok().map(str::trim)
}

/// An address, a CIDR range or `from-to`.
fn range(text: &str) -> Option<(IpAddr, IpAddr)> {
    if let Some((from, to)) = text.split_once('-') {
        return Some((address(from.trim())?, address(to.trim())?));
    }
    let Some((base, length)) = text.split_once('/') else {
        let address = address(text)?;
        return Some((address, address));
    };
    let length: u32 = length.parse().ok()?;
    match address(base)? {
        IpAddr::V4(base) => {
            let rest = u32::MAX.checked_shr(length).unwrap_or(0);
            let first = base.to_bits() & !rest;
            let ends = (Ipv4Addr::from_bits(first), Ipv4Addr::from_bits(first | rest));
            (length <= 32).then_some((ends.0.into(), ends.1.into()))
        }
        IpAddr::V6(base) => {
            let rest = u128::MAX.checked_shr(length).unwrap_or(0);
            let first = base.to_bits() & !rest;
            let ends = (Ipv6Addr::from_bits(first), Ipv6Addr::from_bits(first | rest));
            (length <= 128).then_some((ends.0.into(), ends.1.into()))
        }
    }
}

/// An address. IPv4 in `ipfilter.dat` has leading zeros, and is decimal all the same.
fn address(text: &str) -> Option<IpAddr> {
    if text.contains(':') {
        return text.parse().map(IpAddr::V6).ok();
    }
    let mut octets = [0; 4];
    let mut parts = text.split('.');
    for octet in &mut octets {
        let part = parts.next().filter(|part| (1..=3).contains(&part.len()))?;
        let digits = part.bytes().all(|byte| byte.is_ascii_digit());
        *octet = part.parse().ok().filter(|_| digits)?;
    }
    parts.next().is_none().then(|| Ipv4Addr::from(octets).into())
}

fn has<T: Ord + Copy>(ranges: &[(T, T)], address: T) -> bool {
    let after = ranges.partition_point(|(from, _)| *from <= address);
    after.checked_sub(1).is_some_and(|at| address <= ranges[at].1)
}

/// Sorts ranges and joins those that touch.
fn join<T: Ord + Copy>(ranges: &mut Vec<(T, T)>, next: impl Fn(T) -> Option<T>) {
    ranges.sort_unstable();
    ranges.dedup_by(|later, kept| {
        let touch = next(kept.1).is_none_or(|next| later.0 <= next);
        if touch {
            kept.1 = kept.1.max(later.1);
        }
        touch
    });
    ranges.shrink_to_fit();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use alloc::format;
    use alloc::string::String;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn list(text: &str) -> List {
        List::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn every_way_to_write_a_range() {
        for (line, inside, outside) in [
            ("10.1.2.3", "10.1.2.3", "10.1.2.4"),
            ("10.1.0.0/16", "10.1.255.255", "10.2.0.0"),
            ("10.1.2.3/16", "10.1.0.0", "10.0.255.255"),
            ("0.0.0.0/0", "255.255.255.255", "::1"),
            ("1.2.3.4/32", "1.2.3.4", "1.2.3.5"),
            ("1.2.3.4-1.2.3.8", "1.2.3.8", "1.2.3.9"),
            (
                " 001.002.003.008 - 001.002.003.010 , 000 , Some, one\r",
                "1.2.3.9",
                "1.2.3.11",
            ),
            ("1.2.3.8 - 1.2.3.9 , 127 , x", "1.2.3.9", "1.2.3.7"),
            ("Bad: people - all:1.2.3.4-1.2.3.5", "1.2.3.5", "1.2.3.6"),
            ("2001:db8::/32", "2001:db8:ffff::", "2001:db9::"),
            ("::1-::5", "::5", "::6"),
            ("::ffff:1.2.3.4", "1.2.3.4", "1.2.3.3"),
            ("1.2.3.4", "::ffff:1.2.3.4", "::1.2.3.4"),
            ("::/0", "ffff::", "1.2.3.4"),
        ] {
            let list = list(line);
            assert_eq!(list.bad, None, "{line}");
            assert!(list.ranges.contain(ip(inside)), "{line} {inside}");
            assert!(!list.ranges.contain(ip(outside)), "{line} {outside}");
        }
    }

    #[test]
    fn malformed_lines_are_passed_over_and_named() {
        for line in [
            "x",
            "1.2.3",
            "1.2.3.4.5",
            "1.2.3.256",
            "1.2.3.+4",
            "1.2.3.0004",
            "1.2..4",
            "1.2.3.4/33",
            "1.2.3.4/-1",
            "1.2.3.4/",
            "::/129",
            "1.2.3.9-1.2.3.8",
            "1.2.3.4-::1",
            "1.2.3.4-",
            "-",
            "/",
            ":",
            ",",
            "1.2.3.4 , x",
            "1.2.3.4 , -1",
            "g::1",
            "name:1.2.3",
            "name:",
            "1.2.3.4 5.6.7.8",
            "١.2.3.4",
        ] {
            let list = list(&format!("# comment\n\n{line}\n10.0.0.1\n"));
            assert_eq!(list.bad, Some(3), "{line}");
            assert_eq!(list.ranges.len(), 1, "{line}");
            assert!(list.ranges.contain(ip("10.0.0.1")));
        }
        let latin = List::parse(b"Universit\xe4t:1.2.3.4-1.2.3.5\n").unwrap();
        assert_eq!((latin.bad, latin.ranges.len()), (None, 1));
    }

    #[test]
    fn comments_and_unblocked_levels_name_nobody() {
        let list = list("; a\n// b\n#c\n\r\n1.2.3.4 - 1.2.3.5 , 128 , fine\n1.2.3.4 , 255 ,\n");
        assert_eq!(list, List::default());
    }

    #[test]
    fn ranges_that_touch_are_one() {
        let list =
            list("1.0.0.5-1.0.0.9\n1.0.0.1-1.0.0.4\n1.0.0.2\n255.255.255.0/24\n255.0.0.0-255.255.254.255\n1.0.0.11");
        assert_eq!(list.ranges.len(), 3);
        assert!(list.ranges.contain(ip("255.255.255.255")) && !list.ranges.contain(ip("1.0.0.10")));
    }

    #[test]
    fn a_list_has_a_bound() {
        let many = |count: usize| {
            let line = |number: usize| format!("{}\n", Ipv4Addr::from_bits(2 * number as u32));
            (0..count).map(line).collect::<String>()
        };
        assert!(List::parse(many(MAX_RANGES).as_bytes()).is_ok());
        assert_eq!(List::parse(many(MAX_RANGES + 1).as_bytes()), Err(TooMany));
    }

    #[test]
    fn any_list_answers_as_a_naive_one() {
        let mut rng = Rng::new(5);
        for _ in 0..200 {
            let mut ranges = Vec::new();
            let mut text = String::new();
            for _ in 0..rng.below(20) {
                let from = rng.below(250) as u8;
                let to = from.saturating_add(rng.below(10) as u8);
                text.push_str(&format!("1.2.3.{from}-1.2.3.{to}\n"));
                ranges.push(from..=to);
            }
            let list = list(&text);
            for last in 0..=255 {
                let naive = ranges.iter().any(|range| range.contains(&last));
                assert_eq!(
                    list.ranges.contain(Ipv4Addr::new(1, 2, 3, last).into()),
                    naive,
                    "{text} {last}"
                );
            }
        }
    }

    #[test]
    fn blocked_counts_more_than_allowed() {
        let mut filter = Filter::default();
        assert!(filter.is_open() && filter.allows(ip("1.2.3.4")));
        filter.allowed = Some(list("1.2.3.0/24").ranges);
        filter.blocked = list("1.2.3.4").ranges;
        assert!(!filter.allows(ip("1.2.3.4")) && filter.allows(ip("1.2.3.5")));
        assert!(!filter.allows(ip("9.9.9.9")) && !filter.allows(ip("::1")));
        filter.allowed = Some(Ranges::default());
        assert!(!filter.allows(ip("1.2.3.5")), "an empty list allows nobody");
    }
}
