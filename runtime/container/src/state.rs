//! What is known of a container that was launched: `state.json` in its directory below the run root, gone at reboot.
//!
//! ```text
//! <state dir>/state.json     processes and cgroup
//!            /control        socket of the monitor
//! ```

use std::path::Path;

use rcompose_sys::process::Identity;
use serde::{Deserialize, Serialize};

/// Processes and cgroup of a launched container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The monitor.
    pub monitor: ProcessIdentity,
    /// The container's first process.
    pub init: ProcessIdentity,
    /// Path of its cgroup in every hierarchy.
    pub cgroup: Option<String>,
}

/// [`Identity`] as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessIdentity {
    pid: i32,
    start_time: u64,
    boot_id: String,
}

impl ProcessIdentity {
    /// The number.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Back to what can be opened.
    pub fn identity(&self) -> Identity {
        Identity { pid: self.pid, start_time: self.start_time, boot_id: self.boot_id.clone() }
    }
}

impl From<Identity> for ProcessIdentity {
    fn from(Identity { pid, start_time, boot_id }: Identity) -> Self {
        Self { pid, start_time, boot_id }
    }
}

impl State {
    /// Writes the state into its directory.
    pub fn write(&self, directory: &Path) -> rcompose_sys::Result<()> {
        let json = serde_json::to_vec(self).expect("texts and numbers have a JSON form");
        rcompose_sys::atomic::write_file_relaxed(&directory.join("state.json"), &json, 0o600)
    }

    /// Reads the state of a directory; `None` if nothing was launched there.
    pub fn read(directory: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(directory.join("state.json")).ok()?).ok()
    }
}
