//! What else registries keep: the digest that a tag stands for, and artifacts that are no images.
//!
//! Spec: image-spec `manifest.md`, "Guidelines for Artifact Usage"; distribution-spec, "Pulling manifests".

use std::collections::BTreeMap;

use serde::Deserialize;

use super::endpoint::Endpoint;
use super::manifest::MAX_MANIFEST;
use super::transport::Transport;
use super::{RegistryConfig, RegistryError};
use crate::{Digest, Reference};

/// The most that one part of an artifact may hold, and all of them together.
const MAX_PART: u64 = 10 << 20;
const MAX_PARTS: u64 = 32 << 20;
/// The most parts that an artifact may have.
const MAX_COUNT: usize = 200;
pub(super) const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
                      application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";

/// What kind of artifact is meant.
#[derive(Debug, Clone, Copy)]
pub struct ArtifactKind<'a> {
    /// `artifactType` of its manifest.
    pub artifact_type: &'a str,
    /// The type of the config, in manifests that were written before there was an `artifactType`.
    pub config_type: &'a str,
}

/// An artifact, every byte checked against its digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// Of what the reference stands for: a manifest, or a list of manifests.
    pub digest: Digest,
    /// In the order of the manifest.
    pub parts: Vec<Part>,
}

/// A part of an artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// What it is.
    pub media_type: String,
    /// What else is said of it.
    pub annotations: BTreeMap<String, String>,
    /// Its content.
    pub content: Vec<u8>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    artifact_type: Option<String>,
    config: Option<Described>,
    #[serde(default)]
    layers: Vec<Described>,
    #[serde(default)]
    manifests: Vec<Described>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Described {
    #[serde(default)]
    media_type: String,
    artifact_type: Option<String>,
    digest: Digest,
    size: u64,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

/// Asks which digest a reference stands for, whatever the platform.
pub async fn resolve_digest(reference: &Reference, config: &RegistryConfig) -> Result<Digest, RegistryError> {
    if let Some(digest) = reference.digest() {
        return Ok(digest.clone());
    }
    let transport = Transport::new(config)?;
    let mut failed = Failed::default();
    for endpoint in Endpoint::of(reference, config)? {
        let endpoint = transport.settle(endpoint).await;
        match manifest(&transport, &endpoint, reference).await {
            Ok((digest, _)) => return Ok(digest),
            Err(error) => failed.push(&endpoint, error),
        }
    }
    Err(failed.error())
}

/// Fetches an artifact of one kind.
///
/// # Cancel safety
/// Nothing is kept of one that was not fetched to its end.
pub async fn fetch_artifact(
    reference: &Reference,
    kind: ArtifactKind<'_>,
    config: &RegistryConfig,
) -> Result<Artifact, RegistryError> {
    let transport = Transport::new(config)?;
    let mut failed = Failed::default();
    for endpoint in Endpoint::of(reference, config)? {
        let endpoint = transport.settle(endpoint).await;
        match fetch_from(&transport, &endpoint, reference, kind).await {
            Ok(artifact) => return Ok(artifact),
            Err(error) => failed.push(&endpoint, error),
        }
    }
    Err(failed.error())
}

/// Why it was not to be had: of the mirrors, and of the registry itself, which is asked last.
#[derive(Default)]
pub(super) struct Failed {
    mirrors: Vec<String>,
    last: Option<(String, RegistryError)>,
}

impl Failed {
    pub(super) fn push(&mut self, endpoint: &Endpoint, error: RegistryError) {
        if let Some((registry, error)) = self.last.replace((endpoint.registry.clone(), error)) {
            self.mirrors.push(error.told(&registry));
        }
    }

    pub(super) fn error(self) -> RegistryError {
        let (_, error) = self.last.expect("a reference has at least its own registry");
        if self.mirrors.is_empty() { error } else { RegistryError::Mirrors { mirrors: self.mirrors, source: Box::new(error) } }
    }
}

async fn manifest(
    transport: &Transport,
    endpoint: &Endpoint,
    reference: &Reference,
) -> Result<(Digest, Manifest), RegistryError> {
    let wanted = match reference.digest() {
        Some(digest) => digest.to_string(),
        None => reference.tag().unwrap_or("latest").to_owned(),
    };
    read_manifest(transport, endpoint, &wanted, reference.digest()).await
}

async fn read_manifest(
    transport: &Transport,
    endpoint: &Endpoint,
    wanted: &str,
    digest: Option<&Digest>,
) -> Result<(Digest, Manifest), RegistryError> {
    let (bytes, _) = transport.bytes(endpoint, &endpoint.manifest(wanted), MAX_MANIFEST, ACCEPT).await?;
    let found = Digest::of(&bytes);
    if digest.is_some_and(|digest| *digest != found) {
        return Err(mismatch(endpoint, wanted, "its content has another digest".to_owned()));
    }
    let manifest =
        serde_json::from_slice(&bytes).map_err(|error| mismatch(endpoint, wanted, format!("it is no manifest: {error}")))?;
    Ok((found, manifest))
}

async fn fetch_from(
    transport: &Transport,
    endpoint: &Endpoint,
    reference: &Reference,
    kind: ArtifactKind<'_>,
) -> Result<Artifact, RegistryError> {
    let wanted = reference.to_string();
    let (digest, mut manifest) = manifest(transport, endpoint, reference).await?;
    if !manifest.manifests.is_empty() {
        let fits = |it: &&Described| it.artifact_type.as_deref() == Some(kind.artifact_type);
        let Some(found) = manifest.manifests.iter().find(fits) else {
            return Err(mismatch(endpoint, &wanted, format!("it is a list without {}", kind.artifact_type)));
        };
        manifest = read_manifest(transport, endpoint, &found.digest.to_string(), Some(&found.digest)).await?.1;
    }
    if !is_of(&manifest, kind) {
        let other = manifest.artifact_type.as_deref().or(manifest.config.as_ref().map(|config| config.media_type.as_str()));
        let why = format!("it is no {}, but {}", kind.artifact_type, other.unwrap_or("of no type").escape_debug());
        return Err(mismatch(endpoint, &wanted, why));
    }
    let total = manifest.layers.iter().fold(0, |sum: u64, layer| sum.saturating_add(layer.size));
    if manifest.layers.len() > MAX_COUNT || total > MAX_PARTS || manifest.layers.iter().any(|layer| layer.size > MAX_PART) {
        let why = format!("it has {} parts of {total} bytes: more than such an artifact needs", manifest.layers.len());
        return Err(mismatch(endpoint, &wanted, why));
    }
    let mut parts = Vec::new();
    for layer in manifest.layers {
        let (content, _) = transport.bytes(endpoint, &endpoint.blob(&layer.digest), layer.size, "").await?;
        if content.len() as u64 != layer.size || Digest::of(&content) != layer.digest {
            return Err(mismatch(endpoint, &layer.digest.to_string(), "its content has another size or digest".to_owned()));
        }
        parts.push(Part { media_type: layer.media_type, annotations: layer.annotations, content });
    }
    Ok(Artifact { digest, parts })
}

fn is_of(manifest: &Manifest, kind: ArtifactKind<'_>) -> bool {
    match &manifest.artifact_type {
        Some(artifact_type) => artifact_type == kind.artifact_type,
        None => manifest.config.as_ref().is_some_and(|config| config.media_type == kind.config_type),
    }
}

fn mismatch(endpoint: &Endpoint, expected: &str, why: String) -> RegistryError {
    RegistryError::mismatch(&endpoint.registry, expected, why)
}
