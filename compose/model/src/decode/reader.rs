//! Reading attributes of a mapping: what has the wrong type is a problem with a place, and reading goes on.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use crate::diagnostic::nearest;
use crate::node::{Key, Kind, Node};
use crate::{Diagnostic, units};

/// A mapping being read.
pub(super) struct Section<'a, 'p> {
    pub(super) node: &'a Node,
    /// For messages, `services.web`.
    pub(super) path: String,
    pub(super) problems: &'p mut Vec<Diagnostic>,
}

impl<'a, 'p> Section<'a, 'p> {
    pub(super) fn new(node: &'a Node, path: impl Into<String>, problems: &'p mut Vec<Diagnostic>) -> Self {
        let section = Self { node, path: path.into(), problems };
        if !matches!(node.kind, Kind::Mapping(_)) && !node.is_null() {
            let text = format!("{} must be a mapping, not {}", section.path, node.describe());
            section.problems.push(Diagnostic::error(text, Some(&node.place.place())));
        }
        section
    }

    /// Reports every key that is none of `known` and no extension.
    pub(super) fn known(&mut self, known: &[&str]) {
        let Kind::Mapping(entries) = &self.node.kind else { return };
        for (key, _) in entries {
            if known.contains(&key.name.as_str()) || key.name.starts_with("x-") {
                continue;
            }
            let inside = if self.path.is_empty() { String::new() } else { format!("{} ", self.path) };
            let text = format!("{inside}additional properties '{}' not allowed", key.name.escape_default());
            let problem = Diagnostic::error(text, Some(&key.place.place()));
            self.problems.push(match nearest(&key.name, known.iter().copied()) {
                Some(near) => problem.with_help(format!("did you mean `{near}`?")),
                None => problem,
            });
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&'a Node> {
        self.node.get(name).filter(|node| !node.is_null())
    }

    pub(super) fn fault(&mut self, node: &Node, text: impl Into<String>) {
        self.problems.push(Diagnostic::error(text, Some(&node.place.place())));
    }

    fn wrong(&mut self, name: &str, node: &Node, expected: &str) {
        let shown = node.text().map_or_else(|| node.describe().to_owned(), |text| format!("`{}`", text.escape_default()));
        let text = format!("{}.{name} must be {expected}, not {shown}", self.path);
        self.fault(node, text);
    }

    /// Entries of a mapping below, without extensions.
    pub(super) fn entries(&mut self, name: &str) -> &'a [(Key, Node)] {
        match self.get(name) {
            None => &[],
            Some(Node { kind: Kind::Mapping(entries), .. }) => entries,
            Some(other) => {
                self.wrong(name, other, "a mapping");
                &[]
            }
        }
    }

    fn parsed<T>(&mut self, name: &str, expected: &str, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let node = self.get(name)?;
        let value = node.text().and_then(parse);
        if value.is_none() {
            self.wrong(name, node, expected);
        }
        value
    }

    pub(super) fn string(&mut self, name: &str) -> Option<String> {
        self.parsed(name, "a string", |text| Some(text.to_owned()))
    }

    pub(super) fn boolean(&mut self, name: &str) -> Option<bool> {
        self.parsed(name, "true or false", units::boolean)
    }

    pub(super) fn flag(&mut self, name: &str) -> bool {
        self.boolean(name).unwrap_or(false)
    }

    pub(super) fn integer<T: TryFrom<i64>>(&mut self, name: &str) -> Option<T> {
        self.parsed(name, "a whole number in range", |text| units::integer(text).and_then(|number| T::try_from(number).ok()))
    }

    pub(super) fn number(&mut self, name: &str) -> Option<f64> {
        self.parsed(name, "a number", |text| f64::from_str(text).ok().filter(|number| number.is_finite() && *number >= 0.0))
    }

    pub(super) fn size(&mut self, name: &str) -> Option<u64> {
        self.parsed(name, "a size such as `64m`", units::size)
    }

    pub(super) fn duration(&mut self, name: &str) -> Option<Duration> {
        self.parsed(name, "a duration such as `1m30s`", units::duration)
    }

    pub(super) fn choice(&mut self, name: &str, choices: &[&str]) -> Option<String> {
        let expected = format!("one of `{}`", choices.join("`, `"));
        self.parsed(name, &expected, |text| choices.contains(&text).then(|| text.to_owned()))
    }

    /// A list of strings, or one alone.
    pub(super) fn strings(&mut self, name: &str) -> Vec<String> {
        let Some(node) = self.get(name) else { return Vec::new() };
        match &node.kind {
            Kind::Scalar { text, .. } => vec![text.clone()],
            Kind::Sequence(items) => items.iter().filter_map(|item| self.item(name, item)).collect(),
            Kind::Mapping(_) => {
                self.wrong(name, node, "a list");
                Vec::new()
            }
        }
    }

    fn item(&mut self, name: &str, item: &Node) -> Option<String> {
        let text = match &item.kind {
            Kind::Scalar { text, .. } => Some(text.clone()),
            _ => None,
        };
        if text.is_none() {
            let text = format!("{}.{name} must be a list of strings; this item is {}", self.path, item.describe());
            self.fault(item, text);
        }
        text
    }

    /// Items of a list.
    pub(super) fn items(&mut self, name: &str) -> &'a [Node] {
        match self.get(name) {
            None => &[],
            Some(Node { kind: Kind::Sequence(items), .. }) => items,
            Some(other) => {
                self.wrong(name, other, "a list");
                &[]
            }
        }
    }

    /// `KEY=VAL` lists and mappings alike; a key without value has none.
    pub(super) fn pairs(&mut self, name: &str) -> BTreeMap<String, Option<String>> {
        let Some(node) = self.get(name) else { return BTreeMap::new() };
        match &node.kind {
            Kind::Mapping(entries) => {
                entries.iter().filter_map(|(key, value)| Some((key.name.clone(), self.pair_value(name, value)?))).collect()
            }
            Kind::Sequence(items) => {
                let texts: Vec<String> = items.iter().filter_map(|item| self.item(name, item)).collect();
                let pair = |text: String| match text.split_once('=') {
                    Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
                    None => (text, None),
                };
                texts.into_iter().map(pair).collect()
            }
            Kind::Scalar { .. } => {
                self.wrong(name, node, "a mapping or a list of `KEY=value`");
                BTreeMap::new()
            }
        }
    }

    #[expect(clippy::option_option, reason = "a value that is wrong, one that is not there, one that is")]
    fn pair_value(&mut self, name: &str, value: &Node) -> Option<Option<String>> {
        if value.is_null() {
            return Some(None);
        }
        match &value.kind {
            // A plain number is written as it counts: `0440` is 288.
            Kind::Scalar { text, plain } => Some(Some(match units::integer(text).filter(|_| *plain) {
                Some(number) => number.to_string(),
                None => text.clone(),
            })),
            _ => {
                let text =
                    format!("{}.{name}: a value must be a string, a number or a boolean, not {}", self.path, value.describe());
                self.fault(value, text);
                None
            }
        }
    }

    /// As [`Section::pairs`]; a key without value has an empty one.
    pub(super) fn labels(&mut self, name: &str) -> BTreeMap<String, String> {
        self.pairs(name).into_iter().map(|(key, value)| (key, value.unwrap_or_default())).collect()
    }

    /// A command: a list, or a text that is cut into words.
    pub(super) fn command(&mut self, name: &str) -> Option<Vec<String>> {
        let node = self.get(name)?;
        match &node.kind {
            Kind::Scalar { text, .. } => match crate::words::split(text) {
                Ok(words) => Some(words),
                Err(unbalanced) => {
                    let text = format!("{}.{name}: a {} is not closed", self.path, unbalanced.0);
                    self.fault(node, text);
                    None
                }
            },
            _ => Some(self.strings(name)),
        }
    }

    /// Warns of attributes that are known but change nothing yet.
    pub(super) fn without_effect(&mut self, names: &[&str]) {
        for name in names {
            if let Some(node) = self.get(name) {
                let text = format!("{}.{name} has no effect yet", self.path);
                self.problems.push(Diagnostic::warning(text, Some(&node.place.place())));
            }
        }
    }
}
