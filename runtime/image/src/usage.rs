//! How much images take, and how much of it they share.

use std::collections::{BTreeMap, BTreeSet};

use crate::Digest;
use crate::store::Store;

/// How much images take.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of all layers, each counted once.
    pub total: u64,
    /// Bytes of each image that no other image has too.
    pub unique: BTreeMap<Digest, u64>,
    /// Bytes of layers that no image has: of pulls that were cut off, and of what is being made.
    pub orphaned: u64,
    /// Of these, those that nobody has leased.
    pub collectable: u64,
}

impl Store {
    /// Adds up the layers of all images.
    pub fn usage(&self) -> Usage {
        let index = self.index();
        let mut layers: BTreeMap<&Digest, (u64, u32)> = BTreeMap::new();
        for layer in index.images.values().flat_map(|(config, _)| &config.rootfs.diff_ids) {
            layers.entry(layer).or_insert_with(|| (self.layers.size(layer), 0)).1 += 1;
        }
        let unique = index.images.iter().map(|(id, (config, _))| {
            let own = config.rootfs.diff_ids.iter().filter_map(|layer| layers.get(layer)).filter(|(_, users)| *users == 1);
            (id.clone(), own.map(|(size, _)| size).sum())
        });
        let orphans = self.layers.list().into_iter().filter(|layer| !layers.contains_key(layer));
        let orphans: Vec<(bool, u64)> = orphans.map(|it| (self.leases.holds(&it), self.layers.size(&it))).collect();
        Usage {
            unique: unique.collect(),
            total: layers.values().map(|(size, _)| size).sum(),
            orphaned: orphans.iter().map(|(_, size)| size).sum(),
            collectable: orphans.iter().filter(|(leased, _)| !leased).map(|(_, size)| size).sum(),
        }
    }

    /// Bytes of all layers that some of these images have, each counted once.
    pub fn size_together(&self, ids: &BTreeSet<Digest>) -> u64 {
        let index = self.index();
        let images = index.images.iter().filter(|(id, _)| ids.contains(id));
        let layers: BTreeSet<&Digest> = images.flat_map(|(_, (config, _))| &config.rootfs.diff_ids).collect();
        layers.into_iter().map(|layer| self.layers.size(layer)).sum()
    }
}
