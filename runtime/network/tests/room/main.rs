//! Networks on the real kernel, each test in a network namespace of its own that stands for the host.

mod closed;
mod datagrams;
mod host;
mod ipv6;
mod options;
mod reach;
