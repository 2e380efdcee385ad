//! Runs OCI bundles: a bundle in, a container out. Knows nothing of images, networks or Compose.
//!
//! ```text
//! launch     starts a monitor for a bundle                     spec      config.json
//! container  a launched container, from outside                init      the first process: namespaces to execve
//! monitor    the parent of a container's first process         cgroup    limits, freezer, statistics
//! logs       the log file, both sides                          frame     input and output on one stream
//! process    one of its processes, described
//! ```

pub mod cgroup;
pub mod container;
pub mod exit;
pub mod frame;
pub mod id;
pub mod init;
pub mod launch;
pub mod logs;
pub mod monitor;
pub mod process;
pub mod rootfs;
pub mod spec;
pub mod state;

pub use container::Container;
pub use exit::ExitRecord;
pub use id::ContainerId;
pub use launch::{Launch, Launcher};
pub use process::Process;
pub use rootfs::Rootfs;
