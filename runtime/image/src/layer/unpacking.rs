//! Entry by entry, below one directory: what hides becomes what overlayfs knows, and what is replaced goes aside if the recipe needs it.

use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rcompose_sys::beneath::{Root, proc_path};
use rcompose_sys::error::Context;
use rcompose_sys::fault;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Timespec, Timestamps, XattrFlags};
use rustix::io::Errno;

use super::entry::{Failure, attributes, clean, describe, device, modified, owner, remove_existing};
use super::recipe::Recorder;
use super::{Fuse, LayerError, MAX_BYTES, OPAQUE, WHITEOUT};

/// Bytes that are read at once.
pub(super) const CHUNK: usize = 128 * 1024;
/// The most entries of one layer.
const MAX_ENTRIES: u64 = 4_000_000;

/// A directory that an archive is unpacked to.
pub(super) struct Unpacking {
    root: Root,
    /// Without it the archive is no layer: names that hide something are names like others.
    recorder: Option<Recorder>,
    /// Of the files so far.
    pub(super) bytes: u64,
    entries: u64,
    /// Of directories, set at the end: every entry in them would change them.
    times: BTreeMap<PathBuf, Timespec>,
    /// What files are copied through.
    buffer: Vec<u8>,
    /// Files whose content the recipe takes from the layer, by inode, and their steps in it.
    recorded: HashMap<u64, u32>,
    /// Where such files go that a later entry replaces.
    replaced: PathBuf,
}

/// An entry of an archive.
pub(super) type Entry<'a, R> = tar::Entry<'a, R>;

impl Unpacking {
    pub(super) fn new(root: Root, recorder: Option<Recorder>, replaced: PathBuf) -> Self {
        let (times, recorded, buffer) = (BTreeMap::new(), HashMap::new(), vec![0; CHUNK]);
        Self { root, recorder, bytes: 0, entries: 0, times, buffer, recorded, replaced }
    }

    /// Makes everything that an archive holds.
    pub(super) fn entries(&mut self, archive: impl Read) -> Result<(), LayerError> {
        let fuse = Fuse::new();
        let mut tar = tar::Archive::new(fuse.reading(archive));
        let mut entries = tar.entries().map_err(LayerError::Read)?;
        while let Some(mut entry) = fuse.next(&mut entries).map_err(LayerError::Read)? {
            self.entry(&mut entry)?;
            // What nobody wanted of it, such as the content of a whiteout.
            std::io::copy(&mut entry, &mut std::io::sink()).map_err(LayerError::Read)?;
        }
        Ok(())
    }

    fn entry<R: Read>(&mut self, entry: &mut Entry<'_, R>) -> Result<(), LayerError> {
        self.entries += 1;
        fault::point("image.layer.entry");
        if self.entries > MAX_ENTRIES {
            return Err(LayerError::TooLarge("4 million entries"));
        }
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let raw = entry.path_bytes().into_owned();
        let path = clean(&raw).map_err(|why| LayerError::Entry { entry: name.clone(), why })?;
        let done = match path.file_name() {
            // The root itself: only what describes it.
            None => self.describe_root(entry),
            Some(file) if self.recorder.is_some() && file.as_bytes().starts_with(WHITEOUT) => self.whiteout(&path, file),
            Some(_) => self.make(entry, &path),
        };
        done.map_err(|failure| match failure {
            Failure::Refused(why) => LayerError::Entry { entry: name, why },
            Failure::System(source) => LayerError::Write { entry: name, source },
            Failure::Read(error) => LayerError::Read(error),
        })
    }

    /// A file that hides one of a lower layer becomes what overlayfs knows: a character device 0:0, or a marked directory.
    fn whiteout(&mut self, path: &Path, file: &OsStr) -> Result<(), Failure> {
        let parent = path.parent().unwrap_or(Path::new(""));
        if file.as_bytes() == OPAQUE {
            let directory = self.root.create_dir_all(parent, 0o755)?;
            rustix::fs::setxattr(proc_path(&directory), "trusted.overlay.opaque", b"y", XattrFlags::empty())
                .during("setxattr", || "trusted.overlay.opaque".to_owned())?;
            return Ok(());
        }
        let hidden = &file.as_bytes()[WHITEOUT.len()..];
        if hidden.starts_with(WHITEOUT) {
            return Ok(());
        }
        if matches!(hidden, b"" | b"." | b"..") {
            return Err(Failure::Refused("it hides nothing".to_owned()));
        }
        let directory = self.root.create_dir_all(parent, 0o755)?;
        // A whiteout hides what lies below, never what its own layer brings.
        match rustix::fs::mknodat(&directory, OsStr::from_bytes(hidden), FileType::CharacterDevice, Mode::empty(), 0) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(errno) => Err(rcompose_sys::Error::new("mknodat", format!("{hidden:?}, 0:0"), errno).into()),
        }
    }

    fn make<R: Read>(&mut self, entry: &mut Entry<'_, R>, path: &Path) -> Result<(), Failure> {
        let kind = entry.header().entry_type();
        let mode = entry.header().mode().map_err(Failure::Read)? & 0o7777;
        let parent = self.root.create_dir_all(path.parent().unwrap_or(Path::new("")), 0o755)?;
        let name = path.file_name().unwrap_or_default().to_owned();
        if kind.is_dir() {
            return self.directory(entry, &parent, &name, path, mode);
        }
        self.replace(&parent, &name)?;
        match kind {
            tar::EntryType::Regular | tar::EntryType::Continuous | tar::EntryType::GNUSparse => {
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let file = rustix::fs::openat(&parent, &name, flags, Mode::from_raw_mode(0o600))
                    .during("openat", || format!("{name:?}"))?;
                let mut file = std::fs::File::from(file);
                // A sparse file has other bytes in the archive than when it is read.
                let step = match (&self.recorder, kind) {
                    (None, _) | (_, tar::EntryType::GNUSparse) => None,
                    (Some(recorder), _) => recorder.file(path, entry.raw_file_position(), entry.size()).map_err(Failure::Read)?,
                };
                let inode = rustix::fs::fstat(&file).during("fstat", || format!("{name:?}"))?.st_ino;
                match step {
                    Some(step) => self.recorded.insert(inode, step),
                    // The number may have been that of a file that is gone.
                    None => self.recorded.remove(&inode),
                };
                self.content(entry, &mut file, &name)?;
                let owner = owner(entry)?;
                rustix::fs::fchown(&file, Some(owner.0), Some(owner.1)).during("fchown", || format!("{name:?}"))?;
                attributes(entry, &file)?;
                rustix::fs::fchmod(&file, Mode::from_raw_mode(mode)).during("fchmod", || format!("{name:?}"))?;
                let times = Timestamps { last_access: modified(entry), last_modification: modified(entry) };
                rustix::fs::futimens(&file, &times).during("futimens", || format!("{name:?}"))?;
                Ok(())
            }
            tar::EntryType::Symlink => {
                let link = entry.link_name_bytes().unwrap_or_default().into_owned();
                rustix::fs::symlinkat(OsStr::from_bytes(&link), &parent, &name).during("symlinkat", || format!("{name:?}"))?;
                describe(entry, &parent, &name, None)
            }
            tar::EntryType::Link => {
                let target = entry.link_name_bytes().unwrap_or_default().into_owned();
                let target = clean(&target).map_err(Failure::Refused)?;
                // The link itself is linked, not what it leads to.
                let target = self.root.open_path_nofollow(&target)?;
                rustix::fs::linkat(rustix::fs::CWD, proc_path(&target), &parent, &name, AtFlags::SYMLINK_FOLLOW)
                    .during("linkat", || format!("{name:?}"))?;
                Ok(())
            }
            tar::EntryType::Char | tar::EntryType::Block | tar::EntryType::Fifo => {
                let (kind, device) = device(entry, kind)?;
                rustix::fs::mknodat(&parent, &name, kind, Mode::from_raw_mode(0o600), device)
                    .during("mknodat", || format!("{name:?}"))?;
                describe(entry, &parent, &name, Some(mode))
            }
            other => Err(Failure::Refused(format!("entries of type {other:?} are not known"))),
        }
    }

    /// Makes way for an entry. A file that is part of the archive too is only put aside: the archive is to be put together again.
    fn replace(&self, parent: &OwnedFd, name: &OsString) -> Result<(), Failure> {
        let known = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).ok();
        let file = known.filter(|about| FileType::from_raw_mode(about.st_mode) == FileType::RegularFile);
        let Some(step) = file.and_then(|about| self.recorded.get(&about.st_ino)) else { return remove_existing(parent, name) };
        match rustix::fs::mkdir(&self.replaced, Mode::from_raw_mode(0o700)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(rcompose_sys::Error::new("mkdir", format!("{:?}", self.replaced), errno).into()),
        }
        let aside = self.replaced.join(step.to_string());
        Ok(rustix::fs::renameat(parent, name, rustix::fs::CWD, &aside).during("renameat", || format!("{name:?}, {aside:?}"))?)
    }

    fn content<R: Read>(&mut self, entry: &mut Entry<'_, R>, file: &mut std::fs::File, name: &OsString) -> Result<(), Failure> {
        loop {
            let count = match entry.read(&mut self.buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Failure::Read(error)),
            };
            self.bytes += count as u64;
            if self.bytes > MAX_BYTES {
                return Err(Failure::Refused("the layer is too large: more than 64 GiB".to_owned()));
            }
            std::io::Write::write_all(file, &self.buffer[..count]).map_err(|error| {
                let errno = Errno::from_io_error(&error).unwrap_or(Errno::IO);
                rcompose_sys::Error::new("write", format!("{name:?}"), errno)
            })?;
        }
    }

    fn directory<R: Read>(
        &mut self,
        entry: &mut Entry<'_, R>,
        parent: &OwnedFd,
        name: &OsString,
        path: &Path,
        mode: u32,
    ) -> Result<(), Failure> {
        let is_directory = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|about| FileType::from_raw_mode(about.st_mode) == FileType::Directory);
        if !is_directory {
            self.replace(parent, name)?;
            rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o700)).during("mkdirat", || format!("{name:?}"))?;
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = rustix::fs::openat(parent, name, flags, Mode::empty()).during("openat", || format!("{name:?}"))?;
        let owner = owner(entry)?;
        rustix::fs::fchown(&directory, Some(owner.0), Some(owner.1)).during("fchown", || format!("{name:?}"))?;
        attributes(entry, &directory)?;
        rustix::fs::fchmod(&directory, Mode::from_raw_mode(mode)).during("fchmod", || format!("{name:?}"))?;
        self.times.insert(path.to_owned(), modified(entry));
        Ok(())
    }

    fn describe_root<R: Read>(&self, entry: &Entry<'_, R>) -> Result<(), Failure> {
        let owner = owner(entry)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let directory = self.root.open_file(".", flags, Mode::empty())?;
        rustix::fs::fchown(&directory, Some(owner.0), Some(owner.1)).during("fchown", || "\"/\"".to_owned())?;
        let mode = entry.header().mode().map_err(Failure::Read)? & 0o7777;
        rustix::fs::fchmod(&directory, Mode::from_raw_mode(mode)).during("fchmod", || "\"/\"".to_owned())?;
        Ok(())
    }

    pub(super) fn finish(&mut self) -> Result<(), LayerError> {
        // The deepest first: setting the times of what is in a directory does not change it, but order costs nothing.
        for (path, time) in std::mem::take(&mut self.times).into_iter().rev() {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
            // One that a later entry replaced has no times to set.
            if let Ok(directory) = self.root.open_file(&path, flags, Mode::empty()) {
                let times = Timestamps { last_access: time, last_modification: time };
                let set = rustix::fs::futimens(&directory, &times).during("futimens", || format!("{path:?}"));
                set.map_err(|source| LayerError::Write { entry: path.display().to_string(), source })?;
            }
        }
        Ok(())
    }
}
