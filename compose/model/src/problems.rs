//! What is wrong with the files, up to as much as anyone would read: a file of a few lines can be wrong in a million places.

use std::ops::Deref;

use crate::{Diagnostic, Severity};

/// How many problems are kept.
pub(crate) const ENOUGH: usize = 1_000;

/// Problems, as they are found.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    kept: Vec<Diagnostic>,
    errors: usize,
}

impl Problems {
    /// Keeps a problem if there are not enough of them; the first error always.
    pub(crate) fn push(&mut self, problem: Diagnostic) {
        let is_error = problem.severity == Severity::Error;
        self.errors += usize::from(is_error);
        if self.kept.len() < ENOUGH || is_error && self.errors == 1 {
            self.kept.push(problem);
        }
    }

    /// Tells whether the files cannot be used.
    pub(crate) fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// Tells whether so much is wrong that the rest need not be looked at.
    pub(crate) fn are_enough(&self) -> bool {
        self.has_errors() && self.kept.len() >= ENOUGH
    }

    /// Those that were kept.
    pub(crate) fn into_kept(self) -> Vec<Diagnostic> {
        self.kept
    }
}

impl Deref for Problems {
    type Target = [Diagnostic];

    fn deref(&self) -> &[Diagnostic] {
        &self.kept
    }
}
