//! The folders of a torrent's files: the one it is fetched into and, where a person wants that, the one it is moved to when all is there.
//!
//! Invariant: at any moment, after a kill too, each file is whole in one of the two: it is renamed, or on another file system copied
//! under another name, written out, renamed and only then removed. A mark in the first folder says that a move has begun; the next
//! start takes back what was moved, so that nothing is fetched again.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Folder;
use super::plan::{Entry, Kind};
use super::root::{Access, Root, STATE, Stat};

/// The folders of a torrent.
pub(super) struct Roots {
    first: Root,
    last: Option<Root>,
    /// Whether everything is in the last one.
    moved: AtomicBool,
    /// Names our own state.
    name: String,
}

impl Roots {
    /// Opens the folders, and makes them where they may be written to. What a killed run had begun to move is taken back.
    pub(super) fn open(folder: &Folder, entries: &[Entry], name: &str) -> io::Result<Self> {
        let open = if folder.writable { Root::create } else { Root::open };
        let roots = Self {
            first: open(&folder.dir)?,
            last: folder.move_to.as_deref().map(open).transpose()?,
            moved: AtomicBool::new(false),
            name: name.into(),
        };
        if let Some(last) = &roots.last {
            let begun = roots.first.stat(&roots.mark())?.is_some();
            let (left, record) = (roots.is_any_left(entries), format!("{name}.resume"));
            if begun && left {
                last.unlink(&roots.copy())?;
                roots.carry(entries, last, &roots.first)?;
            }
            let there = || last.stat(&[STATE, &record]).is_ok_and(|found| found.is_some()) || is_all_in(last, entries);
            let moved = !left && (begun || there());
            roots.moved.store(moved, Ordering::Release);
            if begun {
                roots.first.unlink(&roots.mark())?;
            }
        }
        Ok(roots)
    }

    /// The folder that files are in.
    pub(super) fn now(&self) -> &Root {
        match &self.last {
            Some(last) if self.moved.load(Ordering::Acquire) => last,
            _ => &self.first,
        }
    }

    /// Opens a file, which may be on its way to the last folder.
    pub(super) fn file<S: AsRef<str>>(&self, path: &[S], access: Access) -> io::Result<File> {
        let opened = self.now().file(path, access);
        match (&opened, &self.last) {
            (Err(error), Some(last)) if access == Access::Read && error.kind() == io::ErrorKind::NotFound => {
                last.file(path, access)
            }
            _ => opened,
        }
    }

    /// What a file looks like.
    pub(super) fn stat<S: AsRef<str>>(&self, path: &[S]) -> io::Result<Option<Stat>> {
        self.now().stat(path)
    }

    /// Moves everything to the last folder, if there is one and it is not there yet. True: it was moved now.
    pub(super) fn move_on(&self, entries: &[Entry]) -> io::Result<bool> {
        let Some(last) = self.last.as_ref().filter(|_| !self.moved.load(Ordering::Acquire)) else {
            return Ok(false);
        };
        self.first.file(&self.mark(), Access::Replace)?;
        self.carry(entries, &self.first, last)?;
        self.moved.store(true, Ordering::Release);
        // The record of the old place says nothing any more.
        self.first.unlink(&[STATE, &format!("{}.resume", self.name)])?;
        self.first.unlink(&self.mark())?;
        Ok(true)
    }

    /// Moves what there is of these files, and of the parts of others, from one folder to the other.
    fn carry(&self, entries: &[Entry], from: &Root, to: &Root) -> io::Result<()> {
        for entry in entries {
            let path = entry.elements();
            match &entry.kind {
                Kind::Regular { .. } => self.carry_file(&path, from, to)?,
                Kind::Symlink(target) => {
                    if from.is_symlink(&path)? {
                        to.symlink(&path, target)?;
                        from.unlink(&path)?;
                    }
                }
                Kind::Pad => {}
            }
        }
        self.carry_file(&[STATE, &format!("{}.parts", self.name)], from, to)?;
        for entry in entries.iter().rev() {
            let path = entry.elements();
            (1..path.len())
                .rev()
                .for_each(|depth| from.remove_empty(&path[..depth]));
        }
        Ok(())
    }

    fn carry_file(&self, path: &[&str], from: &Root, to: &Root) -> io::Result<()> {
        if from.stat(path)?.is_none() || from.rename_to(path, to, path)? {
            return Ok(());
        }
        // Another file system: it is copied under our own name first.
        let beside = self.copy();
        let (mut source, mut copy) = (from.file(path, Access::Read)?, to.file(&beside, Access::Replace)?);
        let copied = io::copy(&mut source, &mut copy)
            .and_then(|_| copy.set_permissions(source.metadata()?.permissions()))
            .and_then(|()| copy.sync_all());
        if let Err(error) = copied {
            // What is there of it takes room that others may need.
            let _ = to.unlink(&beside);
            return Err(error);
        }
        to.rename_to(&beside, to, path)?;
        from.unlink(path)
    }

    /// Whether any file is in the first folder.
    fn is_any_left(&self, entries: &[Entry]) -> bool {
        let mut regular = entries.iter().filter(|entry| entry.is_regular());
        regular.any(|entry| matches!(self.first.stat(&entry.elements()), Ok(Some(_))))
    }

    fn mark(&self) -> [String; 2] {
        [STATE.into(), format!("{}.moving", self.name)]
    }

    fn copy(&self) -> [String; 2] {
        [STATE.into(), format!("{}.copy", self.name)]
    }
}

/// Whether every file is in a folder, by its length.
fn is_all_in(root: &Root, entries: &[Entry]) -> bool {
    let mut regular = entries.iter().filter(|entry| entry.is_regular());
    regular.all(|entry| {
        let stat = root.stat(&entry.elements()).ok().flatten();
        stat.map(|stat| stat.length) == Some(entry.length)
    })
}
