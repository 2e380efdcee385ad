//! What builds get from elsewhere: images, files, caches.

use std::path::Path;
use std::sync::Arc;

use rcompose_build::{CACHE_KIND, ExchangeFailure, Outside, PullFailure};
use rcompose_engine::image::{Digest, FetchRequest, Fetched, LayerSet, SetError, SetPlace};

use crate::supervisor::Supervisor;

/// Pulls and fetches for builds.
pub(super) struct Puller {
    pub(super) supervisor: Arc<Supervisor>,
    pub(super) runtime: tokio::runtime::Handle,
    /// Nothing is asked of anybody outside.
    pub(super) offline: bool,
}

impl Outside for Puller {
    fn pull(&self, reference: &str, _always: bool) -> Result<(), PullFailure> {
        let pulled = self.runtime.block_on(self.supervisor.pull(reference, None, self.offline, |_| {}));
        pulled
            .map(drop)
            .map_err(|failure| PullFailure(if failure.causes.is_empty() { failure.message } else { failure.causes.join(": ") }))
    }

    fn fetch(&self, request: &FetchRequest, target: &Path) -> Result<Option<Fetched>, PullFailure> {
        if self.offline {
            return Err(PullFailure("`--offline` fetches nothing".to_owned()));
        }
        let fetching = rcompose_engine::image::fetch(request, &self.supervisor.registries, target);
        self.runtime.block_on(fetching).map_err(|error| PullFailure(error.to_string()))
    }

    fn cache(&self, place: &SetPlace) -> Result<LayerSet, ExchangeFailure> {
        let images = self.supervisor.engine.images();
        let found = match place {
            SetPlace::Registry(_) if self.offline => return Err(offline()),
            SetPlace::Registry(reference) => {
                self.runtime.block_on(images.fetch_layer_set(reference, CACHE_KIND, &self.supervisor.registries))
            }
            SetPlace::Layout { folder, tag } => images.read_layer_set(folder, tag, CACHE_KIND),
        };
        found.map_err(|error| match error {
            error if error.is_absent() => ExchangeFailure("it is not there yet".to_owned()),
            SetError::OfAnotherKind(_) => ExchangeFailure("what is there is no build cache of rcompose".to_owned()),
            error => with_causes(&error),
        })
    }

    fn cached_layer(&self, set: &LayerSet, layer: &Digest) -> Result<(), ExchangeFailure> {
        let importing = self.supervisor.engine.images().import_layer(set, layer, &self.supervisor.registries);
        self.runtime.block_on(importing).map_err(|error| with_causes(&error))
    }

    fn leave_cache(&self, place: &SetPlace, document: &str, layers: &[Digest]) -> Result<(), ExchangeFailure> {
        let images = self.supervisor.engine.images();
        match place {
            SetPlace::Registry(_) if self.offline => Err(offline()),
            SetPlace::Registry(reference) => {
                let pushing = images.push_layer_set(reference, CACHE_KIND, document, layers, &self.supervisor.registries);
                self.runtime.block_on(pushing).map(drop).map_err(|error| with_causes(&error))
            }
            SetPlace::Layout { folder, tag } => {
                let written = images.write_layer_set(folder, tag, CACHE_KIND, document, layers);
                written.map(drop).map_err(|error| with_causes(&error))
            }
        }
    }
}

fn offline() -> ExchangeFailure {
    ExchangeFailure("`--offline` asks no registry".to_owned())
}

fn with_causes(error: &dyn std::error::Error) -> ExchangeFailure {
    let causes = std::iter::successors(Some(error), |error| error.source());
    ExchangeFailure(causes.map(ToString::to_string).collect::<Vec<_>>().join(": "))
}
