//! What goes to stdout and stderr: whole lines, flushed one by one. That nobody reads them any more is no failure.

use std::io::{self, BufWriter, Write};

use serde::Serialize;

/// Writes one JSON object as a line to stdout.
pub(super) fn line(value: &impl Serialize) {
    let mut out = BufWriter::new(io::stdout().lock());
    // A reader that has gone is no reason to end.
    let _ = serde_json::to_writer(&mut out, value)
        .map_err(io::Error::from)
        .and_then(|()| out.write_all(b"\n"))
        .and_then(|()| out.flush());
}

/// Writes a line of text to stdout.
pub(super) fn say(text: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// Writes a line of text to stderr.
pub(super) fn complain(text: &str) {
    let _ = writeln!(io::stderr().lock(), "tombolo: {text}");
}

/// Runs `write` on buffered stdout, for what is written bit by bit; ends it with a line feed.
pub(super) fn stream(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) {
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let _ = write(&mut out)
        .and_then(|()| out.write_all(b"\n"))
        .and_then(|()| out.flush());
}
