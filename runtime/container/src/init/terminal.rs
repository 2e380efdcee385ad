//! The container's terminal.

use std::os::fd::OwnedFd;

use rcompose_sys::beneath::proc_path;
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt};

use super::steps::{Doing, StepResult};

/// Makes a terminal from the devpts of this mount namespace, makes it the controlling one and standard input and output, and
/// gives the master.
pub(super) fn create() -> StepResult<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let master = rustix::fs::open("/dev/ptmx", flags, Mode::empty()).doing(|| "failed to open /dev/ptmx".to_owned())?;
    unlockpt(&master).doing(|| "failed to unlock the terminal".to_owned())?;
    // By descriptor, not by the name under /dev/pts, which something else could have been mounted over.
    let slave = ioctl_tiocgptpeer(&master, OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)
        .doing(|| "failed to open the terminal".to_owned())?;
    rustix::process::ioctl_tiocsctty(&slave).doing(|| "failed to make the terminal the controlling one".to_owned())?;
    let standard = rustix::stdio::dup2_stdin(&slave)
        .and_then(|()| rustix::stdio::dup2_stdout(&slave))
        .and_then(|()| rustix::stdio::dup2_stderr(&slave));
    standard.doing(|| "failed to use the terminal".to_owned())?;
    Ok(master)
}

/// Shows the terminal that is standard input as `/dev/console`.
pub(super) fn show_as_console() -> StepResult<()> {
    let console = rustix::fs::open("/dev/console", OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty());
    if let Ok(console) = console {
        let (from, to) = (proc_path(rustix::stdio::stdin()), proc_path(&console));
        rustix::mount::mount_bind(from, to).doing(|| "failed to mount /dev/console".to_owned())?;
    }
    Ok(())
}
