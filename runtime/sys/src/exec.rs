//! The last steps before a program takes over: descriptors, signals, execve.

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd};

use rustix::io::Errno;

use crate::error::Context;
use crate::{Error, Result};

/// Marks every descriptor from `first` on close-on-exec.
///
/// For processes of one thread: before Linux 5.11 one descriptor is marked after another.
pub fn close_on_exec_from(first: u32) -> Result<()> {
    // SAFETY: CLOSE_RANGE_CLOEXEC closes nothing now; it only sets a flag on descriptors that may exist.
    let done = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    let error = || Error::last("close_range", format!("{first}, ~0, CLOSE_RANGE_CLOEXEC"));
    unless_too_old(done, error, || {
        // SAFETY: as above; a number that is not open any more is refused with EBADF.
        each_open(first, |number| unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) })
    })
}

/// Takes another way when the kernel lacks the call (`ENOSYS`) or its flag (`EINVAL`).
fn unless_too_old(done: libc::c_long, error: impl Fn() -> Error, otherwise: impl FnOnce() -> Result<()>) -> Result<()> {
    if done == 0 {
        return Ok(());
    }
    match error() {
        error if matches!(error.errno(), Errno::NOSYS | Errno::INVAL) => otherwise(),
        error => Err(error),
    }
}

/// Calls `act` with every number from `first` on that is open. The one by which they are listed is gone by then.
fn each_open(first: u32, act: impl Fn(libc::c_int) -> libc::c_int) -> Result<()> {
    const OPEN: &str = "/proc/self/fd";
    let entries = std::fs::read_dir(OPEN).during("open", || OPEN.to_owned())?;
    let numbers: Vec<libc::c_int> = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for number in numbers.into_iter().filter(|number| u32::try_from(*number).is_ok_and(|number| number >= first)) {
        act(number);
    }
    Ok(())
}

/// Puts every signal back to its default action and unblocks all.
///
/// Rust ignores SIGPIPE and the monitor blocks what it reads from a signalfd; both would pass through execve.
pub fn reset_signals() -> Result<()> {
    for signal in 1..=64 {
        if signal == libc::SIGKILL || signal == libc::SIGSTOP || signal == 32 || signal == 33 {
            continue;
        }
        // SAFETY: SIG_DFL is a valid disposition for every signal but the ones left out.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    // SAFETY: the set is initialised by sigemptyset before it is read.
    let done = unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut())
    };
    if done == 0 { Ok(()) } else { Err(Error::last("rt_sigprocmask", "SIG_SETMASK, []")) }
}

/// Replaces this process by the program at `path`. Returns only when that failed.
pub fn execve(path: &CStr, arguments: &[&CStr], environment: &[&CStr]) -> Error {
    let (arguments, environment) = (pointers(arguments), pointers(environment));
    // SAFETY: both arrays end with a null pointer and point to strings that live until the call returns, if it does.
    unsafe { libc::execve(path.as_ptr(), arguments.as_ptr(), environment.as_ptr()) };
    Error::last("execve", format!("{path:?}"))
}

/// Replaces this process by the program that is open as `program`. Returns only when that failed.
pub fn execveat(program: impl AsFd, arguments: &[&CStr], environment: &[&CStr]) -> Error {
    let (arguments, environment) = (pointers(arguments), pointers(environment));
    let number = program.as_fd().as_raw_fd();
    // SAFETY: as in `execve`; an empty path with AT_EMPTY_PATH means the descriptor itself.
    unsafe { libc::execveat(number, c"".as_ptr(), arguments.as_ptr().cast(), environment.as_ptr().cast(), libc::AT_EMPTY_PATH) };
    Error::last("execveat", format!("{number}, \"\", AT_EMPTY_PATH"))
}

fn pointers(strings: &[&CStr]) -> Vec<*const libc::c_char> {
    strings.iter().map(|string| string.as_ptr()).chain([std::ptr::null()]).collect()
}

/// Ends this process at once, without running destructors that belong to the process it was forked from.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: _exit has no conditions.
    unsafe { libc::_exit(code) }
}

/// Ignores SIGPIPE, so that writing to a reader that went away is an error and not the end.
pub fn ignore_sigpipe() {
    // SAFETY: SIG_IGN is a valid disposition for SIGPIPE.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
}

/// Closes every descriptor from `first` on.
///
/// For a process that forked to live on as something else: values that own the descriptors must not be used again.
pub fn close_from(first: u32) -> Result<()> {
    // SAFETY: the caller owns the whole process and goes on with nothing but the standard three, see above.
    let done = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) };
    let error = || Error::last("close_range", format!("{first}, ~0, 0"));
    // SAFETY: as above.
    unless_too_old(done, error, || each_open(first, |number| unsafe { libc::close(number) }))
}
