//! `develop.watch`: what follows when a file changes.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Hook;

/// One rule of `develop.watch`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WatchRule {
    /// Absolute file or directory, links followed.
    pub path: PathBuf,
    /// What follows.
    pub action: WatchAction,
    /// Path in the container; there unless nothing is synchronised.
    pub target: Option<String>,
    /// Patterns as in `.dockerignore`, relative to `path`.
    pub ignore: Vec<String>,
    /// Patterns of what alone counts; empty is everything.
    pub include: Vec<String>,
    /// Files that are there already are synchronised too.
    pub initial_sync: bool,
    /// What runs in the container after `sync+exec`.
    pub exec: Option<Hook>,
}

/// What follows when a watched file changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WatchAction {
    /// The file is written into the containers.
    Sync,
    /// The image is built, and the containers are made anew.
    Rebuild,
    /// The containers start again.
    Restart,
    /// The file is written, then the containers start again.
    SyncRestart,
    /// The file is written, then a command runs.
    SyncExec,
}

impl WatchAction {
    /// Tells whether files are written into containers.
    pub fn syncs(self) -> bool {
        matches!(self, Self::Sync | Self::SyncRestart | Self::SyncExec)
    }
}
