//! What a cgroup uses.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// What a cgroup uses at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// CPU time, nanoseconds.
    pub cpu: u64,
    /// Memory without file cache that can be dropped, bytes.
    pub memory: u64,
    /// Bytes; `None` without limit.
    pub memory_limit: Option<u64>,
    /// Processes and threads.
    pub pids: u64,
}

impl Stats {
    /// Reads from the directory that `find` gives for a controller, and whether it is of v2.
    pub(super) fn read(find: impl Fn(&str) -> Option<(PathBuf, bool)>) -> Self {
        let mut stats = Self::default();
        if let Some((path, unified)) = find("cpuacct") {
            stats.cpu =
                if unified { keyed(&path, "cpu.stat", "usage_usec") * 1000 } else { number(&path, "cpuacct.usage").unwrap_or(0) };
        }
        if let Some((path, unified)) = find("memory") {
            let (usage, limit, cache) = if unified {
                ("memory.current", "memory.max", "inactive_file")
            } else {
                ("memory.usage_in_bytes", "memory.limit_in_bytes", "total_inactive_file")
            };
            let droppable = keyed(&path, "memory.stat", cache);
            stats.memory = number(&path, usage).unwrap_or(0).saturating_sub(droppable);
            // v1 says "no limit" by a number near the largest.
            stats.memory_limit = number(&path, limit).filter(|bytes| *bytes < 1 << 62);
        }
        if let Some((path, _)) = find("pids") {
            stats.pids = number(&path, "pids.current").unwrap_or(0);
        }
        stats
    }
}

fn number(directory: &Path, file: &str) -> Option<u64> {
    std::fs::read_to_string(directory.join(file)).ok()?.trim().parse().ok()
}

fn keyed(directory: &Path, file: &str, key: &str) -> u64 {
    let text = std::fs::read_to_string(directory.join(file)).unwrap_or_default();
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.trim().parse().ok());
    value.unwrap_or(0)
}
