//! The tree of an image, as it would be seen in a container.

use rcompose_image::View;
use rcompose_sys::beneath::Root;
use rcompose_sys::error::Context;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_string, fsmount, fsopen};

/// Opens the merged layers, read-only; the host's mount table never shows them. `None` for an image without layers.
pub(super) fn open(view: &View) -> rcompose_sys::Result<Option<Root>> {
    match view.lower.as_slice() {
        [] => Ok(None),
        [only] => Root::open(only).map(Some),
        layers => {
            let overlay = overlay(layers).during("fsmount", || format!("overlay of {} layers", layers.len()))?;
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let top = rustix::fs::openat(&overlay, ".", flags, Mode::empty()).during("openat", || "\".\"".to_owned())?;
            Ok(Some(Root::from_fd(top)))
        }
    }
}

fn overlay(layers: &[std::path::PathBuf]) -> rustix::io::Result<std::os::fd::OwnedFd> {
    let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    // Layers one by one, so that neither their number nor a colon in a path matters; older kernels take them joined.
    let one_by_one = layers.iter().try_for_each(|layer| fsconfig_set_string(&context, "lowerdir+", layer.as_path()));
    if one_by_one == Err(Errno::INVAL) {
        // What is joined has to be short: descriptors are.
        let opened = layers.iter().map(|layer| rustix::fs::openat(CWD, layer, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()));
        let opened = opened.collect::<rustix::io::Result<Vec<_>>>()?;
        let joined = opened.iter().map(rcompose_sys::beneath::proc_path).collect::<Vec<_>>().join(":");
        fsconfig_set_string(&context, "lowerdir", joined)?;
        fsconfig_create(&context)?;
    } else {
        one_by_one?;
        fsconfig_create(&context)?;
    }
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::MOUNT_ATTR_RDONLY)
}
