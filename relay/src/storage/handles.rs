//! Files that are kept open between jobs, so that a block costs one system call and not a walk along its path.
//!
//! Invariant: at most [`LIMIT`] are open; the one used longest ago is closed for a new one. A hit is O(1), a miss O(LIMIT).

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex};

use super::lock;

/// How many files one torrent keeps open. Shared by few torrents at a time, this stays far from the limits of a process.
const LIMIT: usize = 64;

/// The open files of one torrent.
#[derive(Default)]
pub(super) struct Handles {
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    files: HashMap<usize, Handle>,
    clock: u64,
}

struct Handle {
    file: Arc<File>,
    writable: bool,
    used: u64,
}

impl Handles {
    /// The open file of that number, opened with `open` if it is not open yet (or only for reading, and now `writable` is wanted).
    pub(super) fn file(
        &self,
        number: usize,
        writable: bool,
        open: impl FnOnce() -> io::Result<File>,
    ) -> io::Result<Arc<File>> {
        if let Some(file) = lock(&self.open).hit(number, writable) {
            return Ok(file);
        }
        let file = Arc::new(open()?);
        lock(&self.open).insert(number, Arc::clone(&file), writable);
        Ok(file)
    }

    /// Closes every file.
    pub(super) fn close_all(&self) {
        lock(&self.open).files.clear();
    }

    /// Closes the file of that number.
    pub(super) fn close(&self, number: usize) {
        lock(&self.open).files.remove(&number);
    }
}

impl Open {
    fn hit(&mut self, number: usize, writable: bool) -> Option<Arc<File>> {
        self.clock += 1;
        let handle = self.files.get_mut(&number)?;
        handle.used = self.clock;
        (handle.writable || !writable).then(|| Arc::clone(&handle.file))
    }

    fn insert(&mut self, number: usize, file: Arc<File>, writable: bool) {
        if self.files.len() >= LIMIT && !self.files.contains_key(&number) {
            let oldest = self.files.iter().min_by_key(|(_, handle)| handle.used);
            if let Some(oldest) = oldest.map(|(&number, _)| number) {
                self.files.remove(&oldest);
            }
        }
        let used = self.clock;
        self.files.insert(number, Handle { file, writable, used });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn the_least_recently_used_is_closed() {
        let handles = Handles::default();
        let opened = Cell::new(0);
        let use_file = |number, writable| {
            handles
                .file(number, writable, || {
                    opened.set(opened.get() + 1);
                    tempfile::tempfile()
                })
                .unwrap();
        };
        (0..LIMIT).for_each(|number| use_file(number, false));
        use_file(0, false);
        assert_eq!(opened.get(), LIMIT);
        use_file(LIMIT, false);
        use_file(0, false);
        assert_eq!(opened.get(), LIMIT + 1, "0 was used just now");
        use_file(1, false);
        assert_eq!(opened.get(), LIMIT + 2, "1 was closed");
        use_file(0, true);
        use_file(0, false);
        assert_eq!(opened.get(), LIMIT + 3, "a writable file serves for both");
        assert_eq!(lock(&handles.open).files.len(), LIMIT);
    }
}
