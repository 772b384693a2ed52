//! `tombolo serve` and `tombolo tracker`: their flags, their first line, and their end.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::json;
use tombolo_core::key::{SwarmKey, unhex};

use super::failure::Failure;
use super::flags::{Encryption, Finders, Rates, Threads};
use super::limits::Limits;
use super::listener::Listener;
use super::logs::Logs;
use super::settings::Config;
use super::signals::Signals;
use super::units::parse_size;
use super::{input, output};
use crate::finding;
use crate::limits;
use crate::serve::{self, AccessConfig, Addresses, BridgePolicy, ServeConfig, Tls, TlsError};

/// Seconds between announces: web peers meet through announces, so it is much shorter than native trackers' half hour.
const INTERVAL: u64 = 120;

/// Where a relay listens when it is not told.
const DEFAULT_HTTP: u16 = 8080;

/// The flags of `tombolo tracker`, all of which `serve` has too.
#[derive(Clone, Debug, Args)]
pub(super) struct TrackerArgs {
    /// The folder that everything is kept in
    #[arg(long, value_name = "DIR", default_value = "tombolo-data")]
    data: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    threads: Threads,
    /// Listen for HTTP: page, trackers, API. Port 0 is any free one, `off` none; may be repeated
    ///
    /// Without any listener: HTTP and the UDP tracker on port 8080 of 127.0.0.1; native peers and WebRTC on free ports there.
    #[arg(long, value_name = "ADDR:PORT", help_heading = "Listeners")]
    listen: Vec<Listener>,
    /// Listen as a UDP tracker; may be repeated
    #[arg(long, value_name = "ADDR:PORT", help_heading = "Listeners")]
    udp: Vec<Listener>,
    /// Speak HTTPS and WSS by this chain of certificates (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_key", help_heading = "Listeners")]
    tls_cert: Option<PathBuf>,
    /// The private key of the first certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert", help_heading = "Listeners")]
    tls_key: Option<PathBuf>,
    /// Ask peers to announce so often, in seconds
    #[arg(long, value_name = "S", default_value_t = INTERVAL, value_parser = clap::value_parser!(u64).range(1..), help_heading = "Tracker")]
    interval: u64,
    /// Forget a peer that is silent so long, in seconds [default: twice the interval]
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Tracker")]
    peer_ttl: Option<u64>,
    /// Keep at most so many peers of one swarm
    #[arg(long, value_name = "N", default_value_t = 10_000, help_heading = "Tracker")]
    max_peers: usize,
    /// Answer a scrape that names no swarm with all of them
    #[arg(long, help_heading = "Tracker")]
    full_scrape: bool,
    /// Serve only the info-hashes in this file, one a line; it is read again when it changes
    #[arg(long, value_name = "FILE", help_heading = "Tracker")]
    tracker_allow: Option<PathBuf>,
    /// Do not serve the info-hashes in this file, as tracker or bridge; it is read again when it changes
    #[arg(long, value_name = "FILE", help_heading = "Tracker")]
    tracker_deny: Option<PathBuf>,
    /// Serve only announce URLs with a passkey; `tombolo passkey` makes them
    #[arg(long, help_heading = "Who may ask")]
    private: bool,
    /// No budgets, rates or limits by address: for load tests
    #[arg(long, help_heading = "Who may ask")]
    no_limits: bool,
    /// Talk to loopback and private addresses, and hand them out
    #[arg(long, help_heading = "Who may ask")]
    allow_local: bool,
    /// Answer under this name on listeners that are not loopback; may be repeated [default: under any]
    #[arg(long, value_name = "NAME", help_heading = "Who may ask")]
    host: Vec<String>,
    /// Let pages of this origin use `/wire` and the API; may be repeated
    #[arg(long, value_name = "ORIGIN", help_heading = "Who may ask")]
    origin: Vec<String>,
    /// What the API asks for [default: one that is made and kept under --data]
    ///
    /// Others on the machine can read the arguments of a command: better put it into the environment, or the file of --config.
    #[arg(long, value_name = "TOKEN", help_heading = "Who may ask")]
    token: Option<String>,
    #[command(flatten)]
    config: Config,
    #[command(flatten)]
    logs: Logs,
}

/// The flags of `tombolo serve`.
#[derive(Clone, Debug, Args)]
pub(super) struct ServeArgs {
    #[command(flatten)]
    tracker: TrackerArgs,
    #[command(flatten)]
    relay: RelayArgs,
}

/// What a relay does beside being a tracker.
#[derive(Clone, Debug, Args)]
struct RelayArgs {
    /// Listen for native peers, over TCP and uTP; may be repeated
    #[arg(long, value_name = "ADDR:PORT", help_heading = "Listeners")]
    tcp: Vec<Listener>,
    /// Listen for WebRTC; may be repeated
    #[arg(long, value_name = "ADDR:PORT", help_heading = "Listeners")]
    rtc: Vec<Listener>,
    /// Whether native connections are encrypted
    #[arg(long, default_value = "prefer", help_heading = "Bridge")]
    encryption: Encryption,
    /// How much the cache may hold
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = parse_size, help_heading = "Bridge")]
    cache: u64,
    /// Who may put the relay into a swarm [default: open when it listens on loopback only, else list]
    #[arg(long, value_name = "WHO", help_heading = "Bridge")]
    bridge: Option<Bridge>,
    /// Join this swarm and fetch it as far as the cache goes; may be repeated
    #[arg(long, value_name = "FILE|MAGNET", help_heading = "Bridge")]
    add: Vec<OsString>,
    /// Serve this info-hash with `--bridge list`; may be repeated
    #[arg(long, value_name = "HASH", value_parser = hash, help_heading = "Bridge")]
    allow: Vec<SwarmKey>,
    #[command(flatten)]
    finders: Finders,
    #[command(flatten)]
    rates: Rates,
    #[command(flatten)]
    limits: Limits,
    /// Serve the page from this folder instead of the embedded one
    #[arg(long, value_name = "DIR", help_heading = "Page")]
    page: Option<PathBuf>,
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

impl ServeArgs {
    /// Whether JSON is printed.
    pub(super) const fn json(&self) -> bool {
        self.tracker.json
    }

    /// Runs a relay until it is told to stop.
    ///
    /// # Errors
    /// What is given is refused, or it does not start.
    pub(super) fn run(&self) -> Result<ExitCode, Failure> {
        let only_loopback = self.listen().are_loopback();
        let add: Result<Vec<_>, Failure> = self.relay.add.iter().map(|name| input::read_source(name)).collect();
        let allow_local = self.tracker.allow_local;
        self.tracker.serve(ServeConfig {
            finding: self
                .relay
                .finders
                .settings(allow_local, Some(self.tracker.data.join("dht"))),
            encryption: self.relay.encryption.into(),
            cache: self.relay.cache,
            bridge: match self.relay.bridge {
                Some(Bridge::Open) => BridgePolicy::Open,
                Some(Bridge::List) => BridgePolicy::List,
                Some(Bridge::Off) => BridgePolicy::Off,
                None if only_loopback => BridgePolicy::Open,
                None => BridgePolicy::List,
            },
            add: add?,
            session: self.relay.limits.read(self.relay.rates)?,
            allow: self.relay.allow.clone(),
            page: self.relay.page.clone(),
            ..self.tracker.settings(self.listen())?
        })
    }

    /// Where to listen: what is named, or the defaults when nothing is.
    fn listen(&self) -> Addresses {
        let named = self.tracker.is_listening() || !self.relay.tcp.is_empty() || !self.relay.rtc.is_empty();
        let free = || vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))];
        Addresses {
            tcp: if named { open(&self.relay.tcp) } else { free() },
            rtc: if named { open(&self.relay.rtc) } else { free() },
            ..self.tracker.listen(named)
        }
    }
}

impl TrackerArgs {
    /// Runs a tracker until it is told to stop.
    ///
    /// # Errors
    /// What is given is refused, or it does not start.
    pub(super) fn run(&self) -> Result<ExitCode, Failure> {
        self.serve(self.settings(self.listen(self.is_listening()))?)
    }

    /// What a tracker and nothing else is started with.
    fn settings(&self, listen: Addresses) -> Result<ServeConfig, Failure> {
        Ok(ServeConfig {
            finding: finding::Settings::default(),
            data: self.data.clone(),
            listen,
            encryption: Encryption::Prefer.into(),
            cache: 0,
            bridge: BridgePolicy::Off,
            add: Vec::new(),
            allow: Vec::new(),
            peer_ttl: Duration::from_secs(self.peer_ttl.unwrap_or(2 * self.interval)),
            interval: Duration::from_secs(self.interval),
            max_peers: self.max_peers,
            session: limits::Limits::default(),
            limits: !self.no_limits,
            allow_local: self.allow_local,
            access: AccessConfig {
                allow: self.tracker_allow.clone(),
                deny: self.tracker_deny.clone(),
                private: self.private,
            },
            full_scrape: self.full_scrape,
            hosts: self.host.clone(),
            origins: self.origin.clone(),
            tls: self.read_tls()?,
            token: self.token.clone(),
            page: None,
            threads: self.threads.count(),
        })
    }

    fn is_listening(&self) -> bool {
        !self.listen.is_empty() || !self.udp.is_empty()
    }

    /// Where to listen: what is named, or the defaults when nothing is.
    fn listen(&self, named: bool) -> Addresses {
        let usual = || vec![SocketAddr::from((Ipv4Addr::LOCALHOST, DEFAULT_HTTP))];
        Addresses {
            http: if named { open(&self.listen) } else { usual() },
            udp: if named { open(&self.udp) } else { usual() },
            ..Addresses::default()
        }
    }

    fn read_tls(&self) -> Result<Option<Tls>, Failure> {
        let (Some(certificates), Some(key)) = (&self.tls_cert, &self.tls_key) else {
            return Ok(None);
        };
        Tls::read(certificates, key).map(Some).map_err(|error| match error {
            TlsError::Io(path, error) => Failure::io(path.display(), &error),
            TlsError::Bad(why) => Failure::refused("bad-certificate", why),
        })
    }

    fn serve(&self, config: ServeConfig) -> Result<ExitCode, Failure> {
        self.logs.begin("info");
        crate::system::raise_open_files();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(config.threads)
            .enable_all()
            .build()
            .map_err(|error| Failure::io("no threads", &error))?;
        let status = runtime.block_on(serve(self.json, config));
        // Tasks that still run have been told to end; none is waited for.
        runtime.shutdown_timeout(Duration::from_millis(100));
        status
    }
}

/// The addresses of listeners that are not off.
fn open(listeners: &[Listener]) -> Vec<SocketAddr> {
    listeners.iter().filter_map(|listener| listener.address()).collect()
}

async fn serve(json: bool, config: ServeConfig) -> Result<ExitCode, Failure> {
    let mut signals = Signals::new().map_err(|error| Failure::io("no signals", &error))?;
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    let running = serve::start(config)
        .await
        .map_err(|error| Failure::running(error.code, error.message))?;
    announce(json, scheme, &running.listening);
    let Addresses { http, udp, tcp, rtc } = &running.listening;
    tracing::info!(
        ?http,
        ?udp,
        ?tcp,
        ?rtc,
        version = env!("CARGO_PKG_VERSION"),
        "listening"
    );
    let status = signals.next().await;
    tracing::info!(status, "stopping");
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
