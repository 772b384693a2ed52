//! The pump: moves bytes between one stream and the session, for TCP, uTP and `/wire` alike.
//!
//! Invariants: the session is asked for frames only as the stream takes them, so what waits to be sent waits there as
//! numbers; no block is copied on its way out. A poll reads at most [`READS`] times, so no link starves the others.
//! Cost: one system call for up to 256 KiB each way.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tombolo_core::event::{Event, Link};

use super::driver::Driver;
use super::stream::Stream;
use crate::serve::websocket::frame::{self, Decoder, Part, opcode};

/// Bytes pulled from the session for one write. More brings no speed on loopback.
const BATCH: usize = 256 << 10;

/// The session is asked for more when less than this waits: the kernel's own buffer bridges the gap.
const LOW: usize = 64 << 10;

/// Reads of one poll.
const READS: usize = 4;

/// How long a closed link may take to send what was pulled before.
const LINGER: Duration = Duration::from_secs(5);

/// How the byte stream is laid into the stream.
pub(crate) enum Framing {
    /// As it is.
    Raw,
    /// In binary WebSocket messages.
    WebSocket(Decoder),
    /// In binary WebSocket messages what comes in, as it is what goes out.
    Split(Decoder),
}

/// What the driver knows of a link's pump.
#[derive(Default)]
pub(crate) struct Flow {
    /// The session has something to send.
    flush: Cell<bool>,
    /// The session has closed the link.
    closed: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Flow {
    /// There is something to send.
    pub(crate) fn flush(&self) {
        self.flush.set(true);
        self.wake();
    }

    /// The link is closed by the session: only what was pulled goes out.
    pub(crate) fn close(&self) {
        self.closed.set(true);
        self.wake();
    }

    /// Whether the session has closed the link.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.get()
    }

    /// Whether there is more to send, as far as is known.
    pub(crate) fn set_flush(&self, more: bool) {
        self.flush.set(more);
    }

    /// Resolves when something is to be sent or the link is closed.
    pub(crate) async fn stirred(&self) {
        std::future::poll_fn(|context| {
            if self.flush.get() || self.closed.get() {
                return Poll::Ready(());
            }
            self.listen(context);
            Poll::Pending
        })
        .await;
    }

    fn listen(&self, context: &Context<'_>) {
        let mut waker = self.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            *waker = Some(context.waker().clone());
        }
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }
}

/// One link's pump. As a future it resolves when the link is over.
pub(crate) struct Pump<S> {
    driver: Rc<Driver>,
    link: Link,
    flow: Rc<Flow>,
    stream: S,
    framing: Framing,
    /// What has been pulled and not been written.
    queue: VecDeque<Bytes>,
    queued: usize,
    /// The other end sends no more, or must not be listened to.
    deaf: bool,
    linger: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl<S: Stream> Pump<S> {
    /// A pump for a link that the session has been told of.
    pub(crate) fn new(driver: Rc<Driver>, link: Link, flow: Rc<Flow>, stream: S, framing: Framing) -> Self {
        let queue = VecDeque::new();
        Self {
            driver,
            link,
            flow,
            stream,
            framing,
            queue,
            queued: 0,
            deaf: false,
            linger: None,
        }
    }

    /// Queues bytes of our own (a handshake, the answer to a ping) before what the session has to send.
    pub(crate) fn enqueue(&mut self, bytes: Bytes) {
        self.queued += bytes.len();
        self.queue.push_back(bytes);
    }

    /// Runs until the link is over, and tells the session if it does not know.
    pub(crate) async fn run(mut self) {
        std::future::poll_fn(|context| self.poll(context)).await;
        self.driver.link_ended(self.link, &self.flow);
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.flow.listen(context);
        let mut again = false;
        for round in 0.. {
            if self.deaf || self.flow.is_closed() {
                break;
            }
            if round == READS {
                again = true;
                break;
            }
            match self.read(context) {
                Poll::Ready(true) => {}
                Poll::Ready(false) => self.hang_up(),
                Poll::Pending => break,
            }
        }
        let written = self.write(context);
        if self.flow.is_closed() {
            return self.finish(context, written);
        }
        if matches!(written, Poll::Ready(false)) {
            return Poll::Ready(());
        }
        if again {
            context.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// The other end is gone: the session is told at once, what waits is sent for as long as a closed link may take.
    fn hang_up(&mut self) {
        self.deaf = true;
        self.driver.link_ended(self.link, &self.flow);
    }

    /// One read. False: the stream is over, or what came is against its framing.
    fn read(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        let received = self.stream.poll_receive(context, &mut self.driver.buffers());
        match ready!(received) {
            Ok(data) if !data.is_empty() => Poll::Ready(self.received(data)),
            _ => Poll::Ready(false),
        }
    }

    /// Hands received bytes to the session. False: they are against the framing, or the other end closes.
    pub(crate) fn received(&mut self, mut data: BytesMut) -> bool {
        let (Framing::WebSocket(decoder) | Framing::Split(decoder)) = &mut self.framing else {
            self.driver.handle(Event::Received(self.link, data.freeze()));
            return true;
        };
        let mut replies = Vec::new();
        let open = loop {
            match decoder.next(&mut data) {
                Ok(None) => break true,
                Ok(Some(Part::Data { data, .. })) => {
                    if !data.is_empty() {
                        self.driver.handle(Event::Received(self.link, data.freeze()));
                    }
                }
                Ok(Some(Part::Ping(payload))) => replies.push(frame::message(opcode::PONG, &payload)),
                Ok(Some(Part::Pong)) => {}
                Ok(Some(Part::Close(code))) => {
                    replies.push(frame::close(code.unwrap_or(1000), ""));
                    break false;
                }
                Err(fault) => {
                    replies.push(frame::close(fault.code(), fault.reason()));
                    break false;
                }
            }
        };
        // Where the way down has no messages, nothing is said there: browsers ask for no pong.
        if matches!(self.framing, Framing::WebSocket(_)) {
            replies.into_iter().for_each(|reply| self.enqueue(reply));
        }
        open
    }

    /// Writes while the stream takes it and there is something. False: the stream is broken.
    fn write(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        loop {
            self.pull();
            if self.queue.is_empty() {
                return self.stream.poll_sent(context).map(|sent| sent.is_ok());
            }
            match ready!(self.stream.poll_send(context, &mut self.queue)) {
                Ok(0) | Err(_) => return Poll::Ready(false),
                Ok(sent) => self.queued -= sent,
            }
        }
    }

    /// Asks the session for a batch when little waits.
    fn pull(&mut self) {
        if self.queued >= LOW || self.flow.is_closed() || self.deaf || !self.flow.flush.get() {
            return;
        }
        let place = self.queue.len();
        let (length, more) = self.driver.pull(self.link, BATCH, &mut self.queue);
        self.flow.flush.set(more);
        self.queued += length;
        if length > 0 && matches!(self.framing, Framing::WebSocket(_)) {
            let head = frame::head(opcode::BINARY, length);
            self.queued += head.len();
            self.queue.insert(place, head);
        }
        self.driver.pulled();
    }

    /// Sends what is left of a closed link, for a while.
    fn finish(&mut self, context: &mut Context<'_>, written: Poll<bool>) -> Poll<()> {
        if self.linger.is_none() {
            self.linger = Some(Box::pin(tokio::time::sleep(LINGER)));
            if matches!(self.framing, Framing::WebSocket(_)) && !self.deaf {
                self.enqueue(frame::close(1000, ""));
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
        if let (Poll::Pending, Some(linger)) = (&written, &mut self.linger) {
            return linger.as_mut().poll(context);
        }
        self.stream.poll_close(context).map(drop)
    }
}
