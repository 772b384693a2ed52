//! Announces to UDP trackers (BEP 15): a connection number is asked for first and holds for a minute; what gets lost is sent again.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use bytes::Bytes;

use super::Swarm;
use super::announce::failure;
use crate::event::{Action, Job};
use crate::session::context::Context;
use crate::time::Span;
use crate::tracker::announcer::Tracker;
use crate::tracker::query::AnnounceRequest;
use crate::tracker::udp::{Connection, Family, Request, Response, Transaction};

/// How long a connection number holds (BEP 15).
const CONNECTION: Span = Span::from_secs(60);

/// How often a packet is sent again before the tracker counts as failed. The wait before the n-th time is 15 * 2^n seconds
/// (BEP 15, which goes on to n = 8: over an hour, in which nobody learns that the tracker is gone).
const RESENDS: u32 = 2;

impl Swarm {
    pub(super) fn announce_udp(&mut self, cx: &mut Context, at: usize) {
        let job = cx.job(self.torrent);
        self.announcer.trackers[at].job = Some(job);
        match fresh_connection(cx, &self.announcer.trackers[at]) {
            Some(connection) => self.send_announce(cx, at, connection),
            None => {
                let transaction = transaction(cx);
                self.send_packet(cx, at, &Request::Connect(transaction));
            }
        }
    }

    /// A datagram came from a UDP tracker, or none can.
    pub(crate) fn datagram(&mut self, cx: &mut Context, job: Job, result: Result<(Family, Bytes), String>) {
        let Some(at) = self.announcer.by_job(job) else { return };
        let (family, packet) = match result {
            Ok(received) => received,
            Err(error) => return self.tracker_failed(cx, at, &failure(&error)),
        };
        let Ok(response) = Response::decode(&packet, family) else {
            return;
        };
        if Some(response.transaction()) != self.announcer.trackers[at].transaction() {
            return;
        }
        match response {
            Response::Connect(_, connection) => {
                self.announcer.trackers[at].connection = Some((connection, cx.now));
                self.send_announce(cx, at, connection);
            }
            Response::Announce(_, reply) => {
                cx.act(Action::Hangup(job));
                cx.retire(job.0);
                self.tracker_succeeded(cx, at, reply);
            }
            Response::Error(_, reason) => {
                self.announcer.trackers[at].connection = None;
                self.tracker_failed(cx, at, &failure(&reason));
            }
            Response::Scrape(..) => {}
        }
    }

    /// Sends again what a UDP tracker did not answer; false if it is not one or had its chances.
    pub(super) fn resend_udp(&mut self, cx: &mut Context, at: usize) -> bool {
        let tracker = &mut self.announcer.trackers[at];
        let (Some(job), Some((packet, sent))) = (tracker.job, tracker.packet.take()) else {
            return false;
        };
        if sent > RESENDS {
            return false;
        }
        tracker.next = cx.now + wait(sent);
        tracker.packet = Some((packet.clone(), sent + 1));
        let Some(host) = host(&tracker.url) else { return false };
        cx.act(Action::Datagram(job, host, packet));
        true
    }

    /// Tells a UDP tracker that we stop, if that takes one packet. It is not waited for.
    pub(super) fn stop_udp(cx: &mut Context, tracker: &Tracker, request: &AnnounceRequest) {
        let (Some(connection), Some(host)) = (fresh_connection(cx, tracker), host(&tracker.url)) else {
            return;
        };
        let packet = announce(request.clone(), connection, transaction(cx), &tracker.url).encode();
        let job = Job(cx.unique());
        cx.act(Action::Datagram(job, host, packet.into()));
        cx.act(Action::Hangup(job));
    }

    fn send_announce(&mut self, cx: &mut Context, at: usize, connection: Connection) {
        let request = self.request(cx, at);
        let announce = announce(request, connection, transaction(cx), &self.announcer.trackers[at].url);
        self.send_packet(cx, at, &announce);
    }

    fn send_packet(&mut self, cx: &mut Context, at: usize, request: &Request) {
        let tracker = &mut self.announcer.trackers[at];
        let (Some(job), Some(host)) = (tracker.job, host(&tracker.url)) else {
            return self.tracker_failed(cx, at, &failure("the tracker's address has no host and port"));
        };
        let packet = Bytes::from(request.encode());
        tracker.next = cx.now + wait(0);
        tracker.packet = Some((packet.clone(), 1));
        cx.act(Action::Datagram(job, host, packet));
    }
}

impl Tracker {
    /// The transaction of the packet that was last sent: its bytes 12 to 15, whatever the packet is (BEP 15).
    fn transaction(&self) -> Option<Transaction> {
        let bytes = self.packet.as_ref()?.0.get(12..16)?;
        Some(Transaction(u32::from_be_bytes(bytes.try_into().ok()?)))
    }
}

fn announce(announce: AnnounceRequest, connection: Connection, transaction: Transaction, url: &str) -> Request {
    Request::Announce {
        connection,
        transaction,
        announce,
        ip: None,
        url_data: url_data(url),
    }
}

fn fresh_connection(cx: &Context, tracker: &Tracker) -> Option<Connection> {
    tracker
        .connection
        .filter(|(_, at)| cx.now.since(*at) < CONNECTION)
        .map(|(connection, _)| connection)
}

fn transaction(cx: &mut Context) -> Transaction {
    Transaction(cx.rng.next_u64() as u32)
}

const fn wait(sent: u32) -> Span {
    Span::from_secs(15 << sent)
}

/// The `host:port` of a tracker's URL; a UDP tracker has no usual port.
fn host(url: &str) -> Option<String> {
    let rest = url.split_once("://")?.1;
    let host = rest.split(['/', '?', '#']).next()?;
    let (name, port) = host.rsplit_once(':')?;
    (!name.is_empty() && port.parse::<u16>().is_ok_and(|port| port != 0)).then(|| host.to_string())
}

/// The path and query of a tracker's URL (BEP 41).
fn url_data(url: &str) -> Vec<u8> {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let path = rest.find(['/', '?']).map_or("", |at| &rest[at..]);
    if path == "/" || path == "/announce" {
        Vec::new()
    } else {
        path.as_bytes().to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_url() {
        assert_eq!(host("udp://t.example:80/announce").as_deref(), Some("t.example:80"));
        assert_eq!(host("udp://[::1]:6969").as_deref(), Some("[::1]:6969"));
        assert_eq!(host("udp://t.example/announce"), None);
        assert_eq!(host("udp://:80"), None);
        assert_eq!(url_data("udp://t.example:80/announce"), b"");
        assert_eq!(url_data("udp://t.example:80/a?key=1"), b"/a?key=1");
        assert_eq!(url_data("udp://t.example:80"), b"");
    }
}
