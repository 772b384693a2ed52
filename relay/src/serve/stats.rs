//! The relay in numbers: `/stats.json`, `/metrics` for Prometheus, and `/stats` for people.
//!
//! Counters are taken from the shards as they are asked for, so they are never old.

use std::fmt::Write as _;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::{Request, StatusCode};
use serde_json::{Value, json};

use super::Relay;
use super::guard::Ends;
use super::reply::{self, Reply};
use crate::panics;
use crate::shard::{Counts, sum};

/// Answers a request for numbers.
pub(crate) async fn answer(relay: &Arc<Relay>, ends: Ends, request: &Request<Incoming>) -> Reply {
    if !relay.guard.authorised(ends, request.headers()) {
        return reply::refusal(StatusCode::UNAUTHORIZED, "unauthorised", "this needs the relay's token");
    }
    let numbers = numbers(relay).await;
    match request.uri().path() {
        "/metrics" => reply::reply(
            StatusCode::OK,
            "text/plain; version=0.0.4; charset=utf-8",
            metrics(&numbers),
        ),
        "/stats" => reply::text(StatusCode::OK, people(&numbers)),
        _ => reply::json(StatusCode::OK, &numbers),
    }
}

/// All numbers, as `/stats.json` has them.
async fn numbers(relay: &Arc<Relay>) -> Value {
    let shards = relay
        .shards
        .look_all(|view| (view.torrents().len(), view.counts()))
        .await;
    let torrents: usize = shards.iter().map(|(torrents, _)| torrents).sum();
    let counts = shards
        .into_iter()
        .map(|(_, counts)| counts)
        .fold(Counts::default(), sum);
    let (swarms, swarm_peers) = relay.tracker.size();
    json!({
        "torrents": torrents,
        "swarms": swarms,
        "swarm_peers": swarm_peers,
        "peers_web": counts.rtc + counts.wire,
        "peers_wire": counts.wire,
        "peers_native": counts.native,
        "bytes_native_in": counts.received.native,
        "bytes_native_out": counts.sent.native,
        "bytes_web_in": counts.received.web(),
        "bytes_web_out": counts.sent.web(),
        "cache_bytes": counts.cache,
        "cache_limit": relay.settings.cache,
        "hash_failures": counts.hash_failures,
        "panics": panics::count(),
        "rss_bytes": resident(),
        "uptime_s": relay.started.elapsed().as_secs_f64(),
    })
}

/// Bytes of memory that the process has; 0 where the system does not tell.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap_or_default();
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().unwrap_or_default();
    kib * 1024
}

fn each(numbers: &Value) -> impl Iterator<Item = (&String, &Value)> {
    numbers.as_object().into_iter().flatten()
}

fn metrics(numbers: &Value) -> String {
    let counters = [
        "bytes_native_in",
        "bytes_native_out",
        "bytes_web_in",
        "bytes_web_out",
        "hash_failures",
        "panics",
    ];
    each(numbers).fold(String::new(), |mut text, (name, value)| {
        let (kind, suffix) = if counters.contains(&name.as_str()) {
            ("counter", "_total")
        } else {
            ("gauge", "")
        };
        let _ = writeln!(
            text,
            "# TYPE tombolo_{name}{suffix} {kind}\ntombolo_{name}{suffix} {value}"
        );
        text
    })
}

fn people(numbers: &Value) -> String {
    each(numbers).fold(String::new(), |mut text, (name, value)| {
        let _ = writeln!(text, "{name:<18}{value}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_typed() {
        let text = metrics(&json!({"panics": 2, "swarms": 5}));
        assert_eq!(
            text,
            "# TYPE tombolo_panics_total counter\ntombolo_panics_total 2\n# TYPE tombolo_swarms gauge\ntombolo_swarms 5\n"
        );
        assert!(resident() > 100_000);
    }
}
