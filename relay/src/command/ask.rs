//! `tombolo announce` and `tombolo scrape`: trackers asked once.
//!
//! Invariants: every tracker is asked, whatever became of the others; what a tracker says is printed without what would move a
//! terminal's cursor.

use std::ffi::{OsStr, OsString};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::Serialize;
use serde_json::json;
use tombolo_core::event::Source;
use tombolo_core::key::{PeerId, SwarmKey, hex};
use tombolo_core::tracker::query::{AnnounceEvent, AnnounceReply, AnnounceRequest, ScrapeCounts};
use tombolo_core::tracker::udp::Family;

use super::failure::Failure;
use super::logs::Logs;
use super::show::printable;
use super::{input, output};
use crate::outside;
use crate::outside::once::{self, MAX_SCRAPE, Unanswered};

/// How long a tracker may take to hear that the peer it was just told of is none.
const FAREWELL: Duration = Duration::from_secs(3);

/// How trackers are asked, and which.
#[derive(Args, Debug)]
struct Asking {
    /// A tracker, instead of the torrent's own; may be repeated
    #[arg(long, value_name = "URL")]
    tracker: Vec<String>,
    /// Use IPv4 alone
    #[arg(short = '4', long)]
    ipv4: bool,
    /// Use IPv6 alone
    #[arg(short = '6', long, conflicts_with = "ipv4")]
    ipv6: bool,
    /// Ask trackers at loopback and private addresses though the torrent names them, and not you
    #[arg(long)]
    allow_local: bool,
    /// Wait so long for each answer, in seconds
    #[arg(long, value_name = "S", default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
    /// Print JSON: an object for each answer
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    logs: Logs,
}

/// The arguments of `announce`.
#[derive(Args, Debug)]
pub(super) struct Announce {
    /// Trackers, if not the torrent's own, and a .torrent, a magnet link or an info-hash
    #[arg(required = true, value_name = "TRACKER|TORRENT|MAGNET")]
    what: Vec<OsString>,
    /// What is announced [default: that a peer starts, and after the answer that it has stopped]
    #[arg(long)]
    event: Option<What>,
    /// The port that the peer says it listens on
    #[arg(long, value_name = "PORT", default_value_t = 6881)]
    port: u16,
    /// How many peers to ask for [default: as many as the tracker gives]
    #[arg(long, value_name = "N")]
    numwant: Option<u32>,
    /// How many bytes the peer says it still lacks [default: unknown]
    #[arg(long, value_name = "BYTES")]
    left: Option<u64>,
    #[command(flatten)]
    asking: Asking,
}

/// The arguments of `scrape`.
#[derive(Args, Debug)]
pub(super) struct Scrape {
    /// Trackers, if not the torrents' own, and .torrents, magnet links or info-hashes; none: all that the trackers have
    #[arg(required = true, value_name = "TRACKER|TORRENT|MAGNET")]
    what: Vec<OsString>,
    #[command(flatten)]
    asking: Asking,
}

/// An event as it is named on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// The peer has begun
    Started,
    /// The peer ends
    Stopped,
    /// The peer has become whole
    Completed,
    /// The peer holds all it wants, but not all there is (BEP 21)
    Paused,
    /// It was time to
    None,
}

/// A tracker, and whether whoever runs the command named it.
struct Tracker {
    url: String,
    named: bool,
}

/// One swarm, and the trackers that are to be asked of it.
type Swarm = (SwarmKey, Vec<Tracker>);

#[derive(Serialize)]
struct Announced<'a> {
    tracker: &'a str,
    info_hash: String,
    interval: u32,
    min_interval: Option<u32>,
    complete: Option<u32>,
    incomplete: Option<u32>,
    peers: Vec<String>,
    warning: Option<&'a str>,
    external_ip: Option<String>,
}

#[derive(Serialize)]
struct Scraped<'a> {
    tracker: &'a str,
    info_hash: String,
    complete: u32,
    incomplete: u32,
    downloaded: u32,
}

impl Announce {
    /// Whether JSON is printed.
    pub(super) const fn json(&self) -> bool {
        self.asking.json
    }

    /// Runs the command: 1 if a tracker did not answer.
    ///
    /// # Errors
    /// What is given is refused, or cannot be read.
    pub(super) fn run(&self) -> Result<ExitCode, Failure> {
        let swarms = self.asking.swarms(&self.what)?;
        if swarms.is_empty() {
            return Err(Failure::refused(
                "no-torrent",
                "an announce is for a torrent, and none is named",
            ));
        }
        let peer_id = crate::serve::peer_id().map_err(|error| Failure::io("no randomness", &error))?;
        run(async {
            let mut failed = false;
            for (swarm, trackers) in &swarms {
                for tracker in trackers {
                    failed |= !self.announce(&self.request(*swarm, peer_id), tracker).await;
                }
            }
            failed
        })
    }

    fn request(&self, swarm: SwarmKey, peer_id: PeerId) -> AnnounceRequest {
        AnnounceRequest {
            port: self.port,
            left: self.left,
            event: match self.event {
                None | Some(What::Started) => AnnounceEvent::Started,
                Some(What::Stopped) => AnnounceEvent::Stopped,
                Some(What::Completed) => AnnounceEvent::Completed,
                Some(What::Paused) => AnnounceEvent::Paused,
                Some(What::None) => AnnounceEvent::Periodic,
            },
            numwant: self.numwant,
            ..AnnounceRequest::new(swarm, peer_id)
        }
    }

    /// Announces to one tracker and prints its answer; whether there was one.
    async fn announce(&self, request: &AnnounceRequest, tracker: &Tracker) -> bool {
        let policy = self.asking.policy(tracker);
        let asked = once::announce(&policy, &tracker.url, request);
        let Some(reply) = self.asking.answer(&tracker.url, asked).await else {
            return false;
        };
        self.print(&tracker.url, request.swarm, &reply);
        if self.event.is_none() {
            let farewell = AnnounceRequest {
                event: AnnounceEvent::Stopped,
                numwant: Some(0),
                tracker_id: reply.tracker_id,
                ..request.clone()
            };
            // A tracker that does not hear it forgets the peer in time.
            let _ = tokio::time::timeout(FAREWELL, once::announce(&policy, &tracker.url, &farewell)).await;
        }
        true
    }

    fn print(&self, tracker: &str, swarm: SwarmKey, reply: &AnnounceReply) {
        if self.asking.json {
            return output::line(&Announced {
                tracker,
                info_hash: hex(&swarm.0),
                interval: reply.interval,
                min_interval: reply.min_interval,
                complete: reply.complete,
                incomplete: reply.incomplete,
                peers: reply.peers.iter().map(ToString::to_string).collect(),
                warning: reply.warning.as_deref(),
                external_ip: reply.external_ip.map(|ip| ip.to_string()),
            });
        }
        let count = |count: Option<u32>| count.map_or_else(|| "?".into(), |count| count.to_string());
        let (seeds, others) = (count(reply.complete), count(reply.incomplete));
        let tracker = printable(tracker);
        output::say(&format!(
            "{tracker}: {seeds} seeds, {others} others, every {} s, {} peers",
            reply.interval,
            reply.peers.len()
        ));
        if let Some(warning) = &reply.warning {
            output::complain(&format!("{tracker} warns: {}", printable(warning)));
        }
        for peer in &reply.peers {
            output::say(&format!("  {peer}"));
        }
    }
}

impl Scrape {
    /// Whether JSON is printed.
    pub(super) const fn json(&self) -> bool {
        self.asking.json
    }

    /// Runs the command: 1 if a tracker did not answer.
    ///
    /// # Errors
    /// What is given is refused, or cannot be read.
    pub(super) fn run(&self) -> Result<ExitCode, Failure> {
        let swarms = self.asking.swarms(&self.what)?;
        let mut trackers: Vec<(Tracker, Vec<SwarmKey>)> = Vec::new();
        for (swarm, asked) in swarms {
            for tracker in asked {
                match trackers.iter_mut().find(|(known, _)| known.url == tracker.url) {
                    Some((_, swarms)) => swarms.push(swarm),
                    None => trackers.push((tracker, vec![swarm])),
                }
            }
        }
        if trackers.is_empty() {
            trackers = self
                .asking
                .named(&self.what)
                .map(|tracker| (tracker, Vec::new()))
                .collect();
        }
        run(async {
            let mut failed = false;
            for (tracker, swarms) in &trackers {
                let parts = if swarms.is_empty() {
                    vec![&[][..]]
                } else {
                    swarms.chunks(MAX_SCRAPE).collect()
                };
                for part in parts {
                    let policy = self.asking.policy(tracker);
                    let asked = once::scrape(&policy, &tracker.url, part);
                    match self.asking.answer(&tracker.url, asked).await {
                        Some(counts) => counts
                            .iter()
                            .for_each(|(swarm, counts)| self.print(&tracker.url, *swarm, *counts)),
                        None => failed = true,
                    }
                }
            }
            failed
        })
    }

    fn print(&self, tracker: &str, swarm: SwarmKey, counts: ScrapeCounts) {
        let info_hash = hex(&swarm.0);
        let ScrapeCounts {
            complete,
            incomplete,
            downloaded,
        } = counts;
        if self.asking.json {
            output::line(&Scraped {
                tracker,
                info_hash,
                complete,
                incomplete,
                downloaded,
            });
        } else {
            let tracker = printable(tracker);
            output::say(&format!(
                "{tracker}: {info_hash}: {complete} seeds, {incomplete} others, {downloaded} downloads"
            ));
        }
    }
}

impl Asking {
    /// The trackers named on the command line.
    fn named<'a>(&'a self, what: &'a [OsString]) -> impl Iterator<Item = Tracker> + 'a {
        let named = what.iter().filter_map(|word| as_tracker(word));
        named.chain(self.tracker.iter().map(String::as_str)).map(|url| Tracker {
            url: url.to_owned(),
            named: true,
        })
    }

    /// The swarms named on the command line, each with those to ask of it.
    fn swarms(&self, what: &[OsString]) -> Result<Vec<Swarm>, Failure> {
        self.logs.begin("warn");
        let mut swarms = Vec::new();
        let is_asked = self.named(what).next().is_some();
        for word in what.iter().filter(|word| as_tracker(word).is_none()) {
            let (hashes, own) = match input::read_source(word)? {
                Source::Magnet(magnet) => (magnet.hashes, magnet.trackers),
                Source::Metainfo(metainfo) => (metainfo.hashes, metainfo.trackers.iter().flatten().cloned().collect()),
            };
            if own.is_empty() && !is_asked {
                let message = format!("{}: it names no tracker, and neither do you", word.display());
                return Err(Failure::refused("no-tracker", message));
            }
            for swarm in hashes.swarms() {
                let own = own.iter().map(|url| Tracker {
                    url: url.clone(),
                    named: false,
                });
                let trackers = if is_asked {
                    self.named(what).collect()
                } else {
                    own.collect()
                };
                swarms.push((swarm, trackers));
            }
        }
        Ok(swarms)
    }

    /// With whom may be talked. Who names a tracker wants to talk to it, wherever it is.
    fn policy(&self, tracker: &Tracker) -> outside::Policy {
        outside::Policy {
            allow_local: self.allow_local || tracker.named,
            only: match (self.ipv4, self.ipv6) {
                (true, _) => Some(Family::V4),
                (_, true) => Some(Family::V6),
                _ => None,
            },
            ..outside::Policy::default()
        }
    }

    /// Waits for an answer; without one, says why.
    async fn answer<T>(&self, tracker: &str, asked: impl Future<Output = Result<T, Unanswered>>) -> Option<T> {
        let late = || Err(Unanswered::Failed(format!("no answer within {} s", self.timeout)));
        let answer = tokio::time::timeout(Duration::from_secs(self.timeout), asked).await;
        let refused = match answer.unwrap_or_else(|_| late()) {
            Ok(answer) => return Some(answer),
            Err(refused) => refused,
        };
        let message = printable(&refused.to_string());
        if self.json {
            output::line(&json!({"tracker": tracker, "error": {"code": refused.code(), "message": message}}));
        } else {
            output::complain(&format!("{}: {message}", printable(tracker)));
        }
        None
    }
}

/// The tracker's URL that a word is.
fn as_tracker(word: &OsStr) -> Option<&str> {
    let url = word.to_str()?;
    let (scheme, _) = url.split_once("://")?;
    let schemes = ["http", "https", "udp", "ws", "wss"];
    schemes
        .iter()
        .any(|known| scheme.eq_ignore_ascii_case(known))
        .then_some(url)
}

/// Runs to the end, or until it is interrupted.
fn run(asking: impl Future<Output = bool>) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::io("no threads", &error))?;
    runtime.block_on(async {
        let mut signals = super::signals::Signals::new().map_err(|error| Failure::io("no signals", &error))?;
        let status = tokio::select! {
            failed = asking => u8::from(failed),
            status = signals.next() => status,
        };
        Ok(ExitCode::from(status))
    })
}
