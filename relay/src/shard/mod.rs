//! A shard: one thread that owns one [`Session`] and everything that moves bytes for it.
//!
//! `driver` feeds the session and does its actions, `dial` reaches native peers, `link` pumps a `stream`, `negotiation` sees to WebRTC, `greet` shakes
//! hands, `buffers` is the receive memory and `directory` tells every thread which torrent an info-hash names.
//! [`Shards`](crate::shards::Shards) is the door: several shards, each torrent in one of them.

mod buffers;
mod dial;
mod directory;
mod driver;
mod greet;
mod link;
mod negotiation;
mod stream;
mod usage;

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio_rustls::TlsStream;
use tombolo_core::config::Config;
use tombolo_core::door::Greeting;
use tombolo_core::event::{Event, Origin, Report, Torrent, Transport};
use tombolo_core::key::PeerId;
use tombolo_core::mse::{Ciphers, Policy};
use tombolo_core::session::Session;
use tombolo_core::time::Time;

pub use directory::Directory;
pub use driver::Counts;
pub(crate) use driver::sum;
pub(crate) use greet::{Fresh, FreshChannel, Local, answer, answer_any};
pub(crate) use usage::Usage;

use crate::finding::Ask;
use crate::lists::Lists;
use crate::outside::Outside;
use crate::rtc::{Channel, Rtc};
use crate::serve::down::Split;
use crate::serve::websocket::frame::Decoder;
use crate::storage::Disk;
use crate::udp::{Udp, UtpStream};
use crate::{outside, storage};
use dial::Native;
use driver::{Driver, Parts};
use link::Framing;

/// Events that are taken in at once before their actions are done.
const BATCH: usize = 256;

/// How long trackers get to answer the last announce.
const FAREWELL: Duration = Duration::from_secs(3);

/// How a shard works.
#[derive(Clone, Debug)]
pub struct ShardConfig {
    /// The settings of the session.
    pub session: Config,
    /// Where pieces are kept.
    pub storage: storage::Policy,
    /// Threads for hashing and for the disk.
    pub disk_threads: usize,
    /// How trackers are reached.
    pub outside: outside::Policy,
    /// Whether peers are dialled over TCP.
    pub tcp: bool,
    /// Sockets over which peers are dialled by uTP, one of each family.
    pub utp: Vec<Arc<Udp>>,
    /// Whether native connections are hidden and encrypted.
    pub encryption: Policy,
    /// The WebRTC endpoint, where there is one.
    pub rtc: Option<Arc<Rtc>>,
    /// Whether loopback and private addresses may be dialled.
    pub allow_local: bool,
    /// Who is talked to.
    pub lists: Lists,
    /// Who is asked for peers, where there is anybody.
    pub finder: Option<mpsc::UnboundedSender<Ask>>,
}

/// A peer past its handshake that another thread hands over.
pub(crate) struct Arrival {
    pub(crate) torrent: Torrent,
    pub(crate) greeting: Greeting,
    pub(crate) carrier: Carrier,
    pub(crate) address: Option<SocketAddr>,
    /// Its place under a limit, given back when the link is over.
    pub(crate) place: Option<Place>,
}

/// A place under a limit; dropping it gives it back.
pub(crate) type Place = Arc<dyn Send + Sync>;

/// What carries a peer that is handed over.
pub(crate) enum Carrier {
    /// A TCP connection, in non-blocking mode.
    Tcp(std::net::TcpStream, Option<Ciphers>),
    /// A uTP connection.
    Utp(UtpStream, Option<Ciphers>),
    /// A TCP connection with WebSocket messages in it, in non-blocking mode.
    Wire(std::net::TcpStream, Decoder),
    /// The same with a way down of its own.
    Split(Box<Split>, Decoder),
    /// The same over TLS. It stays with the runtime that it came from, which wakes the shard.
    Secure(Box<TlsStream<tokio::net::TcpStream>>, Decoder),
    /// A data channel.
    Channel(Channel),
}

/// What is asked of a shard by other threads.
pub(crate) enum Command {
    Event(Event),
    Arrival(Box<Arrival>),
    /// A look into the driver.
    Look(Box<dyn FnOnce(&mut View<'_>) + Send>),
    /// An offer that came to our own tracker; the answer.
    Offer(Torrent, String, oneshot::Sender<Option<String>>),
    /// Remove every torrent and end.
    Stop(oneshot::Sender<()>),
}

/// What a look into a shard sees.
pub struct View<'a> {
    /// Its session.
    pub session: &'a mut Session,
    /// The session's time.
    pub now: Time,
    driver: &'a Driver,
}

impl View<'_> {
    /// The torrents of this shard.
    pub fn torrents(&self) -> Vec<Torrent> {
        self.driver.torrents()
    }

    /// The shard in numbers.
    pub fn counts(&mut self) -> Counts {
        self.driver.counts(self.session, self.now)
    }

    /// How many links of a torrent are web peers'.
    pub fn web_links(&self, torrent: Torrent) -> usize {
        self.driver.web_links(torrent)
    }

    /// The peers of a torrent over one transport.
    pub fn has_peer(&mut self, torrent: Torrent, peer_id: PeerId, transport: Transport) -> bool {
        self.session
            .peers(self.now, torrent)
            .iter()
            .any(|peer| peer.peer_id == peer_id && peer.transport == transport)
    }
}

/// What the thread of a shard is started with.
pub(crate) struct Start {
    pub(crate) config: ShardConfig,
    pub(crate) seed: u64,
    pub(crate) usage: Arc<Usage>,
    pub(crate) directory: Arc<Directory>,
    pub(crate) reports: mpsc::UnboundedSender<(Torrent, Report)>,
    pub(crate) commands: mpsc::UnboundedReceiver<Command>,
}

/// The thread of a shard, until it is stopped.
pub(crate) fn run(start: Start, started: &std::sync::mpsc::Sender<std::io::Result<()>>) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = started.send(Err(error));
            return;
        }
    };
    let tasks = tokio::task::LocalSet::new();
    tasks.block_on(&runtime, async move {
        let Start {
            config,
            seed,
            usage,
            directory,
            reports,
            mut commands,
        } = start;
        let (sender, mut events) = mpsc::unbounded_channel();
        let deliver = move |event| {
            // The shard has ended: nobody waits for the answer.
            let _ = sender.send(event);
        };
        let disk = match Disk::start(config.storage.clone(), config.disk_threads, deliver.clone()) {
            Ok(disk) => disk,
            Err(error) => {
                let _ = started.send(Err(error));
                return;
            }
        };
        let outside = Outside::start(config.outside.clone(), deliver);
        let driver = Driver::new(
            Parts {
                config,
                disk,
                outside,
                usage,
                directory,
                reports,
            },
            seed,
        );
        let _ = started.send(Ok(()));
        let stopped = drive(&driver, &mut commands, &mut events).await;
        farewell(&driver, &mut events).await;
        if let Some(stopped) = stopped {
            let _ = stopped.send(());
        }
    });
}

/// Feeds the driver until it is to stop.
async fn drive(
    driver: &Rc<Driver>,
    commands: &mut mpsc::UnboundedReceiver<Command>,
    events: &mut mpsc::UnboundedReceiver<Event>,
) -> Option<oneshot::Sender<()>> {
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        let deadline = driver.deadline();
        tokio::select! {
            command = commands.recv() => match command {
                None => return None,
                Some(Command::Stop(stopped)) => return Some(stopped),
                Some(command) => obey(driver, command),
            },
            _ = events.recv_many(&mut batch, BATCH) => driver.handle_all(batch.drain(..)),
            () = until(deadline) => driver.handle(Event::Due),
            () = driver.earlier.notified() => {}
        }
    }
}

/// Resolves at a moment; never if there is none.
async fn until(deadline: Option<std::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

fn obey(driver: &Rc<Driver>, command: Command) {
    match command {
        Command::Event(event) => driver.handle(event),
        Command::Arrival(arrival) => arrive(driver, *arrival),
        Command::Look(look) => driver.look(|session, now| look(&mut View { session, now, driver })),
        Command::Offer(torrent, sdp, answer) => {
            let driver = driver.clone();
            tokio::task::spawn_local(async move {
                // Whoever asked may be gone.
                let _ = answer.send(driver.answer_inbound(torrent, sdp).await);
            });
        }
        Command::Stop(_) => {}
    }
}

/// Takes over a peer. One whose torrent has gone meanwhile is dropped, which closes it.
fn arrive(driver: &Rc<Driver>, arrival: Arrival) {
    let Arrival {
        torrent,
        greeting,
        carrier,
        address,
        place,
    } = arrival;
    if !driver.has(torrent) {
        return;
    }
    let open_wire = |greeting| driver.open(torrent, greeting, (Transport::Wire, Origin::Inbound), address);
    match carrier {
        Carrier::Tcp(stream, ciphers) => {
            if let Ok(stream) = tokio::net::TcpStream::from_std(stream) {
                let native = (Native::Tcp(stream), ciphers);
                driver.native_link(native, greeting, (torrent, Origin::Inbound), (address, place));
            }
        }
        Carrier::Utp(stream, ciphers) => {
            let native = (Native::Utp(stream), ciphers);
            driver.native_link(native, greeting, (torrent, Origin::Inbound), (address, place));
        }
        Carrier::Wire(stream, decoder) => {
            if let Ok(stream) = tokio::net::TcpStream::from_std(stream) {
                driver.pump(open_wire(greeting), stream, Framing::WebSocket(decoder), place);
            }
        }
        Carrier::Secure(stream, decoder) => {
            driver.pump(open_wire(greeting), stream, Framing::WebSocket(decoder), place);
        }
        Carrier::Split(stream, decoder) => {
            driver.pump(open_wire(greeting), *stream, Framing::Split(decoder), place);
        }
        Carrier::Channel(channel) => {
            let driver = driver.clone();
            tokio::task::spawn_local(async move {
                driver.channel_link(channel, torrent, greeting, Origin::Inbound).await;
                drop(place);
            });
        }
    }
}

/// Removes every torrent and gives trackers a moment to hear of it.
async fn farewell(driver: &Rc<Driver>, events: &mut mpsc::UnboundedReceiver<Event>) {
    driver.handle_all(driver.torrents().into_iter().map(Event::Remove));
    let goodbyes = async {
        while driver.is_asking() {
            let deadline = driver.deadline();
            tokio::select! {
                Some(event) = events.recv() => driver.handle(event),
                () = until(deadline) => driver.handle(Event::Due),
            }
        }
    };
    // Who does not answer in time is not waited for.
    let _ = tokio::time::timeout(FAREWELL, goodbyes).await;
}
