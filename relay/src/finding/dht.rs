//! The node of the DHT: gives the machine of the core its datagrams and its time, and does what it wants done.

use std::collections::HashSet;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tombolo_core::dht::krpc::{Body, Message, Query};
use tombolo_core::dht::{Action, Config, Dht, Event};

use super::{Ask, Clock, Settings, deliver};
use crate::outside::is_local;
use crate::proxy::Way;
use crate::replace::{PUBLIC, replace};
use crate::shards::Shards;
use crate::udp::{Kind, Udp};

/// Datagrams that wait. More are dropped, as the network might.
const BACKLOG: usize = 4_096;

/// How often the table is written out.
const SAVE: Duration = Duration::from_secs(300);

/// How long a name may take to be resolved.
const PATIENCE: Duration = Duration::from_secs(10);

type Datagram = (SocketAddr, Vec<u8>);

/// A node.
pub(super) struct Node {
    dht: Dht,
    sockets: Vec<Arc<Udp>>,
    shards: Shards,
    clock: Clock,
    bootstrap: Vec<String>,
    way: Way,
    /// Questions to nodes of which only the proxy knows the address, by their transactions.
    scouts: HashSet<Vec<u8>>,
    allow_local: bool,
    state: Option<PathBuf>,
    datagrams: mpsc::Receiver<Datagram>,
    /// Addresses that names were resolved to.
    contacts: (mpsc::Sender<Vec<SocketAddr>>, mpsc::Receiver<Vec<SocketAddr>>),
}

impl Node {
    /// A node on these sockets, with the table of the last time.
    pub(super) fn new(settings: &Settings, sockets: Vec<Arc<Udp>>, shards: Shards, clock: Clock) -> Self {
        let (sender, datagrams) = mpsc::channel(BACKLOG);
        for socket in &sockets {
            let (sender, shards) = (sender.clone(), shards.clone());
            socket.take(
                Kind::Dht,
                Box::new(move |_, datagram, (from, _)| {
                    if shards.allows(from) {
                        let _ = sender.try_send((from, datagram.to_vec()));
                    }
                }),
            );
        }
        // Where nothing is at that address; whether its family can be sent to is what counts.
        let [v4, v6] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        let has = |ip: IpAddr| sockets.iter().any(|socket| socket.reaches((ip, 0).into()));
        let config = Config {
            v4: has(v4),
            v6: has(v6),
            // Who takes no links cannot be asked either.
            read_only: settings.listening.is_empty(),
            allow_local: settings.allow_local,
            implied_port: false,
        };
        let mut secret = [0; 32];
        if getrandom::fill(&mut secret).is_err() {
            // Without entropy there are no tokens that hold; the address of something is better than nothing.
            secret[..8].copy_from_slice(&(std::ptr::from_ref(settings) as usize as u64).to_ne_bytes());
        }
        let mut dht = Dht::new(config, secret);
        if let Some(saved) = settings.state.as_ref().and_then(|path| std::fs::read(path).ok()) {
            dht.import(clock.now(), &saved);
        }
        Self {
            dht,
            sockets,
            shards,
            clock,
            bootstrap: settings.bootstrap(),
            way: settings.way.clone(),
            scouts: HashSet::new(),
            allow_local: settings.allow_local,
            state: settings.state.clone(),
            datagrams,
            contacts: mpsc::channel(16),
        }
    }

    /// Runs until it is told to stop. `port` is where peers reach us.
    pub(super) async fn run(
        mut self,
        mut asks: mpsc::UnboundedReceiver<Ask>,
        mut stop: mpsc::Receiver<oneshot::Sender<()>>,
        port: watch::Receiver<Option<u16>>,
    ) {
        let mut saves = tokio::time::interval(SAVE);
        saves.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        self.handle(Event::Due);
        loop {
            let deadline = self.dht.deadline();
            tokio::select! {
                Some((from, datagram)) = self.datagrams.recv() => {
                    self.hear_scout(from, &datagram);
                    self.handle(Event::Datagram(from, &datagram));
                }
                Some(ask) = asks.recv() => self.obey(ask, *port.borrow()),
                Some(contacts) = self.contacts.1.recv() => self.handle(Event::Contacts(&contacts)),
                Some(stopped) = stop.recv() => {
                    self.save();
                    let _ = stopped.send(());
                    return;
                }
                _ = saves.tick() => self.save(),
                () = self.clock.until(deadline) => self.handle(Event::Due),
            }
        }
    }

    fn obey(&mut self, ask: Ask, announce: Option<u16>) {
        match ask {
            Ask::Lookup(_, swarms) => {
                for swarm in swarms {
                    self.handle(Event::Search { swarm, announce });
                }
            }
            Ask::Node(address) => self.handle(Event::Contacts(&[address])),
            // Whoever asked may be gone.
            Ask::Figures(answer) => drop(answer.send(self.dht.figures())),
        }
    }

    fn handle(&mut self, event: Event<'_>) {
        self.dht.handle(self.clock.now(), event);
        while let Some(action) = self.dht.poll() {
            match action {
                Action::Send(to, datagram) => self.send(to, &datagram),
                Action::Found(swarm, peers) => deliver(&self.shards, swarm, peers),
                Action::Bootstrap => self.bootstrap(),
                Action::Searched { .. } | Action::Address(_) => {}
            }
        }
    }

    fn send(&self, to: SocketAddr, datagram: &[u8]) {
        let reaches = |socket: &&Arc<Udp>| socket.reaches(to);
        if let Some(socket) = self.sockets.iter().find(reaches).filter(|_| self.shards.allows(to)) {
            socket.send(datagram, to);
        }
    }

    /// Asks a node of which only its name is known whether it is there: its answer shows its address.
    fn scout(&mut self, host: &str, port: u16) {
        let mut transaction = [0; 8];
        let Some(id) = self.dht.id(false).filter(|_| getrandom::fill(&mut transaction).is_ok()) else {
            return;
        };
        let question = Message {
            transaction: transaction.to_vec(),
            body: Body::Query(id, Query::Ping),
            read_only: true,
            ip: None,
        };
        self.scouts.insert(transaction.to_vec());
        self.sockets
            .iter()
            .for_each(|socket| socket.send_to_host(&question.encode(), host, port));
    }

    /// The answer to such a question names a node.
    fn hear_scout(&mut self, from: SocketAddr, datagram: &[u8]) {
        if self.scouts.is_empty() {
            return;
        }
        if let Ok(Message {
            transaction,
            body: Body::Response(_),
            ..
        }) = Message::decode(datagram)
            && self.scouts.remove(&transaction)
        {
            self.handle(Event::Contacts(&[from]));
        }
    }

    /// Resolves the names of the nodes to begin with.
    fn bootstrap(&mut self) {
        if self.way.has_proxy() {
            // Those that did not answer the last time.
            self.scouts.clear();
            for name in self.bootstrap.clone() {
                if let Ok(address) = name.parse() {
                    self.handle(Event::Contacts(&[address]));
                } else if let Some((host, port)) = name.rsplit_once(':')
                    && let Ok(port) = port.parse()
                {
                    self.scout(host, port);
                }
            }
            return;
        }
        for name in self.bootstrap.clone() {
            let (contacts, allow_local) = (self.contacts.0.clone(), self.allow_local);
            tokio::spawn(async move {
                if let Ok(Ok(found)) = tokio::time::timeout(PATIENCE, tokio::net::lookup_host(&name)).await {
                    let allowed = found.filter(|address| allow_local || !is_local(address.ip()));
                    // The node may have ended.
                    let _ = contacts.send(allowed.collect()).await;
                }
            });
        }
    }

    /// Writes the table out; one that cannot be written is found again.
    fn save(&self) {
        if let Some(path) = self.state.as_ref().filter(|_| self.dht.nodes() != (0, 0)) {
            let _ = replace(path, PUBLIC, |file| file.write_all(&self.dht.export()));
        }
    }
}
