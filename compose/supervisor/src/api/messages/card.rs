//! What is known of a service that failed, put together so that nobody has to look for it.

use serde::{Deserialize, Serialize};

/// A container that is no use, and why as far as can be seen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FailureCard {
    /// Name of the container.
    pub container: String,
    /// Its service.
    pub service: String,
    /// How it ended; `None` while it runs.
    pub exit: Option<ExitReport>,
    /// The last probe, where one failed.
    pub probe: Option<ProbeReport>,
    /// Its last lines, the newest last.
    pub log: Vec<String>,
    /// What is probably wrong, the likeliest first.
    pub hints: Vec<String>,
    /// Commands that tell more.
    pub next: Vec<String>,
}

/// How a container ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExitReport {
    /// Status.
    pub code: i32,
    /// `SIGKILL`, if one ended it.
    pub signal: Option<String>,
    /// The kernel killed a process of it for want of memory.
    pub oom_killed: bool,
    /// In words.
    pub meaning: String,
}

/// What a probe came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProbeReport {
    /// What is probed, in one line.
    pub command: String,
    /// Of the process; `None` if its time was over, or it could not be started.
    pub code: Option<i32>,
    /// The beginning of what it said.
    pub output: String,
    /// Failures in a row.
    pub failures: u32,
    /// So many make a container unhealthy.
    pub retries: u32,
}
