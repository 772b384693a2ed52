//! The content on disk of which a torrent is made: finding its files, and hashing them.
//!
//! Hashes on all threads; memory does not grow with the content.

use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use tombolo_core::digest::Digests;
use tombolo_core::layout::{Layout, Piece};
use tombolo_core::metainfo::create::{CreateError, Creator, Hashes, NewFile};

use super::bar::Bar;
use super::failure::Failure;
use crate::hash;

/// Content on disk of which a torrent is to be made.
pub(super) struct Content {
    /// The torrent as it will be.
    pub(super) creator: Creator,
    /// The folder that its paths start from; for a single file, the file itself.
    base: PathBuf,
}

impl Content {
    /// Finds the files at `path`; `without` is not among them.
    pub(super) fn find(path: &Path, without: Option<&Path>) -> Result<Self, Failure> {
        let refuse = |error: &io::Error| match error.kind() {
            io::ErrorKind::NotFound => Failure::refused("not-found", format!("{}: there is nothing", path.display())),
            _ => Failure::io(path.display(), error),
        };
        let base = path.canonicalize().map_err(|error| refuse(&error))?;
        let metadata = base.metadata().map_err(|error| refuse(&error))?;
        let name = base.file_name().unwrap_or_default().as_bytes().to_vec();
        let mut creator = if metadata.is_file() {
            Creator::single(&name, metadata.len())
        } else {
            let mut walk = Walk {
                files: Vec::new(),
                without: without.and_then(|path| path.canonicalize().ok()),
            };
            walk.folder(std::slice::from_ref(&base), &[])?;
            Creator::folder(&name, walk.files)
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
        digests.iter_mut().flatten().for_each(|digests| digests.blocks.clear());
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
struct Walk {
    files: Vec<NewFile>,
    without: Option<PathBuf>,
}

impl Walk {
    /// Adds what is in the last of `folders`, each of which is in the one before it, by whatever links.
    fn folder(&mut self, folders: &[PathBuf], names: &[Vec<u8>]) -> Result<(), Failure> {
        let failure = |path: &Path, error: &io::Error| Failure::io(path.display(), error);
        let folder = folders.last().map_or_else(|| Path::new(""), PathBuf::as_path);
        for entry in fs::read_dir(folder).map_err(|error| failure(folder, &error))? {
            let entry = entry.map_err(|error| failure(folder, &error))?;
            let path = entry.path();
            if self.without.as_ref() == Some(&path) {
                continue;
            }
            // Links are followed: what they lead to is what a reader of the folder sees.
            let path = path.canonicalize().map_err(|error| failure(&path, &error))?;
            let metadata = fs::metadata(&path).map_err(|error| failure(&path, &error))?;
            let names = [names, &[entry.file_name().as_bytes().to_vec()]].concat();
            if metadata.is_file() {
                self.files.push(NewFile {
                    path: names,
                    length: metadata.len(),
                });
            } else if metadata.is_dir() && !folders.contains(&path) {
                self.folder(&[folders, &[path]].concat(), &names)?;
            } else {
                let message = format!(
                    "{}: it is neither a file nor a folder, or is in itself",
                    entry.path().display()
                );
                return Err(Failure::refused("bad-content", message));
            }
        }
        Ok(())
    }
}
