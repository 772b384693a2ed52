//! Addresses of peers: which are public, and how they are written in 6 or 18 bytes (BEP 5, BEP 7, BEP 11, BEP 32).

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The address of a peer.
pub type Address = SocketAddr;

/// Whether an address is of this machine, of a private network, or of no single machine at all: what strangers must not make us talk to.
pub fn is_local(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_local_v4(address),
        IpAddr::V6(address) => is_local_v6(address),
    }
}

fn is_local_v4(address: Ipv4Addr) -> bool {
    let [a, b, ..] = address.octets();
    address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        || a == 0
        // Shared address space behind a provider's NAT (RFC 6598), and networks to measure in (RFC 2544).
        || a == 100 && b & 0xc0 == 64
        || a == 198 && b & 0xfe == 18
        // Reserved (RFC 1112).
        || a >= 240
}

fn is_local_v6(address: Ipv6Addr) -> bool {
    let embedded = match address.segments() {
        // NAT64 (RFC 6052) and 6to4 (RFC 3056) lead to an IPv4 address.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => Some((high, low)),
        _ => None,
    };
    if let Some((high, low)) = embedded {
        return is_local_v4(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)));
    }
    address.is_loopback()
        || address.is_unspecified()
        // What is sent there is discarded (RFC 6666).
        || matches!(address.segments(), [0x100, 0, 0, 0, ..])
        || address.is_unique_local()
        || address.is_unicast_link_local()
        || address.is_multicast()
}

/// Whether an address can be one of a single peer at all: it has a port, and an address that is somebody's.
pub fn is_usable(address: SocketAddr) -> bool {
    address.port() != 0 && !address.ip().is_unspecified() && !address.ip().is_multicast()
}

/// Appends an address in its compact form: 4 or 16 bytes and the port.
pub fn put_compact(address: SocketAddr, out: &mut Vec<u8>) {
    match address.ip() {
        IpAddr::V4(ip) => out.extend_from_slice(&ip.octets()),
        IpAddr::V6(ip) => out.extend_from_slice(&ip.octets()),
    }
    out.extend_from_slice(&address.port().to_be_bytes());
}

/// Reads an address of 6 or 18 bytes.
pub fn compact(bytes: &[u8]) -> Option<SocketAddr> {
    let (ip, port) = bytes.split_last_chunk::<2>()?;
    let ip = match ip.len() {
        4 => IpAddr::from(<[u8; 4]>::try_from(ip).ok()?),
        16 => IpAddr::from(<[u8; 16]>::try_from(ip).ok()?),
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_be_bytes(*port)))
}

/// Reads compact addresses of one family that follow each other. What is left over at the end is passed over.
pub fn compact_list(bytes: &[u8], v6: bool) -> impl Iterator<Item = SocketAddr> {
    bytes.chunks_exact(if v6 { 18 } else { 6 }).filter_map(compact)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_and_public() {
        let local = "127.0.0.1 127.9.9.9 10.1.2.3 172.16.0.1 172.31.255.255 192.168.0.1 169.254.1.1 0.0.0.0 0.1.2.3 100.64.0.1 \
                     100.127.0.1 198.18.0.1 198.19.0.1 224.0.0.1 240.0.0.1 255.255.255.255 ::1 :: 100::1 fc00::1 fdff::1 fe80::1 ff02::1 \
                     ::ffff:127.0.0.1 ::ffff:10.0.0.1 64:ff9b::7f00:1 2002:0a00:0001::1";
        let public = "1.1.1.1 100.63.0.1 100.128.0.1 172.15.0.1 172.32.0.1 198.17.0.1 198.20.0.1 192.169.0.1 223.255.255.255 \
                      2606:4700::1 100:0:0:1::1 ::ffff:1.1.1.1 64:ff9b::101:101 2002:101:101::1";
        for (addresses, expected) in [(local, true), (public, false)] {
            for address in addresses.split_whitespace() {
                assert_eq!(is_local(address.parse().unwrap()), expected, "{address}");
            }
        }
    }

    #[test]
    fn compact_addresses_round_trip_and_others_are_none() {
        for text in ["1.2.3.4:258", "[2001:db8::1]:6881"] {
            let address: SocketAddr = text.parse().unwrap();
            let mut bytes = Vec::new();
            put_compact(address, &mut bytes);
            assert_eq!(compact(&bytes), Some(address));
            bytes.push(0);
            assert_eq!(compact(&bytes), None);
        }
        assert_eq!(compact(b""), None);
        assert_eq!(compact(b"\0\x01"), None);
        assert_eq!(compact_list(&[1, 2, 3, 4, 0, 9, 5], false).count(), 1);
    }
}
