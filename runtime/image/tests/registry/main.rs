//! Pulling from and pushing to real registries on loopback, and what a bad network or a bad registry makes of it.

mod faults;
mod guarded;
mod place;
mod proxy;
mod pull;
mod push;
