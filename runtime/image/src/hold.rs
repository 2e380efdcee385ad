//! Layers that somebody works with who has no image of them yet: a build.
//!
//! What is held is not removed with the last image that has it. A hold lives in memory: who held it is gone after a restart.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use crate::rootfs::View;
use crate::store::Store;
use crate::{Digest, ImageConfig};

/// Keeps layers from being removed, as long as it lives.
#[derive(Debug)]
pub struct Held {
    store: Arc<Store>,
    layers: Mutex<Vec<Digest>>,
}

impl Held {
    /// Holds nothing yet.
    pub fn new(store: Arc<Store>) -> Self {
        Self { store, layers: Mutex::new(Vec::new()) }
    }

    /// Holds layers; `false`, and none of them, when one is not there.
    pub fn add(&self, layers: &[Digest]) -> bool {
        let mut index = self.store.index();
        if !layers.iter().all(|layer| self.store.layer_path(layer).is_dir()) {
            return false;
        }
        self.note(&mut index.held, layers);
        true
    }

    /// Holds a layer that is about to be there.
    pub(crate) fn add_coming(&self, layer: &Digest) {
        self.note(&mut self.store.index().held, std::slice::from_ref(layer));
    }

    /// What layers are, lowest first, in a container: read-only directories, topmost first.
    pub fn view(&self, layers: &[Digest]) -> View {
        self.store.view_of(layers)
    }

    /// Finds an image and holds its layers.
    pub fn resolve(&self, name: &str) -> Option<(Digest, ImageConfig)> {
        let image = self.store.resolve(name).ok()?;
        self.add(&image.config.rootfs.diff_ids).then_some((image.id, image.config))
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    fn note(&self, held: &mut std::collections::BTreeMap<Digest, usize>, layers: &[Digest]) {
        for layer in layers {
            *held.entry(layer.clone()).or_default() += 1;
        }
        self.lock().extend_from_slice(layers);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Digest>> {
        self.layers.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Store {
    /// What layers are, lowest first, in a container. One that comes twice, as the empty one does, is there once, at its upper
    /// place: what it changed below it changes again, and an overlay refuses to have a directory twice.
    pub(crate) fn view_of(&self, layers: &[Digest]) -> View {
        let mut seen = BTreeSet::new();
        let topmost = layers.iter().rev().filter(|layer| seen.insert(*layer));
        View { lower: topmost.map(|layer| self.layer_path(layer)).collect(), binds: Vec::new() }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut index = self.store.index();
        for layer in self.lock().drain(..) {
            if let Some(count) = index.held.get_mut(&layer) {
                *count -= 1;
                if *count == 0 {
                    index.held.remove(&layer);
                }
            }
        }
    }
}
