//! The files of a torrent, and how v1 lists them (BEP 3, BEP 47).

use super::{FilePath, MAX_FILES, MAX_PATHS, MetainfoError, string, unsigned};
use crate::bencode::{Dict, Value};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::iter;

/// One file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Where it is written to; begins with the torrent's name where that is a folder.
    pub path: FilePath,
    /// Its length in bytes.
    pub length: u64,
    /// Where it begins in the torrent, in bytes.
    pub offset: u64,
    /// Whether it is only zeros that align the next file; never written to disk (BEP 47).
    pub pad: bool,
    /// Whether it is a program (BEP 47).
    pub executable: bool,
    /// Whether it is hidden (BEP 47).
    pub hidden: bool,
    /// Where it points to, from the torrent's folder, if it is a symbolic link (BEP 47).
    pub symlink: Option<FilePath>,
    /// The root of its hash tree, if the torrent is v2 and the file not empty (BEP 52).
    pub pieces_root: Option<Box<[u8; 32]>>,
}

/// Puts files one after the other and holds their bounds.
pub(super) struct Files {
    files: Vec<File>,
    end: u64,
    path_bytes: usize,
}

/// What a file's dictionary says besides path and length.
#[derive(Default)]
pub(super) struct Attributes {
    pub(super) pad: bool,
    executable: bool,
    hidden: bool,
    symlink: Option<FilePath>,
}

/// Reads `length` or `files` of a v1 info dictionary; also says whether the files are in a folder.
pub(super) fn read(info: &Dict<'_>, name: &[u8]) -> Result<(Vec<File>, bool), MetainfoError> {
    let [attr, list, length] = info.fields(["attr", "files", "length"]);
    let mut files = Files::new();
    match (length, list) {
        (Some(_), Some(_)) => Err(MetainfoError::LengthAndFiles),
        (None, None) => Err(MetainfoError::Missing("length")),
        (Some(length), None) => {
            let path = FilePath::new([name]);
            // A link of a torrent without a folder would lead to something that is not the torrent's.
            files.push(path, unsigned(length, "length")?, Attributes::read(attr, None))?;
            Ok((files.done(), false))
        }
        (None, Some(list)) => {
            let list = list.list().ok_or(MetainfoError::Field("files", "a list"))?;
            for entry in list {
                listed(entry, name, &mut files)?;
            }
            Ok((files.done(), true))
        }
    }
}

fn listed(entry: Value<'_>, name: &[u8], files: &mut Files) -> Result<(), MetainfoError> {
    let file = files.len();
    let dict = entry
        .dict()
        .ok_or(MetainfoError::Field("files", "a list of dictionaries"))?;
    let [attr, length, path, path_utf8, symlink] =
        dict.fields(["attr", "length", "path", "path.utf-8", "symlink path"]);
    let attributes = Attributes::read(attr, symlink);
    let length = match length {
        // A symbolic link has no content of its own.
        None if attributes.symlink.is_some() => 0,
        None => return Err(MetainfoError::Missing("length")),
        Some(length) => unsigned(length, "length")?,
    };
    let elements = |path: Value<'_>| {
        path.list()
            .is_some_and(|mut list| list.all(|element| element.text().is_some()))
    };
    let path = path_utf8.filter(|&path| elements(path)).or(path);
    let Some(path) = path
        .map(|path| path.list().ok_or(MetainfoError::Field("path", "a list")))
        .transpose()?
    else {
        return match attributes.pad {
            true => files.push(FilePath::new([name, b".pad"]), length, attributes),
            false => Err(MetainfoError::NoPath { file }),
        };
    };
    if path.clone().any(|element| element.bytes().is_none()) {
        return Err(MetainfoError::Field("path", "a list of strings"));
    }
    if path.clone().next().is_none() && !attributes.pad {
        return Err(MetainfoError::NoPath { file });
    }
    let path = FilePath::new(iter::once(name).chain(path.filter_map(|element| element.bytes())));
    files.push(path, length, attributes)
}

impl Attributes {
    pub(super) const fn is_symlink(&self) -> bool {
        self.symlink.is_some()
    }

    /// Reads `attr` and `symlink path`.
    pub(super) fn read(attr: Option<Value<'_>>, symlink: Option<Value<'_>>) -> Self {
        let flags = string(attr, None).unwrap_or_default();
        let has = |flag: u8| flags.contains(&flag);
        let target = symlink.filter(|_| has(b'l')).and_then(|path| path.list());
        Self {
            pad: has(b'p'),
            executable: has(b'x'),
            hidden: has(b'h'),
            symlink: target.and_then(|path| FilePath::new(path.filter_map(|element| element.bytes()))),
        }
    }
}

impl Files {
    pub(super) const fn new() -> Self {
        Self {
            files: Vec::new(),
            end: 0,
            path_bytes: 0,
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.files.len()
    }

    /// Goes on at the next multiple of `piece_length`.
    pub(super) fn align(&mut self, piece_length: u64) -> Result<(), MetainfoError> {
        let file = self.files.len();
        self.end = self
            .end
            .checked_next_multiple_of(piece_length)
            .ok_or(MetainfoError::Overflow { file })?;
        Ok(())
    }

    /// Appends a file; `path` is `None` if it is too long.
    pub(super) fn push(
        &mut self,
        path: Option<FilePath>,
        length: u64,
        attributes: Attributes,
    ) -> Result<(), MetainfoError> {
        let file = self.files.len();
        let path = path.ok_or(MetainfoError::Path { file })?;
        if file == MAX_FILES {
            return Err(MetainfoError::TooManyFiles);
        }
        self.path_bytes += path.as_str().len();
        if self.path_bytes > MAX_PATHS {
            return Err(MetainfoError::Paths);
        }
        let end = self.end.checked_add(length).filter(|&end| end <= i64::MAX as u64);
        let end = end.ok_or(MetainfoError::Overflow { file })?;
        self.files.push(File {
            path,
            length,
            offset: self.end,
            pad: attributes.pad,
            executable: attributes.executable,
            hidden: attributes.hidden,
            symlink: attributes.symlink,
            pieces_root: None,
        });
        self.end = end;
        Ok(())
    }

    /// The file appended last.
    pub(super) fn last_mut(&mut self) -> Option<&mut File> {
        self.files.last_mut()
    }

    pub(super) fn done(self) -> Vec<File> {
        self.files
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Appends files of that path, each one byte long, until it is refused; how many were taken.
    fn fill(path: &FilePath) -> (usize, MetainfoError) {
        let mut files = Files::new();
        loop {
            if let Err(error) = files.push(Some(path.clone()), 1, Attributes::default()) {
                return (files.len(), error);
            }
        }
    }

    #[test]
    fn files_and_bytes_of_paths_are_bounded() {
        assert_eq!(
            fill(&FilePath::new([&b"a"[..]]).unwrap()),
            (MAX_FILES, MetainfoError::TooManyFiles)
        );
        let long = FilePath::new([&[b'x'; 255][..]; 8]).unwrap();
        assert_eq!(fill(&long), (MAX_PATHS / long.as_str().len(), MetainfoError::Paths));
    }
}
