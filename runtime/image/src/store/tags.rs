//! Which reference stands for which image, and since when: `tags.json`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Digest, Reference};

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

impl Tags {
    /// The references that stand for what a reference names: itself, or those of its repository that have its digest.
    pub(crate) fn of<'a>(&'a self, reference: &'a Reference) -> impl Iterator<Item = (&'a String, &'a Tag)> {
        let exact = self.0.get_key_value(&reference.to_string());
        let repository = format!("{}/{}", reference.registry(), reference.repository());
        let by_digest = self.0.iter().filter(move |(name, tag)| {
            exact.is_none()
                && tag.digest.is_some()
                && tag.digest.as_ref() == reference.digest()
                && name.strip_prefix(&repository).is_some_and(|rest| rest.starts_with([':', '@']))
        });
        exact.into_iter().chain(by_digest)
    }
}

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

    #[test]
    fn what_a_registry_has_under_a_tag_is_found_by_digest() {
        let (id, digest) = (Digest::of(b"x"), Digest::of(b"y"));
        let tag = Tag { id, set: 0, digest: Some(digest.clone()) };
        let names = ["localhost/a:1", "localhost/a:2", "localhost/ab:1", "other.io/a:1"];
        let tags = Tags(names.map(|name| (name.to_owned(), tag.clone())).into());
        let found = |text: &str| {
            let reference: Reference = text.parse().unwrap();
            tags.of(&reference).map(|(name, _)| name.clone()).collect::<Vec<_>>()
        };
        assert_eq!(found("localhost/a:1"), ["localhost/a:1"]);
        assert_eq!(found(&format!("localhost/a:3@{digest}")), ["localhost/a:1", "localhost/a:2"]);
        assert_eq!(found("localhost/a:3"), Vec::<String>::new());
    }
}
