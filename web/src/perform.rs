//! Performing the session's actions.

use tombolo_core::event::{Action, Event};

use crate::engine::Core;
use crate::storage::{Reader, Task};

impl Core {
    /// Does one thing that the session asks for.
    pub(crate) fn perform(&mut self, action: Action) {
        match action {
            Action::Open(torrent, metainfo) => self.open_storage(torrent, metainfo),
            Action::Hash(job, data, hashing) => self.tell(Event::Hashed(job, hashing.digest(&data))),
            Action::Check(job, torrent, piece, hashing) => self.store(torrent, Task::Check(job, piece, hashing)),
            Action::Store(job, torrent, piece, data) => self.store(torrent, Task::Store(job, piece, data)),
            Action::Load(job, torrent, range) => self.store(torrent, Task::Load(Reader::Session(job), range)),
            Action::Flush(link) => self.wake(link),
            Action::Close(link, reason) => self.close_link(link, &reason),
            Action::MakeOffer(offer, torrent) => self.make_offer(offer, torrent),
            Action::Answer(offer, torrent, sdp) => self.answer_offer(offer, torrent, &sdp),
            Action::Accept(offer, sdp) => self.accept_answer(offer, &sdp),
            Action::Withdraw(offer) => self.withdraw_offer(offer),
            Action::Connect(socket, url) => self.connect_tracker(socket, &url),
            Action::Text(socket, text) => self.tell_tracker(socket, &text),
            Action::Disconnect(socket) => self.disconnect_tracker(socket),
            Action::Report(torrent, report) => self.take_report(torrent, report),
            // A browser has no sockets: the session was told so, and these are refused if it asks all the same.
            Action::Dial(dial, ..) => self.tell(Event::DialFailed(dial)),
            Action::Datagram(job, ..) => {
                let why = String::from("a browser cannot send datagrams");
                self.tell(Event::Datagram(job, Err(why)));
            }
            Action::Fetch { job, .. } => {
                self.tell(Event::Fetched(job, Err(String::from("a browser asks no such tracker"))))
            }
            Action::Stream {
                job,
                url,
                start,
                length,
            } => self.start_stream(job, &url, start, length),
            Action::Abort(job) => drop(self.bodies.remove(&job)),
            // A tab keeps no cache of a bridge, and has no conversations of datagrams.
            Action::Discard(..) | Action::Hangup(_) => {}
            // Nor addresses.
            Action::Punch(..) | Action::Lookup(..) | Action::Node(_) => {}
        }
    }
}
