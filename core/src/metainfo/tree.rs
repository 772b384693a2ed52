//! The file tree of a v2 torrent (BEP 52): dictionaries of names within each other, a file's own under the empty name.

use super::file::{Attributes, Files};
use super::{File, FilePath, MetainfoError, unsigned};
use crate::bencode::{Dict, Token, Value};
use crate::layout::BLOCK;
use alloc::boxed::Box;
use alloc::vec::Vec;

/// What a tree is.
const SHAPE: &str = "of dictionaries within each other";

/// Reads `file tree`; also says whether the files are in a folder. One pass over the tree, each file's own dictionary twice.
pub(super) fn read(info: &Dict<'_>, name: &[u8], piece_length: u64) -> Result<(Vec<File>, bool), MetainfoError> {
    if !piece_length.is_power_of_two() || piece_length < u64::from(BLOCK) {
        return Err(MetainfoError::PieceLengthV2(piece_length));
    }
    let tree = info.get("file tree").ok_or(MetainfoError::Missing("file tree"))?;
    let root = tree.dict().ok_or(MetainfoError::Field("file tree", "a dictionary"))?;
    let multi_file = !is_single(&root, name);
    let mut files = Files::new();
    let mut path: Vec<&[u8]> = Vec::new();
    let mut tokens = tree.tokens();
    tokens.next();
    loop {
        match tokens.next() {
            Some(Token::Bytes(b"")) => {
                let file = tokens.value().and_then(|value| value.dict());
                let file = file.ok_or(MetainfoError::Field("file tree", "of files that are dictionaries"))?;
                if path.is_empty() {
                    return Err(MetainfoError::NoPath { file: files.len() });
                }
                let folder = multi_file.then_some(name);
                let place = FilePath::new(folder.into_iter().chain(path.iter().copied()));
                leaf(&file, place, (piece_length, multi_file), &mut files)?;
                // BEP 52: a file has nothing beside it under its own name.
                path.pop();
                if !matches!(tokens.next(), Some(Token::End)) {
                    return Err(MetainfoError::Field("file tree", SHAPE));
                }
            }
            Some(Token::Bytes(name)) => {
                path.push(name);
                if tokens.next() != Some(Token::Dict) {
                    return Err(MetainfoError::Field("file tree", SHAPE));
                }
            }
            _ => {
                if path.pop().is_none() {
                    return Ok((files.done(), multi_file));
                }
            }
        }
    }
}

/// Whether the tree is one file that has the torrent's name: it is in no folder then.
fn is_single(root: &Dict<'_>, name: &[u8]) -> bool {
    let mut entries = root.clone();
    let Some((only, entry)) = entries.next() else {
        return false;
    };
    only == name && entries.next().is_none() && entry.dict().is_some_and(|entry| entry.get("").is_some())
}

fn leaf(
    dict: &Dict<'_>,
    path: Option<FilePath>,
    (piece_length, multi_file): (u64, bool),
    files: &mut Files,
) -> Result<(), MetainfoError> {
    let file = files.len();
    let [attr, length, root, symlink] = dict.fields(["attr", "length", "pieces root", "symlink path"]);
    let attributes = Attributes::read(attr, symlink.filter(|_| multi_file));
    if attributes.pad {
        // The gaps follow from the piece length.
        return Err(MetainfoError::Field("file tree", "without pad files"));
    }
    let length = match length {
        // A symbolic link has no content of its own.
        _ if attributes.is_symlink() => 0,
        None => 0,
        Some(length) => unsigned(length, "length")?,
    };
    if length > 0 {
        files.align(piece_length)?;
    }
    files.push(path, length, attributes)?;
    let root = root
        .as_ref()
        .and_then(Value::bytes)
        .and_then(|root| <[u8; 32]>::try_from(root).ok())
        .filter(|root| *root != [0; 32]);
    match (files.last_mut(), root) {
        (Some(last), Some(root)) if length > 0 => last.pieces_root = Some(Box::new(root)),
        (_, None) if length > 0 => return Err(MetainfoError::PiecesRoot { file }),
        _ => {}
    }
    Ok(())
}

/// Gives the files that v1 lists their roots from the tree, which must be the same files in the same order, at the same places.
pub(super) fn join(listed: &mut [File], tree: Vec<File>, piece_length: u64) -> Result<(), MetainfoError> {
    let count = listed.iter().filter(|file| !file.pad).count();
    let end = |files: &[File]| {
        files
            .last()
            .map_or(0, |last| last.offset + last.length)
            .div_ceil(piece_length)
    };
    // A pad file at the end fills up the last piece or is left out.
    let same_end = end(listed) == end(&tree) && tree.len() <= count;
    let mut from_tree = tree.into_iter();
    for (number, file) in listed.iter_mut().filter(|file| !file.pad).enumerate() {
        match from_tree.next() {
            Some(other)
                if other.length == file.length
                    && other.path == file.path
                    && (file.length == 0 || other.offset == file.offset) =>
            {
                file.pieces_root = other.pieces_root;
            }
            _ => return Err(MetainfoError::Hybrid { file: number }),
        }
    }
    if same_end {
        Ok(())
    } else {
        Err(MetainfoError::Hybrid { file: count })
    }
}
