//! What is kept of a container.
//!
//! ```text
//! <data>/containers/<id>/container.json    the record; the directory appears by a rename, whole
//!                       /exit.json         how it ended last, written by its monitor
//!                       /upper /work       its own layer
//!                       /rootfs            where init mounts its root, in a mount namespace of its own
//!                       /config.json       the bundle of its last start
//!                       /etc               its hosts, hostname and resolv.conf
//! <run>/containers/<id>                    state and socket of its monitor, while it runs
//!                 /<id>.files              a tmpfs: files that were written for it
//! ```

use std::path::{Path, PathBuf};

use rcompose_container::ContainerId;
use serde::{Deserialize, Serialize};

use crate::ContainerSpec;

/// What is kept of a container.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// 64 hex digits.
    pub id: ContainerId,
    /// As asked for; only the name may change later.
    pub spec: ContainerSpec,
    /// Id of the image that it was made from.
    pub image_id: String,
    /// Seconds since 1970.
    pub created: i64,
    /// Nanoseconds since 1970, of the last start; `None` before the first.
    pub started_at: Option<i64>,
    /// Names of the anonymous volumes that were made for it.
    pub anonymous_volumes: Vec<String>,
    /// Why the last start failed, and the status that stands for it.
    pub failure: Option<(i32, String)>,
    /// When that was, nanoseconds since 1970.
    #[serde(default)]
    pub failed_at: i64,
    /// A removal was begun.
    pub removing: Option<Removal>,
}

/// A removal that was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removal {
    /// Its anonymous volumes go too.
    pub volumes: bool,
}

impl Record {
    pub(crate) fn write(&self, directory: &Path) -> rcompose_sys::Result<()> {
        let json = serde_json::to_vec(self).expect("a record has a JSON form");
        rcompose_sys::atomic::write_file_relaxed(&directory.join("container.json"), &json, 0o600)
    }

    /// Has what was written last on disk.
    pub(crate) fn sync(directory: &Path) -> rcompose_sys::Result<()> {
        rcompose_sys::atomic::sync_file(&directory.join("container.json"))?;
        rcompose_sys::atomic::sync_directory(directory.parent().unwrap_or(directory))
    }

    pub(crate) fn read(directory: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(directory.join("container.json")).ok()?).ok()
    }
}

/// Where things of one container are.
#[derive(Debug, Clone)]
pub(crate) struct Paths {
    pub(crate) directory: PathBuf,
    pub(crate) state: PathBuf,
}

impl Paths {
    pub(crate) fn exit(&self) -> PathBuf {
        self.directory.join("exit.json")
    }

    pub(crate) fn etc(&self) -> PathBuf {
        self.directory.join("etc")
    }

    /// A tmpfs while there are files that were written for it.
    pub(crate) fn files(&self) -> PathBuf {
        self.state.with_extension("files")
    }
}
