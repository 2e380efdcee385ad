//! Leases: what somebody is about to use is not collected, though no image has it yet.
//!
//! A store belongs to one process, so a lease is a count in memory: it ends with its value or with the process, whatever comes
//! first. What a process that was killed had leased is garbage like any other.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::Digest;

type Counts = BTreeMap<Digest, usize>;

/// Everything that is leased.
#[derive(Debug, Clone, Default)]
pub(crate) struct Leases(Arc<Mutex<Counts>>);

/// Keeps layers from being collected while it lives.
#[derive(Debug)]
pub struct Lease {
    layers: Vec<Digest>,
    all: Leases,
}

impl Leases {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn take(&self, layers: impl IntoIterator<Item = Digest>) -> Lease {
        let layers: Vec<Digest> = layers.into_iter().collect();
        let mut counts = self.counts();
        for layer in &layers {
            *counts.entry(layer.clone()).or_default() += 1;
        }
        drop(counts);
        Lease { layers, all: self.clone() }
    }

    pub(crate) fn holds(&self, layer: &Digest) -> bool {
        self.counts().contains_key(layer)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut counts = self.all.counts();
        for layer in &self.layers {
            match counts.get_mut(layer) {
                Some(1) | None => drop(counts.remove(layer)),
                Some(count) => *count -= 1,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_is_held_until_the_last_lease_of_it_ends() {
        let (all, layer) = (Leases::default(), Digest::of(b"x"));
        let one = all.take([layer.clone()]);
        let other = all.take([layer.clone(), layer.clone()]);
        drop(one);
        assert!(all.holds(&layer));
        drop(other);
        assert!(!all.holds(&layer));
    }
}
