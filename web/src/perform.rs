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
            Action::Stream {
                job,
                url,
                start,
                length,
            } => self.start_stream(job, &url, start, length),
            Action::Abort(job) => drop(self.bodies.remove(&job)),
            // A browser has no sockets, addresses or caches of a bridge: without its feature `native` the core asks for nothing more.
            _ => {}
        }
    }
}
