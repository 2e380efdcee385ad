//! Variables, and where each was set: the environment before files, a later file before an earlier one.

mod declared;

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::Place;

pub use declared::{Declared, declared};

/// What a text may ask for.
pub(crate) trait Lookup {
    /// The value of a variable, if it is set.
    fn find(&self, name: &str) -> Option<&str>;
}

/// Variables by name.
#[derive(Debug, Clone, Default)]
pub struct Variables(BTreeMap<String, Variable>);

/// A variable that is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// What it stands for.
    pub value: String,
    /// Where it was set.
    pub source: Source,
    /// Where it was set in vain, the strongest first.
    pub shadowed: Vec<(Source, String)>,
}

/// Where a variable is set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The environment of the process.
    Environment,
    /// A line of a file.
    File(Place),
    /// It is made when a project is loaded.
    Project,
}

impl fmt::Display for Source {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment => out.write_str("environment"),
            Self::File(place) => write!(out, "{}:{}", place.file.display(), place.line),
            Self::Project => out.write_str("project"),
        }
    }
}

impl Variables {
    /// The environment of a process.
    pub fn of_environment(environment: &BTreeMap<String, String>) -> Self {
        let variable = |value: &String| Variable { value: value.clone(), source: Source::Environment, shadowed: Vec::new() };
        Self(environment.iter().map(|(name, value)| (name.clone(), variable(value))).collect())
    }

    /// Sets what is not set yet; what is set stays, and what was offered is remembered.
    pub fn offer(&mut self, name: String, value: String, source: Source) {
        match self.0.get_mut(&name) {
            Some(known) => known.shadowed.push((source, value)),
            None => drop(self.0.insert(name, Variable { value, source, shadowed: Vec::new() })),
        }
    }

    /// Offers all of another's variables.
    pub fn offer_all(&mut self, others: Self) {
        for (name, variable) in others.0 {
            self.offer(name, variable.value, variable.source);
        }
    }

    /// Sets a variable, whatever it was; that is remembered.
    pub fn set(&mut self, name: String, value: String, source: Source) {
        let before = self.0.remove(&name);
        let shadowed = before.map(|it| std::iter::once((it.source, it.value)).chain(it.shadowed).collect()).unwrap_or_default();
        self.0.insert(name, Variable { value, source, shadowed });
    }

    /// The value of a variable, if it is set.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|variable| variable.value.as_str())
    }

    /// A variable with its history.
    pub fn variable(&self, name: &str) -> Option<&Variable> {
        self.0.get(name)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Variable)> {
        self.0.iter().map(|(name, variable)| (name.as_str(), variable))
    }

    /// Their names.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

impl Lookup for Variables {
    fn find(&self, name: &str) -> Option<&str> {
        self.get(name)
    }
}
