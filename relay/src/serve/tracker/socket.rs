//! The tracker over WebSocket: announces of web peers, and the offers and answers by which they meet.
//!
//! A socket may announce for many swarms; when it ends, its peers are forgotten at once. An idle socket holds no read buffer. Cost of an
//! announce: one message for each offer handed on, its SDP copied and never read.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::mpsc::Receiver;
use tombolo_core::event::{Torrent, Transport};
use tombolo_core::key::{PeerId, SwarmKey};
use tombolo_core::tracker::query::{AnnounceEvent, AnnounceRequest, Failure};
use tombolo_core::tracker::registry::{Answer, Asker, Place, WebPeer};
use tombolo_core::tracker::ws::{self, Offer, Reply, Request, Sdp, Signal};

use super::native::bridged;
use super::{Face, MAX_NUMWANT, OURSELVES, Pass};
use crate::serve::Relay;
use crate::serve::guard::Ends;
use crate::serve::websocket::frame::{self, Decoder, Fault, Part, opcode};
use crate::stream::Stream;

/// What one read takes in: most announces with their offers.
const READ: usize = 16 << 10;

/// After so many bytes what is waiting is written.
const WRITE: usize = 64 << 10;

/// A socket that says nothing for so long is asked whether it lives, and closed when it says nothing for as long again.
const QUIET: Duration = Duration::from_secs(90);

/// How long a write may take.
const STALL: Duration = Duration::from_secs(20);

/// Swarms that one socket may announce for.
const MAX_SWARMS: usize = 1_000;

/// The same without limits.
const MANY_SWARMS: usize = 1_000_000;

/// One socket.
struct Client {
    relay: Arc<Relay>,
    connection: u64,
    address: IpAddr,
    pass: Pass,
    /// Kept from one announce to the next.
    answer: Answer,
    /// What it has announced, to be forgotten with it.
    announced: BTreeMap<SwarmKey, PeerId>,
}

/// Serves one socket until it ends. `read` is what came after the request, `passkey` what its path had.
pub(crate) async fn serve(relay: Arc<Relay>, stream: Stream, read: Bytes, ends: Ends, passkey: Option<String>) {
    let connection = relay.tracker.next.fetch_add(1, Ordering::Relaxed);
    let messages = relay.tracker.sockets.open(connection);
    let mut client = Client {
        pass: relay.tracker.access.pass(passkey.as_deref()),
        answer: Answer::default(),
        relay,
        connection,
        address: ends.remote.ip(),
        announced: BTreeMap::new(),
    };
    talk(&mut client, stream, messages, BytesMut::from(&read[..])).await;
    let tracker = &client.relay.tracker;
    tracker.sockets.close(connection);
    for (swarm, peer_id) in &client.announced {
        tracker
            .part(*swarm)
            .registry
            .leave(*swarm, *peer_id, Place::Web(connection));
    }
}

/// Reads and writes until either end is done. What there is to say is said in one write.
async fn talk(client: &mut Client, mut stream: Stream, mut messages: Receiver<Bytes>, mut input: BytesMut) {
    let (mut decoder, mut text) = (Decoder::new(ws::MAX_MESSAGE as u64), BytesMut::new());
    let (mut asked, mut waiting) = (false, None::<Bytes>);
    loop {
        let mut output = Vec::new();
        let open = take_in(client, &mut decoder, (&mut input, &mut text), &mut output);
        while open && output.len() < WRITE {
            let Some(message) = waiting.take().or_else(|| messages.try_recv().ok()) else {
                break;
            };
            output.extend_from_slice(&message);
        }
        if !output.is_empty() && !write(&mut stream, &output).await || !open {
            let _ = stream.shutdown().await;
            return;
        }
        drop(output);
        tokio::select! {
            read = stream.fill(&mut input, READ) => {
                match read {
                    Ok(0) | Err(_) => return,
                    Ok(_) => asked = false,
                }
            }
            message = messages.recv() => {
                if message.is_none() {
                    return;
                }
                waiting = message;
            }
            () = tokio::time::sleep(QUIET) => {
                if asked || !write(&mut stream, &frame::message(opcode::PING, b"")).await {
                    return;
                }
                asked = true;
            }
        }
    }
}

async fn write(stream: &mut Stream, bytes: &[u8]) -> bool {
    matches!(tokio::time::timeout(STALL, stream.write_all(bytes)).await, Ok(Ok(())))
}

/// Decodes what has come; what is to be sent back at once is put to `replies`. False: the socket is to be closed.
fn take_in(
    client: &mut Client,
    decoder: &mut Decoder,
    (input, text): (&mut BytesMut, &mut BytesMut),
    replies: &mut Vec<u8>,
) -> bool {
    loop {
        match decoder.next(input) {
            Ok(None) => return true,
            Ok(Some(Part::Data { data, last, .. })) => {
                if text.is_empty() {
                    *text = data;
                } else {
                    text.extend_from_slice(&data);
                }
                if last {
                    let whole = std::mem::take(text);
                    client.message(&whole, replies);
                }
            }
            Ok(Some(Part::Ping(payload))) => replies.extend_from_slice(&frame::message(opcode::PONG, &payload)),
            Ok(Some(Part::Pong)) => {}
            Ok(Some(Part::Close(code))) => {
                replies.extend_from_slice(&frame::close(code.unwrap_or(1000), ""));
                return false;
            }
            Err(fault @ (Fault::Protocol(_) | Fault::TooBig)) => {
                replies.extend_from_slice(&frame::close(fault.code(), fault.reason()));
                return false;
            }
        }
    }
}

/// A message as it is sent.
pub(super) fn framed(reply: &Reply<'_>) -> Bytes {
    frame::message(opcode::TEXT, reply.encode().as_bytes())
}

impl Client {
    /// Answers one message. A malformed one is refused and the socket stays: others of the same tab's torrents use it too.
    fn message(&mut self, message: &[u8], replies: &mut Vec<u8>) {
        let request = std::str::from_utf8(message).map_err(|_| String::from("not UTF-8"));
        let request = request.and_then(|text| Request::decode(text).map_err(|error| error.to_string()));
        match request {
            Ok(Request::Announce(request, offers)) => self.announce(&request, &offers, replies),
            Ok(Request::Answer { to, signal }) => self.answer(to, signal),
            Ok(Request::Scrape(swarms)) => replies.extend_from_slice(&framed(&self.scrape(&swarms))),
            Err(reason) => replies.extend_from_slice(&framed(&Reply::Failed(
                None,
                Failure {
                    reason,
                    retry_in_minutes: None,
                },
            ))),
        }
    }

    fn announce(&mut self, request: &AnnounceRequest, offers: &[Offer<'_>], replies: &mut Vec<u8>) {
        if !self.relay.rates.tracker(self.address) {
            replies.extend_from_slice(&framed(&Reply::Failed(Some(request.swarm), super::too_often())));
            return;
        }
        let relay = self.relay.clone();
        let tracker = &relay.tracker;
        if let Err(failure) = tracker.admit(Face::Web, request.swarm, self.pass) {
            replies.extend_from_slice(&framed(&Reply::Failed(Some(request.swarm), failure)));
            return;
        }
        let stopped = request.event == AnnounceEvent::Stopped;
        if stopped {
            self.announced.remove(&request.swarm);
        } else if self.announced.len() < self.most_swarms() || self.announced.contains_key(&request.swarm) {
            self.announced.insert(request.swarm, request.peer_id);
        } else {
            let failure = Failure {
                reason: "too many swarms on one socket".into(),
                retry_in_minutes: None,
            };
            replies.extend_from_slice(&framed(&Reply::Failed(Some(request.swarm), failure)));
            return;
        }
        let asker = Asker {
            request,
            place: Place::Web(self.connection),
            numwant: offers.len().min(MAX_NUMWANT),
            family: None,
        };
        tracker.announce(&asker, &mut self.answer);
        let answer = &self.answer;
        let reply = tracker.reply(answer.counts, tracker.settings.interval);
        replies.extend_from_slice(&framed(&Reply::Announced(request.swarm, reply)));
        let torrent = bridged(&relay, request, answer).filter(|_| relay.answers);
        if !stopped {
            self.hand_on(request, offers, (torrent, &answer.web));
        }
    }

    fn most_swarms(&self) -> usize {
        if self.relay.settings.limits {
            MAX_SWARMS
        } else {
            MANY_SWARMS
        }
    }

    /// Hands the offers to peers, the first one to ourselves where we are in the swarm.
    fn hand_on(
        &self,
        request: &AnnounceRequest,
        offers: &[Offer<'_>],
        (torrent, peers): (Option<Torrent>, &[WebPeer]),
    ) {
        let mut offers = offers.iter();
        if let Some(torrent) = torrent
            && let Some(offer) = offers.next()
        {
            self.take(torrent, request, offer.clone());
        }
        let others = peers.iter().filter(|peer| peer.connection != OURSELVES);
        for (offer, peer) in offers.zip(others) {
            let Offer { id, sdp } = offer.clone();
            let signal = Signal {
                swarm: request.swarm,
                from: request.peer_id,
                offer: id,
                sdp,
            };
            self.relay
                .tracker
                .sockets
                .put(peer.connection, framed(&Reply::Offer(signal)));
        }
    }

    /// Takes an offer for our own peer, unless that tab has a link with us for the torrent already.
    fn take(&self, torrent: Torrent, request: &AnnounceRequest, offer: Offer<'_>) {
        let (relay, connection) = (self.relay.clone(), self.connection);
        let (swarm, peer_id, id, sdp) = (request.swarm, request.peer_id, offer.id, offer.sdp.text());
        tokio::spawn(async move {
            let linked = relay.shards.look(torrent, move |view| {
                view.has_peer(torrent, peer_id, Transport::Wire) || view.has_peer(torrent, peer_id, Transport::Rtc)
            });
            if linked.await != Some(false) {
                return;
            }
            if let Some(sdp) = relay.shards.answer_offer(torrent, sdp).await {
                let signal = Signal {
                    swarm,
                    from: relay.shards.peer_id(),
                    offer: id,
                    sdp: Sdp::new(&sdp),
                };
                relay.tracker.sockets.put(connection, framed(&Reply::Answer(signal)));
            }
        });
    }

    /// Hands an answer to the peer that made the offer. One for us is about no offer of ours.
    fn answer(&self, to: PeerId, signal: Signal<'_>) {
        let tracker = &self.relay.tracker;
        let connection = tracker.part(signal.swarm).registry.connection(signal.swarm, to);
        if let Some(connection) = connection.filter(|connection| *connection != OURSELVES) {
            tracker.sockets.put(connection, framed(&Reply::Answer(signal)));
        }
    }

    fn scrape(&self, swarms: &[SwarmKey]) -> Reply<'static> {
        if !self.relay.rates.tracker(self.address) {
            return Reply::Failed(None, super::too_often());
        }
        let tracker = &self.relay.tracker;
        tracker.asked.scrapes.fetch_add(1, Ordering::Relaxed);
        if let Err(error) = tracker.access.still(self.pass) {
            let reason = error.to_string();
            return Reply::Failed(
                None,
                Failure {
                    reason,
                    retry_in_minutes: None,
                },
            );
        }
        if !swarms.is_empty() {
            return Reply::Scraped(swarms.iter().map(|swarm| (*swarm, tracker.scrape(*swarm))).collect());
        }
        match tracker.scrape_all() {
            Some(all) => Reply::Scraped(all),
            None => {
                let reason = String::from("name the swarms to scrape by info_hash");
                Reply::Failed(
                    None,
                    Failure {
                        reason,
                        retry_in_minutes: None,
                    },
                )
            }
        }
    }
}
