//! The block-list and the allow-list, as files that are read at the start and again when the process is told to.
//!
//! Invariant: a list that cannot be read at the start is an error; one that cannot be read again leaves the last one in force.

use std::fs::File;
use std::io::{self, Read};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use tombolo_core::filter::{Filter, List, MAX_RANGES, Ranges};

/// The longest list read, in bytes: some six million info-hashes.
const LONGEST: u64 = 256 << 20;

/// The lists of a process. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Lists {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    block: Vec<PathBuf>,
    allow: Vec<PathBuf>,
    current: RwLock<Arc<Filter>>,
}

impl Lists {
    /// Reads these files. Also gives what is odd about them, in words.
    ///
    /// # Errors
    /// One of them cannot be read, or has too many ranges.
    pub fn read(block: Vec<PathBuf>, allow: Vec<PathBuf>) -> io::Result<(Self, Vec<String>)> {
        let lists = Self {
            inner: Arc::new(Inner {
                block,
                allow,
                current: RwLock::default(),
            }),
        };
        let odd = lists.reload()?;
        Ok((lists, odd))
    }

    /// Whether there are any.
    pub fn is_empty(&self) -> bool {
        self.inner.block.is_empty() && self.inner.allow.is_empty()
    }

    /// Reads the files again. Also gives what is odd about them, in words.
    ///
    /// # Errors
    /// As [`Self::read`]; what was read before stays in force.
    pub fn reload(&self) -> io::Result<Vec<String>> {
        let mut odd = Vec::new();
        let blocked = read_all(&self.inner.block, &mut odd)?;
        let allowed = read_all(&self.inner.allow, &mut odd)?;
        let allowed = (!self.inner.allow.is_empty()).then_some(allowed);
        let filter = Arc::new(Filter { blocked, allowed });
        *self.inner.current.write().unwrap_or_else(PoisonError::into_inner) = filter;
        Ok(odd)
    }

    /// Both lists as they are now.
    pub fn filter(&self) -> Arc<Filter> {
        let current = self.inner.current.read();
        Arc::clone(&current.unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether an address may be talked to.
    pub fn allows(&self, address: IpAddr) -> bool {
        self.is_empty() || self.filter().allows(address)
    }
}

fn read_all(paths: &[PathBuf], odd: &mut Vec<String>) -> io::Result<Ranges> {
    let mut all = Ranges::default();
    for path in paths {
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        let list = read(path).map_err(named)?;
        if let Some(line) = list.bad {
            odd.push(format!("{}: line {line} is no range of addresses", path.display()));
        }
        all.extend(list.ranges);
    }
    Ok(all)
}

/// Reads a list of whatever kind, unless it is longer than any should be.
///
/// # Errors
/// It cannot be read, or is too long.
pub(crate) fn text(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(path)?.take(LONGEST + 1).read_to_end(&mut text)?;
    if text.len() as u64 > LONGEST {
        return Err(io::Error::other("it is too long"));
    }
    Ok(text)
}

fn read(path: &Path) -> io::Result<List> {
    List::parse(&text(path)?).map_err(|_| io::Error::other(format!("it has more than {MAX_RANGES} ranges")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_again_and_a_broken_one_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("list");
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        assert!(Lists::read(vec![path.clone()], Vec::new()).is_err(), "there is no file");
        std::fs::write(&path, "1.2.3.0/24\nx\n").unwrap();
        let (lists, odd) = Lists::read(vec![path.clone()], Vec::new()).unwrap();
        assert_eq!(odd, [format!("{}: line 2 is no range of addresses", path.display())]);
        assert!(!lists.allows(address("1.2.3.4")) && lists.allows(address("1.2.4.4")));
        std::fs::write(&path, "1.2.4.0/24").unwrap();
        assert_eq!(lists.clone().reload().unwrap(), Vec::<String>::new());
        assert!(lists.allows(address("1.2.3.4")) && !lists.allows(address("1.2.4.4")));
        std::fs::remove_file(&path).unwrap();
        assert!(lists.reload().is_err());
        assert!(!lists.allows(address("1.2.4.4")));
    }
}
