//! What becomes `/` of a container.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What becomes `/` of a container.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rootfs {
    /// The directory that the bundle names, as it is.
    #[default]
    Prepared,
    /// Layers, mounted by init inside the container's own mount namespace: the host's mount table never shows them, and when
    /// the container is gone there is nothing to unmount.
    Overlay {
        /// Read-only, topmost first.
        lower: Vec<PathBuf>,
        /// Takes the writes.
        upper: PathBuf,
        /// Empty, on the same file system as `upper`.
        work: PathBuf,
        /// `upper` is to be read as a layer afterwards, and a crash may take it: nothing is synchronised, and a directory that
        /// is renamed is copied.
        #[serde(default)]
        throwaway: bool,
    },
}
