//! Canonical peer priority (BEP 40): both ends of a possible link rank it alike, without asking, so that a full swarm settles into one
//! well-mixed graph and nobody gains by connecting again and again.

use core::net::{IpAddr, SocketAddr};

use crate::crc32c::crc32c;

/// The rank of a link between two addresses: more is better. Nearby addresses count in full, of far ones only the network, so that one
/// network cannot have many good ranks at somebody.
pub fn priority(one: SocketAddr, other: SocketAddr) -> u32 {
    if one.ip() == other.ip() {
        let mut ports = [one.port(), other.port()];
        ports.sort_unstable();
        let [low, high] = ports.map(u16::to_be_bytes);
        return crc32c(&[low, high].concat());
    }
    match (one.ip(), other.ip()) {
        (IpAddr::V4(one), IpAddr::V4(other)) => ranked(one.octets(), other.octets(), 2),
        (IpAddr::V6(one), IpAddr::V6(other)) => ranked(one.octets(), other.octets(), 6),
        // No link is of two families.
        _ => 0,
    }
}

/// How many bits two addresses of one family share, from the first on: the more, the nearer they are likely to be.
pub fn shared_prefix(one: IpAddr, other: IpAddr) -> u32 {
    match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros(),
        (IpAddr::V6(one), IpAddr::V6(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros(),
        _ => 0,
    }
}

/// `network`: the bytes that must differ for an address to be far away; each byte more that both share counts one byte more in full.
fn ranked<const N: usize>(one: [u8; N], other: [u8; N], network: usize) -> u32 {
    let shared = one.iter().zip(&other).take_while(|(one, other)| one == other).count();
    let full = if shared < network { network } else { shared + 1 };
    let masked =
        |bytes: [u8; N]| -> [u8; N] { core::array::from_fn(|at| if at < full { bytes[at] } else { bytes[at] & 0x55 }) };
    let mut pair = [masked(one), masked(other)];
    pair.sort_unstable();
    crc32c(pair.as_flattened())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_bep_40() {
        let at = |text: &str| SocketAddr::new(text.parse().unwrap(), 6881);
        let us = at("123.213.32.10");
        assert_eq!(priority(us, at("98.76.54.32")), 0xec2d_7224);
        assert_eq!(priority(us, at("123.213.32.234")), 0x9956_8189);
    }

    #[test]
    fn bits_that_are_shared() {
        for (one, other, bits) in [
            ("1.2.3.4", "1.2.3.4", 32),
            ("1.2.3.4", "1.2.3.6", 30),
            ("1.2.3.4", "129.2.3.4", 0),
            ("2001:db8::1", "2001:db8::", 127),
            ("::1", "0.0.0.1", 0),
        ] {
            assert_eq!(shared_prefix(one.parse().unwrap(), other.parse().unwrap()), bits);
        }
    }

    #[test]
    fn both_ends_rank_alike_and_hosts_of_a_far_network_hardly_differ() {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        for (one, other) in [
            ("1.2.3.4:1", "5.6.7.8:2"),
            ("1.2.3.4:1", "1.2.3.9:2"),
            ("1.2.3.4:1", "1.2.3.4:2"),
            ("[2001:db8::1]:1", "[2606:4700::2]:1"),
        ] {
            assert_eq!(priority(at(one), at(other)), priority(at(other), at(one)));
        }
        let far = |host: &str| priority(at("1.2.3.4:1"), at(host));
        assert_eq!(far("9.9.0.0:1"), far("9.9.170.2:5"));
        assert_ne!(far("1.2.0.0:1"), far("1.2.0.1:1"));
        assert_eq!(far("[::1]:1"), 0);
    }
}
