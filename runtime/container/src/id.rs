//! Identifiers of containers.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Names one container; safe as a component of a path and of a cgroup.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContainerId(String);

/// A text that cannot be the id of a container.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid container id `{0}`: expected 1 to 128 of [a-zA-Z0-9_.-], the first a letter or digit")]
pub struct InvalidId(pub String);

impl ContainerId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first twelve characters, as people see it.
    pub fn short(&self) -> &str {
        &self.0[..self.0.len().min(12)]
    }
}

impl FromStr for ContainerId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let first = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        let rest = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
        if first && rest && text.len() <= 128 { Ok(Self(text.to_owned())) } else { Err(InvalidId(text.to_owned())) }
    }
}

impl TryFrom<String> for ContainerId {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl From<ContainerId> for String {
    fn from(id: ContainerId) -> Self {
        id.0
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_would_leave_its_directory() {
        for text in ["", ".", "..", "../x", "a/b", "-x", "a\0", &"a".repeat(129)] {
            assert!(text.parse::<ContainerId>().is_err(), "{text:?}");
        }
        assert!("c0ffee_1.2-3".parse::<ContainerId>().is_ok());
    }
}
