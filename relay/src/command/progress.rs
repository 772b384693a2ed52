//! Progress: JSON lines, a bar on a terminal, plain lines elsewhere.
//!
//! Invariant: two progress lines are at least [`SHORTEST`] apart, and never more than [`LONGEST`] while this is asked to.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use serde::Serialize;
use tombolo_core::layout::Layout;
use tombolo_core::status::{State, Status};

use super::bar::Bar;
use super::output;
use super::units::{duration, size};
use crate::system::unix;

/// The least time between two lines.
pub(super) const SHORTEST: Duration = Duration::from_millis(25);

/// The most time between two lines.
const LONGEST: Duration = Duration::from_millis(990);

/// How progress is shown.
pub(super) enum Progress {
    /// As JSON lines on stdout.
    Json(Lines),
    /// As a bar on stderr.
    Bar(Bar),
    /// As plain lines on stdout.
    Plain(Lines),
}

/// What was printed last, and when; before the first line, when the command began.
pub(super) struct Lines {
    last: Option<Numbers>,
    shown: Instant,
}

/// What a progress line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
struct Numbers {
    done: u64,
    payload: u64,
    uploaded: u64,
    state: &'static str,
    peers: usize,
}

#[derive(Serialize)]
struct Line {
    t: f64,
    #[serde(flatten)]
    numbers: Numbers,
}

impl Progress {
    /// As fits to where the output goes.
    pub(super) fn new(json: bool) -> Self {
        if json {
            Self::Json(Lines::new())
        } else if std::io::stderr().is_terminal() {
            Self::Bar(Bar::bytes("starting", 0))
        } else {
            Self::Plain(Lines::new())
        }
    }

    /// Shows how it stands, if it is time to.
    pub(super) fn show(&mut self, status: &Status, layout: Option<Layout>) {
        let numbers = Numbers {
            done: status.stored,
            payload: status.received.total(),
            uploaded: status.sent.total(),
            state: name(status.state),
            peers: status.peers,
        };
        match self {
            Self::Json(lines) => {
                if lines.is_due(numbers, SHORTEST) {
                    output::line(&Line { t: unix(), numbers });
                }
            }
            Self::Plain(lines) => {
                if lines.is_due(numbers, LONGEST) {
                    let text = describe(status);
                    let total = size(layout.map_or(0, |layout| layout.total()));
                    output::say(&format!("{}: {} of {total}, {text}", numbers.state, size(numbers.done)));
                }
            }
            Self::Bar(bar) => bar.set(numbers.state, (status.have_wanted, status.wanted), describe(status)),
        }
    }

    /// Whether nothing has been shown for as long as may be.
    pub(super) fn is_late(&self) -> bool {
        match self {
            Self::Json(lines) | Self::Plain(lines) => lines.shown.elapsed() >= LONGEST,
            Self::Bar(_) => true,
        }
    }

    /// How long to wait until a line that says something new may be printed.
    pub(super) fn pause(&self) -> Duration {
        match self {
            Self::Json(lines) | Self::Plain(lines) => SHORTEST.saturating_sub(lines.shown.elapsed()),
            Self::Bar(_) => Duration::ZERO,
        }
    }

    /// Says that all is there.
    pub(super) fn finished(&self, at: f64) {
        match self {
            Self::Json(_) => output::line(&serde_json::json!({ "finished": at })),
            Self::Plain(_) => output::say("finished"),
            Self::Bar(bar) => bar.finish(),
        }
    }

    /// Says that a tracker answered.
    pub(super) fn announced(&self, url: &str, peers: usize) {
        if let Self::Json(_) = self {
            output::line(&serde_json::json!({ "announced": url, "peers": peers }));
        }
    }

    /// Says something that may matter.
    pub(super) fn alert(&self, text: &str) {
        match self {
            Self::Json(_) => output::line(&serde_json::json!({ "alert": text })),
            Self::Plain(_) => output::complain(text),
            Self::Bar(bar) => bar.aside(text),
        }
    }
}

impl Lines {
    fn new() -> Self {
        Self {
            last: None,
            shown: Instant::now(),
        }
    }

    /// Whether a line is to be printed now; then it counts as printed.
    fn is_due(&mut self, numbers: Numbers, shortest: Duration) -> bool {
        let wait = if self.last == Some(numbers) { LONGEST } else { shortest };
        let due = self.last.is_none() || self.shown.elapsed() >= wait;
        if due {
            self.last = Some(numbers);
            self.shown = Instant::now();
        }
        due
    }
}

const fn name(state: State) -> &'static str {
    match state {
        State::Metadata => "metadata",
        State::Checking => "checking",
        State::Seeding => "seeding",
        State::Downloading | State::Bridging | State::Paused => "downloading",
    }
}

fn describe(status: &Status) -> String {
    let (down, up) = (size(status.down), size(status.up));
    let text = format!("{down}/s down, {up}/s up, {} peers", status.peers);
    // As long as it goes on as it does.
    match status
        .wanted
        .saturating_sub(status.have_wanted)
        .checked_div(status.down)
    {
        Some(seconds) if status.state == State::Downloading => format!("{text}, {} left", duration(seconds)),
        _ => text,
    }
}
