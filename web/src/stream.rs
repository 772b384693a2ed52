//! Reading files for the service worker: `<video>`, downloads and `fetch` of a file's address.
//!
//! A stream gives one chunk for each pull, so a reader that stops stops everything behind it. Where the next piece is not there
//! yet the stream waits, and the session is told what will be read next; the stream that was pulled last decides that.

use js_sys::{ArrayBuffer, Object, Uint8Array};
use tombolo_core::event::{Event, StorageError, Torrent};
use tombolo_core::gather::Gather;
use tombolo_core::map::Map;
use tombolo_core::swarm::window::{AHEAD, Playback, USUAL_RATE};
use tombolo_core::time::Span;
use wasm_bindgen::prelude::*;
use web_sys::{MessageEvent, MessagePort};

use crate::engine::{Core, turn};
use crate::platform::{Callback, callback, member, set_member, text_member};
use crate::storage::{Reader, Task, words};
use crate::task::spawn;

/// The most bytes given for one pull: large against the cost of a message, small against a seek.
const CHUNK: u64 = 256 << 10;

/// A file being read.
pub(crate) struct Stream {
    torrent: Torrent,
    file: usize,
    /// How fast it is played, in bytes a second, if that is known.
    rate: Option<u64>,
    /// How long its player can play on with what it has read.
    buffered: Span,
    port: MessagePort,
    /// The next byte, and the byte after the last, within the file.
    at: u64,
    end: u64,
    /// A buffer that the reader has done with, if it gave one.
    spare: JsValue,
    /// A chunk was asked for and not given yet.
    pulled: bool,
    /// Storage is reading it.
    reading: bool,
    _callback: Callback,
}

/// All files being read.
#[derive(Default)]
pub(crate) struct Streams {
    open: Map<u32, Stream>,
    last: u32,
    /// The stream that was pulled last.
    playing: u32,
    reported: usize,
    /// There are new pieces.
    pub(crate) stirred: bool,
}

impl Core {
    /// The service worker asks for a file: answers what it is, and listens for what is to be read of it.
    pub(crate) fn open_stream(&mut self, request: &JsValue) {
        let Ok(port) = member(request, "port").dyn_into::<MessagePort>() else {
            return;
        };
        let torrent = Torrent(member(request, "torrent").as_f64().unwrap_or(0.0) as u32);
        let file = member(request, "file").as_f64().unwrap_or(-1.0) as usize;
        let metainfo = self.torrents.get(&torrent).and_then(|entry| entry.metainfo.as_ref());
        let length = metainfo
            .and_then(|metainfo| metainfo.files.get(file))
            .map(|file| file.length);
        let answer = Object::new();
        let Some(length) = length else {
            set_member(&answer, "found", &JsValue::NULL);
            let _ = port.post_message(&answer);
            return;
        };
        let found = Object::new();
        set_member(&found, "length", &JsValue::from_f64(length as f64));
        for key in ["type", "name"] {
            set_member(&found, key, &text_member(request, key).unwrap_or_default().into());
        }
        set_member(&answer, "found", &found);
        self.streams.last += 1;
        let number = self.streams.last;
        let callback = callback(move |event: MessageEvent| {
            turn(|core| core.stream_asked(number, &event.data()));
        });
        port.set_onmessage(Some(callback.as_ref().unchecked_ref()));
        let _ = port.post_message(&answer);
        let stream = Stream {
            torrent,
            file,
            rate: member(request, "rate").as_f64().map(|rate| rate as u64),
            buffered: Span::ZERO,
            port,
            at: 0,
            end: length,
            spare: JsValue::UNDEFINED,
            pulled: false,
            reading: false,
            _callback: callback,
        };
        self.streams.open.insert(number, stream);
    }

    fn stream_asked(&mut self, number: u32, message: &JsValue) {
        let Some(stream) = self.streams.open.get_mut(&number) else {
            return;
        };
        let open = member(message, "open");
        if open.is_object() {
            let bound = |key: &str| member(&open, key).as_f64().unwrap_or(0.0) as u64;
            stream.end = bound("end").min(stream.end);
            stream.at = bound("start").min(stream.end);
            self.report_streams();
        } else if member(message, "pull").is_truthy() {
            stream.pulled = true;
            stream.spare = member(message, "spare");
            self.play_stream(number);
            self.feed_stream(number);
        } else if member(message, "cancel").is_truthy() {
            self.close_stream(number);
        }
    }

    /// The page tells how its player fares with a file: how fast it plays, and how many seconds it could play on.
    pub(crate) fn pace(&mut self, torrent: Torrent, file: usize, told: &JsValue) {
        for stream in self.streams.open.values_mut() {
            if stream.torrent == torrent && stream.file == file {
                stream.rate = member(told, "rate").as_f64().map(|rate| rate as u64).or(stream.rate);
                let seconds = member(told, "buffered").as_f64().unwrap_or(0.0);
                stream.buffered = Span::from_micros((seconds * 1e6) as u64);
            }
        }
        self.play_stream(self.streams.playing);
    }

    /// Tells the session what this stream reads next.
    fn play_stream(&mut self, number: u32) {
        self.streams.playing = number;
        let Some(stream) = self.streams.open.get(&number) else {
            return;
        };
        let (torrent, position, mut rate) = (stream.torrent, stream.at, stream.rate);
        let Some(entry) = self.torrents.get(&torrent) else {
            return;
        };
        let metainfo = entry.metainfo.as_ref();
        let Some(file) = metainfo.and_then(|metainfo| metainfo.files.get(stream.file)) else {
            return;
        };
        if let Some(cache) = entry.passing {
            // Half of what is kept at most is fetched ahead: else that would give way to itself.
            let most = cache / (2 * AHEAD.as_micros() / 1_000_000);
            rate = Some(rate.unwrap_or(USUAL_RATE).min(most));
        }
        let playback = Playback {
            file: file.offset..file.offset + file.length,
            position,
            rate,
            buffered: stream.buffered,
        };
        self.tell(Event::Play(torrent, Some(playback)));
    }

    /// Reads the next chunk if it was asked for and is there.
    fn feed_stream(&mut self, number: u32) {
        let Some(stream) = self.streams.open.get_mut(&number) else {
            return;
        };
        if !stream.pulled || stream.reading || stream.at >= stream.end {
            return;
        }
        let torrent = stream.torrent;
        let Some(metainfo) = self.torrents.get(&torrent).and_then(|entry| entry.metainfo.as_ref()) else {
            return;
        };
        let Some(file) = metainfo.files.get(stream.file) else {
            return;
        };
        let (from, end) = (file.offset + stream.at, file.offset + stream.end);
        let layout = metainfo.layout.clone();
        let Some(piece) = layout.pieces_of(from, end).next() else {
            return;
        };
        if !self
            .session
            .held(torrent)
            .is_some_and(|held| held.contains(piece.index()))
        {
            return;
        }
        let begin = from - layout.offset(piece);
        let left = u64::from(layout.piece_length(piece)) - begin;
        let length = left.min(end - from).min(CHUNK);
        let Some(range) = layout.range(piece.number(), begin as u32, length as u32) else {
            return;
        };
        stream.reading = true;
        self.store(torrent, Task::Load(Reader::Stream(number), range));
    }

    /// Storage read a chunk.
    pub(crate) fn stream_read(&mut self, number: u32, bytes: Result<Vec<u8>, StorageError>) {
        let Some(stream) = self.streams.open.get_mut(&number) else {
            return;
        };
        stream.reading = false;
        match bytes {
            Ok(bytes) => {
                stream.at += bytes.len() as u64;
                stream.pulled = false;
                let length = bytes.len() as u32;
                let spare = std::mem::take(&mut stream.spare).dyn_into::<ArrayBuffer>().ok();
                let spare = spare.filter(|buffer| buffer.byte_length() >= length);
                let buffer = spare.unwrap_or_else(|| ArrayBuffer::new(length));
                Uint8Array::new_with_byte_offset_and_length(&buffer, 0, length).copy_from(&bytes);
                let message = Object::new();
                set_member(&message, "chunk", &buffer);
                set_member(&message, "length", &length.into());
                let _ = stream
                    .port
                    .post_message_with_transferable(&message, &js_sys::Array::of1(&buffer));
                if stream.at >= stream.end {
                    self.close_stream(number);
                }
            }
            Err(error) => {
                let message = Object::new();
                set_member(
                    &message,
                    "error",
                    &format!("the file cannot be read: {}", words(&error)).into(),
                );
                let _ = stream.port.post_message(&message);
                self.close_stream(number);
            }
        }
    }

    /// Lets streams go on that wait for pieces, if there are new ones. To be called when all actions are performed: by then the
    /// pieces are being stored, and what is read later sees them.
    pub(crate) fn feed_streams(&mut self) {
        if std::mem::take(&mut self.streams.stirred) {
            let waiting = |(number, stream): (&u32, &Stream)| stream.pulled.then_some(*number);
            let waiting: Vec<u32> = self.streams.open.iter().filter_map(waiting).gather();
            waiting.into_iter().for_each(|number| self.feed_stream(number));
        }
    }

    fn close_stream(&mut self, number: u32) {
        let Some(stream) = self.streams.open.remove(&number) else {
            return;
        };
        stream.port.set_onmessage(None);
        stream.port.close();
        let torrent = stream.torrent;
        let other = self
            .streams
            .open
            .iter()
            .rfind(|(_, other)| other.torrent == torrent && other.pulled);
        match other.map(|(number, _)| *number) {
            Some(other) => self.play_stream(other),
            None => self.tell(Event::Play(torrent, None)),
        }
        self.report_streams();
        spawn(async move { drop(stream) });
    }

    /// Closes what reads a torrent that is removed.
    pub(crate) fn close_streams(&mut self, torrent: Torrent) {
        let of = |(number, stream): (&u32, &Stream)| (stream.torrent == torrent).then_some(*number);
        let numbers: Vec<u32> = self.streams.open.iter().filter_map(of).gather();
        for number in numbers {
            if let Some(stream) = self.streams.open.get(&number) {
                let message = Object::new();
                set_member(&message, "error", &"the torrent was removed".into());
                let _ = stream.port.post_message(&message);
            }
            self.close_stream(number);
        }
    }

    /// Tells the page how many streams there are, so that it keeps the service worker alive.
    fn report_streams(&mut self) {
        let open = self.streams.open.len();
        if std::mem::replace(&mut self.streams.reported, open) != open {
            self.host.report("streams", &open.to_string());
        }
    }
}
