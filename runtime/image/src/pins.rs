//! Digests that references stand for, whatever their registries say now.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{Digest, InvalidReference, Reference};

/// Which digest each reference is to stand for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pins {
    /// By reference, in full.
    pub digests: BTreeMap<String, Digest>,
    /// References, in full, of what is made here: no registry has them.
    pub own: BTreeSet<String>,
    /// What has no digest is refused, rather than used as it is.
    pub strict: bool,
}

/// A reference that may not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PinError {
    /// It has no digest.
    #[error("image `{0}` has no digest in the lock")]
    Missing(String),
    /// It names another one.
    #[error("image `{image}` is to be {asked}, and the lock has {locked}")]
    Differs {
        /// Without its digest.
        image: String,
        /// What it names.
        asked: Digest,
        /// What it was locked to.
        locked: Digest,
    },
    /// It is none.
    #[error(transparent)]
    Reference(#[from] InvalidReference),
}

impl Pins {
    /// The reference with its digest; as it is where that is allowed.
    ///
    /// # Errors
    /// If strict: it has no digest, or names another one.
    pub fn pin(&self, text: &str) -> Result<String, PinError> {
        // A directory of the host, and an image by its id, are no registry's.
        if text.starts_with("rootfs:") || text.starts_with("sha256:") || (self.digests.is_empty() && !self.strict) {
            return Ok(text.to_owned());
        }
        let reference: Reference = text.parse()?;
        let whole = reference.to_string();
        if let Some(asked) = reference.digest() {
            let (image, _) = whole.split_once('@').unwrap_or((&whole, ""));
            return match self.digests.get(image).filter(|locked| self.strict && *locked != asked) {
                None => Ok(text.to_owned()),
                Some(locked) => Err(PinError::Differs { image: image.to_owned(), asked: asked.clone(), locked: locked.clone() }),
            };
        }
        match self.digests.get(&whole) {
            _ if self.own.contains(&whole) => Ok(text.to_owned()),
            Some(digest) => Ok(format!("{}@{digest}", reference.familiar())),
            None if self.strict => Err(PinError::Missing(text.to_owned())),
            None => Ok(text.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_locked_gets_its_digest_and_the_rest_is_refused_if_asked_so() {
        let (one, other) = (Digest::of(b"one"), Digest::of(b"other"));
        let pins = |strict| Pins {
            digests: BTreeMap::from([("docker.io/library/redis:7".to_owned(), one.clone())]),
            own: BTreeSet::from(["docker.io/library/shop-web:latest".to_owned()]),
            strict,
        };
        for same in ["redis:8", "shop-web", "rootfs:/", "sha256:0123"] {
            assert_eq!(pins(false).pin(same).unwrap(), same);
        }
        for text in ["redis:7", "docker.io/library/redis:7"] {
            assert_eq!(pins(true).pin(text).unwrap(), format!("redis:7@{one}"));
        }
        assert_eq!(pins(true).pin("redis:8"), Err(PinError::Missing("redis:8".to_owned())));
        assert_eq!(pins(true).pin("shop-web").unwrap(), "shop-web");
        let named = format!("redis:7@{other}");
        assert_eq!(pins(false).pin(&named).unwrap(), named);
        let image = "docker.io/library/redis:7".to_owned();
        assert_eq!(pins(true).pin(&named), Err(PinError::Differs { image, asked: other.clone(), locked: one.clone() }));
        assert_eq!(pins(true).pin(&format!("redis@{other}")).unwrap(), format!("redis@{other}"));
        assert_eq!(Pins::default().pin("not: a reference").unwrap(), "not: a reference", "there is nothing to compare with");
    }
}
