//! The content on disk of which a torrent is made: finding its files, and hashing them.
//!
//! Hashes on all threads; memory does not grow with the content.

use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use tombolo_core::digest::Digests;
use tombolo_core::layout::{Layout, Piece};
use tombolo_core::metainfo::create::{CreateError, Creator, Hashes, NewFile};

use super::bar::Bar;
use super::failure::Failure;
use crate::hash;

/// What is to be found, and how it is to be called.
#[derive(Clone, Copy, Default)]
pub(super) struct Wishes<'a> {
    /// This file is no content.
    pub(super) without: Option<&'a Path>,
    /// Another name than that of the file or folder.
    pub(super) name: Option<&'a str>,
    /// Whether symbolic links stay links (BEP 47). Else what they lead to is what a reader of the folder sees.
    pub(super) symlinks: bool,
}

/// Content on disk of which a torrent is to be made.
pub(super) struct Content {
    /// The torrent as it will be.
    pub(super) creator: Creator,
    /// The folder that its paths start from; for a single file, the file itself.
    base: PathBuf,
}

impl Content {
    /// Finds the files at `path`.
    pub(super) fn find(path: &Path, wishes: &Wishes<'_>) -> Result<Self, Failure> {
        let refuse = |error: &io::Error| match error.kind() {
            io::ErrorKind::NotFound => Failure::refused("not-found", format!("{}: there is nothing", path.display())),
            _ => Failure::io(path.display(), error),
        };
        let base = path.canonicalize().map_err(|error| refuse(&error))?;
        let metadata = base.metadata().map_err(|error| refuse(&error))?;
        let own = base.file_name().unwrap_or_default().as_bytes();
        let name = wishes.name.map_or(own, str::as_bytes);
        let mut creator = if metadata.is_file() {
            let mut creator = Creator::single(name, metadata.len());
            creator.set_attributes(|_| (is_executable(&metadata), is_hidden(name)));
            creator
        } else {
            let mut walk = Walk {
                base: &base,
                files: Vec::new(),
                without: wishes.without.and_then(|path| path.canonicalize().ok()),
                symlinks: wishes.symlinks,
            };
            walk.folder(std::slice::from_ref(&base), &[])?;
            Creator::folder(name, walk.files)
        };
        creator.created_by = Some(concat!("Tombolo ", env!("CARGO_PKG_VERSION")).into());
        Ok(Self { creator, base })
    }

    /// The folder that the content is in.
    pub(super) fn folder(&self) -> PathBuf {
        self.base.parent().unwrap_or(&self.base).to_owned()
    }

    /// Hashes the content and makes the .torrent.
    pub(super) fn torrent(&self, threads: usize, quiet: bool) -> Result<Vec<u8>, Failure> {
        let layout = self.creator.layout()?;
        let bar = Bar::pieces("hashing", layout.pieces(), quiet);
        let hashes = self.hash(&layout, threads, &bar)?;
        bar.finish();
        Ok(self.creator.torrent(&hashes)?)
    }

    fn hash(&self, layout: &Layout, threads: usize, bar: &Bar) -> Result<Hashes, Failure> {
        let (next, failure) = (AtomicU32::new(0), Mutex::new(None));
        let starts = self.creator.offsets().ok_or(CreateError::Overflow)?;
        let run = || {
            let mut reader = Reader {
                content: self,
                starts: &starts,
                open: Default::default(),
            };
            let mut hashes = Vec::new();
            loop {
                let some = hash::take(&next, layout);
                if some.is_empty() {
                    return hashes;
                }
                for (&piece, digests) in some.iter().zip(reader.hash(layout, &some)) {
                    match digests {
                        Ok(digests) => hashes.push((piece, digests)),
                        Err(error) => {
                            next.store(u32::MAX / 2, Ordering::Relaxed);
                            *failure.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(error);
                        }
                    }
                    bar.advance(1);
                }
            }
        };
        let mut hashes = Hashes::of(layout);
        std::thread::scope(|scope| {
            let workers = (0..threads.clamp(1, layout.pieces())).map(|_| scope.spawn(run));
            for worker in workers.collect::<Vec<_>>() {
                for (piece, digests) in worker.join().unwrap_or_default() {
                    hashes.set(piece, &digests);
                }
            }
        });
        match failure.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
            Some(failure) => Err(failure),
            None => Ok(hashes),
        }
    }

    /// Where a file is.
    fn path(&self, file: &NewFile) -> PathBuf {
        if self.creator.multi_file {
            let names = file.path.iter().map(|name| std::ffi::OsStr::from_bytes(name));
            self.base.join(names.collect::<PathBuf>())
        } else {
            self.base.clone()
        }
    }
}

/// Reads pieces of the content, with the files it read last still open.
struct Reader<'a> {
    content: &'a Content,
    starts: &'a [u64],
    /// One for each piece that is read at a time.
    open: [Option<(usize, File)>; hash::LANES],
}

impl Reader<'_> {
    /// The digests of a few pieces, those of their blocks left out: there may be many pieces.
    fn hash(&mut self, layout: &Layout, pieces: &[Piece]) -> Vec<Result<Digests, Failure>> {
        let creator = &self.content.creator;
        let hashing = |&piece: &Piece| {
            let file = creator.files().get(self.number(layout.offset(piece)));
            (
                piece,
                creator.hashing(layout, piece, file.map_or(0, |file| file.length)),
            )
        };
        let pieces: Vec<_> = pieces.iter().map(hashing).collect();
        let mut digests = hash::of_each(&pieces, layout, |piece, at, part| {
            self.read(layout.offset(piece) + at as u64, part)
        });
        digests
            .iter_mut()
            .flatten()
            .for_each(|digests| digests.blocks = Vec::new());
        digests
    }

    /// The file that has the byte at that place of the torrent; the last that begins there or before.
    fn number(&self, at: u64) -> usize {
        self.starts.partition_point(|&start| start <= at).saturating_sub(1)
    }

    /// Fills `part` with the bytes from there on.
    fn read(&mut self, mut at: u64, mut part: &mut [u8]) -> Result<(), Failure> {
        let mut number = self.number(at);
        while let (false, Some(file), Some(&start)) = (
            part.is_empty(),
            self.content.creator.files().get(number),
            self.starts.get(number),
        ) {
            let left = usize::try_from((start + file.length).saturating_sub(at)).unwrap_or(usize::MAX);
            let (bytes, rest) = part.split_at_mut(left.min(part.len()));
            if !bytes.is_empty() {
                self.read_file(number, at - start, bytes)
                    .map_err(|error| Failure::io(self.content.path(file).display(), &error))?;
            }
            at += bytes.len() as u64;
            part = rest;
            number += 1;
        }
        Ok(())
    }

    fn read_file(&mut self, number: usize, at: u64, bytes: &mut [u8]) -> io::Result<()> {
        let is_open = |open: &Option<(usize, File)>| open.as_ref().is_some_and(|(open, _)| *open == number);
        if !self.open.iter().any(is_open) {
            let path = self.content.creator.files().get(number);
            let file = File::open(path.map(|file| self.content.path(file)).unwrap_or_default())?;
            // The first is the one that was opened last.
            self.open.rotate_right(1);
            self.open[0] = Some((number, file));
        }
        let Some((_, file)) = self.open.iter().flatten().find(|(open, _)| *open == number) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        file.read_exact_at(bytes, at).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => io::Error::other("it has become shorter while it was read"),
            _ => error,
        })
    }
}

/// A walk through a folder.
struct Walk<'a> {
    base: &'a Path,
    files: Vec<NewFile>,
    without: Option<PathBuf>,
    symlinks: bool,
}

impl Walk<'_> {
    /// Adds what is in the last of `folders`, each of which is in the one before it, by whatever links.
    fn folder(&mut self, folders: &[PathBuf], names: &[Vec<u8>]) -> Result<(), Failure> {
        let failure = |path: &Path, error: &io::Error| Failure::io(path.display(), error);
        let folder = folders.last().map_or_else(|| Path::new(""), PathBuf::as_path);
        for entry in fs::read_dir(folder).map_err(|error| failure(folder, &error))? {
            let entry = entry.map_err(|error| failure(folder, &error))?;
            let found = entry.path();
            if self.without.as_ref() == Some(&found) {
                continue;
            }
            let path = found.canonicalize().map_err(|error| failure(&found, &error))?;
            let metadata = fs::metadata(&path).map_err(|error| failure(&path, &error))?;
            let names = [names, &[entry.file_name().as_bytes().to_vec()]].concat();
            if self.symlinks && found.is_symlink() {
                self.link(&found, &path, names)?;
            } else if metadata.is_file() {
                self.files.push(NewFile {
                    executable: is_executable(&metadata),
                    hidden: names.last().is_some_and(|name| is_hidden(name)),
                    ..NewFile::new(names, metadata.len())
                });
            } else if metadata.is_dir() && !folders.contains(&path) {
                self.folder(&[folders, &[path]].concat(), &names)?;
            } else {
                return Err(bad(&found, "it is neither a file nor a folder, or is in itself"));
            }
        }
        Ok(())
    }

    /// Adds the link at `found`, which leads to `target`.
    fn link(&mut self, found: &Path, target: &Path, names: Vec<Vec<u8>>) -> Result<(), Failure> {
        let inside = target.strip_prefix(self.base).ok();
        let Some(inside) = inside.filter(|inside| inside.components().next().is_some()) else {
            return Err(bad(found, "the link leads out of the folder"));
        };
        let target = inside.iter().map(|name| name.as_bytes().to_vec()).collect();
        self.files.push(NewFile {
            hidden: names.last().is_some_and(|name| is_hidden(name)),
            symlink: Some(target),
            ..NewFile::new(names, 0)
        });
        Ok(())
    }
}

fn bad(path: &Path, why: &str) -> Failure {
    Failure::refused("bad-content", format!("{}: {why}", path.display()))
}

/// Whether its owner may execute it.
fn is_executable(metadata: &fs::Metadata) -> bool {
    metadata.permissions().mode() & 0o100 != 0
}

fn is_hidden(name: &[u8]) -> bool {
    name.starts_with(b".")
}
