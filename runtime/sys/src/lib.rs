//! The kernel, as safe functions over descriptors. All `unsafe` of the project is here, a subject a file.
//!
//! Objects are addressed by descriptor, not by path or number: pidfds, namespace descriptors, directories opened once.
//! Every descriptor is close-on-exec from birth. Errors read like strace.

pub mod atomic;
pub mod beneath;
pub mod bpf;
pub mod clone;
pub mod error;
pub mod exec;
pub mod fault;
pub mod keyring;
pub mod lock;
pub mod mount;
pub mod namespace;
pub mod netns;
pub mod overlay;
pub mod privilege;
pub mod process;
pub mod seccomp;
pub mod signals;
pub mod socket;

pub use error::{Error, Result};
