//! The UDP sockets that every connection shares, one for each listening address, and the table that says which
//! connection a datagram belongs to.
//!
//! A datagram finds its connection in one of three ways: a STUN request names our ICE user fragment, a STUN response
//! repeats the transaction id of a request that we sent, and everything else (DTLS) comes from an address that one of
//! the first two has introduced. An address belongs to the connection that was introduced first, until that is gone:
//! a forged source address can therefore never take the traffic of a connection that lives.
//!
//! Cost: a look-up and one copy for each batch of datagrams that the kernel hands over together (GRO).

use std::collections::{HashMap, VecDeque};
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;
use webrtc::runtime::{RecvMeta, Transmit, UdpSockRef, UdpSocketState};

/// Bytes one read may return: the largest batch that the kernel coalesces.
const READ: usize = 64 << 10;
/// Batches one system call may return.
const READS: usize = 8;
/// Bytes that wait for one connection's driver before datagrams are dropped: SCTP's receive window is 1 MiB.
const INBOX: usize = 2 << 20;
/// Addresses one connection may be reached from: more than the candidate pairs of an honest peer.
const ADDRESSES: usize = 64;
/// STUN transactions of one connection that are remembered: older ones have been retransmitted under a new id.
const TRANSACTIONS: usize = 64;
/// Asked of the kernel for both directions of a shared socket, which carries every connection (it grants what its
/// limits allow).
const SOCKET_BUFFER: usize = 4 << 20;
/// Datagrams handed to a driver in one batch, and the bytes that its buffer has for each (fixed by the driver).
pub(super) const BATCH_SEGMENTS: usize = 32;
const BATCH_BYTES: usize = BATCH_SEGMENTS * 1500;

/// Locks, even after a panic elsewhere: every critical section here leaves its data whole.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One bound socket.
pub(super) struct Socket {
    /// Taken by the runtime of the first connection.
    bound: Mutex<Option<std::net::UdpSocket>>,
    io: OnceLock<UdpSocket>,
    offload: UdpSocketState,
    address: SocketAddr,
}

impl Socket {
    fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::DGRAM, None)?;
        if address.is_ipv6() {
            // IPv4 has a listener of its own, perhaps on the same port.
            socket.set_only_v6(true)?;
        }
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        let offload = UdpSocketState::new(UdpSockRef::from(&socket))?;
        // Best effort: a small buffer costs speed, not correctness.
        let _ = offload.set_recv_buffer_size(UdpSockRef::from(&socket), SOCKET_BUFFER);
        let _ = offload.set_send_buffer_size(UdpSockRef::from(&socket), SOCKET_BUFFER);
        let bound = std::net::UdpSocket::from(socket);
        let address = bound.local_addr()?;
        Ok(Self {
            bound: Mutex::new(Some(bound)),
            io: OnceLock::new(),
            offload,
            address,
        })
    }

    /// Hands the socket to the runtime that this is called in: whether it was not in one before.
    fn start(&self) -> io::Result<bool> {
        let Some(bound) = lock(&self.bound).take() else {
            return Ok(false);
        };
        Ok(self.io.set(UdpSocket::from_std(bound)?).is_ok())
    }

    fn io(&self) -> io::Result<&UdpSocket> {
        self.io.get().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Datagrams that one send may carry.
    pub(super) fn segments(&self) -> usize {
        self.offload.max_gso_segments()
    }

    /// Sends, or says `WouldBlock`.
    pub(super) fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let io = self.io()?;
        io.try_io(Interest::WRITABLE, || {
            self.offload.try_send(UdpSockRef::from(io), transmit)
        })
    }

    /// Resolves when a send may succeed again.
    pub(super) async fn writable(&self) -> io::Result<()> {
        self.io()?.writable().await
    }
}

/// Datagrams of one source that came together: `data` is cut every `stride` bytes.
struct Batch {
    data: Bytes,
    stride: usize,
    from: SocketAddr,
}

/// What waits for one connection's driver on one of its local addresses.
#[derive(Default)]
struct Queue {
    batches: VecDeque<Batch>,
    bytes: usize,
    waker: Option<Waker>,
}

/// The receiving side of one connection.
pub(super) struct Inbox {
    /// Our ICE user fragment of this connection.
    fragment: Box<[u8]>,
    /// One for each of the port's sockets.
    queues: Vec<Mutex<Queue>>,
    /// Where the last DTLS datagram came from.
    source: Mutex<Option<SocketAddr>>,
}

impl Inbox {
    /// Where the peer last sent from.
    pub(super) fn source(&self) -> Option<SocketAddr> {
        *lock(&self.source)
    }

    pub(super) fn set_source(&self, address: SocketAddr) {
        *lock(&self.source) = Some(address);
    }

    fn push(&self, socket: usize, batch: Batch) {
        let Some(queue) = self.queues.get(socket) else { return };
        let waker = {
            let mut queue = lock(queue);
            if queue.bytes + batch.data.len() > INBOX {
                return;
            }
            queue.bytes += batch.data.len();
            queue.batches.push_back(batch);
            queue.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Takes the next batch, or registers to be woken when there is one.
    pub(super) fn poll_recv(
        &self,
        socket: usize,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<RecvMeta>> {
        let Some(queue) = self.queues.get(socket) else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        let mut queue = lock(queue);
        let Some(batch) = queue.batches.pop_front() else {
            queue.waker = Some(context.waker().clone());
            return Poll::Pending;
        };
        queue.bytes -= batch.data.len();
        let length = batch.data.len().min(buffer.len());
        buffer[..length].copy_from_slice(&batch.data[..length]);
        let mut meta = RecvMeta::default();
        meta.addr = batch.from;
        meta.len = length;
        meta.stride = batch.stride;
        Poll::Ready(Ok(meta))
    }
}

/// What one connection holds in the tables.
#[derive(Default)]
struct Held {
    addresses: Vec<(usize, SocketAddr)>,
    transactions: VecDeque<Transaction>,
}

type Transaction = [u8; 12];
type Fragment = Box<[u8]>;

#[derive(Default)]
struct Routes {
    fragments: HashMap<Fragment, (Arc<Inbox>, Held)>,
    addresses: HashMap<(usize, SocketAddr), Arc<Inbox>>,
    transactions: HashMap<Transaction, Arc<Inbox>>,
}

impl Routes {
    fn introduce(&mut self, socket: usize, from: SocketAddr, inbox: &Arc<Inbox>) {
        if self.addresses.contains_key(&(socket, from)) {
            return;
        }
        if let Some((_, held)) = self.fragments.get_mut(&inbox.fragment)
            && held.addresses.len() < ADDRESSES
        {
            held.addresses.push((socket, from));
            self.addresses.insert((socket, from), inbox.clone());
        }
    }

    /// The connection that `datagram` is for.
    fn find(&mut self, socket: usize, from: SocketAddr, datagram: &[u8]) -> Option<Arc<Inbox>> {
        let inbox = match classify(datagram) {
            Datagram::Request(fragment) => self.fragments.get(fragment).map(|(inbox, _)| inbox.clone()),
            Datagram::Response(transaction) => self.transactions.get(&transaction).cloned(),
            Datagram::Other => return self.addresses.get(&(socket, from)).cloned(),
        }?;
        self.introduce(socket, from, &inbox);
        Some(inbox)
    }
}

/// The shared sockets and their table.
pub(super) struct Port {
    sockets: Vec<Socket>,
    routes: Mutex<Routes>,
    receivers: Mutex<Vec<JoinHandle<()>>>,
}

impl Port {
    /// Binds every address; port 0 takes any free one.
    pub(super) fn bind(addresses: &[SocketAddr]) -> io::Result<Arc<Self>> {
        let sockets = addresses
            .iter()
            .map(|address| Socket::bind(*address))
            .collect::<io::Result<Vec<_>>>()?;
        Ok(Arc::new(Self {
            sockets,
            routes: Mutex::default(),
            receivers: Mutex::default(),
        }))
    }

    pub(super) fn sockets(&self) -> &[Socket] {
        &self.sockets
    }

    /// The socket that carries the traffic of a local address.
    pub(super) fn socket_of(&self, ip: IpAddr) -> Option<usize> {
        let exact = self.sockets.iter().position(|socket| socket.address.ip() == ip);
        exact.or_else(|| {
            self.sockets
                .iter()
                .position(|socket| socket.address.ip().is_unspecified() && socket.address.is_ipv4() == ip.is_ipv4())
        })
    }

    /// Opens the inbox of a connection with this ICE user fragment.
    pub(super) fn open(&self, fragment: &str) -> Arc<Inbox> {
        let inbox = Arc::new(Inbox {
            fragment: fragment.as_bytes().into(),
            queues: self.sockets.iter().map(|_| Mutex::default()).collect(),
            source: Mutex::default(),
        });
        lock(&self.routes)
            .fragments
            .insert(inbox.fragment.clone(), (inbox.clone(), Held::default()));
        inbox
    }

    /// Forgets a connection: its datagrams are dropped from now on.
    pub(super) fn close(&self, inbox: &Inbox) {
        let mut routes = lock(&self.routes);
        if let Some((_, held)) = routes.fragments.remove(&inbox.fragment) {
            for key in held.addresses {
                routes.addresses.remove(&key);
            }
            for key in held.transactions {
                routes.transactions.remove(&key);
            }
        }
    }

    /// Rows of the table.
    #[cfg(test)]
    pub(super) fn entries(&self) -> usize {
        let routes = lock(&self.routes);
        routes.fragments.len() + routes.addresses.len() + routes.transactions.len()
    }

    /// Whether a living connection other than `own` is reached at one of these addresses.
    pub(super) fn knows(&self, candidates: &[SocketAddr], own: Option<&Arc<Inbox>>) -> bool {
        let routes = lock(&self.routes);
        let other = |key| {
            let owner = routes.addresses.get(&key);
            owner.is_some_and(|owner| !own.is_some_and(|own| Arc::ptr_eq(owner, own)))
        };
        candidates
            .iter()
            .any(|candidate| (0..self.sockets.len()).any(|socket| other((socket, *candidate))))
    }

    /// Remembers a STUN request that goes out, so that its response finds the way back.
    pub(super) fn sent(&self, inbox: &Arc<Inbox>, datagram: &[u8]) {
        let Some(transaction) = request(datagram) else { return };
        let mut routes = lock(&self.routes);
        let Some((_, held)) = routes.fragments.get_mut(&inbox.fragment) else {
            return;
        };
        held.transactions.push_back(transaction);
        let old = if held.transactions.len() > TRANSACTIONS {
            held.transactions.pop_front()
        } else {
            None
        };
        if let Some(old) = old {
            routes.transactions.remove(&old);
        }
        routes.transactions.insert(transaction, inbox.clone());
    }

    /// Begins to receive, in the runtime that this is called in, unless it has begun already. The shard that makes the first
    /// connection so has its sockets on its own thread: every hop to another costs as much as several datagrams.
    pub(super) fn start(self: &Arc<Self>) -> io::Result<()> {
        for (index, socket) in self.sockets.iter().enumerate() {
            if socket.start()? {
                lock(&self.receivers).push(tokio::spawn(self.clone().receive(index)));
            }
        }
        Ok(())
    }

    /// Receives no more.
    pub(super) fn stop(&self) {
        lock(&self.receivers).iter().for_each(JoinHandle::abort);
    }

    /// Receives on one socket for ever.
    async fn receive(self: Arc<Self>, index: usize) {
        let Some(socket) = self.sockets.get(index) else { return };
        let Ok(io) = socket.io() else { return };
        let mut buffers: Vec<Vec<u8>> = (0..READS).map(|_| vec![0; READ]).collect();
        loop {
            let mut metas = [RecvMeta::default(); READS];
            let mut slices: Vec<IoSliceMut<'_>> = buffers.iter_mut().map(|buffer| IoSliceMut::new(buffer)).collect();
            let read = io.async_io(Interest::READABLE, || {
                socket.offload.recv(UdpSockRef::from(io), &mut slices, &mut metas)
            });
            match read.await {
                Ok(count) => {
                    for (buffer, meta) in buffers.iter().zip(&metas).take(count) {
                        self.deliver(index, buffer.get(..meta.len).unwrap_or_default(), meta);
                    }
                }
                // An ICMP error of one peer shows here and is nobody else's business; the pause keeps an error that
                // repeats from becoming a busy loop.
                Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
    }

    /// Hands the datagrams of one read to their connections, in runs of one owner.
    fn deliver(&self, index: usize, data: &[u8], meta: &RecvMeta) {
        let stride = meta.stride.max(1);
        let run = (BATCH_BYTES / stride).clamp(1, BATCH_SEGMENTS) * stride;
        let mut rest = data;
        while !rest.is_empty() {
            // DTLS comes in long runs from one address; STUN comes alone.
            let alone = is_stun(rest);
            let mut length = if alone { stride } else { run }.min(rest.len());
            if !alone && let Some(stun) = rest[..length].chunks(stride).position(is_stun) {
                length = stun * stride;
            }
            let (head, tail) = rest.split_at(length);
            rest = tail;
            let Some(inbox) = lock(&self.routes).find(index, meta.addr, head) else {
                continue;
            };
            if !alone {
                inbox.set_source(meta.addr);
            }
            let batch = Batch {
                data: Bytes::copy_from_slice(head),
                stride: stride.min(length),
                from: meta.addr,
            };
            inbox.push(index, batch);
        }
    }
}

enum Datagram<'a> {
    /// A STUN request with our user fragment.
    Request(&'a [u8]),
    /// A STUN success or error response.
    Response(Transaction),
    /// DTLS, a STUN indication, or noise.
    Other,
}

const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const USERNAME: u16 = 0x0006;

pub(super) fn is_stun(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|first| *first < 4)
}

fn header(datagram: &[u8]) -> Option<(u16, Transaction)> {
    let kind = u16::from_be_bytes(datagram.get(..2)?.try_into().ok()?);
    let transaction = datagram.get(8..20)?.try_into().ok()?;
    (datagram.get(4..8)? == COOKIE).then_some((kind, transaction))
}

/// The transaction id of a STUN binding request.
fn request(datagram: &[u8]) -> Option<Transaction> {
    if !is_stun(datagram) {
        return None;
    }
    header(datagram)
        .filter(|(kind, _)| *kind == 0x0001)
        .map(|(_, transaction)| transaction)
}

fn classify(datagram: &[u8]) -> Datagram<'_> {
    if !is_stun(datagram) {
        return Datagram::Other;
    }
    match header(datagram) {
        Some((0x0001, _)) => username(datagram).map_or(Datagram::Other, Datagram::Request),
        Some((0x0101 | 0x0111, transaction)) => Datagram::Response(transaction),
        _ => Datagram::Other,
    }
}

/// The receiver's user fragment: the part of USERNAME before the colon (RFC 8445, 7.2.2).
fn username(datagram: &[u8]) -> Option<&[u8]> {
    let mut rest = datagram.get(20..)?;
    loop {
        let kind = u16::from_be_bytes(rest.get(..2)?.try_into().ok()?);
        let length = usize::from(u16::from_be_bytes(rest.get(2..4)?.try_into().ok()?));
        let value = rest.get(4..4 + length)?;
        if kind == USERNAME {
            return value.split(|byte| *byte == b':').next();
        }
        rest = rest.get(4 + length.next_multiple_of(4)..)?;
    }
}
