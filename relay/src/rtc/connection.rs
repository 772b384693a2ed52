//! One peer connection: its negotiation, its end, and what it holds.
//!
//! The invariant: whatever way a connection ends (closed by either side, ICE time-out, a half-negotiated one dropped),
//! its driver task stops, its entries in the port's table go, and its place under the limit is free again.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use webrtc::data_channel::{DataChannel, DataChannelEvent};
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionEventHandler, RTCIceGatheringState, RTCPeerConnectionState, RTCSessionDescription,
};

use super::channel::Channel;
use super::port::{Inbox, Port, lock};
use super::runtime::Pulse;
use super::sdp::{self, Kind, SdpError};
use super::{Error, Shared};

/// Gathering is local work, plus STUN where it is configured: a server that does not answer must not hold us up.
const GATHERING: Duration = Duration::from_secs(3);
/// Data channels that a peer may open on one connection: one for each torrent that it shares with us.
const CHANNELS: usize = 64;

/// What the driver tells us.
pub(super) struct Events {
    connection: OnceLock<Weak<Connection>>,
    gathered: watch::Sender<bool>,
    ended: watch::Sender<bool>,
    /// Channels that the peer has opened.
    opened: mpsc::Sender<Arc<dyn DataChannel>>,
    /// Set when the first channel is out: later ones go to the endpoint's `accept`.
    first: AtomicBool,
    later: mpsc::Sender<Channel>,
}

impl Events {
    pub(super) fn new(later: mpsc::Sender<Channel>) -> (Arc<Self>, mpsc::Receiver<Arc<dyn DataChannel>>) {
        let (opened, first) = mpsc::channel(1);
        let (gathered, ended) = (watch::Sender::new(false), watch::Sender::new(false));
        let connection = OnceLock::new();
        let events = Self {
            connection,
            gathered,
            ended,
            opened,
            first: AtomicBool::new(false),
            later,
        };
        (Arc::new(events), first)
    }
}

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Events {
    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            self.gathered.send_replace(true);
        }
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        if matches!(state, RTCPeerConnectionState::Failed | RTCPeerConnectionState::Closed)
            && let Some(connection) = self.connection.get().and_then(Weak::upgrade)
        {
            connection.finish();
        }
    }

    // Runs on the driver: must not wait for anything.
    async fn on_data_channel(&self, channel: Arc<dyn DataChannel>) {
        let Some(connection) = self.connection.get().and_then(Weak::upgrade) else {
            return;
        };
        if !connection.offered && !self.first.swap(true, Ordering::AcqRel) {
            let _ = self.opened.try_send(channel);
        } else if connection.channels.load(Ordering::Acquire) < CHANNELS {
            // Refused by dropping it where nobody accepts.
            let _ = self.later.try_send(Channel::new(channel, connection));
        }
    }
}

/// A peer connection with its driver.
pub(super) struct Connection {
    pub(super) peer: Arc<dyn PeerConnection>,
    pub(super) events: Arc<Events>,
    pub(super) port: Arc<Port>,
    pub(super) inbox: Arc<Inbox>,
    pub(super) pulse: Arc<Pulse>,
    pub(super) own: Arc<Mutex<Vec<SocketAddr>>>,
    /// Taken when the connection begins to close.
    pub(super) permit: Mutex<Option<OwnedSemaphorePermit>>,
    pub(super) shared: Arc<Shared>,
    /// Whether the offer was ours.
    pub(super) offered: bool,
    /// Open channels.
    pub(super) channels: AtomicUsize,
    /// Largest message that the peer takes; 0 until it is known.
    pub(super) message: AtomicUsize,
}

impl Connection {
    /// Takes what the driver tells from now on.
    pub(super) fn start(self) -> Arc<Self> {
        let connection = Arc::new(self);
        let _ = connection.events.connection.set(Arc::downgrade(&connection));
        connection
    }

    /// Applies our own description and waits for its candidates.
    async fn describe(&self, description: RTCSessionDescription) -> Result<String, Error> {
        self.peer.set_local_description(description).await?;
        let mut gathered = self.events.gathered.subscribe();
        // What has been gathered until then is what the peer gets.
        let _ = tokio::time::timeout(GATHERING, gathered.wait_for(|gathered| *gathered)).await;
        let description = self.peer.local_description().await.ok_or(Error::Closed)?;
        let own = lock(&self.own).clone();
        let addresses = if own.is_empty() { self.shared.addresses() } else { own };
        Ok(sdp::announce(&description.sdp, &addresses))
    }

    /// Makes a data channel: ordered and reliable.
    pub(super) async fn data_channel(&self, label: &str) -> Result<Arc<dyn DataChannel>, Error> {
        Ok(self.peer.create_data_channel(label, None).await?)
    }

    /// Our offer.
    pub(super) async fn offer(&self) -> Result<String, Error> {
        let offer = self.peer.create_offer(None).await?;
        self.describe(offer).await
    }

    /// Takes the peer's answer.
    pub(super) async fn accept(&self, answer: &str) -> Result<(), Error> {
        let remote = sdp::read(answer, Kind::Answer, |ip| self.shared.may_dial(ip))?;
        if self.port.knows(&remote.candidates, Some(&self.inbox)) {
            return Err(Error::Connected);
        }
        let description = RTCSessionDescription::answer(remote.text).map_err(|_| SdpError::Refused)?;
        self.peer
            .set_remote_description(description)
            .await
            .map_err(|_| SdpError::Refused)?;
        self.message.store(remote.message, Ordering::Release);
        Ok(())
    }

    /// Our answer to an offer that has been read.
    pub(super) async fn answer(&self, remote: sdp::Remote) -> Result<String, Error> {
        let description = RTCSessionDescription::offer(remote.text).map_err(|_| SdpError::Refused)?;
        self.peer
            .set_remote_description(description)
            .await
            .map_err(|_| SdpError::Refused)?;
        self.message.store(remote.message, Ordering::Release);
        let answer = self.peer.create_answer(None).await.map_err(|_| SdpError::Refused)?;
        self.describe(answer).await
    }

    /// Largest message worth sending.
    pub(super) fn message(&self) -> usize {
        self.message
            .load(Ordering::Acquire)
            .clamp(1, self.shared.options.message)
    }

    pub(super) fn window(&self) -> usize {
        self.shared.options.window
    }

    pub(super) fn pulse(&self) -> &Pulse {
        &self.pulse
    }

    pub(super) fn remote_address(&self) -> Option<SocketAddr> {
        self.inbox.source()
    }

    #[cfg(test)]
    pub(super) fn inbox(&self) -> &Inbox {
        &self.inbox
    }

    pub(super) fn has_ended(&self) -> bool {
        *self.events.ended.borrow()
    }

    /// Resolves when the connection is over.
    pub(super) async fn ended(&self) {
        // The sender lives as long as `self`.
        let _ = self.events.ended.subscribe().wait_for(|ended| *ended).await;
    }

    /// Counts a channel in.
    pub(super) fn join(&self) {
        self.channels.fetch_add(1, Ordering::AcqRel);
    }

    /// Counts a channel out; the last one ends the connection.
    pub(super) fn leave(&self) {
        if self.channels.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.finish();
        }
    }

    /// Ends the connection, once; the driver is stopped in the background.
    pub(super) fn finish(&self) {
        let Some(permit) = lock(&self.permit).take() else {
            return;
        };
        self.events.ended.send_replace(true);
        self.port.close(&self.inbox);
        let peer = self.peer.clone();
        self.shared.runtime.spawn(async move {
            // Tells the peer, then stops the driver; errors mean that it has stopped already.
            let _ = peer.close().await;
            drop(permit);
        });
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.finish();
    }
}

/// How the first channel comes.
pub(super) enum First {
    /// We have made it.
    Ours(Arc<dyn DataChannel>),
    /// The peer makes it.
    Theirs(mpsc::Receiver<Arc<dyn DataChannel>>),
}

/// A negotiated connection whose channel is not open yet. Dropping it gives up.
pub struct Pending {
    pub(super) connection: Arc<Connection>,
    pub(super) first: First,
}

impl Pending {
    /// Waits for the channel to open.
    ///
    /// # Errors
    /// `TimedOut` after the time-out of the options, `Closed` when ICE or DTLS failed before.
    pub async fn open(self) -> Result<Channel, Error> {
        let Self { connection, first } = self;
        let limit = connection.shared.options.open;
        let opening = async {
            match first {
                First::Ours(data) => loop {
                    match data.poll().await {
                        Some(DataChannelEvent::OnOpen) => return Some(data),
                        Some(DataChannelEvent::OnClose | DataChannelEvent::OnError) | None => return None,
                        Some(_) => {}
                    }
                },
                First::Theirs(mut opened) => opened.recv().await,
            }
        };
        tokio::select! {
            data = tokio::time::timeout(limit, opening) => match data {
                Ok(Some(data)) => Ok(Channel::new(data, connection)),
                Ok(None) => Err(Error::Closed),
                Err(_) => Err(Error::TimedOut),
            },
            () = connection.ended() => Err(Error::Closed),
        }
    }
}

/// An offer of ours that waits for its answer. Dropping it withdraws it.
pub struct Offer {
    pub(super) pending: Pending,
    pub(super) sdp: String,
}

impl Offer {
    /// The session description to send to the peer, complete with candidates.
    pub fn sdp(&self) -> &str {
        &self.sdp
    }

    /// Takes the peer's answer.
    ///
    /// # Errors
    /// `Sdp` when the answer is malformed, `Connected` when the peer's address already serves another connection.
    pub async fn accept(self, answer: &str) -> Result<Pending, Error> {
        self.pending.connection.accept(answer).await?;
        Ok(self.pending)
    }
}
