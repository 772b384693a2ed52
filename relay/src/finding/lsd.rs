//! Local discovery's sockets: joins the groups of BEP 14, sends what the machine of the core wants sent, hands on what it hears.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tombolo_core::key::SwarmKey;
use tombolo_core::lsd::{GROUP_V4, GROUP_V6, Lsd, PORT};

use super::{Clock, deliver};
use crate::shards::Shards;

/// The index of the loopback interface.
const LOOPBACK: u32 = 1;

/// What is announced, and where.
pub(super) struct Place {
    /// The port at which we take links.
    pub(super) port: u16,
    /// The interfaces of IPv4 and IPv6, by their addresses. A family without one is not announced in.
    pub(super) interfaces: [Option<IpAddr>; 2],
}

/// One group that we have joined.
struct Group {
    socket: UdpSocket,
    address: SocketAddr,
}

/// Runs for ever.
pub(super) async fn run(place: Place, mut asks: mpsc::UnboundedReceiver<Vec<SwarmKey>>, shards: Shards, clock: Clock) {
    let groups = join(&place);
    let Ok(cookie) = cookie() else { return };
    let mut lsd = Lsd::new(place.port, cookie);
    let mut buffers = [[0; 1_500]; 2];
    let [v4, v6] = &mut buffers;
    loop {
        while let Some(announce) = lsd.poll(clock.now()) {
            for group in groups.iter().flatten() {
                // A network that is down is no reason to end.
                let _ = group
                    .socket
                    .send_to(&announce.encode(group.address), group.address)
                    .await;
            }
        }
        let heard = tokio::select! {
            swarms = asks.recv() => {
                let Some(swarms) = swarms else { return };
                swarms.into_iter().for_each(|swarm| lsd.announce(swarm, clock.now()));
                continue;
            }
            () = clock.until(lsd.deadline()) => continue,
            Ok((length, from)) = receive(&groups[0], v4) => lsd.hear(from, &v4[..length], clock.now()),
            Ok((length, from)) = receive(&groups[1], v6) => lsd.hear(from, &v6[..length], clock.now()),
        };
        if let Some((peer, swarms)) = heard {
            for swarm in swarms {
                deliver(&shards, swarm, vec![peer]);
            }
        }
    }
}

async fn receive(group: &Option<Group>, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
    match group {
        Some(group) => group.socket.recv_from(buffer).await,
        None => std::future::pending().await,
    }
}

fn join(place: &Place) -> [Option<Group>; 2] {
    let [v4, v6] = place.interfaces;
    // Where a family has no multicast, the other may.
    let v4 = v4.and_then(|ip| match ip {
        IpAddr::V4(ip) => join_v4(ip).ok(),
        IpAddr::V6(_) => None,
    });
    let v6 = v6.and_then(|ip| match ip {
        IpAddr::V6(ip) => join_v6(ip).ok(),
        IpAddr::V4(_) => None,
    });
    [v4, v6]
}

fn join_v4(interface: Ipv4Addr) -> io::Result<Group> {
    let socket = shared(Domain::IPV4)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT)).into())?;
    socket.join_multicast_v4(&GROUP_V4, &interface)?;
    if !interface.is_unspecified() {
        socket.set_multicast_if_v4(&interface)?;
    }
    group(socket, GROUP_V4.into())
}

fn join_v6(interface: Ipv6Addr) -> io::Result<Group> {
    let socket = shared(Domain::IPV6)?;
    let index = if interface.is_loopback() { LOOPBACK } else { 0 };
    socket.set_only_v6(true)?;
    socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, PORT)).into())?;
    socket.join_multicast_v6(&GROUP_V6, index)?;
    if index != 0 {
        socket.set_multicast_if_v6(index)?;
    }
    group(socket, GROUP_V6.into())
}

/// Every client of a machine hears the same port.
fn shared(domain: Domain) -> io::Result<Socket> {
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn group(socket: Socket, group: IpAddr) -> io::Result<Group> {
    Ok(Group {
        socket: UdpSocket::from_std(socket.into())?,
        address: SocketAddr::new(group, PORT),
    })
}

fn cookie() -> io::Result<String> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    Ok(tombolo_core::key::hex(&random))
}
