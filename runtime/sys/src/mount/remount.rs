//! Changes of mounts before Linux 5.12: by mount(2), one mount after another, in this process's mount namespace.
//!
//! Which mounts are below another, only `/proc/thread-self/mountinfo` tells. Its paths are not trusted: each is opened without following
//! links, and has to be the mount that was listed.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags, StatVfsMountFlags, StatxFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, MountPropagationFlags};

use super::{Change, MountAttributes};
use crate::beneath::proc_path;
use crate::error::Context;
use crate::{Error, Result};

pub(super) fn change(mount: BorrowedFd<'_>, change: Change) -> Result<()> {
    let attributes = change.attributes;
    if attributes.propagation != 0 {
        let mut flags = MountPropagationFlags::from_bits_retain(u32::try_from(attributes.propagation).unwrap_or(0));
        flags.set(MountPropagationFlags::REC, change.recursive);
        rustix::mount::mount_change(proc_path(mount), flags).during("mount", || format!("{flags:?}"))?;
    }
    if attributes.set == 0 && attributes.clear == 0 {
        return Ok(());
    }
    let below = if change.recursive { below(mount)? } else { Vec::new() };
    remount(mount, attributes)?;
    below.iter().try_for_each(|mount| remount(mount, attributes))
}

/// What is not to be changed has to be said again, or it is lost.
fn remount(mount: impl AsFd, attributes: MountAttributes) -> Result<()> {
    let about = rustix::fs::fstatvfs(&mount).during("fstatvfs", String::new)?;
    let flags = flags(held(about.f_flag), attributes) | MountFlags::BIND;
    rustix::mount::mount_remount(proc_path(&mount), flags, c"").during("mount", || format!("MS_REMOUNT, {flags:?}"))
}

/// Attributes of a mount as statvfs(3) tells them.
fn held(flags: StatVfsMountFlags) -> u64 {
    /// Not in rustix.
    const NODIRATIME: u64 = 1 << 11;
    [
        (StatVfsMountFlags::RDONLY, libc::MOUNT_ATTR_RDONLY),
        (StatVfsMountFlags::NOSUID, libc::MOUNT_ATTR_NOSUID),
        (StatVfsMountFlags::NODEV, libc::MOUNT_ATTR_NODEV),
        (StatVfsMountFlags::NOEXEC, libc::MOUNT_ATTR_NOEXEC),
        (StatVfsMountFlags::from_bits_retain(NODIRATIME), libc::MOUNT_ATTR_NODIRATIME),
        (StatVfsMountFlags::NOATIME, libc::MOUNT_ATTR_NOATIME),
    ]
    .into_iter()
    .filter_map(|(flag, attribute)| flags.contains(flag).then_some(attribute))
    .fold(0, |attributes, attribute| attributes | attribute)
}

fn flags(held: u64, attributes: MountAttributes) -> MountFlags {
    let wanted = (held & !attributes.clear) | attributes.set;
    let access_times = match wanted & libc::MOUNT_ATTR__ATIME {
        libc::MOUNT_ATTR_NOATIME => MountFlags::NOATIME,
        libc::MOUNT_ATTR_STRICTATIME => MountFlags::STRICTATIME,
        _ => MountFlags::RELATIME,
    };
    [
        (libc::MOUNT_ATTR_RDONLY, MountFlags::RDONLY),
        (libc::MOUNT_ATTR_NOSUID, MountFlags::NOSUID),
        (libc::MOUNT_ATTR_NODEV, MountFlags::NODEV),
        (libc::MOUNT_ATTR_NOEXEC, MountFlags::NOEXEC),
        (libc::MOUNT_ATTR_NODIRATIME, MountFlags::NODIRATIME),
    ]
    .into_iter()
    .filter_map(|(attribute, flag)| (wanted & attribute != 0).then_some(flag))
    .fold(access_times, |flags, flag| flags | flag)
}

/// Opens every mount below another one that a path leads to.
fn below(mount: BorrowedFd<'_>) -> Result<Vec<OwnedFd>> {
    const TABLE: &str = "/proc/thread-self/mountinfo";
    let table = std::fs::read(TABLE).during("read", || TABLE.to_owned())?;
    let entries: Vec<Entry> = table.split(|byte| *byte == b'\n').filter_map(Entry::parse).collect();
    let mut inside = BTreeSet::from([id(mount)?]);
    // A mount may be listed before the one that it is on, when it was moved.
    while entries.iter().any(|entry| inside.contains(&entry.parent) && inside.insert(entry.id)) {}
    inside.remove(&id(mount)?);
    let covered = |entry: &Entry| entries.iter().any(|other| other.parent == entry.id && other.place == entry.place);
    let reachable = entries.iter().filter(|entry| inside.contains(&entry.id) && !covered(entry));
    reachable.map(Entry::open).collect()
}

fn id(mount: impl AsFd) -> Result<u64> {
    let about = rustix::fs::statx(mount, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID).during("statx", String::new)?;
    Ok(about.stx_mnt_id)
}

/// A line of the mount table.
#[derive(Debug, PartialEq)]
struct Entry {
    id: u64,
    parent: u64,
    place: OsString,
}

impl Entry {
    fn parse(line: &[u8]) -> Option<Self> {
        let mut fields = line.split(|byte| *byte == b' ');
        let mut number = || std::str::from_utf8(fields.next()?).ok()?.parse().ok();
        let (id, parent) = (number()?, number()?);
        Some(Self { id, parent, place: OsString::from_vec(unescape(fields.nth(2)?)) })
    }

    fn open(&self) -> Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let what = || format!("{:?}, RESOLVE_NO_SYMLINKS", self.place);
        let found = rustix::fs::openat2(CWD, &self.place, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS);
        let found = found.during("openat2", what)?;
        if id(&found)? == self.id { Ok(found) } else { Err(Error::new("openat2", what(), Errno::STALE)) }
    }
}

/// The kernel writes blanks and the like as three octal digits.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    let mut rest = field;
    while let Some((first, tail)) = rest.split_first() {
        let digits = tail.get(..3).filter(|_| *first == b'\\').and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => (text.push(byte), rest = &tail[3..]),
            None => (text.push(*first), rest = tail),
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::atomic::TempDir;
    use crate::mount::{NO_EXEC, READ_ONLY};
    use crate::namespace::{Kinds, unshare};

    #[test]
    fn reads_a_line_of_the_mount_table() {
        let line = br"36 35 98:0 /mnt1 /mnt\040two\134 rw,noatime master:1 - ext3 /dev/root rw";
        let entry = Entry { id: 36, parent: 35, place: OsString::from("/mnt two\\") };
        assert_eq!(Entry::parse(line), Some(entry));
        assert_eq!(Entry::parse(b""), None);
    }

    #[test]
    fn keeps_what_is_not_to_be_changed() {
        let set = MountAttributes { set: READ_ONLY, ..MountAttributes::default() };
        let held = held(StatVfsMountFlags::NODEV | StatVfsMountFlags::NOATIME);
        assert_eq!(flags(held, set), MountFlags::RDONLY | MountFlags::NODEV | MountFlags::NOATIME);
        let relative = MountAttributes { clear: libc::MOUNT_ATTR__ATIME, ..MountAttributes::default() };
        assert_eq!(flags(held, relative), MountFlags::NODEV | MountFlags::RELATIME);
    }

    #[test]
    fn changes_a_mount_with_those_below_it_and_no_other() {
        unshare(Kinds::MOUNT).unwrap();
        let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
        rustix::mount::mount_change("/", private).unwrap();
        let folder = TempDir::new().unwrap();
        let place = |name: &str| folder.path().join(name);
        for name in ["outer", "outer/in ner", "outer/in ner/deep", "beside"] {
            std::fs::create_dir(place(name)).unwrap();
            rustix::mount::mount("tmpfs", place(name), "tmpfs", MountFlags::NODEV, None::<&std::ffi::CStr>).unwrap();
        }
        let outer = rustix::fs::open(place("outer"), OFlags::PATH, Mode::empty()).unwrap();
        let attributes = MountAttributes { set: READ_ONLY | NO_EXEC, ..MountAttributes::default() };
        change(outer.as_fd(), Change { attributes, recursive: true }).unwrap();
        let written = |name: &str| std::fs::write(place(name).join("file"), "").is_ok();
        assert_eq!(["outer", "outer/in ner", "outer/in ner/deep", "beside"].map(written), [false, false, false, true]);
        let flags = rustix::fs::statvfs(place("outer/in ner/deep")).unwrap().f_flag;
        assert!(flags.contains(StatVfsMountFlags::RDONLY | StatVfsMountFlags::NOEXEC | StatVfsMountFlags::NODEV));
        drop(outer);
        for name in ["outer/in ner/deep", "outer/in ner", "outer", "beside"] {
            rustix::mount::unmount(place(name), rustix::mount::UnmountFlags::empty()).unwrap();
        }
    }
}
