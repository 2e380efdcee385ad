//! Pushing: the layers first, then the description, then the manifest, so that a tag never stands for something incomplete.
//!
//! What came from a registry goes out as it came, byte for byte: the manifest was kept, and its blobs are there already, or are
//! mounted from another repository of the same registry, or are put together again, or fetched where they came from. What was
//! made here is compressed, and known by that form from then on.
//!
//! Spec: distribution-spec, "Push".

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use reqwest::{StatusCode, header};
use serde_json::json;

use super::endpoint::Endpoint;
use super::manifest::{Descriptor, Manifest, OCI_CONFIG, OCI_MANIFEST};
use super::progress::Watched;
use super::spool::{COMPRESSION, Spooled, pack};
use super::transport::Transport;
use super::{LayerState, PushProgress, RegistryConfig, RegistryError, download, upload};
use crate::store::{Blob, Layers};
use crate::{Digest, Image, Reference, Store};

/// How often it is told how far an upload is.
const TOLD_EVERY: Duration = Duration::from_millis(100);

/// An image that was pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    /// Of the manifest.
    pub digest: Digest,
    /// Layers that could not be had in the form in which they came: the manifest is another, and the image the same.
    pub renewed: Vec<Digest>,
}

/// One push to one repository.
pub(super) struct Push<'a> {
    pub(super) store: &'a Store,
    pub(super) transport: &'a Transport,
    pub(super) endpoint: &'a Endpoint,
    pub(super) reference: &'a Reference,
    pub(super) config: &'a RegistryConfig,
}

impl Store {
    /// Pushes the image that a reference stands for, to where the reference says.
    ///
    /// # Cancel safety
    /// What the registry has got stays there, and is not sent again.
    pub async fn push(
        &self,
        reference: &Reference,
        config: &RegistryConfig,
        progress: impl Fn(PushProgress) + Send + Sync,
    ) -> Result<Pushed, RegistryError> {
        let tag = tag_of(reference)?;
        let image = self.resolve(&reference.to_string())?;
        let _lease = self.lease(image.config.rootfs.diff_ids.iter().cloned());
        let transport = Transport::new(config)?;
        // Mirrors are for reading.
        let endpoint = transport.settle(Endpoint::own(reference, config)).await.writable();
        let push = Push { store: self, transport: &transport, endpoint: &endpoint, reference, config };
        let kept = self.manifest_of(&image.id).and_then(|text| Manifest::parse(&text));
        let kept = kept.filter(|manifest| manifest.layers.len() == image.config.rootfs.diff_ids.len());
        let (layers, renewed) = push.layers(&image.config.rootfs.diff_ids, kept.as_ref(), &progress).await?;
        let text = match kept {
            Some(manifest) if renewed.is_empty() => manifest.text,
            _ => manifest(&image, &self.read_description(&image)?, &layers),
        };
        let description = self.read_description(&image)?;
        push.document(&description, OCI_CONFIG).await?;
        let digest = push.manifest(tag, &text).await?;
        let size = image.size;
        self.add_with(&description, image.config, size, Some(text))?;
        self.know_digest(reference, &digest)?;
        Ok(Pushed { digest, renewed })
    }

    fn read_description(&self, image: &Image) -> Result<String, RegistryError> {
        let failed = |source| RegistryError::Read { layer: image.id.clone(), source };
        self.description(&image.id).map_err(failed)
    }
}

/// A push goes to a tag: what digest it gets is found out.
pub(super) fn tag_of(reference: &Reference) -> Result<&str, RegistryError> {
    let tag = reference.tag().filter(|_| reference.digest().is_none());
    tag.ok_or_else(|| RegistryError::NoTag(reference.familiar()))
}

/// A manifest for layers that were compressed here.
fn manifest(image: &Image, description: &str, layers: &[Descriptor]) -> String {
    let config = json!({ "mediaType": OCI_CONFIG, "digest": image.id.to_string(), "size": description.len() });
    json!({ "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": layers }).to_string()
}

impl Push<'_> {
    /// Has every layer in the registry. Gives the forms in which they are there, and those of `kept` that could not be had.
    pub(super) async fn layers(
        &self,
        diff_ids: &[Digest],
        kept: Option<&Manifest>,
        progress: &(impl Fn(PushProgress) + Send + Sync),
    ) -> Result<(Vec<Descriptor>, Vec<Digest>), RegistryError> {
        let fixed = |number: usize| kept.map(|manifest| &manifest.layers[number]);
        let watch = |(number, diff_id): (usize, &Digest)| match fixed(number) {
            Some(blob) => Watched::new(&blob.digest, blob.size),
            None => Watched::new(diff_id, self.store.layers.size(diff_id)),
        };
        let watched: Vec<Watched> = diff_ids.iter().enumerate().map(watch).collect();
        // A layer that an image has twice goes once.
        let first = |diff_id: &Digest| diff_ids.iter().position(|other| other == diff_id).unwrap_or(0);
        let once = diff_ids.iter().enumerate().filter(|(number, diff_id)| first(diff_id) == *number);
        let mut running: FuturesUnordered<_> = once
            .map(|(number, diff_id)| {
                let watched = &watched[number];
                async move { self.layer(diff_id, fixed(number), watched).await.map(|sent| (number, sent)) }
            })
            .collect();
        let mut sent = std::collections::BTreeMap::new();
        let mut ticks = tokio::time::interval(TOLD_EVERY);
        loop {
            tokio::select! {
                // What has not ended goes on with the next turn.
                layer = running.next() => match layer {
                    None => break,
                    Some(result) => drop(result.map(|(number, layer)| sent.insert(number, layer))?),
                },
                _ = ticks.tick() => {}
            }
            Watched::tell(&watched, progress);
        }
        Watched::tell(&watched, progress);
        let all = diff_ids.iter().map(|diff_id| sent[&first(diff_id)].clone());
        let renewed = all.clone().enumerate().filter(|(number, it)| fixed(*number).is_some_and(|kept| kept.digest != it.digest));
        Ok((all.collect(), renewed.map(|(number, _)| diff_ids[number].clone()).collect()))
    }

    /// Has one layer in the registry; in the form `fixed` if that can be had.
    async fn layer(&self, diff_id: &Digest, fixed: Option<&Descriptor>, watched: &Watched) -> Result<Descriptor, RegistryError> {
        let layers = &self.store.layers;
        let known = layers.blobs(diff_id);
        let forms: Vec<Descriptor> = match fixed {
            Some(blob) => vec![blob.clone()],
            None => known.iter().map(descriptor).collect(),
        };
        // Of two that send the same to one place the second finds it there; registries have been seen to lose it otherwise.
        let _turn = self.store.flights.turn(diff_id, || watched.set(LayerState::Waiting)).await;
        // Whoever sends waits for nobody.
        let _permit = self.store.transfers.acquire().await.expect("it is never closed");
        for form in &forms {
            if self.has(&form.digest).await? {
                return self.sent(diff_id, form, watched, LayerState::Exists);
            }
        }
        let mut session = None;
        for form in &forms {
            for from in self.repositories_with(&known, form) {
                match upload::begin(self.transport, self.endpoint, Some((form, &from))).await {
                    Ok(None) => return self.sent(diff_id, form, watched, LayerState::Mounted),
                    // It would not, and began an upload instead.
                    Ok(Some(begun)) => session = Some(begun),
                    // Whether a repository may be read is nobody's business but its own: then it is sent.
                    Err(error) if error.is_unauthorized() => {}
                    Err(RegistryError::Refused { status: 400..500, .. }) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        watched.set(LayerState::Preparing);
        let (form, spooled) = match fixed {
            Some(blob) => match self.obtain(diff_id, blob, &known).await? {
                Some(spooled) => (blob.clone(), spooled),
                None => self.compress(diff_id).await?,
            },
            None => self.compress(diff_id).await?,
        };
        if !forms.iter().any(|known| known.digest == form.digest) && self.has(&form.digest).await? {
            return self.sent(diff_id, &form, watched, LayerState::Exists);
        }
        let begun = match session {
            Some(session) => Some(session),
            None => upload::begin(self.transport, self.endpoint, None).await?,
        };
        if let Some(session) = begun {
            watched.set_total(form.size);
            watched.set(LayerState::Uploading);
            upload::upload(self.transport, self.endpoint, session, &spooled.file, &form, watched.count()).await?;
        }
        self.sent(diff_id, &form, watched, LayerState::Pushed)
    }

    fn sent(&self, diff_id: &Digest, form: &Descriptor, watched: &Watched, how: LayerState) -> Result<Descriptor, RegistryError> {
        let blob =
            Blob { media_type: form.media_type.clone(), digest: form.digest.clone(), size: form.size, sources: Vec::new() };
        self.store.layers.remember(diff_id, blob, self.reference)?;
        watched.set(how);
        Ok(form.clone())
    }

    async fn has(&self, digest: &Digest) -> Result<bool, RegistryError> {
        let url = self.endpoint.blob(digest);
        let response = self.transport.send(self.endpoint, &[StatusCode::NOT_FOUND], |client| client.head(&url)).await?;
        Ok(response.status() != StatusCode::NOT_FOUND)
    }

    /// Other repositories of this registry that are known to have a blob.
    fn repositories_with(&self, known: &[Blob], form: &Descriptor) -> Vec<String> {
        let sources = known.iter().filter(|blob| blob.digest == form.digest).flat_map(|blob| &blob.sources);
        let own = sources.filter_map(|source| source.strip_prefix(self.reference.registry())?.strip_prefix('/'));
        own.filter(|repository| *repository != self.reference.repository()).map(str::to_owned).collect()
    }

    /// A blob in the very form in which it once came; `None` if nobody has it any more.
    async fn obtain(&self, diff_id: &Digest, blob: &Descriptor, known: &[Blob]) -> Result<Option<Spooled>, RegistryError> {
        if blob.digest == *diff_id {
            return self
                .blocking(diff_id, |layers, diff_id, path| pack(&layers, &diff_id, &path, None))
                .await
                .map(|(_, it)| Some(it));
        }
        let sources = known.iter().filter(|known| known.digest == blob.digest).flat_map(|known| &known.sources);
        for source in sources {
            let Ok(reference) = format!("{source}@{}", blob.digest).parse::<Reference>() else { continue };
            for endpoint in Endpoint::of(&reference, self.config)? {
                match self.fetch(&self.transport.settle(endpoint).await, blob).await {
                    Ok(spooled) => return Ok(Some(spooled)),
                    Err(error) => tracing::debug!(%source, %error, "a layer is not there any more"),
                }
            }
        }
        let (form, spooled) = self.compress(diff_id).await?;
        Ok((form.digest == blob.digest).then_some(spooled))
    }

    /// Fetches a blob into a file.
    async fn fetch(&self, endpoint: &Endpoint, blob: &Descriptor) -> Result<Spooled, RegistryError> {
        let folder = self.store.layers.scratch()?;
        let path = folder.path().join("blob");
        let (sink, mut incoming) = download::channel(blob);
        let writing = tokio::task::spawn_blocking(move || {
            let mut file = std::fs::File::options().read(true).write(true).create_new(true).open(path)?;
            std::io::copy(&mut incoming, &mut file)?;
            Ok::<_, std::io::Error>((file, incoming.check()?))
        });
        let sent = download::download(self.transport, endpoint, blob, sink, &std::sync::atomic::AtomicU64::new(0)).await;
        let written = writing.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        sent?;
        let (file, checked) = written.map_err(RegistryError::Write)?;
        checked.map_err(|why| RegistryError::mismatch(&endpoint.registry, &blob.digest, why))?;
        Ok(Spooled::new(file, folder))
    }

    async fn compress(&self, diff_id: &Digest) -> Result<(Descriptor, Spooled), RegistryError> {
        self.blocking(diff_id, |layers, diff_id, path| pack(&layers, &diff_id, &path, Some(COMPRESSION))).await
    }

    async fn blocking(
        &self,
        diff_id: &Digest,
        work: impl FnOnce(Layers, Digest, PathBuf) -> std::io::Result<(Descriptor, std::fs::File)> + Send + 'static,
    ) -> Result<(Descriptor, Spooled), RegistryError> {
        let folder = self.store.layers.scratch()?;
        let (layers, wanted, path) = (self.store.layers.clone(), diff_id.clone(), folder.path().join("blob"));
        let packed = tokio::task::spawn_blocking(move || work(layers, wanted, path)).await;
        let packed = packed.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        let (form, file) = packed.map_err(|source| RegistryError::Read { layer: diff_id.clone(), source })?;
        Ok((form, Spooled::new(file, folder)))
    }

    /// Has a small blob in the registry: an image's description.
    pub(super) async fn document(&self, text: &str, media_type: &str) -> Result<Descriptor, RegistryError> {
        let (digest, size) = (Digest::of(text.as_bytes()), text.len() as u64);
        let blob = Descriptor { media_type: media_type.to_owned(), digest, size, urls: Vec::new(), platform: None };
        let _turn = self.store.flights.turn(&blob.digest, || {}).await;
        if self.has(&blob.digest).await? {
            return Ok(blob);
        }
        let folder = self.store.layers.scratch()?;
        let path = folder.path().join("document");
        std::fs::write(&path, text).map_err(RegistryError::Write)?;
        let file = Arc::new(std::fs::File::open(&path).map_err(RegistryError::Write)?);
        if let Some(session) = upload::begin(self.transport, self.endpoint, None).await? {
            let count = std::sync::atomic::AtomicU64::new(0);
            upload::upload(self.transport, self.endpoint, session, &file, &blob, &count).await?;
        }
        Ok(blob)
    }

    pub(super) async fn manifest(&self, tag: &str, text: &str) -> Result<Digest, RegistryError> {
        let digest = Digest::of(text.as_bytes());
        let kind = Manifest::parse(text).map_or_else(|| OCI_MANIFEST.to_owned(), |manifest| manifest.media_type());
        let url = self.endpoint.manifest(tag);
        let make = |client: &reqwest::Client| client.put(&url).header(header::CONTENT_TYPE, &kind).body(text.to_owned());
        let response = self.transport.send(self.endpoint, &[], make).await?;
        let told = response.headers().get("docker-content-digest").and_then(|value| value.to_str().ok());
        if told.is_some_and(|told| told != digest.to_string()) {
            let why = format!("it has it as {}", told.unwrap_or_default().escape_debug());
            return Err(RegistryError::mismatch(&self.endpoint.registry, digest, why));
        }
        Ok(digest)
    }
}

fn descriptor(blob: &Blob) -> Descriptor {
    // What some registry called it is as good as it gets.
    let media_type = blob.media_type.clone();
    Descriptor { media_type, digest: blob.digest.clone(), size: blob.size, urls: Vec::new(), platform: None }
}
