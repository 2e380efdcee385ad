//! What containers use, and waiting for their ends.

use serde::{Deserialize, Serialize};

/// Whose figures are wanted.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct StatsRequest {
    /// Project.
    pub project: String,
    /// Only of these services; empty is all.
    pub services: Vec<String>,
    /// Those that do not run too, with figures of zero.
    pub all: bool,
    /// One answer, not one a second.
    pub once: bool,
}

/// What a container uses. One answer is a list of them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerStats {
    /// 64 hex digits.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its service.
    pub service: String,
    /// `running`, `exited`, ...
    pub state: String,
    /// Share of one processor since the answer before, or since it was asked; of two that are busy 200.
    pub cpu_percent: f64,
    /// Nanoseconds of all processors since it was started.
    pub cpu: u64,
    /// Bytes, without file cache that can be dropped.
    pub memory: u64,
    /// Bytes; of the machine where it has no limit of its own.
    pub memory_limit: u64,
    /// Bytes over its interfaces.
    pub received: u64,
    /// Bytes over its interfaces.
    pub sent: u64,
    /// Bytes from block devices.
    pub block_read: u64,
    /// Bytes to block devices.
    pub block_written: u64,
    /// Processes and threads.
    pub pids: u64,
}

/// Whose ends are waited for. The answer is one [`EndedContainer`] a container, as they end.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct WaitRequest {
    /// Ids.
    pub containers: Vec<String>,
}

/// A container has ended, and no policy starts it again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EndedContainer {
    /// Its id.
    pub id: String,
    /// Its status.
    pub code: i32,
}
