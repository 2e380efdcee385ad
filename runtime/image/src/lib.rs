//! Images: references, the content store, archives, layers to root file systems.
//!
//! [`Store`] is the whole of it for those above: `load` an archive, `resolve` a reference, `view` what a container's root file
//! system is made of. Everything that comes from outside is checked against its digest before it becomes visible.

mod archive;
mod commit;
mod config;
mod digest;
mod fetch;
mod hold;
mod inspect;
mod layer;
mod reference;
mod registry;
mod rootfs;
mod store;
mod usage;

pub use archive::{ArchiveForm, LoadError, Loaded, SaveError, Saving};
pub use commit::{CommitError, NewLayer};
pub use config::{Config, Healthcheck, ImageConfig, RootFs};
pub use digest::Digest;
pub use fetch::{FetchError, FetchRequest, Fetched, fetch};
pub use hold::Held;
pub use layer::{LayerError, decompressed, unpack_files};
pub use reference::{InvalidReference, Reference};
pub use registry::{PullError, PullProgress, RegistryConfig};
pub use rootfs::{RootfsError, View};
pub use store::{Image, Store, StoreError};
pub use usage::Usage;
