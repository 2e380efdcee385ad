//! The content store.
//!
//! ```text
//! <data>/images/layers/       unpacked layers, and what is known of them: see `layers`
//!              /images/       an image a file, `<id>.json`: its description (config) and manifest as they came, its size
//!              /tags.json     which reference stands for which image
//!              /tmp/          what is being made; swept at the start
//!              /trash/        what is being removed; swept at the start
//! ```
//! Order is what keeps it whole: layers before the image, the image before its tag; backwards when something goes. What no tag
//! reaches and nobody has leased is garbage. A store belongs to one process at a time.

mod check;
mod collect;
mod flights;
mod layers;
mod leases;
mod tags;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use rcompose_sys::atomic;
use rcompose_sys::fault;
use serde::{Deserialize, Serialize};

use crate::config::ImageConfig;
use crate::rootfs::{self, RootfsError, View};
use crate::{Digest, InvalidReference, Reference};
use flights::Flights;
use leases::Leases;
use tags::{Tag, Tags};

pub use check::{Checked, Problem};
pub use collect::Collected;
pub(crate) use layers::{Blob, Layers, Unpacked};
pub use leases::Lease;

/// Blobs that come or go at once, whoever wants them.
const TRANSFERS: usize = 6;

/// An image of the store.
#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    /// Digest of its description.
    pub id: Digest,
    /// Its description.
    pub config: ImageConfig,
    /// Bytes of its layers, unpacked.
    pub size: u64,
    /// References that stand for it.
    pub tags: Vec<Reference>,
    /// What registries have under those references: `redis@sha256:...`.
    pub digests: Vec<String>,
    /// When the last of its tags was set, in seconds since 1970; 0 if that is not known.
    pub tagged: i64,
}

/// What the store could not do.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No such image.
    #[error("No such image: {0}")]
    NotFound(String),
    /// Several images have an id that begins so.
    #[error("`{0}` is the beginning of several image ids")]
    Ambiguous(String),
    /// Somebody is about to use it.
    #[error("image {0} is just being used")]
    InUse(String),
    /// No reference.
    #[error(transparent)]
    Reference(#[from] InvalidReference),
    /// A directory as an image.
    #[error(transparent)]
    Rootfs(#[from] RootfsError),
    /// The file system refused.
    #[error("failed to {doing} in the image store")]
    Storage {
        /// What was being done.
        doing: &'static str,
        /// Why not.
        #[source]
        source: rcompose_sys::Error,
    },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Record {
    /// The description as it came, byte for byte: its digest is the id.
    config: String,
    size: u64,
    /// The manifest as it came, byte for byte, of an image that came from a registry or went there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    manifest: Option<String>,
}

/// The content store.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
    pub(crate) layers: Layers,
    pub(crate) leases: Leases,
    pub(crate) flights: Flights,
    /// Blobs that come or go at once.
    pub(crate) transfers: tokio::sync::Semaphore,
    index: Mutex<Index>,
}

#[derive(Debug, Default)]
pub(crate) struct Index {
    pub(crate) images: BTreeMap<Digest, (ImageConfig, u64)>,
    pub(crate) tags: Tags,
}

pub(crate) fn storage<T>(result: rcompose_sys::Result<T>, doing: &'static str) -> Result<T, StoreError> {
    result.map_err(|source| StoreError::Storage { doing, source })
}

impl Store {
    /// Opens the store, and makes it if it is not there.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        for folder in ["layers", "images", "tmp", "trash"] {
            use std::os::unix::fs::DirBuilderExt;
            let path = root.join(folder);
            let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&path);
            storage(made.map_err(|error| io("mkdir", &path, &error)), "make a folder")?;
        }
        // What was being made or removed when the last process ended is of no use.
        for entry in ["tmp", "trash"].into_iter().flat_map(|folder| std::fs::read_dir(root.join(folder)).into_iter().flatten()) {
            let path = storage(entry.map_err(|error| io("readdir", root, &error)), "clear away")?.path();
            storage(atomic::remove_tree(&path), "clear away")?;
        }
        let index = Mutex::new(read_index(root));
        let (leases, flights) = (Leases::default(), Flights::default());
        let transfers = tokio::sync::Semaphore::new(TRANSFERS);
        Ok(Self { root: root.to_owned(), layers: Layers::new(root), leases, flights, transfers, index })
    }

    pub(crate) fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Finds an image by reference, id, or the beginning of an id. A reference with a digest finds what was pulled by a tag, too.
    pub fn resolve(&self, name: &str) -> Result<Image, StoreError> {
        let index = self.index();
        if let Ok(reference) = name.parse::<Reference>()
            && let Some((_, tag)) = index.tags.of(&reference).next()
        {
            return index.image(&tag.id).ok_or_else(|| StoreError::NotFound(name.to_owned()));
        }
        let prefix = name.strip_prefix("sha256:").unwrap_or(name);
        if prefix.len() < 4 || !prefix.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(StoreError::NotFound(name.to_owned()));
        }
        let mut found = index.images.keys().filter(|id| id.hex().starts_with(prefix));
        match (found.next(), found.next()) {
            (Some(id), None) => index.image(id).ok_or_else(|| StoreError::NotFound(name.to_owned())),
            (None, _) => Err(StoreError::NotFound(name.to_owned())),
            (Some(_), Some(_)) => Err(StoreError::Ambiguous(name.to_owned())),
        }
    }

    /// Opens what a service names: an image of the store, or a directory (`rootfs:`). Gives an id, the description, and what the
    /// root file system is made of.
    pub fn open_image(&self, name: &str) -> Result<(String, ImageConfig, View), StoreError> {
        if let Some(path) = rootfs::path_of(name) {
            let (view, config) = rootfs::open(path, &self.root)?;
            return Ok((format!("rootfs:{}", path.display()), config, view));
        }
        let image = self.resolve(name)?;
        let view = self.view_of(&image.config.rootfs.diff_ids);
        Ok((image.id.to_string(), image.config, view))
    }

    /// The id that a name stands for now, if it is there.
    pub fn id_of(&self, name: &str) -> Option<String> {
        match rootfs::path_of(name) {
            Some(path) => path.is_dir().then(|| name.to_owned()),
            None => self.resolve(name).ok().map(|image| image.id.to_string()),
        }
    }

    /// All images, by id.
    pub fn list(&self) -> Vec<Image> {
        let index = self.index();
        index.images.keys().filter_map(|id| index.image(id)).collect()
    }

    /// Makes a reference stand for an image.
    pub fn tag(&self, id: &Digest, reference: &Reference) -> Result<(), StoreError> {
        self.tag_as(id, reference, None)
    }

    /// Makes a reference stand for an image, of which a registry has `digest` under it.
    pub(crate) fn tag_as(&self, id: &Digest, reference: &Reference, digest: Option<Digest>) -> Result<(), StoreError> {
        let mut index = self.index();
        if !index.images.contains_key(id) {
            return Err(StoreError::NotFound(id.to_string()));
        }
        let tag = Tag { id: id.clone(), set: now(), digest };
        index.tags.0.insert(reference.to_string(), tag);
        self.write_tags(&index.tags)
    }

    /// Remembers what a registry has under a reference.
    pub(crate) fn know_digest(&self, reference: &Reference, digest: &Digest) -> Result<(), StoreError> {
        let mut index = self.index();
        if let Some(tag) = index.tags.0.get_mut(&reference.to_string()) {
            tag.digest = Some(digest.clone());
        }
        self.write_tags(&index.tags)
    }

    /// When a reference was last set, in seconds since 1970, if it stands for an image of the store.
    pub fn set_at(&self, reference: &Reference) -> Option<i64> {
        self.index().tags.0.get(&reference.to_string()).map(|tag| tag.set)
    }

    /// Keeps layers from being collected, those that are there and those that come, until the lease goes.
    pub fn lease(&self, layers: impl IntoIterator<Item = Digest>) -> Lease {
        // A collection holds the index while it decides and removes.
        let _index = self.index();
        self.leases.take(layers)
    }

    /// Keeps an image from being removed until the lease goes: for whoever is about to make something of it.
    pub fn hold(&self, name: &str) -> Result<Lease, StoreError> {
        if rootfs::path_of(name).is_some() {
            return Ok(self.lease([]));
        }
        let image = self.resolve(name)?;
        let lease = self.lease(std::iter::once(image.id.clone()).chain(image.config.rootfs.diff_ids));
        // It may have gone just before.
        self.resolve(&image.id.to_string())?;
        Ok(lease)
    }

    /// Removes a reference, or by id an image with all its references. Tells what was untagged, and whether the image went.
    pub fn remove(&self, name: &str) -> Result<(Vec<String>, Option<Digest>), StoreError> {
        let image = self.resolve(name)?;
        let mut index = self.index();
        let named: Vec<String> = match name.parse::<Reference>() {
            Ok(reference) => index.tags.of(&reference).map(|(tag, _)| tag.clone()).collect(),
            Err(_) => Vec::new(),
        };
        let untagged = if named.is_empty() { image.tags.iter().map(ToString::to_string).collect() } else { named };
        let others = index.tags.0.iter().filter(|(tag, of)| of.id == image.id && !untagged.contains(tag)).count();
        if others == 0 && self.leases.holds(&image.id) {
            return Err(StoreError::InUse(name.to_owned()));
        }
        for tag in &untagged {
            index.tags.0.remove(tag);
        }
        self.write_tags(&index.tags)?;
        fault::point("image.untagged");
        let gone = !index.tags.0.values().any(|tag| tag.id == image.id);
        if gone {
            self.forget(&mut index, &image.id)?;
        }
        Ok((untagged, gone.then_some(image.id)))
    }

    /// Forgets a reference, and nothing else.
    pub(crate) fn untag(&self, reference: &Reference) -> Result<(), StoreError> {
        let mut index = self.index();
        index.tags.0.remove(&reference.to_string());
        self.write_tags(&index.tags)
    }

    /// The image goes before its layers: one that is listed is whole.
    fn forget(&self, index: &mut Index, id: &Digest) -> Result<(), StoreError> {
        storage(atomic::remove_tree(&self.image_path(id)), "remove an image")?;
        storage(atomic::sync_directory(&self.root.join("images")), "remove an image")?;
        fault::point("image.forgotten");
        let Some((config, _)) = index.images.remove(id) else { return Ok(()) };
        let layers: std::collections::BTreeSet<Digest> = config.rootfs.diff_ids.into_iter().collect();
        layers.iter().filter(|layer| !index.uses(layer) && !self.leases.holds(layer)).try_for_each(|it| self.layers.remove(it))
    }

    /// Makes an image visible whose layers are there.
    pub(crate) fn add(&self, description: &str, config: ImageConfig, size: u64) -> Result<Digest, StoreError> {
        self.add_with(description, config, size, None)
    }

    /// As [`Store::add`], with the manifest by which registries know the image; one that is known already is kept.
    pub(crate) fn add_with(
        &self,
        description: &str,
        config: ImageConfig,
        size: u64,
        manifest: Option<String>,
    ) -> Result<Digest, StoreError> {
        let id = Digest::of(description.as_bytes());
        let mut index = self.index();
        let manifest = manifest.or_else(|| self.record(&id).ok().and_then(|record| record.manifest));
        let record = Record { config: description.to_owned(), size, manifest };
        let json = serde_json::to_vec(&record).expect("texts and numbers have a JSON form");
        storage(atomic::write_file(&self.image_path(&id), &json, 0o600), "record an image")?;
        fault::point("image.recorded");
        index.images.insert(id.clone(), (config, size));
        Ok(id)
    }

    fn image_path(&self, id: &Digest) -> PathBuf {
        self.root.join(format!("images/{}.json", id.hex()))
    }

    fn record(&self, id: &Digest) -> std::io::Result<Record> {
        Ok(serde_json::from_slice(&std::fs::read(self.image_path(id))?)?)
    }

    /// The description of an image, byte for byte.
    pub(crate) fn description(&self, id: &Digest) -> std::io::Result<String> {
        self.record(id).map(|record| record.config)
    }

    /// The manifest by which registries know an image, byte for byte.
    pub(crate) fn manifest_of(&self, id: &Digest) -> Option<String> {
        self.record(id).ok()?.manifest
    }

    fn write_tags(&self, tags: &Tags) -> Result<(), StoreError> {
        fault::point("image.tagging");
        let json = serde_json::to_vec_pretty(tags).expect("texts have a JSON form");
        storage(atomic::write_file(&self.root.join("tags.json"), &json, 0o600), "write the tags")
    }
}

impl Index {
    fn image(&self, id: &Digest) -> Option<Image> {
        let (config, size) = self.images.get(id)?;
        let own = || self.tags.0.iter().filter(|(_, tag)| tag.id == *id);
        let tags: Vec<Reference> = own().filter_map(|(text, _)| text.parse().ok()).collect();
        let known = own().filter_map(|(text, tag)| {
            let digest = tag.digest.as_ref()?;
            Some(format!("{}@{digest}", text.parse::<Reference>().ok()?.familiar_name()))
        });
        let digests: std::collections::BTreeSet<String> = known.collect();
        let tagged = own().map(|(_, tag)| tag.set).max().unwrap_or(0);
        let (id, config, digests) = (id.clone(), config.clone(), digests.into_iter().collect());
        Some(Image { id, config, size: *size, tags, digests, tagged })
    }

    /// Whether an image has a layer.
    pub(crate) fn uses(&self, layer: &Digest) -> bool {
        self.images.values().any(|(config, _)| config.rootfs.diff_ids.contains(layer))
    }
}

fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

/// Reads what is there. A record that is damaged, or whose layers are gone, is left out until it is mended; the rest works.
fn read_index(root: &Path) -> Index {
    let mut index = Index::default();
    for entry in std::fs::read_dir(root.join("images")).into_iter().flatten().flatten() {
        let record = std::fs::read(entry.path()).ok().and_then(|json| serde_json::from_slice::<Record>(&json).ok());
        let config = record.as_ref().and_then(|record| serde_json::from_str::<ImageConfig>(&record.config).ok());
        match (record, config) {
            (Some(record), Some(config))
                if config.rootfs.diff_ids.iter().all(|id| root.join("layers").join(id.hex()).is_dir()) =>
            {
                index.images.insert(Digest::of(record.config.as_bytes()), (config, record.size));
            }
            _ => tracing::warn!(file = %entry.path().display(), "an image is damaged and left out"),
        }
    }
    let tags = std::fs::read(root.join("tags.json")).ok().and_then(|json| serde_json::from_slice(&json).ok());
    index.tags = tags.unwrap_or_default();
    index
}

pub(crate) fn io(call: &'static str, path: &Path, error: &std::io::Error) -> rcompose_sys::Error {
    let errno = rustix::io::Errno::from_io_error(error).unwrap_or(rustix::io::Errno::IO);
    rcompose_sys::Error::new(call, format!("{path:?}"), errno)
}
