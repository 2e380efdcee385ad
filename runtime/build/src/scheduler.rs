//! One for all builds: how many steps run at a time, who waits for whose, and how a build is told to stop.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

use rcompose_engine::StepHandle;

use crate::cache::{Key, Made};
use crate::error::StepError;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tells a build to stop.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<CancelState>);

#[derive(Debug, Default)]
struct CancelState {
    told: AtomicBool,
    running: Mutex<BTreeMap<u64, StepHandle>>,
}

impl Cancel {
    /// Kills what runs; nothing begins any more.
    pub fn cancel(&self) {
        self.0.told.store(true, Ordering::SeqCst);
        lock(&self.0.running).values().for_each(StepHandle::kill);
    }

    /// Tells whether both are the same build's.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Tells whether it was told to stop.
    pub fn is_cancelled(&self) -> bool {
        self.0.told.load(Ordering::SeqCst)
    }

    pub(crate) fn check(&self) -> Result<(), StepError> {
        if self.is_cancelled() { Err(StepError::Cancelled) } else { Ok(()) }
    }

    /// Kills a step when the build is told to stop, until what comes back is dropped.
    pub(crate) fn watch(&self, step: StepHandle) -> Watched {
        static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        lock(&self.0.running).insert(number, step.clone());
        // Told between the last look and now.
        if self.is_cancelled() {
            step.kill();
        }
        Watched { cancel: self.clone(), number }
    }
}

/// A step that is killed when its build is told to stop.
pub(crate) struct Watched {
    cancel: Cancel,
    number: u64,
}

impl Drop for Watched {
    fn drop(&mut self) {
        lock(&self.cancel.0.running).remove(&self.number);
    }
}

/// What a step comes to, for all who want the same.
type Flight = Arc<OnceLock<Result<Made, StepError>>>;

/// How many steps run at a time, and which.
#[derive(Debug)]
pub(crate) struct Scheduler {
    free: Mutex<usize>,
    freed: Condvar,
    flights: Mutex<BTreeMap<Key, Flight>>,
    /// Caches that steps have for themselves.
    caches: Mutex<BTreeSet<String>>,
    cache_freed: Condvar,
}

impl Scheduler {
    pub(crate) fn new(steps: usize) -> Self {
        Self {
            free: Mutex::new(steps),
            freed: Condvar::new(),
            flights: Mutex::new(BTreeMap::new()),
            caches: Mutex::new(BTreeSet::new()),
            cache_freed: Condvar::new(),
        }
    }

    /// Waits for a turn.
    pub(crate) fn turn(&self, cancel: &Cancel) -> Result<Turn<'_>, StepError> {
        let mut free = lock(&self.free);
        while *free == 0 {
            // A build that is told to stop waits for somebody else's step at most; that one ends by itself.
            free = self.freed.wait(free).unwrap_or_else(PoisonError::into_inner);
        }
        cancel.check()?;
        *free -= 1;
        Ok(Turn(self))
    }

    /// Makes something once, however many builds want it at the same time. Gives whether this call made it.
    pub(crate) fn once(
        &self,
        key: &Key,
        cancel: &Cancel,
        make: impl Fn() -> Result<Made, StepError>,
    ) -> Result<(Made, bool), StepError> {
        loop {
            let flight = lock(&self.flights).entry(key.clone()).or_default().clone();
            let mut own = false;
            let outcome = flight.get_or_init(|| {
                own = true;
                let outcome = make();
                lock(&self.flights).remove(key);
                outcome
            });
            match outcome {
                // Another build was told to stop; this one was not.
                Err(StepError::Cancelled) if !own && !cancel.is_cancelled() => {}
                other => return other.clone().map(|made| (made, own)),
            }
        }
    }

    /// Waits until nobody has a cache for himself.
    pub(crate) fn lock_cache(&self, id: &str, cancel: &Cancel) -> Result<CacheLock<'_>, StepError> {
        let mut caches = lock(&self.caches);
        while caches.contains(id) {
            caches = self.cache_freed.wait(caches).unwrap_or_else(PoisonError::into_inner);
        }
        cancel.check()?;
        caches.insert(id.to_owned());
        Ok(CacheLock { scheduler: self, id: id.to_owned() })
    }

    /// Takes the first of several caches that nobody has: `id`, `id.1`, `id.2`.
    pub(crate) fn own_cache(&self, id: &str) -> CacheLock<'_> {
        let mut caches = lock(&self.caches);
        let names = std::iter::once(id.to_owned()).chain((1_u32..).map(|number| format!("{id}.{number}")));
        let id = names.into_iter().find(|name| !caches.contains(name)).unwrap_or_else(|| id.to_owned());
        caches.insert(id.clone());
        CacheLock { scheduler: self, id }
    }
}

/// A cache that a step has for itself.
pub(crate) struct CacheLock<'a> {
    scheduler: &'a Scheduler,
    pub(crate) id: String,
}

impl Drop for CacheLock<'_> {
    fn drop(&mut self) {
        lock(&self.scheduler.caches).remove(&self.id);
        self.scheduler.cache_freed.notify_all();
    }
}

/// The right to work.
pub(crate) struct Turn<'a>(&'a Scheduler);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *lock(&self.0.free) += 1;
        self.0.freed.notify_one();
    }
}
