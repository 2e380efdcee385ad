//! Pulling from a registry.
//!
//! A blob is written to a file while it is hashed, and is nothing until digest and size are right. Credentials go to the host that
//! they are for, never along with a redirect; plain HTTP is spoken with loopback and with hosts that the configuration names.
//!
//! Spec: distribution-spec, "Pull"; image-spec `descriptor.md`, `manifest.md`, `image-index.md`.

mod artifact;
mod authorization;
mod transport;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::archive::LoadError;
use crate::store::StoreError;
use crate::{Digest, Image, Reference, Store};
pub use artifact::{Artifact, ArtifactKind, Part, fetch_artifact, resolve_digest};
use transport::{Endpoint, Transport};

/// Registries, as the configuration describes them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct RegistryConfig {
    /// Asked instead of a registry, by its name (`docker.io`); the first that answers, then the registry itself.
    pub mirrors: BTreeMap<String, Vec<String>>,
    /// Hosts that plain HTTP may be spoken with, besides loopback.
    pub insecure: Vec<String>,
    /// Files of certificates that are trusted besides the system's.
    pub certificates: Vec<PathBuf>,
    /// Docker's `config.json`, for credentials.
    pub credentials: Option<PathBuf>,
}

/// How far a pull is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullProgress {
    /// Layers come, as they are sent.
    Downloading {
        /// Bytes that are there.
        done: u64,
        /// Bytes of all layers that were missing.
        total: u64,
    },
    /// They are all there, and are taken apart.
    Unpacking,
}

/// How often it is told how far a download is.
const TOLD_EVERY: Duration = Duration::from_millis(100);

/// Why an image could not be pulled.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// Neither a mirror nor the registry itself.
    #[error("no mirror has it either ({})", mirrors.join("; "))]
    Mirrors {
        /// Why not, one by one.
        mirrors: Vec<String>,
        /// Why not the registry.
        #[source]
        source: Box<PullError>,
    },
    /// The way to the registry.
    #[error("failed to reach registry {registry}")]
    Unreachable {
        /// Which.
        registry: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// It said no.
    #[error("registry {registry} refused `{path}`: {status}")]
    Refused {
        /// Which.
        registry: String,
        /// What was asked for.
        path: String,
        /// What it answered.
        status: u16,
    },
    /// What came is not what was asked for.
    #[error("registry {registry} sent something else than `{expected}`: {why}")]
    Mismatch {
        /// Which.
        registry: String,
        /// What was asked for.
        expected: String,
        /// What is wrong.
        why: String,
    },
    /// An address or challenge that is not followed.
    #[error("registry {registry}: {why}")]
    Distrusted {
        /// Which.
        registry: String,
        /// Why.
        why: String,
    },
    /// The configuration.
    #[error("failed to read {}", path.display())]
    Configuration {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file on the way.
    #[error("failed to write a blob")]
    Write(#[source] std::io::Error),
    /// The image itself.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The most that a manifest may hold.
const MAX_MANIFEST: u64 = 4 << 20;
/// The most that a description may hold.
const MAX_CONFIG: u64 = 8 << 20;
/// Layers that are fetched at once.
const AT_ONCE: usize = 4;
/// How deep lists of lists may go.
const MAX_DEPTH: u32 = 3;

#[derive(Debug, Clone, Deserialize)]
struct Descriptor {
    digest: Digest,
    size: u64,
    platform: Option<Platform>,
}

#[derive(Debug, Clone, Deserialize)]
struct Platform {
    architecture: String,
    os: String,
}

#[derive(Debug, Deserialize)]
struct Manifest {
    #[serde(default)]
    manifests: Vec<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
    config: Option<Descriptor>,
}

impl Store {
    /// Pulls an image and has its reference stand for it.
    ///
    /// For runtimes of several threads.
    ///
    /// # Cancel safety
    /// What was fetched and not finished is cleared away; finished layers stay and are not fetched again.
    pub async fn pull(
        &self,
        reference: &Reference,
        config: &RegistryConfig,
        progress: impl Fn(PullProgress) + Send + Sync,
    ) -> Result<Image, PullError> {
        let transport = Transport::new(config)?;
        let mut mirrors = Vec::new();
        let mut endpoints = Endpoint::of(reference, config)?.into_iter().peekable();
        loop {
            let endpoint = endpoints.next().expect("a reference has at least its own registry");
            match self.pull_from(&transport, &endpoint, reference, &progress).await {
                Ok(image) => return Ok(image),
                Err(error) if endpoints.peek().is_some() => mirrors.push(told(&endpoint.registry, &error)),
                Err(error) if mirrors.is_empty() => return Err(error),
                Err(error) => return Err(PullError::Mirrors { mirrors, source: Box::new(error) }),
            }
        }
    }

    async fn pull_from(
        &self,
        transport: &Transport,
        endpoint: &Endpoint,
        reference: &Reference,
        progress: &(impl Fn(PullProgress) + Send + Sync),
    ) -> Result<Image, PullError> {
        let wanted = match (reference.digest(), reference.tag()) {
            (Some(digest), _) => digest.to_string(),
            (None, tag) => tag.unwrap_or("latest").to_owned(),
        };
        let manifest = self.manifest(transport, endpoint, wanted, reference.digest().cloned()).await?;
        let mismatch = |expected: &str, why: String| PullError::Mismatch {
            registry: endpoint.registry.clone(),
            expected: expected.to_owned(),
            why,
        };
        let config = manifest.config.ok_or_else(|| mismatch("manifest", "it has no config".to_owned()))?;
        if config.size > MAX_CONFIG {
            return Err(mismatch("config", format!("it has {} bytes", config.size)));
        }
        let description = transport.bytes(endpoint, &endpoint.blob(&config.digest), MAX_CONFIG, "").await?;
        if Digest::of(&description) != config.digest {
            return Err(mismatch(&config.digest.to_string(), "its content has another digest".to_owned()));
        }
        let description = String::from_utf8(description).map_err(|_| mismatch("config", "it is no UTF-8".to_owned()))?;
        let scratch = self.scratch()?;
        let mut members = BTreeMap::new();
        let names: Vec<String> = manifest.layers.iter().map(|layer| layer.digest.hex().to_owned()).collect();
        let diff_ids = crate::archive::diff_ids(&description)?;
        let missing: Vec<&Descriptor> = manifest
            .layers
            .iter()
            .zip(&diff_ids)
            .filter(|(_, diff_id)| !self.layer_path(diff_id).is_dir())
            .map(|(layer, _)| layer)
            .collect();
        let (done, total) = (Arc::new(AtomicU64::new(0)), missing.iter().map(|layer| layer.size).sum());
        let mut ticks = tokio::time::interval(TOLD_EVERY);
        let mut waiting = missing.into_iter().cloned().collect::<std::collections::VecDeque<_>>();
        let mut running: JoinSet<Result<(String, PathBuf), PullError>> = JoinSet::new();
        loop {
            while running.len() < AT_ONCE
                && let Some(layer) = waiting.pop_front()
            {
                let (transport, endpoint, done) = (transport.clone(), endpoint.clone(), done.clone());
                let path = scratch.path().join(layer.digest.hex());
                running.spawn(async move {
                    transport.download(&endpoint, &layer.digest, layer.size, &path, &done).await?;
                    Ok((layer.digest.hex().to_owned(), path))
                });
            }
            let fetched = tokio::select! {
                // A task that has ended stays in its set until it is asked for.
                fetched = running.join_next() => fetched,
                _ = ticks.tick() => {
                    progress(PullProgress::Downloading { done: done.load(Ordering::Relaxed), total });
                    continue;
                }
            };
            let Some(fetched) = fetched else { break };
            let (name, path) = match fetched {
                Ok(result) => result?,
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            };
            members.insert(name, path);
        }
        progress(PullProgress::Unpacking);
        self.unpack(&description, &names, &members, reference)
    }

    /// Unpacks on this thread, which the runtime replaces meanwhile.
    fn unpack(
        &self,
        description: &str,
        names: &[String],
        members: &BTreeMap<String, PathBuf>,
        reference: &Reference,
    ) -> Result<Image, PullError> {
        tokio::task::block_in_place(|| {
            let id = self.load_parts(description, names, members)?;
            self.tag(&id, reference)?;
            Ok(self.resolve(&id.to_string())?)
        })
    }

    async fn manifest(
        &self,
        transport: &Transport,
        endpoint: &Endpoint,
        mut wanted: String,
        mut digest: Option<Digest>,
    ) -> Result<Manifest, PullError> {
        const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
                              application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";
        let mismatch = |expected: &str, why: String| PullError::Mismatch {
            registry: endpoint.registry.clone(),
            expected: expected.to_owned(),
            why,
        };
        for _ in 0..MAX_DEPTH {
            let bytes = transport.bytes(endpoint, &endpoint.manifest(&wanted), MAX_MANIFEST, ACCEPT).await?;
            if digest.as_ref().is_some_and(|digest| Digest::of(&bytes) != *digest) {
                return Err(mismatch(&wanted, "its content has another digest".to_owned()));
            }
            let manifest: Manifest =
                serde_json::from_slice(&bytes).map_err(|error| mismatch(&wanted, format!("it is no manifest: {error}")))?;
            match (manifest.manifests.is_empty(), manifest.config.is_some() || !manifest.layers.is_empty()) {
                (true, true) => return Ok(manifest),
                (false, false) => {}
                _ => return Err(mismatch(&wanted, "it is both or neither an image and a list of images".to_owned())),
            }
            let ours = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
            let fits = |it: &&Descriptor| it.platform.as_ref().is_some_and(|it| it.os == "linux" && it.architecture == ours);
            let found = manifest.manifests.iter().find(fits);
            let found = found.ok_or_else(|| mismatch(&wanted, format!("it has no image for linux/{ours}")))?;
            (wanted, digest) = (found.digest.to_string(), Some(found.digest.clone()));
        }
        Err(mismatch(&wanted, "lists of images are nested too deep".to_owned()))
    }
}

/// An error in one line, with everything behind it.
fn told(registry: &str, error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    format!("{registry}: {}", causes.map(ToString::to_string).collect::<Vec<_>>().join(": "))
}

fn read_file(path: &Path) -> Result<Vec<u8>, PullError> {
    std::fs::read(path).map_err(|source| PullError::Configuration { path: path.to_owned(), source })
}
