//! Exit codes.

use std::process::ExitCode;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It worked.
    Success,
    /// It did not: usage, files, or something that failed.
    Failure,
    /// `plan` found something that `up` would change: 2.
    Pending,
    /// Interrupted by a signal.
    Interrupted,
    /// The status of a process in a container.
    Status(i32),
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Success => Self::SUCCESS,
            Exit::Failure => Self::FAILURE,
            Exit::Pending => Self::from(2),
            Exit::Interrupted => Self::from(130),
            Exit::Status(code) => Self::from(u8::try_from(code & 0xff).unwrap_or(1)),
        }
    }
}
