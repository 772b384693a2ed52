//! A conversation of datagrams with one host, as UDP trackers have it (BEP 15).

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use bytes::Bytes;
use tokio::net::UdpSocket;
use tokio::sync::mpsc::UnboundedReceiver;
use tombolo_core::tracker::udp::Family;

use super::Policy;
use super::address::resolve;

/// The longest datagram read, in bytes: more peers than anybody needs.
const LONGEST: usize = 16 * 1024;

/// Sends what comes from `outgoing` to `to` (`host:port`) and gives each answer to `receive`, until nothing more is to be sent and the
/// task is ended from outside. Only answers of that host come through.
pub(super) async fn run(
    policy: &Policy,
    to: &str,
    mut outgoing: UnboundedReceiver<Bytes>,
    receive: impl Fn(Family, Bytes),
) -> Result<(), String> {
    if policy.way.has_proxy() {
        return Err("UDP trackers are not asked while there is a proxy".into());
    }
    let (host, port) = to.rsplit_once(':').ok_or("no port")?;
    let port = port.parse().map_err(|_| "no port")?;
    let address = *resolve(policy, host, port).await?.first().ok_or("no address")?;
    let (local, family): (SocketAddr, _) = match address {
        SocketAddr::V4(_) => ((Ipv4Addr::UNSPECIFIED, 0).into(), Family::V4),
        SocketAddr::V6(_) => ((Ipv6Addr::UNSPECIFIED, 0).into(), Family::V6),
    };
    let own = policy
        .way
        .own_address(address.ip())
        .map_err(|error| error.to_string())?;
    let local = own.map_or(local, |own| (own, 0).into());
    let socket = UdpSocket::bind(local).await.map_err(|error| error.to_string())?;
    socket.connect(address).await.map_err(|error| error.to_string())?;
    let mut buffer = vec![0; LONGEST];
    loop {
        tokio::select! {
            data = outgoing.recv() => {
                let Some(data) = data else { return Ok(()) };
                socket.send(&data).await.map_err(|error| error.to_string())?;
            }
            received = socket.recv(&mut buffer) => {
                let length = received.map_err(|error| error.to_string())?;
                receive(family, Bytes::copy_from_slice(&buffer[..length]));
            }
        }
    }
}
