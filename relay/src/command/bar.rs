//! A progress bar on a terminal; nothing elsewhere.

use std::sync::{Mutex, PoisonError};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle, WeakProgressBar};

/// The bar that is shown now.
static SHOWN: Mutex<Option<WeakProgressBar>> = Mutex::new(None);

/// Writes something to the terminal above the bar, if there is one.
pub(super) fn aside(write: impl FnOnce()) {
    let shown = SHOWN.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match shown.and_then(|bar| bar.upgrade()) {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}

/// A bar on stderr.
pub(super) struct Bar(ProgressBar);

impl Bar {
    /// A bar that counts pieces; hidden where there is no terminal, or where JSON is printed.
    pub(super) fn pieces(what: &str, pieces: usize, hidden: bool) -> Self {
        Self::new(what, pieces as u64, "{pos} of {len} pieces, {eta} left", hidden)
    }

    /// A bar that counts bytes.
    pub(super) fn bytes(what: &str, bytes: u64) -> Self {
        Self::new(what, bytes, "{bytes} of {total_bytes}, {msg}", false)
    }

    fn new(what: &str, length: u64, numbers: &str, hidden: bool) -> Self {
        let bar = if hidden {
            ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::hidden())
        } else {
            ProgressBar::new(length)
        };
        let template = ["{prefix} {bar:30} ", numbers].concat();
        let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style.progress_chars("█▉▊▋▌▍▎▏ "));
        bar.set_prefix(what.to_owned());
        *SHOWN.lock().unwrap_or_else(PoisonError::into_inner) = Some(bar.downgrade());
        Self(bar)
    }

    /// Counts more as done.
    pub(super) fn advance(&self, count: u64) {
        self.0.inc(count);
    }

    /// Shows that much of that much as done, and a text.
    pub(super) fn set(&self, what: &str, (done, of): (u64, u64), text: String) {
        self.0.set_prefix(what.to_owned());
        self.0.set_length(of);
        self.0.set_position(done);
        self.0.set_message(text);
    }

    /// Writes a line above the bar.
    pub(super) fn aside(&self, text: &str) {
        self.0.suspend(|| super::output::complain(text));
    }

    /// Takes the bar away.
    pub(super) fn finish(&self) {
        self.0.finish_and_clear();
    }
}
