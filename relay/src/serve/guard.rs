//! Who may ask for what: Host, Origin, token, and how many connections an address may have.
//!
//! A page elsewhere on the web must not steer a relay on its visitor's own machine: so a loopback listener answers under
//! loopback names alone (no DNS rebinding), and `/wire` and `/api` take only origins that are ours. Tracker paths take any:
//! a tracker does for everyone what it does for anyone.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{AUTHORIZATION, HOST, HeaderMap, HeaderName, ORIGIN};

/// Connections to the HTTP port that one address may have: a household of tabs behind one router, many times over.
const PER_ADDRESS: u32 = 1_024;

/// Both ends of a connection to the HTTP port.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ends {
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
}

/// The rules.
#[derive(Clone, Debug, Default)]
pub(crate) struct Guard {
    /// Loopback and private addresses are fine.
    pub(crate) allow_local: bool,
    /// What the API asks for where it asks.
    pub(crate) token: String,
    /// Names under which other than loopback listeners answer; any if there are none.
    pub(crate) hosts: Vec<String>,
    /// Further origins that `/wire` and `/api` take.
    pub(crate) origins: Vec<String>,
}

impl Guard {
    /// Whether a request was meant for this relay.
    pub(crate) fn host(&self, ends: Ends, headers: &HeaderMap) -> bool {
        let Some(host) = text(headers, &HOST) else { return true };
        let name = host_name(host);
        if self.allow_local && is_loopback_name(name) {
            return true;
        }
        if ends.local.ip().is_loopback() {
            return name == "localhost" || address(name).is_some_and(|ip| ip == ends.local.ip());
        }
        self.hosts.is_empty() || self.hosts.iter().any(|known| known.eq_ignore_ascii_case(name))
    }

    /// Whether a request comes from a page that may make it, or from no page at all.
    pub(crate) fn origin(&self, headers: &HeaderMap) -> bool {
        let Some(origin) = text(headers, &ORIGIN) else {
            return true;
        };
        if self.origins.iter().any(|known| known == origin) {
            return true;
        }
        let Some((_, host)) = origin.split_once("://") else {
            return false;
        };
        text(headers, &HOST) == Some(host) || self.allow_local && is_loopback_name(host_name(host))
    }

    /// Whether a request may see and steer everything.
    pub(crate) fn authorised(&self, ends: Ends, headers: &HeaderMap) -> bool {
        if self.allow_local && ends.local.ip().is_loopback() {
            return true;
        }
        let given = text(headers, &AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
        given.is_some_and(|given| same(given.as_bytes(), self.token.as_bytes()))
    }

    /// Whether a browser's user gave the token as a password. Browsers add it to whatever any page asks, so that it is only to be taken
    /// for looking.
    pub(crate) fn signed_in(&self, headers: &HeaderMap) -> bool {
        let given = text(headers, &AUTHORIZATION).and_then(|value| value.strip_prefix("Basic "));
        let given = given.and_then(|given| STANDARD.decode(given).ok());
        let password = given
            .as_deref()
            .and_then(|given| given.splitn(2, |byte| *byte == b':').nth(1));
        password.is_some_and(|password| same(password, self.token.as_bytes()))
    }

    /// Whether a request is one that our own page makes for its visitor. What it may do so is no more than `/wire` lets
    /// anyone do, so that a forged header wins nothing.
    pub(crate) fn is_from_page(&self, headers: &HeaderMap) -> bool {
        text(headers, &HeaderName::from_static("sec-fetch-site")) == Some("same-origin")
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// `host:port`, `[v6]:port` or a bare name without its port and brackets.
fn host_name(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split(']').next().unwrap_or(rest);
    }
    host.rsplit_once(':').map_or(host, |(name, _)| name)
}

fn address(name: &str) -> Option<IpAddr> {
    name.parse().ok()
}

fn is_loopback_name(name: &str) -> bool {
    name.eq_ignore_ascii_case("localhost") || address(name).is_some_and(|ip| ip.to_canonical().is_loopback())
}

/// Comparison that takes as long wherever the difference is.
fn same(given: &[u8], expected: &[u8]) -> bool {
    given.len() == expected.len() && given.iter().zip(expected).fold(0, |bits, (a, b)| bits | (a ^ b)) == 0
}

/// Counts connections by address.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    open: Mutex<HashMap<IpAddr, u32>>,
}

/// A place that a connection has; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Pass {
    gate: Arc<Gate>,
    key: IpAddr,
}

impl Gate {
    /// A place for a connection from `address`, unless it has too many; any number with `limits` off.
    pub(crate) fn enter(self: &Arc<Self>, address: IpAddr, limits: bool) -> Option<Pass> {
        let key = network(address);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(key).or_insert(0);
        if limits && *count >= PER_ADDRESS {
            return None;
        }
        *count += 1;
        Some(Pass {
            gate: self.clone(),
            key,
        })
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut open = self.gate.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.key);
            }
        }
    }
}

/// What counts as one address: of IPv6 a whole /64, which one household has.
pub(super) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(ip) if !ip.is_loopback() => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX))),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    fn ends(local: &str) -> Ends {
        Ends {
            local: local.parse().unwrap(),
            remote: "127.0.0.1:9".parse().unwrap(),
        }
    }

    fn headers(host: &'static str, origin: Option<&'static str>) -> HeaderMap {
        let origin = origin.map(|origin| (ORIGIN, HeaderValue::from_static(origin)));
        [(HOST, HeaderValue::from_static(host))]
            .into_iter()
            .chain(origin)
            .collect()
    }

    #[test]
    fn a_loopback_listener_answers_under_its_own_names() {
        let (strict, local) = (
            Guard::default(),
            Guard {
                allow_local: true,
                ..Guard::default()
            },
        );
        let on = ends("127.0.0.1:8080");
        for (host, by_strict, by_local) in [
            ("127.0.0.1:8080", true, true),
            ("localhost:8080", true, true),
            ("127.0.1.7:8080", false, true),
            ("[::1]:8080", false, true),
            ("evil.example", false, false),
        ] {
            assert_eq!(strict.host(on, &headers(host, None)), by_strict, "{host}");
            assert_eq!(local.host(on, &headers(host, None)), by_local, "{host}");
        }
        assert!(strict.host(ends("192.0.2.1:80"), &headers("relay.example", None)));
    }

    #[test]
    fn only_our_own_origins_pass() {
        let strict = Guard {
            origins: vec!["https://page.example".into()],
            ..Guard::default()
        };
        let local = Guard {
            allow_local: true,
            ..Guard::default()
        };
        for (origin, by_strict, by_local) in [
            (None, true, true),
            (Some("http://127.0.0.1:8080"), true, true),
            (Some("http://127.0.2.1:9999"), false, true),
            (Some("https://page.example"), true, false),
            (Some("https://evil.example"), false, false),
            (Some("null"), false, false),
        ] {
            let headers = headers("127.0.0.1:8080", origin);
            assert_eq!(strict.origin(&headers), by_strict, "{origin:?}");
            assert_eq!(local.origin(&headers), by_local, "{origin:?}");
        }
    }

    #[test]
    fn the_api_asks_for_its_token() {
        let guard = Guard {
            token: "secret".into(),
            ..Guard::default()
        };
        let bearer = |token| HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static(token))]);
        assert!(guard.authorised(ends("127.0.0.1:1"), &bearer("Bearer secret")));
        assert!(!guard.authorised(ends("127.0.0.1:1"), &bearer("Bearer secreT")));
        assert!(!guard.authorised(ends("127.0.0.1:1"), &HeaderMap::new()));
        let basic = |text: &str| {
            let value = format!("Basic {}", STANDARD.encode(text)).parse().unwrap();
            HeaderMap::from_iter([(AUTHORIZATION, value)])
        };
        assert!(guard.signed_in(&basic("anyone:secret")) && guard.signed_in(&basic(":secret")));
        assert!(!guard.signed_in(&basic("secret")) && !guard.signed_in(&basic("secret:")));
        assert!(
            !guard.authorised(ends("127.0.0.1:1"), &basic(":secret")),
            "for looking alone"
        );
        let local = Guard {
            allow_local: true,
            ..guard
        };
        assert!(local.authorised(ends("127.0.0.1:1"), &HeaderMap::new()));
        assert!(!local.authorised(ends("0.0.0.0:1"), &HeaderMap::new()));
    }

    #[test]
    fn an_address_has_so_many_connections_and_no_more() {
        let gate = Arc::new(Gate::default());
        let address = "2001:db8::1".parse().unwrap();
        let passes: Vec<_> = (0..PER_ADDRESS).map(|_| gate.enter(address, true).unwrap()).collect();
        assert!(gate.enter("2001:db8::2".parse().unwrap(), true).is_none());
        assert!(gate.enter("2001:db8:0:1::2".parse().unwrap(), true).is_some());
        assert!(gate.enter(address, false).is_some());
        drop(passes);
        assert!(gate.open.lock().unwrap().is_empty());
    }
}
