//! What registries are asked besides for images: digests, and stacks.

use axum::Json;
use axum::extract::State;
use rcompose_engine::image::{
    ArtifactForm, ArtifactKind, Part, Reference, RegistryConfig, RegistryError, fetch_artifact, push_artifact, resolve_digest,
};

use super::{Refusal, Shared};
use crate::messages::{ArtifactFile, ArtifactRole, Failure, Named, PublishRequest, StackArtifact, StackRequest};
use crate::supervisor::Supervisor;

/// As `docker compose publish` writes them.
const STACK: ArtifactKind<'static> = ArtifactKind {
    artifact_type: "application/vnd.docker.compose.project",
    config_type: "application/vnd.docker.compose.config.empty.v1+json",
};
const COMPOSE_FILE: &str = "application/vnd.docker.compose.file+yaml";
const ENV_FILE: &str = "application/vnd.docker.compose.envfile";

/// The digest that an image's name stands for.
pub(super) async fn digest(State(supervisor): State<Shared>, Json(named): Json<Named>) -> Result<Json<String>, Refusal> {
    digest_of(&named.name, &supervisor.registries).await
}

/// As [`digest`], of a stack.
pub(super) async fn stack_digest(
    State(supervisor): State<Shared>,
    Json(wanted): Json<StackRequest>,
) -> Result<Json<String>, Refusal> {
    digest_of(&wanted.name, &registries(&supervisor, &wanted.insecure)).await
}

async fn digest_of(name: &str, registries: &RegistryConfig) -> Result<Json<String>, Refusal> {
    let reference = parsed(name)?;
    let digest = resolve_digest(&reference, registries).await;
    let digest = digest.map_err(|error| asked_in_vain(&error, format!("failed to ask for the digest of `{name}`")))?;
    let name = match (reference.tag(), reference.digest()) {
        (Some(tag), None) => format!("{}/{}:{tag}", reference.registry(), reference.repository()),
        _ => format!("{}/{}", reference.registry(), reference.repository()),
    };
    Ok(Json(format!("{name}@{digest}")))
}

/// The settings, and what a command line adds to them for stacks.
fn registries(supervisor: &Supervisor, insecure: &[String]) -> RegistryConfig {
    let mut registries = supervisor.registries.clone();
    registries.insecure.extend(insecure.iter().cloned());
    registries
}

/// Keeps a stack in a registry.
pub(super) async fn publish(
    State(supervisor): State<Shared>,
    Json(request): Json<PublishRequest>,
) -> Result<Json<String>, Refusal> {
    let parts: Vec<Part> = request.files.into_iter().map(part).collect();
    let form = if request.oldest_form { ArtifactForm::Oci10 } else { ArtifactForm::Oci11 };
    let registries = registries(&supervisor, &request.insecure);
    let digest = push_artifact(&parsed(&request.name)?, STACK, form, &parts, &registries).await;
    let digest = digest.map_err(|error| asked_in_vain(&error, format!("failed to publish `{}`", request.name)))?;
    Ok(Json(digest.to_string()))
}

fn part(file: ArtifactFile) -> Part {
    let (media_type, name_of) = match file.role {
        ArtifactRole::Compose | ArtifactRole::Extended => (COMPOSE_FILE, "com.docker.compose.file"),
        ArtifactRole::Variables => (ENV_FILE, "com.docker.compose.envfile"),
    };
    let name = file.name.map(|name| (name_of.to_owned(), name));
    let extended = (file.role == ArtifactRole::Extended).then(|| ("com.docker.compose.extends".to_owned(), "true".to_owned()));
    let version = ("com.docker.compose.version".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    let annotations = std::iter::once(version).chain(name).chain(extended).collect();
    Part { media_type: media_type.to_owned(), annotations, content: file.text.into_bytes() }
}

/// A stack that is kept as an artifact.
pub(super) async fn fetch(
    State(supervisor): State<Shared>,
    Json(wanted): Json<StackRequest>,
) -> Result<Json<StackArtifact>, Refusal> {
    let failed = || format!("failed to fetch the stack `{}`", wanted.name);
    let artifact = fetch_artifact(&parsed(&wanted.name)?, STACK, &registries(&supervisor, &wanted.insecure)).await;
    let artifact = artifact.map_err(|error| asked_in_vain(&error, failed()))?;
    let files = artifact.parts.into_iter().filter_map(|part| file(part).transpose()).collect::<Result<Vec<_>, _>>();
    let files = files.map_err(|why| Failure { causes: vec![why], ..Failure::text(failed()) })?;
    Ok(Json(StackArtifact { digest: artifact.digest.to_string(), files }))
}

/// What one part is; parts of other kinds are none of ours.
fn file(part: Part) -> Result<Option<ArtifactFile>, String> {
    let annotation = |name: &str| part.annotations.get(name).cloned();
    let (role, name) = match part.media_type.as_str() {
        COMPOSE_FILE if part.annotations.contains_key("com.docker.compose.extends") => {
            (ArtifactRole::Extended, annotation("com.docker.compose.file"))
        }
        COMPOSE_FILE => (ArtifactRole::Compose, annotation("com.docker.compose.file")),
        ENV_FILE => (ArtifactRole::Variables, annotation("com.docker.compose.envfile")),
        _ => return Ok(None),
    };
    let text = String::from_utf8(part.content).map_err(|_| "a file of it is not valid UTF-8".to_owned())?;
    Ok(Some(ArtifactFile { role, name, text }))
}

fn parsed(name: &str) -> Result<Reference, Failure> {
    name.parse().map_err(|error| Failure::of(&error))
}

fn asked_in_vain(error: &RegistryError, message: String) -> Failure {
    let mut failure = Failure::of(error);
    failure.causes.insert(0, std::mem::replace(&mut failure.message, message));
    failure.hint = Some("look at its name, and at the registries of the configuration".to_owned());
    failure
}
