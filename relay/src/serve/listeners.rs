//! Every listener of a relay but WebRTC's, opened before anything else is done: what cannot be had is found out at once.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinHandle;

use super::{Relay, ServeError, http, quick, tracker};
use crate::udp::Udp;

/// Asked of the kernel for a UDP tracker: announces come in bursts.
const UDP_BUFFER: usize = 4 << 20;

/// Addresses of all kinds of listeners, in the order given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// Page, API, trackers, `/wire`.
    pub http: Vec<SocketAddr>,
    /// The UDP tracker.
    pub udp: Vec<SocketAddr>,
    /// Native peers, over TCP and uTP.
    pub tcp: Vec<SocketAddr>,
    /// WebRTC's UDP.
    pub rtc: Vec<SocketAddr>,
}

impl Addresses {
    /// Whether all of them are on loopback.
    pub fn are_loopback(&self) -> bool {
        let all = [&self.http, &self.udp, &self.tcp, &self.rtc];
        all.into_iter().flatten().all(|address| address.ip().is_loopback())
    }
}

/// Open listeners.
pub(super) struct Listeners {
    http: Vec<TcpListener>,
    udp: Vec<Desk>,
    tcp: Vec<TcpListener>,
    utp: Vec<Arc<Udp>>,
}

/// Where the tracker takes packets.
enum Desk {
    /// At a socket of its own.
    Own(UdpSocket),
    /// At one that is uTP's as well, since both were to be at that address.
    Shared(Arc<Udp>),
}

impl Desk {
    fn open(address: SocketAddr, utp: &[Arc<Udp>]) -> io::Result<Self> {
        match utp.iter().find(|udp| udp.local_address() == address) {
            Some(udp) => Ok(Self::Shared(udp.clone())),
            None => bind(address).map(Self::Own),
        }
    }

    fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Own(socket) => socket.local_addr().ok(),
            Self::Shared(udp) => Some(udp.local_address()),
        }
    }
}

impl Listeners {
    /// Opens them all.
    pub(super) fn open(addresses: &Addresses) -> Result<Self, ServeError> {
        let tcp = |name: &str, list: &[SocketAddr]| {
            let opened: io::Result<Vec<_>> = list.iter().map(|address| listen(*address)).collect();
            opened.map_err(|error| failure(name, list, &error))
        };
        let native = tcp("TCP", &addresses.tcp)?;
        let utp: Vec<_> = native.iter().filter_map(bind_utp).collect();
        let udp: io::Result<Vec<_>> = addresses.udp.iter().map(|address| Desk::open(*address, &utp)).collect();
        let http = tcp("HTTP", &addresses.http)?;
        http.iter().for_each(pace);
        Ok(Self {
            http,
            udp: udp.map_err(|error| failure("UDP", &addresses.udp, &error))?,
            utp,
            tcp: native,
        })
    }

    /// Where they listen.
    pub(super) fn addresses(&self) -> Addresses {
        let tcp = |list: &[TcpListener]| list.iter().filter_map(|listener| listener.local_addr().ok()).collect();
        Addresses {
            http: tcp(&self.http),
            udp: self.udp.iter().filter_map(Desk::address).collect(),
            tcp: tcp(&self.tcp),
            rtc: Vec::new(),
        }
    }

    /// Where uTP peers are dialled from.
    pub(super) fn utp(&self) -> Vec<Arc<Udp>> {
        self.utp.clone()
    }

    /// Serves them, a task each.
    pub(super) fn serve(self, relay: &Arc<Relay>) -> Vec<JoinHandle<()>> {
        let http = self
            .http
            .into_iter()
            .map(|listener| tokio::spawn(quick::listen(relay.clone(), listener)));
        let mut tasks: Vec<_> = http.collect();
        tasks.extend(
            self.tcp
                .into_iter()
                .map(|listener| tokio::spawn(relay.shards.clone().listen(listener))),
        );
        for udp in self.utp {
            tasks.push(tokio::spawn(udp.clone().run()));
            tasks.push(tokio::spawn(relay.shards.clone().listen_utp(udp)));
        }
        for desk in self.udp {
            match desk {
                Desk::Own(socket) => tasks.push(tokio::spawn(tracker::udp::serve(relay.clone(), socket))),
                Desk::Shared(udp) => tracker::udp::serve_beside(relay.clone(), &udp),
            }
        }
        tasks
    }
}

fn open(address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() {
        // IPv4 has a listener of its own, perhaps on the same port.
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = open(address, Type::STREAM, Protocol::TCP)?;
    // A relay that was killed must be able to start again at once.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(http::BACKLOG as i32)?;
    TcpListener::from_std(socket.into())
}

/// Has what a listener takes paced by BBR where the kernel has it: one lost packet in a thousand then costs a tab nothing, where cubic, most
/// kernels' choice, falls to a tenth of the link. Best effort.
fn pace(listener: &TcpListener) {
    #[cfg(target_os = "linux")]
    let _ = rustix::net::sockopt::set_tcp_congestion(listener, "bbr");
    #[cfg(not(target_os = "linux"))]
    let _ = listener;
}

fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = open(address, Type::DGRAM, Protocol::UDP)?;
    // Best effort.
    let _ = socket.set_recv_buffer_size(UDP_BUFFER);
    socket.bind(&address.into())?;
    UdpSocket::from_std(socket.into())
}

/// uTP at the same port as TCP. The relay can do without.
fn bind_utp(listener: &TcpListener) -> Option<Arc<Udp>> {
    let address = listener.local_addr().ok()?;
    Udp::bind(address)
        .inspect_err(|error| tracing::warn!(%address, %error, "no uTP"))
        .ok()
}

/// What is said of a listener that cannot be opened.
pub(super) fn failure(name: &str, addresses: &[SocketAddr], error: &io::Error) -> ServeError {
    let code = match error.kind() {
        io::ErrorKind::AddrInUse => "address-in-use",
        io::ErrorKind::AddrNotAvailable => "address-not-available",
        io::ErrorKind::PermissionDenied => "permission-denied",
        _ => "listen",
    };
    let list: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    ServeError {
        code,
        message: format!("cannot listen for {name} on {}: {error}", list.join(", ")),
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use rustix::net::sockopt::tcp_congestion;

    #[tokio::test]
    async fn what_is_taken_is_paced_by_bbr_where_the_kernel_has_it() {
        let allowed = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_allowed_congestion_control").unwrap();
        let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let usual = tcp_congestion(&listener).unwrap();
        pace(&listener);
        let address = listener.local_addr().unwrap();
        let (_client, taken) = tokio::join!(tokio::net::TcpStream::connect(address), listener.accept());
        let has_it = allowed.split_whitespace().any(|name| name == "bbr");
        let expected = if has_it { "bbr" } else { &usual };
        assert_eq!(tcp_congestion(&taken.unwrap().0).unwrap(), expected);
    }
}
