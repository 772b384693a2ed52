//! Hosts in text, as they stand before a port: names and addresses.
//!
//! The addresses are read here and not by the standard library: only whether they are right matters, and its reader, which also gives their
//! value, is five times this in what a browser downloads.

/// Whether it is a host name (RFC 1123) or an IPv4 address: one whose last label is a number must be an address.
pub fn is_host(host: &str) -> bool {
    let label = |label: &str| {
        let allowed = label
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        allowed && (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
    };
    let numeric = host
        .rsplit('.')
        .next()
        .is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    host.len() <= 253 && host.split('.').all(label) && (!numeric || is_v4(host))
}

/// Whether it is an IPv4 address: four numbers up to 255 without zeros before them.
pub fn is_v4(text: &str) -> bool {
    let mut numbers = 0;
    for number in text.split('.') {
        let value = number.bytes().try_fold(0, |value, digit| {
            let digit = digit.is_ascii_digit().then(|| u32::from(digit - b'0'))?;
            Some(value * 10 + digit).filter(|value| *value <= 255)
        });
        if number.is_empty() || number.len() > 1 && number.starts_with('0') || value.is_none() {
            return false;
        }
        numbers += 1;
    }
    numbers == 4
}

/// Whether it is an IPv6 address (RFC 4291): eight groups, of which `::` stands for one or more that are 0.
pub fn is_v6(text: &str) -> bool {
    match text.as_bytes().windows(2).position(|two| two == b"::") {
        None => groups(text, true) == Some(8),
        Some(at) => {
            let (before, after) = (groups(&text[..at], false), groups(&text[at + 2..], true));
            before.zip(after).is_some_and(|(before, after)| before + after < 8)
        }
    }
}

/// How many groups there are, at the address's end maybe with an IPv4 address as the last two; `None` if one of them is none.
fn groups(text: &str, ends: bool) -> Option<usize> {
    let (mut count, mut rest) = (0, text);
    while !rest.is_empty() {
        let (group, others) = match rest.split_once(':') {
            // A colon stands between two groups.
            Some((_, "")) => return None,
            Some(split) => split,
            None => (rest, ""),
        };
        let hex = (1..=4).contains(&group.len()) && group.bytes().all(|digit| digit.is_ascii_hexdigit());
        count += match hex {
            true => 1,
            false if ends && others.is_empty() && is_v4(group) => 2,
            false => return None,
        };
        rest = others;
    }
    Some(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use alloc::string::String;
    use core::net::{Ipv4Addr, Ipv6Addr};

    #[test]
    fn addresses_are_those_of_the_standard_library() {
        let agree = |text: &str| {
            assert_eq!(is_v4(text), text.parse::<Ipv4Addr>().is_ok(), "{text}");
            assert_eq!(is_v6(text), text.parse::<Ipv6Addr>().is_ok(), "{text}");
        };
        let table = [
            "1.2.3.4",
            "0.0.0.0",
            "255.255.255.255",
            "256.1.1.1",
            "1.2.3",
            "1.2.3.4.5",
            "01.2.3.4",
            "1..2.3",
            "",
            ".",
            "1.2.3.",
            "::",
            ":",
            ":::",
            "::1",
            "1::",
            "1:2:3:4:5:6:7:8",
            "1:2:3:4:5:6:7",
            "1:2:3:4:5:6:7:8:9",
            "1:2:3:4:5:6:7::",
            "::2:3:4:5:6:7:8",
            "1::2:3:4:5:6:7:8",
            "1::2::3",
            "12345::",
            "g::",
            "::1.2.3.4",
            "1:2:3:4:5:6:1.2.3.4",
            "1:2:3:4:5:6:7:1.2.3.4",
            "1.2.3.4::",
            "::1.2.3.4:1",
            "::1.2.3",
            "1:",
            ":1",
            "1:2:3:4:5:6:7:",
            "fe80::1%1",
            "é::",
        ];
        table.into_iter().for_each(agree);
        let mut rng = Rng::new(1);
        for _ in 0..100_000 {
            let text: String = (0..rng.below(24))
                .map(|_| char::from(b"::::..0125f"[rng.below(11)]))
                .collect();
            agree(&text);
        }
    }
}
