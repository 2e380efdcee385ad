//! From a policy to a filter program.
//!
//! The program looks at the architecture first (a number alone would be read wrongly for 32-bit calls), then finds the number in
//! a binary tree of ranges, then compares arguments where a rule has conditions. A number beyond the highest that the policy
//! knows is answered with ENOSYS, so that a newer libc falls back; a known one that is not allowed with EPERM.

mod policy;
mod program;

use crate::spec;

pub(crate) use program::Filter;

/// A policy that cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SeccompError {
    /// No such action.
    #[error("unknown seccomp action `{0}`")]
    UnknownAction(String),
    /// Needs a supervisor process that answers.
    #[error("seccomp action `{0}` is not supported: it needs a listener")]
    NeedsListener(String),
    /// No such comparison.
    #[error("unknown seccomp comparison `{0}`")]
    UnknownComparison(String),
    /// Arguments have the numbers 0 to 5.
    #[error("seccomp rule for argument {0}, expected 0 to 5")]
    ArgumentIndex(u32),
    /// The kernel takes 4096 instructions.
    #[error("the seccomp policy needs {0} instructions; the kernel takes 4096")]
    TooLong(usize),
}

/// Compiles the built-in policy for a process with these bounding capabilities.
pub(crate) fn built_in(capabilities: u64) -> Result<Filter, SeccompError> {
    program::compile(&policy::built_in(capabilities))
}

/// Compiles a policy of an OCI bundle.
pub(crate) fn custom(policy: &spec::Seccomp) -> Result<Filter, SeccompError> {
    program::compile(&policy::from_spec(policy)?)
}
