//! Images of the store.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use rcompose_engine::EngineError;
use rcompose_engine::image::{ArchiveForm, Image, Loaded, Reference};

use super::{Refusal, Shared, streams};
use crate::keep::blocking;
use crate::messages::{Failure, ImageSummary, LoadedImage, Named, PruneRequest, Removed, SaveRequest};
use crate::supervisor::Supervisor;

pub(super) async fn list(State(supervisor): State<Shared>) -> Json<Vec<ImageSummary>> {
    Json(summaries(&supervisor))
}

/// Every image, with what it shares with others.
pub(super) fn summaries(supervisor: &Supervisor) -> Vec<ImageSummary> {
    let usage = supervisor.engine.images().usage();
    let summary = |image: Image| {
        let id = image.id.to_string();
        ImageSummary {
            tags: image.tags.iter().map(Reference::familiar).collect(),
            size: image.size,
            unique_size: usage.unique.get(&image.id).copied().unwrap_or(0),
            containers: supervisor.engine.image_users(&id).len(),
            platform: platform(&image),
            labels: image.config.config.labels,
            created: image.config.created,
            id,
        }
    };
    supervisor.engine.images().list().into_iter().map(summary).collect()
}

fn platform(image: &Image) -> String {
    let config = &image.config;
    let variant = config.variant.as_ref().map(|variant| format!("/{variant}")).unwrap_or_default();
    format!("{}/{}{variant}", config.os, config.architecture)
}

pub(super) async fn load(State(supervisor): State<Shared>, request: Request) -> Result<Json<Vec<LoadedImage>>, Refusal> {
    let reader = streams::body_reader(request.into_body());
    let loaded = blocking(move || Ok(supervisor.engine.images().load(reader)?)).await?;
    let summary =
        |loaded: Loaded| LoadedImage { id: loaded.id.to_string(), tags: loaded.tags.iter().map(Reference::familiar).collect() };
    Ok(Json(loaded.into_iter().map(summary).collect()))
}

/// The archive as a stream: nothing of it is kept here. What is missing is said before it begins.
pub(super) async fn save(State(supervisor): State<Shared>, Json(request): Json<SaveRequest>) -> Result<Response, Refusal> {
    let (ready, is_ready) = tokio::sync::oneshot::channel();
    let form = if request.oci { ArchiveForm::Oci } else { ArchiveForm::Docker };
    let body = streams::written(move |output| match supervisor.engine.images().saving(&request.names) {
        Ok(saving) => {
            // Whoever asked may be gone; then the first write tells.
            let _ = ready.send(Ok(()));
            saving.write(form, output)
        }
        Err(error) => {
            let _ = ready.send(Err(EngineError::from(error)));
            Ok(())
        }
    });
    match is_ready.await {
        Ok(Ok(())) => Ok(body),
        Ok(Err(error)) => Err(error.into()),
        Err(_) => Err(Refusal(StatusCode::INTERNAL_SERVER_ERROR, Failure::text("the archive could not be begun"))),
    }
}

pub(super) async fn pull(State(supervisor): State<Shared>, Json(named): Json<Named>) -> Result<Json<String>, Refusal> {
    supervisor.pull(&named.name, |_| {}).await?;
    let reference: Reference = named.name.parse().map_err(|error| Failure::of(&error))?;
    Ok(Json(reference.to_string()))
}

pub(super) async fn inspect(
    State(supervisor): State<Shared>,
    Json(named): Json<Named>,
) -> Result<Json<serde_json::Value>, Refusal> {
    let image = supervisor.engine.images().resolve(&named.name).map_err(EngineError::from)?;
    Ok(Json(image.inspect()))
}

pub(super) async fn remove(State(supervisor): State<Shared>, Json(named): Json<Named>) -> Result<Json<Removed>, Refusal> {
    let (untagged, gone) = blocking(move || supervisor.engine.remove_image(&named.name, named.force)).await?;
    let untagged = untagged.iter().map(|tag| familiar(tag)).collect();
    Ok(Json(Removed { untagged, deleted: gone.into_iter().collect(), reclaimed: 0 }))
}

pub(super) async fn prune(State(supervisor): State<Shared>, Json(request): Json<PruneRequest>) -> Result<Json<Removed>, Refusal> {
    let pruned = blocking(move || supervisor.engine.prune_images(request.all)).await?;
    let untagged = pruned.untagged.iter().map(|tag| familiar(tag)).collect();
    Ok(Json(Removed { untagged, deleted: pruned.deleted, reclaimed: pruned.reclaimed }))
}

fn familiar(tag: &str) -> String {
    tag.parse::<Reference>().map_or_else(|_| tag.to_owned(), |reference| reference.familiar())
}
