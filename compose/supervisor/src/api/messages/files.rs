//! Messages about the files of containers.

use serde::{Deserialize, Serialize};

/// Where something is in a container.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct FileRequest {
    /// Its path.
    pub path: String,
    /// A symbolic link at its end stands for what it leads to.
    pub follow: bool,
    /// What the archive is to call it.
    pub name: String,
}

/// What is at a path of a container.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FileSummary {
    /// What it is.
    pub kind: FileKind,
    /// The path without the symbolic links that were followed.
    pub path: String,
}

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileKind {
    /// It holds others.
    Directory,
    /// It leads to another.
    Link,
    /// Anything else.
    File,
}

/// An image that is to be made of a container.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the flags of `commit`, which documents them")]
pub struct CommitRequest {
    /// None is given if empty.
    pub reference: String,
    pub author: String,
    pub message: String,
    /// Instructions of a Dockerfile.
    pub changes: Vec<String>,
    pub pause: bool,
}
