//! Artifacts that are no images, on their way to a registry: small parts, an empty description, a manifest that says what it is.
//!
//! Spec: image-spec `manifest.md`, "Guidelines for Artifact Usage"; distribution-spec, "Push".

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use reqwest::{StatusCode, header};
use rustix::fs::MemfdFlags;
use serde_json::json;

use super::artifact::{ArtifactKind, Part};
use super::endpoint::Endpoint;
use super::manifest::{Descriptor, OCI_MANIFEST};
use super::transport::Transport;
use super::{RegistryConfig, RegistryError, upload};
use crate::{Digest, Reference};

/// What OCI has for a description that says nothing.
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
const NOTHING: &[u8] = b"{}";

/// How a manifest says of which kind it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArtifactForm {
    /// By its description's type, which registries of any age take.
    Oci10,
    /// By a type of its own.
    Oci11,
}

/// Pushes an artifact; gives the digest of its manifest.
///
/// # Errors
/// Of a reference without a tag; what the registry says.
///
/// # Cancel safety
/// The manifest comes last: what was cut off is visible to nobody.
pub async fn push_artifact(
    reference: &Reference,
    kind: ArtifactKind<'_>,
    form: ArtifactForm,
    parts: &[Part],
    config: &RegistryConfig,
) -> Result<Digest, RegistryError> {
    let tag = reference.tag().filter(|_| reference.digest().is_none());
    let tag = tag.ok_or_else(|| RegistryError::NoTag(reference.familiar()))?;
    let transport = Transport::new(config)?;
    // Mirrors are for reading.
    let endpoint = transport.settle(Endpoint::own(reference, config)).await.writable();
    let description = if form == ArtifactForm::Oci10 { kind.config_type } else { EMPTY };
    send(&transport, &endpoint, description, NOTHING).await?;
    for part in parts {
        send(&transport, &endpoint, &part.media_type, &part.content).await?;
    }
    let manifest = manifest(kind, form, description, parts).to_string();
    let url = endpoint.manifest(tag);
    let make = |client: &reqwest::Client| client.put(&url).header(header::CONTENT_TYPE, OCI_MANIFEST).body(manifest.clone());
    transport.send(&endpoint, &[], make).await?;
    Ok(Digest::of(manifest.as_bytes()))
}

fn manifest(kind: ArtifactKind<'_>, form: ArtifactForm, description: &str, parts: &[Part]) -> serde_json::Value {
    let blob = |media_type: &str, content: &[u8]| json!({ "mediaType": media_type, "digest": Digest::of(content).to_string(), "size": content.len() });
    let layers = parts.iter().map(|part| {
        let mut layer = blob(&part.media_type, &part.content);
        layer["annotations"] = json!(part.annotations);
        layer
    });
    let mut manifest = json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": blob(description, NOTHING),
        "layers": layers.collect::<Vec<_>>(),
    });
    if form == ArtifactForm::Oci11 {
        manifest["artifactType"] = json!(kind.artifact_type);
    }
    manifest
}

async fn send(transport: &Transport, endpoint: &Endpoint, media_type: &str, content: &[u8]) -> Result<(), RegistryError> {
    let digest = Digest::of(content);
    let url = endpoint.blob(&digest);
    let known = transport.send(endpoint, &[StatusCode::NOT_FOUND], |client| client.head(&url)).await?;
    if known.status() != StatusCode::NOT_FOUND {
        return Ok(());
    }
    let Some(session) = upload::begin(transport, endpoint, None).await? else { return Ok(()) };
    let in_memory = || -> std::io::Result<std::fs::File> {
        let mut file = std::fs::File::from(rustix::fs::memfd_create("part", MemfdFlags::CLOEXEC)?);
        file.write_all(content)?;
        Ok(file)
    };
    let file = Arc::new(in_memory().map_err(RegistryError::Write)?);
    let size = content.len() as u64;
    let blob = Descriptor { media_type: media_type.to_owned(), digest, size, urls: Vec::new(), platform: None };
    upload::upload(transport, endpoint, session, &file, &blob, &AtomicU64::new(0)).await
}
