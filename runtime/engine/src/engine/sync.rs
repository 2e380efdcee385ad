//! Files that are written into a container from outside, as they come, while it runs or not.
//!
//! Each is there whole or not at all. What is made belongs to the user of the container's program; where that is root, to whom the
//! replaced file belonged, or the directory that it is put into. A directory is removed when nothing is left in it: what only the
//! container has stays.

use std::ffi::OsStr;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use rcompose_container::init::owner_in;
use rcompose_container::spec::User;
use rcompose_sys::beneath::{Attributes, NewFile, Root};
use rustix::fs::{AtFlags, FileType, Stat};
use rustix::io::Errno;

use super::Engine;
use crate::EngineError;

/// A file of the host, by which it is recognised where a container has it mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileIdentity {
    /// Its device.
    pub device: u64,
    /// Its number there.
    pub number: u64,
}

/// One thing that is done, or a part of it. Paths are the container's.
#[derive(Debug, Clone)]
pub enum SyncPiece {
    /// What is there goes; a directory only if nothing is in it.
    Remove(String),
    /// A directory is there afterwards.
    Directory {
        /// Where.
        target: String,
        /// Permission bits, if it has to be made.
        mode: u32,
    },
    /// A symbolic link is there afterwards.
    Link {
        /// Where.
        target: String,
        /// What it holds.
        leads_to: String,
    },
    /// A file begins. Its content follows, then [`SyncPiece::Finish`]; without that it never was.
    File {
        /// Where.
        target: String,
        /// Permission bits.
        mode: u32,
        /// When it was changed.
        modified: SystemTime,
        /// The file that is copied; where the very same is there already, nothing is done.
        identity: FileIdentity,
    },
    /// Some of its content.
    Content(Arc<[u8]>),
    /// It is whole.
    Finish,
}

/// Something that could not be done.
#[derive(Debug, thiserror::Error)]
#[error("failed to write `{target}`")]
pub struct SyncFailure {
    /// Where.
    pub target: String,
    /// Why.
    #[source]
    pub source: rcompose_sys::Error,
}

impl SyncFailure {
    /// What to do.
    pub fn hint(&self) -> Option<&'static str> {
        match self.source.errno() {
            Errno::ROFS => Some("it is on a read-only file system: take `read_only` away, or mount something writable there"),
            Errno::NOTEMPTY => Some("a directory with files of the container's own is there"),
            _ => None,
        }
    }
}

impl Engine {
    /// Writes what comes into a container; gives what could not be done, the rest is.
    ///
    /// # Errors
    /// When its files cannot be reached at all.
    pub fn sync_files(&self, id: &str, pieces: impl FnMut() -> Option<SyncPiece>) -> Result<Vec<SyncFailure>, EngineError> {
        let record = self.entry(id)?.record();
        let (_, image, _) = self.images.open_image(&record.image_id)?;
        let name = record.spec.user.clone().unwrap_or(image.config.user);
        let user = User { name: Some(name), ..User::default() };
        self.change_tree(id, |root| {
            // A user that is not there cannot have been started as: root it is then.
            let owner = owner_in(root, &user).unwrap_or_default();
            let mut writing = Writing { root, owner, open: None, failures: Vec::new() };
            std::iter::from_fn(pieces).for_each(|piece| writing.take(piece));
            Ok(writing.failures)
        })
    }
}

struct Writing<'a> {
    root: &'a Root,
    /// User and group of the program.
    owner: (u32, u32),
    /// The file that is being written; what comes for one that cannot be is passed over.
    open: Option<(String, NewFile, Attributes)>,
    failures: Vec<SyncFailure>,
}

/// A burst into a read-only container would fail in as many words as it has files.
const FAILURES_TOLD: usize = 20;

impl Writing<'_> {
    fn take(&mut self, piece: SyncPiece) {
        match piece {
            SyncPiece::Remove(target) => self.note(&target, self.remove(Path::new(&target))),
            SyncPiece::Directory { target, mode } => self.note(&target, self.directory(Path::new(&target), mode)),
            SyncPiece::Link { target, leads_to } => self.note(&target, self.link(Path::new(&target), &leads_to)),
            SyncPiece::File { target, mode, modified, identity } => {
                match self.begin(Path::new(&target), mode, modified, identity) {
                    Ok(open) => self.open = open.map(|(file, attributes)| (target, file, attributes)),
                    Err(error) => self.note(&target, Err(error)),
                }
            }
            SyncPiece::Content(bytes) => {
                if let Some((target, file, _)) = &mut self.open
                    && let Err(error) = file.file().write_all(&bytes)
                {
                    let target = std::mem::take(target);
                    self.open = None;
                    let errno = Errno::from_io_error(&error).unwrap_or(Errno::IO);
                    self.note(&target, Err(rcompose_sys::Error::new("write", format!("{target:?}"), errno)));
                }
            }
            SyncPiece::Finish => {
                if let Some((target, file, attributes)) = self.open.take() {
                    self.note(&target, file.finish(&attributes));
                }
            }
        }
    }

    fn note(&mut self, target: &str, result: rcompose_sys::Result<()>) {
        if let Err(source) = result
            && self.failures.len() < FAILURES_TOLD
        {
            self.failures.push(SyncFailure { target: target.to_owned(), source });
        }
    }

    fn remove(&self, target: &Path) -> rcompose_sys::Result<()> {
        let (directory, name) = match self.root.open_parent(target) {
            Err(error) if matches!(error.errno(), Errno::NOENT | Errno::NOTDIR) => return Ok(()),
            other => other?,
        };
        match unlink(&directory, &name) {
            Ok(()) | Err(Errno::NOENT | Errno::NOTEMPTY | Errno::EXIST) => Ok(()),
            Err(errno) => Err(rcompose_sys::Error::new("unlinkat", format!("{target:?}"), errno)),
        }
    }

    fn directory(&self, target: &Path, mode: u32) -> rcompose_sys::Result<()> {
        if self.root.open_path(target).is_ok_and(|found| is_directory(&found)) {
            return Ok(());
        }
        self.make_room(target)?;
        let attributes = Attributes { mode, modified: None, ..self.attributes(target, None) };
        self.root.put_directory(target, &attributes).map(drop)
    }

    fn link(&self, target: &Path, leads_to: &str) -> rcompose_sys::Result<()> {
        let before = self.make_room(target)?;
        self.root.put_symlink(target, OsStr::new(leads_to), &self.attributes(target, before.as_ref()))
    }

    fn begin(
        &self,
        target: &Path,
        mode: u32,
        modified: SystemTime,
        identity: FileIdentity,
    ) -> rcompose_sys::Result<Option<(NewFile, Attributes)>> {
        let before = self.make_room(target)?;
        if before.is_some_and(|it| FileIdentity { device: it.st_dev, number: it.st_ino } == identity) {
            return Ok(None);
        }
        let attributes = Attributes { mode: mode & 0o777, modified: Some(modified), ..self.attributes(target, before.as_ref()) };
        Ok(Some((self.root.new_file(target)?, attributes)))
    }

    /// Makes missing directories above a place, and takes an empty directory from it; gives what else is there.
    fn make_room(&self, target: &Path) -> rcompose_sys::Result<Option<Stat>> {
        let (directory, name) = match self.root.open_parent(target) {
            Err(error) if error.errno() == Errno::NOENT => {
                let parent = target.parent().unwrap_or(Path::new("/"));
                self.directory(parent, 0o755)?;
                self.root.open_parent(target)?
            }
            other => other?,
        };
        let Ok(found) = rustix::fs::statat(&directory, &name, AtFlags::SYMLINK_NOFOLLOW) else { return Ok(None) };
        if FileType::from_raw_mode(found.st_mode) != FileType::Directory {
            return Ok(Some(found));
        }
        let removed = rustix::fs::unlinkat(&directory, &name, AtFlags::REMOVEDIR);
        removed.map_err(|errno| rcompose_sys::Error::new("unlinkat", format!("{target:?}, AT_REMOVEDIR"), errno))?;
        Ok(None)
    }

    /// Whose it is, in place of what was there.
    fn attributes(&self, target: &Path, before: Option<&Stat>) -> Attributes {
        let (uid, gid) = match before {
            _ if self.owner.0 != 0 => self.owner,
            Some(before) => (before.st_uid, before.st_gid),
            None => {
                let parent = target.parent().unwrap_or(Path::new("/"));
                let found = self.root.open_path(parent).ok().and_then(|it| rustix::fs::fstat(it).ok());
                found.map_or(self.owner, |parent| (parent.st_uid, parent.st_gid))
            }
        };
        Attributes { mode: 0o777, uid, gid, modified: None }
    }
}

fn unlink(directory: &OwnedFd, name: &OsStr) -> rustix::io::Result<()> {
    match rustix::fs::unlinkat(directory, name, AtFlags::empty()) {
        Err(Errno::ISDIR | Errno::PERM) => rustix::fs::unlinkat(directory, name, AtFlags::REMOVEDIR),
        other => other,
    }
}

fn is_directory(handle: impl AsFd) -> bool {
    rustix::fs::fstat(handle).is_ok_and(|about| FileType::from_raw_mode(about.st_mode) == FileType::Directory)
}
