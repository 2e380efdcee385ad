//! The build cache: what it takes, and taking it away.

use axum::Json;
use axum::extract::State;
use rcompose_build::Prune;
use rcompose_engine::EngineError;

use super::{Refusal, Shared};
use crate::messages::{BuildCachePrune, BuildCacheUsage};

fn usage(of: rcompose_build::CacheUsage) -> BuildCacheUsage {
    BuildCacheUsage { steps: of.steps, layers: of.layers, mounts: of.mounts, fetched: of.fetched }
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
