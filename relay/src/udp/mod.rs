//! One UDP socket for everything that speaks over a port: uTP, the DHT and UDP trackers, told apart by their first bytes.
//!
//! Invariant: a datagram goes to one protocol at most, and none can be taken for another: uTP's first byte is its packet type and
//! version (`0x01` to `0x41`), the DHT's is a dictionary's `d`, and the first byte of tracker packets is 0 (our own connection
//! numbers keep to that). Cost: a system call for up to 32 datagrams, or for 32 runs of them where the kernel joins equal ones.

mod stream;
pub(crate) mod tunnel;

use std::collections::HashMap;
use std::future::poll_fn;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use rustix::net::sockopt;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::{Notify, mpsc};
use tombolo_core::time::Time;
use tombolo_core::utp::{self, Event, Handle};

use crate::proxy::{Target, Way};
use tunnel::Tunnel;

pub use stream::UtpStream;

/// Asked of the kernel each way, in bytes: bursts of a fast transfer must not be dropped while another thread has the core.
const BUFFER: usize = 4 << 20;

/// Room for one run of datagrams that the kernel joined, in bytes.
const RUN: usize = 64 << 10;

/// Datagrams of one length in one system call: the kernel takes 64, of 64 KiB together.
const SEGMENTS: usize = 40;

/// The sockets that datagrams of our own accord go out by: those that listen, or, where addresses of ours are named to go out
/// from, one at each of these, which runs; one through the proxy where there is one, or none if it carries no datagrams. To be called
/// within a runtime.
///
/// # Errors
/// Such an address cannot be had.
pub(crate) async fn outgoing(way: &Way, listening: &[Arc<Udp>]) -> io::Result<Vec<Arc<Udp>>> {
    if way.may_carry_datagrams() {
        let through = Udp::through(way).await;
        return Ok(through
            .inspect_err(|error| tracing::warn!(%error, "no uTP, DHT and UDP trackers: the proxy carries no datagrams"))
            .into_iter()
            .collect());
    }
    if way.has_proxy() {
        return Ok(Vec::new());
    }
    let from = way.own_addresses();
    if from.is_empty() {
        return Ok(listening.to_vec());
    }
    let at = |own: &IpAddr| {
        let listens = listening.iter().find(|udp| udp.local_address().ip() == *own);
        listens.cloned().map_or_else(
            || {
                let udp = Udp::bind((*own, 0).into())?;
                tokio::spawn(udp.clone().run());
                Ok(udp)
            },
            Ok,
        )
    };
    from.iter().map(at).collect()
}

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

/// Takes the datagrams of one kind, from where and to which address of ours, on the socket's own task: it must not block.
pub type Handler = Box<dyn Fn(&Udp, &[u8], (SocketAddr, IpAddr)) + Send + Sync>;

/// A shared UDP socket.
pub struct Udp {
    socket: UdpSocket,
    state: UdpSocketState,
    local: SocketAddr,
    /// Through a proxy, where there is one.
    tunnel: Option<Tunnel>,
    dht: OnceLock<Handler>,
    tracker: OnceLock<Handler>,
    machine: Mutex<Machine>,
    start: Instant,
    /// Told when a timer is earlier than it was.
    earlier: Notify,
}

/// uTP on a socket, and who waits for it.
struct Machine {
    socket: utp::Socket,
    wakers: HashMap<Handle, Waker>,
    /// Who takes the connections that others open.
    accepts: Option<mpsc::UnboundedSender<UtpStream>>,
    accepted: Vec<(Handle, SocketAddr)>,
    /// What is being sent.
    run: Vec<u8>,
    /// When the socket's task will look at the timers.
    alarm: Option<Time>,
}

impl Machine {
    /// Wakes the task when something happens to the connection.
    fn listen(&mut self, handle: Handle, context: &Context<'_>) {
        self.wakers
            .entry(handle)
            .and_modify(|waker| waker.clone_from(context.waker()))
            .or_insert_with(|| context.waker().clone());
    }

    fn forget(&mut self, handle: Handle) {
        self.wakers.remove(&handle);
    }
}

impl std::fmt::Debug for Udp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Udp")
            .field("local", &self.local)
            .finish_non_exhaustive()
    }
}

impl Udp {
    /// Opens a socket; to be called within a runtime. Nothing is read before [`run`](Self::run).
    ///
    /// # Errors
    /// The address cannot be had.
    pub fn bind(address: SocketAddr) -> io::Result<Arc<Self>> {
        Self::open(address, None)
    }

    fn open(address: SocketAddr, tunnel: Option<Tunnel>) -> io::Result<Arc<Self>> {
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
        let mut seed = [0; 8];
        getrandom::fill(&mut seed).map_err(io::Error::other)?;
        let machine = Machine {
            socket: utp::Socket::new(utp::Config::default(), u64::from_ne_bytes(seed)),
            wakers: HashMap::new(),
            accepts: None,
            accepted: Vec::new(),
            run: Vec::new(),
            alarm: None,
        };
        let udp = Self {
            socket,
            state,
            local,
            tunnel,
            dht: OnceLock::new(),
            tracker: OnceLock::new(),
            machine: Mutex::new(machine),
            start: Instant::now(),
            earlier: Notify::new(),
        };
        udp.forbid_fragments(false);
        Ok(Arc::new(udp))
    }

    /// Where it is.
    pub const fn local_address(&self) -> SocketAddr {
        self.local
    }

    /// Whether an address can be sent to from here.
    pub(crate) const fn reaches(&self, address: SocketAddr) -> bool {
        self.tunnel.is_some() || self.local.is_ipv4() == address.is_ipv4()
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
        let _ = self.transmit(datagram, None, to);
    }

    /// Opens a uTP connection.
    ///
    /// # Errors
    /// There are too many, or the other end does not answer.
    pub async fn connect(self: &Arc<Self>, to: SocketAddr) -> io::Result<UtpStream> {
        let stream = {
            let mut machine = self.machine();
            let handle = machine.socket.connect(self.now(), to);
            let handle = handle.ok_or_else(|| io::Error::other("too many uTP connections"))?;
            self.flush(&mut machine);
            UtpStream {
                udp: self.clone(),
                handle,
                address: to,
            }
        };
        poll_fn(|context| stream.poll_open(context)).await?;
        Ok(stream)
    }

    /// The uTP connections that others open from now on. Before this is called there are none.
    pub fn accept(&self) -> mpsc::UnboundedReceiver<UtpStream> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.machine().accepts = Some(sender);
        receiver
    }

    fn machine(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Time {
        Time::from_micros(u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    /// Reads datagrams, hands them out and sees to uTP's timers, for ever.
    pub async fn run(self: Arc<Self>) {
        let mut memory = vec![0; BATCH_SIZE * RUN];
        loop {
            let alarm = self.machine().alarm;
            tokio::select! {
                readable = self.socket.readable() => if readable.is_ok() {
                    self.read(&mut memory);
                },
                () = self.until(alarm) => {
                    let mut machine = self.machine();
                    machine.socket.due(self.now());
                    machine.alarm = None;
                    self.flush(&mut machine);
                },
                () = self.earlier.notified() => {}
            }
            self.hand_over();
        }
    }

    async fn until(&self, alarm: Option<Time>) {
        let alarm = alarm.and_then(|alarm| self.start.checked_add(Duration::from_micros(alarm.as_micros())));
        match alarm {
            Some(alarm) => tokio::time::sleep_until(alarm.into()).await,
            None => std::future::pending().await,
        }
    }

    /// Gives new connections to whoever takes them; where nobody does they are closed.
    fn hand_over(self: &Arc<Self>) {
        let mut machine = self.machine();
        if machine.accepted.is_empty() {
            return;
        }
        let accepted = std::mem::take(&mut machine.accepted);
        let accepts = machine.accepts.clone();
        // A stream that nobody takes locks the machine as it goes.
        drop(machine);
        for (handle, address) in accepted {
            let stream = UtpStream {
                udp: self.clone(),
                handle,
                address,
            };
            if let Some(accepts) = &accepts {
                let _ = accepts.send(stream);
            }
        }
    }

    /// Reads what is there.
    fn read(&self, memory: &mut [u8]) {
        let mut metas = [RecvMeta::default(); BATCH_SIZE];
        loop {
            let mut runs: Vec<_> = memory.chunks_mut(RUN).map(IoSliceMut::new).collect();
            let socket = UdpSockRef::from(&self.socket);
            let received = self
                .socket
                .try_io(Interest::READABLE, || self.state.recv(socket, &mut runs, &mut metas));
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
        let mut machine = None;
        for datagram in run.chunks(meta.stride.max(1)) {
            let unwrapped = match &self.tunnel {
                None => Some((meta.addr, datagram)),
                Some(tunnel) => tunnel.unwrap(meta.addr, datagram),
            };
            let Some((from, datagram)) = unwrapped else { continue };
            let handler = match Kind::of(datagram) {
                Some(Kind::Dht) => self.dht.get(),
                Some(Kind::Tracker) => self.tracker.get(),
                Some(Kind::Utp) => {
                    let machine = machine.get_or_insert_with(|| self.machine());
                    machine.socket.receive(self.now(), from, datagram);
                    continue;
                }
                None => None,
            };
            if let Some(handler) = handler {
                handler(self, datagram, (from, meta.dst_ip.unwrap_or_else(|| self.local.ip())));
            }
        }
        if let Some(machine) = &mut machine {
            self.flush(machine);
        }
    }

    /// Sends what uTP has to send, and wakes whom it concerns.
    fn flush(&self, machine: &mut Machine) {
        let mut run = std::mem::take(&mut machine.run);
        let most = self.state.max_gso_segments().clamp(1, SEGMENTS);
        while let Some(transmit) = machine.socket.transmit(self.now(), most, &mut run) {
            if transmit.probe {
                self.forbid_fragments(true);
            }
            self.send_run(&run, transmit.segment, transmit.to);
            if transmit.probe {
                self.forbid_fragments(false);
            }
            run.clear();
        }
        machine.run = run;
        while let Some(event) = machine.socket.poll() {
            match event {
                Event::Accepted(handle, address) => {
                    machine.accepted.push((handle, address));
                    // It is handed over by the socket's own task.
                    self.earlier.notify_one();
                }
                Event::Stirred(handle) => {
                    if let Some(waker) = machine.wakers.remove(&handle) {
                        waker.wake();
                    }
                }
            }
        }
        let deadline = machine.socket.deadline();
        if deadline.is_some_and(|deadline| machine.alarm.is_none_or(|alarm| deadline < alarm)) {
            machine.alarm = deadline;
            self.earlier.notify_one();
        }
    }

    /// Sends a run of datagrams of `segment` bytes each, of which the last may be shorter. What there is no room for is lost, as on the
    /// way: uTP sends it again.
    fn send_run(&self, run: &[u8], segment: usize, to: SocketAddr) {
        match self.transmit(run, Some(segment), to) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock && run.len() > segment => {
                // A path on which such runs cannot be cut by the kernel: one by one.
                for datagram in run.chunks(segment) {
                    let _ = self.transmit(datagram, None, to);
                }
            }
            _ => {}
        }
    }

    fn transmit(&self, contents: &[u8], segment_size: Option<usize>, destination: SocketAddr) -> io::Result<()> {
        let Some(tunnel) = &self.tunnel else {
            return self.transmit_straight(contents, segment_size, destination);
        };
        let (relay, wrapped, segment_size) = tunnel.wrap(contents, segment_size, Target::Address(destination))?;
        self.transmit_straight(&wrapped, segment_size, relay)
    }

    /// Gives it to the kernel at once. The runtime is not asked whether there is room: of a new socket it does not know yet, and would
    /// lose its first datagrams.
    fn transmit_straight(
        &self,
        contents: &[u8],
        segment_size: Option<usize>,
        destination: SocketAddr,
    ) -> io::Result<()> {
        let transmit = Transmit {
            destination,
            ecn: None,
            contents,
            segment_size,
            src_ip: None,
        };
        self.state.try_send(UdpSockRef::from(&self.socket), &transmit)
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
    use bytes::Bytes;
    use std::collections::VecDeque;
    use std::net::Ipv4Addr;

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
    async fn the_first_datagram_of_a_new_socket_goes_out() {
        let other = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let udp = Udp::bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        udp.send(b"d1:q4:ping", other.local_addr().unwrap());
        other.set_nonblocking(true).unwrap();
        // On loopback what was sent is there.
        assert_eq!(other.recv(&mut [0; 64]).unwrap(), 10);
    }

    #[tokio::test]
    async fn datagrams_find_their_handler() {
        let udp = Udp::bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let (sender, mut taken) = mpsc::unbounded_channel();
        for kind in [Kind::Dht, Kind::Tracker] {
            let sender = sender.clone();
            let handler = move |udp: &Udp, datagram: &[u8], (from, to): (SocketAddr, IpAddr)| {
                assert!(to.is_loopback());
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

    #[tokio::test(flavor = "multi_thread")]
    async fn utp_streams_carry_bytes_both_ways() {
        let [one, other] = [(); 2].map(|()| Udp::bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap());
        let mut accepted = other.accept();
        for udp in [&one, &other] {
            tokio::spawn(udp.clone().run());
        }
        let stream = one.connect(other.local_address()).await.unwrap();
        let content: Bytes = (0..5_000_000_u32).map(|n| (n ^ n >> 8 ^ n >> 16) as u8).collect();
        let sending = async |stream: &UtpStream, content: Bytes| {
            let mut queue = VecDeque::from([content]);
            while !queue.is_empty() {
                poll_fn(|context| stream.poll_send(context, &mut queue)).await.unwrap();
            }
            stream.finish();
        };
        let receiving = async |stream: &UtpStream| {
            let mut all = Vec::new();
            loop {
                let bytes = poll_fn(|context| stream.poll_receive(context)).await.unwrap();
                if bytes.is_empty() {
                    return all;
                }
                all.extend_from_slice(&bytes);
            }
        };
        let answering = async {
            let stream = accepted.recv().await.unwrap();
            let all = receiving(&stream).await;
            sending(&stream, Bytes::from(all)).await;
            // Until the other end has it all.
            assert!(receiving(&stream).await.is_empty());
        };
        let asking = async {
            sending(&stream, content.clone()).await;
            assert!(receiving(&stream).await == content);
            drop(stream);
        };
        tokio::join!(answering, asking);
        let nobody = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let refused = tokio::time::timeout(Duration::from_millis(50), one.connect(nobody.local_addr().unwrap()));
        assert!(refused.await.is_err(), "who does not answer is waited for");
        assert!(one.machine().wakers.is_empty());
    }
}
