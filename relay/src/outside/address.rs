//! Which addresses are public, and what a name stands for.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::lookup_host;

use super::Policy;

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
        || address.is_unique_local()
        || address.is_unicast_link_local()
        || address.is_multicast()
}

/// The addresses of a host that the policy allows.
pub(super) async fn resolve(policy: Policy, host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let found: Vec<_> = lookup_host((host, port))
        .await
        .map_err(|error| reason(host, &error))?
        .collect();
    let allowed = |address: &SocketAddr| policy.allow_local || !is_local(address.ip());
    let addresses: Vec<_> = found.iter().copied().filter(allowed).collect();
    match (found.is_empty(), addresses.is_empty()) {
        (true, _) => Err(format!("{host} has no address")),
        (false, true) => Err(format!("{host} is a local address, which is not allowed")),
        _ => Ok(addresses),
    }
}

fn reason(host: &str, error: &io::Error) -> String {
    format!("{host} cannot be found: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_and_public() {
        let local = "127.0.0.1 127.9.9.9 10.1.2.3 172.16.0.1 172.31.255.255 192.168.0.1 169.254.1.1 0.0.0.0 0.1.2.3 100.64.0.1 \
                     100.127.0.1 198.18.0.1 198.19.0.1 224.0.0.1 240.0.0.1 255.255.255.255 ::1 :: fc00::1 fdff::1 fe80::1 ff02::1 \
                     ::ffff:127.0.0.1 ::ffff:10.0.0.1 64:ff9b::7f00:1 2002:0a00:0001::1";
        let public = "1.1.1.1 100.63.0.1 100.128.0.1 172.15.0.1 172.32.0.1 198.17.0.1 198.20.0.1 192.169.0.1 223.255.255.255 \
                      2606:4700::1 ::ffff:1.1.1.1 64:ff9b::101:101 2002:101:101::1";
        for (addresses, expected) in [(local, true), (public, false)] {
            for address in addresses.split_whitespace() {
                assert_eq!(is_local(address.parse().unwrap()), expected, "{address}");
            }
        }
    }
}
