//! The last steps before a program takes over: descriptors, signals, execve.

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd};

use crate::{Error, Result};

/// Marks every descriptor from `first` on close-on-exec.
pub fn close_on_exec_from(first: u32) -> Result<()> {
    // SAFETY: CLOSE_RANGE_CLOEXEC closes nothing now; it only sets a flag on descriptors that may exist.
    let done = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if done == 0 { Ok(()) } else { Err(Error::last("close_range", format!("{first}, ~0, CLOSE_RANGE_CLOEXEC"))) }
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
    if done == 0 { Ok(()) } else { Err(Error::last("close_range", format!("{first}, ~0, 0"))) }
}
