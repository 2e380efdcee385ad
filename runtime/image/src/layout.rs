//! Writing to a folder with the layout of OCI: blobs first, its index last, and each by a rename.
//!
//! What the folder holds under other names stays; blobs that nothing names any more stay, too.
//!
//! Spec: image-spec `image-layout.md`.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use rcompose_sys::atomic::{TempDir, write_file_relaxed};
use serde_json::{Value, json};

use crate::archive::load_layer;
use crate::layer_set::{LayerSet, SetError, SetKind, SetManifest, SetPlace};
use crate::registry::{COMPRESSION, Descriptor, OCI_MANIFEST, RegistryConfig, pack};
use crate::{Digest, Store};

const REF_NAME: &str = "org.opencontainers.image.ref.name";

impl Store {
    /// Has layers of the store and a document about them in a folder, under a name; gives the digest of their manifest.
    ///
    /// # Errors
    /// The folder cannot be written to; a layer is not there.
    pub fn write_layer_set(
        &self,
        folder: &Path,
        tag: &str,
        kind: SetKind<'_>,
        document: &str,
        layers: &[Digest],
    ) -> Result<Digest, SetError> {
        let _lease = self.lease(layers.iter().cloned());
        let failed = |source| SetError::Write { folder: folder.display().to_string(), source };
        // What was written before is not compressed again.
        let known = self.read_layer_set(folder, tag, kind).map(|set| set.blobs).unwrap_or_default();
        let layout = LayoutFolder(folder);
        layout.begin().map_err(failed)?;
        let mut blobs = BTreeMap::new();
        for layer in layers {
            let there = known.get(layer).filter(|form| layout.has(&form.digest));
            let form = there.cloned().map_or_else(|| self.write_layer(&layout, layer), Ok).map_err(failed)?;
            blobs.insert(layer.clone(), form);
        }
        let document = layout.write(document.as_bytes(), kind.artifact.config_type).map_err(failed)?;
        let manifest = layout.write(SetManifest { document, blobs }.text(kind).as_bytes(), OCI_MANIFEST).map_err(failed)?;
        layout.name(&manifest, tag, kind.artifact.artifact_type).map_err(failed)?;
        Ok(manifest.digest)
    }

    fn write_layer(&self, layout: &LayoutFolder<'_>, layer: &Digest) -> io::Result<Descriptor> {
        let scratch = TempDir::below(&layout.0.join("blobs"))?;
        let path = scratch.path().join("blob");
        let (form, _) = pack(&self.layers, layer, &path, Some(COMPRESSION))?;
        std::fs::rename(&path, layout.path(&form.digest))?;
        Ok(form)
    }

    /// Has a layer of a set in the store; its bytes are checked against both of its digests.
    ///
    /// # Errors
    /// It is not part of the set, or not to be had, or not what its digests say.
    pub async fn import_layer(&self, set: &LayerSet, diff_id: &Digest, config: &RegistryConfig) -> Result<(), SetError> {
        let form = set.blobs.get(diff_id).ok_or_else(|| SetError::NoLayer(diff_id.clone()))?;
        match &set.place {
            SetPlace::Registry(reference) => Ok(self.fetch_layer_of(reference, diff_id, form, config).await?),
            SetPlace::Layout { folder, .. } => {
                let _turn = self.flights.turn(diff_id, || {}).await;
                let (layers, folder) = (self.layers.clone(), folder.clone());
                let (diff_id, form) = (diff_id.clone(), form.clone());
                let loading = tokio::task::spawn_blocking(move || load_layer(&layers, &folder, &diff_id, &form));
                let loaded = loading.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
                Ok(loaded?)
            }
        }
    }
}

/// A folder with the layout of OCI.
struct LayoutFolder<'a>(&'a Path);

impl LayoutFolder<'_> {
    fn begin(&self) -> io::Result<()> {
        std::fs::create_dir_all(self.0.join("blobs/sha256"))?;
        Ok(write_file_relaxed(&self.0.join("oci-layout"), br#"{"imageLayoutVersion":"1.0.0"}"#, 0o644)?)
    }

    fn path(&self, digest: &Digest) -> std::path::PathBuf {
        self.0.join("blobs/sha256").join(digest.hex())
    }

    fn has(&self, digest: &Digest) -> bool {
        self.path(digest).is_file()
    }

    fn write(&self, bytes: &[u8], media_type: &str) -> io::Result<Descriptor> {
        let digest = Digest::of(bytes);
        write_file_relaxed(&self.path(&digest), bytes, 0o644)?;
        let (media_type, size) = (media_type.to_owned(), bytes.len() as u64);
        Ok(Descriptor { media_type, digest, size, urls: Vec::new(), platform: None })
    }

    /// Has a name stand for a manifest, and for nothing else.
    fn name(&self, manifest: &Descriptor, tag: &str, artifact_type: &str) -> io::Result<()> {
        let path = self.0.join("index.json");
        let mut index: Value = match std::fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => json!({}),
            Err(error) => return Err(error),
        };
        let mut entry = json!(manifest);
        entry["artifactType"] = artifact_type.into();
        entry["annotations"] = json!({ REF_NAME: tag });
        let others = index["manifests"].as_array().into_iter().flatten().filter(|it| it["annotations"][REF_NAME] != tag);
        let all: Vec<Value> = others.cloned().chain([entry]).collect();
        index["schemaVersion"] = 2.into();
        index["mediaType"] = "application/vnd.oci.image.index.v1+json".into();
        index["manifests"] = all.into();
        Ok(write_file_relaxed(&path, index.to_string().as_bytes(), 0o644)?)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::registry::ArtifactKind;
    use crate::rootfs::View;
    use crate::{Held, LoadError};

    const KIND: SetKind<'static> =
        SetKind { artifact: ArtifactKind { artifact_type: "a/b", config_type: "a/c" }, field: "our.document" };

    fn store(folder: &TempDir) -> Arc<Store> {
        Arc::new(Store::open(folder.path()).unwrap())
    }

    fn layer(store: &Arc<Store>, name: &str) -> (Digest, Held) {
        let held = Held::new(store.clone());
        let new = store.new_layer(&View::default()).unwrap();
        std::fs::write(new.upper().join(name), name.repeat(1000)).unwrap();
        (store.commit(new, Some(0), &held).unwrap(), held)
    }

    fn import(store: &Store, set: &LayerSet, layer: &Digest) -> Result<(), SetError> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(store.import_layer(set, layer, &RegistryConfig::default()))
    }

    #[test]
    fn a_set_that_is_written_is_read_elsewhere_and_what_is_damaged_is_refused() {
        let (one, two, folder) = (TempDir::new().unwrap(), TempDir::new().unwrap(), TempDir::new().unwrap());
        let (from, to, place) = (store(&one), store(&two), folder.path().join("cache"));
        let ((first, _kept), (second, _too)) = (layer(&from, "first"), layer(&from, "second"));
        from.write_layer_set(&place, "x", KIND, "{}", std::slice::from_ref(&second)).unwrap();
        let both = [first.clone(), second.clone()];
        let digest = from.write_layer_set(&place, "latest", KIND, "{\"a\":1}", &both).unwrap();
        assert_eq!(from.write_layer_set(&place, "latest", KIND, "{\"a\":1}", &both).unwrap(), digest, "the same again");
        let set = to.read_layer_set(&place, "latest", KIND).unwrap();
        assert_eq!(set.document, "{\"a\":1}");
        assert!(matches!(import(&to, &set, &Digest::of(b"none")), Err(SetError::NoLayer(_))));
        import(&to, &set, &first).unwrap();
        assert!(Held::new(to.clone()).add(std::slice::from_ref(&first)));
        let blob = place.join("blobs/sha256").join(set.blobs[&second].digest.hex());
        let mut bytes = std::fs::read(&blob).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(&blob, bytes).unwrap();
        assert!(matches!(import(&to, &set, &second), Err(SetError::Load(_))));
        assert!(!Held::new(to.clone()).add(&[second]));
        assert_eq!(to.read_layer_set(&place, "x", KIND).unwrap().document, "{}", "other names stay");
        let none = to.read_layer_set(&place, "y", KIND).unwrap_err();
        assert_eq!(none.to_string(), "this is no archive of images: nothing in it is called `y`: there is x, latest");
        let other = SetKind { artifact: ArtifactKind { artifact_type: "z", config_type: "z" }, ..KIND };
        assert!(matches!(to.read_layer_set(&place, "x", other), Err(SetError::OfAnotherKind(_))));
        assert!(matches!(to.read_layer_set(folder.path(), "x", KIND), Err(SetError::Load(LoadError::Read(_)))));
    }
}
