//! What is wrong with the files: where, what, and what to do.

use std::fmt;

use crate::Place;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It works, but look.
    Warning,
    /// It cannot be used.
    Error,
}

/// Something that is wrong with the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong; lower case, no full stop.
    pub message: String,
    /// Where, if it is in a file.
    pub place: Option<Place>,
    /// The line of the file.
    pub excerpt: Option<String>,
    /// What to do.
    pub help: Option<String>,
}

impl Diagnostic {
    /// Something that cannot be used.
    pub fn error(message: impl Into<String>, place: Option<&Place>) -> Self {
        Self { severity: Severity::Error, message: message.into(), place: place.cloned(), excerpt: None, help: None }
    }

    /// Something to look at.
    pub fn warning(message: impl Into<String>, place: Option<&Place>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(message, place) }
    }

    /// Adds what to do.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for Diagnostic {
    /// `file:line:column: error: what`, the line with a caret below it, and what to do.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(out, "{place}: ")?;
        }
        let severity = match self.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        write!(out, "{severity}: {}", self.message)?;
        if let (Some(place), Some(excerpt)) = (&self.place, &self.excerpt) {
            let number = place.line.to_string();
            let shown: String = excerpt.chars().map(|it| if it.is_control() { ' ' } else { it }).take(160).collect();
            let before = place.column.saturating_sub(1) as usize;
            let (margin, indent) = (" ".repeat(number.len()), " ".repeat(before.min(160)));
            write!(out, "\n{margin} |\n{number} | {shown}\n{margin} | {indent}^")?;
        }
        match &self.help {
            Some(help) => write!(out, "\nhint: {help}"),
            None => Ok(()),
        }
    }
}

/// The nearest of `known`, if it is near enough to be meant.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let distance = |other: &str| strsim::damerau_levenshtein(&word.to_lowercase(), other);
    let near = known.into_iter().map(|other| (distance(other), other)).min()?;
    (near.0 <= 1 + word.len() / 4).then_some(near.1)
}
