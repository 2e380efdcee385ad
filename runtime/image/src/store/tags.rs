//! Which reference stands for which image, and since when: `tags.json`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Digest;

/// What a reference stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written")]
pub(crate) struct Tag {
    pub(crate) id: Digest,
    /// Seconds since 1970; 0 where nobody wrote it down.
    pub(crate) set: i64,
    /// The manifest or index that a registry has under this reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) digest: Option<Digest>,
}

/// Earlier versions wrote the id alone.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Id(Digest),
    Tag {
        id: Digest,
        #[serde(default)]
        set: i64,
        #[serde(default)]
        digest: Option<Digest>,
    },
}

impl From<Written> for Tag {
    fn from(written: Written) -> Self {
        match written {
            Written::Id(id) => Self { id, set: 0, digest: None },
            Written::Tag { id, set, digest } => Self { id, set, digest },
        }
    }
}

/// All tags, by their references in full.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Tags(pub(crate) BTreeMap<String, Tag>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_earlier_versions_wrote() {
        let id = Digest::of(b"x");
        let json = format!(r#"{{"a/b:1": "{id}", "a/b:2": {{"id": "{id}", "set": 5, "digest": "{id}"}}}}"#);
        let tags: Tags = serde_json::from_str(&json).unwrap();
        assert_eq!(tags.0["a/b:1"], Tag { id: id.clone(), set: 0, digest: None });
        assert_eq!(tags.0["a/b:2"], Tag { id: id.clone(), set: 5, digest: Some(id) });
    }
}
