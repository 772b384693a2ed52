//! A file that is replaced as a whole: written beside its place and renamed, so that a process that is killed at any moment leaves the old
//! one or the new one.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Who may read a file that is no secret.
pub(crate) const PUBLIC: u32 = 0o644;

/// Who may read one that is.
pub(crate) const SECRET: u32 = 0o600;

/// Replaces the file at `path` by one of that mode that `fill` writes. Not for two threads at once at one path: what is written lies
/// under one name meanwhile, so that a process that is killed leaves one file at most.
///
/// # Errors
/// As writing a file may fail; the old one stays.
pub(crate) fn replace(path: &Path, mode: u32, fill: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let beside = path.with_extension("new");
    // A leftover of a killed process would keep its old mode.
    let _ = fs::remove_file(&beside);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&beside)?;
    fill(&mut file)?;
    drop(file);
    fs::rename(beside, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn the_old_file_stays_until_the_new_one_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.file");
        replace(&path, PUBLIC, |file| file.write_all(b"old")).unwrap();
        let broken = replace(&path, PUBLIC, |file| {
            file.write_all(b"ne")?;
            Err(io::Error::other("full"))
        });
        assert_eq!(broken.unwrap_err().to_string(), "full");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        // What that one left is no hindrance, and its mode does not stay.
        replace(&path, SECRET, |file| file.write_all(b"new")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, SECRET);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
