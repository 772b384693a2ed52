//! The trackers of web peers (WebTorrent): JSON in WebSocket messages. They also carry the offers and answers by which peers meet.
//!
//! An announce brings offers along, which the tracker hands to other peers of the swarm; their answers come back the same way. Hashes and
//! ids are strings with one character for each byte. An SDP is kept as the literal it came in, so that relaying it copies and never reads it.

use super::json::{self, Json, JsonError};
use super::query::{AnnounceEvent, AnnounceReply, AnnounceRequest, Failure, ScrapeCounts};
use crate::gather::Gather;
use crate::key::{PeerId, SwarmKey};
use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

/// The longest message read, in bytes: more than [`MAX_OFFERS`] offers of an ordinary length.
pub const MAX_MESSAGE: usize = 256 * 1024;

/// The longest SDP read, in bytes as it is written. A data channel's with many candidates has some 3 KiB.
pub const MAX_SDP: usize = 16 * 1024;

/// The most offers read of one announce. WebTorrent and libtorrent make 5 to 10.
pub const MAX_OFFERS: usize = 20;

/// The most swarms read of one scrape.
pub const MAX_SCRAPE: usize = 100;

/// The name by which an answer finds its offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OfferId(pub [u8; 20]);

/// A session description as a JSON string literal. Invariant: at most [`MAX_SDP`] bytes where it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sdp<'a>(Cow<'a, str>);

/// One offer of an announce.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer<'a> {
    /// Its name.
    pub id: OfferId,
    /// What is offered.
    pub sdp: Sdp<'a>,
}

/// An offer or answer on its way from one peer to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signal<'a> {
    /// The swarm they share.
    pub swarm: SwarmKey,
    /// The peer it comes from.
    pub from: PeerId,
    /// The offer it is or answers.
    pub offer: OfferId,
    /// What is offered or answered.
    pub sdp: Sdp<'a>,
}

/// What a peer sends to a tracker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// It makes itself known and offers connections.
    Announce(AnnounceRequest, Vec<Offer<'a>>),
    /// It answers an offer of the peer `to`.
    Answer {
        /// Who made the offer.
        to: PeerId,
        /// The answer.
        signal: Signal<'a>,
    },
    /// It asks for the counts of these swarms; none named means all.
    Scrape(Vec<SwarmKey>),
}

/// What a tracker sends to a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply<'a> {
    /// The answer to an announce; some trackers also send it for an answer.
    Announced(SwarmKey, AnnounceReply),
    /// A peer offers a connection.
    Offer(Signal<'a>),
    /// A peer answers one of ours.
    Answer(Signal<'a>),
    /// The answer to a scrape.
    Scraped(Vec<(SwarmKey, ScrapeCounts)>),
    /// A refusal, of the announce for this swarm where it says.
    Failed(Option<SwarmKey>, Failure),
    /// Something we do not know; to be passed over.
    Unknown,
}

/// Why a message cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WsError {
    /// Longer than [`MAX_MESSAGE`].
    TooLong {
        /// Its length in bytes.
        received: usize,
    },
    /// Not JSON.
    Json(JsonError),
    /// This field is missing or not what it should be.
    Field(&'static str),
}

impl<'a> Request<'a> {
    /// Reads what a peer sent. Offers that are malformed are passed over.
    pub fn decode(text: &'a str) -> Result<Self, WsError> {
        let json = parse(text)?;
        let [action, info_hash, answer] = json.fields(["action", "info_hash", "answer"]);
        match action.and_then(Json::literal) {
            Some("scrape") => Ok(Self::Scrape(scraped(info_hash))),
            Some("announce") => {
                let swarm = required(info_hash, "info_hash").map(SwarmKey)?;
                match answer {
                    Some(answer) => decode_answer(json, swarm, answer),
                    None => decode_announce(json, swarm),
                }
            }
            _ => Err(WsError::Field("action")),
        }
    }

    /// The message to send.
    pub fn encode(&self) -> String {
        let mut object = Object::new();
        match self {
            Self::Announce(request, offers) => encode_announce(request, offers, &mut object),
            Self::Answer { to, signal } => {
                object.raw("action", "\"announce\"");
                object.binary("info_hash", &signal.swarm.0);
                object.binary("peer_id", &signal.from.0);
                object.binary("to_peer_id", &to.0);
                object.session("answer", &signal.sdp);
                object.binary("offer_id", &signal.offer.0);
            }
            Self::Scrape(swarms) => {
                object.raw("action", "\"scrape\"");
                if !swarms.is_empty() {
                    let mut list = String::from("[");
                    for swarm in swarms {
                        if list.len() > 1 {
                            list.push(',');
                        }
                        json::binary(&swarm.0, &mut list);
                    }
                    list.push(']');
                    object.raw("info_hash", &list);
                }
            }
        }
        object.done()
    }
}

impl<'a> Reply<'a> {
    /// Reads what a tracker sent.
    pub fn decode(text: &'a str) -> Result<Self, WsError> {
        let json = parse(text)?;
        let [action, info_hash, failure, offer, answer, interval, files] = json.fields([
            "action",
            "info_hash",
            "failure reason",
            "offer",
            "answer",
            "interval",
            "files",
        ]);
        let swarm = info_hash.and_then(Json::binary).map(SwarmKey);
        if let Some(failure) = failure {
            let failure = Failure {
                reason: failure.text().unwrap_or_default(),
                retry_in_minutes: None,
            };
            return Ok(Self::Failed(swarm, failure));
        }
        match (action.and_then(Json::literal), offer, answer) {
            (Some("announce" | "offer"), Some(offer), _) => signal(json, swarm, offer).map(Self::Offer),
            (Some("announce" | "answer"), _, Some(answer)) => signal(json, swarm, answer).map(Self::Answer),
            (Some("announce"), ..) if interval.is_some() => {
                let swarm = swarm.ok_or(WsError::Field("info_hash"))?;
                Ok(Self::Announced(swarm, announced(json)))
            }
            (Some("scrape"), ..) => Ok(Self::Scraped(files.map_or_else(Vec::new, counts))),
            _ => Ok(Self::Unknown),
        }
    }

    /// The message to send.
    pub fn encode(&self) -> String {
        let mut object = Object::new();
        match self {
            Self::Announced(swarm, reply) => {
                object.raw("action", "\"announce\"");
                object.number("interval", reply.interval.into());
                object.binary("info_hash", &swarm.0);
                reply
                    .min_interval
                    .into_iter()
                    .for_each(|seconds| object.number("min interval", seconds.into()));
                reply
                    .complete
                    .into_iter()
                    .for_each(|count| object.number("complete", count.into()));
                reply
                    .incomplete
                    .into_iter()
                    .for_each(|count| object.number("incomplete", count.into()));
                reply
                    .warning
                    .iter()
                    .for_each(|warning| object.text("warning message", warning));
                reply.tracker_id.iter().for_each(|id| object.text("tracker id", id));
            }
            Self::Offer(signal) => encode_signal("offer", signal, &mut object),
            Self::Answer(signal) => encode_signal("answer", signal, &mut object),
            Self::Scraped(swarms) => {
                object.raw("action", "\"scrape\"");
                let mut files = Object::new();
                for (swarm, counts) in swarms {
                    let mut file = Object::new();
                    file.number("complete", counts.complete.into());
                    file.number("incomplete", counts.incomplete.into());
                    file.number("downloaded", counts.downloaded.into());
                    files.key(swarm.0.iter().map(|&byte| char::from(byte)));
                    files.0.push_str(&file.done());
                }
                object.raw("files", &files.done());
            }
            Self::Failed(swarm, failure) => {
                object.raw("action", "\"announce\"");
                object.text("failure reason", &failure.reason);
                swarm.iter().for_each(|swarm| object.binary("info_hash", &swarm.0));
            }
            Self::Unknown => {}
        }
        object.done()
    }
}

impl<'a> Sdp<'a> {
    /// The description of that text.
    pub fn new(text: &str) -> Sdp<'static> {
        let mut literal = String::with_capacity(text.len() + text.len() / 16);
        json::escape(text.chars(), &mut literal);
        Sdp(Cow::Owned(literal))
    }

    /// Its text.
    pub fn text(&self) -> String {
        json::unescape(&self.0)
    }

    /// Itself, independent of the message it came in.
    pub fn into_owned(self) -> Sdp<'static> {
        Sdp(Cow::Owned(self.0.into_owned()))
    }

    /// Reads `{"type":…,"sdp":…}`.
    fn decode(session: Json<'a>) -> Option<Self> {
        let [sdp] = session.fields(["sdp"]);
        sdp?.literal()
            .filter(|sdp| sdp.len() <= MAX_SDP)
            .map(|sdp| Self(Cow::Borrowed(sdp)))
    }
}

fn parse(text: &str) -> Result<Json<'_>, WsError> {
    if text.len() > MAX_MESSAGE {
        return Err(WsError::TooLong { received: text.len() });
    }
    Json::parse(text).map_err(WsError::Json)
}

fn required<const N: usize>(value: Option<Json<'_>>, field: &'static str) -> Result<[u8; N], WsError> {
    value.and_then(Json::binary).ok_or(WsError::Field(field))
}

fn decode_announce<'a>(json: Json<'a>, swarm: SwarmKey) -> Result<Request<'a>, WsError> {
    let [
        peer_id,
        uploaded,
        downloaded,
        left,
        event,
        numwant,
        key,
        tracker_id,
        offers,
    ] = json.fields([
        "peer_id",
        "uploaded",
        "downloaded",
        "left",
        "event",
        "numwant",
        "key",
        "trackerid",
        "offers",
    ]);
    let request = AnnounceRequest {
        swarm,
        peer_id: required(peer_id, "peer_id").map(PeerId)?,
        port: 0,
        uploaded: uploaded.and_then(Json::number).unwrap_or(0),
        downloaded: downloaded.and_then(Json::number).unwrap_or(0),
        left: left.and_then(Json::number),
        event: event
            .and_then(Json::literal)
            .map_or(AnnounceEvent::Periodic, AnnounceEvent::from_word),
        numwant: numwant.and_then(small),
        key: key
            .and_then(Json::literal)
            .and_then(|key| u32::from_str_radix(key, 16).ok()),
        tracker_id: tracker_id.and_then(Json::text),
    };
    let offers = offers.into_iter().flat_map(Json::items).take(MAX_OFFERS);
    let offers = offers.filter_map(|offer| {
        let [id, session] = offer.fields(["offer_id", "offer"]);
        let (id, sdp) = (OfferId(id?.binary()?), Sdp::decode(session?)?);
        Some(Offer { id, sdp })
    });
    Ok(Request::Announce(request, offers.gather()))
}

fn decode_answer<'a>(json: Json<'a>, swarm: SwarmKey, answer: Json<'a>) -> Result<Request<'a>, WsError> {
    let [to] = json.fields(["to_peer_id"]);
    Ok(Request::Answer {
        to: required(to, "to_peer_id").map(PeerId)?,
        signal: signal(json, Some(swarm), answer)?,
    })
}

fn signal<'a>(json: Json<'a>, swarm: Option<SwarmKey>, session: Json<'a>) -> Result<Signal<'a>, WsError> {
    let [peer_id, offer_id] = json.fields(["peer_id", "offer_id"]);
    Ok(Signal {
        swarm: swarm.ok_or(WsError::Field("info_hash"))?,
        from: required(peer_id, "peer_id").map(PeerId)?,
        offer: required(offer_id, "offer_id").map(OfferId)?,
        sdp: Sdp::decode(session).ok_or(WsError::Field("sdp"))?,
    })
}

fn scraped(info_hash: Option<Json<'_>>) -> Vec<SwarmKey> {
    let one = info_hash.and_then(Json::binary).into_iter();
    let list = info_hash.into_iter().flat_map(Json::items).filter_map(Json::binary);
    one.chain(list).map(SwarmKey).take(MAX_SCRAPE).gather()
}

fn announced(json: Json<'_>) -> AnnounceReply {
    let [interval, min_interval, complete, incomplete, warning, tracker_id] = json.fields([
        "interval",
        "min interval",
        "complete",
        "incomplete",
        "warning message",
        "tracker id",
    ]);
    AnnounceReply {
        interval: interval.and_then(small).unwrap_or(0),
        min_interval: min_interval.and_then(small),
        complete: complete.and_then(small),
        incomplete: incomplete.and_then(small),
        warning: warning.and_then(Json::text),
        tracker_id: tracker_id.and_then(Json::text),
        ..AnnounceReply::default()
    }
}

fn counts(files: Json<'_>) -> Vec<(SwarmKey, ScrapeCounts)> {
    let files = files.entries().take(MAX_SCRAPE);
    let files = files.filter_map(|(key, file)| {
        let [complete, incomplete, downloaded] = file.fields(["complete", "incomplete", "downloaded"]);
        let count = |value: Option<Json<'_>>| value.and_then(small).unwrap_or(0);
        let counts = ScrapeCounts {
            complete: count(complete),
            incomplete: count(incomplete),
            downloaded: count(downloaded),
        };
        Some((SwarmKey(key.binary()?), counts))
    });
    files.gather()
}

/// A number cut to what 32 bits hold.
fn small(value: Json<'_>) -> Option<u32> {
    value.number().map(|number| u32::try_from(number).unwrap_or(u32::MAX))
}

fn encode_announce(request: &AnnounceRequest, offers: &[Offer<'_>], object: &mut Object) {
    object.raw("action", "\"announce\"");
    object.binary("info_hash", &request.swarm.0);
    object.binary("peer_id", &request.peer_id.0);
    object.number("uploaded", request.uploaded);
    object.number("downloaded", request.downloaded);
    // Left out rather than null when unknown: bittorrent-tracker would take null for 0, a seed.
    request.left.into_iter().for_each(|left| object.number("left", left));
    request
        .event
        .word()
        .into_iter()
        .for_each(|word| object.text("event", word));
    request
        .numwant
        .into_iter()
        .for_each(|numwant| object.number("numwant", numwant.into()));
    request
        .key
        .into_iter()
        .for_each(|key| object.text("key", &alloc::format!("{key:08x}")));
    request.tracker_id.iter().for_each(|id| object.text("trackerid", id));
    if !offers.is_empty() {
        let mut list = String::from("[");
        for offer in offers {
            if list.len() > 1 {
                list.push(',');
            }
            let mut one = Object::new();
            one.session("offer", &offer.sdp);
            one.binary("offer_id", &offer.id.0);
            list.push_str(&one.done());
        }
        list.push(']');
        object.raw("offers", &list);
    }
}

fn encode_signal(kind: &str, signal: &Signal<'_>, object: &mut Object) {
    object.raw("action", "\"announce\"");
    object.binary("info_hash", &signal.swarm.0);
    object.binary("peer_id", &signal.from.0);
    object.session(kind, &signal.sdp);
    object.binary("offer_id", &signal.offer.0);
}

/// An object being written.
struct Object(String);

impl Object {
    fn new() -> Self {
        Self("{".into())
    }

    fn key(&mut self, key: impl IntoIterator<Item = char>) {
        self.0.push_str(if self.0.len() > 1 { ",\"" } else { "\"" });
        json::escape(key, &mut self.0);
        self.0.push_str("\":");
    }

    fn raw(&mut self, key: &str, value: &str) {
        self.key(key.chars());
        self.0.push_str(value);
    }

    fn number(&mut self, key: &str, value: u64) {
        self.raw(key, &value.to_string());
    }

    fn binary(&mut self, key: &str, bytes: &[u8]) {
        self.key(key.chars());
        json::binary(bytes, &mut self.0);
    }

    fn text(&mut self, key: &str, text: &str) {
        self.raw(key, "\"");
        json::escape(text.chars(), &mut self.0);
        self.0.push('"');
    }

    /// A description of the kind that is the key.
    fn session(&mut self, key: &str, sdp: &Sdp<'_>) {
        // With room for all else that a message has.
        self.0.reserve(sdp.0.len() + 256);
        self.raw(key, "{\"type\":\"");
        for part in [key, "\",\"sdp\":\"", &sdp.0, "\"}"] {
            self.0.push_str(part);
        }
    }

    fn done(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

impl fmt::Display for WsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { received } => write!(f, "a message of {received} bytes is longer than {MAX_MESSAGE}"),
            Self::Json(error) => write!(f, "not JSON from byte {} on", error.offset),
            Self::Field(field) => write!(f, "invalid {field}"),
        }
    }
}

impl core::error::Error for WsError {}

#[cfg(test)]
mod tests;
