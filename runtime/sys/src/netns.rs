//! Network namespaces that outlive the process that made them, pinned to a file.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags};

use crate::error::Context;
use crate::namespace::{self, Kinds};
use crate::{Error, Result};

/// Makes a new network namespace and pins it to `path`, a file that must not exist.
pub fn create_pinned(path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    drop(rustix::fs::open(path, flags, Mode::from_raw_mode(0o600)).during("open", || format!("{path:?}, O_CREAT|O_EXCL"))?);
    let made = on_thread(|| {
        namespace::unshare(Kinds::NETWORK)?;
        let own = own_namespace()?;
        rustix::mount::mount_bind(crate::beneath::proc_path(&own), path).during("mount", || format!("{path:?}, MS_BIND"))?;
        Ok(own)
    });
    if made.is_err() {
        // Nothing is mounted there; the empty file is of no use.
        let _ = rustix::fs::unlink(path);
    }
    made
}

/// Opens a pinned network namespace.
pub fn open(path: &Path) -> Result<OwnedFd> {
    rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).during("open", || format!("{path:?}"))
}

/// Lets go of a pinned network namespace; it ends with its last process. What is not there is fine.
pub fn unpin(path: &Path) -> Result<()> {
    match rustix::mount::unmount(path, UnmountFlags::DETACH) {
        Ok(()) | Err(Errno::NOENT | Errno::INVAL) => {}
        Err(errno) => return Err(Error::new("umount2", format!("{path:?}, MNT_DETACH"), errno)),
    }
    match rustix::fs::unlink(path) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(Error::new("unlink", format!("{path:?}"), errno)),
    }
}

/// Makes mounts below `folder` invisible to other mount namespaces and the other way round, so that pins made in it are
/// freed when they are let go, whoever copied the mount table in between.
pub fn make_private(folder: &Path) -> Result<()> {
    let bound = rustix::mount::mount(folder, folder, c"", MountFlags::BIND, None::<&std::ffi::CStr>);
    bound.during("mount", || format!("{folder:?}, MS_BIND"))?;
    rustix::mount::mount_change(folder, rustix::mount::MountPropagationFlags::PRIVATE)
        .during("mount", || format!("{folder:?}, MS_PRIVATE"))
}

/// Runs `work` on a thread of its own that is in the network namespace.
pub fn run_in<T: Send>(namespace: impl AsFd + Send + Sync, work: impl FnOnce() -> T + Send) -> Result<T> {
    on_thread(move || {
        namespace::enter(&namespace, Kinds::NETWORK)?;
        Ok(work())
    })
}

fn own_namespace() -> Result<OwnedFd> {
    let path = "/proc/thread-self/ns/net";
    rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).during("open", || path.to_owned())
}

/// The thread ends with the work, so no other work ever runs in a namespace that it did not choose.
pub(crate) fn on_thread<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(256 * 1024).spawn_scoped(scope, work);
        let thread = thread.during("clone", || "a thread".to_owned())?;
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
