//! A new process in new namespaces.

use std::os::fd::{FromRawFd, OwnedFd};

use rustix::io::Errno;
use rustix::process::Pid;

use crate::{Error, Result};

/// Which namespaces the new process has for itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the kernel's names")]
pub struct NewNamespaces {
    pub mount: bool,
    pub pid: bool,
    pub ipc: bool,
    pub uts: bool,
    pub network: bool,
    pub cgroup: bool,
    pub user: bool,
}

impl NewNamespaces {
    fn flags(self) -> libc::c_int {
        [
            (self.mount, libc::CLONE_NEWNS),
            (self.pid, libc::CLONE_NEWPID),
            (self.ipc, libc::CLONE_NEWIPC),
            (self.uts, libc::CLONE_NEWUTS),
            (self.network, libc::CLONE_NEWNET),
            (self.cgroup, libc::CLONE_NEWCGROUP),
            (self.user, libc::CLONE_NEWUSER),
        ]
        .into_iter()
        .filter_map(|(wanted, flag)| wanted.then_some(flag))
        .fold(0, |flags, flag| flags | flag)
    }
}

/// Which side of a fork one is on.
#[derive(Debug)]
pub enum Forked {
    /// The process that asked.
    Parent {
        /// Number of the new process.
        pid: Pid,
        /// Descriptor of the new process.
        pidfd: OwnedFd,
    },
    /// The new process.
    Child,
}

/// Forks into new namespaces.
///
/// For processes of one thread: in the child of a threaded one, locks that other threads held stay locked for ever. That is
/// why the roles that call this (monitor, exec) are re-executed first and start no thread.
pub fn fork(namespaces: NewNamespaces) -> Result<Forked> {
    let mut pidfd: libc::c_int = -1;
    // SAFETY: the structure is plain integers, for which zero is "not asked for".
    let mut arguments: libc::clone_args = unsafe { std::mem::zeroed() };
    arguments.flags = (namespaces.flags() | libc::CLONE_PIDFD) as u64;
    arguments.pidfd = std::ptr::from_mut(&mut pidfd) as u64;
    arguments.exit_signal = libc::SIGCHLD as u64;
    // SAFETY: clone3 reads `size` bytes of a structure that lives on this stack; without CLONE_VM and without a stack of its
    // own the child is a copy of this process, as after fork(2); `pidfd` is written before either side returns.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw mut arguments, size_of::<libc::clone_args>()) };
    match pid {
        0 => Ok(Forked::Child),
        pid if pid > 0 => {
            let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("clone3 returns a process number");
            // SAFETY: the kernel stored a descriptor that nobody else knows of.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            Ok(Forked::Parent { pid, pidfd })
        }
        _ => {
            let error = Error::last("clone3", format!("{:#x}", arguments.flags));
            match error.errno() {
                Errno::NOSYS | Errno::PERM if namespaces == NewNamespaces::default() => plain_fork(),
                _ => Err(error),
            }
        }
    }
}

/// Without clone3 (a policy above us may refuse it).
fn plain_fork() -> Result<Forked> {
    // SAFETY: fork has no conditions in a process of one thread.
    match unsafe { libc::fork() } {
        0 => Ok(Forked::Child),
        pid if pid > 0 => {
            let pid = Pid::from_raw(pid).expect("fork returns a process number");
            Ok(Forked::Parent { pid, pidfd: crate::process::pidfd_open(pid)? })
        }
        _ => Err(Error::last("fork", "")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_namespace_is_no_flag() {
        assert_eq!(NewNamespaces::default().flags(), 0);
        assert_eq!(NewNamespaces { pid: true, ..NewNamespaces::default() }.flags(), libc::CLONE_NEWPID);
    }
}
