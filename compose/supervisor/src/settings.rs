//! Where a supervisor works.

use std::path::PathBuf;

use rcompose_engine::image::RegistryConfig;
use serde::{Deserialize, Serialize};

/// Where a supervisor works, and with what.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Settings {
    /// What outlives a reboot.
    pub data_root: PathBuf,
    /// What does not.
    pub run_root: PathBuf,
    /// Subnets are cut from these; the default ones if empty.
    pub pools: Vec<String>,
    /// Registries.
    #[serde(default)]
    pub registries: RegistryConfig,
    /// Bytes that the build cache may take; a tenth of the disk, and 20 GiB at most, if not given.
    #[serde(default)]
    pub build_cache: Option<u64>,
}

impl Settings {
    /// Bytes that the build cache may take.
    pub(crate) fn build_cache_budget(&self) -> u64 {
        const MOST: u64 = 20 << 30;
        let disk = || rustix::fs::statvfs(&self.data_root).map_or(MOST, |disk| disk.f_blocks.saturating_mul(disk.f_frsize) / 10);
        self.build_cache.unwrap_or_else(|| disk().min(MOST))
    }
}

impl Settings {
    /// The socket that the supervisor answers on.
    pub fn socket(&self) -> PathBuf {
        self.run_root.join("supervisor.sock")
    }

    /// Held by a supervisor that does not answer yet.
    pub fn starting(&self) -> PathBuf {
        self.run_root.join("supervisor.starting")
    }

    /// Held by the one supervisor of a data root.
    pub fn lock(&self) -> PathBuf {
        self.run_root.join("supervisor.lock")
    }
}
