//! What rustix lacks of the mount calls, and what older kernels have in their place.

mod apart;
mod remount;

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, MoveMountFlags, UnmountFlags, move_mount};

use crate::beneath::proc_path;
use crate::error::Context;
use crate::{Error, Result};

pub use apart::apart;

/// Attributes of a mount that can be changed with all mounts below it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MountAttributes {
    /// `MOUNT_ATTR_*` to set.
    pub set: u64,
    /// `MOUNT_ATTR_*` to clear.
    pub clear: u64,
    /// `MS_SHARED`, `MS_PRIVATE`, `MS_SLAVE`, or 0 to leave it.
    pub propagation: u64,
}

/// No writes.
pub const READ_ONLY: u64 = libc::MOUNT_ATTR_RDONLY;
/// Set-user-id bits have no effect.
pub const NO_SUID: u64 = libc::MOUNT_ATTR_NOSUID;
/// Device nodes have no effect.
pub const NO_DEV: u64 = libc::MOUNT_ATTR_NODEV;
/// Nothing can be executed.
pub const NO_EXEC: u64 = libc::MOUNT_ATTR_NOEXEC;

/// A change of a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// To what.
    pub attributes: MountAttributes,
    /// With all mounts below it.
    pub recursive: bool,
}

impl Change {
    /// Mounts below are not passed on, in either direction.
    pub fn private() -> Self {
        Self { attributes: MountAttributes { propagation: libc::MS_PRIVATE, ..MountAttributes::default() }, recursive: false }
    }

    /// No writes from now on.
    pub fn read_only(recursive: bool) -> Self {
        Self { attributes: MountAttributes { set: READ_ONLY, ..MountAttributes::default() }, recursive }
    }
}

/// Changes a mount.
///
/// # Errors
/// `EINVAL` before Linux 5.12 for one that is not attached anywhere: [`attach`] knows how.
pub fn change(mount: impl AsFd, change: Change) -> Result<()> {
    match set_attributes(&mount, change) {
        Err(error) if error.errno() == Errno::NOSYS => remount::change(mount.as_fd(), change),
        other => other,
    }
}

/// Attaches a mount that was changed first: nobody sees it without its changes.
///
/// Before Linux 5.12 only what is attached can be changed. The caller's mount namespace is its own then, with nobody in it who
/// could look in between.
pub fn attach(mount: impl AsFd, target: impl AsFd, changes: &[Change]) -> Result<()> {
    let changed = changes.iter().try_for_each(|change| set_attributes(&mount, *change));
    let late = matches!(&changed, Err(error) if error.errno() == Errno::NOSYS);
    if !late {
        changed?;
    }
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(&mount, "", target, "", flags).during("move_mount", String::new)?;
    if late { changes.iter().try_for_each(|change| remount::change(mount.as_fd(), *change)) } else { Ok(()) }
}

/// Puts a mount that was changed first in the place of another one: whoever looks sees one of them. `descriptors` is this process's
/// `/proc/self/fd`; the working directory of this thread is there afterwards.
///
/// # Errors
/// `EINVAL` before Linux 6.5, and where nothing is mounted at `target`.
pub fn replace(mount: impl AsFd, target: impl AsFd, descriptors: impl AsFd, changes: &[Change]) -> Result<()> {
    changes.iter().try_for_each(|change| set_attributes(&mount, *change))?;
    let flags =
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_BENEATH;
    move_mount(&mount, "", &target, "", flags).during("move_mount", || "MOVE_MOUNT_BENEATH".to_owned())?;
    rustix::process::fchdir(&descriptors).during("fchdir", || "\"/proc/self/fd\"".to_owned())?;
    let number = target.as_fd().as_raw_fd().to_string();
    rustix::mount::unmount(number.as_str(), UnmountFlags::DETACH).during("umount2", || format!("{number:?}, MNT_DETACH"))
}

fn set_attributes(mount: impl AsFd, change: Change) -> Result<()> {
    let attributes = change.attributes;
    let argument = libc::mount_attr {
        attr_set: attributes.set,
        attr_clr: attributes.clear,
        propagation: attributes.propagation,
        userns_fd: 0,
    };
    let number = mount.as_fd().as_raw_fd();
    let flags = libc::AT_EMPTY_PATH | if change.recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the kernel reads `size` bytes of a structure that lives on this stack, and an empty string.
    let done = unsafe {
        libc::syscall(libc::SYS_mount_setattr, number, c"".as_ptr(), flags, &raw const argument, size_of::<libc::mount_attr>())
    };
    if done == 0 { Ok(()) } else { Err(Error::last("mount_setattr", format!("{number}, {attributes:?}"))) }
}

/// Where an overlay keeps what is written to it.
#[derive(Debug, Clone, Copy)]
pub struct Writable<'a> {
    /// Changed files.
    pub upper: &'a std::path::Path,
    /// The kernel's own, beside it.
    pub work: &'a std::path::Path,
    /// A crash may take it.
    pub throwaway: bool,
}

impl Writable<'_> {
    /// Options of the overlay, some of which have no value. With these everything in an upper directory is a file, a whiteout or
    /// an opaque directory, so that it can become a layer; what may be lost is not synchronised.
    pub fn options(&self) -> &'static [(&'static str, &'static str)] {
        let options = &[("redirect_dir", "off"), ("metacopy", "off"), ("volatile", "")];
        if self.throwaway { options } else { &options[..2] }
    }
}

/// Mounts an overlay by the call that takes all options in one page: descriptors are the shortest names that paths can have.
///
/// For kernels before 6.5, whose newer calls take 256 bytes of layers at most. Without `writable` it is read-only, and needs two
/// layers.
pub fn overlay_at(target: impl AsFd, lower: &[PathBuf], writable: Option<Writable<'_>>) -> Result<()> {
    let handle = |path: &std::path::Path| {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::open(path, flags, Mode::empty()).during("open", || format!("{path:?}, O_PATH|O_DIRECTORY"))
    };
    let layers = lower.iter().map(|layer| handle(layer)).collect::<Result<Vec<_>>>()?;
    let joined = layers.iter().map(proc_path).collect::<Vec<_>>().join(":");
    let (mut options, mut flags) = (format!("lowerdir={joined}"), MountFlags::RDONLY);
    let opened = writable.map(|it| Ok::<_, Error>((handle(it.upper)?, handle(it.work)?))).transpose()?;
    if let Some((upper, work)) = &opened {
        options = format!("{options},upperdir={},workdir={}", proc_path(upper), proc_path(work));
        for (name, value) in writable.iter().flat_map(Writable::options) {
            options = if value.is_empty() { format!("{options},{name}") } else { format!("{options},{name}={value}") };
        }
        flags = MountFlags::empty();
    }
    let options = std::ffi::CString::new(options).expect("names of descriptors hold no zero byte");
    let what = || format!("overlay of {} layers", lower.len());
    rustix::mount::mount("overlay", proc_path(&target), "overlay", flags, options.as_c_str()).during("mount", what)
}

/// As [`overlay_at`], and attached nowhere.
pub fn detached_overlay(lower: &[PathBuf], writable: Option<Writable<'_>>) -> Result<OwnedFd> {
    // Any directory does for the place.
    let place = std::path::Path::new("/proc");
    apart(place, || {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let target = rustix::fs::open(place, flags, Mode::empty()).during("open", || format!("{place:?}, O_PATH"))?;
        overlay_at(target, lower, writable)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::atomic::TempDir;

    #[test]
    fn an_overlay_of_many_layers_is_seen_by_nobody_else() {
        let folder = TempDir::new().unwrap();
        let layers: Vec<PathBuf> = (0..60).map(|number| folder.path().join(format!("layer-{number}"))).collect();
        for layer in &layers {
            std::fs::create_dir(layer).unwrap();
            std::fs::write(layer.join("top"), layer.to_string_lossy().as_bytes()).unwrap();
        }
        let tree = crate::beneath::Root::from_fd(detached_overlay(&layers, None).unwrap());
        assert_eq!(tree.read_regular("top", 1000).unwrap(), layers[0].to_string_lossy().as_bytes());
        let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!table.contains("lowerdir=/proc/self/fd"), "{table}");
    }
}
