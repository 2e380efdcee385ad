//! The content store.
//!
//! ```text
//! <data>/images/layers/<diff id>/        an unpacked layer, ready to be a lower directory
//!                     /<diff id>.size    bytes of its files
//!                     /<diff id>.recipe  how its archive is put together again
//!              /images/<id>.json         an image: its description (config), and the size of its layers
//!              /tags.json                which reference stands for which image
//!              /tmp/                     what is being made; swept at the start
//! ```
//! Order is what keeps it whole: layers before the image, the image before its tag. What no tag reaches is garbage.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use rcompose_sys::atomic::{self, TempDir};
use serde::{Deserialize, Serialize};

use crate::config::ImageConfig;
use crate::rootfs::{self, RootfsError, View};
use crate::{Digest, InvalidReference, Reference};

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

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
struct Tags(BTreeMap<String, Digest>);

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Record {
    /// The description as it came, byte for byte: its digest is the id.
    config: String,
    size: u64,
}

/// The content store.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
    index: Mutex<Index>,
}

#[derive(Debug, Default)]
pub(crate) struct Index {
    pub(crate) images: BTreeMap<Digest, (ImageConfig, u64)>,
    tags: Tags,
    /// Layers that are in use beside images, and how often.
    pub(crate) held: BTreeMap<Digest, usize>,
}

pub(crate) fn storage<T>(result: rcompose_sys::Result<T>, doing: &'static str) -> Result<T, StoreError> {
    result.map_err(|source| StoreError::Storage { doing, source })
}

impl Store {
    /// Opens the store, and makes it if it is not there.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        for folder in ["layers", "images", "tmp"] {
            use std::os::unix::fs::DirBuilderExt;
            let path = root.join(folder);
            let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&path);
            storage(made.map_err(|error| io("mkdir", &path, &error)), "make a folder")?;
        }
        // What was being made when it ended is of no use.
        for entry in std::fs::read_dir(root.join("tmp")).into_iter().flatten().flatten() {
            storage(atomic::remove_tree(&entry.path()), "clear away")?;
        }
        let index = read_index(root);
        Ok(Self { root: root.to_owned(), index: Mutex::new(index) })
    }

    pub(crate) fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Finds an image by reference, id, or the beginning of an id.
    pub fn resolve(&self, name: &str) -> Result<Image, StoreError> {
        let index = self.index();
        if let Ok(reference) = name.parse::<Reference>()
            && let Some(id) = index.tags.0.get(&reference.to_string())
        {
            return index.image(id).ok_or_else(|| StoreError::NotFound(name.to_owned()));
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
        let mut index = self.index();
        index.tags.0.insert(reference.to_string(), id.clone());
        self.write_tags(&index.tags)
    }

    /// Removes a reference, or by id an image with all its references. Tells what was untagged, and whether the image went.
    pub fn remove(&self, name: &str) -> Result<(Vec<String>, Option<Digest>), StoreError> {
        let image = self.resolve(name)?;
        let mut index = self.index();
        let reference = name.parse::<Reference>().ok().filter(|reference| index.tags.0.contains_key(&reference.to_string()));
        let untagged: Vec<String> = match &reference {
            Some(reference) => vec![reference.to_string()],
            None => image.tags.iter().map(ToString::to_string).collect(),
        };
        for tag in &untagged {
            index.tags.0.remove(tag);
        }
        self.write_tags(&index.tags)?;
        let gone = !index.tags.0.values().any(|id| *id == image.id);
        if gone {
            self.forget(&mut index, &image.id)?;
        }
        Ok((untagged, gone.then_some(image.id)))
    }

    fn forget(&self, index: &mut Index, id: &Digest) -> Result<(), StoreError> {
        storage(atomic::remove_tree(&self.root.join(format!("images/{}.json", id.hex()))), "remove an image")?;
        let Some((config, _)) = index.images.remove(id) else { return Ok(()) };
        for layer in &config.rootfs.diff_ids {
            if !index.held.contains_key(layer) && !index.images.values().any(|(other, _)| other.rootfs.diff_ids.contains(layer)) {
                for path in [self.layer_path(layer), self.size_path(layer), self.recipe_path(layer)] {
                    storage(atomic::remove_tree(&path), "remove a layer")?;
                }
            }
        }
        Ok(())
    }

    /// Makes an image visible whose layers are there.
    pub(crate) fn add(&self, config_json: &str, config: ImageConfig, size: u64) -> Result<Digest, StoreError> {
        let id = Digest::of(config_json.as_bytes());
        let record = Record { config: config_json.to_owned(), size };
        let json = serde_json::to_vec(&record).expect("texts and numbers have a JSON form");
        storage(atomic::write_file(&self.root.join(format!("images/{}.json", id.hex())), &json, 0o600), "record an image")?;
        self.index().images.insert(id.clone(), (config, size));
        Ok(id)
    }

    pub(crate) fn layer_path(&self, diff_id: &Digest) -> PathBuf {
        self.root.join("layers").join(diff_id.hex())
    }

    pub(crate) fn layer_folder(&self) -> PathBuf {
        self.root.join("layers")
    }

    /// Holds the bytes of a layer's files, as text.
    pub(crate) fn size_path(&self, diff_id: &Digest) -> PathBuf {
        self.layer_path(diff_id).with_extension("size")
    }

    /// Bytes of a layer's files.
    pub(crate) fn layer_size(&self, diff_id: &Digest) -> u64 {
        std::fs::read_to_string(self.size_path(diff_id)).ok().and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// Says how the archive of a layer is put together again.
    pub(crate) fn recipe_path(&self, diff_id: &Digest) -> PathBuf {
        self.layer_path(diff_id).with_extension("recipe")
    }

    /// The description of an image, byte for byte.
    pub(crate) fn description(&self, id: &Digest) -> std::io::Result<String> {
        let json = std::fs::read(self.root.join(format!("images/{}.json", id.hex())))?;
        Ok(serde_json::from_slice::<Record>(&json)?.config)
    }

    /// A folder for something that is being made.
    pub(crate) fn scratch(&self) -> Result<TempDir, StoreError> {
        storage(TempDir::below(&self.root.join("tmp")), "make a folder")
    }

    fn write_tags(&self, tags: &Tags) -> Result<(), StoreError> {
        let json = serde_json::to_vec_pretty(tags).expect("texts have a JSON form");
        storage(atomic::write_file(&self.root.join("tags.json"), &json, 0o600), "write the tags")
    }
}

impl Index {
    fn image(&self, id: &Digest) -> Option<Image> {
        let (config, size) = self.images.get(id)?;
        let tags = self.tags.0.iter().filter(|(_, of)| *of == id).filter_map(|(tag, _)| tag.parse().ok());
        Some(Image { id: id.clone(), config: config.clone(), size: *size, tags: tags.collect() })
    }
}

/// Reads what is there. A record that is damaged, or whose layers are gone, is left out; the rest works.
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
