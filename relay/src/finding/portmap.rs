//! A port at the router: asked for by PCP or NAT-PMP, else by UPnP, renewed while the process runs, given back at its end.
//!
//! TCP and UDP get the same port where the router lets them. Nothing depends on it: who has none is reached by fewer.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU16;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crab_nat::{GatewayAddress, InternetProtocol, PortMapping, PortMappingOptions, TimeoutConfig};
use igd_next::PortMappingProtocol;
use igd_next::SearchOptions;
use igd_next::aio::Gateway;
use igd_next::aio::tokio::{Tokio, search_gateway};
use tokio::sync::watch;

/// How long a port is asked for. A router that forgets it sooner is asked again at half of what it says.
const LEASE: Duration = Duration::from_secs(SECONDS as u64);
const SECONDS: u32 = 3_600;

/// How long until a router that gave nothing is asked again.
const RETRY: Duration = Duration::from_secs(900);

/// What others see in the router's list.
const NAME: &str = "Tombolo";

/// What the router has given, to be given back.
#[derive(Clone, Default)]
pub(super) struct Mapped(Arc<Mutex<Vec<Lease>>>);

/// One port of one protocol.
#[derive(Clone)]
enum Lease {
    Pcp(Box<PortMapping>),
    Upnp(Box<Opened>),
}

/// A port that a router opened by UPnP.
#[derive(Clone)]
struct Opened {
    gateway: Gateway<Tokio>,
    protocol: PortMappingProtocol,
    external: u16,
    local: SocketAddr,
}

impl Mapped {
    fn take(&self) -> Vec<Lease> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What there is. It stays, so that a process that ends meanwhile gives it back.
    fn leases(&self) -> Vec<Lease> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn put(&self, leases: Vec<Lease>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = leases;
    }

    /// Gives every port back.
    pub(super) async fn release(&self) {
        for lease in self.take() {
            // What the router does not take back runs out by itself.
            match lease {
                Lease::Pcp(mapping) => drop(mapping.try_drop().await),
                Lease::Upnp(opened) => drop(opened.gateway.remove_port(opened.protocol, opened.external).await),
            }
        }
    }
}

/// Runs for ever. The port that peers reach is told as soon as it is known.
/// With addresses of ours named that is done from these alone.
pub(super) async fn run(
    (listening, from): (Vec<SocketAddr>, Vec<IpAddr>),
    mapped: Mapped,
    external: watch::Sender<Option<u16>>,
) {
    // A port at a router is a matter of IPv4.
    let Some(port) = listening
        .iter()
        .find(|address| address.is_ipv4())
        .and_then(|address| NonZeroU16::new(address.port()))
    else {
        return;
    };
    let own = *external.borrow();
    loop {
        let wait = round(&mapped, || lease(port, &from)).await;
        external.send_replace(mapped.leases().first().map(Lease::port).or(own));
        tokio::time::sleep(wait.max(Duration::from_secs(60))).await;
    }
}

/// Renews what there is, or asks for it where there is nothing, or no longer; how long that is good for.
async fn round(mapped: &Mapped, ask: impl AsyncFnOnce() -> Vec<Lease>) -> Duration {
    let mut leases = mapped.leases();
    let mut renewed = !leases.is_empty();
    for lease in &mut leases {
        renewed = renewed && lease.renew().await;
    }
    if !renewed {
        // What is left of it must not stay beside what is asked for now.
        mapped.release().await;
        leases = ask().await;
    }
    let life = leases.iter().map(Lease::life).min();
    mapped.put(leases);
    life.map_or(RETRY, |life| life / 2)
}

impl Lease {
    fn port(&self) -> u16 {
        match self {
            Self::Pcp(mapping) => mapping.external_port().get(),
            Self::Upnp(opened) => opened.external,
        }
    }

    fn life(&self) -> Duration {
        match self {
            Self::Pcp(mapping) => Duration::from_secs(mapping.lifetime().into()).min(LEASE),
            Self::Upnp(_) => LEASE,
        }
    }

    /// Asks for the same port again: the router knows it by its nonce (PCP), or by its number and whom it leads to. Whether it is ours.
    async fn renew(&mut self) -> bool {
        match self {
            Self::Pcp(mapping) => mapping.renew().await.is_ok(),
            Self::Upnp(opened) => opened.open().await,
        }
    }
}

impl Opened {
    async fn open(&self) -> bool {
        let added = self
            .gateway
            .add_port(self.protocol, self.external, self.local, SECONDS, NAME);
        added.await.is_ok()
    }
}

/// Asks for the port, TCP first: what it gets is what UDP is asked for.
async fn lease(port: NonZeroU16, from: &[IpAddr]) -> Vec<Lease> {
    let is_named = |own: Ipv4Addr| from.is_empty() || from.contains(&own.into());
    let Some((gateway, own)) = route().filter(|(_, own)| is_named(*own)) else {
        return Vec::new();
    };
    let by_pcp = by_pcp(gateway, own, port).await;
    if by_pcp.is_empty() {
        by_upnp(SearchOptions::default(), own, port).await
    } else {
        by_pcp
    }
}

async fn by_pcp(gateway: Ipv4Addr, own: Ipv4Addr, port: NonZeroU16) -> Vec<Lease> {
    let mut leases = Vec::new();
    let mut wanted = port;
    for protocol in [InternetProtocol::Tcp, InternetProtocol::Udp] {
        let options = PortMappingOptions {
            external_port: Some(wanted),
            lifetime_seconds: Some(SECONDS),
            timeout_config: Some(TimeoutConfig {
                initial_timeout: Duration::from_millis(250),
                max_retries: 3,
                max_retry_timeout: Some(Duration::from_secs(1)),
            }),
        };
        let gateway = GatewayAddress::IpV4(gateway);
        match PortMapping::new(gateway, IpAddr::V4(own), protocol, port, options).await {
            Ok(mapping) => {
                wanted = mapping.external_port();
                leases.push(Lease::Pcp(Box::new(mapping)));
            }
            Err(_) => break,
        }
    }
    leases
}

async fn by_upnp(options: SearchOptions, own: Ipv4Addr, port: NonZeroU16) -> Vec<Lease> {
    let Ok(gateway) = search_gateway(options).await else {
        return Vec::new();
    };
    let local = SocketAddr::from((own, port.get()));
    let mut tcp = Opened {
        gateway,
        protocol: PortMappingProtocol::TCP,
        external: port.get(),
        local,
    };
    if !tcp.open().await {
        // Somebody else has that one.
        match tcp.gateway.add_any_port(tcp.protocol, local, SECONDS, NAME).await {
            Ok(port) => tcp.external = port,
            Err(_) => return Vec::new(),
        }
    }
    let udp = Opened {
        protocol: PortMappingProtocol::UDP,
        ..tcp.clone()
    };
    let mut leases = vec![Lease::Upnp(Box::new(tcp))];
    if udp.open().await {
        leases.push(Lease::Upnp(Box::new(udp)));
    }
    leases
}

/// The router that leads outside, and our own address there.
fn route() -> Option<(Ipv4Addr, Ipv4Addr)> {
    let gateway = default_route(&std::fs::read_to_string("/proc/net/route").ok()?)?;
    // Connecting a datagram socket sends nothing; it only chooses the address.
    let socket = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((gateway, 9)).ok()?;
    match socket.local_addr().ok()?.ip() {
        IpAddr::V4(own) => Some((gateway, own)),
        IpAddr::V6(_) => None,
    }
}

/// The gateway of the default route, as Linux lists it: destination and gateway in hexadecimal digits, lowest byte first.
fn default_route(table: &str) -> Option<Ipv4Addr> {
    table.lines().skip(1).find_map(|line| {
        let mut columns = line.split_ascii_whitespace().skip(1);
        let (destination, gateway) = (columns.next()?, columns.next()?);
        let gateway = u32::from_str_radix(gateway, 16).ok()?;
        (destination == "00000000" && gateway != 0).then(|| Ipv4Addr::from(gateway.to_le_bytes()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, UdpSocket};

    #[test]
    fn the_default_route_is_read() {
        let table =
            "Iface\tDestination\tGateway \tFlags\nlo\t0000007F\t00000000\t1\neth0\t00000000\t0101A8C0\t0003\t0\n";
        assert_eq!(default_route(table), Some(Ipv4Addr::new(192, 168, 1, 1)));
        assert_eq!(default_route("Iface\neth0\t00000000\t00000000\t1\n"), None);
        assert_eq!(default_route("x\ny"), None);
    }

    /// A router that speaks NAT-PMP alone (RFC 6886), and gives another port than it is asked for.
    async fn nat_pmp_router(socket: UdpSocket) {
        let mut packet = [0; 1_100];
        while let Ok((length, from)) = socket.recv_from(&mut packet).await {
            let reply = match packet[..length] {
                [0, 0] => vec![0, 128, 0, 0, 0, 0, 0, 1, 60, 1, 2, 3],
                [0, kind @ 1..=2, _, _, a, b, _, _, ref life @ ..] => {
                    let head = [0, 128 + kind, 0, 0, 0, 0, 0, 1, a, b, 0x30, 0x39];
                    [&head[..], &life[..4]].concat()
                }
                // Version 2 is PCP: not supported.
                _ => vec![0, 128, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0],
            };
            socket.send_to(&reply, from).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_port_by_nat_pmp() {
        let gateway = Ipv4Addr::new(127, 4, 4, 7);
        // The protocol's port is fixed; where another program has it there is nothing to test with.
        let Ok(socket) = UdpSocket::bind((gateway, 5351)).await else {
            return;
        };
        tokio::spawn(nat_pmp_router(socket));
        let port = NonZeroU16::new(6881).unwrap();
        let leases = by_pcp(gateway, Ipv4Addr::LOCALHOST, port).await;
        assert_eq!(leases.iter().map(Lease::port).collect::<Vec<_>>(), [12_345, 12_345]);
        let mapped = Mapped::default();
        mapped.put(leases);
        mapped.release().await;
        assert!(mapped.take().is_empty());
    }

    /// A router that speaks PCP (RFC 6887): each MAP that it was told, by nonce, protocol and lifetime. It refuses as soon as it is told to.
    async fn pcp_router(socket: UdpSocket, told: Told, refuses: Arc<AtomicBool>) {
        let mut packet = [0; 1_100];
        while let Ok((length, from)) = socket.recv_from(&mut packet).await {
            let request = &packet[..length];
            assert_eq!((length, &request[..2]), (60, &[2, 1][..]), "MAP and no options");
            let life = u32::from_be_bytes(request[4..8].try_into().unwrap());
            told.lock().unwrap().push((request[24..36].to_vec(), request[36], life));
            // The head of an answer (section 7.2), and MAP again with another port and address (section 11.1).
            let mut reply = vec![2, 0x81, 0, 2 * u8::from(refuses.load(Ordering::Relaxed))];
            reply.extend_from_slice(&request[4..8]);
            reply.extend([0, 0, 0, 1]);
            reply.resize(24, 0);
            reply.extend_from_slice(&request[24..42]);
            reply.extend([0x30, 0x39]);
            reply.extend("::ffff:203.0.113.1".parse::<std::net::Ipv6Addr>().unwrap().octets());
            socket.send_to(&reply, from).await.unwrap();
        }
    }

    type Told = Arc<Mutex<Vec<(Vec<u8>, u8, u32)>>>;

    #[tokio::test]
    async fn a_port_is_renewed_and_not_asked_for_anew() {
        let gateway = Ipv4Addr::new(127, 4, 4, 8);
        // The protocol's port is fixed; where another program has it there is nothing to test with.
        let Ok(socket) = UdpSocket::bind((gateway, 5351)).await else {
            return;
        };
        let (told, refuses) = (Told::default(), Arc::<AtomicBool>::default());
        tokio::spawn(pcp_router(socket, told.clone(), refuses.clone()));
        let port = NonZeroU16::new(6881).unwrap();
        let ask = async || by_pcp(gateway, Ipv4Addr::LOCALHOST, port).await;
        let heard = || std::mem::take(&mut *told.lock().unwrap());
        let mapped = Mapped::default();
        assert_eq!(round(&mapped, ask).await, LEASE / 2);
        let first = heard();
        assert_eq!(first.len(), 2);
        assert_eq!(round(&mapped, ask).await, LEASE / 2);
        assert_eq!(heard(), first, "the same mappings by their nonces");
        assert_eq!(
            mapped.leases().iter().map(Lease::port).collect::<Vec<_>>(),
            [12_345, 12_345]
        );
        refuses.store(true, Ordering::Relaxed);
        assert_eq!(round(&mapped, ask).await, RETRY);
        assert!(mapped.leases().is_empty(), "it is ours no more");
        let given_back = |told: &&(_, u8, u32)| told.2 == 0;
        assert_eq!(heard().iter().filter(given_back).count(), 2, "both are given back");
        refuses.store(false, Ordering::Relaxed);
        assert_eq!(round(&mapped, ask).await, LEASE / 2);
        assert_eq!(mapped.leases().len(), 2);
        heard();
        mapped.release().await;
        assert_eq!(heard().iter().filter(given_back).count(), 2);
    }

    /// A router that speaks UPnP: answers the search, describes itself, does as it is told. What it was told is sent on.
    async fn upnp_router(told: tokio::sync::mpsc::UnboundedSender<String>) -> SocketAddr {
        let http = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let search = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let (at, address) = (http.local_addr().unwrap(), search.local_addr().unwrap());
        tokio::spawn(async move {
            let mut packet = [0; 1_500];
            while let Ok((_, from)) = search.recv_from(&mut packet).await {
                let reply = format!(
                    "HTTP/1.1 200 OK\r\nST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\nLOCATION: http://{at}/d.xml\r\n\r\n"
                );
                search.send_to(reply.as_bytes(), from).await.unwrap();
            }
        });
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = http.accept().await {
                let told = told.clone();
                tokio::spawn(async move {
                    let request = read_request(&mut stream).await;
                    let body = answer(&request, &told);
                    let reply = format!(
                        "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                        body.len()
                    );
                    stream.write_all(reply.as_bytes()).await.unwrap();
                });
            }
        });
        address
    }

    async fn read_request(stream: &mut tokio::net::TcpStream) -> String {
        let mut bytes = Vec::new();
        loop {
            let text = String::from_utf8_lossy(&bytes).to_lowercase();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head
                    .lines()
                    .find_map(|line| line.strip_prefix("content-length:"))
                    .map_or(0, |length| length.trim().parse().unwrap());
                if body.len() >= length {
                    return String::from_utf8(bytes).unwrap();
                }
            }
            if stream.read_buf(&mut bytes).await.unwrap() == 0 {
                return String::from_utf8(bytes).unwrap();
            }
        }
    }

    const SERVICE: &str = "urn:schemas-upnp-org:service:WANIPConnection:1";

    fn answer(request: &str, told: &tokio::sync::mpsc::UnboundedSender<String>) -> String {
        if request.starts_with("GET /d.xml") {
            return format!(
                "<?xml version=\"1.0\"?><root xmlns=\"urn:schemas-upnp-org:device-1-0\"><device><deviceList><device><deviceList><device>\
                 <serviceList><service><serviceType>{SERVICE}</serviceType><controlURL>/c</controlURL><SCPDURL>/s.xml</SCPDURL>\
                 </service></serviceList></device></deviceList></device></deviceList></device></root>"
            );
        }
        if request.starts_with("GET /s.xml") {
            let action = |name: &str, arguments: &[&str]| {
                let arguments: String = arguments
                    .iter()
                    .map(|name| format!("<argument><name>{name}</name><direction>in</direction></argument>"))
                    .collect();
                format!("<action><name>{name}</name><argumentList>{arguments}</argumentList></action>")
            };
            let all = [
                "NewRemoteHost",
                "NewExternalPort",
                "NewProtocol",
                "NewInternalPort",
                "NewInternalClient",
                "NewEnabled",
                "NewPortMappingDescription",
                "NewLeaseDuration",
            ];
            return format!(
                "<?xml version=\"1.0\"?><scpd xmlns=\"urn:schemas-upnp-org:service-1-0\"><actionList>{}{}</actionList></scpd>",
                action("AddPortMapping", &all),
                action("DeletePortMapping", &all[..3])
            );
        }
        let name = if request.contains("DeletePortMapping") {
            "DeletePortMapping"
        } else {
            "AddPortMapping"
        };
        let protocol = if request.contains("UDP") { "UDP" } else { "TCP" };
        told.send(format!("{name} {protocol}")).unwrap();
        format!(
            "<?xml version=\"1.0\"?><s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body>\
             <u:{name}Response xmlns:u=\"{SERVICE}\"/></s:Body></s:Envelope>"
        )
    }

    #[tokio::test]
    async fn a_port_by_upnp() {
        let (sender, mut told) = tokio::sync::mpsc::unbounded_channel();
        let mut options = SearchOptions::default();
        options.bind_addr = (Ipv4Addr::LOCALHOST, 0).into();
        options.broadcast_address = upnp_router(sender).await;
        options.allowed_gateway_ips = vec![Ipv4Addr::LOCALHOST.into()];
        let port = NonZeroU16::new(6881).unwrap();
        let leases = by_upnp(options, Ipv4Addr::LOCALHOST, port).await;
        assert_eq!(leases.iter().map(Lease::port).collect::<Vec<_>>(), [6881, 6881]);
        let mapped = Mapped::default();
        mapped.put(leases);
        round(&mapped, async || panic!("they are renewed")).await;
        mapped.release().await;
        let told: Vec<_> = std::iter::from_fn(|| told.try_recv().ok()).collect();
        assert_eq!(
            told,
            [
                "AddPortMapping TCP",
                "AddPortMapping UDP",
                "AddPortMapping TCP",
                "AddPortMapping UDP",
                "DeletePortMapping TCP",
                "DeletePortMapping UDP"
            ]
        );
    }
}
