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
        text.parse()
            .map(Self::At)
            .map_err(|_| "expected ADDR:PORT or off".into())
    }
}
