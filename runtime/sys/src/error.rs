//! Failed system calls, told as strace would: call, arguments, errno.

use std::fmt;

use rustix::io::Errno;

/// A failed system call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    call: &'static str,
    arguments: String,
    errno: Errno,
}

/// The result of a system call.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Remembers that `call(arguments)` failed with `errno`.
    pub fn new(call: &'static str, arguments: impl Into<String>, errno: Errno) -> Self {
        Self { call, arguments: arguments.into(), errno }
    }

    /// Remembers that `call(arguments)` failed with the thread's last error.
    pub fn last(call: &'static str, arguments: impl Into<String>) -> Self {
        let code = std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO);
        Self::new(call, arguments, Errno::from_raw_os_error(code))
    }

    /// What the kernel answered.
    pub fn errno(&self) -> Errno {
        self.errno
    }

    /// Tells whether something that was looked for is not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self.errno, Errno::NOENT | Errno::SRCH | Errno::NODEV)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}({}) = {}", self.call, self.arguments, Name(self.errno))
    }
}

impl std::error::Error for Error {}

impl From<Error> for std::io::Error {
    fn from(error: Error) -> Self {
        let kind = std::io::Error::from_raw_os_error(error.errno.raw_os_error()).kind();
        Self::new(kind, error)
    }
}

/// Attaches call and arguments to a plain errno.
pub trait Context<T> {
    /// Says which call failed, on what.
    fn during(self, call: &'static str, arguments: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Context<T> for std::result::Result<T, Errno> {
    fn during(self, call: &'static str, arguments: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|errno| Error::new(call, arguments(), errno))
    }
}

impl<T> Context<T> for std::io::Result<T> {
    fn during(self, call: &'static str, arguments: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| {
            let code = error.raw_os_error().unwrap_or(libc::EIO);
            Error::new(call, arguments(), Errno::from_raw_os_error(code))
        })
    }
}

struct Name(Errno);

impl fmt::Display for Name {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let debug = format!("{:?}", self.0);
        let known = KNOWN.iter().find(|(code, _)| *code == self.0.raw_os_error());
        match known {
            Some((_, name)) => write!(out, "{name} ({})", self.0),
            None => write!(out, "{debug}"),
        }
    }
}

const KNOWN: [(i32, &str); 26] = [
    (libc::EPERM, "EPERM"),
    (libc::ENOENT, "ENOENT"),
    (libc::ESRCH, "ESRCH"),
    (libc::EINTR, "EINTR"),
    (libc::EIO, "EIO"),
    (libc::E2BIG, "E2BIG"),
    (libc::ENOEXEC, "ENOEXEC"),
    (libc::EBADF, "EBADF"),
    (libc::EAGAIN, "EAGAIN"),
    (libc::ENOMEM, "ENOMEM"),
    (libc::EACCES, "EACCES"),
    (libc::EBUSY, "EBUSY"),
    (libc::EEXIST, "EEXIST"),
    (libc::EXDEV, "EXDEV"),
    (libc::ENODEV, "ENODEV"),
    (libc::ENOTDIR, "ENOTDIR"),
    (libc::EISDIR, "EISDIR"),
    (libc::EINVAL, "EINVAL"),
    (libc::EMFILE, "EMFILE"),
    (libc::ENOSPC, "ENOSPC"),
    (libc::EROFS, "EROFS"),
    (libc::EPIPE, "EPIPE"),
    (libc::ENAMETOOLONG, "ENAMETOOLONG"),
    (libc::ENOSYS, "ENOSYS"),
    (libc::ENOTEMPTY, "ENOTEMPTY"),
    (libc::ELOOP, "ELOOP"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_like_strace() {
        let error = Error::new("setns", "5, CLONE_NEWNET", Errno::PERM);
        assert_eq!(error.to_string(), "setns(5, CLONE_NEWNET) = EPERM (Operation not permitted (os error 1))");
    }
}
