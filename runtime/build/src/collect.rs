//! A gentle collection: the cache is kept within its budget, and what was used longest ago goes first.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::time::{Duration, SystemTime};

use rcompose_image::{Digest, StoreError};
use rcompose_sys::atomic;

use crate::builder::Builder;
use crate::usage::{CacheUsage, size};

/// What may go.
enum What {
    /// Steps that came to a layer which no image has, and the layer.
    Layer(Digest, Vec<PathBuf>),
    /// Something that was fetched.
    Fetched(PathBuf),
    /// A cache of mounts.
    Mount(PathBuf),
}

struct Candidate {
    used: SystemTime,
    bytes: u64,
    what: What,
}

impl Builder {
    /// Takes away what was used longest ago, until the cache takes no more than `budget` bytes. What was used within `grace` stays,
    /// and what images have; nothing goes while a build goes on.
    pub fn collect(&self, budget: u64, grace: Duration) -> Result<CacheUsage, StoreError> {
        let mut gone = CacheUsage::default();
        let mut left = self.usage().bytes();
        if left <= budget {
            return Ok(gone);
        }
        let mut candidates = self.candidates();
        candidates.sort_by_key(|candidate| candidate.used);
        for candidate in candidates {
            let young = candidate.used.elapsed().is_ok_and(|age| age < grace);
            if left <= budget || young || !self.take_away(&candidate, &mut gone)? {
                break;
            }
            left = left.saturating_sub(candidate.bytes);
        }
        Ok(gone)
    }

    fn candidates(&self) -> Vec<Candidate> {
        let store = self.engine.images();
        let of_images: BTreeSet<Digest> = store.layers_of_images();
        let mut layers: BTreeMap<Digest, Vec<PathBuf>> = BTreeMap::new();
        for (path, made) in self.cache.steps() {
            if let Some(layer) = made.layer.filter(|layer| !of_images.contains(layer)) {
                layers.entry(layer).or_default().push(path);
            }
        }
        let layers = layers.into_iter().map(|(layer, steps)| {
            let used = steps.iter().map(|path| used(path)).max().unwrap_or(SystemTime::UNIX_EPOCH);
            Candidate { used, bytes: store.size_of_layer(&layer), what: What::Layer(layer, steps) }
        });
        let folders = |folder: PathBuf, what: fn(PathBuf) -> What| {
            let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
            let folders = entries.filter(|path| path.is_dir());
            folders.map(move |path| Candidate { used: used(&path), bytes: size(&path), what: what(path) }).collect::<Vec<_>>()
        };
        let fetched = [self.cache.urls(), self.cache.git()].into_iter().flat_map(|folder| folders(folder, What::Fetched));
        layers.chain(fetched).chain(folders(self.cache.mounts(), What::Mount)).collect()
    }

    /// `false` if a build goes on: it may be about to use it. None begins meanwhile.
    fn take_away(&self, candidate: &Candidate, gone: &mut CacheUsage) -> Result<bool, StoreError> {
        let active = self.active.lock().unwrap_or_else(PoisonError::into_inner);
        if *active > 0 {
            return Ok(false);
        }
        let remove = |path: &Path| match atomic::remove_tree(path) {
            Ok(()) => candidate.bytes,
            Err(error) => {
                tracing::warn!(%error, "a part of the build cache could not be removed");
                0
            }
        };
        match &candidate.what {
            What::Layer(layer, steps) => {
                // Records before the layer: one that is there promises it.
                gone.steps += steps.iter().filter(|path| std::fs::remove_file(path).is_ok()).count();
                self.let_go(layer);
                gone.layers += self.engine.images().remove_unused_layer(layer)?;
            }
            What::Fetched(path) => gone.fetched += remove(path),
            What::Mount(path) => gone.mounts += remove(path),
        }
        Ok(true)
    }
}

/// When something was used last, as builds note it.
fn used(path: &Path) -> SystemTime {
    std::fs::metadata(path).and_then(|about| about.modified()).unwrap_or(SystemTime::UNIX_EPOCH)
}
