//! Reaching a native peer: over TCP and uTP, whichever answers first; hidden from others or not.
//!
//! Invariant: every dial of the session is answered, by a link or by its failure. Cost: two connection attempts where TCP does not answer
//! within 250 ms, and a second connection to peers that do not know the hidden handshake.

use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;
use tombolo_core::door::Greeting;
use tombolo_core::event::{Dial, Origin, Torrent, Transport};
use tombolo_core::key::SwarmKey;
use tombolo_core::mse::{Ciphers, Policy};

use super::Place;
use super::driver::Driver;
use super::greet::{self, Local};
use super::link::Framing;
use super::stream::{Encrypted, Stream};
use crate::proxy::Target;
use crate::udp::{Udp, UtpStream};

/// How long TCP is waited for before uTP is tried beside it (RFC 8305's delay between attempts). TCP is faster where both work.
const HEAD_START: Duration = Duration::from_millis(250);

/// How long a peer may take to answer over uTP.
const UTP_PATIENCE: Duration = Duration::from_secs(4);

/// How long a peer may take to answer the hidden handshake before it is taken for one that does not know it.
const HIDDEN_PATIENCE: Duration = Duration::from_secs(5);

/// A connection to a native peer.
pub(crate) enum Native {
    Tcp(TcpStream),
    Utp(UtpStream),
}

/// One past its handshake, and the ciphers that were agreed on.
type Reached = (Native, Greeting, Option<Ciphers>);

impl Driver {
    /// Reaches a peer and tells the session. A hole is punched over uTP alone, as the peer does the same (BEP 55).
    pub(super) fn dial(self: &Rc<Self>, dial: Dial, torrent: Torrent, (address, punch): (SocketAddr, bool)) {
        let named = self.config().outside.way.is_stand_in(address);
        let allowed = named || self.config().allow_local || !crate::outside::is_local(address.ip());
        let driver = self.clone();
        driver.usage().dials.add(1);
        tokio::task::spawn_local(async move {
            let reached = async {
                let named = driver.swarm(torrent, Origin::Dialled(dial)).filter(|_| allowed)?;
                driver.reach((address, punch), named).await.ok()
            };
            let reached = reached.await;
            driver.usage().dials.sub(1);
            match reached {
                Some((native, greeting, ciphers)) if driver.has(torrent) => {
                    let how = (torrent, Origin::Dialled(dial));
                    driver.native_link((native, ciphers), greeting, how, (Some(address), None));
                }
                _ => driver.handle(tombolo_core::event::Event::DialFailed(dial)),
            }
        });
    }

    /// Tells the session of a native peer that is past its handshake, and pumps.
    pub(super) fn native_link(
        self: &Rc<Self>,
        (native, ciphers): (Native, Option<Ciphers>),
        greeting: Greeting,
        (torrent, origin): (Torrent, Origin),
        (address, place): (Option<SocketAddr>, Option<Place>),
    ) {
        match native {
            Native::Tcp(stream) => {
                let opened = self.open(torrent, greeting, (Transport::Tcp, origin), address);
                self.pump_native(opened, stream, ciphers, place);
            }
            Native::Utp(stream) => {
                let opened = self.open(torrent, greeting, (Transport::Utp, origin), address);
                self.pump_native(opened, stream, ciphers, place);
            }
        }
    }

    fn pump_native(
        self: &Rc<Self>,
        opened: (tombolo_core::event::Link, Rc<super::link::Flow>),
        stream: impl Stream + 'static,
        ciphers: Option<Ciphers>,
        place: Option<Place>,
    ) {
        match ciphers {
            Some(ciphers) => self.pump(opened, Encrypted::new(stream, ciphers), Framing::Raw, place),
            None => self.pump(opened, stream, Framing::Raw, place),
        }
    }

    /// Connects and shakes hands. A peer that does not take a hybrid's v1 name may know its v2 name alone (BEP 52).
    async fn reach(&self, to: (SocketAddr, bool), (swarm, local): (SwarmKey, Local)) -> io::Result<Reached> {
        match (self.attempt(to, swarm, local).await?, local.v2) {
            (Ok(reached), _) => Ok(reached),
            (Err(_), Some(v2)) => self.attempt(to, v2, local).await?,
            (Err(error), None) => Err(error),
        }
    }

    /// Connects by one name, in the ways that the policy allows, the hidden one first; the inner result is the handshake's.
    async fn attempt(&self, to: (SocketAddr, bool), swarm: SwarmKey, local: Local) -> io::Result<io::Result<Reached>> {
        let policy = self.config().encryption;
        if policy != Policy::Off {
            let mut native = self.connect_native(to).await?;
            let knocking = async {
                match &mut native {
                    Native::Tcp(stream) => greet::knock_hidden(stream, policy, swarm, local).await,
                    Native::Utp(stream) => greet::knock_hidden(stream, policy, swarm, local).await,
                }
            };
            match timeout(HIDDEN_PATIENCE, knocking).await {
                Ok(Ok((greeting, ciphers))) => return Ok(Ok((native, greeting, ciphers))),
                Ok(Err(error)) if policy == Policy::Require => return Ok(Err(error)),
                Err(late) if policy == Policy::Require => return Ok(Err(late.into())),
                _ => {}
            }
        }
        let mut native = self.connect_native(to).await?;
        let greeting = match &mut native {
            Native::Tcp(stream) => greet::knock(stream, swarm, local).await,
            Native::Utp(stream) => greet::knock(stream, swarm, local).await,
        };
        Ok(greeting.map(|greeting| (native, greeting, None)))
    }

    /// Connects over TCP, and over uTP where that is not at once; the first is kept.
    async fn connect_native(&self, (address, punch): (SocketAddr, bool)) -> io::Result<Native> {
        let named = self.config().outside.way.is_stand_in(address);
        // Of a peer that only the proxy knows the address of, nobody could tell its datagrams.
        let reaches = |udp: &&Arc<Udp>| !named && udp.reaches(address);
        let utp = self.config().utp.iter().find(reaches);
        let over_tcp = async {
            let stream = timeout(
                greet::PATIENCE,
                self.config().outside.way.connect(Target::Address(address)),
            )
            .await??;
            stream.set_nodelay(true)?;
            io::Result::Ok(Native::Tcp(stream))
        };
        let over_utp = async {
            match utp {
                Some(udp) => Ok(Native::Utp(timeout(UTP_PATIENCE, udp.connect(address)).await??)),
                None => Err(io::Error::from(io::ErrorKind::Unsupported)),
            }
        };
        if punch || !self.config().tcp {
            return over_utp.await;
        }
        tokio::pin!(over_tcp, over_utp);
        match timeout(HEAD_START, &mut over_tcp).await {
            Ok(Ok(native)) => return Ok(native),
            Ok(Err(_)) => return over_utp.await,
            Err(_) => {}
        }
        let mut failed = 0;
        loop {
            let (tcp, utp) = (failed & 1 == 0, failed & 2 == 0);
            tokio::select! {
                native = async { if tcp { over_tcp.as_mut().await } else { pending().await } } => match native {
                    Ok(native) => return Ok(native),
                    Err(error) if !utp => return Err(error),
                    Err(_) => failed |= 1,
                },
                native = async { if utp { over_utp.as_mut().await } else { pending().await } } => match native {
                    Ok(native) => return Ok(native),
                    Err(error) if !tcp => return Err(error),
                    Err(_) => failed |= 2,
                },
            }
        }
    }
}
