//! What is logged: events of the program's own life to stderr, as lines of text or of JSON.
//!
//! Nothing that moves blocks logs. What is a secret (tokens, keys, the paths of trackers' URLs, which may have a user's pass key in them) is not
//! logged at any level.

use std::io::{self, IsTerminal as _, Write};
use std::os::fd::AsFd;

use clap::{Args, ValueEnum};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::bar;

/// The variable that many programs take their level from; ours goes before it.
const COMMON: &str = "RUST_LOG";

/// What is written to stderr.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Logging")]
pub(super) struct Logs {
    /// How log lines are written to stderr
    #[arg(long, value_name = "FORM", default_value = "text")]
    log: Form,
    /// What is logged: off, error, warn, info, debug or trace, also by part, as `warn,tombolo_relay::serve=debug`
    ///
    /// Without it the variable RUST_LOG is looked at, and then info is logged by relays and trackers, warn by the others.
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<Targets>,
}

/// How a log line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

impl Logs {
    /// Begins to log, at this level if none is asked for. Once in a process.
    pub(super) fn begin(&self, usual: &str) {
        let common = || std::env::var(COMMON).ok()?.parse().ok();
        let usual = || usual.parse().unwrap_or_default();
        let targets = self.log_level.clone().or_else(common).unwrap_or_else(usual);
        let layer = tracing_subscriber::fmt::layer().with_writer(Lines);
        let registry = tracing_subscriber::registry().with(targets);
        // Whoever has begun before has the say.
        let _ = match self.log {
            Form::Text => registry
                .with(layer.with_ansi(false).with_target(io::stderr().is_terminal()))
                .try_init(),
            Form::Json => registry.with(layer.json().flatten_event(true)).try_init(),
        };
    }
}

/// Makes a writer for each line.
struct Lines;

/// A line, written whole, above the bar if there is one.
struct Line(Vec<u8>);

impl MakeWriter<'_> for Lines {
    type Writer = Line;

    fn make_writer(&self) -> Line {
        Line(Vec::with_capacity(256))
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        bar::aside(|| _ = write_if_room(&mut io::stderr().lock(), &self.0));
    }
}

/// Writes a line where it can be written at once. Else it is left out: a reader that has stopped reading must not stop us.
fn write_if_room(out: &mut (impl Write + AsFd), line: &[u8]) -> bool {
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    let mut ready = [PollFd::from_borrowed_fd(out.as_fd(), PollFlags::OUT)];
    // Of a pipe that is ready, a page can be written without waiting.
    let has_room = poll(&mut ready, Some(&now)).is_ok_and(|ready| ready > 0);
    has_room && out.write_all(line).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_pipe_stops_nobody() {
        let (reader, mut writer) = io::pipe().unwrap();
        let line = [b'x'; 1000];
        let written = (0..10_000).take_while(|_| write_if_room(&mut writer, &line)).count();
        assert!((1..10_000).contains(&written), "{written}");
        drop(reader);
        assert!(!write_if_room(&mut writer, &line));
    }
}
