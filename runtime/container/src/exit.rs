//! The exit record: how a container ended, written by the one who waited for it.

use std::path::Path;

use serde::{Deserialize, Serialize};

/// How a container ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitRecord {
    /// Status; 128 plus the signal if one ended it.
    pub code: i32,
    /// The kernel killed a process of it for want of memory.
    pub oom_killed: bool,
    /// When, nanoseconds since 1970.
    pub finished_at: i64,
    /// How long the program ran, nanoseconds.
    pub ran_for: u64,
}

impl ExitRecord {
    /// What is known when the one who should have waited is gone.
    pub fn unknown(finished_at: i64) -> Self {
        Self { code: 255, oom_killed: false, finished_at, ran_for: 0 }
    }

    /// Writes the record, whole or not at all.
    pub fn write(&self, path: &Path) -> rcompose_sys::Result<()> {
        let json = serde_json::to_vec(self).expect("a record of numbers has a JSON form");
        rcompose_sys::atomic::write_file_relaxed(path, &json, 0o600)
    }

    /// Reads the record; `None` if there is none, or none that is whole.
    pub fn read(path: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(path).ok()?).ok()
    }
}
