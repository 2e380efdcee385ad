//! What the build cache takes, and taking it away.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::PoisonError;

use rcompose_image::Digest;
use rcompose_sys::atomic;

use crate::builder::Builder;

/// What the build cache takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheUsage {
    /// Steps that are known.
    pub steps: usize,
    /// Bytes of layers that no image has.
    pub layers: u64,
    /// Bytes of caches of mounts.
    pub mounts: u64,
    /// Bytes of what was fetched.
    pub fetched: u64,
}

impl CacheUsage {
    /// Bytes of all.
    pub fn bytes(&self) -> u64 {
        self.layers + self.mounts + self.fetched
    }
}

/// What is taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prune {
    /// What no image has, and what was fetched.
    Unused,
    /// Everything that no build uses now, caches of mounts too.
    All,
}

impl Builder {
    /// Adds up what the cache takes.
    pub fn usage(&self) -> CacheUsage {
        let store = self.engine.images();
        let of_images = store.layers_of_images();
        let steps = self.cache.steps();
        let layers: BTreeSet<&Digest> = steps.iter().filter_map(|(_, made)| made.layer.as_ref()).collect();
        let only_here = layers.into_iter().filter(|layer| !of_images.contains(layer));
        CacheUsage {
            layers: only_here.map(|layer| store.size_of_layer(layer)).sum(),
            steps: steps.len(),
            mounts: size(&self.cache.mounts()),
            fetched: size(&self.cache.urls()) + size(&self.cache.git()),
        }
    }

    /// Takes away what is not used; gives what that was.
    pub fn prune(&self, what: Prune) -> Result<CacheUsage, rcompose_image::StoreError> {
        let store = self.engine.images();
        let of_images = store.layers_of_images();
        let mut gone = CacheUsage::default();
        // Records before layers: one that is there promises its layer.
        for (path, made) in self.cache.steps() {
            let used = made.layer.as_ref().is_some_and(|layer| of_images.contains(layer));
            if what == Prune::Unused && used {
                continue;
            }
            gone.steps += usize::from(std::fs::remove_file(&path).is_ok());
            if let Some(layer) = made.layer {
                self.let_go(&layer);
                gone.layers += store.remove_unused_layer(&layer)?;
            }
        }
        for layer in self.let_go_of_unknown() {
            gone.layers += store.remove_unused_layer(&layer)?;
        }
        // A build that goes on may be about to read them.
        let idle = *self.active.lock().unwrap_or_else(PoisonError::into_inner) == 0;
        if idle {
            for folder in [self.cache.urls(), self.cache.git()] {
                gone.fetched += empty(&folder);
            }
            if what == Prune::All {
                gone.mounts += empty(&self.cache.mounts());
            }
        }
        Ok(gone)
    }
}

impl Builder {
    /// No longer keeps layers that no step is known to have come to: a step that ran again may have come to another.
    fn let_go_of_unknown(&self) -> Vec<Digest> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let known: BTreeSet<Digest> = self.cache.steps().into_iter().filter_map(|(_, made)| made.layer).collect();
        let unknown: Vec<Digest> = kept.keys().filter(|layer| !known.contains(*layer)).cloned().collect();
        kept.retain(|layer, _| known.contains(layer));
        unknown
    }
}

/// Bytes of the files below a folder.
pub(crate) fn size(folder: &Path) -> u64 {
    let mut total = 0;
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            // One that has just gone takes nothing.
            let Ok(about) = entry.metadata() else { continue };
            if about.is_dir() {
                open.push(entry.path());
            } else {
                total += about.len();
            }
        }
    }
    total
}

/// Removes what is in a folder; gives its bytes.
fn empty(folder: &Path) -> u64 {
    let mut gone = 0;
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let bytes = size(&entry.path());
        match atomic::remove_tree(&entry.path()) {
            Ok(()) => gone += bytes,
            Err(error) => tracing::warn!(%error, "a part of the build cache could not be removed"),
        }
    }
    gone
}
