//! What a command is given: a .torrent, a magnet link, or a file of any kind.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use tombolo_core::event::Source;
use tombolo_core::magnet::Magnet;
use tombolo_core::metainfo::{MAX_METAINFO, Metainfo};

use super::failure::Failure;

/// The bytes of a file of at most [`MAX_METAINFO`].
///
/// # Errors
/// `not-found`, `too-large`, or `io`.
pub(super) fn read_file(path: &Path) -> Result<Bytes, Failure> {
    let shown = path.display();
    let file = File::open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Failure::refused("not-found", format!("{shown}: there is no such file")),
        _ => Failure::io(&shown, &error),
    })?;
    let mut bytes = Vec::new();
    file.take(MAX_METAINFO as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::io(&shown, &error))?;
    if bytes.len() > MAX_METAINFO {
        let message = format!("{shown}: it is longer than {MAX_METAINFO} bytes");
        return Err(Failure::refused("too-large", message));
    }
    Ok(bytes.into())
}

/// Reads a .torrent.
///
/// # Errors
/// As [`read_file`], and every way in which it may be malformed.
pub(super) fn read_torrent(path: &Path) -> Result<Metainfo, Failure> {
    Ok(Metainfo::parse(&read_file(path)?)?)
}

/// The magnet link or info-hash that `text` is meant as; `None` if it is the name of a file.
pub(super) fn as_magnet(text: &OsStr) -> Option<&str> {
    let link = text.to_str()?.trim();
    let scheme = link.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("magnet:"));
    (scheme || Magnet::is_like(link) && !Path::new(text).exists()).then_some(link)
}

/// Reads whatever names a torrent.
///
/// # Errors
/// As [`read_torrent`], and `bad-magnet`.
pub(super) fn read_source(text: &OsStr) -> Result<Source, Failure> {
    match as_magnet(text) {
        Some(link) => Ok(Source::Magnet(Magnet::parse(link)?)),
        None => Ok(Source::Metainfo(Arc::new(read_torrent(Path::new(text))?))),
    }
}
