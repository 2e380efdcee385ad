//! Pulling: manifest, description, layers; each layer is unpacked while it comes.
//!
//! Several pulls of the same thing fetch it once: whoever comes second waits, and finds it there. A layer that came whole stays
//! when the pull is cut off afterwards, and is not fetched again.
//!
//! Spec: distribution-spec, "Pull".

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use rcompose_sys::fault;

use super::download::{self, Incoming};
use super::endpoint::Endpoint;
use super::manifest::{Descriptor, LayerKind, MAX_CONFIG, Manifest};
use super::progress::Watched;
use super::transport::Transport;
use super::{LayerState, PullProgress, RegistryConfig, RegistryError};
use crate::archive::{LoadError, parse_description};
use crate::config::ImageConfig;
use crate::layer::LayerError;
use crate::store::{Blob, Layers};
use crate::{Digest, Image, Platform, Reference, Store};

/// How often it is told how far a download is.
const TOLD_EVERY: Duration = Duration::from_millis(100);

/// One pull from one registry.
pub(super) struct Pull<'a> {
    pub(super) store: &'a Store,
    pub(super) transport: &'a Transport,
    pub(super) endpoint: &'a Endpoint,
    pub(super) reference: &'a Reference,
}

impl Store {
    /// Pulls an image and has its reference stand for it; of several, the one for `platform`, or for this machine.
    ///
    /// # Cancel safety
    /// What was fetched and not finished is cleared away; finished layers stay and are not fetched again.
    pub async fn pull(
        &self,
        reference: &Reference,
        platform: Option<&Platform>,
        config: &RegistryConfig,
        progress: impl Fn(PullProgress) + Send + Sync,
    ) -> Result<Image, RegistryError> {
        let transport = Transport::new(config)?;
        let mut mirrors = Vec::new();
        let mut endpoints = Endpoint::of(reference, config)?.into_iter().peekable();
        while let Some(endpoint) = endpoints.next() {
            let endpoint = transport.settle(endpoint).await;
            let pull = Pull { store: self, transport: &transport, endpoint: &endpoint, reference };
            match pull.run(platform, config.foreign_layers, &progress).await {
                Ok(image) => return Ok(image),
                Err(error) if endpoints.peek().is_some() => mirrors.push(error.told(&endpoint.registry)),
                Err(error) if mirrors.is_empty() => return Err(error),
                Err(error) => return Err(RegistryError::Mirrors { mirrors, source: Box::new(error) }),
            }
        }
        unreachable!("a reference has at least its own registry")
    }
}

impl Pull<'_> {
    async fn run(
        &self,
        platform: Option<&Platform>,
        foreign: bool,
        progress: &(impl Fn(PullProgress) + Send + Sync),
    ) -> Result<Image, RegistryError> {
        let wanted = platform.cloned().unwrap_or_else(Platform::host);
        let manifest = Manifest::fetch(self.transport, self.endpoint, self.reference, &wanted).await?;
        if let Some(layer) = manifest.layers.iter().find(|it| !foreign && it.kind() == Some(LayerKind::Foreign)) {
            return Err(RegistryError::Foreign { layer: layer.digest.clone(), media_type: layer.media_type.clone() });
        }
        // Held until the image is there: a second pull of it has nothing left to do.
        let _turn = self.store.flights.turn(&manifest.config.digest, || progress(PullProgress::Waiting)).await;
        let text = self.description(&manifest.config).await?;
        let description = parse_description(&text)?;
        self.check_platform(&description, &manifest, platform)?;
        let diff_ids = description.rootfs.diff_ids.clone();
        if diff_ids.len() != manifest.layers.len() {
            let why = format!("it has {} layers and describes {}", manifest.layers.len(), diff_ids.len());
            return Err(self.mismatch("manifest", why));
        }
        let _lease = self.store.lease(diff_ids.iter().cloned());
        self.layers(&diff_ids, &manifest.layers, progress).await?;
        self.finish(&text, description, &manifest)
    }

    fn mismatch(&self, expected: impl ToString, why: impl Into<String>) -> RegistryError {
        RegistryError::mismatch(&self.endpoint.registry, expected, why)
    }

    /// The image's own description: the one that is there already, or a small blob.
    pub(super) async fn description(&self, blob: &Descriptor) -> Result<String, RegistryError> {
        if let Ok(text) = self.store.description(&blob.digest)
            && Digest::of(text.as_bytes()) == blob.digest
        {
            return Ok(text);
        }
        let url = self.endpoint.blob(&blob.digest);
        let (bytes, _) = self.transport.bytes(self.endpoint, &url, MAX_CONFIG, "").await?;
        if Digest::of(&bytes) != blob.digest {
            return Err(self.mismatch(&blob.digest, "its content has another digest"));
        }
        if bytes.len() as u64 != blob.size {
            return Err(self.mismatch(&blob.digest, format!("it has {} bytes instead of {}", bytes.len(), blob.size)));
        }
        String::from_utf8(bytes).map_err(|_| self.mismatch(&blob.digest, "it is no UTF-8"))
    }

    /// An image that stands alone says itself what it is for; only a wish is an error, a host has other means.
    fn check_platform(
        &self,
        description: &ImageConfig,
        manifest: &Manifest,
        wish: Option<&Platform>,
    ) -> Result<(), RegistryError> {
        let Some(wish) = wish.filter(|_| manifest.platform.is_none() && !description.architecture.is_empty()) else {
            return Ok(());
        };
        let own = description.platform();
        if wish.runs(&own) {
            return Ok(());
        }
        Err(RegistryError::Platform { image: self.reference.familiar(), wanted: wish.clone(), there: vec![own.to_string()] })
    }

    async fn layers(
        &self,
        diff_ids: &[Digest],
        blobs: &[Descriptor],
        progress: &(impl Fn(PullProgress) + Send + Sync),
    ) -> Result<(), RegistryError> {
        let watched: Vec<Watched> = blobs.iter().map(|blob| Watched::new(&blob.digest, blob.size)).collect();
        // A layer that an image has twice comes once.
        let mut seen = std::collections::BTreeSet::new();
        let once = diff_ids.iter().zip(blobs).zip(&watched).filter(|((diff_id, _), _)| seen.insert((*diff_id).clone()));
        let mut running: FuturesUnordered<_> =
            once.map(|((diff_id, blob), watched)| self.layer(diff_id, blob, watched)).collect();
        let mut ticks = tokio::time::interval(TOLD_EVERY);
        loop {
            tokio::select! {
                // What has not ended goes on with the next turn.
                layer = running.next() => match layer {
                    None => break,
                    Some(result) => result?,
                },
                _ = ticks.tick() => {}
            }
            Watched::tell(&watched, progress);
        }
        Watched::tell(&watched, progress);
        Ok(())
    }

    /// Has a layer in the store.
    pub(super) async fn layer(&self, diff_id: &Digest, blob: &Descriptor, watched: &Watched) -> Result<(), RegistryError> {
        let layers = &self.store.layers;
        let _turn = self.store.flights.turn(diff_id, || watched.set(LayerState::Waiting)).await;
        if layers.has(diff_id) {
            watched.set(LayerState::Exists);
            return Ok(());
        }
        // Whoever has a turn gets to send sooner or later: nobody waits for a turn while sending.
        let _permit = self.store.transfers.acquire().await.expect("it is never closed");
        watched.set(LayerState::Downloading);
        let (sink, incoming) = download::channel(blob);
        let (place, wanted) = (layers.clone(), diff_id.clone());
        let unpacking = tokio::task::spawn_blocking(move || unpack(&place, incoming, &wanted));
        let sending = download::download(self.transport, self.endpoint, blob, sink, watched.count());
        let sent = sending.await;
        watched.set(LayerState::Extracting);
        let unpacked = match unpacking.await {
            Ok(result) => result,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        };
        // Who sends knows better why nothing came.
        sent?;
        unpacked.map_err(|error| match error {
            Unpacking::Mismatch(why) => self.mismatch(&blob.digest, why),
            Unpacking::Layer(source) => LoadError::Layer { layer: diff_id.clone(), source }.into(),
            Unpacking::Store(error) => error.into(),
        })?;
        let form =
            Blob { media_type: blob.media_type.clone(), digest: blob.digest.clone(), size: blob.size, sources: Vec::new() };
        layers.remember(diff_id, form, self.reference)?;
        watched.set(LayerState::Complete);
        Ok(())
    }

    fn finish(&self, text: &str, description: ImageConfig, manifest: &Manifest) -> Result<Image, RegistryError> {
        let layers = &self.store.layers;
        let diff_ids = &description.rootfs.diff_ids;
        // That a blob unpacks to a layer is known of those that came here. Of others only the manifest says so, and what is sent
        // elsewhere later is not to depend on a stranger's word.
        let known = |(diff_id, blob): (&Digest, &Descriptor)| layers.blobs(diff_id).iter().any(|it| it.digest == blob.digest);
        let verified = diff_ids.iter().zip(&manifest.layers).all(known);
        let kept = verified.then(|| manifest.text.clone());
        let size = diff_ids.iter().map(|diff_id| layers.size(diff_id)).sum();
        let id = self.store.add_with(text, description, size, kept)?;
        fault::point("image.pull.recorded");
        self.store.tag_as(&id, self.reference, Some(manifest.top.clone()))?;
        Ok(self.store.resolve(&id.to_string())?)
    }
}

/// Why a layer is not there.
pub(super) enum Unpacking {
    Mismatch(String),
    Layer(LayerError),
    Store(crate::StoreError),
}

/// On a thread of its own: unpacks what comes, and publishes it when all of it was right.
pub(super) fn unpack(layers: &Layers, mut incoming: Incoming, diff_id: &Digest) -> Result<(), Unpacking> {
    let unpacked = layers.unpack(&mut incoming);
    if unpacked.as_ref().is_err_and(|error| !matches!(error, LayerError::Read(_))) {
        return unpacked.map(drop).map_err(Unpacking::Layer);
    }
    // What cannot be read may be damaged: then its digest is the better answer.
    match incoming.check() {
        Ok(Err(why)) => return Err(Unpacking::Mismatch(why)),
        Ok(Ok(())) => {}
        Err(error) if unpacked.is_ok() => return Err(Unpacking::Layer(LayerError::Read(error))),
        Err(_) => {}
    }
    let unpacked = unpacked.and_then(|unpacked| unpacked.expect(diff_id)).map_err(Unpacking::Layer)?;
    layers.sync().and_then(|()| layers.publish(unpacked)).map_err(Unpacking::Store)
}
