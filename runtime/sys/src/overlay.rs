//! Overlays that are mounted nowhere: a tree of layers behind a descriptor, which the host's mount table never shows.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen,
};

use crate::Result;
use crate::beneath::Root;
use crate::error::Context;
use crate::mount::{Writable, detached_overlay};

/// Opens the merged layers, topmost first, read-only. An overlay wants at least two.
pub fn read_only(layers: &[PathBuf]) -> Result<Root> {
    open(layers, None)
}

/// Opens the merged layers, topmost first; what changes goes to `upper`, which is to be read as a layer afterwards.
///
/// `work` is empty and on the same file system. Nothing is synchronised: a crash may take what was written.
pub fn writable(layers: &[PathBuf], upper: &Path, work: &Path) -> Result<Root> {
    open(layers, Some(Writable { upper, work, throwaway: true }))
}

fn open(layers: &[PathBuf], writable: Option<Writable<'_>>) -> Result<Root> {
    let overlay = mounted(layers, writable)?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let top = rustix::fs::openat(&overlay, ".", flags, Mode::empty()).during("openat", || "\".\"".to_owned())?;
    Ok(Root::from_fd(top))
}

/// Mounts an overlay to nowhere yet, whatever the kernel's age.
pub fn mounted(layers: &[PathBuf], writable: Option<Writable<'_>>) -> Result<OwnedFd> {
    match detached(layers, writable) {
        // Before Linux 6.5, which takes layers joined only.
        Err(Errno::INVAL) => detached_overlay(layers, writable),
        other => other.during("fsmount", || format!("overlay of {} layers", layers.len())),
    }
}

/// Mounts an overlay to nowhere yet: layers one by one, so that neither their number nor a colon in a path matters.
///
/// # Errors
/// `EINVAL` before Linux 6.5, which takes them joined only, and of 256 bytes at most.
pub fn detached(layers: &[PathBuf], writable: Option<Writable<'_>>) -> rustix::io::Result<OwnedFd> {
    let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    layers.iter().try_for_each(|layer| fsconfig_set_string(&context, "lowerdir+", layer.as_path()))?;
    let Some(writable) = writable else {
        fsconfig_create(&context)?;
        return fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::MOUNT_ATTR_RDONLY);
    };
    fsconfig_set_string(&context, "upperdir", writable.upper)?;
    fsconfig_set_string(&context, "workdir", writable.work)?;
    for (name, value) in writable.options() {
        match *value {
            "" => fsconfig_set_flag(&context, *name)?,
            value => fsconfig_set_string(&context, *name, value)?,
        }
    }
    fsconfig_create(&context)?;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())
}
