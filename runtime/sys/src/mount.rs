//! What rustix lacks of the mount calls.

use std::os::fd::{AsFd, AsRawFd};

use crate::{Error, Result};

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

/// Changes a mount, and all below it if `recursive`. Needs Linux 5.12.
pub fn set_attributes(mount: impl AsFd, attributes: MountAttributes, recursive: bool) -> Result<()> {
    let argument = libc::mount_attr {
        attr_set: attributes.set,
        attr_clr: attributes.clear,
        propagation: attributes.propagation,
        userns_fd: 0,
    };
    let number = mount.as_fd().as_raw_fd();
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the kernel reads `size` bytes of a structure that lives on this stack, and an empty string.
    let done = unsafe {
        libc::syscall(libc::SYS_mount_setattr, number, c"".as_ptr(), flags, &raw const argument, size_of::<libc::mount_attr>())
    };
    if done == 0 { Ok(()) } else { Err(Error::last("mount_setattr", format!("{number}, {attributes:?}"))) }
}
