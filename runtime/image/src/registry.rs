//! Registries: pulling, pushing, and who asks.
//!
//! What comes is hashed while it streams, and is nothing until digest and size are right. Credentials go to the host that they are
//! for, never along with a redirect; plain HTTP is spoken with loopback and with hosts that the configuration names.
//!
//! Spec: distribution-spec 1.1; image-spec `descriptor.md`, `manifest.md`, `image-index.md`.

mod artifact;
mod authorization;
mod credentials;
mod download;
mod endpoint;
mod error;
mod layer_set;
mod login;
mod manifest;
mod progress;
mod publish;
mod pull;
mod push;
mod repair;
mod spool;
mod transport;
mod upload;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use artifact::{Artifact, ArtifactKind, Part, fetch_artifact, resolve_digest};
pub use credentials::CredentialsError;
pub use error::RegistryError;
pub(crate) use layer_set::is_absent;
pub use login::{Login, log_in, log_out};
pub(crate) use manifest::{Descriptor, OCI_MANIFEST};
pub use progress::{LayerState, PullProgress, PushProgress};
pub use publish::{ArtifactForm, push_artifact};
pub use push::Pushed;
pub(crate) use spool::{COMPRESSION, pack};

/// Registries, as the configuration describes them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct RegistryConfig {
    /// Asked instead of a registry, by its name (`docker.io`); the first that answers, then the registry itself.
    pub mirrors: BTreeMap<String, Vec<String>>,
    /// Hosts that plain HTTP may be spoken with, besides loopback; where they speak TLS, that is better.
    pub insecure: Vec<String>,
    /// Files of certificates that are trusted besides the system's.
    pub certificates: Vec<PathBuf>,
    /// Docker's `config.json`, for credentials.
    pub credentials: Option<PathBuf>,
    /// A transfer of which nothing came for so many seconds is begun again where it was; 60 if not given.
    pub stall_seconds: Option<u64>,
    /// Layers that manifests call foreign are fetched from the registry all the same.
    pub foreign_layers: bool,
}
