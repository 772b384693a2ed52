//! A folder below which, and nowhere else, files are opened and made.
//!
//! Invariant: no name that comes from a torrent leads out of the folder: every element is checked to be one name, every step is
//! opened relative to the last one and refuses symbolic links, so that a link that someone put there is no way out either.
//! Opening costs a system call for each element of the path.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use rustix::fs::{self, AtFlags, Mode, OFlags};
use rustix::io::Errno;

/// The folder of our own state.
pub(super) const STATE: &str = ".tombolo";

/// The folder.
pub(crate) struct Root {
    folder: OwnedFd,
}

/// What is wanted of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Only reading.
    Read,
    /// Reading and writing; the file and the folders above it are made where they are missing.
    Write,
    /// As [`Access::Write`], and what is there is cut to nothing.
    Replace,
}

/// What a file looks like from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    /// Its length in bytes.
    pub(crate) length: u64,
    /// When it was last written, in nanoseconds of Unix time.
    pub(crate) modified: i64,
}

impl Root {
    /// Opens the folder at `path`, which may lead through symbolic links: it is the user's own choice.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        Ok(Self {
            folder: fs::open(path, flags, Mode::empty())?,
        })
    }

    /// As [`Root::open`], but makes the folder and those above it where they are missing.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(path)?;
        Self::open(path)
    }

    /// The folder of that name below this one, made if it is missing.
    pub(crate) fn below(&self, path: &[&str]) -> io::Result<Self> {
        let mut folder = self.folder.try_clone()?;
        for name in path {
            folder = step(folder.as_fd(), name, true)?;
        }
        Ok(Self { folder })
    }

    /// Opens a file; it is an error if there is something else of that name.
    pub(crate) fn file<S: AsRef<str>>(&self, path: &[S], access: Access) -> io::Result<File> {
        let (name, folder) = self.parent(path, access != Access::Read)?;
        let flags = match access {
            Access::Read => OFlags::RDONLY,
            Access::Write => OFlags::RDWR | OFlags::CREATE,
            Access::Replace => OFlags::RDWR | OFlags::CREATE | OFlags::TRUNC,
        };
        // NONBLOCK: opening a FIFO must not wait for its other end.
        let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let opened = fs::openat(folder.as_fd(), name, flags, Mode::from_raw_mode(0o666));
        let file = File::from(opened.map_err(|error| refusal(error, name))?);
        if file.metadata()?.is_file() {
            Ok(file)
        } else {
            Err(other(format!("{name} is no file")))
        }
    }

    /// What a file looks like; `None` when it is not there. An error if there is something else of that name.
    pub(crate) fn stat<S: AsRef<str>>(&self, path: &[S]) -> io::Result<Option<Stat>> {
        let found = self.parent(path, false).and_then(|(name, folder)| {
            let stat = fs::statat(folder.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW)?;
            Ok((name, stat))
        });
        let (name, stat) = match found {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        if fs::FileType::from_raw_mode(stat.st_mode) == fs::FileType::RegularFile {
            Ok(Some(Stat {
                length: stat.st_size as u64,
                modified: stat.st_mtime * 1_000_000_000 + stat.st_mtime_nsec as i64,
            }))
        } else {
            Err(other(format!("{name} is no file")))
        }
    }

    /// Makes a symbolic link at `path` if nothing is there.
    pub(crate) fn symlink<S: AsRef<str>>(&self, path: &[S], target: &str) -> io::Result<()> {
        let (name, folder) = self.parent(path, true)?;
        match fs::symlinkat(target, folder.as_fd(), name) {
            Err(Errno::EXIST) | Ok(()) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Gives a file another name in the same folder, in one step, replacing what has it.
    pub(crate) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(fs::renameat(
            &self.folder,
            one_name(from)?,
            &self.folder,
            one_name(to)?,
        )?)
    }

    /// Moves a file to `path` below `to`, in one step, replacing what is there. False: that is on another file system.
    pub(crate) fn rename_to<S: AsRef<str>, T: AsRef<str>>(
        &self,
        from: &[S],
        to: &Self,
        path: &[T],
    ) -> io::Result<bool> {
        let (name, folder) = self.parent(from, false)?;
        let (new_name, new_folder) = to.parent(path, true)?;
        match fs::renameat(folder.as_fd(), name, new_folder.as_fd(), new_name) {
            Ok(()) => Ok(true),
            Err(Errno::XDEV) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether there is a symbolic link at `path`.
    pub(crate) fn is_symlink<S: AsRef<str>>(&self, path: &[S]) -> io::Result<bool> {
        let found = self.parent(path, false).and_then(|(name, folder)| {
            let stat = fs::statat(folder.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW)?;
            Ok(fs::FileType::from_raw_mode(stat.st_mode) == fs::FileType::Symlink)
        });
        match found {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            found => found,
        }
    }

    /// Removes the file or link at `path`; that it is not there is no error.
    pub(crate) fn unlink<S: AsRef<str>>(&self, path: &[S]) -> io::Result<()> {
        let removed = self
            .parent(path, false)
            .and_then(|(name, folder)| Ok(fs::unlinkat(folder.as_fd(), name, AtFlags::empty())?));
        match removed {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }

    /// Removes the folder at `path` if there is nothing in it.
    pub(crate) fn remove_empty<S: AsRef<str>>(&self, path: &[S]) {
        if let Ok((name, folder)) = self.parent(path, false) {
            // Something else in it is a reason to keep it.
            let _ = fs::unlinkat(folder.as_fd(), name, AtFlags::REMOVEDIR);
        }
    }

    /// Removes a file of this folder; that it is not there is no error.
    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        match fs::unlinkat(&self.folder, one_name(name)?, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The names of everything in this folder.
    pub(crate) fn names(&self) -> io::Result<Vec<OsString>> {
        let mut names = Vec::new();
        for entry in fs::Dir::read_from(&self.folder)? {
            let name = entry?.file_name().to_bytes().to_vec();
            if name != b"." && name != b".." {
                names.push(OsString::from_vec(name));
            }
        }
        Ok(names)
    }

    /// The last element of a path and the folder it is in.
    fn parent<'a, S: AsRef<str>>(&self, path: &'a [S], create: bool) -> io::Result<(&'a str, OwnedFd)> {
        let (name, above) = path.split_last().ok_or_else(|| other("an empty path".into()))?;
        let mut folder = self.folder.try_clone()?;
        for element in above {
            folder = step(folder.as_fd(), element.as_ref(), create)?;
        }
        Ok((one_name(name.as_ref())?, folder))
    }
}

/// Opens the folder `name` in `folder`.
fn step(folder: BorrowedFd<'_>, name: &str, create: bool) -> io::Result<OwnedFd> {
    let name = one_name(name)?;
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let opened = match fs::openat(folder, name, flags, Mode::empty()) {
        Err(Errno::NOENT) if create => {
            match fs::mkdirat(folder, name, Mode::from_raw_mode(0o777)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            fs::openat(folder, name, flags, Mode::empty())
        }
        opened => opened,
    };
    opened.map_err(|error| refusal(error, name))
}

/// The name itself if it is one element of a path and no more.
fn one_name(name: &str) -> io::Result<&str> {
    if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) {
        Err(other(format!("{name:?} is not the name of a file")))
    } else {
        Ok(name)
    }
}

fn refusal(error: Errno, name: &str) -> io::Error {
    match error {
        Errno::LOOP => other(format!("{name} is a symbolic link")),
        Errno::NOTDIR => other(format!("{name} is no folder")),
        Errno::ISDIR => other(format!("{name} is a folder")),
        error => error.into(),
    }
}

fn other(text: String) -> io::Error {
    io::Error::other(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_and_bad_names_lead_nowhere() {
        let dir = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        symlink(outside.path(), dir.path().join("way")).unwrap();
        symlink(outside.path().join("f"), dir.path().join("out")).unwrap();
        let root = Root::open(dir.path()).unwrap();
        for path in [
            &["way", "f"][..],
            &["out"],
            &["..", "f"],
            &["a", "..", "f"],
            &["a/b"],
            &["", "f"],
            &[],
        ] {
            for access in [Access::Read, Access::Write, Access::Replace] {
                assert!(root.file(path, access).is_err(), "{path:?} {access:?}");
            }
        }
        assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
    }

    #[test]
    fn folders_are_made_for_writing_only() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::open(dir.path()).unwrap();
        let path = ["one", "two", "file"];
        assert_eq!(
            root.file(&path, Access::Read).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
        assert_eq!(root.stat(&path).unwrap(), None);
        assert!(!dir.path().join("one").exists());
        root.file(&path, Access::Write).unwrap();
        assert_eq!(root.stat(&path).unwrap().unwrap().length, 0);
        assert!(root.stat(&["one", "two"]).is_err(), "a folder is no file");
        assert!(root.file(&["one"], Access::Write).is_err());
        assert_eq!(root.names().unwrap(), ["one"]);
    }

    #[test]
    fn long_names_and_deep_paths_work() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::open(dir.path()).unwrap();
        // 40 elements of 255 bytes are longer than a path that a system call takes in one go.
        let path = vec!["n".repeat(255); 40];
        root.file(&path, Access::Write).unwrap().set_len(7).unwrap();
        assert_eq!(root.stat(&path).unwrap().unwrap().length, 7);
        assert!(root.file(&["n".repeat(256)], Access::Write).is_err());
    }
}
