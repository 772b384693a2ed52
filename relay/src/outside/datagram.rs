//! A conversation of datagrams with one host, as UDP trackers have it (BEP 15).

use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use tokio::net::UdpSocket;
use tokio::sync::mpsc::UnboundedReceiver;
use tombolo_core::tracker::udp::Family;

use super::Policy;
use super::address::{resolve, unresolved};
use crate::proxy::{Target, Way};
use crate::udp::tunnel;

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
    let (host, port) = to.rsplit_once(':').ok_or("no port")?;
    let port = port.parse().map_err(|_| "no port")?;
    if policy.way.has_proxy() {
        let target = unresolved(policy, host, port)?;
        let through = proxied(&policy.way, target, outgoing, receive).await;
        return through.map_err(|error| error.to_string());
    }
    let address = *resolve(policy, host, port).await?.first().ok_or("no address")?;
    let family = family(address);
    let local = policy.way.here(address.ip()).map_err(|error| error.to_string())?;
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

/// The same through a proxy, which resolves the name. Whoever sends to where the proxy has us is heard, as without knowing the address it
/// cannot be otherwise; that an answer is one, its transaction shows.
async fn proxied(
    way: &Way,
    to: Target<'_>,
    mut outgoing: UnboundedReceiver<Bytes>,
    receive: impl Fn(Family, Bytes),
) -> io::Result<()> {
    let (mut control, relay) = way.associate().await?;
    let socket = UdpSocket::bind(way.here(relay.ip())?).await?;
    socket.connect(relay).await?;
    let mut buffer = vec![0; LONGEST];
    loop {
        tokio::select! {
            data = outgoing.recv() => {
                let Some(data) = data else { return Ok(()) };
                socket.send(&tunnel::join(to, &data)?).await?;
            }
            received = socket.recv(&mut buffer) => {
                if let Some((from, data)) = tunnel::split(&buffer[..received?]) {
                    receive(family(from), Bytes::copy_from_slice(data));
                }
            }
            () = tunnel::ended(&mut control) => {
                return Err(io::Error::other("the proxy carries no more datagrams"));
            }
        }
    }
}

const fn family(address: SocketAddr) -> Family {
    match address {
        SocketAddr::V4(_) => Family::V4,
        SocketAddr::V6(_) => Family::V6,
    }
}
