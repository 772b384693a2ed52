//! `tombolo serve`: its flags, its first line, and its end.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::Deserialize;
use serde_json::json;
use tombolo_core::event::Source;
use tombolo_core::key::{SwarmKey, unhex};
use tombolo_core::magnet::Magnet;
use tombolo_core::metainfo::Metainfo;

use crate::serve::{self, Addresses, BridgePolicy, ServeConfig, ServeError};

/// Seconds between announces: web peers meet through announces, so it is much shorter than native trackers' half hour.
const INTERVAL: u64 = 120;

/// Where a relay listens when it is not told.
const DEFAULT_HTTP: u16 = 8080;

/// The flags of `tombolo serve`.
#[derive(Clone, Debug, Args)]
pub(super) struct ServeArgs {
    /// The folder that everything is kept in.
    #[arg(long, value_name = "DIR")]
    pub(super) data: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub(super) json: bool,
    /// Listen for HTTP: page, trackers, API. Port 0 is any free one, `off` none; may be repeated.
    #[arg(long, value_name = "ADDR:PORT")]
    pub(super) listen: Vec<Listener>,
    /// Listen as a UDP tracker.
    #[arg(long, value_name = "ADDR:PORT")]
    pub(super) udp: Vec<Listener>,
    /// Listen for native peers.
    #[arg(long, value_name = "ADDR:PORT")]
    pub(super) tcp: Vec<Listener>,
    /// Listen for WebRTC.
    #[arg(long, value_name = "ADDR:PORT")]
    pub(super) rtc: Vec<Listener>,
    /// How much the cache may hold.
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = size)]
    pub(super) cache: u64,
    /// Who may put the relay into a swarm: open when it listens on loopback only, else list.
    #[arg(long)]
    pub(super) bridge: Option<Bridge>,
    /// Join this swarm and fetch it as far as the cache goes; may be repeated.
    #[arg(long, value_name = "FILE|MAGNET")]
    pub(super) add: Vec<String>,
    /// Serve this info-hash with `--bridge list`; may be repeated.
    #[arg(long, value_name = "HASH", value_parser = hash)]
    pub(super) allow: Vec<SwarmKey>,
    /// Forget a tracker peer that is silent so long, in seconds: twice the interval by default.
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) peer_ttl: Option<u64>,
    /// Ask tracker peers to announce so often, in seconds.
    #[arg(long, value_name = "S", default_value_t = INTERVAL, value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) interval: u64,
    /// Keep at most so many tracker peers of one swarm.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub(super) max_peers: usize,
    /// No budgets, rates or limits by address: for load tests.
    #[arg(long)]
    pub(super) no_limits: bool,
    /// Answer a scrape that names no swarm with all of them.
    #[arg(long)]
    pub(super) full_scrape: bool,
    /// Do not use the DHT.
    #[arg(long)]
    pub(super) no_dht: bool,
    /// Do not look for peers on the local network.
    #[arg(long)]
    pub(super) no_lsd: bool,
    /// Do not ask the router for a port.
    #[arg(long)]
    pub(super) no_portmap: bool,
    /// Talk to loopback and private addresses, and hand them out.
    #[arg(long)]
    pub(super) allow_local: bool,
    /// Answer under this name on listeners that are not loopback; may be repeated.
    #[arg(long, value_name = "NAME")]
    pub(super) host: Vec<String>,
    /// Let pages of this origin use `/wire` and the API; may be repeated.
    #[arg(long, value_name = "ORIGIN")]
    pub(super) origin: Vec<String>,
    /// Serve the page from this folder instead of the embedded one.
    #[arg(long, value_name = "DIR")]
    pub(super) page: Option<PathBuf>,
    /// Use so many threads.
    #[arg(long, value_name = "N")]
    pub(super) threads: Option<usize>,
    /// Read further settings (`allow`, `token`, `hosts`, `origins`) from this JSON file.
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
}

/// A listener's address, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Listener {
    /// Listen there.
    At(SocketAddr),
    /// Do not listen.
    Off,
}

impl FromStr for Listener {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::Off);
        }
        let text = text
            .strip_prefix("localhost:")
            .map_or_else(|| text.to_owned(), |port| format!("127.0.0.1:{port}"));
        text.parse()
            .map(Self::At)
            .map_err(|_| String::from("expected ADDR:PORT or off"))
    }
}

/// Who may put the relay into a swarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Bridge {
    /// Anyone.
    Open,
    /// Only swarms of the list.
    List,
    /// Nobody: a tracker and no more.
    Off,
}

/// What a configuration file may say.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct File {
    allow: Vec<String>,
    token: Option<String>,
    hosts: Vec<String>,
    origins: Vec<String>,
}

/// Runs a relay until it is told to stop.
pub(super) fn run(args: &ServeArgs) -> ExitCode {
    let threads = args.threads.unwrap_or_else(crate::system::threads).max(1);
    let config = match configure(args, threads) {
        Ok(config) => config,
        Err(refusal) => return refuse(args.json, &refusal, 2),
    };
    crate::system::raise_open_files();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            return refuse(
                args.json,
                &ServeError {
                    code: "io",
                    message: error.to_string(),
                },
                1,
            );
        }
    };
    let status = runtime.block_on(serve(args.json, config));
    // Tasks that still run have been told to end; none is waited for.
    runtime.shutdown_timeout(Duration::from_millis(100));
    status
}

async fn serve(json: bool, config: ServeConfig) -> ExitCode {
    let running = match serve::start(config).await {
        Ok(running) => running,
        Err(error) => return refuse(json, &error, 1),
    };
    announce(json, &running.listening);
    let status = ended().await;
    tokio::spawn(async {
        ended().await;
        std::process::exit(1);
    });
    running.stop().await;
    ExitCode::from(status)
}

/// Waits for a signal to end: the exit status that it calls for.
async fn ended() -> u8 {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => 0,
        _ = int.recv() => 130,
    }
}

/// The first line.
fn announce(json: bool, listening: &Addresses) {
    let first = |list: &[SocketAddr]| list.first().map(ToString::to_string);
    let all = |list: &[SocketAddr]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
    let Addresses { http, udp, tcp, rtc } = listening;
    let ready = json!({
        "event": "ready",
        "http": first(http), "udp": first(udp), "tcp": first(tcp), "rtc": first(rtc),
        "all": {"http": all(http), "udp": all(udp), "tcp": all(tcp), "rtc": all(rtc)},
        "pid": std::process::id(),
        "version": env!("CARGO_PKG_VERSION"),
    });
    let open = first(http).map_or_else(String::new, |address| format!("open http://{address}/"));
    line(&if json { ready.to_string() } else { open });
}

fn refuse(json: bool, error: &ServeError, status: u8) -> ExitCode {
    if json {
        line(&json!({"error": {"code": error.code, "message": error.message}}).to_string());
    } else {
        eprintln!("tombolo: {error}");
    }
    ExitCode::from(status)
}

/// A line on stdout; that nobody reads it is no reason to end.
fn line(text: &str) {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

fn configure(args: &ServeArgs, threads: usize) -> Result<ServeConfig, ServeError> {
    let file = match &args.config {
        Some(path) => read_config(path)?,
        None => File::default(),
    };
    let listen = addresses(args);
    let local = [&listen.http, &listen.udp, &listen.tcp, &listen.rtc];
    let only_loopback = local.into_iter().flatten().all(|address| address.ip().is_loopback());
    let allow: Result<Vec<_>, _> = file.allow.iter().map(|text| hash(text)).collect();
    let allow = allow.map_err(|message| ServeError {
        code: "bad-config",
        message: format!("allow: {message}"),
    })?;
    let add: Result<Vec<_>, _> = args.add.iter().map(|name| source(name)).collect();
    Ok(ServeConfig {
        data: args.data.clone().unwrap_or_else(|| PathBuf::from("tombolo-data")),
        listen,
        cache: args.cache,
        bridge: match args.bridge {
            Some(Bridge::Open) => BridgePolicy::Open,
            Some(Bridge::List) => BridgePolicy::List,
            Some(Bridge::Off) => BridgePolicy::Off,
            None if only_loopback => BridgePolicy::Open,
            None => BridgePolicy::List,
        },
        add: add?,
        allow: args.allow.iter().copied().chain(allow).collect(),
        peer_ttl: Duration::from_secs(args.peer_ttl.unwrap_or(2 * args.interval)),
        interval: Duration::from_secs(args.interval),
        max_peers: args.max_peers,
        limits: !args.no_limits,
        allow_local: args.allow_local,
        full_scrape: args.full_scrape,
        hosts: args.host.iter().cloned().chain(file.hosts).collect(),
        origins: args.origin.iter().cloned().chain(file.origins).collect(),
        token: file.token,
        page: args.page.clone(),
        threads,
    })
}

/// Where to listen: what is named, or the defaults when nothing is.
fn addresses(args: &ServeArgs) -> Addresses {
    let named = |list: &[Listener]| {
        list.iter()
            .filter_map(|listener| match listener {
                Listener::At(address) => Some(*address),
                Listener::Off => None,
            })
            .collect::<Vec<_>>()
    };
    if [&args.listen, &args.udp, &args.tcp, &args.rtc]
        .iter()
        .any(|list| !list.is_empty())
    {
        return Addresses {
            http: named(&args.listen),
            udp: named(&args.udp),
            tcp: named(&args.tcp),
            rtc: named(&args.rtc),
        };
    }
    let at = |port| vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port))];
    Addresses {
        http: at(DEFAULT_HTTP),
        udp: at(DEFAULT_HTTP),
        tcp: at(0),
        rtc: at(0),
    }
}

fn read_config(path: &std::path::Path) -> Result<File, ServeError> {
    let failed = |code, message: String| ServeError {
        code,
        message: format!("{}: {message}", path.display()),
    };
    let text = std::fs::read(path).map_err(|error| failed("io", error.to_string()))?;
    serde_json::from_slice(&text).map_err(|error| failed("bad-config", error.to_string()))
}

/// The torrent that `--add` names.
fn source(name: &str) -> Result<Source, ServeError> {
    if Magnet::is_like(name) && !std::path::Path::new(name).exists() {
        let magnet = Magnet::parse(name).map_err(|error| ServeError {
            code: "bad-magnet",
            message: error.to_string(),
        })?;
        return Ok(Source::Magnet(magnet));
    }
    let bytes = std::fs::read(name).map_err(|error| ServeError {
        code: "io",
        message: format!("{name}: {error}"),
    })?;
    let metainfo = Metainfo::parse(&bytes.into());
    let metainfo = metainfo.map_err(|error| ServeError {
        code: "bad-metainfo",
        message: format!("{name}: {error}"),
    })?;
    Ok(Source::Metainfo(Arc::new(metainfo)))
}

/// A v1 info-hash, or a v2 one, which counts by its first 20 bytes.
fn hash(text: &str) -> Result<SwarmKey, String> {
    let v1 = unhex::<20>(text);
    let cut = || unhex::<32>(text).and_then(|_| unhex::<20>(text.get(..40)?));
    v1.or_else(cut)
        .map(SwarmKey)
        .ok_or_else(|| String::from("an info-hash has 40 hexadecimal digits, or 64"))
}

/// Bytes, with `KiB`, `MiB`, `GiB` or `TiB` if one likes.
fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kib" => 10,
        "m" | "mib" => 20,
        "g" | "gib" => 30,
        "t" | "tib" => 40,
        _ => return Err(String::from("expected a number of bytes, KiB, MiB, GiB or TiB")),
    };
    let number: u64 = digits.parse().map_err(|_| String::from("expected a number"))?;
    number.checked_mul(1 << shift).ok_or_else(|| String::from("too large"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_hashes() {
        assert_eq!(size("16MiB"), Ok(16 << 20));
        assert_eq!(size("1024"), Ok(1024));
        for text in ["", "MiB", "1X", "99999999999GiB", "-1"] {
            assert!(size(text).is_err(), "{text}");
        }
        assert_eq!(hash(&"ab".repeat(32)), Ok(SwarmKey([0xab; 20])));
        assert!(hash("ab").is_err());
    }

    #[test]
    fn listeners_are_addresses_or_off() {
        assert_eq!("off".parse(), Ok(Listener::Off));
        assert_eq!("[::1]:0".parse(), Ok(Listener::At("[::1]:0".parse().unwrap())));
        assert_eq!(
            "localhost:80".parse(),
            Ok(Listener::At("127.0.0.1:80".parse().unwrap()))
        );
        assert!("8080".parse::<Listener>().is_err());
    }
}
