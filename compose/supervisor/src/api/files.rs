//! The files of containers: looked at, read as archives, written from archives, made into images.

use std::path::{Path as FilePath, PathBuf};

use axum::Json;
use axum::extract::{Path, Query, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use rcompose_engine::beneath::{self, Root};
use rcompose_engine::image::{Ownership, Reference, TreePart, extract, write_part, write_tree};
use rcompose_engine::{Commit, ContainerSpec, EngineError};
use serde::Deserialize;

use super::{Refusal, Shared, streams};
use crate::keep::{Phase, blocking};
use crate::messages::{CommitRequest, Failure, FileKind, FileRequest, FileSummary, LoadedImage};

/// Bytes of an archive that are taken at a time.
const CHUNK: usize = 256 * 1024;

/// What is at a path; `null` if nothing is.
pub(super) async fn look(
    State(supervisor): State<Shared>,
    Path(id): Path<String>,
    Json(request): Json<FileRequest>,
) -> Result<Json<Option<FileSummary>>, Refusal> {
    let found = blocking(move || {
        let tree = supervisor.engine.read_tree(&id)?;
        summary(tree.root(), &request).map_err(|error| failed("look at", &request.path, error))
    });
    Ok(Json(found.await?))
}

fn summary(root: &Root, request: &FileRequest) -> std::io::Result<Option<FileSummary>> {
    let opened = if request.follow { root.open_path(&request.path) } else { root.open_path_nofollow(&request.path) };
    let kind = match opened.and_then(beneath::file_type) {
        Ok(kind) => kind,
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let path = if request.follow { root.real_path(FilePath::new(&request.path))? } else { PathBuf::from(&request.path) };
    let kind = if kind.is_dir() {
        FileKind::Directory
    } else if kind.is_symlink() {
        FileKind::Link
    } else {
        FileKind::File
    };
    Ok(Some(FileSummary { kind, path: path.to_string_lossy().into_owned() }))
}

fn failed(doing: &str, path: &str, source: impl Into<std::io::Error>) -> EngineError {
    EngineError::System { doing: format!("{doing} `{path}`"), source: source.into() }
}

/// What is at a path, as an archive. What cannot be read at all is said before it begins.
pub(super) async fn read(
    State(supervisor): State<Shared>,
    Path(id): Path<String>,
    Json(request): Json<FileRequest>,
) -> Result<Response, Refusal> {
    let part_of = |request: &FileRequest| (PathBuf::from(&request.path), PathBuf::from(&request.name), request.follow);
    let (path, name, follow) = part_of(&request);
    let tree = blocking(move || {
        let tree = supervisor.engine.read_tree(&id)?;
        let opened =
            if request.follow { tree.root().open_path(&request.path) } else { tree.root().open_path_nofollow(&request.path) };
        opened.map_err(|error| failed("read", &request.path, error))?;
        Ok(tree)
    });
    let tree = tree.await?;
    Ok(streams::written(move |output| write_part(tree.root(), TreePart { path: &path, name: &name, follow }, output)))
}

/// Where an archive is put.
#[derive(Deserialize)]
pub(super) struct Target {
    /// A directory of the container.
    path: String,
}

/// Writes an archive into a directory of a container.
pub(super) async fn write(
    State(supervisor): State<Shared>,
    Path(id): Path<String>,
    Query(target): Query<Target>,
    request: Request,
) -> Result<Json<()>, Refusal> {
    let mut reader = std::io::BufReader::with_capacity(CHUNK, streams::body_reader(request.into_body()));
    let written = blocking(move || {
        let written = supervisor.engine.change_tree(&id, |root| {
            let into = FilePath::new(&target.path);
            let written = extract(&mut reader, root, into, Ownership::Kept);
            written.map_err(|error| failed("copy to", &target.path, std::io::Error::other(error)))
        });
        // Also of what could not be written: a client that cannot send the rest would not hear why.
        let _ = std::io::copy(&mut reader, &mut std::io::sink());
        written
    });
    Ok(Json(written.await?))
}

/// What a container was asked to be, with what it is told in secret left out.
pub(super) async fn spec(State(supervisor): State<Shared>, Path(id): Path<String>) -> Result<Json<ContainerSpec>, Refusal> {
    let mut spec = supervisor.engine.get(&id)?.record.spec;
    spec.files.clear();
    Ok(Json(spec))
}

/// The root file system of a container, without its volumes, as an archive.
pub(super) async fn export(State(supervisor): State<Shared>, Path(id): Path<String>) -> Result<Response, Refusal> {
    let tree = blocking(move || supervisor.engine.read_layers(&id)).await?;
    Ok(streams::written(move |output| write_tree(Some(tree.root()), output)))
}

/// An image of what a container has come to.
pub(super) async fn commit(
    State(supervisor): State<Shared>,
    Path(id): Path<String>,
    Json(request): Json<CommitRequest>,
) -> Result<Json<LoadedImage>, Refusal> {
    let reference = Some(&request.reference).filter(|text| !text.is_empty()).map(|text| text.parse::<Reference>()).transpose();
    let reference = reference.map_err(|error| Failure::of(&error))?;
    let image = supervisor.engine.described(&id)?;
    let image = rcompose_build::changed(image, &request.changes).map_err(|error| {
        let hint = "write it as in a Dockerfile: `--change 'CMD [\"/bin/app\"]'`".to_owned();
        Refusal(StatusCode::BAD_REQUEST, Failure { hint: Some(hint), ..Failure::of(&error) })
    })?;
    let is_paused = supervisor.keeper.status(&id).is_some_and(|status| status.phase == Phase::Paused);
    let commit = Commit {
        image,
        author: request.author,
        message: request.message,
        created: jiff::Timestamp::now().to_string(),
        pause: request.pause && !is_paused,
    };
    let tags = reference.iter().map(Reference::familiar).collect();
    let id = blocking(move || supervisor.engine.commit(&id, commit, reference.as_ref())).await?;
    Ok(Json(LoadedImage { id: id.to_string(), tags }))
}
