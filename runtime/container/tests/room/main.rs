//! Containers on the real kernel: a busybox in a directory, and everything that is promised of it.

mod bench;
mod confinement;
mod exec;
mod life;
mod older_kernel;
mod stage;
