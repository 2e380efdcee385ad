//! A canonical tree in which every value is of the type of its attribute: sizes are bytes, durations are spelled in one way,
//! lists of pairs are mappings, and what says nothing is gone.

use crate::check;
use crate::diagnostic::{Code, Diagnostic};
use crate::node::{Key, Kind, Mapping, Node};
use crate::scalar::Scalar;
use crate::schema::{self, Form, Shape, Value};
use crate::trail::Trail;
use crate::{units, words};

/// Settles a tree; keys come in the order in which they are printed.
pub(crate) fn settle(tree: Node, shape: &'static Shape, problems: &mut Vec<Diagnostic>) -> Node {
    let spot = tree.spot.clone();
    value(tree, shape, &Trail::TOP, problems).unwrap_or_else(|| Node::mapping_at(Mapping::new(), &spot))
}

/// A value of its type; `None` if it is nothing at all.
fn value(node: Node, shape: &'static Shape, trail: &Trail<'_>, problems: &mut Vec<Diagnostic>) -> Option<Node> {
    if node.is_null() {
        return None;
    }
    let node = formed(node, shape.form, trail, problems);
    let Node { kind, spot, tag } = node;
    let kind = match kind {
        Kind::Scalar { text, plain } => match shape.scalar {
            Some(scalar) if shape.form != Form::Words => single(text, plain, scalar),
            _ => Kind::Scalar { text, plain: false },
        },
        Kind::Sequence(items) => match (shape.form, shape.list) {
            (Form::AsIs | Form::List, Some(below)) => Kind::Sequence(
                items
                    .into_iter()
                    .enumerate()
                    .filter_map(|(index, item)| value(item, below, &trail.item(index), problems))
                    .collect(),
            ),
            _ => Kind::Sequence(items),
        },
        Kind::Mapping(entries) => match shape.mapping {
            Some(schema::Mapping::Fields(fields) | schema::Mapping::Closed(fields)) => {
                Kind::Mapping(self::fields(entries, fields, trail, problems))
            }
            Some(schema::Mapping::Named(below) | schema::Mapping::Keys(below)) => {
                Kind::Mapping(keyed(entries, shape, below, trail, problems))
            }
            None => Kind::Mapping(entries),
        },
    };
    Some(Node { kind, spot, tag })
}

fn fields(mut entries: Mapping, fields: &'static [schema::Field], trail: &Trail<'_>, problems: &mut Vec<Diagnostic>) -> Mapping {
    let mut settled = Mapping::with_capacity(entries.len());
    for field in fields {
        // Most attributes are not there: looking is cheaper than moving the rest together each time.
        let Some((key, node)) = entries.swap_remove_entry(field.name) else { continue };
        let Some(node) = value(node, field.shape, &trail.key(field.name), problems) else { continue };
        if field.keeps_zero || !says_nothing(&node, field.shape) {
            settled.insert(key, node);
        }
    }
    let mut rest: Vec<(Key, Node)> = entries.into_iter().filter(|(key, _)| key.name.starts_with("x-")).collect();
    rest.sort_by(|one, other| one.0.name.cmp(&other.0.name));
    settled.extend(rest);
    settled
}

/// Brings the attributes of a mapping into the order in which they are printed.
pub(crate) fn sort_fields(node: &mut Node, shape: &'static Shape) {
    let (Some(schema::Mapping::Fields(fields)), Some(entries)) = (shape.mapping, node.mapping_mut()) else { return };
    let place = |key: &Key| fields.iter().position(|field| field.name == key.name).unwrap_or(fields.len());
    entries.sort_by_cached_key(|key, _| (place(key), key.name.clone()));
}

fn keyed(
    entries: Mapping,
    shape: &'static Shape,
    below: &'static Shape,
    trail: &Trail<'_>,
    problems: &mut Vec<Diagnostic>,
) -> Mapping {
    let mut settled: Vec<(Key, Node)> = entries
        .into_iter()
        .map(|(key, node)| {
            let spot = node.spot.clone();
            let node = value(node, below, &trail.key(&key.name), problems).unwrap_or_else(|| match (shape.form, below.mapping) {
                (Form::Environment, _) => Node::null_at(&spot),
                // A service's part in a network may be nothing at all; a network is something.
                (_, Some(_)) if trail.is_inside_a_service() => Node::null_at(&spot),
                (_, Some(_)) => Node::mapping_at(Mapping::new(), &spot),
                _ => Node::text_at("", &spot),
            });
            (key, node)
        })
        .collect();
    settled.sort_by(|one, other| one.0.name.cmp(&other.0.name));
    settled.into_iter().collect()
}

/// Zero, false, empty text, and lists and mappings of the user's keys without any.
fn says_nothing(node: &Node, shape: &'static Shape) -> bool {
    match &node.kind {
        Kind::Scalar { text, plain: true } => matches!(text.as_str(), "" | "0" | "false"),
        Kind::Scalar { text, plain: false } => match shape.scalar.map(|scalar| scalar.value) {
            Some(Value::Size(_)) => text.is_empty() || text == "0",
            Some(Value::Duration) => text.is_empty() || text == "0s",
            _ => text.is_empty(),
        },
        Kind::Sequence(items) => items.is_empty(),
        Kind::Mapping(entries) => {
            entries.is_empty() && matches!(shape.mapping, Some(schema::Mapping::Named(_) | schema::Mapping::Keys(_)) | None)
        }
    }
}

/// A single value as its attribute means it. What has no meaning was told already, and stays as it is.
fn single(text: String, plain: bool, scalar: schema::Scalar) -> Kind {
    let written = if plain { Scalar::of_plain(&text) } else { Scalar::Text(&text) };
    let number = |number: i64| Kind::Scalar { text: number.to_string(), plain: true };
    let settled = match scalar.value {
        Value::Text | Value::Choice(_) | Value::Checked(_) => Some(Kind::Scalar { text: written.to_string(), plain: false }),
        Value::Boolean => {
            units::switch(&text).map(|on| Kind::Scalar { text: if on { "true" } else { "false" }.to_owned(), plain: true })
        }
        Value::Integer(..) => check::whole(written).map(number),
        Value::Fraction => check::fraction(written).map(|fraction| Kind::Scalar { text: fraction.to_string(), plain: true }),
        Value::Size(_) => check::size(written).map(|bytes| Kind::Scalar { text: bytes.to_string(), plain: false }),
        Value::Duration => units::signed_duration(&text)
            .map(|nanoseconds| Kind::Scalar { text: units::duration_text(nanoseconds), plain: false }),
        Value::Mode => check::mode(written).map(|bits| Kind::Scalar { text: format!("0{bits:o}"), plain: false }),
        Value::Count if text.eq_ignore_ascii_case("all") => Some(number(-1)),
        Value::Count => check::whole(written).map(number),
    };
    settled.unwrap_or(Kind::Scalar { text, plain })
}

/// Brings a value to the form that it has in the end.
fn formed(node: Node, form: Form, trail: &Trail<'_>, problems: &mut Vec<Diagnostic>) -> Node {
    match (form, &node.kind) {
        (Form::List, Kind::Scalar { .. }) => {
            let spot = node.spot.clone();
            Node::sequence_at(vec![node], &spot)
        }
        (Form::Words, Kind::Scalar { text, .. }) => match words::split(text) {
            Ok(words) => {
                let words = words.into_iter().map(|word| Node::text_at(word, &node.spot)).collect();
                Node::sequence_at(words, &node.spot)
            }
            Err(unbalanced) => {
                let message = format!("{trail}: a quote {} is not closed", unbalanced.0);
                let problem = Diagnostic::error(Code::InvalidValue, message).at(&node.spot).on(text);
                problems.push(problem.with_help("close the quote, or write the command as a list"));
                node
            }
        },
        (Form::Probe, Kind::Scalar { text, .. }) => {
            let words = ["CMD-SHELL", text].map(|word| Node::text_at(word, &node.spot)).to_vec();
            Node::sequence_at(words, &node.spot)
        }
        (Form::Pairs | Form::Environment, Kind::Sequence(_)) => pairs(node, form, trail, problems),
        (Form::Hosts, Kind::Sequence(_) | Kind::Mapping(_)) => hosts(node, trail, problems),
        (Form::Keys, Kind::Mapping(_)) => keys(node),
        _ => node,
    }
}

fn pairs(node: Node, form: Form, trail: &Trail<'_>, problems: &mut Vec<Diagnostic>) -> Node {
    let Kind::Sequence(items) = node.kind else { return node };
    let mut entries = Mapping::with_capacity(items.len());
    for item in items {
        let Some(text) = item.scalar().map(|scalar| scalar.to_string()) else { continue };
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Node::text_at(value, &item.spot)),
            None if form == Form::Environment => (text.as_str(), Node::null_at(&item.spot)),
            None => (text.as_str(), Node::text_at("", &item.spot)),
        };
        if form == Form::Environment && name.ends_with(char::is_whitespace) {
            let message = format!("{trail}: the variable `{name}` is declared with a trailing space");
            let problem = Diagnostic::error(Code::InvalidValue, message).at(&item.spot).on(name);
            problems.push(problem.with_help(format!("write `{}=`, without a space", name.trim_end())));
        }
        entries.insert(Key { name: name.to_owned(), spot: item.spot.clone() }, value);
    }
    Node::mapping_at(entries, &node.spot)
}

/// `name=address`, sorted.
fn hosts(node: Node, trail: &Trail<'_>, problems: &mut Vec<Diagnostic>) -> Node {
    let mut lines: Vec<Node> = Vec::new();
    let mut add = |name: &str, addresses: &str, at: &Node| {
        if name.is_empty() || name.contains([':', '=']) {
            let message = format!("{trail}: bad host name `{}`", name.escape_debug());
            problems.push(Diagnostic::error(Code::InvalidValue, message).at(&at.spot).with_help("write `name=address`"));
            return;
        }
        for address in addresses.split(',') {
            let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).filter(|bare| !bare.is_empty());
            lines.push(Node::text_at(format!("{name}={}", bare.unwrap_or(address)), &at.spot));
        }
    };
    match &node.kind {
        Kind::Mapping(entries) => {
            for (key, value) in entries {
                match &value.kind {
                    Kind::Sequence(items) => items.iter().for_each(|item| add(&key.name, item.text().unwrap_or_default(), item)),
                    _ => add(&key.name, value.text().unwrap_or_default(), value),
                }
            }
        }
        Kind::Sequence(items) => {
            for item in items {
                let text = item.text().unwrap_or_default();
                match text.split_once('=').or_else(|| text.split_once(':')) {
                    Some((name, addresses)) => add(name, addresses, item),
                    None => add("", text, item),
                }
            }
        }
        Kind::Scalar { .. } => {}
    }
    lines.sort_by(|one, other| one.text().cmp(&other.text()));
    Node::sequence_at(lines, &node.spot)
}

/// `id` and `id=path`.
fn keys(node: Node) -> Node {
    let Kind::Mapping(entries) = &node.kind else { return node };
    let line = |(key, value): (&Key, &Node)| match value.text().filter(|path| !path.is_empty()) {
        Some(path) => Node::text_at(format!("{}={path}", key.name), &key.spot),
        None => Node::text_at(key.name.clone(), &key.spot),
    };
    let mut lines: Vec<Node> = entries.iter().map(line).collect();
    lines.sort_by(|one, other| one.text().cmp(&other.text()));
    Node::sequence_at(lines, &node.spot)
}
