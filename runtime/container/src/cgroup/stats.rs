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
    /// Bytes read from block devices.
    pub block_read: u64,
    /// Bytes written to block devices.
    pub block_written: u64,
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
        if let Some((path, unified)) = find("blkio") {
            (stats.block_read, stats.block_written) = if unified {
                unified_io(&text(&path, "io.stat"))
            } else {
                // A scheduler that counts for itself is not asked: the throttling layer sees everything.
                v1_io(&text(&path, "blkio.throttle.io_service_bytes_recursive"))
            };
        }
        stats
    }
}

fn text(directory: &Path, file: &str) -> String {
    std::fs::read_to_string(directory.join(file)).unwrap_or_default()
}

/// `8:0 rbytes=4096 wbytes=0 rios=1 ...`, a line a device.
fn unified_io(text: &str) -> (u64, u64) {
    let sum = |key: &str| {
        let values = text.split_ascii_whitespace().filter_map(|word| word.strip_prefix(key)?.parse::<u64>().ok());
        values.fold(0, u64::saturating_add)
    };
    (sum("rbytes="), sum("wbytes="))
}

/// `8:0 Read 4096`, several lines a device.
fn v1_io(text: &str) -> (u64, u64) {
    let sum = |kind: &str| {
        let value = |line: &str| {
            let mut words = line.split(' ').skip(1);
            (words.next() == Some(kind)).then(|| words.next()?.parse::<u64>().ok()).flatten()
        };
        text.lines().filter_map(value).fold(0, u64::saturating_add)
    };
    (sum("Read"), sum("Write"))
}

fn number(directory: &Path, file: &str) -> Option<u64> {
    text(directory, file).trim().parse().ok()
}

fn keyed(directory: &Path, file: &str, key: &str) -> u64 {
    let text = text(directory, file);
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.trim().parse().ok());
    value.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_added_up() {
        let v1 = "8:0 Read 4096\n8:0 Write 100\n8:0 Sync 4196\n8:16 Read 4\nTotal 4200\n";
        assert_eq!(v1_io(v1), (4100, 100));
        let v2 = "8:0 rbytes=10 wbytes=20 rios=1 wios=1 dbytes=0 dios=0\n8:16 rbytes=1 wbytes=2 rios=1\n";
        assert_eq!((unified_io(v2), unified_io("")), ((11, 22), (0, 0)));
    }
}
