//! Nodes: what a file says, and where it says it. Scalars keep their text; the field decides what it means.

use std::path::Path;
use std::sync::Arc;

use crate::Place;

/// A value of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Where it was written.
    pub place: Spot,
    /// `!reset` or `!override`.
    pub tag: Option<Tag>,
}

/// Where something was written, in little space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spot {
    /// The file.
    pub file: Arc<Path>,
    /// From 1.
    pub line: u32,
    /// From 1.
    pub column: u32,
}

impl Spot {
    /// As it is shown.
    pub fn place(&self) -> Place {
        Place { file: self.file.to_path_buf(), line: self.line, column: self.column }
    }
}

/// What merging does with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tag {
    /// Takes the attribute away.
    Reset,
    /// Takes the place of what was there, whole.
    Override,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// Text; `plain` if it was written without quotes, so that it may mean a number, a boolean, or nothing.
    Scalar {
        /// As written, escapes resolved.
        text: String,
        /// Without quotes.
        plain: bool,
    },
    /// A list.
    Sequence(Vec<Node>),
    /// Keys and values, in the order of the file.
    Mapping(Vec<(Key, Node)>),
}

/// A key of a mapping.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    /// Its text.
    pub name: String,
    /// Where it was written.
    pub place: Spot,
}

impl Node {
    /// Tells whether it is `null`, `~` or nothing at all.
    pub fn is_null(&self) -> bool {
        matches!(&self.kind, Kind::Scalar { text, plain: true } if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// Its text, if it is a scalar and not null.
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar { text, .. } if !self.is_null() => Some(text),
            _ => None,
        }
    }

    /// The value of a key.
    pub fn get(&self, name: &str) -> Option<&Self> {
        match &self.kind {
            Kind::Mapping(entries) => entries.iter().find(|(key, _)| key.name == name).map(|(_, node)| node),
            _ => None,
        }
    }

    /// What it is, in words.
    pub fn describe(&self) -> &'static str {
        match &self.kind {
            _ if self.is_null() => "nothing",
            Kind::Scalar { .. } => "a single value",
            Kind::Sequence(_) => "a list",
            Kind::Mapping(_) => "a mapping",
        }
    }

    /// As JSON; plain scalars become what they mean.
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value;
        match &self.kind {
            _ if self.is_null() => Value::Null,
            Kind::Scalar { text, plain: true } => plain_value(text),
            Kind::Scalar { text, .. } => Value::String(text.clone()),
            Kind::Sequence(items) => Value::Array(items.iter().map(Self::to_json).collect()),
            Kind::Mapping(entries) => {
                Value::Object(entries.iter().map(|(key, node)| (key.name.clone(), node.to_json())).collect())
            }
        }
    }
}

fn plain_value(text: &str) -> serde_json::Value {
    use serde_json::Value;
    match text {
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    if let Some(number) = crate::units::integer(text) {
        return number.into();
    }
    let numeric = text.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '-' | '+' | '.'));
    match text.parse::<f64>() {
        Ok(number) if numeric && number.is_finite() => serde_json::json!(number),
        _ => Value::String(text.to_owned()),
    }
}
