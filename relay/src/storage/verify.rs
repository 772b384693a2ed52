//! Checks content on disk against its metainfo, on several threads, without a session.

use std::io;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::AtomicU32;

use tombolo_core::metainfo::Metainfo;

use super::Folder;
use super::content::Content;
use super::files::Files;
use super::lock;
use super::plan::Kind;
use super::root::Root;
use crate::hash;

/// What a folder holds of a torrent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// How many pieces are there with the right hash.
    pub good: usize,
    /// The pieces that are there in full with another hash, ascending.
    pub bad: Vec<u32>,
    /// How many pieces are not there in full.
    pub missing: usize,
    /// Files that do not have the length they should have, by their paths.
    pub misfits: Vec<String>,
}

impl Verdict {
    /// Whether every byte of every file is there, and nothing more.
    pub const fn is_whole(&self) -> bool {
        self.bad.is_empty() && self.missing == 0 && self.misfits.is_empty()
    }
}

/// Checks what `dir` holds of a torrent on `threads` threads; nothing is written. `checked` is told of each piece.
///
/// # Errors
/// `dir` is there but cannot be opened.
pub fn verify(dir: &Path, metainfo: &Metainfo, threads: usize, checked: impl Fn() + Sync) -> io::Result<Verdict> {
    let content = Content::of(metainfo);
    let pieces = content.layout.pieces();
    let folder = Folder::read_only(dir.to_owned());
    let files = match Files::open(&folder, content.clone(), String::new(), &[]) {
        Ok((files, _)) => files,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Verdict {
                missing: pieces,
                ..Verdict::default()
            });
        }
        Err(error) => return Err(error),
    };
    let next = AtomicU32::new(0);
    let verdict = Mutex::new(Verdict {
        misfits: misfits(dir, &content)?,
        ..Verdict::default()
    });
    std::thread::scope(|scope| {
        for _ in 0..threads.clamp(1, pieces) {
            scope.spawn(|| {
                loop {
                    let some = hash::take(&next, &content.layout);
                    let some: Vec<_> = some.into_iter().map(|piece| (piece, metainfo.hashing(piece))).collect();
                    if some.is_empty() {
                        break;
                    }
                    for (&(piece, _), digests) in some.iter().zip(files.check(&some)) {
                        let mut verdict = lock(&verdict);
                        match digests {
                            Ok(digests) if content.matches(piece, &digests) => verdict.good += 1,
                            Ok(_) => verdict.bad.push(piece.number()),
                            Err(_) => verdict.missing += 1,
                        }
                        drop(verdict);
                        checked();
                    }
                }
            });
        }
    });
    let mut verdict = verdict.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    verdict.bad.sort_unstable();
    Ok(verdict)
}

fn misfits(dir: &Path, content: &Content) -> io::Result<Vec<String>> {
    let root = Root::open(dir)?;
    let is_misfit = |kind: &Kind, length, elements: &[&str]| match kind {
        Kind::Regular { .. } => root.stat(elements).ok().flatten().map(|stat| stat.length) != Some(length),
        Kind::Pad | Kind::Symlink(_) => false,
    };
    let entries = content.plan.entries().iter();
    Ok(entries
        .filter(|entry| is_misfit(&entry.kind, entry.length, &entry.elements()))
        .map(|entry| entry.path.as_str().to_owned())
        .collect())
}
