//! A file of a torrent to be made, and how v1 lists it (BEP 3, BEP 47).

use super::signed;
use crate::bencode::{DictWriter, Writer};
use alloc::string::String;
use alloc::vec::Vec;

/// A file to be described.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct NewFile {
    /// The names of its folders and its own, as the file system has them; for a single file its name alone.
    pub path: Vec<Vec<u8>>,
    /// Its length in bytes; that of a symbolic link is 0.
    pub length: u64,
    /// Whether it is a program.
    pub executable: bool,
    /// Whether it is hidden.
    pub hidden: bool,
    /// If it is a symbolic link, where it leads to: names from the torrent's folder on.
    pub symlink: Option<Vec<Vec<u8>>>,
}

impl NewFile {
    /// A file without attributes.
    pub fn new(path: Vec<Vec<u8>>, length: u64) -> Self {
        Self {
            path,
            length,
            ..Self::default()
        }
    }

    /// Its attributes as BEP 47 has them: a letter each.
    fn attributes(&self) -> String {
        let letters = [
            (self.hidden, 'h'),
            (self.symlink.is_some(), 'l'),
            (self.executable, 'x'),
        ];
        letters
            .iter()
            .filter(|(is, _)| *is)
            .map(|&(_, letter)| letter)
            .collect()
    }

    /// Writes `attr`, which comes first in every dictionary that has it.
    pub(super) fn write_attributes(&self, dict: &mut DictWriter<'_>) {
        let attributes = self.attributes();
        if !attributes.is_empty() {
            dict.bytes("attr", attributes);
        }
    }

    /// Writes `symlink path`, which comes last.
    pub(super) fn write_target(&self, dict: &mut DictWriter<'_>) {
        if let Some(target) = &self.symlink {
            dict.entry("symlink path")
                .list(|path| target.iter().for_each(|name| path.bytes(name)));
        }
    }

    /// Writes its entry in the list of v1.
    pub(super) fn write(&self, list: &mut Writer<'_>) {
        list.dict(|file| {
            self.write_attributes(file);
            file.integer("length", signed(self.length));
            file.entry("path")
                .list(|path| self.path.iter().for_each(|name| path.bytes(name)));
            self.write_target(file);
        });
    }
}
