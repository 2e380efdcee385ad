//! The side of a copy that is on the host.

use std::fs::File;
use std::io::{BufWriter, Read};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use bytes::{Buf, Bytes};
use rcompose_supervisor::client::Chunks;
use rcompose_supervisor::files::{ExtractError, Ownership, Root, TreePart, extract, write_part};
use tokio::sync::mpsc;

use super::rules::{self, There};
use crate::error::CommandError;

/// Bytes that are collected before they are sent.
const CHUNK: usize = 256 * 1024;

fn failed(doing: &str, path: &Path, source: impl Into<std::io::Error>) -> CommandError {
    CommandError::System { doing: format!("{doing} `{}`", path.display()), source: source.into() }
}

/// A path of the host that ends with a name, and whether it is a directory.
pub(super) fn look(working_dir: &Path, path: &str, follow: bool) -> Result<(PathBuf, bool), CommandError> {
    let clean = working_dir.join(rules::clean(path));
    let clean = rules::clean(&clean.to_string_lossy());
    let about = if follow || rules::names_directory(path) { clean.metadata() } else { clean.symlink_metadata() };
    let about = about.map_err(|source| failed("read", Path::new(path), source))?;
    Ok((clean, about.is_dir()))
}

/// What is where something is to be written, links followed.
pub(super) fn there(path: &Path) -> There {
    match path.metadata() {
        Ok(about) if about.is_dir() => There::Directory,
        Ok(_) => There::File,
        Err(_) => There::Nothing,
    }
}

/// An archive that is written while it is read.
pub(super) struct Packing {
    pub(super) archive: File,
    writer: JoinHandle<std::io::Result<()>>,
    path: PathBuf,
}

impl Packing {
    /// Begins to pack what is at a path, by another name.
    pub(super) fn begin(path: &Path, name: PathBuf, follow: bool) -> Result<Self, CommandError> {
        let prepared = || -> std::io::Result<_> {
            // Links on the way are the host's own; only one at its end is to stay what it is.
            let real = match path.file_name() {
                Some(own) if !follow => std::fs::canonicalize(path.parent().unwrap_or(Path::new("/")))?.join(own),
                _ => std::fs::canonicalize(path)?,
            };
            let root = Root::open(real.parent().unwrap_or(Path::new("/")))?;
            Ok((root, PathBuf::from(real.file_name().unwrap_or(".".as_ref())), std::io::pipe()?))
        };
        let (root, own, (reader, writer)) = prepared().map_err(|source| failed("read", path, source))?;
        let writer = std::thread::spawn(move || {
            let part = TreePart { path: &own, name: &name, follow: false };
            write_part(&root, part, BufWriter::with_capacity(CHUNK, writer))
        });
        Ok(Self { archive: File::from(OwnedFd::from(reader)), writer, path: path.to_owned() })
    }

    /// The archive, and what tells whether it came to its end.
    pub(super) fn into_parts(self) -> (File, impl FnOnce() -> Result<(), CommandError>) {
        let Self { archive, writer, path } = self;
        let end = move || {
            let ended = writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            ended.map_err(|source| failed("read", &path, source))
        };
        (archive, end)
    }
}

/// Writes an archive into a directory, as it comes.
pub(super) async fn unpack(mut archive: Chunks, into: &Path, ownership: Ownership) -> Result<(), CommandError> {
    let real = std::fs::canonicalize(into).map_err(|source| failed("write to", into, source))?;
    let root = Root::open(&real).map_err(|source| failed("write to", into, source))?;
    let (sender, receiver) = mpsc::channel(4);
    let reader = Received { receiver, chunk: Bytes::new() };
    let writing = tokio::task::spawn_blocking(move || extract(reader, &root, Path::new("."), ownership));
    let received = async {
        while let Some(bytes) = archive.next().await? {
            // It has failed, and says why.
            if sender.send(bytes).await.is_err() {
                break;
            }
        }
        Ok::<_, CommandError>(())
    };
    let received = received.await;
    drop(sender);
    let written = writing.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
    received?;
    written.map_err(|error: ExtractError| failed("write to", into, std::io::Error::other(error)))
}

/// Bytes from another task.
struct Received {
    receiver: mpsc::Receiver<Bytes>,
    chunk: Bytes,
}

impl Read for Received {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.chunk.is_empty() {
            match self.receiver.blocking_recv() {
                Some(chunk) => self.chunk = chunk,
                None => return Ok(0),
            }
        }
        let count = buffer.len().min(self.chunk.len());
        self.chunk.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}
