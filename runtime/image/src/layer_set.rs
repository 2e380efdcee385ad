//! Layers with a document about them, kept elsewhere: in a registry, or in a folder with the layout of OCI.
//!
//! ```text
//! manifest   artifactType: what kind of set         config: the document
//!            layers: compressed layers, each with the digest of its uncompressed archive in an annotation
//! ```
//! An image can be such a set, too: then its description holds the document in a field of its own.
//!
//! Spec: image-spec `manifest.md`, "Guidelines for Artifact Usage".

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::registry::{ArtifactKind, Descriptor, OCI_MANIFEST, RegistryError, is_absent};
use crate::store::StoreError;
use crate::{Digest, LoadError, Reference};

/// Says which layer a blob unpacks to.
const DIFF_ID: &str = "rcompose.diff-id";
/// The most layers of a set.
const MAX_LAYERS: usize = 5000;
/// The most that a document may hold.
pub(crate) const MAX_DOCUMENT: u64 = 8 << 20;

/// Layers that can be fetched, with the document about them.
#[derive(Debug, Clone)]
pub struct LayerSet {
    /// As it was written.
    pub document: String,
    /// By the digest of their uncompressed archives.
    pub(crate) blobs: BTreeMap<Digest, Descriptor>,
    pub(crate) place: SetPlace,
}

/// Where a set is kept.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum SetPlace {
    /// A registry.
    Registry(Reference),
    /// A folder of this machine, and a name in it.
    Layout {
        /// The folder.
        folder: PathBuf,
        /// The name.
        tag: String,
    },
}

impl std::fmt::Display for SetPlace {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Registry(reference) => out.write_str(&reference.familiar()),
            Self::Layout { folder, tag } if tag == "latest" => write!(out, "{}", folder.display()),
            Self::Layout { folder, tag } => write!(out, "{}:{tag}", folder.display()),
        }
    }
}

/// What kind of set is meant.
#[derive(Debug, Clone, Copy)]
pub struct SetKind<'a> {
    /// Its types as an artifact.
    pub artifact: ArtifactKind<'a>,
    /// The field of an image's description that holds the document.
    pub field: &'a str,
}

/// A set that is not to be had, or could not be written.
#[derive(Debug, thiserror::Error)]
pub enum SetError {
    /// It is something else.
    #[error("it is no {0}")]
    OfAnotherKind(String),
    /// The layer is not part of it.
    #[error("layer {0} is not part of it")]
    NoLayer(Digest),
    /// The registry.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// What is in the folder.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The folder.
    #[error("failed to write to {folder}")]
    Write {
        /// Which.
        folder: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl SetError {
    /// Whether there is nothing where it should be: it was not written yet.
    pub fn is_absent(&self) -> bool {
        match self {
            Self::Registry(error) => is_absent(error),
            Self::Load(LoadError::Read(error)) => error.kind() == std::io::ErrorKind::NotFound,
            _ => false,
        }
    }
}

/// A manifest of a set.
pub(crate) struct SetManifest {
    pub(crate) document: Descriptor,
    pub(crate) blobs: BTreeMap<Digest, Descriptor>,
}

impl SetManifest {
    /// Reads a manifest; `None` of another kind.
    pub(crate) fn parse(text: &str, kind: SetKind<'_>) -> Result<Option<Self>, String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Written {
            artifact_type: Option<String>,
            config: Option<Descriptor>,
            #[serde(default)]
            layers: Vec<Layer>,
        }
        #[derive(Deserialize)]
        struct Layer {
            #[serde(flatten)]
            blob: Descriptor,
            #[serde(default)]
            annotations: BTreeMap<String, String>,
        }
        let written: Written = serde_json::from_str(text).map_err(|error| format!("it is no manifest: {error}"))?;
        let Some(document) = written.config.filter(|config| config.media_type == kind.artifact.config_type) else {
            return Ok(None);
        };
        if written.artifact_type.is_some_and(|own| own != kind.artifact.artifact_type) {
            return Ok(None);
        }
        if written.layers.len() > MAX_LAYERS || document.size > MAX_DOCUMENT {
            return Err(format!("it has {} layers and a document of {} bytes", written.layers.len(), document.size));
        }
        let blob = |layer: Layer| {
            let diff_id = layer.annotations.get(DIFF_ID).and_then(|text| text.parse::<Digest>().ok());
            let diff_id = diff_id.ok_or_else(|| format!("nothing says what layer {} unpacks to", layer.blob.digest))?;
            Ok::<_, String>((diff_id, layer.blob))
        };
        let blobs = written.layers.into_iter().map(blob).collect::<Result<_, _>>()?;
        Ok(Some(Self { document, blobs }))
    }

    pub(crate) fn text(&self, kind: SetKind<'_>) -> String {
        let layer = |(diff_id, blob): (&Digest, &Descriptor)| {
            let mut layer = json!(blob);
            layer["annotations"] = json!({ DIFF_ID: diff_id.to_string() });
            layer
        };
        json!({
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": kind.artifact.artifact_type,
            "config": self.document,
            "layers": self.blobs.iter().map(layer).collect::<Vec<Value>>(),
        })
        .to_string()
    }
}

/// The document that an image's description holds, and its layers.
pub(crate) fn of_description(
    description: &str,
    layers: &[Descriptor],
    kind: SetKind<'_>,
) -> Option<(String, BTreeMap<Digest, Descriptor>)> {
    let parsed: Value = serde_json::from_str(description).ok()?;
    let document = parsed.get(kind.field)?.to_string();
    let diff_ids: Vec<Digest> = serde_json::from_value(parsed["rootfs"]["diff_ids"].clone()).ok()?;
    (diff_ids.len() == layers.len()).then(|| (document, diff_ids.into_iter().zip(layers.iter().cloned()).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: SetKind<'static> =
        SetKind { artifact: ArtifactKind { artifact_type: "a/b", config_type: "a/c" }, field: "our.document" };

    fn blob(media_type: &str) -> Descriptor {
        let digest = Digest::of(media_type.as_bytes());
        Descriptor { media_type: media_type.to_owned(), digest, size: 1, urls: Vec::new(), platform: None }
    }

    #[test]
    fn what_is_written_is_read_and_nothing_else_is() {
        let (one, layer) = (Digest::of(b"one"), "application/vnd.oci.image.layer.v1.tar+gzip");
        let manifest = SetManifest { document: blob("a/c"), blobs: BTreeMap::from([(one.clone(), blob(layer))]) };
        let text = manifest.text(KIND);
        let read = SetManifest::parse(&text, KIND).unwrap().unwrap();
        assert_eq!((read.document.digest, &read.blobs[&one].digest), (manifest.document.digest, &blob(layer).digest));
        let other = text.replace("a/c", OCI_MANIFEST);
        assert!(SetManifest::parse(&other, KIND).unwrap().is_none());
        assert!(SetManifest::parse(&text.replace("a/b", "a/d"), KIND).unwrap().is_none());
        assert!(SetManifest::parse(&text.replace(DIFF_ID, "x"), KIND).is_err());
        assert!(SetManifest::parse("[]", KIND).is_err());
    }

    #[test]
    fn a_description_may_hold_a_document() {
        let one = Digest::of(b"one");
        let description = json!({ "our.document": { "x": 1 }, "rootfs": { "diff_ids": [one.to_string()] } }).to_string();
        let (document, blobs) = of_description(&description, &[blob("l")], KIND).unwrap();
        assert_eq!((document.as_str(), blobs.contains_key(&one)), ("{\"x\":1}", true));
        assert!(of_description(&description, &[], KIND).is_none());
        assert!(of_description("{}", &[], KIND).is_none());
    }
}
