//! Archives of images: what `docker save` writes, and OCI layouts. Read as a stream, once, in any order of entries; and
//! written.

mod save;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use rcompose_sys::atomic;
use serde::Deserialize;

use crate::config::ImageConfig;
use crate::layer::{self, LayerError};
use crate::store::{self, Store, StoreError};
use crate::{Digest, Reference};

pub use save::{ArchiveForm, SaveError, Saving};

/// The most that a description or manifest may hold.
const MAX_DOCUMENT: u64 = 8 << 20;

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

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    #[serde(default)]
    manifests: Vec<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
    config: Option<Descriptor>,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: Digest,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    platform: Option<Platform>,
}

#[derive(Deserialize)]
struct Platform {
    architecture: String,
    os: String,
}

/// An image of an archive, found out.
struct Found {
    config: String,
    layers: Vec<String>,
    tags: Vec<String>,
}

impl Store {
    /// Loads every image of an archive. Layers that are there already are not unpacked again.
    pub fn load(&self, archive: impl Read) -> Result<Vec<Loaded>, LoadError> {
        let scratch = self.scratch()?;
        let members = extract(archive, scratch.path())?;
        let found = if members.contains_key("manifest.json") { saved_images(&members)? } else { layout_images(&members)? };
        if found.is_empty() {
            return Err(LoadError::Invalid("it names no image".to_owned()));
        }
        found.iter().map(|image| self.load_image(image, &members)).collect()
    }

    fn load_image(&self, image: &Found, members: &Members) -> Result<Loaded, LoadError> {
        let text = document(members, &image.config)?;
        let id = self.load_parts(&text, &image.layers, members)?;
        let mut tags = Vec::new();
        for tag in &image.tags {
            let reference: Reference = tag.parse().map_err(StoreError::from)?;
            self.tag(&id, &reference)?;
            tags.push(reference);
        }
        Ok(Loaded { id, tags })
    }

    /// Makes an image of its description and the archives of its layers, lowest first. A layer that is there already may be
    /// missing among `members`.
    pub(crate) fn load_parts(&self, description: &str, layers: &[String], members: &Members) -> Result<Digest, LoadError> {
        let config: ImageConfig = parse_description(description)?;
        let diff_ids = &config.rootfs.diff_ids;
        if diff_ids.len() != layers.len() {
            let text = format!("the image has {} layers and describes {}", layers.len(), diff_ids.len());
            return Err(LoadError::Invalid(text));
        }
        let mut size = 0;
        for (diff_id, member) in diff_ids.iter().zip(layers) {
            size += self.ensure_layer(diff_id, members.get(member).map(PathBuf::as_path))?;
        }
        Ok(self.add(description, config, size)?)
    }

    /// Unpacks a layer unless it is there; gives its size.
    fn ensure_layer(&self, diff_id: &Digest, archive: Option<&Path>) -> Result<u64, LoadError> {
        let target = self.layer_path(diff_id);
        if target.is_dir() {
            return Ok(self.layer_size(diff_id));
        }
        let archive = archive.ok_or_else(|| LoadError::Invalid(format!("layer {diff_id} is missing")))?;
        let scratch = self.scratch()?;
        let unpacked = scratch.path().join("layer");
        std::fs::create_dir(&unpacked).map_err(LoadError::Read)?;
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&unpacked, mode).map_err(LoadError::Read)?;
        let file = std::fs::File::open(archive).map_err(LoadError::Read)?;
        let recipe = scratch.path().join("recipe");
        let unpacking = layer::unpack(std::io::BufReader::new(file), &unpacked, &recipe, diff_id);
        let size = unpacking.map_err(|source| LoadError::Layer { layer: diff_id.clone(), source })?;
        store::storage(atomic::sync_filesystem(&unpacked), "write a layer")?;
        store::storage(
            atomic::write_file_relaxed(&self.size_path(diff_id), size.to_string().as_bytes(), 0o600),
            "write a layer",
        )?;
        std::fs::rename(&recipe, self.recipe_path(diff_id)).map_err(LoadError::Read)?;
        match atomic::publish_dir(&unpacked, &target) {
            Err(error) if error.errno() != rustix::io::Errno::EXIST => {
                Err(StoreError::Storage { doing: "publish a layer", source: error }.into())
            }
            _ => Ok(size),
        }
    }
}

/// Members of an archive by their clean names, and the files that hold them.
pub(crate) type Members = BTreeMap<String, PathBuf>;

/// The layers that a description names, lowest first.
pub(crate) fn diff_ids(description: &str) -> Result<Vec<Digest>, LoadError> {
    Ok(parse_description(description)?.rootfs.diff_ids)
}

fn parse_description(text: &str) -> Result<ImageConfig, LoadError> {
    serde_json::from_str(text).map_err(|source| LoadError::Document { name: "config".to_owned(), source })
}

/// Writes the members into numbered files: their names are a stranger's.
fn extract(archive: impl Read, folder: &Path) -> Result<Members, LoadError> {
    let stream = layer::decompress(archive).map_err(LoadError::Read)?;
    let mut tar = tar::Archive::new(stream);
    let mut members = Members::new();
    let mut links = Vec::new();
    for (number, entry) in tar.entries().map_err(LoadError::Read)?.enumerate() {
        let mut entry = entry.map_err(LoadError::Read)?;
        let name = member_name(&entry.path().map_err(LoadError::Read)?);
        match entry.header().entry_type() {
            tar::EntryType::Regular => {
                let path = folder.join(number.to_string());
                let mut file = std::fs::File::create(&path).map_err(LoadError::Read)?;
                std::io::copy(&mut entry, &mut file).map_err(LoadError::Read)?;
                members.insert(name, path);
            }
            // Older versions link equal layers to each other.
            tar::EntryType::Symlink => {
                let target = entry.link_name().map_err(LoadError::Read)?.unwrap_or_default().into_owned();
                links.push((name.clone(), member_name(&Path::new(&name).parent().unwrap_or(Path::new("")).join(target))));
            }
            _ => {}
        }
    }
    for (name, target) in links {
        if let Some(path) = members.get(&target).cloned() {
            members.insert(name, path);
        }
    }
    Ok(members)
}

fn member_name(path: &Path) -> String {
    let mut parts: Vec<String> = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => parts.push(name.to_string_lossy().into_owned()),
            Component::ParentDir => drop(parts.pop()),
            _ => {}
        }
    }
    parts.join("/")
}

fn document(members: &Members, name: &str) -> Result<String, LoadError> {
    let path = members.get(name).ok_or_else(|| LoadError::Invalid(format!("`{name}` is missing")))?;
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(LoadError::Read)?;
    file.take(MAX_DOCUMENT).read_to_string(&mut text).map_err(LoadError::Read)?;
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

/// Spec: image-spec `image-layout.md`.
fn layout_images(members: &Members) -> Result<Vec<Found>, LoadError> {
    let mut found = Vec::new();
    for descriptor in read_document(members, "index.json")?.manifests {
        let tag = descriptor
            .annotations
            .get("io.containerd.image.name")
            .or_else(|| descriptor.annotations.get("org.opencontainers.image.ref.name"));
        let tags: Vec<String> = tag.filter(|tag| tag.parse::<Reference>().is_ok()).cloned().into_iter().collect();
        found.push(layout_image(members, &descriptor.digest, tags, 0)?);
    }
    Ok(found)
}

fn blob(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

fn layout_image(members: &Members, digest: &Digest, tags: Vec<String>, depth: u32) -> Result<Found, LoadError> {
    let text = document(members, &blob(digest))?;
    if Digest::of(text.as_bytes()) != *digest {
        return Err(LoadError::Invalid(format!("the content of manifest {digest} is another")));
    }
    let parsed: Document = serde_json::from_str(&text).map_err(|source| LoadError::Document { name: blob(digest), source })?;
    match (parsed.config, parsed.manifests.is_empty()) {
        (Some(config), true) => Ok(Found {
            config: blob(&config.digest),
            layers: parsed.layers.iter().map(|layer| blob(&layer.digest)).collect(),
            tags,
        }),
        (None, false) if depth < 3 => {
            let ours = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
            let fits = |it: &&Descriptor| {
                it.platform.as_ref().is_none_or(|platform| platform.os == "linux" && platform.architecture == ours)
            };
            let fitting = parsed.manifests.iter().find(fits);
            let fitting = fitting.ok_or_else(|| LoadError::Invalid(format!("no image for linux/{ours} in it")))?;
            layout_image(members, &fitting.digest, tags, depth + 1)
        }
        _ => Err(LoadError::Invalid(format!("manifest {digest} is both or neither an image and a list of images"))),
    }
}

fn read_document(members: &Members, name: &str) -> Result<Document, LoadError> {
    serde_json::from_str(&document(members, name)?).map_err(|source| LoadError::Document { name: name.to_owned(), source })
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
