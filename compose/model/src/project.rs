//! The typed model: one [`Project`] in canonical form, the same for every way it could have been written.
//!
//! Everything here is what the Compose specification calls the normalized model: short syntaxes are gone, names are
//! resolved, relative paths are absolute, defaults that the specification fixes are filled in. Where a value was written
//! is kept beside the model, in [`Project::origins`], by path (`services.web.ports[0]`).
//!
//! The types carry `serde` derives because their JSON is what the supervisor's socket carries; the text that
//! `rcompose config` prints is made in `emit`, from the same node tree.

mod develop;
mod probe;
mod resource;
mod service;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use develop::{WatchAction, WatchRule};
pub use probe::HttpProbe;
pub use resource::{FileObject, FileSource, IpamPool, Network, Volume};
pub use service::{
    Build, Condition, Dependency, Device, EnvFile, FileReference, Healthcheck, HealthcheckTest, Hook, Limits, Logging, Mount,
    MountKind, NetworkAttachment, NetworkMode, PortMapping, Propagation, Protocol, PullPolicy, RestartPolicy, SecurityOption,
    Service, StartHook, Ulimit,
};

use crate::origin::Origins;

/// A whole stack, resolved: what the user wants to exist.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Project {
    /// `[a-z0-9][a-z0-9_-]*`.
    pub name: String,
    /// Absolute; relative paths of the files were resolved against it.
    pub working_dir: PathBuf,
    /// Absolute paths of the Compose files, in the order in which they were merged; `-` for standard input.
    pub files: Vec<PathBuf>,
    /// `--env-file` arguments, absolute, when any were given.
    pub env_files: Vec<PathBuf>,
    /// Enabled services by name.
    pub services: BTreeMap<String, Service>,
    /// Names of services that a profile keeps out of this run. They are not orphans.
    pub disabled_services: Vec<String>,
    /// By key in the file.
    pub networks: BTreeMap<String, Network>,
    /// By key in the file.
    pub volumes: BTreeMap<String, Volume>,
    /// By key in the file.
    pub configs: BTreeMap<String, FileObject>,
    /// By key in the file.
    pub secrets: BTreeMap<String, FileObject>,
    /// Names of containers and images have `_` between their parts, not `-`.
    #[serde(default)]
    pub compatibility: bool,
    /// Where each value was written, by path.
    pub origins: Origins,
}
