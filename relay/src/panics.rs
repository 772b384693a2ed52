//! Panics are bugs: they are written to stderr and counted, wherever they happen, and `/stats.json` shows the count.

use std::sync::atomic::{AtomicU64, Ordering};

static COUNT: AtomicU64 = AtomicU64::new(0);

/// Counts every panic from now on, in any thread or task. The standard hook still writes it to stderr.
pub fn watch() {
    let write = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        COUNT.fetch_add(1, Ordering::Relaxed);
        write(panic);
    }));
}

/// Panics since the start.
pub fn count() -> u64 {
    COUNT.load(Ordering::Relaxed)
}
