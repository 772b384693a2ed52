//! Trackers that a browser cannot speak to: announces over HTTP (BEP 3) and, in `announce_udp`, over UDP.
//!
//! A browser's HTTP requests are refused by nearly every tracker (CORS), and the addresses it would get are of no use to it. Without the
//! feature `native`, `no_native` stands in for this module.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::SocketAddr;

use bytes::Bytes;

use super::Swarm;
use super::announce::failure;
use crate::event::{Action, Job};
use crate::session::context::Context;
use crate::tracker::announcer::{Face, Tracker};
use crate::tracker::http;
use crate::tracker::query::AnnounceRequest;

impl Swarm {
    /// Announces to a tracker over HTTP or UDP.
    pub(super) fn announce_native(&mut self, cx: &mut Context, at: usize) {
        if self.announcer.trackers[at].face == Face::Udp {
            self.announce_udp(cx, at);
        } else {
            self.announce_http(cx, at);
        }
    }

    /// The addresses that a tracker named.
    pub(super) fn add_announced(&mut self, cx: &mut Context, peers: Vec<SocketAddr>) {
        self.add_peers(cx, peers);
    }

    fn announce_http(&mut self, cx: &mut Context, at: usize) {
        let request = self.request(cx, at);
        let job = cx.job(self.torrent);
        let tracker = &mut self.announcer.trackers[at];
        tracker.job = Some(job);
        let url = http::announce_url(&tracker.url, &request);
        cx.act(Action::Fetch {
            job,
            url,
            limit: http::MAX_REPLY,
        });
    }

    /// A fetch that was an announce came back.
    pub(crate) fn fetched(&mut self, cx: &mut Context, job: Job, result: Result<Bytes, String>) {
        let Some(at) = self.announcer.by_job(job) else { return };
        match result.map(|body| http::parse_announce(&body)) {
            Ok(Ok(reply)) => self.tracker_succeeded(cx, at, reply),
            Ok(Err(http::ReplyError::Failure(refusal))) => self.tracker_failed(cx, at, &refusal),
            Ok(Err(error)) => self.tracker_failed(cx, at, &failure(&error.to_string())),
            Err(error) => self.tracker_failed(cx, at, &failure(&error)),
        }
    }

    /// Tells a tracker over HTTP or UDP that we stop. Nobody waits for the answer.
    pub(super) fn stop_native(cx: &mut Context, tracker: &Tracker, request: &AnnounceRequest) {
        if tracker.face == Face::Udp {
            return Self::stop_udp(cx, tracker, request);
        }
        let job = Job(cx.unique());
        cx.act(Action::Fetch {
            job,
            url: http::announce_url(&tracker.url, request),
            limit: http::MAX_REPLY,
        });
    }
}
