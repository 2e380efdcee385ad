//! How far pulls and pushes are, layer by layer.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use crate::Digest;

/// How far a pull is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PullProgress {
    /// Somebody else pulls the same image.
    Waiting,
    /// All layers together, as they are sent.
    Total {
        /// Bytes that are there.
        done: u64,
        /// Bytes of all layers that were missing.
        total: u64,
    },
    /// One layer.
    Layer {
        /// Digest of what is sent.
        layer: Digest,
        /// How far it is.
        state: LayerState,
        /// Bytes that are there.
        done: u64,
        /// Bytes in all.
        total: u64,
    },
}

/// How far a push is; layers as they are of a pull.
pub type PushProgress = PullProgress;

/// How far a layer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum LayerState {
    /// Nothing happened yet.
    Pending,
    /// Somebody else is at it.
    Waiting,
    /// It comes, and is unpacked meanwhile.
    Downloading,
    /// All of it is there, and what is left is unpacked.
    Extracting,
    /// It was there.
    Exists,
    /// It is there.
    Complete,
    /// It is read and compressed.
    Preparing,
    /// It is sent.
    Uploading,
    /// The registry has it from another of its repositories.
    Mounted,
    /// It was sent.
    Pushed,
}

const STATES: [LayerState; 10] = [
    LayerState::Pending,
    LayerState::Waiting,
    LayerState::Downloading,
    LayerState::Extracting,
    LayerState::Exists,
    LayerState::Complete,
    LayerState::Preparing,
    LayerState::Uploading,
    LayerState::Mounted,
    LayerState::Pushed,
];

/// A layer, written by the one who fetches or sends it, and read by the one who tells of it.
pub(super) struct Watched {
    layer: Digest,
    total: AtomicU64,
    done: AtomicU64,
    state: AtomicU8,
    told: std::sync::Mutex<Option<(LayerState, u64)>>,
}

impl Watched {
    pub(super) fn new(layer: &Digest, total: u64) -> Self {
        let (done, state) = (AtomicU64::new(0), AtomicU8::new(LayerState::Pending as u8));
        Self { layer: layer.clone(), total: AtomicU64::new(total), done, state, told: std::sync::Mutex::default() }
    }

    pub(super) fn set(&self, state: LayerState) {
        self.state.store(state as u8, Ordering::Relaxed);
    }

    pub(super) fn set_total(&self, total: u64) {
        self.total.store(total, Ordering::Relaxed);
    }

    /// Bytes that are there.
    pub(super) fn count(&self) -> &AtomicU64 {
        &self.done
    }

    fn state(&self) -> LayerState {
        STATES[usize::from(self.state.load(Ordering::Relaxed))]
    }

    /// Tells what is new of each, and of all together.
    pub(super) fn tell(all: &[Self], progress: &(impl Fn(PullProgress) + Send + Sync)) {
        let (mut done, mut total, mut is_new) = (0, 0, false);
        for watched in all {
            let (state, count) = (watched.state(), watched.done.load(Ordering::Relaxed));
            let of = watched.total.load(Ordering::Relaxed);
            if state != LayerState::Exists {
                (done, total) = (done + count, total + of);
            }
            let mut told = watched.told.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if *told != Some((state, count)) {
                *told = Some((state, count));
                is_new = true;
                progress(PullProgress::Layer { layer: watched.layer.clone(), state, done: count, total: of });
            }
        }
        if is_new && total > 0 {
            progress(PullProgress::Total { done, total });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_new_is_told() {
        assert!(STATES.iter().enumerate().all(|(number, state)| *state as usize == number));
        let all = [Watched::new(&Digest::of(b"a"), 10), Watched::new(&Digest::of(b"b"), 20)];
        let told = std::sync::Mutex::new(Vec::new());
        let tell = || Watched::tell(&all, &|at| told.lock().unwrap().push(at));
        all[0].set(LayerState::Exists);
        all[1].set(LayerState::Downloading);
        all[1].count().store(5, Ordering::Relaxed);
        tell();
        assert_eq!(told.lock().unwrap().len(), 3);
        assert_eq!(told.lock().unwrap()[2], PullProgress::Total { done: 5, total: 20 });
        tell();
        assert_eq!(told.lock().unwrap().len(), 3);
    }
}
