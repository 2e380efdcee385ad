//! Images: references, the content store, archives, registries, layers to root file systems.
//!
//! [`Store`] is the whole of it for those above: `load` an archive, `pull` and `push`, `resolve` a reference, `view` what a
//! container's root file system is made of. Everything that comes from outside is checked against its digest before it becomes
//! visible.

mod archive;
mod attributes;
mod commit;
mod config;
mod digest;
mod fetch;
mod history;
mod hold;
mod import;
mod inspect;
mod layer;
mod layer_set;
mod layout;
mod level;
mod pins;
mod platform;
mod reference;
mod registry;
mod rootfs;
mod store;
mod tree;
mod usage;

pub use archive::{ArchiveForm, LayoutName, LoadError, Loaded, SaveError, Saving};
pub use commit::{CommitError, NewLayer};
pub use config::{BUILD_CACHE_FIELD, Config, Healthcheck, ImageConfig, RootFs};
pub use digest::Digest;
pub use fetch::{FetchError, FetchRequest, Fetched, fetch};
pub use history::Step;
pub use hold::Held;
pub use import::Import;
pub use layer::{LayerError, decompressed, unpack_files};
pub use layer_set::{LayerSet, SetError, SetKind, SetPlace};
pub use pins::{PinError, Pins};
pub use platform::{InvalidPlatform, Platform};
pub use reference::{InvalidReference, Reference};
pub use registry::{
    Artifact, ArtifactForm, ArtifactKind, CredentialsError, LayerState, Login, Part, PullProgress, PushProgress, Pushed,
    RegistryConfig, RegistryError, fetch_artifact, log_in, log_out, push_artifact, resolve_digest,
};
pub use rootfs::{RootfsError, View};
pub use store::{Checked, Collected, Image, Lease, Problem, Store, StoreError};
pub use tree::{ExtractError, Ownership, Part as TreePart, extract, write_part, write_tree};
pub use usage::Usage;
