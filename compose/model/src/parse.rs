//! Text to nodes. The one file that knows the YAML library.
//!
//! Aliases are copies that count: a file whose copies grow beyond a bound is refused before they are made.

mod syntax;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use granit_parser::{Event, Parser, ScalarStyle, Span};

use crate::Diagnostic;
use crate::diagnostic::Code;
use crate::node::{Key, Kind, Mapping, Node, Road, Spot, Tag};
use crate::scalar::Scalar;

/// The most nodes that a file may come to, copies included.
const MAX_NODES: usize = 500_000;
/// The deepest nesting.
const MAX_DEPTH: usize = 200;
/// The largest file, bytes.
pub(crate) const MAX_BYTES: u64 = 10 << 20;

/// Reads every document of a text.
pub(crate) fn parse(text: &str, file: &Path) -> Result<Vec<Node>, Diagnostic> {
    parse_counted(text, file).map(|(documents, _)| documents)
}

/// Reads every document of a text, and counts their values.
pub(crate) fn parse_counted(text: &str, file: &Path) -> Result<(Vec<Node>, usize), Diagnostic> {
    let mut builder =
        Builder { file: Arc::from(file), stack: Vec::new(), anchors: BTreeMap::new(), documents: Vec::new(), nodes: 0 };
    // A byte order mark, which some editors leave at the start.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| {
            let marker = error.marker();
            syntax::explain(text, &error.info(), &builder.spot(marker.line(), marker.col()))
        })?;
        builder.take(event, &span)?;
    }
    Ok((builder.documents, builder.nodes))
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
        Spot { file: self.file.clone(), line: number(line), column: number(column).saturating_add(1), via: None }
    }

    fn take(&mut self, event: Event<'_>, span: &Span) -> Result<(), Diagnostic> {
        let spot = self.spot(span.start.line(), span.start.col());
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let tag = read_tag(tag.as_deref(), &spot)?;
                let plain = style == ScalarStyle::Plain && tag.is_none_or(|tag| tag != NodeTag::Text);
                let kind = Kind::Scalar { text: text.into_owned(), plain };
                let tag = tag.and_then(NodeTag::merging);
                self.finish(Node { kind, spot, tag }, anchor, 1)
            }
            Event::SequenceStart(_, anchor, tag) => self.open(Kind::Sequence(Vec::new()), anchor, tag.as_deref(), spot),
            Event::MappingStart(_, anchor, tag) => self.open(Kind::Mapping(Mapping::new()), anchor, tag.as_deref(), spot),
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(mut open) = self.stack.pop() else { return Ok(()) };
                if let Kind::Mapping(entries) = &mut open.node.kind {
                    std::mem::take(&mut open.merged).into_iter().try_for_each(|node| bring_in(entries, node))?;
                }
                let size = self.nodes - open.began + 1;
                self.finish(open.node, open.anchor, size)
            }
            Event::Alias(anchor) => {
                let itself = || Diagnostic::error(Code::Syntax, "an anchor cannot contain itself").at(&spot);
                let size = self.anchors.get(&anchor).ok_or_else(itself)?.1;
                // Counted before it is made: a file of a few lines can ask for more copies than there are atoms.
                self.count(size, &spot)?;
                let mut node = self.anchors.get(&anchor).ok_or_else(itself)?.0.clone();
                node.bring(Road::Alias, &spot);
                self.place(node, 0, size)
            }
            _ => Ok(()),
        }
    }

    fn open(&mut self, kind: Kind, anchor: usize, tag: Option<&granit_parser::Tag>, spot: Spot) -> Result<(), Diagnostic> {
        if self.stack.len() >= MAX_DEPTH {
            return Err(Diagnostic::error(Code::Limit, format!("nested deeper than {MAX_DEPTH} levels")).at(&spot));
        }
        let tag = read_tag(tag, &spot)?.and_then(NodeTag::merging);
        let began = self.nodes;
        self.stack.push(Open { node: Node { kind, spot, tag }, key: None, anchor, began, merged: Vec::new() });
        Ok(())
    }

    fn finish(&mut self, node: Node, anchor: usize, size: usize) -> Result<(), Diagnostic> {
        self.count(1, &node.spot)?;
        self.place(node, anchor, size)
    }

    fn count(&mut self, more: usize, spot: &Spot) -> Result<(), Diagnostic> {
        self.nodes = self.nodes.saturating_add(more);
        if self.nodes <= MAX_NODES {
            return Ok(());
        }
        let text = format!("the file comes to more than {MAX_NODES} values, copies by `*alias` included");
        Err(Diagnostic::error(Code::Limit, text).at(spot))
    }

    fn place(&mut self, node: Node, anchor: usize, size: usize) -> Result<(), Diagnostic> {
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
enum NodeTag {
    Reset,
    Override,
    Text,
}

impl NodeTag {
    fn merging(self) -> Option<Tag> {
        match self {
            Self::Reset => Some(Tag::Reset),
            Self::Override => Some(Tag::Override),
            Self::Text => None,
        }
    }
}

fn read_tag(tag: Option<&granit_parser::Tag>, spot: &Spot) -> Result<Option<NodeTag>, Diagnostic> {
    let Some(tag) = tag.map(ToString::to_string) else { return Ok(None) };
    match tag.rsplit(['!', ':']).next().unwrap_or_default() {
        "reset" => Ok(Some(NodeTag::Reset)),
        "override" => Ok(Some(NodeTag::Override)),
        "str" => Ok(Some(NodeTag::Text)),
        "int" | "float" | "bool" | "null" | "map" | "seq" => Ok(None),
        _ => Err(Diagnostic::error(Code::Syntax, format!("unknown tag `{tag}`"))
            .at(spot)
            .with_help("Compose knows `!reset` and `!override`")),
    }
}

fn key_of(node: Node) -> Result<Key, Diagnostic> {
    let problem = match (node.kind, node.tag) {
        (Kind::Scalar { text, plain: true }, _) if !matches!(Scalar::of_plain(&text), Scalar::Text(_)) => {
            let what = Scalar::of_plain(&text).describe();
            Diagnostic::error(Code::WrongType, format!("a key has to be a string: `{text}` is {what}"))
                .on(&text)
                .with_help(format!("put it in quotes: `\"{text}\"`"))
        }
        (Kind::Scalar { text, .. }, _) => return Ok(Key { name: text, spot: node.spot }),
        _ => Diagnostic::error(Code::WrongType, "a key has to be a single value"),
    };
    Err(problem.at(&node.spot))
}

fn insert(entries: &mut Mapping, key: Key, node: Node) -> Result<(), Diagnostic> {
    if let Some((first, _)) = entries.get_key_value(key.name.as_str()) {
        let text = format!("mapping key `{}` is already defined at line {}", key.name, first.spot.line);
        return Err(Diagnostic::error(Code::DuplicateKey, text)
            .at(&key.spot)
            .on(&key.name)
            .with_note("first defined here", &first.spot)
            .with_help("remove one of the two"));
    }
    entries.insert(key, node);
    Ok(())
}

fn bring_in(entries: &mut Mapping, node: Node) -> Result<(), Diagnostic> {
    match node.kind {
        Kind::Mapping(more) => {
            for (key, value) in more {
                entries.entry(key).or_insert(value);
            }
            Ok(())
        }
        Kind::Sequence(items) => items.into_iter().try_for_each(|item| bring_in(entries, item)),
        Kind::Scalar { .. } => {
            Err(Diagnostic::error(Code::WrongType, "`<<` takes a mapping, or a list of mappings").at(&node.spot))
        }
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
        assert_eq!((list.spot.line, list.spot.column), (2, 6));
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
