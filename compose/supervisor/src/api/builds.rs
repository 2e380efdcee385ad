//! What builds are made from; the build cache: what it takes, and taking it away.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::State;
use rcompose_build::Prune;
use rcompose_engine::EngineError;
use rcompose_model::Project;

use super::{Refusal, Shared};
use crate::messages::{BuildCachePrune, BuildCacheUsage, Failure};

pub(super) fn usage(of: rcompose_build::CacheUsage) -> BuildCacheUsage {
    BuildCacheUsage { steps: of.steps, layers: of.layers, mounts: of.mounts, fetched: of.fetched }
}

/// The images that each service is built from, as far as its Dockerfile says so; those that have a digest to be found out.
pub(super) async fn bases(
    State(supervisor): State<Shared>,
    Json(project): Json<Project>,
) -> Result<Json<BTreeMap<String, BTreeSet<String>>>, Refusal> {
    let mut all = BTreeMap::new();
    for service in project.services.values().filter(|service| service.build.is_some()) {
        let found = crate::build::bases(&supervisor, &project, service).await.map_err(|failure: Failure| {
            let place = project.origins.find(&format!("services.{}.build", service.name)).map(ToString::to_string);
            Failure { place: failure.place.or(place), ..failure }
        })?;
        all.insert(service.name.clone(), found.iter().filter_map(|name| crate::lock::to_lock(name)).collect());
    }
    Ok(Json(all))
}

pub(super) async fn describe(State(supervisor): State<Shared>) -> Result<Json<BuildCacheUsage>, Refusal> {
    let builder = supervisor.builder.clone();
    let found = crate::keep::blocking(move || Ok::<_, EngineError>(builder.usage())).await?;
    Ok(Json(usage(found)))
}

pub(super) async fn prune(
    State(supervisor): State<Shared>,
    Json(request): Json<BuildCachePrune>,
) -> Result<Json<BuildCacheUsage>, Refusal> {
    let builder = supervisor.builder.clone();
    let what = if request.all { Prune::All } else { Prune::Unused };
    let gone = crate::keep::blocking(move || builder.prune(what).map_err(EngineError::from)).await?;
    Ok(Json(usage(gone)))
}
