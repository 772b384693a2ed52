//! Datagrams through a SOCKS5 proxy (RFC 1928, section 7): each has a head that says where it goes, or where it comes from.
//!
//! Invariants: nothing is sent to anybody but the proxy, and nothing taken from anybody else; while the proxy does not carry datagrams
//! they are dropped, as the network might. A datagram that the sender cut into fragments is not put together.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::Udp;
use crate::proxy::{Target, Way, put_target};

/// How long until a proxy that let go of the datagrams is asked again.
const RETRY: Duration = Duration::from_secs(10);

/// The longest head that an address has, in bytes.
const HEAD: usize = 22;

/// The way of a socket's datagrams.
#[derive(Debug)]
pub(super) struct Tunnel {
    /// Where the proxy takes them, as long as it does.
    relay: RwLock<Option<SocketAddr>>,
}

impl Udp {
    /// A socket whose datagrams go through the proxy of this way, and which runs; to be called within a runtime.
    ///
    /// # Errors
    /// The proxy does not answer, refuses, or is of a kind that carries none.
    pub(crate) async fn through(way: &Way) -> io::Result<Arc<Self>> {
        let (control, relay) = way.associate().await?;
        let tunnel = Tunnel {
            relay: RwLock::new(Some(relay)),
        };
        let udp = Self::open(way.here(relay.ip())?, Some(tunnel))?;
        tokio::spawn(udp.clone().run());
        tokio::spawn(hold(udp.clone(), way.clone(), control));
        Ok(udp)
    }

    /// Sends one datagram to a host whose name the proxy resolves; without a proxy nothing.
    pub(crate) fn send_to_host(&self, datagram: &[u8], host: &str, port: u16) {
        if let Some(tunnel) = &self.tunnel
            && let Ok((relay, wrapped, _)) = tunnel.wrap(datagram, None, Target::Host(host, port))
        {
            let _ = self.transmit_straight(&wrapped, None, relay);
        }
    }
}

impl Tunnel {
    fn relay(&self) -> Option<SocketAddr> {
        *self.relay.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, relay: Option<SocketAddr>) {
        *self.relay.write().unwrap_or_else(PoisonError::into_inner) = relay;
    }

    /// A run of datagrams of `segment` bytes each with their heads; where to send it, and in which segments.
    pub(super) fn wrap(
        &self,
        run: &[u8],
        segment: Option<usize>,
        to: Target<'_>,
    ) -> io::Result<(SocketAddr, Vec<u8>, Option<usize>)> {
        let relay = self.relay().ok_or(io::ErrorKind::NotConnected)?;
        let mut head = vec![0, 0, 0];
        put_target(&mut head, to)?;
        let datagrams = run.chunks(segment.unwrap_or(run.len()).max(1));
        let mut wrapped = Vec::with_capacity(run.len() + datagrams.len() * head.len());
        for datagram in datagrams {
            wrapped.extend_from_slice(&head);
            wrapped.extend_from_slice(datagram);
        }
        Ok((relay, wrapped, segment.map(|segment| segment + head.len())))
    }

    /// Where a datagram of the proxy comes from, and its content.
    pub(super) fn unwrap<'a>(&self, from: SocketAddr, datagram: &'a [u8]) -> Option<(SocketAddr, &'a [u8])> {
        let relay = self.relay()?;
        let same = relay.ip().to_canonical() == from.ip().to_canonical() && relay.port() == from.port();
        same.then(|| split(datagram)).flatten()
    }
}

/// A datagram of a proxy without its head, and the address in that.
pub(crate) fn split(datagram: &[u8]) -> Option<(SocketAddr, &[u8])> {
    let (ip, rest) = match datagram {
        [_, _, 0, 1, rest @ ..] => {
            let (ip, rest) = rest.split_first_chunk::<4>()?;
            (IpAddr::from(*ip), rest)
        }
        [_, _, 0, 4, rest @ ..] => {
            let (ip, rest) = rest.split_first_chunk::<16>()?;
            (IpAddr::from(*ip).to_canonical(), rest)
        }
        // Fragments, and names, which cannot be answered.
        _ => return None,
    };
    let (port, content) = rest.split_first_chunk::<2>()?;
    Some((SocketAddr::new(ip, u16::from_be_bytes(*port)), content))
}

/// One datagram with its head.
pub(crate) fn join(to: Target<'_>, datagram: &[u8]) -> io::Result<Vec<u8>> {
    let mut joined = Vec::with_capacity(HEAD + datagram.len());
    joined.extend([0, 0, 0]);
    put_target(&mut joined, to)?;
    joined.extend_from_slice(datagram);
    Ok(joined)
}

/// Resolves when the proxy closes the connection that its carrying of datagrams is bound to.
pub(crate) async fn ended(control: &mut TcpStream) {
    let mut said = [0; 64];
    while control.read(&mut said).await.is_ok_and(|length| length > 0) {}
}

/// Keeps the proxy carrying, for ever.
async fn hold(udp: Arc<Udp>, way: Way, mut control: TcpStream) {
    let Some(tunnel) = &udp.tunnel else { return };
    loop {
        ended(&mut control).await;
        tunnel.set(None);
        control = loop {
            tokio::time::sleep(RETRY).await;
            if let Ok((again, relay)) = way.associate().await
                && relay.is_ipv4() == udp.local_address().is_ipv4()
            {
                tunnel.set(Some(relay));
                break again;
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_put_on_and_taken_off() {
        let relay: SocketAddr = "127.0.0.1:9".parse().unwrap();
        let tunnel = Tunnel {
            relay: RwLock::new(Some(relay)),
        };
        for (to, length) in [("1.2.3.4:258", 10), ("[2001:db8::1]:1", 22)] {
            let to: SocketAddr = to.parse().unwrap();
            let (at, run, segment) = tunnel.wrap(b"aabbc", Some(2), Target::Address(to)).unwrap();
            assert_eq!((at, segment), (relay, Some(length + 2)));
            let parts: Vec<_> = run
                .chunks(length + 2)
                .map(|datagram| tunnel.unwrap(relay, datagram).unwrap())
                .collect();
            assert_eq!(parts, [(to, &b"aa"[..]), (to, b"bb"), (to, b"c")]);
            assert_eq!(
                tunnel.unwrap("127.0.0.2:9".parse().unwrap(), &run),
                None,
                "another sender"
            );
        }
        assert_eq!(
            join(Target::Host("a.test", 80), b"x").unwrap(),
            b"\0\0\0\x03\x06a.test\x00\x50x"
        );
        tunnel.set(None);
        assert!(
            tunnel.wrap(b"a", None, Target::Address(relay)).is_err(),
            "nobody carries it"
        );
    }

    #[test]
    fn malformed_datagrams_of_proxies() {
        for datagram in [
            &b""[..],
            b"\0\0",
            b"\0\0\0",
            b"\0\0\0\x01",
            b"\0\0\0\x01\x01\x02\x03\x04\x00",
            b"\0\0\x01\x01\x01\x02\x03\x04\x00\x50x",
            b"\0\0\0\x02\x01\x02\x03\x04\x00\x50x",
            b"\0\0\0\x03\x01a\x00\x50x",
            b"\0\0\0\x04\x01\x02\x03\x04\x00\x50x",
        ] {
            assert_eq!(split(datagram), None, "{datagram:?}");
        }
        let empty = b"\x07\x07\0\x01\x01\x02\x03\x04\x00\x50";
        assert_eq!(split(empty), Some(("1.2.3.4:80".parse().unwrap(), &b""[..])));
    }
}
