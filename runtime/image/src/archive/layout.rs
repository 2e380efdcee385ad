//! The layout of OCI, in an archive or in a folder: an index that names manifests, and blobs by their digests.
//!
//! Spec: image-spec `image-layout.md`.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;

use serde::Deserialize;
use sha2::Digest as _;

use super::members::Members;
use super::{Found, LoadError, Loaded, document};
use crate::layer_set::{LayerSet, SetError, SetKind, SetManifest, SetPlace, of_description};
use crate::registry::Descriptor as Blob;
use crate::store::Layers;
use crate::{Digest, Platform, Reference, Store};

/// How deep lists of lists may go.
const MAX_DEPTH: u32 = 3;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    #[serde(default)]
    manifests: Vec<Listed>,
    #[serde(default)]
    layers: Vec<Blob>,
    config: Option<Blob>,
}

#[derive(Clone, Deserialize)]
struct Listed {
    digest: Digest,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    platform: Option<Platform>,
}

impl Listed {
    fn name(&self) -> Option<&String> {
        let annotation = |name| self.annotations.get(name);
        annotation("io.containerd.image.name").or_else(|| annotation("org.opencontainers.image.ref.name"))
    }

    /// What it is called in its folder.
    fn tag(&self) -> Option<&str> {
        self.annotations.get("org.opencontainers.image.ref.name").map(String::as_str)
    }
}

/// Which image of a folder is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LayoutName {
    /// What the folder calls it.
    Tag(String),
    /// Its manifest, or a list of them.
    Digest(Digest),
}

/// Every image of an archive: of each list, the one that runs here.
pub(super) fn images(members: &Members) -> Result<Vec<Found>, LoadError> {
    let host = Platform::host();
    let found = |listed: Listed| {
        let tags = listed.name().filter(|tag| tag.parse::<Reference>().is_ok()).cloned();
        image(members, &listed.digest, tags.into_iter().collect(), &host)
    };
    index(members)?.into_iter().map(found).collect()
}

fn index(members: &Members) -> Result<Vec<Listed>, LoadError> {
    let name = "index.json";
    let parsed: Document = serde_json::from_str(&document(members, name)?)
        .map_err(|source| LoadError::Document { name: name.to_owned(), source })?;
    Ok(parsed.manifests)
}

pub(super) fn blob(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// A document by its digest.
fn checked(members: &Members, digest: &Digest) -> Result<String, LoadError> {
    let text = document(members, &blob(digest))?;
    if Digest::of(text.as_bytes()) != *digest {
        return Err(LoadError::Invalid(format!("the content of blob {digest} is another")));
    }
    Ok(text)
}

fn parse(digest: &Digest, text: &str) -> Result<Document, LoadError> {
    serde_json::from_str(text).map_err(|source| LoadError::Document { name: blob(digest), source })
}

/// The image that a manifest describes, or the one of a list that fits a platform best.
fn image(members: &Members, digest: &Digest, tags: Vec<String>, platform: &Platform) -> Result<Found, LoadError> {
    let mut digest = digest.clone();
    for _ in 0..=MAX_DEPTH {
        let parsed = parse(&digest, &checked(members, &digest)?)?;
        match (parsed.config, parsed.manifests.is_empty()) {
            (Some(config), true) => {
                checked(members, &config.digest)?;
                let layers = parsed.layers.iter().map(|layer| blob(&layer.digest)).collect();
                return Ok(Found { config: blob(&config.digest), layers, tags });
            }
            (None, false) => digest = choose(&parsed.manifests, platform)?.digest.clone(),
            _ => return Err(LoadError::Invalid(format!("manifest {digest} is both or neither an image and a list of images"))),
        }
    }
    Err(LoadError::Invalid("lists of images are nested too deep".to_owned()))
}

fn choose<'a>(listed: &'a [Listed], platform: &Platform) -> Result<&'a Listed, LoadError> {
    let fitting = platform.choose(listed, |it| it.platform.as_ref());
    // One that does not say what it is for may be for anything.
    let fitting = fitting.or_else(|| listed.iter().find(|it| it.platform.is_none()));
    fitting.ok_or_else(|| LoadError::Invalid(format!("no image for {platform} in it")))
}

/// What a folder has under a name.
fn named(members: &Members, name: &LayoutName, platform: &Platform) -> Result<Digest, LoadError> {
    let tag = match name {
        LayoutName::Digest(digest) => return Ok(digest.clone()),
        LayoutName::Tag(tag) => tag,
    };
    let all = index(members)?;
    let so_named: Vec<Listed> = all.iter().filter(|it| it.tag() == Some(tag)).cloned().collect();
    match (so_named.as_slice(), all.as_slice()) {
        ([], [only]) if tag == "latest" && only.tag().is_none() => Ok(only.digest.clone()),
        ([], _) => {
            let tags: Vec<&str> = all.iter().filter_map(Listed::tag).collect();
            let there = if tags.is_empty() { "nothing that has a name".to_owned() } else { tags.join(", ") };
            Err(LoadError::Invalid(format!("nothing in it is called `{tag}`: there is {there}")))
        }
        ([only], _) => Ok(only.digest.clone()),
        (several, _) => choose(several, platform).map(|it| it.digest.clone()),
    }
}

impl Store {
    /// Has an image of a folder with the layout of OCI in the store, without a name; its tags are the folder's business.
    ///
    /// # Errors
    /// Nothing of that name, or none for the platform; content that is not what its digest says.
    pub fn load_layout(&self, folder: &Path, name: &LayoutName, platform: &Platform) -> Result<Digest, LoadError> {
        let members = Members::of_layout(folder)?;
        let found = image(&members, &named(&members, name, platform)?, Vec::new(), platform)?;
        let loaded: Vec<Loaded> = self.load_found(vec![found], &members)?;
        let [loaded] = loaded.as_slice() else { return Err(LoadError::Invalid("it names no image".to_owned())) };
        Ok(loaded.id.clone())
    }

    /// Reads the document of a set of layers in a folder; its layers stay there until they are needed.
    pub fn read_layer_set(&self, folder: &Path, tag: &str, kind: SetKind<'_>) -> Result<LayerSet, SetError> {
        let members = Members::of_layout(folder)?;
        let host = Platform::host();
        let digest = named(&members, &LayoutName::Tag(tag.to_owned()), &host)?;
        let place = SetPlace::Layout { folder: folder.to_owned(), tag: tag.to_owned() };
        let text = checked(&members, &digest)?;
        if let Some(SetManifest { document, blobs }) = SetManifest::parse(&text, kind).map_err(LoadError::Invalid)? {
            return Ok(LayerSet { document: checked(&members, &document.digest)?, blobs, place });
        }
        let other = || SetError::OfAnotherKind(kind.artifact.artifact_type.to_owned());
        let parsed = parse(&digest, &text)?;
        let config = parsed.config.ok_or_else(other)?;
        let found = of_description(&checked(&members, &config.digest)?, &parsed.layers, kind);
        found.map(|(document, blobs)| LayerSet { document, blobs, place }).ok_or_else(other)
    }
}

/// Has a layer of a folder among those of the store. Blocks.
pub(crate) fn load_layer(layers: &Layers, folder: &Path, diff_id: &Digest, form: &Blob) -> Result<(), LoadError> {
    if layers.has(diff_id) {
        return Ok(());
    }
    let members = Members::of_layout(folder)?;
    let member = members.get(&blob(&form.digest)).filter(|member| member.length == form.size);
    let member = member.ok_or_else(|| LoadError::Invalid(format!("blob {} is missing, or has another size", form.digest)))?;
    let mut hashing = Hashing { reader: member.read(), hash: sha2::Sha256::new() };
    let unpacked = layers.unpack(&mut hashing).and_then(|unpacked| unpacked.expect(diff_id));
    let unpacked = unpacked.map_err(|source| LoadError::Layer { layer: diff_id.clone(), source })?;
    io::copy(&mut hashing, &mut io::sink()).map_err(LoadError::Read)?;
    if Digest::from_hash(&hashing.hash.finalize()) != form.digest {
        return Err(LoadError::Invalid(format!("the content of blob {} is another", form.digest)));
    }
    layers.sync()?;
    Ok(layers.publish(unpacked)?)
}

struct Hashing<R> {
    reader: R,
    hash: sha2::Sha256,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.hash.update(&buffer[..count]);
        Ok(count)
    }
}
