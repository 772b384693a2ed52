//! WebRTC: ordered byte streams to browser tabs, and to anything else that speaks data channels.
//!
//! Session descriptions are complete (no trickling) and have one data channel each. All connections share one UDP port
//! for each listening address. Channels give no more than their consumer takes, and take no more than a small window:
//! memory stays bounded on both sides whatever the peer does.
//!
//! `port` is the shared sockets, `runtime` what a connection's driver runs on, `sdp` what is read and changed in session
//! descriptions, `connection` one peer connection, `channel` its byte stream and `window` how much of it is under way.

mod channel;
mod connection;
mod port;
mod runtime;
mod sdp;
#[cfg(test)]
mod tests;
mod window;

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rtc::ice::mdns::MulticastDnsMode;
use rtc::peer_connection::certificate::{CertificateParams, RTCCertificate};
use rtc::peer_connection::configuration::setting_engine::SctpMaxMessageSize;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};
use webrtc::peer_connection::crypto::{self, RTCCryptoProvider};
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionBuilder, RTCConfiguration, RTCConfigurationBuilder, RTCIceServer, SettingEngine,
    SettingEngineBuilder,
};

pub use channel::Channel;
pub use connection::{Offer, Pending};
pub use sdp::SdpError;

use connection::{Connection, Events, First};
use port::Port;
use runtime::{LinkRuntime, Pulse};

/// A PIECE message with a block of 16 KiB: what nearly all bytes travel in.
const PIECE: usize = 13 + (16 << 10);
/// The bound on messages: larger ones bring no speed, and every message that waits for a slow consumer may be so large.
const MESSAGE: usize = 4 * PIECE;
/// Bytes of an SCTP packet where only loopback is listened on: 20 % more speed into Chromium than with the stack's own
/// 1,191, which hold elsewhere and pass every path that IPv6 may use. Chromium takes 2,048 at most.
const LOOPBACK_PACKET: u32 = 2040;
/// Channels that wait to be accepted.
const BACKLOG: usize = 64;
/// Between two rounds of connectivity checks. The stack's 200 ms is what opening a channel on a LAN then takes.
const CHECK: Duration = Duration::from_millis(30);
/// Checks of a candidate pair before it is given up: 5 s.
const CHECKS: u16 = 170;
/// Why something failed.
#[derive(Debug)]
pub enum Error {
    /// A listening address cannot be bound.
    Bind(io::Error),
    /// The peer's session description is refused.
    Sdp(SdpError),
    /// As many connections are open as the options allow.
    Full,
    /// The peer's address already serves another connection through the same port of ours.
    Connected,
    /// The channel did not open in time.
    TimedOut,
    /// Either end has closed, or ICE or DTLS failed.
    Closed,
    /// The WebRTC stack refused; its own words.
    Stack(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bind(error) => write!(f, "cannot listen for WebRTC: {error}"),
            Self::Sdp(error) => error.fmt(f),
            Self::Full => f.write_str("too many WebRTC connections"),
            Self::Connected => f.write_str("the peer's address already serves a connection"),
            Self::TimedOut => f.write_str("the data channel did not open in time"),
            Self::Closed => f.write_str("the data channel is closed"),
            Self::Stack(message) => write!(f, "WebRTC: {message}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<SdpError> for Error {
    fn from(error: SdpError) -> Self {
        Self::Sdp(error)
    }
}

impl From<webrtc::error::Error> for Error {
    fn from(error: webrtc::error::Error) -> Self {
        Self::Stack(error.to_string())
    }
}

/// What can be set.
#[derive(Clone, Debug)]
pub struct Options {
    /// Connections at a time, offers that wait for an answer among them.
    pub connections: usize,
    /// Time from the answer to the open channel.
    pub open: Duration,
    /// A connection is closed when nothing has come from the peer for so long. Tabs that close say so.
    pub silence: Duration,
    /// Largest message sent or taken, in bytes: 1 to 262,144.
    pub message: usize,
    /// Bytes under way on one channel to begin with, and at least: it grows on long paths.
    pub window: usize,
    /// Whether candidates with loopback, private and link-local addresses may be dialled. Peers with such addresses that
    /// reach us by themselves are welcome either way.
    pub allow_local: bool,
    /// STUN servers, as `stun:host:port`. None are asked unless named.
    pub stun: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connections: 1000,
            open: Duration::from_secs(20),
            silence: Duration::from_secs(15),
            message: MESSAGE,
            window: window::SMALLEST,
            allow_local: false,
            stun: Vec::new(),
        }
    }
}

/// What all connections have in common.
struct Shared {
    options: Options,
    runtime: Handle,
    port: Arc<Port>,
    crypto: Arc<dyn RTCCryptoProvider>,
    certificate: RTCCertificate,
    places: Arc<Semaphore>,
    later: mpsc::Sender<Channel>,
}

impl Shared {
    /// Every address that a peer may find us at.
    fn addresses(&self) -> Vec<SocketAddr> {
        let mut addresses = Vec::new();
        for socket in self.port.sockets() {
            let address = socket.address();
            if address.ip().is_unspecified() {
                addresses.extend(
                    interfaces(address.is_ipv4())
                        .into_iter()
                        .map(|ip| SocketAddr::new(ip, address.port())),
                );
            } else {
                addresses.push(address);
            }
        }
        addresses
    }

    fn may_dial(&self, ip: IpAddr) -> bool {
        let never = ip.is_unspecified() || ip.is_multicast() || ip == IpAddr::V4(Ipv4Addr::BROADCAST);
        !never && (self.options.allow_local || !is_local(ip))
    }

    fn configuration(&self) -> RTCConfiguration {
        let urls = self.options.stun.clone();
        let servers = if urls.is_empty() {
            vec![]
        } else {
            vec![RTCIceServer {
                urls,
                ..Default::default()
            }]
        };
        RTCConfigurationBuilder::new()
            .with_certificates(vec![self.certificate.clone()])
            .with_ice_servers(servers)
            .build()
    }

    fn settings(&self, fragment: &str, password: &str) -> SettingEngine {
        let message = u32::try_from(self.options.message).unwrap_or(u32::MAX);
        let silence = self.options.silence;
        let mut settings = SettingEngineBuilder::new()
            .with_crypto_provider(self.crypto.clone())
            .with_ice_credentials(fragment.to_owned(), password.to_owned())
            .with_ice_connection_attempts(Some(CHECK), Some(CHECKS))
            .with_ice_timeouts(Some(silence / 3), Some(silence * 2 / 3), Some(silence / 8))
            // Tabs hide their addresses behind mDNS names: then the pair that their own checks reveal is as good as any.
            .with_prflx_acceptance_min_wait(Some(Duration::ZERO))
            .with_multicast_dns_mode(MulticastDnsMode::Disabled)
            .with_include_loopback_candidate(true)
            .with_sctp_max_message_size(SctpMaxMessageSize::Bounded(message));
        if self.addresses().iter().all(|address| address.ip().is_loopback()) {
            settings = settings.with_sctp_mtu(LOOPBACK_PACKET);
        }
        settings.build()
    }

    /// The addresses that the driver is to bind: names, unless its sockets are its own.
    fn names(&self) -> Vec<SocketAddr> {
        let name = |ip: IpAddr| match ip {
            ip if !ip.is_unspecified() => ip,
            IpAddr::V4(_) => interfaces(true)
                .first()
                .copied()
                .unwrap_or_else(|| Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(_) => interfaces(false)
                .first()
                .copied()
                .unwrap_or_else(|| Ipv6Addr::LOCALHOST.into()),
        };
        self.port
            .sockets()
            .iter()
            .map(|socket| SocketAddr::new(name(socket.address().ip()), 0))
            .collect()
    }
}

/// A WebRTC endpoint: the listening port and all connections through it.
pub struct Rtc {
    shared: Arc<Shared>,
    accepted: tokio::sync::Mutex<mpsc::Receiver<Channel>>,
}

impl Rtc {
    /// Binds the addresses; port 0 takes any free one. Must be called within a tokio runtime, which closes connections in
    /// the background; each runs on the runtime that it is made in.
    ///
    /// # Errors
    /// `Bind` when an address cannot be bound, `Stack` when there is no entropy.
    pub fn bind(addresses: &[SocketAddr], options: Options) -> Result<Self, Error> {
        let runtime = Handle::current();
        let port = Port::bind(addresses).map_err(Error::Bind)?;
        let stack = |error: &dyn fmt::Display| Error::Stack(error.to_string());
        let crypto = crypto::default_provider().map_err(|error| stack(&error))?;
        let params = CertificateParams::new(Vec::new()).map_err(|error| stack(&error))?;
        let scheme = rtc::crypto::SignatureScheme::EcdsaP256Sha256;
        let certificate = RTCCertificate::generate(crypto.crypto(), scheme, params)?;
        let (later, accepted) = mpsc::channel(BACKLOG);
        let places = Arc::new(Semaphore::new(options.connections));
        let shared = Arc::new(Shared {
            options,
            runtime,
            port,
            crypto,
            certificate,
            places,
            later,
        });
        Ok(Self {
            shared,
            accepted: tokio::sync::Mutex::new(accepted),
        })
    }

    /// The bound addresses, in the order asked for.
    pub fn local_addresses(&self) -> Vec<SocketAddr> {
        self.shared.port.sockets().iter().map(port::Socket::address).collect()
    }

    /// Connections that exist, offers that wait for an answer among them.
    pub fn connections(&self) -> usize {
        self.shared.options.connections - self.shared.places.available_permits()
    }

    /// Makes an offer with a data channel of this label. The connection runs on the runtime that this is called in.
    ///
    /// # Errors
    /// `Full`, or `Stack`.
    pub async fn offer(&self, label: &str) -> Result<Offer, Error> {
        let (connection, _) = self.connect(true, false).await?;
        let data = connection.data_channel(label).await?;
        let sdp = connection.offer().await?;
        Ok(Offer {
            pending: Pending {
                connection,
                first: First::Ours(data),
            },
            sdp,
        })
    }

    /// Answers a peer's offer: the channel to come and the session description to send back. The connection runs on the
    /// runtime that this is called in.
    ///
    /// # Errors
    /// `Sdp`, `Full`, or `Stack`.
    pub async fn answer(&self, offer: &str) -> Result<(Pending, String), Error> {
        let remote = sdp::read(offer, sdp::Kind::Offer, |ip| self.shared.may_dial(ip))?;
        // Another connection between the same two ports could not be told from the first one.
        let apart = self.shared.port.knows(&remote.candidates, None);
        let (connection, opened) = self.connect(false, apart).await?;
        let sdp = connection.answer(remote).await?;
        Ok((
            Pending {
                connection,
                first: First::Theirs(opened),
            },
            sdp,
        ))
    }

    /// The next further channel that a peer has opened on a connection it has already: one for each torrent.
    pub async fn accept(&self) -> Option<Channel> {
        self.accepted.lock().await.recv().await
    }

    async fn connect(
        &self,
        offered: bool,
        apart: bool,
    ) -> Result<
        (
            Arc<Connection>,
            mpsc::Receiver<Arc<dyn webrtc::data_channel::DataChannel>>,
        ),
        Error,
    > {
        let shared = self.shared.clone();
        let permit = shared.places.clone().try_acquire_owned().map_err(|_| Error::Full)?;
        let (fragment, password) = (secret(8)?, secret(32)?);
        let (pulse, own) = (Arc::new(Pulse::default()), Arc::new(Mutex::default()));
        let (events, opened) = Events::new(shared.later.clone());
        let port = shared.port.clone();
        port.start().map_err(Error::Bind)?;
        let inbox = port.open(&fragment);
        let runtime = LinkRuntime {
            handle: Handle::current(),
            port: port.clone(),
            inbox: inbox.clone(),
            apart,
            pulse: pulse.clone(),
            own: own.clone(),
        };
        let peer = PeerConnectionBuilder::new()
            .with_configuration(shared.configuration())
            .with_setting_engine(shared.settings(&fragment, &password))
            .with_runtime(Arc::new(runtime))
            .with_handler(events.clone())
            .with_udp_addrs(shared.names())
            .build()
            .await;
        let peer: Arc<dyn PeerConnection> = match peer {
            Ok(peer) => Arc::new(peer),
            Err(error) => {
                port.close(&inbox);
                return Err(error.into());
            }
        };
        let connection = Connection {
            peer,
            events,
            port,
            inbox,
            pulse,
            own,
            permit: Mutex::new(Some(permit)),
            shared,
            offered,
            channels: AtomicUsize::new(0),
            message: AtomicUsize::new(0),
        };
        Ok((connection.start(), opened))
    }
}

impl fmt::Debug for Rtc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rtc")
            .field("addresses", &self.local_addresses())
            .finish_non_exhaustive()
    }
}

impl Drop for Rtc {
    fn drop(&mut self) {
        self.shared.port.stop();
    }
}

/// A random ICE credential.
fn secret(length: usize) -> Result<String, Error> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = vec![0; length];
    getrandom::fill(&mut bytes).map_err(|error| Error::Stack(error.to_string()))?;
    Ok(bytes
        .into_iter()
        .map(|byte| char::from(LETTERS[usize::from(byte % 64)]))
        .collect())
}

/// Loopback, private, link-local and carrier addresses.
fn is_local(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            ip.is_loopback() || ip.is_private() || ip.is_link_local() || a == 0 || (a == 100 && (64..128).contains(&b))
        }
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

/// The addresses of this machine's interfaces in one family that a peer can use.
fn interfaces(ipv4: bool) -> Vec<IpAddr> {
    let interfaces = rtc::shared::ifaces::ifaces().unwrap_or_default();
    let mut found: Vec<IpAddr> = Vec::new();
    for ip in interfaces
        .into_iter()
        .filter_map(|interface| interface.addr)
        .map(|address| address.ip())
    {
        let link = matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
        if ip.is_ipv4() == ipv4 && !ip.is_loopback() && !link && !found.contains(&ip) {
            found.push(ip);
        }
    }
    found
}
