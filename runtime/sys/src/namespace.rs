//! Entering namespaces that exist, and making new ones for a thread.

use std::os::fd::{AsFd, AsRawFd};

use crate::{Error, Result};

/// Kinds of namespaces, as bits that can be combined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kinds(libc::c_int);

#[expect(missing_docs, reason = "the kernel's names")]
impl Kinds {
    pub const MOUNT: Self = Self(libc::CLONE_NEWNS);
    pub const PID: Self = Self(libc::CLONE_NEWPID);
    pub const IPC: Self = Self(libc::CLONE_NEWIPC);
    pub const UTS: Self = Self(libc::CLONE_NEWUTS);
    pub const NETWORK: Self = Self(libc::CLONE_NEWNET);
    pub const CGROUP: Self = Self(libc::CLONE_NEWCGROUP);
    pub const USER: Self = Self(libc::CLONE_NEWUSER);
}

impl std::ops::BitOr for Kinds {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Moves this thread into the namespaces that `target` (a namespace file, or a pidfd) stands for.
pub fn enter(target: impl AsFd, kinds: Kinds) -> Result<()> {
    let number = target.as_fd().as_raw_fd();
    // SAFETY: setns takes two integers; what it changes is this thread's, and no Rust value depends on it.
    let done = unsafe { libc::setns(number, kinds.0) };
    if done == 0 { Ok(()) } else { Err(Error::last("setns", format!("{number}, {:#x}", kinds.0))) }
}

/// Gives this thread new namespaces.
pub fn unshare(kinds: Kinds) -> Result<()> {
    // SAFETY: unshare takes an integer; CLONE_FILES and the like, which would change what descriptors mean, cannot be
    // expressed by `Kinds`.
    let done = unsafe { libc::unshare(kinds.0) };
    if done == 0 { Ok(()) } else { Err(Error::last("unshare", format!("{:#x}", kinds.0))) }
}

/// Runs `work` on a thread of its own that sees the mounts of a namespace, from its root.
pub fn run_with_mounts_of<T: Send>(target: impl AsFd + Send + Sync, work: impl FnOnce() -> T + Send) -> Result<T> {
    crate::netns::on_thread(move || {
        // Root and working directory are this thread's alone from here on, or the kernel refuses.
        // SAFETY: as in `unshare`; CLONE_FS concerns paths, on which no Rust value depends.
        let done = unsafe { libc::unshare(libc::CLONE_FS) };
        if done != 0 {
            return Err(Error::last("unshare", "CLONE_FS"));
        }
        enter(&target, Kinds::MOUNT)?;
        Ok(work())
    })
}
