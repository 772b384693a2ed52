//! A uTP connection as a stream of bytes, used on any thread.
//!
//! Whoever writes also sends what the window allows, so that no other thread need be woken for it. Dropping the stream closes the
//! connection; what was written still goes out.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use tombolo_core::utp::{Fault, Handle, Read};

use super::Udp;

/// A uTP connection.
pub struct UtpStream {
    pub(super) udp: Arc<Udp>,
    pub(super) handle: Handle,
    pub(super) address: SocketAddr,
}

impl UtpStream {
    /// The other end.
    pub const fn remote_address(&self) -> SocketAddr {
        self.address
    }

    /// Whether the connection is open.
    ///
    /// # Errors
    /// The other end does not answer, or not as it should.
    pub(super) fn poll_open(&self, context: &Context<'_>) -> Poll<io::Result<()>> {
        let mut machine = self.udp.machine();
        match machine.socket.room(self.handle) {
            Ok(0) => {
                machine.listen(self.handle, context);
                Poll::Pending
            }
            Ok(_) => Poll::Ready(Ok(())),
            Err(fault) => Poll::Ready(Err(error(fault))),
        }
    }

    /// The next bytes; none: the other end is done.
    ///
    /// # Errors
    /// The connection broke.
    pub fn poll_receive(&self, context: &Context<'_>) -> Poll<io::Result<BytesMut>> {
        let mut machine = self.udp.machine();
        match machine.socket.read(self.handle) {
            Read::Data(bytes) => {
                // It may have to say that there is room again.
                self.udp.flush(&mut machine);
                Poll::Ready(Ok(bytes))
            }
            Read::Empty => {
                machine.listen(self.handle, context);
                Poll::Pending
            }
            Read::End => Poll::Ready(Ok(BytesMut::new())),
            Read::Failed(fault) => Poll::Ready(Err(error(fault))),
        }
    }

    /// Takes bytes from the front of `queue`; how many.
    ///
    /// # Errors
    /// The connection broke.
    pub fn poll_send(&self, context: &Context<'_>, queue: &mut VecDeque<Bytes>) -> Poll<io::Result<usize>> {
        let mut machine = self.udp.machine();
        let mut room = match machine.socket.room(self.handle) {
            Ok(0) => {
                machine.listen(self.handle, context);
                return Poll::Pending;
            }
            Ok(room) => room,
            Err(fault) => return Poll::Ready(Err(error(fault))),
        };
        let mut taken = 0;
        while let Some(front) = queue.front_mut()
            && room > 0
        {
            let part = front.split_to(front.len().min(room));
            room -= part.len();
            taken += part.len();
            machine.socket.write(self.handle, part);
            if front.is_empty() {
                queue.pop_front();
            }
        }
        self.udp.flush(&mut machine);
        Poll::Ready(Ok(taken))
    }

    /// Says that nothing more will be sent.
    pub fn finish(&self) {
        let mut machine = self.udp.machine();
        machine.socket.finish(self.handle);
        self.udp.flush(&mut machine);
    }
}

impl Drop for UtpStream {
    fn drop(&mut self) {
        let now = self.udp.now();
        let mut machine = self.udp.machine();
        machine.forget(self.handle);
        machine.socket.close(now, self.handle);
        self.udp.flush(&mut machine);
    }
}

fn error(fault: Fault) -> io::Error {
    match fault {
        Fault::Reset => io::ErrorKind::ConnectionReset.into(),
        Fault::TimedOut => io::ErrorKind::TimedOut.into(),
    }
}
