//! The first content of a volume: copied beside it, then moved in when all of it is there.

use std::os::fd::OwnedFd;
use std::path::Path;

use rcompose_sys::beneath::Root;
use rcompose_sys::error::Context;
use rcompose_sys::{Result, atomic};
use rustix::fs::{CWD, Dir, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use crate::copy;
use crate::store::io;

/// Copies a directory of an image into the volume in `folder`.
pub(crate) fn copy_in(folder: &Path, source: &OwnedFd) -> Result<()> {
    let fill = folder.join(format!("fill-{}", atomic::random_hex(8)?));
    std::fs::create_dir(&fill).map_err(|error| io("mkdir", &fill, &error))?;
    if let Err(error) = Root::open(&fill).and_then(|target| copy::copy_tree(source, &target, copy::belongs_to_file)) {
        // The sweep at the next start takes what is left.
        let _ = atomic::remove_tree(&fill);
        return Err(error);
    }
    let full = folder.join("full");
    rustix::fs::rename(&fill, &full).during("rename", || format!("{fill:?}, {full:?}"))?;
    atomic::sync_directory(folder)?;
    move_in(folder)
}

/// Goes on with a copy that is complete, and clears away those that are not.
pub(crate) fn resume(folder: &Path) -> Result<()> {
    if folder.join("full").is_dir() {
        move_in(folder)?;
    }
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let fills = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("fill-"));
    fills.map(|entry| entry.path()).try_for_each(|path| atomic::remove_tree(&path))
}

/// Moves what is in `full` to `_data`, entry by entry; one that is there already stays.
fn move_in(folder: &Path) -> Result<()> {
    let (from, to) = (open(&folder.join("full"))?, open(&folder.join("_data"))?);
    for entry in Dir::read_from(&from).during("opendir", || format!("{folder:?}"))? {
        let entry = entry.during("getdents64", || format!("{folder:?}"))?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        match rustix::fs::renameat_with(&from, name, &to, name, RenameFlags::NOREPLACE) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(rcompose_sys::Error::new("renameat2", format!("{name:?}"), errno)),
        }
    }
    copy::describe(&from, &to, copy::belongs_to_file)?;
    atomic::remove_tree(&folder.join("full"))?;
    atomic::sync_directory(folder)
}

fn open(path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, path, flags, Mode::empty()).during("open", || format!("{path:?}"))
}
