//! Processes, by descriptor. A number alone is never signalled: it may belong to somebody else by now.

use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal};

use crate::error::Context;
use crate::{Error, Result};

/// Opens a descriptor of the process that has this number now.
pub fn pidfd_open(pid: Pid) -> Result<OwnedFd> {
    rustix::process::pidfd_open(pid, PidfdFlags::empty()).during("pidfd_open", || pid.to_string())
}

/// Sends a signal; a process that has ended is fine.
pub fn pidfd_signal(pidfd: impl AsFd, signal: Signal) -> Result<()> {
    match rustix::process::pidfd_send_signal(pidfd, signal) {
        Ok(()) | Err(Errno::SRCH) => Ok(()),
        Err(errno) => Err(Error::new("pidfd_send_signal", format!("{signal:?}"), errno)),
    }
}

/// Waits until the process has ended; `false` when `timeout` came first.
pub fn pidfd_wait(pidfd: impl AsFd, timeout: Option<std::time::Duration>) -> Result<bool> {
    let timeout = timeout.map(|it| Timespec { tv_sec: it.as_secs().cast_signed(), tv_nsec: it.subsec_nanos().into() });
    loop {
        let mut polled = [PollFd::new(&pidfd, PollFlags::IN)];
        match rustix::event::poll(&mut polled, timeout.as_ref()) {
            Ok(count) => return Ok(count > 0),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(Error::new("poll", "pidfd", errno)),
        }
    }
}

/// Lets time pass where the kernel offers nothing to wait for.
pub fn rest(time: std::time::Duration) {
    std::thread::sleep(time);
}

/// What tells a process from any other that ever had its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The number.
    pub pid: i32,
    /// Clock ticks between boot and its start.
    pub start_time: u64,
    /// Which boot.
    pub boot_id: String,
}

impl Identity {
    /// Identifies a process that is alive now.
    pub fn of(pid: Pid) -> Result<Self> {
        Ok(Self { pid: pid.as_raw_nonzero().get(), start_time: start_time(pid)?, boot_id: boot_id()? })
    }

    /// Opens the process if it is still the same and alive.
    pub fn open_verified(&self) -> Result<Option<OwnedFd>> {
        let Some(pid) = Pid::from_raw(self.pid) else { return Ok(None) };
        if boot_id()? != self.boot_id {
            return Ok(None);
        }
        let pidfd = match pidfd_open(pid) {
            Err(error) if error.is_not_found() => return Ok(None),
            other => other?,
        };
        // Looked at after it was opened: if the number has changed hands since, it is the start time of another.
        match start_time(pid) {
            Ok(time) if time == self.start_time && !pidfd_wait(&pidfd, Some(std::time::Duration::ZERO))? => Ok(Some(pidfd)),
            Ok(_) => Ok(None),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// When a process started, in clock ticks since boot.
pub fn start_time(pid: Pid) -> Result<u64> {
    let path = format!("/proc/{pid}/stat");
    let stat = std::fs::read_to_string(&path).during("read", || path.clone())?;
    // The name in parentheses may hold anything, also parentheses; fields are counted from its end.
    let fields = stat.rsplit_once(')').map(|(_, rest)| rest).unwrap_or_default();
    let field = fields.split_ascii_whitespace().nth(19).and_then(|text| text.parse().ok());
    field.ok_or_else(|| Error::new("read", path, Errno::INVAL))
}

/// Gives memory that is free in this process back to the kernel.
pub fn trim_memory() {
    // SAFETY: it has no conditions; it walks the allocator's own lists, under their locks.
    unsafe { libc::malloc_trim(0) };
}

/// Which boot this is.
pub fn boot_id() -> Result<String> {
    let path = "/proc/sys/kernel/random/boot_id";
    let id = std::fs::read_to_string(path).during("read", || path.to_owned())?;
    Ok(id.trim().to_owned())
}

/// The signal of a name (`SIGTERM`, `term`) or number.
pub fn parse_signal(text: &str) -> Option<Signal> {
    if let Ok(number) = text.parse::<i32>() {
        // SAFETY: only numbers of real signals pass the range check; rustix asks for no more than that libc does not
        // reserve them, and 32 and 33, which it does, are left out.
        return ((1..=64).contains(&number) && number != 32 && number != 33)
            .then(|| unsafe { Signal::from_raw_unchecked(number) });
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    SIGNALS.iter().find(|(known, _)| *known == name).map(|(_, signal)| *signal)
}

const SIGNALS: [(&str, Signal); 32] = [
    ("HUP", Signal::HUP),
    ("INT", Signal::INT),
    ("QUIT", Signal::QUIT),
    ("ILL", Signal::ILL),
    ("TRAP", Signal::TRAP),
    ("ABRT", Signal::ABORT),
    ("IOT", Signal::ABORT),
    ("BUS", Signal::BUS),
    ("FPE", Signal::FPE),
    ("KILL", Signal::KILL),
    ("USR1", Signal::USR1),
    ("SEGV", Signal::SEGV),
    ("USR2", Signal::USR2),
    ("PIPE", Signal::PIPE),
    ("ALRM", Signal::ALARM),
    ("TERM", Signal::TERM),
    ("STKFLT", Signal::STKFLT),
    ("CHLD", Signal::CHILD),
    ("CONT", Signal::CONT),
    ("STOP", Signal::STOP),
    ("TSTP", Signal::TSTP),
    ("TTIN", Signal::TTIN),
    ("TTOU", Signal::TTOU),
    ("URG", Signal::URG),
    ("XCPU", Signal::XCPU),
    ("XFSZ", Signal::XFSZ),
    ("VTALRM", Signal::VTALARM),
    ("PROF", Signal::PROF),
    ("WINCH", Signal::WINCH),
    ("IO", Signal::IO),
    ("PWR", Signal::POWER),
    ("SYS", Signal::SYS),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_itself_and_not_a_former_holder_of_its_number() {
        let me = Identity::of(rustix::process::getpid()).unwrap();
        assert!(me.open_verified().unwrap().is_some());
        assert!(Identity { start_time: me.start_time + 1, ..me.clone() }.open_verified().unwrap().is_none());
        assert!(Identity { boot_id: "other".to_owned(), ..me }.open_verified().unwrap().is_none());
    }

    #[test]
    fn reads_signals_as_people_write_them() {
        for text in ["SIGTERM", "term", "15"] {
            assert_eq!(parse_signal(text), Some(Signal::TERM), "{text}");
        }
        assert_eq!(parse_signal("SIGNOTHING"), None);
        assert_eq!(parse_signal("0"), None);
        assert_eq!(parse_signal("65"), None);
    }
}
