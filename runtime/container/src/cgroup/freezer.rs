//! Freezing on v2: asked for by one file, told by another when it is done.

use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::{CgroupError, change, write};

/// A process that the kernel does not get to stand still within this time hangs in a device.
const PATIENCE: Duration = Duration::from_secs(10);

/// Freezes or thaws everything in a cgroup of v2, and waits until it is so.
pub(super) fn set(directory: &Path, frozen: bool) -> Result<(), CgroupError> {
    let file = directory.join("cgroup.freeze");
    write(&file, if frozen { "1" } else { "0" })?;
    let done = wait(&directory.join("cgroup.events"), frozen);
    if done.is_err() && frozen {
        // Not a state to leave it in: half of it stands still.
        let _ = write(&file, "0");
    }
    done
}

fn wait(events: &Path, frozen: bool) -> Result<(), CgroupError> {
    let failure = |source| change("read", events, source);
    let file = std::fs::File::open(events).map_err(failure)?;
    let deadline = Instant::now() + PATIENCE;
    let mut text = [0; 256];
    loop {
        let length = file.read_at(&mut text, 0).map_err(failure)?;
        if is_frozen(&text[..length]) == Some(frozen) {
            return Ok(());
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: left.subsec_nanos().into() };
        // What has changed since it was read is urgent.
        match poll(&mut [PollFd::new(&file, PollFlags::PRI)], Some(&timeout)) {
            Ok(0) => return Err(change(if frozen { "freeze" } else { "thaw" }, events, Errno::BUSY.into())),
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(failure(errno.into())),
        }
    }
}

fn is_frozen(events: &[u8]) -> Option<bool> {
    let text = std::str::from_utf8(events).ok()?;
    text.lines().find_map(|line| line.strip_prefix("frozen ")).map(|value| value == "1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_kernel_tells() {
        assert_eq!(is_frozen(b"populated 1\nfrozen 0\n"), Some(false));
        assert_eq!(is_frozen(b"populated 1\nfrozen 1\n"), Some(true));
        assert_eq!(is_frozen(b"populated 1\n"), None);
    }
}
