//! What is wrong with a Dockerfile, and where.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A place in a Dockerfile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Place {
    /// From 1.
    pub line: u32,
    /// In bytes, from 1.
    pub column: u32,
}

/// Something wrong, or worth a look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// What.
    pub text: String,
    /// What to do.
    pub hint: Option<String>,
    /// The rule of style that it breaks; without one it is an error.
    pub rule: Option<Rule>,
}

impl Problem {
    pub(crate) fn error(place: Place, text: impl Into<String>) -> Self {
        Self { place, text: text.into(), hint: None, rule: None }
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    pub(crate) fn warning(place: Place, rule: Rule, text: impl Into<String>) -> Self {
        Self { place, text: text.into(), hint: None, rule: Some(rule) }
    }

    /// Tells whether nothing can be built because of it.
    pub fn is_error(&self) -> bool {
        self.rule.is_none()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.rule {
            Some(rule) => write!(out, "{rule:?}: {} (line {})", self.text, self.place.line),
            None => write!(out, "line {}:{}: {}", self.place.line, self.place.column, self.text),
        }
    }
}

/// The rules of `build --check`, by the names that people know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names of the rules, which the Dockerfile reference describes")]
pub enum Rule {
    StageNameCasing,
    FromAsCasing,
    NoEmptyContinuation,
    ConsistentInstructionCasing,
    DuplicateStageName,
    ReservedStageName,
    JSONArgsRecommended,
    MaintainerDeprecated,
    UndefinedArgInFrom,
    WorkdirRelativePath,
    UndefinedVar,
    MultipleInstructionsDisallowed,
    LegacyKeyValueFormat,
    InvalidBaseImagePlatform,
    RedundantTargetPlatform,
    SecretsUsedInArgOrEnv,
    InvalidDefaultArgInFrom,
    FromPlatformFlagConstDisallowed,
    CopyIgnoredFile,
    ExposeProtoCasing,
    ExposeInvalidFormat,
    InvalidDefinitionDescription,
}
