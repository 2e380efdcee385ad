//! What a registry, or the way to it, can come to.

use std::path::PathBuf;

use super::CredentialsError;
use crate::archive::LoadError;
use crate::store::StoreError;
use crate::{Digest, Platform};

/// Why an image could not be pulled or pushed, or a registry not be logged in to.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// Neither a mirror nor the registry itself.
    #[error("no mirror has it either ({})", mirrors.join("; "))]
    Mirrors {
        /// Why not, one by one.
        mirrors: Vec<String>,
        /// Why not the registry.
        #[source]
        source: Box<RegistryError>,
    },
    /// The way to the registry.
    #[error("failed to reach registry {registry}")]
    Unreachable {
        /// Which.
        registry: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// It sends, but next to nothing.
    #[error("registry {registry} sent next to nothing for {seconds} seconds")]
    Stalled {
        /// Which.
        registry: String,
        /// How long.
        seconds: u64,
    },
    /// It said no.
    #[error("registry {registry} refused `{path}`: {status}{}", reason(message))]
    Refused {
        /// Which.
        registry: String,
        /// What was asked for.
        path: String,
        /// What it answered.
        status: u16,
        /// Why, in its own words; empty if it has none.
        message: String,
    },
    /// It wants to know who asks.
    #[error("registry {registry} wants a name and a password, and none are known")]
    Anonymous {
        /// Which.
        registry: String,
    },
    /// What came is not what was asked for.
    #[error("registry {registry} sent something else than `{expected}`: {why}")]
    Mismatch {
        /// Which.
        registry: String,
        /// What was asked for.
        expected: String,
        /// What is wrong.
        why: String,
    },
    /// An address or challenge that is not followed.
    #[error("registry {registry}: {why}")]
    Distrusted {
        /// Which.
        registry: String,
        /// Why.
        why: String,
    },
    /// There is none for the platform.
    #[error("`{image}` has no image for {wanted}: there are {}", there.join(", "))]
    Platform {
        /// As it was asked for.
        image: String,
        /// Which platform.
        wanted: Platform,
        /// For which there are.
        there: Vec<String>,
    },
    /// A layer that is kept elsewhere.
    #[error("layer {layer} is of type {media_type}: foreign layers are not fetched unless the configuration asks for it")]
    Foreign {
        /// Which.
        layer: Digest,
        /// As the manifest names it.
        media_type: String,
    },
    /// A digest is what comes of a push, not a place to push to.
    #[error("`{0}` names a digest: an image is pushed to a tag")]
    NoTag(String),
    /// Who asks.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// The configuration.
    #[error("failed to read {}", path.display())]
    Configuration {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file on the way.
    #[error("failed to write a blob")]
    Write(#[source] std::io::Error),
    /// A layer that is to be sent.
    #[error("failed to read layer {layer}")]
    Read {
        /// Which.
        layer: Digest,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The image itself.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn reason(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(" ({message})") }
}

impl RegistryError {
    /// Whether the same may go well a moment later.
    pub(super) fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Stalled { .. } | Self::Refused { status: 408 | 429 | 500.., .. })
    }

    /// Whether it is about who asks.
    pub fn is_unauthorized(&self) -> bool {
        match self {
            Self::Anonymous { .. } | Self::Refused { status: 401 | 403, .. } => true,
            Self::Mirrors { source, .. } => source.is_unauthorized(),
            _ => false,
        }
    }

    /// What is wrong with what came.
    pub(super) fn mismatch(registry: &str, expected: impl ToString, why: impl Into<String>) -> Self {
        Self::Mismatch { registry: registry.to_owned(), expected: expected.to_string(), why: why.into() }
    }

    /// In one line, with everything behind it.
    pub(super) fn told(&self, registry: &str) -> String {
        let causes = std::iter::successors(Some(self as &dyn std::error::Error), |error| error.source());
        format!("{registry}: {}", causes.map(ToString::to_string).collect::<Vec<_>>().join(": "))
    }
}
