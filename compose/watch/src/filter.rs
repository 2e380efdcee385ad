//! The files that anybody wants to know of: those of rules, and single ones.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::rule::Rule;

/// The files that anybody wants to know of.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    rules: Vec<Rule>,
    files: BTreeSet<PathBuf>,
}

impl Filter {
    /// Of rules, and of files by their absolute paths.
    pub fn new(rules: Vec<Rule>, files: BTreeSet<PathBuf>) -> Self {
        Self { rules, files }
    }

    /// The rules.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Tells whether a path is one of the single files.
    pub fn has_file(&self, path: &Path) -> bool {
        self.files.contains(path)
    }

    /// Tells whether a change of this path may be one for somebody.
    pub(crate) fn wants(&self, path: &Path) -> bool {
        self.files.contains(path) || self.walks(path)
    }

    /// Tells whether there may be something for somebody in a directory.
    pub(crate) fn walks(&self, directory: &Path) -> bool {
        self.rules.iter().any(|rule| directory.starts_with(&rule.path) && !rule.passes_over(directory))
    }

    /// Where to begin.
    pub(crate) fn roots(&self) -> BTreeSet<&Path> {
        self.rules.iter().map(|rule| rule.path.as_path()).chain(self.files.iter().map(PathBuf::as_path)).collect()
    }

    /// The roots that a directory leads to.
    pub(crate) fn roots_below(&self, directory: &Path) -> Vec<PathBuf> {
        self.roots().into_iter().filter(|root| root.starts_with(directory) && *root != directory).map(Path::to_owned).collect()
    }
}
