//! References: `redis:7`, `registry:5000/team/app@sha256:...`.

use std::fmt;
use std::str::FromStr;

use crate::Digest;

/// Names an image, in full: registry, repository, tag or digest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// A text that is no reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid reference format: `{text}`: {why}")]
pub struct InvalidReference {
    /// As given.
    pub text: String,
    /// What is wrong with it.
    pub why: &'static str,
}

const DEFAULT_REGISTRY: &str = "docker.io";

impl Reference {
    /// Host, with its port if it has one.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// Path below the registry.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag; `latest` where neither tag nor digest was given.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// What the image's manifest has to be.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// As people write it: without the default registry and its `library/`.
    pub fn familiar(&self) -> String {
        let mut text = self.familiar_name();
        if let Some(tag) = &self.tag {
            text = format!("{text}:{tag}");
        }
        match &self.digest {
            Some(digest) => format!("{text}@{digest}"),
            None => text,
        }
    }

    /// As [`Reference::familiar`], without tag and digest.
    pub fn familiar_name(&self) -> String {
        if self.registry != DEFAULT_REGISTRY {
            return format!("{}/{}", self.registry, self.repository);
        }
        self.repository.strip_prefix("library/").unwrap_or(&self.repository).to_owned()
    }
}

impl FromStr for Reference {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        let fault = |why| InvalidReference { text: text.to_owned(), why };
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => {
                (rest, Some(digest.parse::<Digest>().map_err(|_| fault("the digest is not sha256: and 64 hex digits"))?))
            }
            None => (text, None),
        };
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (rest, None),
        };
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(fault("a tag has at most 128 of [a-zA-Z0-9_.-] and does not begin with . or -"));
        }
        let (registry, repository) = match name.split_once('/') {
            Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => (first.to_owned(), rest.to_owned()),
            Some(_) => (DEFAULT_REGISTRY.to_owned(), name.to_owned()),
            None => (DEFAULT_REGISTRY.to_owned(), format!("library/{name}")),
        };
        if !repository.split('/').all(is_component) || name.is_empty() {
            return Err(fault("a repository is lower-case letters and digits, separated by . _ - and /"));
        }
        let host_like = registry.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '[');
        if !host_like
            || !registry.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte))
            || text.len() > 512
        {
            return Err(fault("the registry is no host name"));
        }
        let tag = tag.map(str::to_owned).or_else(|| digest.is_none().then(|| "latest".to_owned()));
        Ok(Self {
            registry: if registry == "index.docker.io" { DEFAULT_REGISTRY.to_owned() } else { registry },
            repository,
            tag,
            digest,
        })
    }
}

fn is_tag(tag: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    !tag.is_empty() && tag.len() <= 128 && !tag.starts_with(['.', '-']) && tag.bytes().all(allowed)
}

fn is_component(component: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends = component.bytes().next().is_some_and(letter) && component.bytes().last().is_some_and(letter);
    ends && component.bytes().all(|byte| letter(byte) || b"._-".contains(&byte)) && !component.contains("..")
}

impl fmt::Display for Reference {
    /// In full.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(out, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(out, "@{digest}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_references_as_people_write_them() {
        for (text, full, familiar) in [
            ("redis", "docker.io/library/redis:latest", "redis:latest"),
            ("redis:7", "docker.io/library/redis:7", "redis:7"),
            ("team/app", "docker.io/team/app:latest", "team/app:latest"),
            ("localhost/app", "localhost/app:latest", "localhost/app:latest"),
            ("host:5000/app:1", "host:5000/app:1", "host:5000/app:1"),
        ] {
            let reference: Reference = text.parse().unwrap();
            assert_eq!((reference.to_string().as_str(), reference.familiar().as_str()), (full, familiar));
        }
    }

    #[test]
    fn refuses_what_is_none() {
        for text in ["", "UPPER", "a//b", "a:", "a:-x", "../a", "a/../b", "a@sha256:12", "a b", "-a"] {
            assert!(text.parse::<Reference>().is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_taken_is_written_and_read_as_the_same(text in "\\PC{0,80}|[a-zA-Z0-9._:/@-]{0,60}|([a-z0-9.-]{1,8}(:[0-9]{1,5})?/)?[a-z0-9/_-]{1,20}(:[a-zA-Z0-9._-]{1,9})?(@sha256:[0-9a-f]{64})?") {
            if let Ok(reference) = text.parse::<Reference>() {
                proptest::prop_assert_eq!(&reference.to_string().parse::<Reference>().unwrap(), &reference);
                proptest::prop_assert_eq!(&reference.familiar().parse::<Reference>().unwrap(), &reference);
                proptest::prop_assert!(!reference.repository().contains("..") && !reference.repository().starts_with('/'));
            }
        }
    }
}
