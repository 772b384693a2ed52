//! What a name stands for, where it is not for a proxy to say.

use std::io;
use std::net::SocketAddr;

use tokio::net::lookup_host;
use tombolo_core::address::is_local;
use tombolo_core::tracker::udp::Family;

use super::Policy;
use crate::proxy::Target;

/// Where a proxy is asked to connect to: names are for it to resolve. Refused if it is a local address in so many words.
pub(super) fn unresolved<'a>(policy: &Policy, host: &'a str, port: u16) -> Result<Target<'a>, String> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let (target, local) = match host.parse() {
        Ok(ip) => (Target::Address(SocketAddr::new(ip, port)), is_local(ip)),
        Err(_) => (Target::Host(host, port), host.eq_ignore_ascii_case("localhost")),
    };
    if local && !policy.allow_local {
        return Err(format!("{host} is a local address, which is not allowed"));
    }
    Ok(target)
}

/// The address of a peer as a session is told it where there is a proxy: one that stands for its name, if it has a name.
pub(crate) fn stand_in(policy: &Policy, host: &str, port: u16) -> Result<SocketAddr, String> {
    match unresolved(policy, host, port)? {
        Target::Address(address) => Ok(address),
        Target::Host(host, port) => policy
            .way
            .stand_in(host, port)
            .ok_or_else(|| "there are too many names".into()),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_proxy_is_asked_for() {
        let (strict, lax) = (
            Policy::default(),
            Policy {
                allow_local: true,
                ..Policy::default()
            },
        );
        let asked = |policy, host| unresolved(policy, host, 80).map(|target| target.to_string());
        for (host, expected) in [
            ("a.test", Ok("a.test:80")),
            ("1.1.1.1", Ok("1.1.1.1:80")),
            ("[2606:4700::1]", Ok("[2606:4700::1]:80")),
            ("2606:4700::1", Ok("[2606:4700::1]:80")),
            ("[::1]", Err("[::1]:80")),
            ("LocalHost", Err("LocalHost:80")),
            ("10.0.0.1", Err("10.0.0.1:80")),
        ] {
            assert_eq!(asked(&strict, host).ok().as_deref(), expected.ok(), "{host}");
            let allowed = expected.unwrap_or_else(|local| local);
            assert_eq!(asked(&lax, host).as_deref(), Ok(allowed));
        }
    }
}
