//! One UDP socket for everything that speaks over a port: uTP, the DHT and UDP trackers, told apart by their first bytes.
//!
//! Invariant: a datagram goes to one protocol at most, and none can be taken for another: uTP's first byte is its packet type and
//! version (`0x01` to `0x41`), the DHT's is a dictionary's `d`, and the first byte of tracker packets is 0 (our own connection
//! numbers keep to that). Cost: a system call for up to 32 datagrams, or for 32 runs of them where the kernel joins equal ones.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use rustix::net::sockopt;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// Asked of the kernel each way, in bytes: bursts of a fast transfer must not be dropped while another thread has the core.
const BUFFER: usize = 4 << 20;

/// Room for one run of datagrams that the kernel joined, in bytes.
const RUN: usize = 64 << 10;

/// Who a datagram is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// uTP (BEP 29).
    Utp,
    /// The DHT (BEP 5).
    Dht,
    /// A tracker's requests or answers (BEP 15).
    Tracker,
}

impl Kind {
    /// Who a datagram is for; `None`: nobody.
    pub fn of(datagram: &[u8]) -> Option<Self> {
        match *datagram.first()? {
            b'd' => Some(Self::Dht),
            0 => Some(Self::Tracker),
            0x01 | 0x11 | 0x21 | 0x31 | 0x41 => Some(Self::Utp),
            _ => None,
        }
    }
}

/// Takes the datagrams of one kind, on the socket's own task: it must not block.
pub type Handler = Box<dyn Fn(&Udp, &[u8], SocketAddr) + Send + Sync>;

/// A shared UDP socket.
pub struct Udp {
    socket: UdpSocket,
    state: UdpSocketState,
    local: SocketAddr,
    dht: OnceLock<Handler>,
    tracker: OnceLock<Handler>,
}

impl Udp {
    /// Opens a socket; to be called within a runtime. Nothing is read before [`run`](Self::run).
    ///
    /// # Errors
    /// The address cannot be had.
    pub fn bind(address: SocketAddr) -> io::Result<Arc<Self>> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        if address.is_ipv6() {
            // IPv4 has a socket of its own, perhaps on the same port.
            socket.set_only_v6(true)?;
        }
        socket.set_nonblocking(true)?;
        // Best effort: a system may allow less.
        let _ = socket.set_recv_buffer_size(BUFFER);
        let _ = socket.set_send_buffer_size(BUFFER);
        socket.bind(&address.into())?;
        let socket = UdpSocket::from_std(socket.into())?;
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        let local = socket.local_addr()?;
        let udp = Self {
            socket,
            state,
            local,
            dht: OnceLock::new(),
            tracker: OnceLock::new(),
        };
        udp.forbid_fragments(false);
        Ok(Arc::new(udp))
    }

    /// Where it is.
    pub const fn local_address(&self) -> SocketAddr {
        self.local
    }

    /// Says who takes the datagrams of a kind. Only the first to say so of each kind counts; uTP is taken by the socket itself.
    pub fn take(&self, kind: Kind, handler: Handler) {
        let place = match kind {
            Kind::Dht => &self.dht,
            Kind::Tracker => &self.tracker,
            Kind::Utp => return,
        };
        // One protocol has one owner.
        let _ = place.set(handler);
    }

    /// Sends one datagram. A full buffer drops it, as the network might.
    pub fn send(&self, datagram: &[u8], to: SocketAddr) {
        let _ = self.socket.try_send_to(datagram, to);
    }

    /// Reads datagrams and hands them out, for ever.
    pub async fn run(self: Arc<Self>) {
        let mut memory = vec![0; BATCH_SIZE * RUN];
        loop {
            if self.socket.readable().await.is_ok() {
                self.read(&mut memory);
            }
        }
    }

    /// Reads what is there.
    fn read(&self, memory: &mut [u8]) {
        let mut metas = [RecvMeta::default(); BATCH_SIZE];
        loop {
            let mut runs: Vec<_> = memory.chunks_mut(RUN).map(IoSliceMut::new).collect();
            let socket = UdpSockRef::from(&self.socket);
            let received = self.socket.try_io(Interest::READABLE, || {
                self.state.recv(socket, &mut runs, &mut metas)
            });
            match received {
                Ok(count) => {
                    let runs = memory.chunks(RUN).zip(&metas).take(count);
                    runs.for_each(|(run, meta)| self.dispatch(run, meta));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // An earlier datagram could not be delivered.
                Err(_) => {}
            }
        }
    }

    fn dispatch(&self, run: &[u8], meta: &RecvMeta) {
        let run = run.get(..meta.len).unwrap_or(run);
        for datagram in run.chunks(meta.stride.max(1)) {
            let handler = match Kind::of(datagram) {
                Some(Kind::Dht) => self.dht.get(),
                Some(Kind::Tracker) => self.tracker.get(),
                Some(Kind::Utp) | None => None,
            };
            if let Some(handler) = handler {
                handler(self, datagram, meta.addr);
            }
        }
    }

    /// Sends a run of datagrams of `segment` bytes each, of which the last may be shorter. False: there is no room now.
    #[expect(dead_code, reason = "for uTP")]
    fn send_run(&self, run: &[u8], segment: usize, to: SocketAddr) -> bool {
        let transmit = Transmit {
            destination: to,
            ecn: None,
            contents: run,
            segment_size: Some(segment),
            src_ip: None,
        };
        let socket = UdpSockRef::from(&self.socket);
        let sent = self
            .socket
            .try_io(Interest::WRITABLE, || self.state.try_send(socket, &transmit));
        match sent {
            Ok(()) => true,
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        }
    }

    /// Whether routers may cut what is sent. They may, but for the probes that look for the size that needs no cutting.
    fn forbid_fragments(&self, forbid: bool) {
        // Best effort: where it cannot be said, the system's own way is good enough.
        let _ = if self.local.is_ipv4() {
            let mode = if forbid {
                sockopt::Ipv4PathMtuDiscovery::PROBE
            } else {
                sockopt::Ipv4PathMtuDiscovery::WANT
            };
            sockopt::set_ip_mtu_discover(&self.socket, mode)
        } else {
            let mode = if forbid {
                sockopt::Ipv6PathMtuDiscovery::PROBE
            } else {
                sockopt::Ipv6PathMtuDiscovery::WANT
            };
            sockopt::set_ipv6_mtu_discover(&self.socket, mode)
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use tokio::sync::mpsc;

    #[test]
    fn first_bytes_tell() {
        let table: [(&[u8], _); 7] = [
            (b"d1:ad2:id20:", Some(Kind::Dht)),
            (&[0x41, 0, 1, 2], Some(Kind::Utp)),
            (&[0x01], Some(Kind::Utp)),
            (&[0, 0, 4, 0x17, 0x27, 0x10, 0x19, 0x80], Some(Kind::Tracker)),
            (&[0x51, 0], None),
            (b"hello", None),
            (b"", None),
        ];
        for (datagram, kind) in table {
            assert_eq!(Kind::of(datagram), kind, "{datagram:?}");
        }
    }

    #[tokio::test]
    async fn datagrams_find_their_handler() {
        let udp = Udp::bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let (sender, mut taken) = mpsc::unbounded_channel();
        for kind in [Kind::Dht, Kind::Tracker] {
            let sender = sender.clone();
            let handler = move |udp: &Udp, datagram: &[u8], from: SocketAddr| {
                udp.send(b"seen", from);
                sender.send((kind, datagram.to_vec())).unwrap();
            };
            udp.take(kind, Box::new(handler));
        }
        tokio::spawn(udp.clone().run());
        let other = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        for datagram in [&b"?"[..], b"de", &[0; 9]] {
            other.send_to(datagram, udp.local_address()).await.unwrap();
        }
        assert_eq!(taken.recv().await, Some((Kind::Dht, b"de".to_vec())));
        assert_eq!(taken.recv().await, Some((Kind::Tracker, vec![0; 9])));
        let mut reply = [0; 9];
        assert_eq!(other.recv(&mut reply).await.unwrap(), 4);
    }
}
