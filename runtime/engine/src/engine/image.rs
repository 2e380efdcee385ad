//! The tree of an image, as it would be seen in a container.

use rcompose_image::View;
use rcompose_sys::beneath::Root;
use rcompose_sys::error::Context;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_string, fsmount, fsopen};

/// Opens the merged layers, read-only; the host's mount table never shows them. `None` for an image without layers.
pub(super) fn open(view: &View) -> rcompose_sys::Result<Option<Root>> {
    match view.lower.as_slice() {
        [] => Ok(None),
        [only] => Root::open(only).map(Some),
        layers => {
            let overlay = match overlay(layers) {
                // Before Linux 6.5, which takes layers joined only.
                Err(Errno::INVAL) => rcompose_sys::mount::detached_overlay(layers)?,
                other => other.during("fsmount", || format!("overlay of {} layers", layers.len()))?,
            };
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let top = rustix::fs::openat(&overlay, ".", flags, Mode::empty()).during("openat", || "\".\"".to_owned())?;
            Ok(Some(Root::from_fd(top)))
        }
    }
}

/// Layers one by one, so that neither their number nor a colon in a path matters.
fn overlay(layers: &[std::path::PathBuf]) -> rustix::io::Result<std::os::fd::OwnedFd> {
    let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    layers.iter().try_for_each(|layer| fsconfig_set_string(&context, "lowerdir+", layer.as_path()))?;
    fsconfig_create(&context)?;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::MOUNT_ATTR_RDONLY)
}
