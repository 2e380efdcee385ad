//! One entry of an archive: its path, and what it says of itself, set through descriptors.

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rcompose_sys::beneath::proc_path;
use rcompose_sys::error::Context;
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags, makedev};
use rustix::io::Errno;

use super::unpacking::Entry;

/// Why an entry is not made.
pub(super) enum Failure {
    Refused(String),
    System(rcompose_sys::Error),
    Read(std::io::Error),
}

impl From<rcompose_sys::Error> for Failure {
    fn from(error: rcompose_sys::Error) -> Self {
        Self::System(error)
    }
}

/// A path of the archive as a path below the root: no way up, nothing but names.
pub(super) fn clean(raw: &[u8]) -> Result<PathBuf, String> {
    if raw.contains(&0) {
        return Err("its path holds a zero byte".to_owned());
    }
    if raw.len() > 4096 {
        return Err("its path is longer than 4096 bytes".to_owned());
    }
    let mut path = PathBuf::new();
    for component in Path::new(OsStr::from_bytes(raw)).components() {
        match component {
            Component::Normal(name) => path.push(name),
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => return Err("its path leads out of the layer".to_owned()),
        }
    }
    Ok(path)
}

pub(super) fn remove_existing(parent: &OwnedFd, name: &OsString) -> Result<(), Failure> {
    match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => {
            let path = PathBuf::from(proc_path(parent)).join(name);
            Ok(rcompose_sys::atomic::remove_tree(&path)?)
        }
        Err(errno) => Err(rcompose_sys::Error::new("unlinkat", format!("{name:?}"), errno).into()),
    }
}

pub(super) fn owner<R: Read>(entry: &Entry<'_, R>) -> Result<(Uid, Gid), Failure> {
    let number = |id: std::io::Result<u64>, what: &str| {
        let id = id.map_err(Failure::Read)?;
        let in_range = u32::try_from(id).ok().filter(|id| *id <= i32::MAX.unsigned_abs());
        in_range.ok_or_else(|| Failure::Refused(format!("{what} {id} is out of range")))
    };
    let header = entry.header();
    Ok((Uid::from_raw(number(header.uid(), "owner")?), Gid::from_raw(number(header.gid(), "group")?)))
}

pub(super) fn modified<R: Read>(entry: &Entry<'_, R>) -> Timespec {
    let seconds = entry.header().mtime().unwrap_or(0).min(i64::MAX.unsigned_abs() / 4);
    Timespec { tv_sec: seconds.cast_signed(), tv_nsec: 0 }
}

/// Owner, mode and times of what is not opened; a link is described itself.
pub(super) fn describe<R: Read>(
    entry: &Entry<'_, R>,
    parent: &OwnedFd,
    name: &OsString,
    mode: Option<u32>,
) -> Result<(), Failure> {
    let owner = owner(entry)?;
    rustix::fs::chownat(parent, name, Some(owner.0), Some(owner.1), AtFlags::SYMLINK_NOFOLLOW)
        .during("fchownat", || format!("{name:?}"))?;
    if let Some(mode) = mode {
        let handle = rustix::fs::openat(parent, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
            .during("openat", || format!("{name:?}"))?;
        rustix::fs::chmod(proc_path(&handle), Mode::from_raw_mode(mode)).during("chmod", || format!("{name:?}"))?;
    }
    let times = Timestamps { last_access: modified(entry), last_modification: modified(entry) };
    rustix::fs::utimensat(parent, name, &times, AtFlags::SYMLINK_NOFOLLOW).during("utimensat", || format!("{name:?}"))?;
    Ok(())
}

pub(super) fn device<R: Read>(entry: &Entry<'_, R>, kind: tar::EntryType) -> Result<(FileType, u64), Failure> {
    if kind == tar::EntryType::Fifo {
        return Ok((FileType::Fifo, 0));
    }
    let header = entry.header();
    let number = |number: std::io::Result<Option<u32>>| Ok::<_, Failure>(number.map_err(Failure::Read)?.unwrap_or(0));
    let (major, minor) = (number(header.device_major())?, number(header.device_minor())?);
    if kind == tar::EntryType::Block {
        return Ok((FileType::BlockDevice, makedev(major, minor)));
    }
    if (major, minor) == (0, 0) {
        // This is how overlayfs marks what is hidden; only we write it.
        return Err(Failure::Refused("a character device 0:0 would hide a file of a lower layer".to_owned()));
    }
    Ok((FileType::CharacterDevice, makedev(major, minor)))
}

/// Attributes of users and file capabilities. What speaks to overlayfs or to security modules is the host's to say.
pub(super) fn attributes<R: Read>(entry: &mut Entry<'_, R>, file: impl AsFd) -> Result<(), Failure> {
    const PREFIX: &str = "SCHILY.xattr.";
    let Some(extensions) = entry.pax_extensions().map_err(Failure::Read)? else { return Ok(()) };
    for extension in extensions {
        let extension = extension.map_err(Failure::Read)?;
        let Some(name) = extension.key().ok().and_then(|key| key.strip_prefix(PREFIX)) else { continue };
        let wanted = name == "security.capability" || (name.starts_with("user.") && !name.starts_with("user.overlay."));
        if wanted {
            // What the file system cannot hold is left out, as an unpacking tar does.
            let _ = rustix::fs::fsetxattr(&file, name, extension.value_bytes(), XattrFlags::empty());
        }
    }
    Ok(())
}
