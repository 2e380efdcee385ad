//! Sets of layers in registries: sent as artifacts, fetched layer by layer as they are needed.

use reqwest::StatusCode;

use super::artifact::{ACCEPT, Failed};
use super::endpoint::Endpoint;
use super::manifest::{Descriptor, MAX_MANIFEST, Manifest};
use super::progress::Watched;
use super::pull::Pull;
use super::push::{Push, tag_of};
use super::transport::Transport;
use super::{RegistryConfig, RegistryError};
use crate::layer_set::{LayerSet, MAX_DOCUMENT, SetError, SetKind, SetManifest, SetPlace, of_description};
use crate::{Digest, Platform, Reference, Store};

impl Store {
    /// Has layers of the store and a document about them in a registry; gives the digest of their manifest.
    ///
    /// # Cancel safety
    /// What the registry has got stays there, and is not sent again.
    pub async fn push_layer_set(
        &self,
        reference: &Reference,
        kind: SetKind<'_>,
        document: &str,
        layers: &[Digest],
        config: &RegistryConfig,
    ) -> Result<Digest, RegistryError> {
        let tag = tag_of(reference)?;
        let _lease = self.lease(layers.iter().cloned());
        let transport = Transport::new(config)?;
        let endpoint = transport.settle(Endpoint::own(reference, config)).await.writable();
        let push = Push { store: self, transport: &transport, endpoint: &endpoint, reference, config };
        let (forms, _) = push.layers(layers, None, &|_| {}).await?;
        let document = push.document(document, kind.artifact.config_type).await?;
        let manifest = SetManifest { document, blobs: layers.iter().cloned().zip(forms).collect() };
        push.manifest(tag, &manifest.text(kind)).await
    }

    /// Fetches the document of a set; its layers stay where they are until they are needed.
    ///
    /// # Cancel safety
    /// Nothing of it is kept.
    pub async fn fetch_layer_set(
        &self,
        reference: &Reference,
        kind: SetKind<'_>,
        config: &RegistryConfig,
    ) -> Result<LayerSet, SetError> {
        let transport = Transport::new(config)?;
        let mut failed = Failed::default();
        for endpoint in Endpoint::of(reference, config)? {
            let endpoint = transport.settle(endpoint).await;
            let pull = Pull { store: self, transport: &transport, endpoint: &endpoint, reference };
            match pull.layer_set(kind).await {
                Ok(Some(set)) => return Ok(set),
                Ok(None) => return Err(SetError::OfAnotherKind(kind.artifact.artifact_type.to_owned())),
                Err(error) => failed.push(&endpoint, error),
            }
        }
        Err(failed.error().into())
    }

    /// Has a layer of a set in the store.
    ///
    /// # Cancel safety
    /// As of a pull.
    pub(crate) async fn fetch_layer_of(
        &self,
        reference: &Reference,
        diff_id: &Digest,
        blob: &Descriptor,
        config: &RegistryConfig,
    ) -> Result<(), RegistryError> {
        let transport = Transport::new(config)?;
        let mut failed = Failed::default();
        for endpoint in Endpoint::of(reference, config)? {
            let endpoint = transport.settle(endpoint).await;
            let pull = Pull { store: self, transport: &transport, endpoint: &endpoint, reference };
            match pull.layer(diff_id, blob, &Watched::new(&blob.digest, blob.size)).await {
                Ok(()) => return Ok(()),
                Err(error) => failed.push(&endpoint, error),
            }
        }
        Err(failed.error())
    }
}

impl Pull<'_> {
    async fn layer_set(&self, kind: SetKind<'_>) -> Result<Option<LayerSet>, RegistryError> {
        let mismatch = |why: String| RegistryError::mismatch(&self.endpoint.registry, self.reference, why);
        let wanted = match self.reference.digest() {
            Some(digest) => digest.to_string(),
            None => self.reference.tag().unwrap_or("latest").to_owned(),
        };
        let (bytes, _) = self.transport.bytes(self.endpoint, &self.endpoint.manifest(&wanted), MAX_MANIFEST, ACCEPT).await?;
        if self.reference.digest().is_some_and(|digest| *digest != Digest::of(&bytes)) {
            return Err(mismatch("its content has another digest".to_owned()));
        }
        let text = String::from_utf8(bytes).map_err(|_| mismatch("it is no UTF-8".to_owned()))?;
        let place = SetPlace::Registry(self.reference.clone());
        if let Some(SetManifest { document, blobs }) = SetManifest::parse(&text, kind).map_err(mismatch)? {
            let (bytes, _) = self.transport.bytes(self.endpoint, &self.endpoint.blob(&document.digest), MAX_DOCUMENT, "").await?;
            if Digest::of(&bytes) != document.digest {
                return Err(mismatch("the content of its document has another digest".to_owned()));
            }
            let document = String::from_utf8(bytes).map_err(|_| mismatch("its document is no UTF-8".to_owned()))?;
            return Ok(Some(LayerSet { document, blobs, place }));
        }
        let image = match Manifest::fetch(self.transport, self.endpoint, self.reference, &Platform::host()).await {
            Ok(image) => image,
            Err(RegistryError::Mismatch { .. } | RegistryError::Platform { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let description = self.description(&image.config).await?;
        let found = of_description(&description, &image.layers, kind);
        Ok(found.map(|(document, blobs)| LayerSet { document, blobs, place }))
    }
}

/// Tells whether a registry has nothing under a name: a cache that was never written.
pub(crate) fn is_absent(error: &RegistryError) -> bool {
    matches!(error, RegistryError::Refused { status, .. } if *status == StatusCode::NOT_FOUND.as_u16())
}
