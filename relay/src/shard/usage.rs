//! What a shard uses, in numbers that others read without asking it.
//!
//! Only the shard writes. Cost: a plain store each when something has happened.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that one thread writes.
#[derive(Debug, Default)]
pub(crate) struct Number(AtomicU64);

impl Number {
    /// As it is now, or was a moment ago.
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub(super) fn add(&self, more: usize) {
        self.set(self.get().wrapping_add(more as u64));
    }

    pub(super) fn sub(&self, less: usize) {
        self.set(self.get().wrapping_sub(less as u64));
    }
}

/// What a shard uses.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    /// Bytes sent to peers since the start.
    pub(crate) sent: Number,
    /// Bytes received from peers and web seeds since the start.
    pub(crate) received: Number,
    /// Bytes of pieces between request and storage.
    pub(crate) memory: Number,
    /// Bytes of pieces in the cache.
    pub(crate) cache: Number,
    /// Links.
    pub(crate) links: Number,
    /// Dials under way.
    pub(crate) dials: Number,
}
