//! WebRTC connections being negotiated, and the pump of a data channel.
//!
//! Invariant: every offer of the session is answered: by a description, by a link, or by its failure. The WebRTC stack runs
//! on the shard's own thread: what it acknowledges and what the session sends next meet without waking another.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use tombolo_core::door::Greeting;
use tombolo_core::event::{Event, Link, Offer, Origin, Torrent, Transport};

use super::driver::Driver;
use super::greet::{self, FreshChannel};
use super::link::Flow;
use crate::rtc::{self, Channel, Pending};

/// The label of our data channels. Receivers ignore it.
const LABEL: &str = "tombolo";

/// Offers of ours that wait for an answer.
#[derive(Default)]
pub(crate) struct Negotiations {
    waiting: RefCell<HashMap<Offer, (Torrent, rtc::Offer)>>,
}

impl Negotiations {
    /// Frees an offer that nobody took.
    pub(super) fn withdraw(&self, offer: Offer) {
        self.waiting.borrow_mut().remove(&offer);
    }
}

impl Driver {
    pub(super) fn make_offer(self: &Rc<Self>, offer: Offer, torrent: Torrent) {
        let driver = self.clone();
        tokio::task::spawn_local(async move {
            let made = match driver.rtc() {
                Some(rtc) => rtc.offer(LABEL).await,
                None => Err(rtc::Error::Closed),
            };
            driver.handle(match made {
                Ok(made) => {
                    let sdp = made.sdp().to_owned();
                    driver.negotiations.waiting.borrow_mut().insert(offer, (torrent, made));
                    Event::Described(offer, sdp)
                }
                Err(_) => Event::OfferFailed(offer),
            });
        });
    }

    /// The answer to an offer of ours.
    pub(super) fn accept(self: &Rc<Self>, offer: Offer, sdp: &str) {
        let waiting = self.negotiations.waiting.borrow_mut().remove(&offer);
        let Some((torrent, made)) = waiting else { return };
        let (driver, sdp) = (self.clone(), sdp.to_owned());
        tokio::task::spawn_local(async move {
            match made.accept(&sdp).await {
                Ok(pending) => driver.connect(pending, torrent, Origin::Offered(offer)).await,
                Err(_) => driver.handle(Event::OfferFailed(offer)),
            }
        });
    }

    /// Answers another peer's offer that came through a tracker of the session.
    pub(super) fn answer(self: &Rc<Self>, offer: Offer, torrent: Torrent, sdp: String) {
        let driver = self.clone();
        tokio::task::spawn_local(async move {
            let answered = match driver.rtc() {
                Some(rtc) => rtc.answer(&sdp).await,
                None => Err(rtc::Error::Closed),
            };
            match answered {
                Ok((pending, sdp)) => {
                    driver.handle(Event::Described(offer, sdp));
                    driver.connect(pending, torrent, Origin::Offered(offer)).await;
                }
                Err(_) => driver.handle(Event::OfferFailed(offer)),
            }
        });
    }

    /// Answers an offer that came to our own tracker: the answer, unless it is refused.
    pub(crate) async fn answer_inbound(self: &Rc<Self>, torrent: Torrent, sdp: String) -> Option<String> {
        if !self.has(torrent) {
            return None;
        }
        let (pending, sdp) = self.rtc()?.answer(&sdp).await.ok()?;
        let driver = self.clone();
        tokio::task::spawn_local(async move { driver.connect(pending, torrent, Origin::Inbound).await });
        Some(sdp)
    }

    /// Waits for the channel, shakes hands and pumps.
    async fn connect(self: &Rc<Self>, pending: Pending, torrent: Torrent, origin: Origin) {
        let connected = async {
            let channel = pending.open().await.ok()?;
            let (swarm, local) = self.swarm(torrent, origin)?;
            let greeting = greet::knock(&mut FreshChannel(&channel), swarm, local).await.ok()?;
            Some((channel, greeting))
        };
        match (connected.await, origin) {
            (Some((channel, greeting)), _) if self.has(torrent) => {
                self.channel_link(channel, torrent, greeting, origin).await;
            }
            (_, Origin::Offered(offer)) => self.handle(Event::OfferFailed(offer)),
            _ => {}
        }
    }

    /// Pumps a data channel that is past its handshake until it is over.
    pub(crate) async fn channel_link(
        self: &Rc<Self>,
        channel: Channel,
        torrent: Torrent,
        greeting: Greeting,
        origin: Origin,
    ) {
        let (link, flow) = self.open(torrent, greeting, (Transport::Rtc, origin), channel.remote_address());
        let reading = async {
            while let Some(data) = channel.recv().await {
                if flow.is_closed() {
                    break;
                }
                self.handle(Event::Received(link, data));
            }
        };
        tokio::select! {
            () = reading => {}
            () = self.write_channel(&channel, link, &flow) => {}
        }
        self.link_ended(link, &flow);
        channel.close().await;
    }

    /// Sends what the session has as the window opens; ends when the link is closed or broken.
    async fn write_channel(self: &Rc<Self>, channel: &Channel, link: Link, flow: &Flow) {
        loop {
            flow.stirred().await;
            if flow.is_closed() {
                return;
            }
            let Ok(room) = channel.writable().await else { return };
            let mut frames = Vec::new();
            let (_, more) = self.pull(link, room.min(channel.message()), &mut frames);
            flow.set_flush(more);
            self.pulled();
            if channel.send(frames).await.is_err() {
                return;
            }
        }
    }
}
