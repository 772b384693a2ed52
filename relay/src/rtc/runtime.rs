//! The runtime that one connection's driver (crate `webrtc`) runs on: tokio for tasks and timers, the shared port for
//! its sockets.
//!
//! The driver binds a socket of its own for every local address and asks to have it wrapped. Wrapped is instead a view
//! of the shared socket, under the address that the driver has bound; the driver's socket is closed at once. So
//! thousands of connections use one UDP port and one file handle, and the address that the driver knows is only a name:
//! `sdp` puts the real port into what the peer is told.

use std::fmt;
use std::future::Future;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use webrtc::runtime::{
    AsyncInterval, AsyncTcpListener, AsyncTcpStream, AsyncUdpSocket, JoinHandle, RecvMeta, Runtime, TokioRuntime,
    Transmit,
};

use super::port::{BATCH_SEGMENTS, Inbox, Port, is_stun, lock};

/// A boxed future, as the trait wants it.
type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One that stays on its thread.
type Local<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// The pause before the round that follows one in which something happened. The driver sends first in a round and reads
/// last, so what reading brings forth (the channel's opening message, a window that opens again) is left for the next.
/// Without this it waits for a timer: up to 200 ms were seen.
const AGAIN: Duration = Duration::from_millis(2);

/// The rounds of one connection's driver.
#[derive(Default)]
pub(super) struct Pulse {
    /// Something has come in, or has been taken out, since the last round ended.
    busy: AtomicBool,
    /// Told at the end of every round: acknowledgements may have made room to send.
    ended: Notify,
}

impl Pulse {
    /// Something has happened that the driver may have to follow up.
    pub(super) fn beat(&self) {
        self.busy.store(true, Ordering::Release);
    }

    /// Resolves at the end of a round that is not over yet when this is called.
    pub(super) fn round(&self) -> Notified<'_> {
        self.ended.notified()
    }

    fn end(&self) -> bool {
        self.ended.notify_waiters();
        self.busy.swap(false, Ordering::AcqRel)
    }
}

/// What one connection's driver runs on.
pub(super) struct LinkRuntime {
    pub(super) handle: Handle,
    pub(super) port: Arc<Port>,
    pub(super) inbox: Arc<Inbox>,
    /// Uses the driver's own sockets instead of the shared port's.
    pub(super) apart: bool,
    pub(super) pulse: Arc<Pulse>,
    /// The addresses of the driver's own sockets.
    pub(super) own: Arc<Mutex<Vec<SocketAddr>>>,
}

impl fmt::Debug for LinkRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkRuntime").finish_non_exhaustive()
    }
}

struct Task(tokio::task::JoinHandle<()>);

impl JoinHandle for Task {
    fn detach(&self) {}

    fn abort(&self) {
        self.0.abort();
    }

    fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

impl Runtime for LinkRuntime {
    fn spawn(&self, future: Boxed<'static, ()>) -> Box<dyn JoinHandle> {
        Box::new(Task(self.handle.spawn(future)))
    }

    fn wrap_udp_socket(&self, socket: std::net::UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        let name = socket.local_addr()?;
        if self.apart {
            lock(&self.own).push(name);
            let socket = TokioRuntime.wrap_udp_socket(socket)?;
            return Ok(Arc::new(Apart {
                socket,
                inbox: self.inbox.clone(),
                pulse: self.pulse.clone(),
            }));
        }
        let index = self.port.socket_of(name.ip()).ok_or(io::ErrorKind::AddrNotAvailable)?;
        let (port, inbox, pulse) = (self.port.clone(), self.inbox.clone(), self.pulse.clone());
        Ok(Arc::new(View {
            port,
            inbox,
            pulse,
            index,
            name,
            blocked: Mutex::default(),
        }))
    }

    fn wrap_tcp_listener(&self, _: std::net::TcpListener) -> io::Result<Arc<dyn AsyncTcpListener>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn connect_tcp<'a>(&'a self, _: SocketAddr) -> Boxed<'a, io::Result<Arc<dyn AsyncTcpStream>>> {
        Box::pin(async { Err(io::ErrorKind::Unsupported.into()) })
    }

    fn resolve_host<'a>(&'a self, host: &'a str) -> Boxed<'a, io::Result<Vec<SocketAddr>>> {
        TokioRuntime.resolve_host(host)
    }

    /// The driver arms its timer once in every round, after it has taken in what the network brought.
    fn sleep(&self, duration: Duration) -> Boxed<'static, ()> {
        let again = if self.pulse.end() { AGAIN } else { Duration::MAX };
        Box::pin(tokio::time::sleep(duration.min(again)))
    }

    fn interval(&self, period: Duration) -> Box<dyn AsyncInterval> {
        TokioRuntime.interval(period)
    }

    fn block_on(&self, future: Local<'_>) {
        self.handle.block_on(future);
    }

    fn yield_now(&self) -> Boxed<'static, ()> {
        Box::pin(tokio::task::yield_now())
    }

    fn name(&self) -> &'static str {
        "tombolo"
    }
}

/// One connection's view of a shared socket.
struct View {
    port: Arc<Port>,
    inbox: Arc<Inbox>,
    pulse: Arc<Pulse>,
    index: usize,
    name: SocketAddr,
    /// Waits for room in the socket's buffer. Of its own, because tokio's poll functions wake only the last caller.
    blocked: Mutex<Option<Boxed<'static, io::Result<()>>>>,
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View").field("name", &self.name).finish_non_exhaustive()
    }
}

impl AsyncUdpSocket for View {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.name)
    }

    fn poll_send(&self, context: &mut Context<'_>, transmit: &Transmit<'_>) -> Poll<io::Result<usize>> {
        self.port.sent(&self.inbox, transmit.contents);
        let socket = &self.port.sockets()[self.index];
        let mut blocked = lock(&self.blocked);
        loop {
            if let Some(wait) = blocked.as_mut() {
                ready!(wait.as_mut().poll(context))?;
                *blocked = None;
            }
            match socket.try_send(transmit) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let (port, index) = (self.port.clone(), self.index);
                    *blocked = Some(Box::pin(async move { port.sockets()[index].writable().await }));
                }
                sent => return Poll::Ready(sent.map(|()| transmit.contents.len())),
            }
        }
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let (Some(buffer), Some(meta)) = (buffers.first_mut(), metas.first_mut()) else {
            return Poll::Ready(Ok(0));
        };
        *meta = ready!(self.inbox.poll_recv(self.index, context, buffer))?;
        self.pulse.beat();
        Poll::Ready(Ok(1))
    }

    fn max_gso_segments(&self) -> usize {
        self.port.sockets()[self.index].segments()
    }

    fn max_gro_segments(&self) -> usize {
        BATCH_SEGMENTS
    }
}

/// A socket of one connection's own.
struct Apart {
    socket: Arc<dyn AsyncUdpSocket>,
    inbox: Arc<Inbox>,
    pulse: Arc<Pulse>,
}

impl fmt::Debug for Apart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Apart")
            .field("socket", &self.socket)
            .finish_non_exhaustive()
    }
}

impl AsyncUdpSocket for Apart {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    fn poll_send(&self, context: &mut Context<'_>, transmit: &Transmit<'_>) -> Poll<io::Result<usize>> {
        self.socket.poll_send(context, transmit)
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let count = ready!(self.socket.poll_recv(context, buffers, metas))?;
        self.pulse.beat();
        if let (Some(buffer), Some(meta)) = (buffers.first(), metas.first())
            && !is_stun(buffer)
        {
            self.inbox.set_source(meta.addr);
        }
        Poll::Ready(Ok(count))
    }

    fn max_gso_segments(&self) -> usize {
        self.socket.max_gso_segments()
    }

    fn max_gro_segments(&self) -> usize {
        self.socket.max_gro_segments()
    }
}
