//! What is to be built, and from what.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rcompose_image::{Digest, FetchRequest, Fetched, LayerSet, LayoutName, Pins, Reference, SetPlace};

use crate::error::PullFailure;
use crate::event::BuildEvent;

/// What is to be built.
#[derive(Clone, Default)]
pub struct BuildRequest {
    /// Tells builds apart whose steps are compared with those of last time: `shop/web`.
    pub name: String,
    /// What COPY takes files from.
    pub context: Option<ContextSource>,
    /// What says how.
    pub dockerfile: DockerfileSource,
    /// Values of arguments.
    pub args: BTreeMap<String, String>,
    /// Besides those of the Dockerfile.
    pub labels: BTreeMap<String, String>,
    /// The stage that becomes the image; the last if not given.
    pub target: Option<String>,
    /// Nothing is taken from the cache.
    pub no_cache: bool,
    /// In these stages nothing is taken from the cache.
    pub no_cache_filter: BTreeSet<String>,
    /// Base images are asked for at their registries even if they are here.
    pub pull: bool,
    /// No repository is asked for anything; [`Outside`] keeps to that by itself.
    pub offline: bool,
    /// Digests that base images are pinned to.
    pub pins: Pins,
    /// What RUN is connected to.
    pub network: Network,
    /// More names in RUN, and their addresses.
    pub extra_hosts: Vec<(String, String)>,
    /// Bytes of `/dev/shm` in RUN.
    pub shm_size: Option<u64>,
    /// Soft and hard by name in RUN; −1 is unlimited.
    pub ulimits: BTreeMap<String, (i64, i64)>,
    /// Bytes of memory that RUN may have.
    pub memory: Option<u64>,
    /// What steps may ask for beyond what containers are allowed.
    pub entitlements: BTreeSet<Entitlement>,
    /// By id.
    pub secrets: BTreeMap<String, SecretSource>,
    /// Sockets of agents, by id.
    pub ssh: BTreeMap<String, PathBuf>,
    /// Named contexts.
    pub contexts: BTreeMap<String, NamedContext>,
    /// `linux/amd64`; the machine's own if not given.
    pub platform: Option<String>,
    /// Names that the image gets.
    pub tags: Vec<Reference>,
    /// Caches elsewhere that are asked for steps that are not known here.
    pub cache_from: Vec<SetPlace>,
    /// Where what the steps came to is left.
    pub cache_to: Vec<CacheTarget>,
    /// The image itself says what its steps were: it is a cache for other builds.
    pub inline_cache: bool,
}

impl BuildRequest {
    /// When everything is said to have happened, seconds since 1970.
    pub(crate) fn epoch(&self) -> Option<i64> {
        self.args.get("SOURCE_DATE_EPOCH").and_then(|text| text.parse().ok())
    }
}

/// Where a cache is left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheTarget {
    /// A registry or a folder.
    pub place: SetPlace,
    /// All steps, not only those that the image has layers of.
    pub all: bool,
}

/// Where a context is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContextSource {
    /// A directory, absolute.
    Directory(PathBuf),
    /// A repository: `https://host/x.git#main:sub`.
    Git(String),
    /// An archive: `https://host/x.tar.gz`.
    Archive(String),
}

impl ContextSource {
    /// Tells whether a text names a repository.
    pub fn is_git(text: &str) -> bool {
        crate::git::is_git(text)
    }

    /// Tells whether a text names something to be fetched that is no repository.
    pub fn is_url(text: &str) -> bool {
        crate::remote::is_url(text) && !Self::is_git(text)
    }
}

/// Where the Dockerfile is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum DockerfileSource {
    /// A file, absolute.
    File(PathBuf),
    /// A file of the context, which may be a stranger's: its path does not lead out of it.
    InContext(String),
    /// In the context, under its usual name.
    #[default]
    Default,
    /// Itself.
    Inline(String),
}

/// What RUN is connected to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Network {
    /// The outside, by a bridge.
    #[default]
    Default,
    /// Nothing.
    None,
    /// Whatever the host is connected to.
    Host,
    /// A network that is there.
    Named(String),
}

/// What steps may ask for beyond what containers are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Entitlement {
    /// `RUN --network=host`.
    NetworkHost,
    /// `RUN --security=insecure`.
    SecurityInsecure,
    /// `RUN --device`.
    Device,
}

/// Where a secret comes from.
#[derive(Clone)]
pub enum SecretSource {
    /// A file, read when it is needed.
    File(PathBuf),
    /// Itself.
    Value(String),
}

impl std::fmt::Debug for SecretSource {
    /// Never what it is.
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::File(_) => "SecretSource::File",
            Self::Value(_) => "SecretSource::Value",
        })
    }
}

/// A context by another name than `context`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamedContext {
    /// A directory, absolute, or a repository.
    Files(ContextSource),
    /// An image of the store or of a registry.
    Image(String),
    /// An image of a folder with the layout of OCI.
    Layout {
        /// The folder, absolute.
        folder: PathBuf,
        /// Which of its images.
        name: LayoutName,
    },
    /// A stage of the same Dockerfile.
    Stage(String),
}

/// Gets what is not here.
pub trait Outside: Send + Sync {
    /// Has an image in the store. `always` asks even if it is there.
    ///
    /// # Errors
    /// In the words of who pulls.
    fn pull(&self, reference: &str, always: bool) -> Result<(), PullFailure>;

    /// Fetches a file to a path; `None` when what is there is still the same.
    ///
    /// # Errors
    /// In the words of who fetches.
    fn fetch(&self, request: &FetchRequest, target: &Path) -> Result<Option<Fetched>, PullFailure>;

    /// Reads a build cache that is kept elsewhere; its layers stay there.
    ///
    /// # Errors
    /// In the words of who fetches.
    fn cache(&self, place: &SetPlace) -> Result<LayerSet, ExchangeFailure>;

    /// Has a layer of such a cache in the store.
    ///
    /// # Errors
    /// In the words of who fetches.
    fn cached_layer(&self, set: &LayerSet, layer: &Digest) -> Result<(), ExchangeFailure>;

    /// Leaves a build cache elsewhere.
    ///
    /// # Errors
    /// In the words of who sends.
    fn leave_cache(&self, place: &SetPlace, document: &str, layers: &[Digest]) -> Result<(), ExchangeFailure>;
}

/// Why a cache elsewhere is not used, told by who asks it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct ExchangeFailure(pub String);

/// Who watches a build.
pub type Watch<'a> = dyn Fn(BuildEvent) + Send + Sync + 'a;
