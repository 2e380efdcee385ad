//! Builds: a request to an image. One builder for all of a data root.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rcompose_engine::Engine;
use rcompose_image::{Digest, Lease};

use crate::build::{Build, Surroundings};
use crate::cache::{Cache, Made};
use crate::dockerfile::{Dockerfile, Problem};
use crate::error::BuildError;
use crate::request::{BuildRequest, Outside, Watch};
use crate::scheduler::{Cancel, Scheduler};
use crate::sources::Sources;

/// Builds images.
pub struct Builder {
    pub(crate) engine: Arc<Engine>,
    pub(crate) cache: Cache,
    pub(crate) scheduler: Scheduler,
    /// Layers of steps that are known: they outlive the images that have them, until the cache is pruned.
    pub(crate) kept: Mutex<BTreeMap<Digest, Lease>>,
    /// How many builds run: while one does, what others made may not be on disk.
    pub(crate) active: Mutex<usize>,
}

/// What a build came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// The image.
    pub image: Digest,
    /// Every step was taken from the cache.
    pub cached: bool,
}

impl Builder {
    /// Opens the build cache at `root`. At most `steps` steps of all builds run at a time.
    pub fn open(engine: Arc<Engine>, root: &Path, steps: usize) -> std::io::Result<Self> {
        let (cache, scheduler) = (Cache::open(root)?, Scheduler::new(steps.max(1)));
        let builder = Self { engine, cache, scheduler, kept: Mutex::default(), active: Mutex::new(0) };
        builder.cache.steps().into_iter().for_each(|(_, made)| builder.keep(&made));
        Ok(builder)
    }

    /// Keeps the layer of a step for the builds to come.
    pub(crate) fn keep(&self, made: &Made) {
        if let Some(layer) = &made.layer {
            let lease = || self.engine.images().lease([layer.clone()]);
            self.kept.lock().unwrap_or_else(PoisonError::into_inner).entry(layer.clone()).or_insert_with(lease);
        }
    }

    /// No longer keeps a layer: it is whoever's that has it.
    pub(crate) fn let_go(&self, layer: &Digest) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).remove(layer);
    }

    /// Builds an image, and has its names stand for it. Blocks until it is done.
    pub fn build(
        &self,
        request: &BuildRequest,
        outside: &dyn Outside,
        watch: &Watch<'_>,
        cancel: &Cancel,
    ) -> Result<Built, BuildError> {
        *self.active.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        let session = self.engine.build_session();
        let built = self.run(request, outside, watch, cancel);
        drop(session);
        *self.active.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        built
    }

    /// Looks at the Dockerfile of a request; gives all that is wrong with it.
    pub fn check(&self, request: &BuildRequest, outside: &dyn Outside) -> Result<(String, Vec<Problem>), BuildError> {
        let sources = Sources::open(self, request, outside)?;
        let (_, problems) = Dockerfile::parse(sources.text.as_bytes());
        Ok((sources.file, problems))
    }

    /// The images that a request would be built from, as far as its Dockerfile says so: what triggers of a base copy is not known.
    pub fn bases(&self, request: &BuildRequest, outside: &dyn Outside) -> Result<BTreeSet<String>, BuildError> {
        let around = Surroundings { outside, watch: &drop, cancel: &Cancel::default() };
        let build = Build::prepare(self, request, Sources::open(self, request, outside)?, around)?;
        build.bases(build.target()?)
    }

    fn run(
        &self,
        request: &BuildRequest,
        outside: &dyn Outside,
        watch: &Watch<'_>,
        cancel: &Cancel,
    ) -> Result<Built, BuildError> {
        let sources = Sources::open(self, request, outside)?;
        let build = Build::prepare(self, request, sources, Surroundings { outside, watch, cancel })?;
        let target = build.target()?;
        build.start_early(target);
        let state = match build.stage(target) {
            Ok(state) => state.clone(),
            // The first that failed had the others stop.
            Err(error) => return Err(build.first_failure().unwrap_or_else(|| error.clone())),
        };
        if let Some(index) = build.context.as_ref().and_then(|context| context.index.as_ref()) {
            index.save();
        }
        build.unused_arguments();
        build.finish(state)
    }

    /// Has everything on disk that builds made, as far as no other build goes on.
    pub(crate) fn sync(&self) -> Result<(), BuildError> {
        self.engine.images().sync()?;
        let active = self.active.lock().unwrap_or_else(PoisonError::into_inner);
        if *active == 1 {
            self.cache.synced();
        }
        Ok(())
    }
}
