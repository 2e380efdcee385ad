//! The log file of a container: one JSON object a line, in the order in which the lines were written.
//!
//! ```text
//! {"log":"text\n","stream":"stdout","time":"2026-01-02T03:04:05.678901234Z","mono":123456789}
//! ```
//! `log`, `stream` and `time` are what Docker's `json-file` driver writes. `mono` is CLOCK_MONOTONIC in nanoseconds, since wall
//! clocks jump. A line longer than 16 KiB is split; all parts but the last lack the newline.

mod reader;
mod timestamp;
mod writer;

pub use reader::{Entry, Reader, Selection};
pub use timestamp::{format_time, parse_time};
pub use writer::{Limits, Writer};

use serde::{Deserialize, Serialize};

/// Which of the two outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Standard output, or the terminal.
    Stdout,
    /// Standard error.
    Stderr,
}
