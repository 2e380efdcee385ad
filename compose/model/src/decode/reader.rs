//! Attributes of a settled mapping, by their types. What is not of its type was told before, and counts as not there.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use crate::diagnostic::Code;
use crate::node::{Key, Mapping, Node};
use crate::{Diagnostic, units};

/// A mapping being read.
pub(super) struct Section<'a> {
    pub(super) node: &'a Node,
    /// For messages, `services.web`.
    pub(super) path: String,
}

static NOTHING: std::sync::LazyLock<Mapping> = std::sync::LazyLock::new(Mapping::new);

impl<'a> Section<'a> {
    pub(super) fn new(node: &'a Node, path: impl Into<String>) -> Self {
        Self { node, path: path.into() }
    }

    pub(super) fn get(&self, name: &str) -> Option<&'a Node> {
        self.node.get(name).filter(|node| !node.is_null())
    }

    /// A mapping below.
    pub(super) fn below(&self, name: &str) -> Option<Section<'a>> {
        Some(Section::new(self.get(name)?, format!("{}.{name}", self.path)))
    }

    /// Says what is wrong with an attribute.
    pub(super) fn fault(&self, name: &str, code: Code, text: &str) -> Diagnostic {
        let node = self.node.get(name).unwrap_or(self.node);
        Diagnostic::error(code, format!("{}.{name}: {text}", self.path)).at(&node.spot)
    }

    /// Entries of a mapping below, without extensions.
    pub(super) fn entries(&self, name: &str) -> impl Iterator<Item = (&'a Key, &'a Node)> + use<'a> {
        self.get(name)
            .and_then(Node::mapping)
            .unwrap_or(&NOTHING)
            .iter()
            .filter(|(key, node)| !key.name.starts_with("x-") || !node.is_null())
    }

    pub(super) fn items(&self, name: &str) -> &'a [Node] {
        self.get(name).and_then(Node::items).unwrap_or_default()
    }

    fn parsed<T: FromStr>(&self, name: &str) -> Option<T> {
        self.get(name)?.text()?.parse().ok()
    }

    pub(super) fn string(&self, name: &str) -> Option<String> {
        self.get(name)?.text().map(str::to_owned)
    }

    pub(super) fn boolean(&self, name: &str) -> Option<bool> {
        self.parsed(name)
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        self.boolean(name).unwrap_or(false)
    }

    pub(super) fn integer<T: FromStr>(&self, name: &str) -> Option<T> {
        self.parsed(name)
    }

    pub(super) fn number(&self, name: &str) -> Option<f64> {
        self.parsed(name).filter(|number: &f64| number.is_finite())
    }

    /// Bytes.
    pub(super) fn size(&self, name: &str) -> Option<u64> {
        self.parsed(name)
    }

    pub(super) fn duration(&self, name: &str) -> Option<Duration> {
        units::duration(self.get(name)?.text()?)
    }

    pub(super) fn strings(&self, name: &str) -> Vec<String> {
        self.optional_strings(name).unwrap_or_default()
    }

    /// A list of which it matters whether it is there.
    pub(super) fn optional_strings(&self, name: &str) -> Option<Vec<String>> {
        let text = |item: &Node| item.scalar().map(|scalar| scalar.to_string());
        Some(self.get(name)?.items()?.iter().filter_map(text).collect())
    }

    /// Names with texts, or with nothing.
    pub(super) fn pairs(&self, name: &str) -> BTreeMap<String, Option<String>> {
        let entry = |(key, node): (&Key, &Node)| (key.name.clone(), node.text().map(str::to_owned));
        self.get(name).and_then(Node::mapping).unwrap_or(&NOTHING).iter().map(entry).collect()
    }

    /// Names with texts.
    pub(super) fn labels(&self, name: &str) -> BTreeMap<String, String> {
        self.pairs(name).into_iter().map(|(key, value)| (key, value.unwrap_or_default())).collect()
    }
}
