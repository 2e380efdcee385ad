//! What is wrong with the files: where, what, and what to do.

use serde::Serialize;

use crate::Place;
use crate::node::{Road, Spot};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It works, but look.
    Warning,
    /// It cannot be used.
    Error,
}

/// What kind of problem it is: a name that editors and CI can rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// The text is no YAML.
    Syntax,
    /// A key is there twice.
    DuplicateKey,
    /// A key that Compose does not know.
    UnknownKey,
    /// A key that has to be there is not.
    MissingKey,
    /// A list where a mapping is meant, a number where a text is meant, and the like.
    WrongType,
    /// The right type, and no value that the attribute takes.
    InvalidValue,
    /// Attributes that exclude each other, or say two things of one.
    Conflict,
    /// A name that nothing has.
    Undefined,
    /// Things that need each other in a circle.
    Cycle,
    /// `${...}` that cannot be read, or a variable that has to be set.
    Interpolation,
    /// A variable that is not set.
    UnsetVariable,
    /// A file that cannot be read.
    File,
    /// What was fetched names a path outside of its own tree.
    Outside,
    /// More than we are ready to read.
    Limit,
    /// The name of the project.
    ProjectName,
    /// No Compose file was found.
    NotFound,
    /// Known, and without effect here.
    NoEffect,
    /// A way of writing that is on its way out.
    Deprecated,
    /// What we do not do.
    Unsupported,
}

impl Code {
    /// As it is written in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::DuplicateKey => "duplicate-key",
            Self::UnknownKey => "unknown-key",
            Self::MissingKey => "missing-key",
            Self::WrongType => "wrong-type",
            Self::InvalidValue => "invalid-value",
            Self::Conflict => "conflict",
            Self::Undefined => "undefined",
            Self::Cycle => "cycle",
            Self::Interpolation => "interpolation",
            Self::UnsetVariable => "unset-variable",
            Self::File => "file",
            Self::Outside => "outside",
            Self::Limit => "limit",
            Self::ProjectName => "project-name",
            Self::NotFound => "not-found",
            Self::NoEffect => "no-effect",
            Self::Deprecated => "deprecated",
            Self::Unsupported => "unsupported",
        }
    }
}

/// Something that is wrong with the files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What kind of problem it is.
    pub code: Code,
    /// What is wrong; lower case, no full stop.
    pub message: String,
    /// Where, if it is in a file.
    pub place: Option<Box<Place>>,
    /// The offending text, to be underlined.
    pub focus: Option<Box<str>>,
    /// The line of the file.
    pub excerpt: Option<Box<str>>,
    /// Other places that have to do with it, each with what it has to do with it.
    pub notes: Vec<Note>,
    /// What to do.
    pub help: Option<String>,
}

/// Another place that has to do with a problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Note {
    /// What it has to do with it.
    pub text: String,
    /// Where.
    pub place: Place,
    /// The line of the file.
    pub excerpt: Option<Box<str>>,
}

impl Diagnostic {
    /// Something that cannot be used.
    pub fn error(code: Code, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code,
            message: message.into(),
            place: None,
            focus: None,
            excerpt: None,
            notes: Vec::new(),
            help: None,
        }
    }

    /// Something to look at.
    pub fn warning(code: Code, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, message) }
    }

    /// Says where, and on which roads it came to where it is used.
    #[must_use]
    pub(crate) fn at(mut self, spot: &Spot) -> Self {
        self.place = Some(Box::new(spot.place()));
        let mut step = spot.via.as_ref();
        while let Some(via) = step {
            let text = match via.road {
                Road::Alias => "used here by an alias",
                Road::Extends => "brought in by this `extends`",
                Road::Include => "brought in by this `include`",
            };
            self.notes.push(Note { text: text.to_owned(), place: via.spot.place(), excerpt: None });
            step = via.before.as_ref();
        }
        self
    }

    /// Says where.
    #[must_use]
    pub fn at_place(mut self, place: Place) -> Self {
        self.place = Some(Box::new(place));
        self
    }

    /// Names the offending text; it is looked for from the place on.
    #[must_use]
    pub(crate) fn on(mut self, focus: impl AsRef<str>) -> Self {
        self.focus = Some(focus.as_ref()).filter(|text| !text.is_empty()).map(Into::into);
        self
    }

    /// Adds another place.
    #[must_use]
    pub(crate) fn with_note(mut self, text: impl Into<String>, spot: &Spot) -> Self {
        self.notes.push(Note { text: text.into(), place: spot.place(), excerpt: None });
        self
    }

    /// Adds what to do.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds the nearest of `known` as what may have been meant, if one is near.
    #[must_use]
    pub(crate) fn with_nearest<'a>(self, word: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        match nearest(word, known) {
            Some(near) => self.with_help(format!("did you mean `{near}`?")),
            None => self,
        }
    }
}

/// How many names are compared with one that nothing has: there may be as many of these.
const MOST_COMPARED: usize = 1_000;
/// The nearest of `known`, if it is near enough to be meant.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    let bound = 1 + word.len() / 4;
    let distance = |other: &str| {
        let other = &*other.to_lowercase();
        // `front` for `frontend`, and the other way round.
        let (short, long) = if other.len() < lower.len() { (other, lower.as_str()) } else { (lower.as_str(), other) };
        if short.len() >= 4 && long.starts_with(short) {
            return bound;
        }
        // What differs by more letters than the bound is not worth the comparing.
        if other.len().abs_diff(lower.len()) > bound { usize::MAX } else { strsim::damerau_levenshtein(&lower, other) }
    };
    let near = known.into_iter().take(MOST_COMPARED).map(|other| (distance(other), other)).min()?;
    (near.0 <= bound).then_some(near.1)
}
