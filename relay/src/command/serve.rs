//! `tombolo serve`: its flags, its first line, and its end.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::Deserialize;
use serde_json::json;
use tombolo_core::key::{SwarmKey, unhex};

use super::failure::Failure;
use super::flags::{Encryption, Finders, Threads};
use super::listener::Listener;
use super::signals::Signals;
use super::units::parse_size;
use super::{input, output};
use crate::serve::{self, Addresses, BridgePolicy, ServeConfig, Tls, TlsError};

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
    /// Listen for native peers, over TCP and uTP.
    #[arg(long, value_name = "ADDR:PORT")]
    pub(super) tcp: Vec<Listener>,
    /// Listen for WebRTC.
    #[arg(long, value_name = "ADDR:PORT")]
    pub(super) rtc: Vec<Listener>,
    /// Whether native connections are encrypted.
    #[arg(long, default_value = "prefer")]
    pub(super) encryption: Encryption,
    /// How much the cache may hold.
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = parse_size)]
    pub(super) cache: u64,
    /// Who may put the relay into a swarm: open when it listens on loopback only, else list.
    #[arg(long)]
    pub(super) bridge: Option<Bridge>,
    /// Join this swarm and fetch it as far as the cache goes; may be repeated.
    #[arg(long, value_name = "FILE|MAGNET")]
    pub(super) add: Vec<OsString>,
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
    #[command(flatten)]
    pub(super) finders: Finders,
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
    /// Speak HTTPS and WSS by this chain of certificates (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(super) tls_cert: Option<PathBuf>,
    /// The private key of the first certificate (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(super) tls_key: Option<PathBuf>,
    #[command(flatten)]
    pub(super) threads: Threads,
    /// Read further settings (`allow`, `token`, `hosts`, `origins`) from this JSON file.
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
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
pub(super) fn run(args: &ServeArgs) -> Result<ExitCode, Failure> {
    let threads = args.threads.count();
    let config = configure(args, threads)?;
    crate::system::raise_open_files();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()
        .map_err(|error| Failure::io("no threads", &error))?;
    let status = runtime.block_on(serve(args.json, config));
    // Tasks that still run have been told to end; none is waited for.
    runtime.shutdown_timeout(Duration::from_millis(100));
    status
}

async fn serve(json: bool, config: ServeConfig) -> Result<ExitCode, Failure> {
    let mut signals = Signals::new().map_err(|error| Failure::io("no signals", &error))?;
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    let running = serve::start(config)
        .await
        .map_err(|error| Failure::running(error.code, error.message))?;
    announce(json, scheme, &running.listening);
    let status = signals.next().await;
    signals.last(status, running.stop()).await;
    Ok(ExitCode::from(status))
}

/// The first line.
fn announce(json: bool, scheme: &str, listening: &Addresses) {
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
    if json {
        output::line(&ready);
    } else {
        output::say(&first(http).map_or_else(String::new, |address| format!("open {scheme}://{address}/")));
    }
}

fn configure(args: &ServeArgs, threads: usize) -> Result<ServeConfig, Failure> {
    let file = match &args.config {
        Some(path) => read_config(path)?,
        None => File::default(),
    };
    let listen = addresses(args);
    let only_loopback = listen.are_loopback();
    let allow: Result<Vec<_>, _> = file.allow.iter().map(|text| hash(text)).collect();
    let allow = allow.map_err(|message| Failure::refused("bad-config", format!("allow: {message}")))?;
    let add: Result<Vec<_>, Failure> = args.add.iter().map(|name| input::read_source(name)).collect();
    let data = args.data.clone().unwrap_or_else(|| PathBuf::from("tombolo-data"));
    Ok(ServeConfig {
        finding: args.finders.settings(args.allow_local, Some(data.join("dht"))),
        data,
        listen,
        encryption: args.encryption.into(),
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
        tls: read_tls(args)?,
        token: file.token,
        page: args.page.clone(),
        threads,
    })
}

/// Where to listen: what is named, or the defaults when nothing is.
fn addresses(args: &ServeArgs) -> Addresses {
    let named = |list: &[Listener]| {
        list.iter()
            .filter_map(|listener| listener.address())
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

fn read_tls(args: &ServeArgs) -> Result<Option<Tls>, Failure> {
    let (Some(certificates), Some(key)) = (&args.tls_cert, &args.tls_key) else {
        return Ok(None);
    };
    Tls::read(certificates, key).map(Some).map_err(|error| match error {
        TlsError::Io(path, error) => Failure::io(path.display(), &error),
        TlsError::Bad(why) => Failure::refused("bad-certificate", why),
    })
}

fn read_config(path: &Path) -> Result<File, Failure> {
    let text = std::fs::read(path).map_err(|error| Failure::io(path.display(), &error))?;
    serde_json::from_slice(&text)
        .map_err(|error| Failure::refused("bad-config", format!("{}: {error}", path.display())))
}

/// A v1 info-hash, or a v2 one, which counts by its first 20 bytes.
fn hash(text: &str) -> Result<SwarmKey, String> {
    let v1 = unhex::<20>(text);
    let cut = || unhex::<32>(text).and_then(|_| unhex::<20>(text.get(..40)?));
    v1.or_else(cut)
        .map(SwarmKey)
        .ok_or_else(|| String::from("an info-hash has 40 hexadecimal digits, or 64"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_of_both_versions() {
        assert_eq!(hash(&"ab".repeat(32)), Ok(SwarmKey([0xab; 20])));
        assert!(hash("ab").is_err());
    }
}
