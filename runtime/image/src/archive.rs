//! Archives of images: what `docker save` writes, and OCI layouts, in any order of entries; read, and written.

mod layout;
mod members;
mod save;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::Deserialize;

use crate::config::ImageConfig;
use crate::layer::LayerError;
use crate::store::{Store, StoreError, Unpacked};
use crate::{Digest, Reference};
use members::{Members, member_name};

pub use layout::LayoutName;
pub(crate) use layout::load_layer;
pub use save::{ArchiveForm, SaveError, Saving};

/// The most that a description or manifest may hold.
const MAX_DOCUMENT: u64 = 8 << 20;
/// Layers that are unpacked at once, at most: more would wait for the disk.
const MOST_THREADS: usize = 4;

/// An image that was loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// Its id.
    pub id: Digest,
    /// References that stand for it now.
    pub tags: Vec<Reference>,
}

/// An archive that cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It cannot be read.
    #[error("failed to read the archive")]
    Read(#[source] std::io::Error),
    /// It is none of images.
    #[error("this is no archive of images: {0}")]
    Invalid(String),
    /// A document of it.
    #[error("failed to parse `{name}` of the archive")]
    Document {
        /// Which.
        name: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A layer.
    #[error("failed to unpack layer {layer}")]
    Layer {
        /// Which.
        layer: Digest,
        /// Why.
        #[source]
        source: LayerError,
    },
    /// A tree that is to become an image.
    #[error("failed to unpack the tree")]
    Tree(#[source] LayerError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// `manifest.json` of `docker save`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SavedImage {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

/// An image of an archive, found out.
struct Found {
    config: String,
    layers: Vec<String>,
    tags: Vec<String>,
}

impl Store {
    /// Loads every image of an archive that comes as a stream. Layers that are there already are not unpacked again.
    pub fn load(&self, archive: impl Read) -> Result<Vec<Loaded>, LoadError> {
        let scratch = self.layers.scratch()?;
        self.load_members(&Members::spool(archive, scratch.path())?)
    }

    /// Loads every image of an archive. An uncompressed file is read where it is; anything else is a stream.
    pub fn load_file(&self, archive: std::fs::File) -> Result<Vec<Loaded>, LoadError> {
        match Members::of_file(&archive)? {
            Some(members) => self.load_members(&members),
            None => self.load(archive),
        }
    }

    fn load_members(&self, members: &Members) -> Result<Vec<Loaded>, LoadError> {
        let found = if members.has("manifest.json") { saved_images(members)? } else { layout::images(members)? };
        self.load_found(found, members)
    }

    fn load_found(&self, found: Vec<Found>, members: &Members) -> Result<Vec<Loaded>, LoadError> {
        if found.is_empty() {
            return Err(LoadError::Invalid("it names no image".to_owned()));
        }
        let images = found.into_iter().map(|found| Described::read(found, members)).collect::<Result<Vec<_>, _>>()?;
        let wanted = images.iter().flat_map(|image| image.config.rootfs.diff_ids.iter().zip(&image.found.layers));
        let wanted: BTreeMap<Digest, String> = wanted.map(|(diff_id, name)| (diff_id.clone(), name.clone())).collect();
        // What is loaded has no image yet, and what is there already must not go meanwhile.
        let _lease = self.lease(wanted.keys().cloned());
        self.ensure_layers(&wanted, members)?;
        images.into_iter().map(|image| self.add_loaded(image)).collect()
    }

    fn add_loaded(&self, image: Described) -> Result<Loaded, LoadError> {
        let size = image.config.rootfs.diff_ids.iter().map(|layer| self.layers.size(layer)).sum();
        let id = self.add(&image.text, image.config, size)?;
        let mut tags = Vec::new();
        for tag in &image.found.tags {
            let reference: Reference = tag.parse().map_err(StoreError::from)?;
            self.tag(&id, &reference)?;
            tags.push(reference);
        }
        Ok(Loaded { id, tags })
    }

    /// Unpacks the layers that are missing, as many at once as there are processors, and has them on disk together.
    fn ensure_layers(&self, wanted: &BTreeMap<Digest, String>, members: &Members) -> Result<(), LoadError> {
        // In one order for everybody, so that two loads of the same layers wait for each other and not in a circle.
        let _turns: Vec<_> = wanted.keys().map(|layer| self.flights.blocking_turn(layer)).collect();
        let missing: Vec<(&Digest, &String)> = wanted.iter().filter(|(layer, _)| !self.layers.has(layer)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let next = AtomicUsize::new(0);
        let work = || {
            let mut done = Vec::new();
            while let Some((layer, name)) = missing.get(next.fetch_add(1, Ordering::Relaxed)) {
                done.push(self.unpack_member(layer, name, members)?);
            }
            Ok::<_, LoadError>(done)
        };
        let at_once = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get).min(MOST_THREADS);
        let unpacked = std::thread::scope(|scope| {
            let others: Vec<_> = (1..at_once.min(missing.len())).map(|_| scope.spawn(work)).collect();
            let own = work();
            let others = others.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            std::iter::once(own).chain(others).collect::<Result<Vec<_>, _>>()
        })?;
        self.layers.sync()?;
        Ok(unpacked.into_iter().flatten().try_for_each(|layer| self.layers.publish(layer))?)
    }

    fn unpack_member(&self, layer: &Digest, name: &str, members: &Members) -> Result<Unpacked, LoadError> {
        let member = members.get(name).ok_or_else(|| LoadError::Invalid(format!("layer {layer} is missing")))?;
        let failed = |source| LoadError::Layer { layer: layer.clone(), source };
        self.layers.unpack(member.read()).and_then(|unpacked| unpacked.expect(layer)).map_err(failed)
    }
}

/// An image of an archive, with its description.
struct Described {
    found: Found,
    text: String,
    config: ImageConfig,
}

impl Described {
    fn read(found: Found, members: &Members) -> Result<Self, LoadError> {
        let text = document(members, &found.config)?;
        let config = parse_description(&text)?;
        let (described, there) = (config.rootfs.diff_ids.len(), found.layers.len());
        if described != there {
            return Err(LoadError::Invalid(format!("the image has {there} layers and describes {described}")));
        }
        Ok(Self { found, text, config })
    }
}

pub(crate) fn parse_description(text: &str) -> Result<ImageConfig, LoadError> {
    serde_json::from_str(text).map_err(|source| LoadError::Document { name: "config".to_owned(), source })
}

fn document(members: &Members, name: &str) -> Result<String, LoadError> {
    let member = members.get(name).ok_or_else(|| LoadError::Invalid(format!("`{name}` is missing")))?;
    if member.length > MAX_DOCUMENT {
        return Err(LoadError::Invalid(format!("`{name}` has more than {MAX_DOCUMENT} bytes")));
    }
    let mut text = String::new();
    member.read().read_to_string(&mut text).map_err(LoadError::Read)?;
    Ok(text)
}

fn saved_images(members: &Members) -> Result<Vec<Found>, LoadError> {
    let name = "manifest.json";
    let images: Vec<SavedImage> = serde_json::from_str(&document(members, name)?)
        .map_err(|source| LoadError::Document { name: name.to_owned(), source })?;
    let clean = |name: &String| member_name(Path::new(name));
    let found = |image: SavedImage| Found {
        config: clean(&image.config),
        layers: image.layers.iter().map(clean).collect(),
        tags: image.repo_tags.unwrap_or_default(),
    };
    Ok(images.into_iter().map(found).collect())
}

#[cfg(test)]
mod tests {
    use rcompose_sys::atomic::TempDir;

    use super::save::append;
    use super::*;

    fn layer_tar() -> Vec<u8> {
        let mut archive = tar::Builder::new(Vec::new());
        append(&mut archive, "hello", b"world").unwrap();
        archive.into_inner().unwrap()
    }

    fn saved(layer: &[u8], diff_id: &Digest) -> Vec<u8> {
        let config = serde_json::json!({
            "architecture": "amd64", "os": "linux", "config": { "Cmd": ["/hello"], "Env": null },
            "rootfs": { "type": "layers", "diff_ids": [diff_id.to_string()] },
        });
        let mut archive = tar::Builder::new(Vec::new());
        append(&mut archive, "abc/layer.tar", layer).unwrap();
        append(&mut archive, "abc.json", config.to_string().as_bytes()).unwrap();
        let manifest = serde_json::json!([{ "Config": "abc.json", "RepoTags": ["small:1"], "Layers": ["abc/layer.tar"] }]);
        append(&mut archive, "manifest.json", manifest.to_string().as_bytes()).unwrap();
        archive.into_inner().unwrap()
    }

    #[test]
    fn loads_what_docker_saves() {
        let folder = TempDir::new().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let layer = layer_tar();
        let loaded = store.load(saved(&layer, &Digest::of(&layer)).as_slice()).unwrap();
        assert_eq!(loaded[0].tags[0].familiar(), "small:1");
        let again = Store::open(folder.path()).unwrap();
        let image = again.resolve("small:1").unwrap();
        assert_eq!((image.id.clone(), image.size), (loaded[0].id.clone(), 5));
        assert_eq!(again.resolve(&image.id.hex()[..12]).unwrap(), image);
        let (_, config, view) = again.open_image("small:1").unwrap();
        assert_eq!(config.config.cmd, Some(vec!["/hello".to_owned()]));
        assert_eq!(std::fs::read(view.lower[0].join("hello")).unwrap(), b"world");
        assert_eq!(image.inspect()["RepoTags"][0], "small:1");
        let held = again.hold("small:1").unwrap();
        assert!(matches!(again.remove("small:1"), Err(StoreError::InUse(_))));
        drop(held);
        let (untagged, gone) = again.remove("small:1").unwrap();
        assert_eq!((untagged.len(), gone), (1, Some(image.id)));
        assert_eq!(
            std::fs::read_dir(folder.path().join("layers")).unwrap().filter(|it| it.as_ref().unwrap().path().is_dir()).count(),
            0
        );
    }

    #[test]
    fn refuses_a_layer_that_is_not_what_it_says() {
        let folder = TempDir::new().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let error = store.load(saved(&layer_tar(), &Digest::of(b"other")).as_slice()).unwrap_err();
        assert!(matches!(error, LoadError::Layer { .. }));
        assert!(store.list().is_empty());
        assert_eq!(std::fs::read_dir(folder.path().join("tmp")).unwrap().count(), 0);
        assert!(store.load(&b"no archive"[..]).is_err());
    }
}
