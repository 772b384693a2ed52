//! What a name stands for.

use std::io;
use std::net::SocketAddr;

use tokio::net::lookup_host;
use tombolo_core::address::is_local;
use tombolo_core::tracker::udp::Family;

use super::Policy;

/// A host whose name a proxy resolves; refused if it is itself a local address.
pub(super) fn unresolved<'a>(policy: &Policy, host: &'a str) -> Result<&'a str, String> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let local = host.parse().is_ok_and(is_local) || host.eq_ignore_ascii_case("localhost");
    if local && !policy.allow_local {
        return Err(format!("{host} is a local address, which is not allowed"));
    }
    Ok(host)
}

/// The addresses of a host that the policy allows.
pub(super) async fn resolve(policy: &Policy, host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let found: Vec<_> = lookup_host((host, port))
        .await
        .map_err(|error| reason(host, &error))?
        .filter(|address| {
            policy
                .only
                .is_none_or(|family| address.is_ipv6() == (family == Family::V6))
        })
        .collect();
    let allowed = |address: &SocketAddr| policy.allow_local || !is_local(address.ip());
    let addresses: Vec<_> = found.iter().copied().filter(allowed).collect();
    match (found.is_empty(), addresses.is_empty()) {
        (true, _) => Err(match policy.only {
            None => format!("{host} has no address"),
            Some(Family::V4) => format!("{host} has no IPv4 address"),
            Some(Family::V6) => format!("{host} has no IPv6 address"),
        }),
        (false, true) => Err(format!("{host} is a local address, which is not allowed")),
        _ => Ok(addresses),
    }
}

fn reason(host: &str, error: &io::Error) -> String {
    format!("{host} cannot be found: {error}")
}
