//! Any cut of a stream gives the same messages and the same error, and the messages are the stream.

use bytes::Bytes;
use tombolo_core::wire::frame::{FrameError, Framer};
use tombolo_core::wire::message::Message;

/// The messages of a stream that comes in parts of that length, the error that ends it, and the bytes left over.
fn read(data: &Bytes, part: usize) -> (Vec<Message>, Option<FrameError>, usize) {
    let (mut framer, mut messages, mut rest) = (Framer::new(), Vec::new(), data.clone());
    while !rest.is_empty() {
        framer.push(rest.split_to(part.min(rest.len())));
        loop {
            match framer.next() {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(error) => return (messages, Some(error), 0),
            }
        }
    }
    (messages, None, framer.waiting())
}

/// Checks one input.
pub(crate) fn check(data: &[u8]) {
    let data = Bytes::copy_from_slice(data);
    let whole = read(&data, usize::MAX);
    for part in [1, 7, 1_000] {
        assert_eq!(read(&data, part), whole);
    }
    let (messages, _, waiting) = whole;
    let known = messages.iter().all(|message| !matches!(message, Message::Unknown(_)));
    let mut written = Vec::new();
    messages.iter().for_each(|message| message.encode(&mut written));
    assert!(written.len() + waiting <= data.len());
    assert!(!known || data.starts_with(&written));
}
