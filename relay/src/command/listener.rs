//! Where to listen: an address and a port, or nowhere.

use std::net::SocketAddr;
use std::str::FromStr;

/// A listener's address, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Listener {
    /// Listen there.
    At(SocketAddr),
    /// Do not listen.
    Off,
}

impl Listener {
    /// The address, if there is one.
    pub(super) const fn address(self) -> Option<SocketAddr> {
        match self {
            Self::At(address) => Some(address),
            Self::Off => None,
        }
    }
}

impl FromStr for Listener {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::Off);
        }
        let local = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
        local
            .as_deref()
            .unwrap_or(text)
            .parse()
            .map(Self::At)
            .map_err(|_| "expected ADDR:PORT or off".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_are_addresses_or_off() {
        let at = |text: &str| Ok(Listener::At(text.parse().unwrap()));
        assert_eq!("off".parse(), Ok(Listener::Off));
        assert_eq!("[::1]:0".parse(), at("[::1]:0"));
        assert_eq!("localhost:80".parse(), at("127.0.0.1:80"));
        assert!("8080".parse::<Listener>().is_err());
    }
}
