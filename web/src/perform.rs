//! Performing the session's actions.

use tombolo_core::event::{Action, Event, Job};
use wasm_bindgen_futures::spawn_local;

use crate::engine::Core;
use crate::platform::Request;
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
            Action::Fetch { job, url, limit } => self.fetch(job, url, limit),
            Action::Report(torrent, report) => self.take_report(torrent, report),
            // A browser has no sockets: the session was told so, and these are refused if it asks all the same.
            Action::Dial(dial, ..) => self.tell(Event::DialFailed(dial)),
            Action::Datagram(job, ..) => {
                let why = String::from("a browser cannot send datagrams");
                self.tell(Event::Datagram(job, Err(why)));
            }
            // A tab keeps no cache of a bridge, and has no conversations of datagrams.
            Action::Discard(..) | Action::Hangup(_) => {}
        }
    }

    /// GETs a URL for the session.
    fn fetch(&self, job: Job, url: String, limit: usize) {
        let (handle, host) = (self.handle(), self.host.clone());
        spawn_local(async move {
            let request = Request {
                method: "GET",
                url: &url,
                json: None,
                limit,
            };
            let body = match host.request(request).await {
                Ok(response) if response.status == 200 => Ok(response.body.into()),
                Ok(response) => Err(format!("the server answered {}", response.status)),
                Err(why) => Err(why),
            };
            handle.event(Event::Fetched(job, body));
        });
    }
}
