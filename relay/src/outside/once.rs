//! A tracker asked once, whichever protocol it speaks: for people and tests who want to see what it answers.
//!
//! Invariant: one announce or scrape is one request (of UDP, repeated while there is no answer). Nothing bounds the time but what the
//! parts of it have; the caller does.

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc::unbounded_channel;
use tombolo_core::key::SwarmKey;
use tombolo_core::tracker::http::{self, MAX_REPLY, ReplyError};
use tombolo_core::tracker::query::{AnnounceReply, AnnounceRequest, Failure, ScrapeCounts};
use tombolo_core::tracker::udp::{Connection, Family, Request, Response, Transaction};
use tombolo_core::tracker::ws;
use url::Url;

use super::{Policy, datagram, fetch, websocket};

/// After how long a datagram without an answer is sent again. BEP 15 says 15 s; nobody who waits at a terminal would.
const RESEND: Duration = Duration::from_secs(3);

/// How many swarms one scrape names: what every protocol and server takes.
pub const MAX_SCRAPE: usize = 50;

/// Why a tracker gave no answer that could be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// It is no URL of a tracker.
    NoTracker(String),
    /// It was not reached, or said nothing.
    Failed(String),
    /// It refuses, in its words.
    Refused(Failure),
    /// What it says cannot be read.
    Unreadable(String),
}

impl Unanswered {
    /// A short name of the kind, for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoTracker(_) => "bad-tracker",
            Self::Failed(_) => "no-answer",
            Self::Refused(_) => "tracker-failure",
            Self::Unreadable(_) => "bad-answer",
        }
    }
}

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoTracker(why) | Self::Failed(why) | Self::Unreadable(why) => f.write_str(why),
            Self::Refused(Failure { reason, .. }) => write!(f, "the tracker refuses: {reason}"),
        }
    }
}

impl std::error::Error for Unanswered {}

impl From<ReplyError> for Unanswered {
    fn from(error: ReplyError) -> Self {
        match error {
            ReplyError::Failure(failure) => Self::Refused(failure),
            error => Self::Unreadable(error.to_string()),
        }
    }
}

/// What is asked.
enum Question<'a> {
    Announce(&'a AnnounceRequest),
    Scrape(&'a [SwarmKey]),
}

/// What is answered.
enum Answer {
    Announce(AnnounceReply),
    Scrape(Vec<(SwarmKey, ScrapeCounts)>),
}

/// Announces a peer to the tracker at `url`.
///
/// # Errors
/// Every way in which there may be no answer.
pub async fn announce(policy: &Policy, url: &str, request: &AnnounceRequest) -> Result<AnnounceReply, Unanswered> {
    match ask(policy, url, &Question::Announce(request)).await? {
        Answer::Announce(reply) => Ok(reply),
        Answer::Scrape(_) => Err(Unanswered::Unreadable("it answers an announce with counts".into())),
    }
}

/// Asks the tracker at `url` what it counts of at most [`MAX_SCRAPE`] swarms; none named means all that it has.
///
/// # Errors
/// Every way in which there may be no answer, and that the URL says of no place where it is scraped.
pub async fn scrape(
    policy: &Policy,
    url: &str,
    swarms: &[SwarmKey],
) -> Result<Vec<(SwarmKey, ScrapeCounts)>, Unanswered> {
    match ask(policy, url, &Question::Scrape(swarms)).await? {
        Answer::Scrape(counts) => Ok(counts),
        Answer::Announce(_) => Err(Unanswered::Unreadable("it answers a scrape with peers".into())),
    }
}

async fn ask(policy: &Policy, url: &str, question: &Question<'_>) -> Result<Answer, Unanswered> {
    let parsed = Url::parse(url).map_err(|error| Unanswered::NoTracker(format!("no URL: {error}")))?;
    match parsed.scheme() {
        "http" | "https" => over_http(policy, url, question).await,
        "ws" | "wss" => over_websocket(policy, url, question).await,
        "udp" => over_udp(policy, &parsed, question).await,
        other => Err(Unanswered::NoTracker(format!("{other} is no protocol of trackers"))),
    }
}

async fn over_http(policy: &Policy, url: &str, question: &Question<'_>) -> Result<Answer, Unanswered> {
    let asked = match question {
        Question::Announce(request) => Some(http::announce_url(url, request)),
        Question::Scrape(swarms) => http::scrape_url(url, swarms),
    };
    let asked = asked.ok_or_else(|| Unanswered::NoTracker("by its URL it cannot be scraped (BEP 48)".into()))?;
    let body = fetch::fetch(policy, &asked, MAX_REPLY)
        .await
        .map_err(Unanswered::Failed)?;
    Ok(match question {
        Question::Announce(_) => Answer::Announce(http::parse_announce(&body)?),
        Question::Scrape(_) => Answer::Scrape(http::parse_scrape(&body)?),
    })
}

async fn over_websocket(policy: &Policy, url: &str, question: &Question<'_>) -> Result<Answer, Unanswered> {
    let (outgoing, sent) = unbounded_channel();
    let (deliver, mut incoming) = unbounded_channel();
    let request = match question {
        Question::Announce(request) => ws::Request::Announce((*request).clone(), Vec::new()),
        Question::Scrape(swarms) => ws::Request::Scrape(swarms.to_vec()),
    };
    // The receivers live as long as this function.
    let _ = outgoing.send(request.encode());
    let mut running = pin!(websocket::run(policy, url, sent, |message| {
        if let websocket::Message::Text(text) = message {
            let _ = deliver.send(text);
        }
    }));
    loop {
        let text = tokio::select! {
            biased;
            text = incoming.recv() => text.unwrap_or_default(),
            ended = &mut running => {
                return Err(Unanswered::Failed(ended.err().unwrap_or_else(|| "it was closed".into())));
            }
        };
        let reply = ws::Reply::decode(&text).map_err(|error| Unanswered::Unreadable(error.to_string()))?;
        match (reply, question) {
            (ws::Reply::Announced(swarm, reply), Question::Announce(request)) if swarm == request.swarm => {
                return Ok(Answer::Announce(reply));
            }
            (ws::Reply::Scraped(counts), Question::Scrape(_)) => return Ok(Answer::Scrape(counts)),
            (ws::Reply::Failed(_, failure), _) => return Err(Unanswered::Refused(failure)),
            _ => {}
        }
    }
}

async fn over_udp(policy: &Policy, url: &Url, question: &Question<'_>) -> Result<Answer, Unanswered> {
    if matches!(question, Question::Scrape([])) {
        return Err(Unanswered::NoTracker("over UDP a scrape names its swarms".into()));
    }
    let to = &url[url::Position::BeforeHost..url::Position::AfterPort];
    let (outgoing, sent) = unbounded_channel();
    let (deliver, mut incoming) = unbounded_channel();
    let receive = |family, data| _ = deliver.send((family, data));
    let mut running = pin!(datagram::run(policy, to, sent, receive));
    let mut talk = async |request: &Request| loop {
        // The receivers live as long as this function.
        let _ = outgoing.send(request.encode().into());
        let answer = answer_to(request, &mut incoming);
        tokio::select! {
            answer = tokio::time::timeout(RESEND, answer) => if let Ok(answer) = answer { return answer },
            ended = &mut running => {
                return Err(Unanswered::Failed(ended.err().unwrap_or_else(|| "it was closed".into())));
            }
        }
    };
    let transaction = transaction()?;
    let Response::Connect(_, connection) = talk(&Request::Connect(transaction)).await? else {
        return Err(Unanswered::Unreadable("it gives no connection number".into()));
    };
    match (
        talk(&request(url, question, (connection, transaction))).await?,
        question,
    ) {
        (Response::Announce(_, reply), Question::Announce(_)) => Ok(Answer::Announce(reply)),
        (Response::Scrape(_, counts), Question::Scrape(swarms)) => {
            Ok(Answer::Scrape(swarms.iter().copied().zip(counts).collect()))
        }
        _ => Err(Unanswered::Unreadable("it answers something else".into())),
    }
}

fn request(url: &Url, question: &Question<'_>, (connection, transaction): (Connection, Transaction)) -> Request {
    match question {
        Question::Announce(announce) => Request::Announce {
            connection,
            transaction,
            announce: (*announce).clone(),
            ip: None,
            url_data: match &url[url::Position::BeforePath..url::Position::AfterQuery] {
                "" | "/" => Vec::new(),
                path => path.as_bytes().to_vec(),
            },
        },
        Question::Scrape(swarms) => Request::Scrape {
            connection,
            transaction,
            swarms: swarms.to_vec(),
        },
    }
}

/// Waits for the answer to a request; what answers something else, or cannot be read, is passed over.
fn answer_to(
    request: &Request,
    incoming: &mut tokio::sync::mpsc::UnboundedReceiver<(Family, Bytes)>,
) -> impl Future<Output = Result<Response, Unanswered>> {
    let expected = match request {
        Request::Connect(transaction) | Request::Announce { transaction, .. } | Request::Scrape { transaction, .. } => {
            *transaction
        }
    };
    async move {
        loop {
            let Some((family, data)) = incoming.recv().await else {
                return Err(Unanswered::Failed("it was closed".into()));
            };
            match Response::decode(&data, family) {
                Ok(Response::Error(transaction, reason)) if transaction == expected => {
                    let retry_in_minutes = None;
                    return Err(Unanswered::Refused(Failure {
                        reason,
                        retry_in_minutes,
                    }));
                }
                Ok(response) if response.transaction() == expected => return Ok(response),
                _ => {}
            }
        }
    }
}

fn transaction() -> Result<Transaction, Unanswered> {
    let mut random = [0; 4];
    getrandom::fill(&mut random).map_err(|error| Unanswered::Failed(format!("no randomness: {error}")))?;
    Ok(Transaction(u32::from_be_bytes(random)))
}
