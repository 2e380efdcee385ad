//! Stacks that are kept in registries.

use serde::{Deserialize, Serialize};

/// A stack as a registry keeps it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StackArtifact {
    /// Of what the reference stands for, with `sha256:`.
    pub digest: String,
    /// In the order of the artifact.
    pub files: Vec<ArtifactFile>,
}

/// A file of it. Its name is what a stranger wrote.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ArtifactFile {
    /// What it is for.
    pub role: ArtifactRole,
    /// As the artifact says.
    pub name: Option<String>,
    /// What it holds.
    pub text: String,
}

/// What a file of a stack is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ArtifactRole {
    /// A document of the stack's Compose file.
    Compose,
    /// A file that services of it extend.
    Extended,
    /// A file of variables.
    Variables,
}

/// A stack that is to be kept in a registry.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PublishRequest {
    /// Where to, with a tag.
    pub name: String,
    /// In the order of the artifact.
    pub files: Vec<ArtifactFile>,
    /// Of OCI 1.0, which knows no types of artifacts.
    pub oldest_form: bool,
    /// Registries that speak plain HTTP, besides those of the settings.
    pub insecure: Vec<String>,
}

/// A stack that is wanted from a registry.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct StackRequest {
    /// Its reference.
    pub name: String,
    /// Registries that speak plain HTTP, besides those of the settings.
    pub insecure: Vec<String>,
}
