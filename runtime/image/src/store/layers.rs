//! Layers on the disk: one unpacked directory each, with what is known of it beside it.
//!
//! ```text
//! layers/<diff id>/        the unpacked layer, ready to be a lower directory; it is there whole or not at all
//!       /<diff id>.size    bytes of its files
//!       /<diff id>.recipe  how its archive is put together again
//!       /<diff id>.replaced/   files that its archive has twice: what was there before the last
//!       /<diff id>.blobs   in which forms registries have it
//! tmp/                     what is being made
//! trash/                   what is being removed
//! ```
//! The directory is the last to come and the first to go: what lies beside it without it is garbage.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcompose_sys::atomic::{self, TempDir};
use rcompose_sys::fault;
use serde::{Deserialize, Serialize};

use super::{StoreError, storage};
use crate::layer::{self, LayerError};
use crate::{Digest, Reference};

/// Where layers are kept.
#[derive(Debug, Clone)]
pub(crate) struct Layers {
    root: Arc<Path>,
}

/// A form in which a registry has a layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Blob {
    pub(crate) media_type: String,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    /// Repositories that have it, as references; the last that was seen comes first.
    #[serde(default)]
    pub(crate) sources: Vec<String>,
}

/// Repositories that are remembered of one blob.
const MAX_SOURCES: usize = 8;
/// Forms that are remembered of one layer.
const MAX_FORMS: usize = 8;

/// A layer that is unpacked and that nobody sees yet.
pub(crate) struct Unpacked {
    scratch: TempDir,
    pub(crate) diff_id: Digest,
    /// Bytes of its files.
    pub(crate) size: u64,
}

impl Unpacked {
    /// The layer, if it is the one that it should be.
    pub(crate) fn expect(self, diff_id: &Digest) -> Result<Self, LayerError> {
        if self.diff_id == *diff_id {
            return Ok(self);
        }
        Err(LayerError::WrongDigest { expected: diff_id.clone(), found: self.diff_id })
    }
}

impl Layers {
    pub(super) fn new(root: &Path) -> Self {
        Self { root: root.into() }
    }

    pub(crate) fn path(&self, diff_id: &Digest) -> PathBuf {
        self.root.join("layers").join(diff_id.hex())
    }

    pub(crate) fn recipe(&self, diff_id: &Digest) -> PathBuf {
        self.path(diff_id).with_extension("recipe")
    }

    fn size_path(&self, diff_id: &Digest) -> PathBuf {
        self.path(diff_id).with_extension("size")
    }

    fn blobs_path(&self, diff_id: &Digest) -> PathBuf {
        self.path(diff_id).with_extension("blobs")
    }

    pub(crate) fn has(&self, diff_id: &Digest) -> bool {
        self.path(diff_id).is_dir()
    }

    /// Bytes of a layer's files.
    pub(crate) fn size(&self, diff_id: &Digest) -> u64 {
        std::fs::read_to_string(self.size_path(diff_id)).ok().and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// A folder for something that is being made.
    pub(crate) fn scratch(&self) -> Result<TempDir, StoreError> {
        storage(TempDir::below(&self.root.join("tmp")), "make a folder")
    }

    /// Unpacks an archive where nobody sees it.
    pub(crate) fn unpack(&self, archive: impl Read) -> Result<Unpacked, LayerError> {
        let write = |source: rcompose_sys::Error| LayerError::Write { entry: "/".to_owned(), source };
        let scratch = TempDir::below(&self.root.join("tmp")).map_err(write)?;
        let target = scratch.path().join("layer");
        std::fs::create_dir(&target).map_err(|error| write(super::io("mkdir", &target, &error)))?;
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&target, mode).map_err(|error| write(super::io("chmod", &target, &error)))?;
        let (diff_id, size) = layer::unpack(archive, &target, &scratch.path().join("recipe"))?;
        fault::point("image.layer.unpacked");
        Ok(Unpacked { scratch, diff_id, size })
    }

    /// Gives a directory that was packed, with its recipe, its place; nothing of it is on the disk for sure before [`Layers::sync`].
    pub(crate) fn adopt(&self, directory: &Path, recipe: &Path, diff_id: &Digest, size: u64) -> Result<(), StoreError> {
        let size = size.to_string();
        storage(atomic::write_file_relaxed(&self.size_path(diff_id), size.as_bytes(), 0o600), "write a layer")?;
        let kept = self.recipe(diff_id);
        let renamed = std::fs::rename(recipe, &kept);
        storage(renamed.map_err(|error| super::io("rename", &kept, &error)), "write a layer")?;
        match atomic::publish_dir_relaxed(directory, &self.path(diff_id)) {
            // Somebody else was faster, with the same.
            Err(error) if error.errno() == rustix::io::Errno::EXIST => Ok(()),
            result => storage(result, "publish a layer"),
        }
    }

    /// Has everything that was unpacked so far on the disk, so that it may be published.
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        storage(atomic::sync_filesystem(&self.root), "write layers")
    }

    /// Gives a layer its place. It has to be on the disk.
    pub(crate) fn publish(&self, unpacked: Unpacked) -> Result<(), StoreError> {
        let diff_id = &unpacked.diff_id;
        let size = unpacked.size.to_string();
        storage(atomic::write_file_relaxed(&self.size_path(diff_id), size.as_bytes(), 0o600), "write a layer")?;
        let (recipe, kept) = (unpacked.scratch.path().join("recipe"), self.recipe(diff_id));
        storage(atomic::remove_tree(&layer::replaced(&kept)), "write a layer")?;
        let renamed = match std::fs::rename(layer::replaced(&recipe), layer::replaced(&kept)) {
            // Hardly an archive has anything twice.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            other => other,
        };
        let renamed = renamed.and_then(|()| std::fs::rename(&recipe, &kept));
        storage(renamed.map_err(|error| super::io("rename", &kept, &error)), "write a layer")?;
        fault::point("image.layer.recipe");
        match atomic::publish_dir(&unpacked.scratch.path().join("layer"), &self.path(diff_id)) {
            // Somebody else was faster, with the same.
            Err(error) if error.errno() == rustix::io::Errno::EXIST => {}
            result => storage(result, "publish a layer")?,
        }
        fault::point("image.layer.published");
        Ok(())
    }

    /// Takes a layer out of sight, and then away.
    pub(crate) fn remove(&self, diff_id: &Digest) -> Result<(), StoreError> {
        let away = storage(TempDir::below(&self.root.join("trash")), "remove a layer")?;
        let path = self.path(diff_id);
        match std::fs::rename(&path, away.path().join("layer")) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return storage(Err(super::io("rename", &path, &error)), "remove a layer");
            }
            _ => {}
        }
        fault::point("image.layer.trashed");
        let recipe = self.recipe(diff_id);
        for path in [self.size_path(diff_id), layer::replaced(&recipe), recipe, self.blobs_path(diff_id)] {
            storage(atomic::remove_tree(&path), "remove a layer")?;
        }
        storage(atomic::remove_tree(&away.into_path()), "remove a layer")
    }

    /// Digests of all that lies there, also of what has lost its directory.
    pub(crate) fn list(&self) -> Vec<Digest> {
        let names = std::fs::read_dir(self.root.join("layers")).into_iter().flatten().flatten().map(|entry| entry.file_name());
        let digest = |name: std::ffi::OsString| name.to_str()?.split('.').next()?.parse().ok();
        let mut all: Vec<Digest> = names.filter_map(digest).collect();
        all.sort();
        all.dedup();
        all
    }

    /// When a layer was published.
    pub(crate) fn published(&self, diff_id: &Digest) -> Option<std::time::SystemTime> {
        std::fs::metadata(self.size_path(diff_id)).and_then(|about| about.modified()).ok()
    }

    /// In which forms registries have a layer.
    pub(crate) fn blobs(&self, diff_id: &Digest) -> Vec<Blob> {
        let json = std::fs::read(self.blobs_path(diff_id)).unwrap_or_default();
        serde_json::from_slice(&json).unwrap_or_default()
    }

    /// Remembers that a repository has a layer, and in which form.
    pub(crate) fn remember(&self, diff_id: &Digest, mut blob: Blob, source: &Reference) -> Result<(), StoreError> {
        let source = format!("{}/{}", source.registry(), source.repository());
        let mut blobs = self.blobs(diff_id);
        if let Some(known) = blobs.iter().position(|known| known.digest == blob.digest) {
            let known = blobs.remove(known);
            if known.sources.first() == Some(&source) {
                return Ok(());
            }
            blob.sources = known.sources;
        }
        blob.sources.retain(|known| *known != source);
        blob.sources.insert(0, source);
        blob.sources.truncate(MAX_SOURCES);
        blobs.insert(0, blob);
        blobs.truncate(MAX_FORMS);
        let json = serde_json::to_vec(&blobs).expect("texts and numbers have a JSON form");
        storage(atomic::write_file_relaxed(&self.blobs_path(diff_id), &json, 0o600), "remember where a layer is")
    }
}
