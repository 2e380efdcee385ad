//! Images of the store.

use std::os::unix::fs::MetadataExt;

use axum::Json;
use axum::extract::{Query, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use rcompose_engine::EngineError;
use rcompose_engine::image::{ArchiveForm, Image, Import, Loaded, Platform, Reference};
use tokio::sync::mpsc;

use super::{Refusal, Shared, streams};
use crate::execute::{renewed, show, tell};
use crate::keep::blocking;
use crate::messages::{
    DockerImport, Event, Failure, HistoryStep, ImageSummary, ImportRequest, LoadedImage, LocalFile, Named, PruneRequest, Removed,
    SaveRequest, TagRequest, TransferRequest,
};
use crate::supervisor::Supervisor;

/// Layers that no image has are kept so long by `prune`.
const PRUNE_GRACE: std::time::Duration = std::time::Duration::from_secs(600);

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
            digests: image.digests,
            tagged: image.tagged,
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
    Ok(Json(loaded.into_iter().map(loaded_image).collect()))
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

/// What whoever asks has open is read where it is. `null` if it cannot be seen from here: then it has to be sent.
pub(super) async fn load_file(
    State(supervisor): State<Shared>,
    Json(local): Json<LocalFile>,
) -> Result<Json<Option<Vec<LoadedImage>>>, Refusal> {
    let is_it = |file: &std::fs::File| {
        file.metadata().is_ok_and(|about| about.is_file() && (about.dev(), about.ino()) == (local.device, local.inode))
    };
    let Some(file) = std::fs::File::open(&local.path).ok().filter(is_it) else { return Ok(Json(None)) };
    let loaded = blocking(move || Ok(supervisor.engine.images().load_file(file)?)).await?;
    Ok(Json(Some(loaded.into_iter().map(loaded_image).collect())))
}

fn loaded_image(loaded: Loaded) -> LoadedImage {
    LoadedImage { id: loaded.id.to_string(), tags: loaded.tags.iter().map(Reference::familiar).collect() }
}

/// The pull goes on when the client goes away: what was asked for is had at the end.
pub(super) async fn pull(State(supervisor): State<Shared>, Json(request): Json<TransferRequest>) -> Response {
    let (events, receiver) = mpsc::channel(256);
    supervisor.work.clone().spawn(async move {
        let told = show(&events, &format!("Image {}", request.name));
        let platform = request.platform.as_deref().map(str::parse::<Platform>).transpose();
        let last = match platform.map_err(|error| Failure::of(&error)) {
            Ok(platform) => match supervisor.pull(&request.name, platform.as_ref(), request.offline, told).await {
                Ok(image) => {
                    tell(&events, image_event(&image, &request.name)).await;
                    Event::Done
                }
                Err(failure) => Event::Failed(failure),
            },
            Err(failure) => Event::Failed(failure),
        };
        tell(&events, last).await;
    });
    streams::lines(receiver)
}

fn image_event(image: &Image, name: &str) -> Event {
    let reference = name.parse::<Reference>().map_or_else(|_| name.to_owned(), |reference| reference.to_string());
    let digest = image.digests.first().and_then(|text| text.split_once('@')).map(|(_, digest)| digest.to_owned());
    Event::Image { id: image.id.to_string(), reference, digest: digest.unwrap_or_default() }
}

pub(super) async fn push(State(supervisor): State<Shared>, Json(request): Json<TransferRequest>) -> Response {
    let (events, receiver) = mpsc::channel(256);
    supervisor.work.clone().spawn(async move {
        let told = show(&events, &format!("Image {}", request.name));
        let last = match supervisor.push(&request.name, request.offline, told).await {
            Ok(pushed) => {
                if !pushed.renewed.is_empty() {
                    tell(&events, Event::Warning { text: renewed(&request.name, pushed.renewed.len()) }).await;
                }
                let image = supervisor.engine.images().resolve(&request.name);
                let id = image.map(|image| image.id.to_string()).unwrap_or_default();
                let reference = request.name.parse::<Reference>().map_or(request.name, |reference| reference.to_string());
                tell(&events, Event::Image { id, reference, digest: pushed.digest.to_string() }).await;
                Event::Done
            }
            Err(failure) => Event::Failed(failure),
        };
        tell(&events, last).await;
    });
    streams::lines(receiver)
}

pub(super) async fn tag(State(supervisor): State<Shared>, Json(request): Json<TagRequest>) -> Result<Json<()>, Refusal> {
    let target: Reference = request.target.parse().map_err(|error| Failure::of(&error))?;
    if target.digest().is_some() {
        return Err(Failure::text(format!("`{}` names a digest: that is found out, not given", request.target)).into());
    }
    let images = supervisor.engine.images();
    let image = images.resolve(&request.source).map_err(EngineError::from)?;
    images.tag(&image.id, &target).map_err(EngineError::from)?;
    Ok(Json(()))
}

pub(super) async fn history(
    State(supervisor): State<Shared>,
    Json(named): Json<Named>,
) -> Result<Json<Vec<HistoryStep>>, Refusal> {
    let images = supervisor.engine.images();
    let image = images.resolve(&named.name).map_err(EngineError::from)?;
    let (id, tags) = (image.id.to_string(), image.tags.iter().map(Reference::familiar).collect::<Vec<_>>());
    let steps = images.history(&image).into_iter().enumerate().map(|(number, step)| HistoryStep {
        id: (number == 0).then(|| id.clone()),
        created: step.created,
        created_by: step.created_by,
        size: step.size,
        comment: step.comment,
        tags: if number == 0 { tags.clone() } else { Vec::new() },
    });
    Ok(Json(steps.collect()))
}

/// A tree as the one layer of a new image.
pub(super) async fn import(
    State(supervisor): State<Shared>,
    Query(query): Query<ImportRequest>,
    request: Request,
) -> Result<Json<LoadedImage>, Refusal> {
    let given = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    let reference = given(&query.reference).map(|text| text.parse::<Reference>()).transpose();
    let platform = given(&query.platform).map(|text| text.parse::<Platform>()).transpose();
    let import = Import {
        reference: reference.map_err(|error| Failure::of(&error))?,
        platform: platform.map_err(|error| Failure::of(&error))?,
        message: query.message,
        created: jiff::Timestamp::now().to_string(),
    };
    let reader = streams::body_reader(request.into_body());
    let loaded = blocking(move || Ok(supervisor.engine.images().import(reader, &import)?)).await?;
    Ok(Json(loaded_image(loaded)))
}

/// The merged tree of an image, as an archive.
pub(super) async fn export(State(supervisor): State<Shared>, Json(named): Json<Named>) -> Result<Response, Refusal> {
    let tree = blocking(move || supervisor.engine.open_tree(&named.name)).await?;
    Ok(streams::written(move |output| rcompose_engine::image::write_tree(tree.as_ref(), output)))
}

pub(super) async fn import_docker(
    State(supervisor): State<Shared>,
    Json(request): Json<DockerImport>,
) -> Result<Json<Vec<LoadedImage>>, Refusal> {
    let archive = crate::docker::saved(&request.socket, &request.names).await?;
    let reader = tokio_util::io::SyncIoBridge::new(archive);
    let loaded = blocking(move || Ok(supervisor.engine.images().load(reader)?)).await?;
    Ok(Json(loaded.into_iter().map(loaded_image).collect()))
}

pub(super) async fn inspect(
    State(supervisor): State<Shared>,
    Json(named): Json<Named>,
) -> Result<Json<serde_json::Value>, Refusal> {
    let image = supervisor.engine.images().resolve(&named.name).map_err(EngineError::from)?;
    let mut described = image.inspect();
    if image.tagged > 0 {
        described["Metadata"]["LastTagTime"] = super::rfc3339(image.tagged).into();
    }
    Ok(Json(described))
}

pub(super) async fn remove(State(supervisor): State<Shared>, Json(named): Json<Named>) -> Result<Json<Removed>, Refusal> {
    let (untagged, gone) = blocking(move || supervisor.engine.remove_image(&named.name, named.force)).await?;
    let untagged = untagged.iter().map(|tag| familiar(tag)).collect();
    Ok(Json(Removed { untagged, deleted: gone.into_iter().collect(), reclaimed: 0 }))
}

pub(super) async fn prune(State(supervisor): State<Shared>, Json(request): Json<PruneRequest>) -> Result<Json<Removed>, Refusal> {
    let pruned = blocking(move || {
        let mut pruned = supervisor.engine.prune_images(request.all)?;
        // What a pull left that was cut off goes too, unless that was a moment ago: it may go on.
        pruned.reclaimed += supervisor.engine.images().collect(PRUNE_GRACE)?.bytes;
        Ok(pruned)
    })
    .await?;
    let untagged = pruned.untagged.iter().map(|tag| familiar(tag)).collect();
    Ok(Json(Removed { untagged, deleted: pruned.deleted, reclaimed: pruned.reclaimed }))
}

fn familiar(tag: &str) -> String {
    tag.parse::<Reference>().map_or_else(|_| tag.to_owned(), |reference| reference.familiar())
}
