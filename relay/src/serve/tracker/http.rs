//! The tracker over HTTP (BEP 3, 7, 23, 24, 48).

use std::fmt::Display;

use tombolo_core::tracker::http::{
    PeerForm, encode_announce, encode_failure, encode_scrape, parse_announce_query, parse_scrape_query,
};
use tombolo_core::tracker::query::{AnnounceReply, Failure};

use super::announce_native;
use crate::serve::Relay;
use crate::serve::guard::Ends;

/// Swarms that one scrape may name.
const MAX_SCRAPE: usize = 200;

/// The bencoded answer to an announce.
pub(crate) fn announce(relay: &Relay, ends: Ends, query: &str) -> Vec<u8> {
    let query = match parse_announce_query(query) {
        Ok(query) => query,
        Err(error) => return failure(&error),
    };
    let interval = relay.tracker.settings.interval;
    announce_native(
        relay,
        &query.request,
        (ends.remote.ip(), ends.local.ip()),
        None,
        |answer| {
            let reply = AnnounceReply {
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
            encode_announce(&reply, form)
        },
    )
}

/// The bencoded answer to a scrape.
pub(crate) fn scrape(relay: &Relay, query: &str) -> Vec<u8> {
    match parse_scrape_query(query) {
        Err(error) => failure(&error),
        Ok(swarms) if swarms.is_empty() => match relay.tracker.scrape_all() {
            Some(all) => encode_scrape(&all),
            None => failure(&"name the swarms to scrape by info_hash"),
        },
        Ok(swarms) => {
            let counts = swarms
                .into_iter()
                .take(MAX_SCRAPE)
                .map(|swarm| (swarm, relay.tracker.scrape(swarm)));
            encode_scrape(&counts.collect::<Vec<_>>())
        }
    }
}

/// The bencoded answer to one that asks too often.
pub(crate) fn too_often() -> Vec<u8> {
    encode_failure(&super::too_often())
}

fn failure(reason: &impl Display) -> Vec<u8> {
    encode_failure(&Failure {
        reason: reason.to_string(),
        retry_in_minutes: None,
    })
}
