//! Progress lines with the time since the start, so that a log shows where the minutes went.

use std::time::Instant;

/// Prints lines that begin with the seconds since it was made.
pub(crate) struct Console {
    start: Instant,
}

impl Console {
    pub(crate) fn new() -> Self {
        Self { start: Instant::now() }
    }

    /// Prints one line, on stdout like the output of what it tells of, so that the order is kept in a log.
    pub(crate) fn say(&self, text: &str) {
        println!("[{:>5.0} s] {text}", self.start.elapsed().as_secs_f64());
    }
}
