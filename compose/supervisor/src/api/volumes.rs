//! Volumes.

use axum::Json;
use axum::extract::State;
use rcompose_engine::volume::Volume;
use rcompose_model::project::Volume as Asked;
use serde_json::json;

use super::{Refusal, Shared, rfc3339};
use crate::keep::blocking;
use crate::messages::{Created, Failure, Named, PruneRequest, Removed, ResourceSummary};
use crate::resource;

pub(super) async fn list(State(supervisor): State<Shared>) -> Json<Vec<ResourceSummary>> {
    let summary = |volume: Volume| {
        let inspect = json!({
            "CreatedAt": rfc3339(volume.created),
            "Driver": "local",
            "Labels": volume.spec.labels,
            "Mountpoint": volume.data(),
            "Name": volume.spec.name,
            "Options": volume.spec.options,
            "Scope": "local",
        });
        let users = supervisor.engine.volume_users(&volume.spec.name);
        ResourceSummary { name: volume.spec.name, driver: "local".to_owned(), users, inspect }
    };
    Json(supervisor.engine.volumes().list().into_iter().map(summary).collect())
}

/// Makes a volume that belongs to no project; one that is there already is kept, as long as it is of the same kind.
pub(super) async fn create(State(supervisor): State<Shared>, Json(asked): Json<Asked>) -> Result<Json<Created>, Refusal> {
    if asked.driver != "local" {
        return Err(Failure::text(format!("volume {}: driver `{}` is not supported", asked.name, asked.driver)).into());
    }
    let spec = resource::volume(&asked, asked.labels.clone());
    let volume = blocking(move || supervisor.engine.create_volume(spec)).await?;
    Ok(Json(Created { id: volume.spec.name, warnings: Vec::new() }))
}

pub(super) async fn remove(State(supervisor): State<Shared>, Json(named): Json<Named>) -> Result<Json<Removed>, Refusal> {
    blocking(move || {
        supervisor.engine.remove_volume(&named.name)?;
        Ok(Json(Removed { deleted: vec![named.name], ..Removed::default() }))
    })
    .await
    .map_err(Refusal::from)
}

pub(super) async fn prune(State(supervisor): State<Shared>, Json(request): Json<PruneRequest>) -> Result<Json<Removed>, Refusal> {
    let pruned = blocking(move || supervisor.engine.prune_volumes(request.all)).await?;
    let reclaimed = pruned.iter().map(|(_, size)| size).sum();
    let deleted = pruned.into_iter().map(|(volume, _)| volume.spec.name).collect();
    Ok(Json(Removed { deleted, reclaimed, ..Removed::default() }))
}
