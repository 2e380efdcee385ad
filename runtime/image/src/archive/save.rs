//! Writing archives of images: an OCI layout, to which `docker save` adds its own table of contents.
//!
//! Layers are not compressed: their digests are those by which the images' descriptions name them, so an image that is loaded
//! again has the same id. Everything before the layers' content is made first, so that what is missing is known before the
//! first byte is written.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde_json::{Value, json};

use super::layout::blob;
use crate::layer::{self, Packed};
use crate::store::{Store, StoreError};
use crate::{Digest, Reference};

/// Which table of contents an archive has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArchiveForm {
    /// `manifest.json` besides the index: what `docker save` writes, and any tool of the last ten years reads.
    Docker,
    /// Only what the image specification asks for.
    Oci,
}

/// An image that cannot be written to an archive.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// A directory is no image of the store.
    #[error("image `{0}` is a directory: it has no layers that could be saved")]
    Directory(String),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A part of the image.
    #[error("failed to read {part} of image `{image}`")]
    Read {
        /// As it was asked for.
        image: String,
        /// `layer sha256:...`, `description`.
        part: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// Images that are ready to be written to an archive.
#[derive(Debug)]
pub struct Saving<'a> {
    store: &'a Store,
    images: Vec<SavedImage>,
    /// Layers with their sizes, each once.
    layers: BTreeMap<Digest, u64>,
}

#[derive(Debug)]
struct SavedImage {
    id: Digest,
    description: String,
    layers: Vec<Digest>,
    /// Those that were asked for; an image that was asked for by its id has none.
    tags: Vec<Reference>,
}

impl Store {
    /// Prepares images to be written to one archive.
    ///
    /// # Errors
    /// A name that stands for no image, and an image of which something is missing.
    pub fn saving(&self, names: &[String]) -> Result<Saving<'_>, SaveError> {
        let mut saving = Saving { store: self, images: Vec::new(), layers: BTreeMap::new() };
        names.iter().try_for_each(|name| saving.add(name))?;
        Ok(saving)
    }
}

impl Saving<'_> {
    fn add(&mut self, name: &str) -> Result<(), SaveError> {
        if crate::rootfs::path_of(name).is_some() {
            return Err(SaveError::Directory(name.to_owned()));
        }
        let image = self.store.resolve(name)?;
        let tag = name.parse::<Reference>().ok().filter(|reference| image.tags.contains(reference));
        if let Some(known) = self.images.iter_mut().find(|known| known.id == image.id) {
            known.tags.extend(tag.filter(|tag| !known.tags.contains(tag)));
            return Ok(());
        }
        let failed = |part: String| {
            let image = name.to_owned();
            move |source| SaveError::Read { image, part, source }
        };
        for layer in &image.config.rootfs.diff_ids {
            let size = layer::archive_size(&self.store.layers.recipe(layer)).map_err(failed(format!("layer {layer}")))?;
            self.layers.insert(layer.clone(), size);
        }
        let description = self.store.description(&image.id).map_err(failed("the description".to_owned()))?;
        let layers = image.config.rootfs.diff_ids;
        self.images.push(SavedImage { id: image.id, description, layers, tags: tag.into_iter().collect() });
        Ok(())
    }

    /// Writes the archive, as a stream.
    ///
    /// # Errors
    /// Those of `output`, and of layers that are not what they were.
    pub fn write(&self, form: ArchiveForm, output: impl Write) -> io::Result<()> {
        let mut archive = tar::Builder::new(output);
        for (digest, size) in &self.layers {
            let packed = Packed::open(&self.store.layers.path(digest), &self.store.layers.recipe(digest), digest)?;
            archive.append_data(&mut header(*size), blob(digest), packed)?;
        }
        let mut index = Vec::new();
        for image in &self.images {
            append(&mut archive, &blob(&image.id), image.description.as_bytes())?;
            let manifest = self.manifest(image).to_string();
            let digest = Digest::of(manifest.as_bytes());
            append(&mut archive, &blob(&digest), manifest.as_bytes())?;
            index.extend(descriptors(image, &digest, manifest.len()));
        }
        let index = json!({ "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": index });
        append(&mut archive, "index.json", index.to_string().as_bytes())?;
        if form == ArchiveForm::Docker {
            append(&mut archive, "manifest.json", self.docker_manifest().to_string().as_bytes())?;
        }
        append(&mut archive, "oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        archive.into_inner()?.flush()
    }

    /// Spec: image-spec `manifest.md`.
    fn manifest(&self, image: &SavedImage) -> Value {
        let layer = |digest: &Digest| {
            json!({
                "mediaType": "application/vnd.oci.image.layer.v1.tar",
                "digest": digest.to_string(),
                "size": self.layers[digest],
            })
        };
        json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": image.id.to_string(),
                "size": image.description.len(),
            },
            "layers": image.layers.iter().map(layer).collect::<Vec<_>>(),
        })
    }

    fn docker_manifest(&self) -> Value {
        let entry = |image: &SavedImage| {
            json!({
                "Config": blob(&image.id),
                "RepoTags": image.tags.iter().map(Reference::familiar).collect::<Vec<_>>(),
                "Layers": image.layers.iter().map(blob).collect::<Vec<_>>(),
            })
        };
        self.images.iter().map(entry).collect()
    }
}

/// One for each name, as containerd reads them.
fn descriptors(image: &SavedImage, manifest: &Digest, size: usize) -> Vec<Value> {
    let plain = json!({
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": manifest.to_string(),
        "size": size,
    });
    let named = |tag: &Reference| {
        let mut descriptor = plain.clone();
        descriptor["annotations"] = json!({
            "io.containerd.image.name": tag.to_string(),
            "org.opencontainers.image.ref.name": tag.tag().unwrap_or("latest"),
        });
        descriptor
    };
    if image.tags.is_empty() { vec![plain] } else { image.tags.iter().map(named).collect() }
}

fn header(size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_size(size);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

pub(super) fn append(archive: &mut tar::Builder<impl Write>, name: &str, content: &[u8]) -> io::Result<()> {
    archive.append_data(&mut header(content.len() as u64), name, content)
}

#[cfg(test)]
mod tests {
    use rcompose_sys::atomic::TempDir;

    use super::*;

    /// A store with an image of two layers under two names.
    fn store(folder: &TempDir) -> (Store, Digest) {
        let store = Store::open(folder.path()).unwrap();
        let layer = |content: &str| {
            let mut archive = tar::Builder::new(Vec::new());
            append(&mut archive, content, content.as_bytes()).unwrap();
            archive.into_inner().unwrap()
        };
        let layers = [layer("one"), layer("two")];
        let diff_ids: Vec<String> = layers.iter().map(|layer| Digest::of(layer).to_string()).collect();
        let config = json!({
            "architecture": "amd64", "os": "linux", "created": "2020-01-02T03:04:05Z", "unknown": { "kept": true },
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
        });
        let mut archive = tar::Builder::new(Vec::new());
        append(&mut archive, "config.json", config.to_string().as_bytes()).unwrap();
        append(&mut archive, "1.tar", &layers[0]).unwrap();
        append(&mut archive, "2.tar", &layers[1]).unwrap();
        let manifest =
            json!([{ "Config": "config.json", "RepoTags": ["small:1", "other/small:2"], "Layers": ["1.tar", "2.tar"] }]);
        append(&mut archive, "manifest.json", manifest.to_string().as_bytes()).unwrap();
        let loaded = store.load(archive.into_inner().unwrap().as_slice()).unwrap();
        (store, loaded[0].id.clone())
    }

    fn saved(store: &Store, names: &[&str], form: ArchiveForm) -> Vec<u8> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut archive = Vec::new();
        store.saving(&names).unwrap().write(form, &mut archive).unwrap();
        archive
    }

    fn members(archive: &[u8]) -> Vec<String> {
        let mut archive = tar::Archive::new(archive);
        archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().display().to_string()).collect()
    }

    #[test]
    fn what_is_saved_loads_again_as_the_same_image() {
        let (folder, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let (store, id) = store(&folder);
        for form in [ArchiveForm::Docker, ArchiveForm::Oci] {
            let archive = saved(&store, &["small:1", "other/small:2"], form);
            let again = Store::open(&other.path().join(format!("{form:?}"))).unwrap();
            again.load(archive.as_slice()).unwrap();
            let image = again.resolve("small:1").unwrap();
            assert_eq!((&image.id, again.resolve("other/small:2").unwrap().id), (&id, id.clone()));
            assert_eq!(again.description(&id).unwrap(), store.description(&id).unwrap());
            assert!(saved(&again, &["small:1", "other/small:2"], form) == archive, "saved twice, it is the same");
        }
    }

    #[test]
    fn has_the_tables_that_docker_and_the_specification_ask_for() {
        let folder = TempDir::new().unwrap();
        let (store, id) = store(&folder);
        let docker = saved(&store, &["small:1", &id.hex()[..12]], ArchiveForm::Docker);
        let names = members(&docker);
        assert_eq!(names.iter().filter(|name| name.starts_with("blobs/sha256/")).count(), 4);
        assert_eq!(names[4..], ["index.json", "manifest.json", "oci-layout"]);
        assert!(!members(&saved(&store, &["small:1"], ArchiveForm::Oci)).contains(&"manifest.json".to_owned()));
    }

    #[test]
    fn what_cannot_be_saved_is_known_before_anything_is_written() {
        let folder = TempDir::new().unwrap();
        let (store, id) = store(&folder);
        let save = |name: &str| store.saving(&[name.to_owned()]).map(drop).unwrap_err().to_string();
        assert_eq!(save("nothing:1"), "No such image: nothing:1");
        assert!(save("rootfs:/").contains("is a directory"));
        let layer = &store.resolve(id.hex()).unwrap().config.rootfs.diff_ids[1];
        std::fs::remove_file(store.layers.recipe(layer)).unwrap();
        assert_eq!(save("small:1"), format!("failed to read layer {layer} of image `small:1`"));
    }
}
