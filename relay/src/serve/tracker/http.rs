//! The tracker over HTTP (BEP 3, 7, 23, 24, 48).

use std::fmt::Display;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;

use tombolo_core::tracker::http::{
    AnnounceQuery, Kind, PeerForm, encode_announce_into, encode_failure, encode_scrape, parse_announce_query,
    parse_scrape_query,
};
use tombolo_core::tracker::query::{AnnounceReply, Failure};
use tombolo_core::tracker::registry::Answer;

use super::native::{self, Native};
use super::{Face, Pass};
use crate::serve::Relay;
use crate::serve::guard::Ends;

/// Swarms that one scrape may name.
const MAX_SCRAPE: usize = 200;

/// Appends the bencoded answer to what an address asks. `answer` is kept from one to the next.
pub(crate) fn answer(
    relay: &Relay,
    ends: Ends,
    (kind, passkey): (Kind, Option<&str>),
    query: &str,
    (answer, out): (&mut Answer, &mut Vec<u8>),
) {
    if !relay.rates.tracker(ends.remote.ip()) {
        out.extend(encode_failure(&super::too_often()));
        return;
    }
    let pass = relay.tracker.access.pass(passkey);
    match kind {
        Kind::Announce => announce(relay, ends, pass, query, (answer, out)),
        Kind::Scrape => scrape(relay, pass, query, out),
    }
}

fn announce(relay: &Relay, ends: Ends, pass: Pass, query: &str, (answer, out): (&mut Answer, &mut Vec<u8>)) {
    let query = match parse_announce_query(query) {
        Ok(query) => query,
        Err(error) => return refuse(&error, out),
    };
    if let Err(failure) = relay.tracker.admit(Face::Http, query.request.swarm, pass) {
        out.extend(encode_failure(&failure));
        return;
    }
    let asked = Native {
        request: &query.request,
        remote: ends.remote.ip(),
        local: ends.local.ip(),
        said: query.ip,
        also: further(&query, ends.remote),
        family: None,
    };
    native::announce(relay, &asked, answer);
    let interval = relay.tracker.settings.interval;
    let mut reply = AnnounceReply {
        min_interval: Some(interval / 2),
        peers: std::mem::take(&mut answer.addresses),
        external_ip: Some(ends.remote.ip().to_canonical()),
        ..relay.tracker.reply(answer.counts, interval)
    };
    let form = match (query.compact, query.no_peer_id) {
        (true, _) => PeerForm::Compact,
        (false, true) => PeerForm::Dictionary(None),
        (false, false) => PeerForm::Dictionary(Some(&answer.ids)),
    };
    encode_announce_into(&reply, form, out);
    answer.addresses = std::mem::take(&mut reply.peers);
}

/// The address of the other family that an announce names (BEP 7), with the port of the announce where it has none of its own.
fn further(query: &AnnounceQuery, remote: SocketAddr) -> Option<SocketAddr> {
    let port = query.request.port;
    if remote.ip().to_canonical().is_ipv4() {
        let (ip, own) = query.ipv6?;
        Some(SocketAddr::from((ip, own.unwrap_or(port))))
    } else {
        let (ip, own) = query.ipv4?;
        Some(SocketAddr::from((ip, own.unwrap_or(port))))
    }
}

fn scrape(relay: &Relay, pass: Pass, query: &str, out: &mut Vec<u8>) {
    let tracker = &relay.tracker;
    tracker.asked.scrapes.fetch_add(1, Ordering::Relaxed);
    if let Err(error) = tracker.access.still(pass) {
        return refuse(&error, out);
    }
    match parse_scrape_query(query) {
        Err(error) => refuse(&error, out),
        Ok(swarms) if swarms.is_empty() => match tracker.scrape_all() {
            Some(all) => out.extend(encode_scrape(&all)),
            None => refuse(&"name the swarms to scrape by info_hash", out),
        },
        Ok(swarms) => {
            let counts = swarms
                .into_iter()
                .take(MAX_SCRAPE)
                .map(|swarm| (swarm, tracker.scrape(swarm)));
            out.extend(encode_scrape(&counts.collect::<Vec<_>>()));
        }
    }
}

fn refuse(reason: &impl Display, out: &mut Vec<u8>) {
    out.extend(encode_failure(&Failure {
        reason: reason.to_string(),
        retry_in_minutes: None,
    }));
}
