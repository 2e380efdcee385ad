//! Garbage: layers that no image has, because a pull was cut off or an image went while its layers were leased.

use std::time::{Duration, SystemTime};

use super::{Store, StoreError};
use crate::Digest;

/// What a collection found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Collected {
    /// Layers that went.
    pub layers: Vec<Digest>,
    /// Bytes of their files.
    pub bytes: u64,
}

impl Store {
    /// Removes layers that no image has, that nobody has leased, and that are older than `grace`: the next try of a pull that was
    /// cut off finds what it had.
    pub fn collect(&self, grace: Duration) -> Result<Collected, StoreError> {
        let mut collected = Collected::default();
        for layer in self.layers.list() {
            let age = self.layers.published(&layer).and_then(|time| SystemTime::now().duration_since(time).ok());
            if age.is_some_and(|age| age < grace) {
                continue;
            }
            // Held over the removal: nobody can take a lease between the question and the deed.
            let index = self.index();
            if index.uses(&layer) || self.leases.holds(&layer) {
                continue;
            }
            let bytes = self.layers.size(&layer);
            self.layers.remove(&layer)?;
            drop(index);
            collected.bytes += bytes;
            collected.layers.push(layer);
        }
        Ok(collected)
    }
}
