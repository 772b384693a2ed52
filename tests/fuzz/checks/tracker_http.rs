//! Queries and answers over HTTP: an answer that is read is written so that it is read the same.

use tombolo_core::tracker::http::ReplyError;
use tombolo_core::tracker::http::{
    PeerForm, announce_url, encode_announce, encode_failure, encode_scrape, parse_announce, parse_announce_query,
    parse_scrape, parse_scrape_query, scrape_url,
};

/// Checks one input.
pub(crate) fn check(data: &[u8]) {
    match parse_announce(data) {
        Ok(reply) => {
            for form in [PeerForm::Compact, PeerForm::Dictionary(None)] {
                let mut again = parse_announce(&encode_announce(&reply, form)).expect("our own answer");
                let mut reply = reply.clone();
                again.peers.sort_unstable();
                reply.peers.sort_unstable();
                // Of IPv6 the dictionary form keeps no flow and no scope, and neither does what was read.
                assert_eq!(again, reply);
            }
        }
        Err(ReplyError::Failure(failure)) => {
            assert_eq!(
                parse_announce(&encode_failure(&failure)),
                Err(ReplyError::Failure(failure))
            );
        }
        Err(_) => {}
    }
    if let Ok(counts) = parse_scrape(data) {
        let again = parse_scrape(&encode_scrape(&counts)).expect("our own answer");
        assert!(counts.iter().all(|one| again.contains(one)));
    }
    if let Ok(text) = str::from_utf8(data) {
        if let Ok(query) = parse_announce_query(text) {
            let url = announce_url("http://tracker/announce", &query.request);
            let again = parse_announce_query(url.split_once('?').expect("a query").1).expect("our own query");
            assert_eq!(again.request.swarm, query.request.swarm);
            assert_eq!(again.request.tracker_id, query.request.tracker_id);
        }
        let _ = parse_scrape_query(text);
        let _ = scrape_url(text, &[]);
    }
}
