//! Manifests and lists of them: read as bytes, checked against their digest, and only then believed.
//!
//! Spec: image-spec `descriptor.md`, `manifest.md`, `image-index.md`; Docker's schema 2.

use serde::{Deserialize, Serialize};

use super::RegistryError;
use super::endpoint::Endpoint;
use super::transport::Transport;
use crate::{Digest, Platform, Reference};

/// The most that a manifest may hold.
pub(super) const MAX_MANIFEST: u64 = 4 << 20;
/// The most that a description may hold.
pub(super) const MAX_CONFIG: u64 = 8 << 20;
/// How deep lists of lists may go.
const MAX_DEPTH: u32 = 3;
/// The most images of a list.
const MAX_IMAGES: usize = 1000;
/// The most layers of an image: overlayfs takes 500.
const MAX_LAYERS: usize = 500;

pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(super) const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    #[serde(default)]
    pub(crate) media_type: String,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) urls: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) platform: Option<Platform>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    media_type: Option<String>,
    schema_version: Option<u32>,
    #[serde(default)]
    manifests: Vec<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
    config: Option<Descriptor>,
}

/// A manifest of one image.
#[derive(Debug)]
pub(super) struct Manifest {
    /// As it came, byte for byte.
    pub(super) text: String,
    pub(super) config: Descriptor,
    pub(super) layers: Vec<Descriptor>,
    /// Of what the reference stands for: this manifest, or the list that it was chosen from.
    pub(super) top: Digest,
    /// The platform that the list gave it.
    pub(super) platform: Option<Platform>,
}

impl Manifest {
    /// Reads a manifest of an image that was kept.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let document: Document = serde_json::from_str(text).ok()?;
        let (config, layers) = (document.config?, document.layers);
        Some(Self { text: text.to_owned(), config, layers, top: Digest::of(text.as_bytes()), platform: None })
    }

    /// As the registry is told when it is sent there.
    pub(super) fn media_type(&self) -> String {
        let own = serde_json::from_str::<Document>(&self.text).ok().and_then(|document| document.media_type);
        own.unwrap_or_else(|| if self.config.media_type == DOCKER_CONFIG { DOCKER_MANIFEST } else { OCI_MANIFEST }.to_owned())
    }

    /// Fetches what a reference stands for, and chooses among several.
    pub(super) async fn fetch(
        transport: &Transport,
        endpoint: &Endpoint,
        reference: &Reference,
        platform: &Platform,
    ) -> Result<Self, RegistryError> {
        let accept = [OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST].join(", ");
        let mut wanted = Wanted::of(reference);
        let (mut top, mut listed) = (None, None);
        for _ in 0..MAX_DEPTH {
            let url = endpoint.manifest(&wanted.name);
            let (bytes, media_type) = transport.bytes(endpoint, &url, MAX_MANIFEST, &accept).await?;
            let found = wanted.check(endpoint, &bytes)?;
            let top = top.get_or_insert(found).clone();
            let mismatch = |why: String| RegistryError::mismatch(&endpoint.registry, &wanted.name, why);
            let text = String::from_utf8(bytes).map_err(|_| mismatch("it is no UTF-8".to_owned()))?;
            let document = Document::parse(&text, media_type.as_deref()).map_err(mismatch)?;
            if let Some(config) = document.config {
                return Ok(Self { text, config, layers: document.layers, top, platform: listed });
            }
            let chosen = platform.choose(&document.manifests, |it| it.platform.as_ref());
            let chosen = chosen.ok_or_else(|| RegistryError::Platform {
                image: reference.familiar(),
                wanted: platform.clone(),
                there: platforms(&document.manifests),
            })?;
            (wanted, listed) = (Wanted::from(chosen), chosen.platform.clone());
        }
        Err(RegistryError::mismatch(&endpoint.registry, &wanted.name, "lists of images are nested too deep"))
    }
}

fn platforms(of: &[Descriptor]) -> Vec<String> {
    let known = of.iter().filter_map(|it| it.platform.as_ref()).filter(|it| it.os != "unknown").map(ToString::to_string);
    let known: std::collections::BTreeSet<String> = known.take(30).collect();
    if known.is_empty() { vec!["none that say for what".to_owned()] } else { known.into_iter().collect() }
}

/// What is asked for, and what it has to be.
struct Wanted {
    name: String,
    digest: Option<Digest>,
    size: Option<u64>,
}

impl Wanted {
    /// A digest decides, whatever the tag beside it stands for now.
    fn of(reference: &Reference) -> Self {
        match reference.digest() {
            Some(digest) => Self { name: digest.to_string(), digest: Some(digest.clone()), size: None },
            None => Self { name: reference.tag().unwrap_or("latest").to_owned(), digest: None, size: None },
        }
    }

    fn check(&self, endpoint: &Endpoint, bytes: &[u8]) -> Result<Digest, RegistryError> {
        let mismatch = |why: String| RegistryError::mismatch(&endpoint.registry, &self.name, why);
        let found = Digest::of(bytes);
        if self.digest.as_ref().is_some_and(|digest| *digest != found) {
            return Err(mismatch("its content has another digest".to_owned()));
        }
        match self.size {
            Some(size) if size != bytes.len() as u64 => Err(mismatch(format!("it has {} bytes instead of {size}", bytes.len()))),
            _ => Ok(found),
        }
    }
}

impl From<&Descriptor> for Wanted {
    fn from(descriptor: &Descriptor) -> Self {
        let digest = descriptor.digest.clone();
        Self { name: digest.to_string(), digest: Some(digest), size: Some(descriptor.size) }
    }
}

impl Document {
    /// Reads a document that can be understood in one way only.
    fn parse(text: &str, media_type: Option<&str>) -> Result<Self, String> {
        let document: Self = serde_json::from_str(text).map_err(|error| format!("it is no manifest: {error}"))?;
        if document.schema_version == Some(1) {
            return Err("it is a manifest of schema 1, which nobody should use any more: push the image again".to_owned());
        }
        let known = [OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST];
        let told = media_type.filter(|told| known.contains(told));
        if let (Some(own), Some(told)) = (document.media_type.as_deref(), told)
            && own != told
        {
            return Err(format!("it says that it is {}, and was sent as {told}", own.escape_debug()));
        }
        let said = document.media_type.as_deref().or(told);
        let is_list = match (document.manifests.is_empty(), document.config.is_some() || !document.layers.is_empty()) {
            (false, false) => true,
            (true, true) => false,
            _ => return Err("it is both or neither an image and a list of images".to_owned()),
        };
        if said.is_some_and(|said| known.contains(&said) && (said == OCI_INDEX || said == DOCKER_LIST) != is_list) {
            return Err(format!("its content is not what {} has", said.unwrap_or_default()));
        }
        if document.manifests.len() > MAX_IMAGES {
            return Err(format!("it lists more than {MAX_IMAGES} images"));
        }
        if !is_list {
            document.check_image()?;
        }
        Ok(document)
    }

    fn check_image(&self) -> Result<(), String> {
        let config = self.config.as_ref().ok_or_else(|| "it has no config".to_owned())?;
        if !matches!(config.media_type.as_str(), "" | OCI_CONFIG | DOCKER_CONFIG) {
            return Err(format!("it is no image of containers: its config is of type {}", config.media_type.escape_debug()));
        }
        if config.size > MAX_CONFIG {
            return Err(format!("its config has {} bytes", config.size));
        }
        if self.layers.len() > MAX_LAYERS {
            return Err(format!("it has more than {MAX_LAYERS} layers"));
        }
        match self.layers.iter().find(|layer| layer.kind().is_none()) {
            Some(layer) => Err(format!("layer {} is of type {}", layer.digest, layer.media_type.escape_debug())),
            None => Ok(()),
        }
    }
}

/// What a layer is, by its media type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LayerKind {
    Plain,
    /// Kept elsewhere: what `urls` names is for a few to fetch.
    Foreign,
}

impl Descriptor {
    /// `None` of what is no layer. How it is compressed tell its bytes.
    pub(super) fn kind(&self) -> Option<LayerKind> {
        let base = self.media_type.strip_suffix("+gzip").or_else(|| self.media_type.strip_suffix("+zstd"));
        let base = base.or_else(|| self.media_type.strip_suffix(".gzip")).or_else(|| self.media_type.strip_suffix(".zstd"));
        match base.unwrap_or(&self.media_type) {
            "" | "application/vnd.oci.image.layer.v1.tar" | "application/vnd.docker.image.rootfs.diff.tar" => {
                Some(if self.urls.is_empty() { LayerKind::Plain } else { LayerKind::Foreign })
            }
            "application/vnd.oci.image.layer.nondistributable.v1.tar"
            | "application/vnd.docker.image.rootfs.foreign.diff.tar" => Some(LayerKind::Foreign),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(manifest: &serde_json::Value, told: &str) -> Result<(), String> {
        Document::parse(&manifest.to_string(), Some(told)).map(drop)
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        let digest = Digest::of(b"x").to_string();
        let config = serde_json::json!({ "mediaType": OCI_CONFIG, "digest": digest, "size": 1 });
        let layer = |kind: &str| serde_json::json!({ "mediaType": kind, "digest": digest, "size": 1 });
        let gzip = "application/vnd.oci.image.layer.v1.tar+gzip";
        let image = serde_json::json!({ "mediaType": OCI_MANIFEST, "config": config, "layers": [layer(gzip)] });
        let index = serde_json::json!({ "mediaType": OCI_INDEX, "manifests": [layer(OCI_MANIFEST)] });
        assert_eq!(parsed(&image, OCI_MANIFEST), Ok(()));
        assert_eq!(parsed(&image, "application/json"), Ok(()));
        assert_eq!(parsed(&index, OCI_INDEX), Ok(()));
        let mut both = image.clone();
        both["manifests"] = index["manifests"].clone();
        let mut disguised = index.clone();
        disguised["mediaType"] = OCI_MANIFEST.into();
        let mut chart = image.clone();
        chart["config"]["mediaType"] = "application/vnd.cncf.helm.config.v1+json".into();
        let mut strange = image.clone();
        strange["layers"][0]["mediaType"] = "text/plain".into();
        let schema1 = serde_json::json!({ "schemaVersion": 1, "fsLayers": [] });
        for (document, told, why) in [
            (&both, OCI_MANIFEST, "both or neither"),
            (&serde_json::json!({}), OCI_MANIFEST, "both or neither"),
            (&image, DOCKER_MANIFEST, "was sent as"),
            (&disguised, OCI_MANIFEST, "its content is not what"),
            (&chart, OCI_MANIFEST, "no image of containers"),
            (&strange, OCI_MANIFEST, "is of type text/plain"),
            (&schema1, OCI_MANIFEST, "schema 1"),
        ] {
            let error = parsed(document, told).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn layers_by_their_media_types() {
        let kind = |media_type: &str, urls: &[&str]| {
            let urls = urls.iter().map(|url| (*url).to_owned()).collect();
            Descriptor { media_type: media_type.to_owned(), digest: Digest::of(b"x"), size: 1, urls, platform: None }.kind()
        };
        for fine in [
            "application/vnd.oci.image.layer.v1.tar",
            "application/vnd.oci.image.layer.v1.tar+gzip",
            "application/vnd.oci.image.layer.v1.tar+zstd",
            "application/vnd.docker.image.rootfs.diff.tar.gzip",
            "application/vnd.docker.image.rootfs.diff.tar",
        ] {
            assert_eq!(kind(fine, &[]), Some(LayerKind::Plain), "{fine}");
        }
        assert_eq!(kind("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", &[]), Some(LayerKind::Foreign));
        assert_eq!(kind("application/vnd.oci.image.layer.v1.tar+gzip", &["https://x"]), Some(LayerKind::Foreign));
        assert_eq!(kind("application/octet-stream", &[]), None);
    }
}
