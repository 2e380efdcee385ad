//! Text to nodes. The one file that knows the YAML library.
//!
//! Aliases are copies that count: a file whose copies grow beyond a bound is refused before they are made.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use granit_parser::{Event, Parser, ScalarStyle, Span};

use crate::Diagnostic;
use crate::node::{Key, Kind, Node, Spot, Tag};

/// The most nodes that a file may come to, copies included.
const MAX_NODES: usize = 200_000;
/// The deepest nesting.
const MAX_DEPTH: usize = 200;
/// The largest file, bytes.
pub(crate) const MAX_BYTES: u64 = 10 << 20;

/// Reads every document of a text.
pub(crate) fn parse(text: &str, file: &Path) -> Result<Vec<Node>, Diagnostic> {
    let mut builder =
        Builder { file: Arc::from(file), stack: Vec::new(), anchors: BTreeMap::new(), documents: Vec::new(), nodes: 0 };
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| {
            let marker = error.marker();
            let spot = builder.spot(marker.line(), marker.col());
            let diagnostic = Diagnostic::error(format!("invalid YAML: {}", error.info()), Some(&spot.place()));
            let line = text.lines().nth(marker.line().saturating_sub(1)).unwrap_or_default();
            if line.starts_with('\t') || line.trim_start_matches(' ').starts_with('\t') {
                diagnostic.with_help("indent with spaces: YAML takes no tabs")
            } else {
                diagnostic
            }
        })?;
        builder.take(event, &span)?;
    }
    Ok(builder.documents)
}

struct Builder {
    file: Arc<Path>,
    stack: Vec<Open>,
    anchors: BTreeMap<usize, (Node, usize)>,
    documents: Vec<Node>,
    nodes: usize,
}

/// A collection that has not ended.
struct Open {
    node: Node,
    key: Option<Key>,
    anchor: usize,
    /// Nodes when it began, to know its size at the end.
    began: usize,
    /// Values of `<<`: they fill in at the end what the mapping does not say itself.
    merged: Vec<Node>,
}

impl Builder {
    fn spot(&self, line: usize, column: usize) -> Spot {
        let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Spot { file: self.file.clone(), line: number(line), column: number(column).saturating_add(1) }
    }

    fn take(&mut self, event: Event<'_>, span: &Span) -> Result<(), Diagnostic> {
        let spot = self.spot(span.start.line(), span.start.col());
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let tag = self.tag(tag.as_deref(), &spot)?;
                let plain = style == ScalarStyle::Plain && tag.is_none_or(|tag| tag != ScalarTag::Text);
                let kind = Kind::Scalar { text: text.into_owned(), plain };
                let tag = tag.and_then(ScalarTag::merging);
                self.finish(Node { kind, place: spot, tag }, anchor, 1)
            }
            Event::SequenceStart(_, anchor, tag) => self.open(Kind::Sequence(Vec::new()), anchor, tag.as_deref(), spot),
            Event::MappingStart(_, anchor, tag) => self.open(Kind::Mapping(Vec::new()), anchor, tag.as_deref(), spot),
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(mut open) = self.stack.pop() else { return Ok(()) };
                if let Kind::Mapping(entries) = &mut open.node.kind {
                    std::mem::take(&mut open.merged).into_iter().try_for_each(|node| bring_in(entries, node))?;
                }
                let size = self.nodes - open.began + 1;
                self.finish(open.node, open.anchor, size)
            }
            Event::Alias(anchor) => {
                let Some((node, size)) = self.anchors.get(&anchor).cloned() else {
                    let text = "an anchor cannot contain itself";
                    return Err(Diagnostic::error(text, Some(&spot.place())));
                };
                self.finish(node, 0, size)
            }
            _ => Ok(()),
        }
    }

    fn tag(&self, tag: Option<&granit_parser::Tag>, spot: &Spot) -> Result<Option<ScalarTag>, Diagnostic> {
        let Some(tag) = tag.map(ToString::to_string) else { return Ok(None) };
        match tag.rsplit(['!', ':']).next().unwrap_or_default() {
            "reset" => Ok(Some(ScalarTag::Reset)),
            "override" => Ok(Some(ScalarTag::Override)),
            "str" => Ok(Some(ScalarTag::Text)),
            "int" | "float" | "bool" | "null" | "map" | "seq" => Ok(None),
            _ => Err(Diagnostic::error(format!("unknown tag `{tag}`"), Some(&spot.place()))
                .with_help("Compose knows `!reset` and `!override`")),
        }
    }

    fn open(&mut self, kind: Kind, anchor: usize, tag: Option<&granit_parser::Tag>, spot: Spot) -> Result<(), Diagnostic> {
        if self.stack.len() >= MAX_DEPTH {
            return Err(Diagnostic::error(format!("nested deeper than {MAX_DEPTH} levels"), Some(&spot.place())));
        }
        let tag = self.tag(tag, &spot)?.and_then(ScalarTag::merging);
        let began = self.nodes;
        self.stack.push(Open { node: Node { kind, place: spot, tag }, key: None, anchor, began, merged: Vec::new() });
        Ok(())
    }

    fn finish(&mut self, node: Node, anchor: usize, size: usize) -> Result<(), Diagnostic> {
        self.nodes += if matches!(node.kind, Kind::Scalar { .. }) { 1 } else { size.max(1) };
        if self.nodes > MAX_NODES {
            let text = format!("the file comes to more than {MAX_NODES} values, copies by `*alias` included");
            return Err(Diagnostic::error(text, Some(&node.place.place())));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), size));
        }
        let Some(open) = self.stack.last_mut() else {
            self.documents.push(node);
            return Ok(());
        };
        match (&mut open.node.kind, open.key.take()) {
            (Kind::Sequence(items), _) => items.push(node),
            (Kind::Mapping(_), None) => open.key = Some(key_of(node)?),
            (Kind::Mapping(_), Some(key)) if key.name == "<<" => open.merged.push(node),
            (Kind::Mapping(entries), Some(key)) => insert(entries, key, node)?,
            (Kind::Scalar { .. }, _) => {}
        }
        Ok(())
    }
}

#[derive(Clone, Copy, PartialEq)]
enum ScalarTag {
    Reset,
    Override,
    Text,
}

impl ScalarTag {
    fn merging(self) -> Option<Tag> {
        match self {
            Self::Reset => Some(Tag::Reset),
            Self::Override => Some(Tag::Override),
            Self::Text => None,
        }
    }
}

fn key_of(node: Node) -> Result<Key, Diagnostic> {
    match node.kind {
        Kind::Scalar { text, .. } => Ok(Key { name: text, place: node.place }),
        _ => Err(Diagnostic::error("a key has to be a single value", Some(&node.place.place()))),
    }
}

fn insert(entries: &mut Vec<(Key, Node)>, key: Key, node: Node) -> Result<(), Diagnostic> {
    if let Some((first, _)) = entries.iter().find(|(known, _)| known.name == key.name) {
        let text = format!("mapping key `{}` is already defined at line {}", key.name, first.place.line);
        return Err(Diagnostic::error(text, Some(&key.place.place())).with_help("remove one of the two"));
    }
    entries.push((key, node));
    Ok(())
}

fn bring_in(entries: &mut Vec<(Key, Node)>, node: Node) -> Result<(), Diagnostic> {
    match node.kind {
        Kind::Mapping(more) => {
            for (key, value) in more {
                if !entries.iter().any(|(known, _)| known.name == key.name) {
                    entries.push((key, value));
                }
            }
            Ok(())
        }
        Kind::Sequence(items) => items.into_iter().try_for_each(|item| bring_in(entries, item)),
        Kind::Scalar { .. } => Err(Diagnostic::error("`<<` takes a mapping, or a list of mappings", Some(&node.place.place()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> serde_json::Value {
        parse(text, Path::new("x.yaml")).unwrap()[0].to_json()
    }

    #[test]
    fn reads_values_and_knows_where_they_are() {
        let nodes = parse("a:\n  b: [1, 'two', yes, 22:22, 0x1F]\n", Path::new("x.yaml")).unwrap();
        let list = nodes[0].get("a").unwrap().get("b").unwrap();
        assert_eq!((list.place.line, list.place.column), (2, 6));
        assert_eq!(list.to_json(), serde_json::json!([1, "two", "yes", "22:22", 31]));
    }

    #[test]
    fn merge_keys_give_way_to_what_is_written() {
        let text = "base: &base\n  a: 1\n  b: 2\nx:\n  <<: *base\n  b: 3\ny:\n  b: 4\n  <<: *base\n";
        assert_eq!(json(text)["x"], serde_json::json!({"a": 1, "b": 3}));
        assert_eq!(json(text)["y"], serde_json::json!({"a": 1, "b": 4}));
    }

    #[test]
    fn names_both_places_of_a_duplicate_key() {
        let error = parse("a: 1\nb: 2\na: 3\n", Path::new("x.yaml")).unwrap_err();
        assert_eq!(error.message, "mapping key `a` is already defined at line 1");
        assert_eq!(error.place.unwrap().line, 3);
    }

    #[test]
    fn refuses_bombs_and_towers() {
        let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x]\n");
        for level in 1..12 {
            let previous = format!("*a{}", level - 1);
            bomb.push_str(&format!("a{level}: &a{level} [{}]\n", vec![previous; 9].join(",")));
        }
        assert!(parse(&bomb, Path::new("x.yaml")).unwrap_err().message.contains("copies"));
        let tower = "[".repeat(5000);
        assert!(parse(&tower, Path::new("x.yaml")).is_err());
        assert!(parse("a: &a [*a]\n", Path::new("x.yaml")).is_err());
        assert!(parse("a: !weird x\n", Path::new("x.yaml")).is_err());
    }
}
