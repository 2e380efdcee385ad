//! New layers, from directories that overlays have written to, and images of them.
//!
//! A layer is packed to learn its digest, and the directory itself becomes the layer: nothing is copied. Nothing is on disk for
//! sure before [`Store::sync`]; an image is only made visible after it.

use std::collections::BTreeSet;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rcompose_sys::atomic::TempDir;

use crate::config::ImageConfig;
use crate::layer::{self, PackError, PackOptions};
use crate::rootfs::View;
use crate::store::{Store, StoreError, storage};
use crate::{Digest, Held};

/// A layer that cannot be taken over.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Its content.
    #[error("failed to pack the layer")]
    Pack(#[from] PackError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A layer that is being written.
#[derive(Debug)]
pub struct NewLayer {
    scratch: TempDir,
    /// Mode, owner and group of the root below.
    below: (u32, u32, u32),
}

impl NewLayer {
    /// Takes what an overlay writes; becomes the layer.
    pub fn upper(&self) -> PathBuf {
        self.scratch.path().join("upper")
    }

    /// What an overlay needs besides.
    pub fn work(&self) -> PathBuf {
        self.scratch.path().join("work")
    }

    /// A folder for whatever else belongs to the making of it.
    pub fn folder(&self) -> &Path {
        self.scratch.path()
    }
}

impl Store {
    /// Begins a layer on top of others.
    pub fn new_layer(&self, below: &View) -> Result<NewLayer, StoreError> {
        let scratch = self.layers.scratch()?;
        let upper = scratch.path().join("upper");
        let made = std::fs::create_dir(&upper).and_then(|()| std::fs::create_dir(scratch.path().join("work")));
        let below = made.and_then(|()| match below.lower.first() {
            Some(top) => root_of(top),
            None => Ok((0o755, 0, 0)),
        });
        let begun = below.and_then(|below| {
            std::os::unix::fs::chown(&upper, Some(below.1), Some(below.2))?;
            std::fs::set_permissions(&upper, PermissionsExt::from_mode(below.0))?;
            Ok(below)
        });
        let below = storage(begun.map_err(|error| crate::store::io("mkdir", &upper, &error)), "begin a layer")?;
        Ok(NewLayer { scratch, below })
    }

    /// Makes a layer of what was written, and holds it. Times later than `latest`, seconds since 1970, become that.
    ///
    /// # Errors
    /// Content that no archive can hold; the file system.
    pub fn commit(&self, made: NewLayer, latest: Option<i64>, held: &Held) -> Result<Digest, CommitError> {
        let recipe = made.scratch.path().join("recipe");
        let with_root = root_of(&made.upper()).is_ok_and(|root| root != made.below);
        let packed = layer::pack(&made.upper(), &recipe, PackOptions { latest, with_root })?;
        held.add_coming(&packed.digest);
        if !self.layers.has(&packed.digest) {
            self.layers.adopt(&made.upper(), &recipe, &packed.digest, packed.bytes)?;
        }
        Ok(packed.digest)
    }

    /// Has everything on disk that was committed.
    pub fn sync(&self) -> Result<(), StoreError> {
        self.layers.sync()
    }

    /// Makes an image visible whose layers are there, and on disk; gives its id. One that is there already stays.
    pub fn add_image(&self, config: &ImageConfig) -> Result<Digest, StoreError> {
        let json = serde_json::to_string(config).expect("a description has a JSON form");
        let id = Digest::of(json.as_bytes());
        if self.index().images.contains_key(&id) {
            return Ok(id);
        }
        let size = config.rootfs.diff_ids.iter().map(|layer| self.layers.size(layer)).sum();
        self.add(&json, config.clone(), size)
    }

    /// The layers that images have.
    pub fn layers_of_images(&self) -> BTreeSet<Digest> {
        self.index().images.values().flat_map(|(config, _)| config.rootfs.diff_ids.iter().cloned()).collect()
    }

    /// Removes a layer that neither an image has nor anybody holds; gives the bytes of its files, 0 if it stays.
    pub fn remove_unused_layer(&self, layer: &Digest) -> Result<u64, StoreError> {
        // Held over the removal: nobody can take hold of it between the question and the deed.
        let index = self.index();
        if index.uses(layer) || self.leases.holds(layer) || !self.layers.has(layer) {
            return Ok(0);
        }
        let bytes = self.layers.size(layer);
        self.layers.remove(layer)?;
        Ok(bytes)
    }

    /// Bytes of a layer's files.
    pub fn size_of_layer(&self, layer: &Digest) -> u64 {
        self.layers.size(layer)
    }
}

fn root_of(directory: &Path) -> std::io::Result<(u32, u32, u32)> {
    let about = std::fs::metadata(directory)?;
    Ok((about.mode() & 0o7777, about.uid(), about.gid()))
}
