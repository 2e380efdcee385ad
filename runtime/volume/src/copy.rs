//! Copying a tree of an image: by descriptor, following nothing.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};

use rcompose_sys::beneath::{Root, proc_path};
use rcompose_sys::error::Context;
use rcompose_sys::{Error, Result};
use rustix::fs::{AtFlags, Dir, FileType, Gid, Mode, OFlags, Stat, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

/// Copies what is in `source`, and its own owner, mode and attributes, to `target`, an empty directory.
///
/// `has` says which extended attributes are copied.
pub fn copy_tree(source: &OwnedFd, target: &Root, has: fn(&[u8]) -> bool) -> Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let open = |of: &dyn Fn() -> rustix::io::Result<OwnedFd>| of().during("openat", || "\".\"".to_owned());
    let from = open(&|| rustix::fs::openat(source, ".", flags, Mode::empty()))?;
    let to = open(&|| rustix::fs::openat(target, ".", flags, Mode::empty()))?;
    let mut links = BTreeMap::new();
    let mut levels = vec![Level::new(from, to)?];
    while let Some(level) = levels.last_mut() {
        match level.next()? {
            Some(name) => {
                let below = entry(level, &name, target, &mut links, has)?;
                levels.extend(below);
            }
            None => {
                // After everything in it, so that its times and a mode without write permission stay.
                let done = levels.pop().expect("the level that has just been looked at");
                describe(&done.from, &done.to, has)?;
            }
        }
    }
    Ok(())
}

struct Level {
    from: OwnedFd,
    entries: Dir,
    to: OwnedFd,
    /// Path below the target, for hard links.
    path: String,
}

impl Level {
    fn new(from: OwnedFd, to: OwnedFd) -> Result<Self> {
        let entries = Dir::read_from(&from).during("opendir", String::new)?;
        Ok(Self { from, entries, to, path: String::new() })
    }

    fn next(&mut self) -> Result<Option<CString>> {
        for entry in self.entries.by_ref() {
            let name = entry.during("getdents64", String::new)?.file_name().to_owned();
            if name.as_c_str() != c"." && name.as_c_str() != c".." {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }
}

/// Copies one entry; a directory comes back to be gone into.
fn entry(
    level: &Level,
    name: &CString,
    root: &Root,
    links: &mut BTreeMap<(u64, u64), String>,
    has: fn(&[u8]) -> bool,
) -> Result<Option<Level>> {
    let about = rustix::fs::statat(&level.from, name, AtFlags::SYMLINK_NOFOLLOW).during("fstatat", || format!("{name:?}"))?;
    let path = format!("{}/{}", level.path, name.to_string_lossy());
    let read = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    match FileType::from_raw_mode(about.st_mode) {
        FileType::Directory => {
            rustix::fs::mkdirat(&level.to, name, Mode::from_raw_mode(0o700)).during("mkdirat", || path.clone())?;
            let flags = read | OFlags::DIRECTORY;
            let from = rustix::fs::openat(&level.from, name, flags, Mode::empty()).during("openat", || path.clone())?;
            let to = rustix::fs::openat(&level.to, name, flags, Mode::empty()).during("openat", || path.clone())?;
            return Ok(Some(Level { path, ..Level::new(from, to)? }));
        }
        FileType::RegularFile => {
            if about.st_nlink > 1
                && let Some(first) = links.get(&(about.st_dev, about.st_ino))
            {
                let first = root.open_path_nofollow(first)?;
                let linked = rustix::fs::linkat(rustix::fs::CWD, proc_path(&first), &level.to, name, AtFlags::SYMLINK_FOLLOW);
                linked.during("linkat", || path.clone())?;
                return Ok(None);
            }
            let from = rustix::fs::openat(&level.from, name, read, Mode::empty()).during("openat", || path.clone())?;
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let to = rustix::fs::openat(&level.to, name, flags, Mode::from_raw_mode(0o600)).during("openat", || path.clone())?;
            content(&from, &to, &path)?;
            describe(&from, &to, has)?;
            links.insert((about.st_dev, about.st_ino), path);
        }
        FileType::Symlink => {
            let link = rustix::fs::readlinkat(&level.from, name, Vec::new()).during("readlinkat", || path.clone())?;
            rustix::fs::symlinkat(&link, &level.to, name).during("symlinkat", || path.clone())?;
            own(&level.to, name, &about)?;
        }
        kind @ (FileType::Fifo | FileType::CharacterDevice | FileType::BlockDevice | FileType::Socket) => {
            let mode = Mode::from_raw_mode(about.st_mode & 0o7777);
            rustix::fs::mknodat(&level.to, name, kind, mode, about.st_rdev).during("mknodat", || path.clone())?;
            own(&level.to, name, &about)?;
        }
        FileType::Unknown => return Err(Error::new("fstatat", path, Errno::INVAL)),
    }
    Ok(None)
}

fn content(from: &OwnedFd, to: &OwnedFd, path: &str) -> Result<()> {
    // On file systems that can share blocks there is nothing to copy.
    if rustix::fs::ioctl_ficlone(to, from).is_ok() {
        return Ok(());
    }
    let duplicate = |fd: &OwnedFd| rustix::io::fcntl_dupfd_cloexec(fd, 3).during("fcntl", || path.to_owned());
    let (mut from, mut to) = (std::fs::File::from(duplicate(from)?), std::fs::File::from(duplicate(to)?));
    std::io::copy(&mut from, &mut to).during("copy_file_range", || path.to_owned()).map(drop)
}

fn own(directory: &OwnedFd, name: &CString, about: &Stat) -> Result<()> {
    let (uid, gid) = (Uid::from_raw(about.st_uid), Gid::from_raw(about.st_gid));
    rustix::fs::chownat(directory, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
        .during("fchownat", || format!("{name:?}"))
}

/// Owner, attributes, mode and times, in this order: each would undo the ones after it.
pub(crate) fn describe(from: &OwnedFd, to: &OwnedFd, has: fn(&[u8]) -> bool) -> Result<()> {
    let about = rustix::fs::fstat(from).during("fstat", String::new)?;
    rustix::fs::fchown(to, Some(Uid::from_raw(about.st_uid)), Some(Gid::from_raw(about.st_gid))).during("fchown", String::new)?;
    attributes(from, to, has);
    rustix::fs::fchmod(to, Mode::from_raw_mode(about.st_mode & 0o7777)).during("fchmod", String::new)?;
    let time = |seconds, nanoseconds: u64| rustix::fs::Timespec { tv_sec: seconds, tv_nsec: nanoseconds.cast_signed() };
    let times = Timestamps {
        last_access: time(about.st_atime, about.st_atime_nsec),
        last_modification: time(about.st_mtime, about.st_mtime_nsec),
    };
    rustix::fs::futimens(to, &times).during("futimens", String::new)
}

/// Attributes of users and file capabilities.
pub(crate) fn belongs_to_file(name: &[u8]) -> bool {
    name.starts_with(b"user.") || name == b"security.capability"
}

/// What the file system cannot hold is left out.
fn attributes(from: impl AsFd, to: impl AsFd, has: fn(&[u8]) -> bool) {
    let mut names = vec![0_u8; 64 * 1024];
    let Ok(length) = rustix::fs::flistxattr(&from, &mut names[..]) else { return };
    for name in names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        if !has(name) {
            continue;
        }
        let mut value = vec![0_u8; 64 * 1024];
        if let Ok(length) = rustix::fs::fgetxattr(&from, name, &mut value[..]) {
            // As above.
            let _ = rustix::fs::fsetxattr(&to, name, &value[..length], XattrFlags::empty());
        }
    }
}
