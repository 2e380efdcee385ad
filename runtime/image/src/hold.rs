//! Layers that somebody works with who has no image of them yet: a build.
//!
//! What is held is not removed with the last image that has it. A hold lives in memory: who held it is gone after a restart.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use crate::rootfs::View;
use crate::store::{Lease, Store};
use crate::{Digest, ImageConfig};

/// Keeps layers from being removed, as long as it lives.
#[derive(Debug)]
pub struct Held {
    store: Arc<Store>,
    leases: Mutex<Vec<Lease>>,
}

impl Held {
    /// Holds nothing yet.
    pub fn new(store: Arc<Store>) -> Self {
        Self { store, leases: Mutex::new(Vec::new()) }
    }

    /// Holds layers; `false`, and none of them, when one is not there.
    pub fn add(&self, layers: &[Digest]) -> bool {
        let lease = self.store.lease(layers.iter().cloned());
        let are_there = layers.iter().all(|layer| self.store.layers.has(layer));
        if are_there {
            self.keep(lease);
        }
        are_there
    }

    /// Holds a layer that is about to be there.
    pub(crate) fn add_coming(&self, layer: &Digest) {
        self.keep(self.store.lease([layer.clone()]));
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

    fn keep(&self, lease: Lease) {
        self.leases.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(lease);
    }
}

impl Store {
    /// What layers are, lowest first, in a container. One that comes twice, as the empty one does, is there once, at its upper
    /// place: what it changed below it changes again, and an overlay refuses to have a directory twice.
    pub(crate) fn view_of(&self, layers: &[Digest]) -> View {
        let mut seen = BTreeSet::new();
        let topmost = layers.iter().rev().filter(|layer| seen.insert(*layer));
        View { lower: topmost.map(|layer| self.layers.path(layer)).collect(), binds: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use rcompose_sys::atomic::TempDir;

    use super::*;

    /// Writes a file on top of nothing and makes a layer of it.
    fn layer(store: &Arc<Store>, held: &Held, name: &str) -> Digest {
        let new = store.new_layer(&View::default()).unwrap();
        std::fs::write(new.upper().join(name), name).unwrap();
        store.commit(new, Some(0), held).unwrap()
    }

    #[test]
    fn what_is_held_stays_when_its_last_image_goes() {
        let folder = TempDir::new().unwrap();
        let store = Arc::new(Store::open(folder.path()).unwrap());
        let held = Held::new(store.clone());
        let one = layer(&store, &held, "one");
        let image = ImageConfig { architecture: "amd64".to_owned(), ..ImageConfig::default() };
        let mut image = ImageConfig { os: "linux".to_owned(), ..image };
        image.rootfs.diff_ids = vec![one.clone()];
        let id = store.add_image(&image).unwrap();
        assert_eq!(store.add_image(&image).unwrap(), id, "the same image is there once");
        store.remove(id.hex()).unwrap();
        assert!(Held::new(store.clone()).add(std::slice::from_ref(&one)));
        assert_eq!(store.remove_unused_layer(&one).unwrap(), 0, "it is held");
        drop(held);
        assert_eq!(store.remove_unused_layer(&one).unwrap(), 3);
        assert!(!Held::new(store).add(&[one]));
    }

    #[test]
    fn a_layer_that_comes_twice_is_seen_once_at_its_upper_place() {
        let folder = TempDir::new().unwrap();
        let store = Arc::new(Store::open(folder.path()).unwrap());
        let held = Held::new(store.clone());
        let (one, two) = (layer(&store, &held, "one"), layer(&store, &held, "two"));
        let view = held.view(&[one.clone(), two.clone(), one.clone()]);
        assert_eq!(view.lower, [store.layers.path(&one), store.layers.path(&two)]);
    }
}
