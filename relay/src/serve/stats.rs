//! The relay in numbers: `/stats.json`, `/metrics` for Prometheus, and `/stats` for people.
//!
//! Counters are taken from the shards as they are asked for, so they are never old.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use hyper::body::Incoming;
use hyper::header::{CONTENT_SECURITY_POLICY, HeaderValue, WWW_AUTHENTICATE};
use hyper::{Request, StatusCode};
use serde_json::{Value, json};

use super::guard::Ends;
use super::reply::{self, Reply};
use super::{Relay, people};
use crate::finding;
use crate::panics;
use crate::shard::{Counts, sum};

/// The page for people has no script and loads nothing.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'";

/// Answers a request for numbers.
pub(crate) async fn answer(relay: &Arc<Relay>, ends: Ends, request: &Request<Incoming>) -> Reply {
    let for_people = request.uri().path() == "/stats";
    let guard = &relay.guard;
    let headers = request.headers();
    let may_look = guard.authorised(ends, headers) || for_people && guard.signed_in(headers);
    if !may_look {
        let mut refusal = reply::refusal(StatusCode::UNAUTHORIZED, "unauthorised", "this needs the relay's token");
        if for_people {
            // A browser then asks its user.
            let scheme = HeaderValue::from_static("Basic realm=\"the relay's token as password\"");
            refusal.headers_mut().insert(WWW_AUTHENTICATE, scheme);
        }
        return refusal;
    }
    let numbers = numbers(relay).await;
    match request.uri().path() {
        "/metrics" => reply::reply(
            StatusCode::OK,
            "text/plain; version=0.0.4; charset=utf-8",
            metrics(&numbers),
        ),
        "/stats" => {
            let mut page = reply::reply(StatusCode::OK, "text/html; charset=utf-8", people::page(&numbers));
            page.headers_mut()
                .insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
            page
        }
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
    let dht = match &relay.finder {
        Some(finder) => finding::figures(finder).await,
        None => None,
    };
    let (swarms, swarm_peers) = relay.tracker.size();
    let asked = &relay.tracker.asked;
    let [http, udp, web] = asked.announces.each_ref().map(|count| count.load(Ordering::Relaxed));
    json!({
        "torrents": torrents,
        "swarms": swarms,
        "swarm_peers": swarm_peers,
        "announces_http": http,
        "announces_udp": udp,
        "announces_web": web,
        "announces_refused": asked.refused.load(Ordering::Relaxed),
        "scrapes": asked.scrapes.load(Ordering::Relaxed),
        "peers_web": counts.rtc + counts.wire,
        "peers_wire": counts.wire,
        "peers_native": counts.native,
        "bytes_native_in": counts.received.native,
        "bytes_native_out": counts.sent.native,
        "bytes_web_in": counts.received.web(),
        "bytes_web_out": counts.sent.web(),
        "cache_bytes": counts.cache,
        "cache_limit": relay.settings.cache,
        "dht_nodes_v4": dht.map(|dht| dht.nodes_v4),
        "dht_nodes_v6": dht.map(|dht| dht.nodes_v6),
        "dht_lookups": dht.map(|dht| dht.lookups),
        "dht_searches": dht.map(|dht| dht.searches),
        "dht_peers": dht.map(|dht| dht.peers),
        "dht_reachable": dht.map(|dht| dht.reachable),
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
        "announces_http",
        "announces_udp",
        "announces_web",
        "announces_refused",
        "scrapes",
        "dht_searches",
        "bytes_native_in",
        "bytes_native_out",
        "bytes_web_in",
        "bytes_web_out",
        "hash_failures",
        "panics",
    ];
    // What there is not has no number.
    let there = each(numbers).filter(|(_, value)| !value.is_null());
    there.fold(String::new(), |mut text, (name, value)| {
        let value = value
            .as_bool()
            .map_or_else(|| value.clone(), |yes| json!(u8::from(yes)));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_typed() {
        let text = metrics(&json!({"panics": 2, "swarms": 5, "dht_reachable": true, "dht_nodes_v4": null}));
        assert_eq!(
            text,
            "# TYPE tombolo_dht_reachable gauge\ntombolo_dht_reachable 1\n# TYPE tombolo_panics_total counter\ntombolo_panics_total 2\n# TYPE tombolo_swarms gauge\ntombolo_swarms 5\n"
        );
        assert!(resident() > 100_000);
    }
}
