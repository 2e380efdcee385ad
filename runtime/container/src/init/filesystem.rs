//! The root file system: built, entered, and what of it is hidden or read-only.

use std::os::fd::OwnedFd;

use rcompose_sys::beneath::{Root, file_type, proc_path};
use rcompose_sys::error::Context;
use rcompose_sys::mount::{self as sys_mount, Change, Writable};
use rcompose_sys::overlay;
use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags,
    fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
};

use super::Prepared;
use super::steps::{Doing, StepResult};
use crate::rootfs::Rootfs;
use crate::spec::Linux;

/// Cuts this mount namespace off from the host's, and puts the root file system in its place.
pub(super) fn build_root(prepared: &Prepared) -> StepResult<Root> {
    // Slave at first: mounts of the host still arrive, ours do not leave. What the spec asks for comes with the root itself.
    let slave = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
    rustix::mount::mount_change("/", slave).doing(|| "failed to separate mounts from the host".to_owned())?;
    let root = &prepared.root;
    match &prepared.rootfs {
        Rootfs::Prepared => {
            let flags = MountFlags::BIND | MountFlags::REC;
            rustix::mount::mount(root, root, c"", flags, None::<&std::ffi::CStr>)
                .doing(|| format!("failed to mount the root file system {}", root.display()))?;
        }
        Rootfs::Overlay { lower, upper, work, throwaway } => {
            let writable = Writable { upper, work, throwaway: *throwaway };
            let mounted = match overlay::detached(lower, Some(writable)) {
                Ok(overlay) => move_mount(&overlay, "", CWD, root, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
                    .during("move_mount", || format!("{root:?}")),
                Err(Errno::INVAL) => {
                    let target = rustix::fs::open(root, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
                    let target = target.during("open", || format!("{root:?}, O_PATH"));
                    target.and_then(|target| sys_mount::overlay_at(target, lower, Some(writable)))
                }
                Err(errno) => Err(errno).during("fsmount", || format!("overlay of {} layers", lower.len())),
            };
            mounted.doing(|| format!("failed to mount the image at {}", root.display()))?;
        }
    }
    rustix::mount::mount_change(root, MountPropagationFlags::PRIVATE).doing(|| "failed to make the root private".to_owned())?;
    Root::open(root).doing(|| "failed to open the root file system".to_owned())
}

/// Makes the root `/` of this process and lets go of the host's.
pub(super) fn enter_root(root: &Root) -> StepResult<()> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let old = rustix::fs::open("/", flags, Mode::empty()).doing(|| "failed to open the old root".to_owned())?;
    rustix::process::fchdir(root).doing(|| "failed to enter the root file system".to_owned())?;
    rustix::process::pivot_root(".", ".").doing(|| "pivot_root".to_owned())?;
    // The old root lies over the new one now. What happens to it below must not travel to the host; what the container shares
    // with the host stays shared.
    rustix::process::fchdir(&old).doing(|| "failed to return to the old root".to_owned())?;
    let slave = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
    rustix::mount::mount_change(".", slave).doing(|| "failed to separate the old root".to_owned())?;
    rustix::mount::unmount(".", UnmountFlags::DETACH).doing(|| "failed to detach the old root".to_owned())?;
    rustix::process::chdir("/").doing(|| "failed to enter the new root".to_owned())
}

/// Takes writes away from the root itself.
pub(super) fn make_root_read_only() -> StepResult<()> {
    let root = rustix::fs::open("/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).doing(|| "failed to open /".to_owned())?;
    sys_mount::change(&root, Change::read_only(false)).doing(|| "failed to make the root read-only".to_owned())
}

/// Makes paths read-only, then hides paths. What is not there is skipped; anything else that fails ends the start.
pub(super) fn protect_paths(linux: &Linux) -> StepResult<()> {
    for path in &linux.readonly_paths {
        make_read_only(path).doing(|| format!("failed to make {path} read-only"))?;
    }
    let mut mask = Mask::default();
    for path in &linux.masked_paths {
        mask.hide(path).doing(|| format!("failed to hide {path}"))?;
    }
    Ok(())
}

fn open_handle(path: &str) -> Result<Option<OwnedFd>, Errno> {
    match rustix::fs::open(path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()) {
        Ok(handle) => Ok(Some(handle)),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(errno) => Err(errno),
    }
}

fn make_read_only(path: &str) -> Result<(), Box<dyn std::error::Error>> {
    let Some(target) = open_handle(path)? else { return Ok(()) };
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH
        | OpenTreeFlags::AT_RECURSIVE;
    let clone = open_tree(&target, "", flags)?;
    Ok(sys_mount::attach(&clone, &target, &[Change::read_only(true)])?)
}

/// What hides: the null device over files, one empty directory over all directories.
#[derive(Default)]
struct Mask {
    empty: Option<OwnedFd>,
}

impl Mask {
    fn hide(&mut self, path: &str) -> Result<(), Box<dyn std::error::Error>> {
        let Some(target) = open_handle(path)? else { return Ok(()) };
        if file_type(&target)? == FileType::Directory {
            self.hide_directory(&target)?;
        } else {
            let null = super::open_null()?;
            rustix::mount::mount_bind(proc_path(&null), proc_path(&target))?;
        }
        Ok(())
    }

    /// One tmpfs for all: a superblock each would cost more than everything else here. It lies over the first directory itself;
    /// only what is attached can be cloned for the others before Linux 6.15.
    fn hide_directory(&mut self, target: &OwnedFd) -> Result<(), Box<dyn std::error::Error>> {
        if let Some(empty) = &self.empty {
            let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
            return Ok(sys_mount::attach(open_tree(empty, "", flags)?, target, &[])?);
        }
        let empty = empty_directory()?;
        sys_mount::attach(&empty, target, &[])?;
        self.empty = Some(empty);
        Ok(())
    }
}

fn empty_directory() -> rustix::io::Result<OwnedFd> {
    let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&context, "nr_inodes", "2")?;
    fsconfig_set_string(&context, "mode", "755")?;
    fsconfig_set_flag(&context, "ro")?;
    fsconfig_create(&context)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY
        | MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}
