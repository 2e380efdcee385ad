//! Overlays that are mounted nowhere: a tree of layers behind a descriptor, which the host's mount table never shows.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen,
};

use crate::Result;
use crate::beneath::{Root, proc_path};
use crate::error::Context;

/// Opens the merged layers, topmost first, read-only. An overlay wants at least two.
pub fn read_only(layers: &[PathBuf]) -> Result<Root> {
    top(&overlay(layers, None, MountAttrFlags::MOUNT_ATTR_RDONLY).during("fsmount", || describe(layers))?)
}

/// Opens the merged layers, topmost first; what changes goes to `upper`, which is to be read as a layer afterwards.
///
/// `work` is empty and on the same file system. Nothing is synchronised: a crash may take what was written.
pub fn writable(layers: &[PathBuf], upper: &Path, work: &Path) -> Result<Root> {
    top(&overlay(layers, Some((upper, work)), MountAttrFlags::empty()).during("fsmount", || describe(layers))?)
}

fn describe(layers: &[PathBuf]) -> String {
    format!("overlay of {} layers", layers.len())
}

fn top(overlay: &OwnedFd) -> Result<Root> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let top = rustix::fs::openat(overlay, ".", flags, Mode::empty()).during("openat", || "\".\"".to_owned())?;
    Ok(Root::from_fd(top))
}

fn overlay(layers: &[PathBuf], upper: Option<(&Path, &Path)>, attributes: MountAttrFlags) -> rustix::io::Result<OwnedFd> {
    let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    // Layers one by one, so that neither their number nor a colon in a path matters; older kernels take them joined.
    match layers.iter().try_for_each(|layer| fsconfig_set_string(&context, "lowerdir+", layer.as_path())) {
        Err(Errno::INVAL) => return joined(layers, upper, attributes),
        other => other?,
    }
    if let Some((upper, work)) = upper {
        fsconfig_set_string(&context, "upperdir", upper)?;
        fsconfig_set_string(&context, "workdir", work)?;
        layer_options(&context)?;
    }
    fsconfig_create(&context)?;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

/// What is joined has to be short: descriptors are.
fn joined(layers: &[PathBuf], upper: Option<(&Path, &Path)>, attributes: MountAttrFlags) -> rustix::io::Result<OwnedFd> {
    let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    let open = |path: &Path| rustix::fs::openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
    let opened = layers.iter().map(|layer| open(layer)).collect::<rustix::io::Result<Vec<_>>>()?;
    fsconfig_set_string(&context, "lowerdir", opened.iter().map(proc_path).collect::<Vec<_>>().join(":"))?;
    let writable = upper.map(|(upper, work)| Ok::<_, Errno>((open(upper)?, open(work)?))).transpose()?;
    if let Some((upper, work)) = &writable {
        fsconfig_set_string(&context, "upperdir", proc_path(upper))?;
        fsconfig_set_string(&context, "workdir", proc_path(work))?;
        layer_options(&context)?;
    }
    fsconfig_create(&context)?;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

/// With these, everything in the upper directory is a file, a whiteout or an opaque directory.
fn layer_options(context: &OwnedFd) -> rustix::io::Result<()> {
    fsconfig_set_string(context, "redirect_dir", "off")?;
    fsconfig_set_string(context, "metacopy", "off")?;
    fsconfig_set_flag(context, "volatile")
}
