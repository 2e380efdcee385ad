//! Waiting for signals.

use std::os::fd::{FromRawFd, OwnedFd};

use crate::{Error, Result};

/// A set of signals.
#[derive(Clone, Copy)]
pub struct SignalSet(libc::sigset_t);

impl SignalSet {
    /// Every signal that can be blocked.
    pub fn all() -> Self {
        // SAFETY: sigfillset initialises the whole set.
        let set = unsafe {
            let mut set: libc::sigset_t = std::mem::zeroed();
            libc::sigfillset(&raw mut set);
            set
        };
        Self(set)
    }

    /// Some signals, by number.
    pub fn of(signals: &[i32]) -> Self {
        // SAFETY: sigemptyset initialises the set before sigaddset changes it; a number out of range is refused by the latter.
        let set = unsafe {
            let mut set: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&raw mut set);
            for &signal in signals {
                libc::sigaddset(&raw mut set, signal);
            }
            set
        };
        Self(set)
    }

    /// Blocks the set for this thread, so that it can be waited for.
    pub fn block(&self) -> Result<()> {
        // SAFETY: the set is initialised; the old mask is not asked for.
        let done = unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const self.0, std::ptr::null_mut()) };
        if done == 0 { Ok(()) } else { Err(Error::last("rt_sigprocmask", "SIG_BLOCK")) }
    }

    /// Waits for one of the set, which must be blocked.
    pub fn wait(&self) -> Result<i32> {
        loop {
            // SAFETY: the set is initialised; no details are asked for.
            let signal = unsafe { libc::sigwaitinfo(&raw const self.0, std::ptr::null_mut()) };
            if signal > 0 {
                return Ok(signal);
            }
            let error = Error::last("rt_sigtimedwait", "");
            if error.errno() != rustix::io::Errno::INTR {
                return Err(error);
            }
        }
    }

    /// A descriptor that is readable when one of the set, which must be blocked, is pending.
    pub fn descriptor(&self) -> Result<OwnedFd> {
        // SAFETY: the set is initialised; -1 asks for a new descriptor.
        let number = unsafe { libc::signalfd(-1, &raw const self.0, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
        if number < 0 {
            return Err(Error::last("signalfd4", "-1"));
        }
        // SAFETY: the kernel gave a new descriptor that nobody else knows of.
        Ok(unsafe { OwnedFd::from_raw_fd(number) })
    }
}
