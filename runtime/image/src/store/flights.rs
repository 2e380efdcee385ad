//! One at a time: several who want the same thing wait for the first to fetch it, and find it there.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::Digest;

/// Locks by what is being fetched.
#[derive(Debug, Default)]
pub(crate) struct Flights(Mutex<BTreeMap<Digest, Weak<tokio::sync::Mutex<()>>>>);

/// The turn of whoever holds it.
pub(crate) type Turn = tokio::sync::OwnedMutexGuard<()>;

impl Flights {
    fn lock_of(&self, what: &Digest) -> Arc<tokio::sync::Mutex<()>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, lock| lock.strong_count() > 0);
        if let Some(lock) = all.get(what).and_then(Weak::upgrade) {
            return lock;
        }
        let lock = Arc::default();
        all.insert(what.clone(), Arc::downgrade(&lock));
        lock
    }

    /// Waits for one's turn. `waiting` is called when somebody else is at it.
    ///
    /// # Cancel safety
    /// Whoever stops waiting has no turn.
    pub(crate) async fn turn(&self, what: &Digest, waiting: impl FnOnce()) -> Turn {
        let lock = self.lock_of(what);
        match lock.clone().try_lock_owned() {
            Ok(turn) => turn,
            Err(_) => {
                waiting();
                lock.lock_owned().await
            }
        }
    }

    /// As [`Flights::turn`], for threads.
    pub(crate) fn blocking_turn(&self, what: &Digest) -> Turn {
        self.lock_of(what).blocking_lock_owned()
    }
}
