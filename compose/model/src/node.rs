//! Nodes: what a file says, and where it says it. Scalars keep their text; the field decides what it means.

use std::borrow::Borrow;
use std::hash::{Hash, Hasher};
use std::path::Path;
use std::sync::Arc;

use indexmap::IndexMap;
use indexmap::map::MutableKeys;

use crate::Place;
use crate::scalar::Scalar;

/// A value of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Where it was written.
    pub spot: Spot,
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
    /// How it came to where it is used, the last step first; `None` where it was written in place.
    pub via: Option<Arc<Via>>,
}

/// A step on which a value came from where it was written to where it is used.
#[derive(Debug, PartialEq, Eq)]
pub struct Via {
    /// Which kind of step.
    pub road: Road,
    /// The words of a file that took it: the alias, the `extends`, the `include`.
    pub spot: Spot,
    /// The step before.
    pub before: Option<Arc<Via>>,
}

/// How a value is used elsewhere than where it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Road {
    /// `*anchor`.
    Alias,
    /// `extends`.
    Extends,
    /// `include`.
    Include,
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

/// Keys and values, in the order of the file.
pub type Mapping = IndexMap<Key, Node>;

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
    /// Keys and values.
    Mapping(Mapping),
}

/// A key of a mapping. Keys are the same if their names are.
#[derive(Debug, Clone)]
pub struct Key {
    /// Its text.
    pub name: String,
    /// Where it was written.
    pub spot: Spot,
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.name
    }
}

impl Node {
    /// A text, written in quotes.
    pub(crate) fn text_at(text: impl Into<String>, spot: &Spot) -> Self {
        Self { kind: Kind::Scalar { text: text.into(), plain: false }, spot: spot.clone(), tag: None }
    }

    /// A number, a boolean or nothing, written without quotes.
    pub(crate) fn plain_at(text: impl Into<String>, spot: &Spot) -> Self {
        Self { kind: Kind::Scalar { text: text.into(), plain: true }, spot: spot.clone(), tag: None }
    }

    pub(crate) fn null_at(spot: &Spot) -> Self {
        Self::plain_at("", spot)
    }

    pub(crate) fn mapping_at(mapping: Mapping, spot: &Spot) -> Self {
        Self { kind: Kind::Mapping(mapping), spot: spot.clone(), tag: None }
    }

    pub(crate) fn sequence_at(items: Vec<Self>, spot: &Spot) -> Self {
        Self { kind: Kind::Sequence(items), spot: spot.clone(), tag: None }
    }

    /// Tells whether it is `null`, `~` or nothing at all.
    pub fn is_null(&self) -> bool {
        matches!(self.scalar(), Some(Scalar::Null))
    }

    /// What a scalar means where no field says so.
    pub fn scalar(&self) -> Option<Scalar<'_>> {
        match &self.kind {
            Kind::Scalar { text, plain: true } => Some(Scalar::of_plain(text)),
            Kind::Scalar { text, plain: false } => Some(Scalar::Text(text)),
            _ => None,
        }
    }

    /// Its text, if it is a scalar and not null.
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar { text, .. } if !self.is_null() => Some(text),
            _ => None,
        }
    }

    /// Keys and values, of a mapping.
    pub fn mapping(&self) -> Option<&Mapping> {
        match &self.kind {
            Kind::Mapping(entries) => Some(entries),
            _ => None,
        }
    }

    pub(crate) fn mapping_mut(&mut self) -> Option<&mut Mapping> {
        match &mut self.kind {
            Kind::Mapping(entries) => Some(entries),
            _ => None,
        }
    }

    /// Items of a list.
    pub fn items(&self) -> Option<&[Self]> {
        match &self.kind {
            Kind::Sequence(items) => Some(items),
            _ => None,
        }
    }

    pub(crate) fn items_mut(&mut self) -> Option<&mut Vec<Self>> {
        match &mut self.kind {
            Kind::Sequence(items) => Some(items),
            _ => None,
        }
    }

    /// The value of a key.
    pub fn get(&self, name: &str) -> Option<&Self> {
        self.mapping()?.get(name)
    }

    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut Self> {
        self.mapping_mut()?.get_mut(name)
    }

    /// Gives a key a value; a key that is there keeps its place.
    pub(crate) fn set(&mut self, name: &str, value: Self) {
        let spot = value.spot.clone();
        if let Some(entries) = self.mapping_mut() {
            entries.insert(Key { name: name.to_owned(), spot }, value);
        }
    }

    pub(crate) fn remove(&mut self, name: &str) -> Option<Self> {
        self.mapping_mut()?.shift_remove(name)
    }

    /// Says of everything below, and of this, that it came by one more step.
    pub(crate) fn bring(&mut self, road: Road, by: &Spot) {
        // What came in one piece mostly has one history: it is made once.
        let mut last: Option<(Option<Arc<Via>>, Arc<Via>)> = None;
        self.visit_spots(&mut |spot| {
            let via = match &last {
                Some((before, via)) if *before == spot.via => via.clone(),
                _ => {
                    let via = Arc::new(Via { road, spot: by.clone(), before: spot.via.clone() });
                    last = Some((spot.via.clone(), via.clone()));
                    via
                }
            };
            spot.via = Some(via);
        });
    }

    fn visit_spots(&mut self, visit: &mut impl FnMut(&mut Spot)) {
        visit(&mut self.spot);
        match &mut self.kind {
            Kind::Scalar { .. } => {}
            Kind::Sequence(items) => items.iter_mut().for_each(|item| item.visit_spots(visit)),
            Kind::Mapping(entries) => {
                for (key, value) in entries.iter_mut2() {
                    // A spot is no part of what makes keys equal.
                    visit(&mut key.spot);
                    value.visit_spots(visit);
                }
            }
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
            Kind::Scalar { .. } => self.scalar().map_or(Value::Null, |scalar| scalar.to_json()),
            Kind::Sequence(items) => Value::Array(items.iter().map(Self::to_json).collect()),
            Kind::Mapping(entries) => {
                Value::Object(entries.iter().map(|(key, node)| (key.name.clone(), node.to_json())).collect())
            }
        }
    }
}
