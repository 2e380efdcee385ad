//! The kernel, as safe functions over descriptors. All `unsafe` of the project is here, a subject a file.
//!
//! Objects are addressed by descriptor, not by path or number: pidfds, namespace descriptors, directories opened once.
//! Every descriptor is close-on-exec from birth. Errors read like strace.

pub mod atomic;
pub mod beneath;
pub mod error;
pub mod lock;
pub mod process;

pub use error::{Error, Result};
