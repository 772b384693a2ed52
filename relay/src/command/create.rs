//! `tombolo create`: makes a .torrent of a file or a folder.
//!
//! Deterministic: the same content and options give the same bytes. Hashes on all threads; memory does not grow with the content.

use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use clap::Args;
use serde::Serialize;
use tombolo_core::digest::{Digests, Hasher};
use tombolo_core::layout::{Layout, Piece};
use tombolo_core::metainfo::Metainfo;
use tombolo_core::metainfo::create::{CreateError, Creator, Hashes, NewFile};

use super::bar::Bar;
use super::failure::Failure;
use super::flags::{Threads, Version};
use super::output;
use super::units::parse_size;

/// How much is read at once to be hashed.
const CHUNK: usize = 256 * 1024;

/// The arguments of `create`.
#[derive(Args, Debug)]
pub(super) struct Create {
    /// A file or a folder
    path: PathBuf,
    /// The .torrent to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Bytes a piece, or with KiB or MiB [default: by the size of the content]
    #[arg(long, value_name = "N", value_parser = parse_size)]
    piece_length: Option<u64>,
    #[command(flatten)]
    version: Version,
    /// A tracker; may be repeated, each is a tier of its own
    #[arg(long, value_name = "URL")]
    tracker: Vec<String>,
    /// Where the content is found on the web; may be repeated
    #[arg(long, value_name = "URL")]
    web_seed: Vec<String>,
    /// Peers may come from the trackers alone
    #[arg(long)]
    private: bool,
    /// Another name than that of the file or folder
    #[arg(long)]
    name: Option<String>,
    /// What to say of it
    #[arg(long)]
    comment: Option<String>,
    /// A date, in seconds since 1970 [default: none]
    #[arg(long, value_name = "UNIX", allow_negative_numbers = true)]
    date: Option<i64>,
    #[command(flatten)]
    threads: Threads,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Serialize)]
struct Document {
    info_hash_v1: Option<String>,
    info_hash_v2: Option<String>,
    name: String,
    piece_length: u32,
    pieces: usize,
    total_length: u64,
}

impl Create {
    /// Runs the command.
    ///
    /// # Errors
    /// The content cannot be read or makes no torrent, or the .torrent cannot be written.
    pub(super) fn run(&self) -> Result<(), Failure> {
        let mut content = Content::find(&self.path, Some(&self.output))?;
        let creator = &mut content.creator;
        creator.piece_length = self.piece_length.unwrap_or(creator.piece_length);
        creator.private = self.private;
        creator.trackers.clone_from(&self.tracker);
        creator.web_seeds.clone_from(&self.web_seed);
        creator.comment.clone_from(&self.comment);
        creator.creation_date = self.date;
        if let Some(name) = &self.name {
            creator.rename(name.as_bytes());
        }
        creator.set_version(self.version.into());
        let bytes = content.torrent(self.threads.count(), self.json)?;
        let metainfo = Metainfo::parse(&bytes.clone().into())?;
        fs::write(&self.output, bytes).map_err(|error| Failure::io(self.output.display(), &error))?;
        let v1 = metainfo.hashes.v1().map(|hash| hash.to_string());
        let v2 = metainfo.hashes.v2().map(|hash| hash.to_string());
        if self.json {
            output::line(&Document {
                info_hash_v1: v1,
                info_hash_v2: v2,
                piece_length: metainfo.layout.nominal_piece_length(),
                pieces: metainfo.layout.pieces(),
                total_length: metainfo.content_length(),
                name: metainfo.name,
            });
        } else {
            for hash in [v1, v2].into_iter().flatten() {
                output::say(&hash);
            }
        }
        Ok(())
    }
}

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
                open: None,
                buffer: vec![0; CHUNK],
            };
            let mut hashes = Vec::new();
            while let Some(piece) = layout.piece(next.fetch_add(1, Ordering::Relaxed)) {
                match reader.hash(layout, piece) {
                    Ok(digests) => hashes.push((piece, digests)),
                    Err(error) => {
                        next.store(u32::MAX / 2, Ordering::Relaxed);
                        *failure.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(error);
                        break;
                    }
                }
                bar.advance(1);
            }
            hashes
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

/// Reads pieces of the content, with the file it read last still open.
struct Reader<'a> {
    content: &'a Content,
    starts: &'a [u64],
    open: Option<(usize, File)>,
    buffer: Vec<u8>,
}

impl Reader<'_> {
    /// The digests of a piece, those of its blocks left out: there may be many pieces.
    fn hash(&mut self, layout: &Layout, piece: Piece) -> Result<Digests, Failure> {
        let mut at = layout.offset(piece);
        let end = at + u64::from(layout.piece_length(piece));
        let mut number = self.starts.partition_point(|&start| start <= at).saturating_sub(1);
        let creator = &self.content.creator;
        let length = creator.files().get(number).map_or(0, |file| file.length);
        let mut hasher = Hasher::new(creator.hashing(layout, piece, length));
        while at < end {
            let (Some(file), Some(&start)) = (self.content.creator.files().get(number), self.starts.get(number)) else {
                break;
            };
            let to = end.min(start + file.length);
            if at < to {
                self.hash_file(number, (at - start, to - start), &mut hasher)
                    .map_err(|error| Failure::io(self.content.path(file).display(), &error))?;
                at = to;
            }
            number += 1;
        }
        let blocks = Vec::new();
        Ok(Digests {
            blocks,
            ..hasher.finish()
        })
    }

    fn hash_file(&mut self, number: usize, (mut from, to): (u64, u64), hasher: &mut Hasher) -> io::Result<()> {
        let file = match &mut self.open {
            Some((open, file)) if *open == number => file,
            open => {
                let path = self
                    .content
                    .creator
                    .files()
                    .get(number)
                    .map(|file| self.content.path(file));
                &mut open.insert((number, File::open(path.unwrap_or_default())?)).1
            }
        };
        while from < to {
            let part = self.buffer.len().min(usize::try_from(to - from).unwrap_or(usize::MAX));
            let part = &mut self.buffer[..part];
            file.read_exact_at(part, from).map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => io::Error::other("it has become shorter while it was read"),
                _ => error,
            })?;
            hasher.update(part);
            from += part.len() as u64;
        }
        Ok(())
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

impl From<CreateError> for Failure {
    fn from(error: CreateError) -> Self {
        Self::refused("bad-content", error.to_string())
    }
}
