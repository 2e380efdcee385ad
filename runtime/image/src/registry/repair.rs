//! Mending: what a check found wrong is fetched again from where it came.

use std::collections::BTreeSet;

use super::RegistryConfig;
use super::download;
use super::endpoint::Endpoint;
use super::manifest::Descriptor;
use super::pull::{Unpacking, unpack};
use super::transport::Transport;
use crate::store::{Blob, Checked, Problem};
use crate::{Digest, Reference, Store};

impl Store {
    /// Mends an image with which something is wrong. Layers of `busy` are left alone: containers run from them.
    ///
    /// # Errors
    /// Why not, in a sentence.
    pub async fn repair(&self, checked: &Checked, busy: &BTreeSet<Digest>, config: &RegistryConfig) -> Result<(), String> {
        let described = !checked.problems.iter().any(|problem| matches!(problem, Problem::Description(_)));
        for problem in &checked.problems {
            let (Problem::MissingLayer(layer) | Problem::Layer { layer, .. }) = problem else { continue };
            if busy.contains(layer) {
                return Err(format!("containers run from layer {layer}: stop them, and repair again"));
            }
            let blobs = self.layers.blobs(layer);
            self.layers.remove(layer).map_err(|error| error.to_string())?;
            if described {
                self.refetch(layer, &blobs, config).await?;
            }
        }
        if !described {
            self.pull_again(checked, config).await?;
        }
        self.reread();
        Ok(())
    }

    /// Has a layer again, from any registry that had it.
    async fn refetch(&self, layer: &Digest, blobs: &[Blob], config: &RegistryConfig) -> Result<(), String> {
        let transport = Transport::new(config).map_err(|error| error.to_string())?;
        let mut tried = Vec::new();
        for blob in blobs {
            let descriptor = Descriptor {
                media_type: blob.media_type.clone(),
                digest: blob.digest.clone(),
                size: blob.size,
                urls: Vec::new(),
                platform: None,
            };
            for source in blob.sources.iter().rev() {
                let Ok(reference) = format!("{source}@{}", blob.digest).parse::<Reference>() else { continue };
                for endpoint in Endpoint::of(&reference, config).map_err(|error| error.to_string())? {
                    let endpoint = transport.settle(endpoint).await;
                    let (sink, incoming) = download::channel(&descriptor);
                    let (layers, wanted) = (self.layers.clone(), layer.clone());
                    let unpacking = tokio::task::spawn_blocking(move || unpack(&layers, incoming, &wanted));
                    let done = std::sync::atomic::AtomicU64::new(0);
                    let sent = download::download(&transport, &endpoint, &descriptor, sink, &done).await;
                    let unpacked = unpacking.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
                    match (sent, unpacked) {
                        (Ok(()), Ok(())) => {
                            return self.layers.remember(layer, blob.clone(), &reference).map_err(|error| error.to_string());
                        }
                        (Err(error), _) => tried.push(error.told(source)),
                        (_, Err(error)) => tried.push(format!("{source}: {}", told(&error))),
                    }
                }
            }
        }
        match tried.is_empty() {
            true => Err(format!("nobody is known to have layer {layer}: load the image again")),
            false => Err(format!("layer {layer} could not be fetched again ({})", tried.join("; "))),
        }
    }

    /// Has the whole image again, by the digest that a registry had it under.
    async fn pull_again(&self, checked: &Checked, config: &RegistryConfig) -> Result<(), String> {
        let known: Vec<(Reference, Digest)> = {
            let index = self.index();
            let digest = |tag: &Reference| Some((tag.clone(), index.tags.0.get(&tag.to_string())?.digest.clone()?));
            checked.tags.iter().filter_map(digest).collect()
        };
        let Some((tag, digest)) = known.first() else {
            return Err("no registry is known to have it: load the image again".to_owned());
        };
        let name = format!("{}/{}@{digest}", tag.registry(), tag.repository());
        let exact: Reference = name.parse().map_err(|error: crate::InvalidReference| error.to_string())?;
        let platform = None;
        let image = self.pull(&exact, platform, config, |_| {}).await.map_err(|error| error.told(tag.registry()))?;
        if !checked.tags.contains(&exact) {
            // It was only the way to the image, not a name that somebody gave it.
            self.untag(&exact).map_err(|error| error.to_string())?;
        }
        match image.id == checked.id {
            true => Ok(()),
            false => Err(format!("{name} is another image: {}", image.id)),
        }
    }
}

fn told(error: &Unpacking) -> String {
    match error {
        Unpacking::Mismatch(why) => why.clone(),
        Unpacking::Layer(error) => error.to_string(),
        Unpacking::Store(error) => error.to_string(),
    }
}
