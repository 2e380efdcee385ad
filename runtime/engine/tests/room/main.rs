//! The engine on the real kernel: containers of a busybox directory, each test on a host of its own, and nothing left after it.

mod connected;
mod files;
mod host;
mod life;
mod recovery;
mod sync;
mod tree;
mod volumes;
