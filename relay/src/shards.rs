//! Several shards, one a core: each torrent lives in one of them, found by its info-hash.
//!
//! Invariant: a torrent's number tells its shard, so no table but the directory is shared. Cost: a message to another
//! thread for what is asked from outside; nothing for what peers do.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tombolo_core::door::Greeting;
use tombolo_core::event::{Add, Event, Report, Source, Torrent};
use tombolo_core::key::{PeerId, SwarmKey};
use tombolo_core::mse::{Ciphers, Policy};

use crate::lists::Lists;
use crate::rtc::Channel;
use crate::shard::{
    self, Arrival, Carrier, Command, Directory, Fresh, FreshChannel, Local, Place, ShardConfig, Start, Usage, View,
};
use crate::udp::Udp;

/// How long stopping may take in all; what is not done by then is left.
const STOP: Duration = Duration::from_millis(4_500);

/// Peers that may be in the middle of their handshake: each holds a file handle for up to ten seconds.
const HANDSHAKES: usize = 1_000;

/// What happens in all shards, as it happens.
pub type Reports = mpsc::UnboundedReceiver<(Torrent, Report)>;

/// All shards of a process.
#[derive(Clone)]
pub struct Shards {
    inner: Arc<Inner>,
}

struct Inner {
    shards: Vec<mpsc::UnboundedSender<Command>>,
    usages: Vec<Arc<Usage>>,
    directory: Arc<Directory>,
    next: AtomicU32,
    peer_id: PeerId,
    encryption: Policy,
    lists: Lists,
    /// Whether peers are told that there is a node of the DHT here.
    dht: bool,
    threads: std::sync::Mutex<Vec<JoinHandle<()>>>,
}

impl Shards {
    /// Starts `count` shards alike; each gets its part of the session's budgets.
    ///
    /// # Errors
    /// A thread cannot be started, there is no entropy, or storage cannot be opened.
    pub fn start(config: &ShardConfig, count: usize) -> io::Result<(Self, Reports)> {
        let count = count.max(1);
        let (reports, receiver) = mpsc::unbounded_channel();
        let directory = Arc::new(Directory::default());
        let (mut shards, mut usages, mut threads) = (Vec::new(), Vec::new(), Vec::new());
        let (started, starts) = std::sync::mpsc::channel();
        for index in 0..count {
            let (sender, commands) = mpsc::unbounded_channel();
            let (directory, reports) = (directory.clone(), reports.clone());
            let usage = Arc::<Usage>::default();
            usages.push(usage.clone());
            let start = Start {
                config: share(config, count),
                seed: seed()?,
                usage,
                directory,
                reports,
                commands,
            };
            let started = started.clone();
            let thread = std::thread::Builder::new().name(format!("shard-{index}"));
            threads.push(thread.spawn(move || shard::run(start, &started))?);
            shards.push(sender);
        }
        for _ in 0..count {
            starts.recv().map_err(|_| io::Error::other("a shard did not start"))??;
        }
        let (next, peer_id) = (AtomicU32::new(0), config.session.peer_id);
        let inner = Inner {
            shards,
            usages,
            directory,
            next,
            peer_id,
            encryption: config.encryption,
            lists: config.lists.clone(),
            dht: config.session.dht_port.is_some(),
            threads: threads.into(),
        };
        let shards = Self { inner: Arc::new(inner) };
        shards.refilter();
        Ok((shards, receiver))
    }

    /// Takes over the lists of addresses as they are now.
    pub fn refilter(&self) {
        let filter = self.inner.lists.filter();
        for shard in 0..self.count() {
            self.command(Torrent(shard), Command::Event(Event::Filter(filter.clone())));
        }
    }

    /// Whether the lists allow an address.
    pub(crate) fn allows(&self, address: SocketAddr) -> bool {
        self.inner.lists.allows(address.ip())
    }

    /// The lists of addresses.
    pub(crate) fn lists(&self) -> &Lists {
        &self.inner.lists
    }

    /// The torrent traded in a swarm.
    pub fn find(&self, swarm: SwarmKey) -> Option<Torrent> {
        self.inner.directory.find(swarm)
    }

    /// Adds a torrent, whose handle is given to `add`, in the shard that its first hash falls to.
    ///
    /// # Errors
    /// It is there already; the torrent that it is.
    pub fn add(&self, add: impl FnOnce(Torrent) -> Add) -> Result<Torrent, Torrent> {
        let serial = self.inner.next.fetch_add(1, Ordering::Relaxed);
        let count = self.count();
        // The hash decides the shard, so the source must be seen first.
        let mut add = add(Torrent(0));
        let swarms: Vec<SwarmKey> = match &add.source {
            Source::Metainfo(metainfo) => metainfo.hashes.swarms().collect(),
            Source::Magnet(magnet) => magnet.hashes.swarms().collect(),
        };
        let shard = swarms.first().map_or(0, |swarm| u32::from(swarm.0[0])) % count;
        add.torrent = Torrent(serial * count + shard);
        let torrent = add.torrent;
        self.inner.directory.claim(&swarms, torrent)?;
        self.send(torrent, Event::Add(Box::new(add)));
        Ok(torrent)
    }

    /// Tells a torrent's shard of an event.
    pub fn send(&self, torrent: Torrent, event: Event) {
        self.command(torrent, Command::Event(event));
    }

    /// Removes a torrent. Its swarms are free for another one at once.
    pub fn remove(&self, torrent: Torrent) {
        self.inner.directory.remove(torrent);
        self.send(torrent, Event::Remove(torrent));
    }

    /// Looks into the shard of a torrent; `None` when the shards have been stopped.
    pub async fn look<T: Send + 'static>(
        &self,
        torrent: Torrent,
        look: impl FnOnce(&mut View<'_>) -> T + Send + 'static,
    ) -> Option<T> {
        let (sender, answer) = oneshot::channel();
        let look = Box::new(move |view: &mut View<'_>| {
            let _ = sender.send(look(view));
        });
        self.command(torrent, Command::Look(look));
        answer.await.ok()
    }

    /// Looks into every shard.
    pub async fn look_all<T: Send + 'static>(
        &self,
        look: impl Fn(&mut View<'_>) -> T + Send + Clone + 'static,
    ) -> Vec<T> {
        let mut answers = Vec::new();
        for shard in 0..self.count() {
            // Any torrent of that number falls to that shard.
            answers.extend(self.look(Torrent(shard), look.clone()).await);
        }
        answers
    }

    /// Takes in peers that connect to this listener, for any torrent, until the shards are stopped.
    pub async fn listen(self, listener: TcpListener) {
        let doors = Arc::new(Semaphore::new(HANDSHAKES));
        loop {
            match listener.accept().await {
                Ok((_, address)) if !self.allows(address) => {}
                Ok((stream, address)) => {
                    // Where too many stand at the door already, one more is sent away.
                    let Ok(door) = doors.clone().try_acquire_owned() else {
                        continue;
                    };
                    let shards = self.clone();
                    tokio::spawn(async move {
                        shards.accept(stream, address).await;
                        drop(door);
                    });
                }
                // Out of file handles, most likely: others must close first.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    /// The same for peers that connect to this socket by uTP.
    pub async fn listen_utp(self, udp: Arc<Udp>) {
        let doors = Arc::new(Semaphore::new(HANDSHAKES));
        let mut accepted = udp.accept();
        while let Some(mut stream) = accepted.recv().await {
            if !self.allows(stream.remote_address()) {
                continue;
            }
            let Ok(door) = doors.clone().try_acquire_owned() else {
                continue;
            };
            let shards = self.clone();
            tokio::spawn(async move {
                if let Ok((greeting, ciphers)) = shards.greet(&mut stream).await {
                    let address = stream.remote_address();
                    shards.arrive(greeting, Carrier::Utp(stream, ciphers), Some(address), None);
                }
                drop(door);
            });
        }
    }

    /// Shakes hands with a peer that has connected, and hands it to the shard of its torrent.
    pub async fn accept(self, mut stream: TcpStream, address: SocketAddr) {
        let Ok((greeting, ciphers)) = self.greet(&mut stream).await else {
            return;
        };
        let _ = stream.set_nodelay(true);
        if let Ok(stream) = stream.into_std() {
            self.arrive(greeting, Carrier::Tcp(stream, ciphers), Some(address), None);
        }
    }

    /// Shakes hands with a native peer.
    async fn greet(&self, fresh: &mut impl Fresh) -> io::Result<(Greeting, Option<Ciphers>)> {
        let named = |alias| self.inner.directory.named(alias);
        shard::answer_any(fresh, self.inner.encryption, named, |swarm| self.answers_as(swarm)).await
    }

    /// As [`accept`](Self::accept), for a data channel that its peer opened unasked.
    pub async fn accept_channel(self, channel: Channel) {
        let answered = shard::answer(&mut FreshChannel(&channel), |swarm| self.answers_as(swarm)).await;
        let Ok(greeting) = answered else { return };
        let address = channel.remote_address();
        self.arrive(greeting, Carrier::Channel(channel), address, None);
    }

    /// Hands a peer past its handshake to the shard of its torrent.
    pub(crate) fn arrive(
        &self,
        greeting: Greeting,
        carrier: Carrier,
        address: Option<SocketAddr>,
        place: Option<Place>,
    ) {
        if let Some(torrent) = self.find(greeting.swarm) {
            let arrival = Arrival {
                torrent,
                greeting,
                carrier,
                address,
                place,
            };
            self.command(torrent, Command::Arrival(Box::new(arrival)));
        }
    }

    /// Answers an offer for a torrent that came to our own tracker; `None` if it is refused.
    pub async fn answer_offer(&self, torrent: Torrent, sdp: String) -> Option<String> {
        let (sender, answer) = oneshot::channel();
        self.command(torrent, Command::Offer(torrent, sdp, sender));
        answer.await.ok().flatten()
    }

    /// Who we are in a swarm that is here.
    pub(crate) fn answers_as(&self, swarm: SwarmKey) -> Option<Local> {
        let v2 = self.inner.directory.v2(swarm)?;
        let id = self.inner.peer_id;
        let dht = self.inner.dht;
        Some(Local { id, v2, dht })
    }

    /// How we name ourselves.
    pub fn peer_id(&self) -> PeerId {
        self.inner.peer_id
    }

    /// Stops every shard: trackers are told, storage is written out. Takes at most 4.5 seconds.
    pub async fn stop(&self) {
        let mut stopping = Vec::new();
        for shard in &self.inner.shards {
            let (sender, stopped) = oneshot::channel();
            let _ = shard.send(Command::Stop(sender));
            stopping.push(stopped);
        }
        let all = async {
            for stopped in stopping {
                let _ = stopped.await;
            }
            let threads = std::mem::take(
                &mut *self
                    .inner
                    .threads
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner),
            );
            // Joined where waiting hurts nobody: storage is written out as the threads end.
            let _ =
                tokio::task::spawn_blocking(move || threads.into_iter().for_each(|thread| drop(thread.join()))).await;
        };
        let _ = tokio::time::timeout(STOP, all).await;
    }

    /// What each of them uses.
    pub(crate) fn usages(&self) -> Vec<Arc<Usage>> {
        self.inner.usages.clone()
    }

    fn count(&self) -> u32 {
        u32::try_from(self.inner.shards.len()).unwrap_or(u32::MAX)
    }

    fn command(&self, torrent: Torrent, command: Command) {
        if let Some(shard) = self.inner.shards.get((torrent.0 % self.count()) as usize) {
            // A shard that has ended answers nothing, which whoever waits sees by the dropped sender.
            let _ = shard.send(command);
        }
    }
}

/// A shard's part of the budgets.
fn share(config: &ShardConfig, count: usize) -> ShardConfig {
    let mut config = config.clone();
    let count = count as u64;
    config.session.memory /= count;
    config.session.cache /= count;
    config.session.up = config.session.up.map(|rate| rate / count);
    config.session.down = config.session.down.map(|rate| rate / count);
    let part = |limit: usize| limit / count as usize;
    config.session.max_links = part(config.session.max_links);
    config.session.half_open = part(config.session.half_open);
    config
}

fn seed() -> io::Result<u64> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(u64::from_ne_bytes(bytes))
}
