//! Copying entries of one tree into another: by descriptor, following nothing that lies in either.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rcompose_sys::beneath::{Root, file_type, proc_path};
use rcompose_sys::error::Context;
use rcompose_sys::{Error, Result};
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

use crate::index::Stamp;
use crate::owner::Chmod;
use crate::tree::{Entry, Tree, dot};

/// How entries arrive.
#[derive(Debug, Clone, Default)]
pub(crate) struct Arrival {
    /// Whose they are; their own if not given.
    pub(crate) owner: Option<(u32, u32)>,
    pub(crate) chmod: Option<Chmod>,
    /// The time of directories that are made on the way, seconds since 1970: not the clock's, so that the same files make the
    /// same layer.
    pub(crate) stamp: i64,
}

/// Copies into one tree.
pub(crate) struct Copier<'a> {
    target: &'a Root,
    arrival: Arrival,
    /// Times that directories get when everything is there.
    times: BTreeMap<PathBuf, Timespec>,
}

impl<'a> Copier<'a> {
    pub(crate) fn new(target: &'a Root, arrival: Arrival) -> Self {
        Self { target, arrival, times: BTreeMap::new() }
    }

    /// Tells whether there is a directory.
    pub(crate) fn is_dir(&self, path: &Path) -> bool {
        self.target.open_path(dot(path)).and_then(file_type).is_ok_and(|kind| kind == FileType::Directory)
    }

    /// Copies an entry to a path of the target.
    pub(crate) fn entry(&mut self, tree: &Tree, entry: &Entry, to: &Path) -> Result<()> {
        if entry.is_dir() {
            return self.directory(entry, to);
        }
        let (parent, name) = self.place(to)?;
        self.clear(&parent, &name, to)?;
        let name = name.as_os_str();
        match entry.kind {
            FileType::RegularFile => {
                let flags = OFlags::RDONLY | OFlags::NONBLOCK;
                let from = tree.root.open_file(dot(&entry.path), flags, Mode::empty())?;
                let about = rustix::fs::fstat(&from).during("fstat", || format!("{:?}", entry.path))?;
                // Its digest stands for what is copied: it has to be the same file still.
                if Stamp::of(&about) != Stamp::of(&entry.about) {
                    return Err(Error::new("read", format!("{:?} changed while it was copied", entry.path), Errno::BUSY));
                }
                let file = create(&parent, name)?;
                content(&from, &file, to)?;
                self.describe_file(&file, &entry.about, &attributes(&from))
            }
            FileType::Symlink => {
                let link = OsStr::from_bytes(entry.link.as_deref().unwrap_or_default());
                rustix::fs::symlinkat(link, &parent, name).during("symlinkat", || format!("{to:?}"))?;
                self.own(&parent, name, &entry.about)
            }
            kind => {
                rustix::fs::mknodat(&parent, name, kind, Mode::from_raw_mode(0o600), entry.about.st_rdev)
                    .during("mknodat", || format!("{to:?}"))?;
                self.own(&parent, name, &entry.about)?;
                let handle = rustix::fs::openat(&parent, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty());
                let handle = handle.during("openat", || format!("{to:?}"))?;
                let mode = Mode::from_raw_mode(self.mode(&entry.about));
                rustix::fs::chmod(proc_path(&handle), mode).during("chmod", || format!("{to:?}"))
            }
        }
    }

    /// Writes a file.
    pub(crate) fn file(&mut self, bytes: &[u8], mode: u32, to: &Path) -> Result<()> {
        let (parent, name) = self.place(to)?;
        self.clear(&parent, &name, to)?;
        let file = create(&parent, name.as_os_str())?;
        let duplicate = rustix::io::fcntl_dupfd_cloexec(&file, 3).during("fcntl", || format!("{to:?}"))?;
        std::io::Write::write_all(&mut std::fs::File::from(duplicate), bytes).during("write", || format!("{to:?}"))?;
        let mut about = rustix::fs::fstat(&file).during("fstat", || format!("{to:?}"))?;
        about.st_mode = mode;
        (about.st_uid, about.st_gid) = (0, 0);
        (about.st_mtime, about.st_mtime_nsec) = (self.arrival.stamp, 0);
        self.describe_file(&file, &about, &[])
    }

    /// Makes a directory and those above it, as far as they are missing.
    pub(crate) fn ensure_dir(&mut self, path: &Path, owned: bool) -> Result<OwnedFd> {
        let mut so_far = PathBuf::new();
        for part in path.iter() {
            let parent = so_far.clone();
            so_far.push(part);
            match self.target.open_path(&so_far) {
                Ok(found) if file_type(&found)? == FileType::Directory => {}
                Ok(_) => return Err(Error::new("mkdirat", format!("{so_far:?}"), Errno::NOTDIR)),
                Err(error) if error.errno() == Errno::NOENT => {
                    self.remember(&parent)?;
                    let made = self.target.create_dir_all(&so_far, 0o755)?;
                    let stamp = Timespec { tv_sec: self.arrival.stamp, tv_nsec: 0 };
                    self.times.insert(so_far.clone(), stamp);
                    if let Some((uid, gid)) = self.arrival.owner.filter(|_| owned) {
                        let owner = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
                        rustix::fs::chownat(&made, "", owner.0, owner.1, AtFlags::EMPTY_PATH)
                            .during("fchownat", || format!("{so_far:?}"))?;
                    }
                }
                Err(error) => return Err(error),
            }
        }
        self.target.open_path(dot(path))
    }

    /// Gives directories their times, when nothing changes in them any more.
    pub(crate) fn finish(self) -> Result<()> {
        for (path, time) in self.times.iter().rev() {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY;
            // One that something else replaced has no times to set.
            if let Ok(directory) = self.target.open_file(dot(path), flags, Mode::empty()) {
                let times = Timestamps { last_access: *time, last_modification: *time };
                rustix::fs::futimens(&directory, &times).during("futimens", || format!("{path:?}"))?;
            }
        }
        Ok(())
    }

    fn directory(&mut self, entry: &Entry, to: &Path) -> Result<()> {
        if to.as_os_str().is_empty() || self.is_dir(to) {
            return Ok(());
        }
        let (parent, name) = self.place(to)?;
        if let Ok(about) = rustix::fs::statat(&parent, &name, AtFlags::SYMLINK_NOFOLLOW) {
            let kind = FileType::from_raw_mode(about.st_mode);
            return Err(Error::new("mkdirat", format!("{to:?} is there, a {kind:?}"), Errno::NOTDIR));
        }
        rustix::fs::mkdirat(&parent, &name, Mode::from_raw_mode(0o700)).during("mkdirat", || format!("{to:?}"))?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = rustix::fs::openat(&parent, &name, flags, Mode::empty()).during("openat", || format!("{to:?}"))?;
        let (uid, gid) = self.owner(&entry.about);
        rustix::fs::fchown(&made, Some(uid), Some(gid)).during("fchown", || format!("{to:?}"))?;
        let mode = Mode::from_raw_mode(self.mode(&entry.about));
        rustix::fs::fchmod(&made, mode).during("fchmod", || format!("{to:?}"))?;
        self.times.insert(to.to_owned(), modified(&entry.about));
        Ok(())
    }

    /// The directory that something arrives in, and its name there.
    fn place(&mut self, to: &Path) -> Result<(OwnedFd, std::ffi::OsString)> {
        let name = to.file_name().ok_or_else(|| Error::new("open", format!("{to:?} is a directory"), Errno::ISDIR))?;
        let parent = to.parent().unwrap_or(Path::new(""));
        let directory = self.ensure_dir(parent, false)?;
        self.remember(parent)?;
        Ok((directory, name.to_owned()))
    }

    /// Notes the time of a directory before something changes in it.
    fn remember(&mut self, path: &Path) -> Result<()> {
        if !self.times.contains_key(path) {
            let handle = self.target.open_path(dot(path))?;
            let about = rustix::fs::fstat(&handle).during("fstat", || format!("{path:?}"))?;
            self.times.insert(path.to_owned(), modified(&about));
        }
        Ok(())
    }

    fn clear(&self, parent: &OwnedFd, name: &OsStr, to: &Path) -> Result<()> {
        match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno @ (Errno::ISDIR | Errno::PERM)) => {
                let _ = errno;
                Err(Error::new("open", format!("{to:?} is a directory, and what is copied there is none"), Errno::ISDIR))
            }
            Err(errno) => Err(Error::new("unlinkat", format!("{to:?}"), errno)),
        }
    }

    fn owner(&self, about: &Stat) -> (Uid, Gid) {
        let (uid, gid) = self.arrival.owner.unwrap_or((about.st_uid, about.st_gid));
        (Uid::from_raw(uid), Gid::from_raw(gid))
    }

    fn mode(&self, about: &Stat) -> u32 {
        let is_dir = FileType::from_raw_mode(about.st_mode) == FileType::Directory;
        self.arrival.chmod.as_ref().map_or(about.st_mode & 0o7777, |chmod| chmod.apply(about.st_mode, is_dir))
    }

    /// Owner, attributes, mode and times, in this order: each would undo the ones after it.
    fn describe_file(&self, file: &OwnedFd, about: &Stat, attributes: &[(String, Vec<u8>)]) -> Result<()> {
        let (uid, gid) = self.owner(about);
        rustix::fs::fchown(file, Some(uid), Some(gid)).during("fchown", String::new)?;
        for (name, value) in attributes {
            // What the file system cannot hold is left out.
            let _ = rustix::fs::fsetxattr(file, name, value, XattrFlags::empty());
        }
        rustix::fs::fchmod(file, Mode::from_raw_mode(self.mode(about))).during("fchmod", String::new)?;
        let times = Timestamps { last_access: modified(about), last_modification: modified(about) };
        rustix::fs::futimens(file, &times).during("futimens", String::new)
    }

    fn own(&self, directory: &OwnedFd, name: &OsStr, about: &Stat) -> Result<()> {
        let (uid, gid) = self.owner(about);
        rustix::fs::chownat(directory, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
            .during("fchownat", || format!("{name:?}"))?;
        let times = Timestamps { last_access: modified(about), last_modification: modified(about) };
        rustix::fs::utimensat(directory, name, &times, AtFlags::SYMLINK_NOFOLLOW).during("utimensat", || format!("{name:?}"))
    }
}

fn create(parent: &OwnedFd, name: &OsStr) -> Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::from_raw_mode(0o600)).during("openat", || format!("{name:?}, O_CREAT|O_EXCL"))
}

/// Whole seconds, as an archive has them.
fn modified(about: &Stat) -> Timespec {
    Timespec { tv_sec: about.st_mtime, tv_nsec: 0 }
}

fn content(from: &OwnedFd, to: &OwnedFd, path: &Path) -> Result<()> {
    // On file systems that can share blocks there is nothing to copy.
    if rustix::fs::ioctl_ficlone(to, from).is_ok() {
        return Ok(());
    }
    let duplicate = |fd: &OwnedFd| rustix::io::fcntl_dupfd_cloexec(fd, 3).during("fcntl", || format!("{path:?}"));
    let (mut from, mut to) = (std::fs::File::from(duplicate(from)?), std::fs::File::from(duplicate(to)?));
    std::io::copy(&mut from, &mut to).during("copy_file_range", || format!("{path:?}")).map(drop)
}

/// File capabilities and attributes of users.
fn attributes(file: impl AsFd) -> Vec<(String, Vec<u8>)> {
    let mut names = vec![0_u8; 64 * 1024];
    let Ok(length) = rustix::fs::flistxattr(&file, &mut names[..]) else { return Vec::new() };
    let mut found = Vec::new();
    for name in names[..length].split(|byte| *byte == 0).filter_map(|name| std::str::from_utf8(name).ok()) {
        if name == "security.capability" || (name.starts_with("user.") && !name.starts_with("user.overlay.")) {
            let mut value = vec![0_u8; 64 * 1024];
            if let Ok(length) = rustix::fs::fgetxattr(&file, name, &mut value[..]) {
                value.truncate(length);
                found.push((name.to_owned(), value));
            }
        }
    }
    found
}
