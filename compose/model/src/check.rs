//! Checks a tree against the table of what Compose allows: keys, types, known words. Every problem is told, each where it is.

mod words;

use std::collections::HashMap;

use crate::Diagnostic;
use crate::diagnostic::Code;
use crate::node::{Key, Kind, Node, Tag};
use crate::problems::Problems;
use crate::scalar::Scalar;
use crate::schema::{self, Field, Mapping, Shape, Value, Written};
use crate::trail::Trail;
use crate::units;

pub(crate) use words::{container_name, probe_url, pull_policy};

/// Checks keys and types, of short forms and long ones alike.
pub(crate) fn shapes(node: &Node, shape: &'static Shape, trail: &Trail<'_>, problems: &mut Problems) {
    value(None, node, shape, trail, problems);
}

/// Checks a value, and tells what is wrong with it as a whole at its key, if it has one.
fn value(key: Option<&Key>, node: &Node, shape: &'static Shape, trail: &Trail<'_>, problems: &mut Problems) {
    match &node.kind {
        _ if problems.are_enough() => {}
        // What takes something away need not look like what it takes away.
        _ if node.tag == Some(Tag::Reset) => {}
        _ if node.is_null() => {
            if !shape.null {
                problems.push(words::wrong_type(key, node, shape, trail));
            }
        }
        Kind::Scalar { text, .. } => match shape.scalar {
            Some(kind) => scalar(node, text, kind, trail, problems),
            None => problems.push(words::wrong_type(key, node, shape, trail)),
        },
        Kind::Sequence(items) => match shape.list {
            Some(item_shape) => {
                for (index, item) in items.iter().enumerate() {
                    value(None, item, item_shape, &trail.item(index), problems);
                }
            }
            None => problems.push(words::wrong_type(key, node, shape, trail)),
        },
        Kind::Mapping(entries) => match shape.mapping {
            Some(Mapping::Fields(fields)) => known_keys(entries, fields, true, trail, problems),
            Some(Mapping::Closed(fields)) => known_keys(entries, fields, false, trail, problems),
            Some(Mapping::Named(below)) => named(entries, below, trail, problems),
            Some(Mapping::Keys(below)) => {
                for (key, node) in entries {
                    value(Some(key), node, below, &trail.key(&key.name), problems);
                }
            }
            None => problems.push(words::wrong_type(key, node, shape, trail)),
        },
    }
}

fn known_keys(
    entries: &crate::node::Mapping,
    fields: &'static [Field],
    extensible: bool,
    trail: &Trail<'_>,
    problems: &mut Problems,
) {
    for (key, node) in entries {
        if problems.are_enough() {
            return;
        }
        match schema::find(fields, &key.name) {
            Some((_, field)) => value(Some(key), node, field.shape, &trail.key(&key.name), problems),
            None if extensible && key.name.starts_with("x-") => {}
            None => problems.push(words::unknown_key(key, node, fields, trail)),
        }
    }
}

fn named(entries: &crate::node::Mapping, below: &'static Shape, trail: &Trail<'_>, problems: &mut Problems) {
    for (key, node) in entries {
        if problems.are_enough() {
            return;
        }
        if is_name(&key.name) {
            value(Some(key), node, below, &trail.key(&key.name), problems);
        } else if !key.name.starts_with("x-") || trail.is_top() {
            problems.push(bad_name(key, trail));
        }
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

fn bad_name(key: &Key, trail: &Trail<'_>) -> Diagnostic {
    let allowed: String = key
        .name
        .chars()
        .map(|letter| if letter.is_ascii_alphanumeric() || "._-".contains(letter) { letter } else { '-' })
        .collect();
    let text = format!("`{}` in {trail} is no name: letters, digits, `.`, `_` and `-` are allowed", key.name.escape_debug());
    let problem = Diagnostic::error(Code::InvalidValue, text).at(&key.spot).on(&key.name);
    if allowed.is_empty() { problem } else { problem.with_help(format!("write `{allowed}`")) }
}

/// Checks what only a merged tree can tell: keys that have to be there, and items that are there twice.
pub(crate) fn complete(node: &Node, shape: &'static Shape, trail: &Trail<'_>, problems: &mut Problems) {
    match (&node.kind, shape.mapping) {
        _ if problems.are_enough() => {}
        (Kind::Mapping(entries), Some(Mapping::Fields(fields) | Mapping::Closed(fields))) => {
            for field in fields.iter().filter(|field| field.required && !entries.contains_key(field.name)) {
                let text = format!("{trail} needs `{}`", field.name);
                problems.push(Diagnostic::error(Code::MissingKey, text).at(&node.spot));
            }
            for (key, value) in entries {
                if let Some((_, field)) = schema::find(fields, &key.name) {
                    complete(value, field.shape, &trail.key(&key.name), problems);
                }
            }
        }
        (Kind::Mapping(entries), Some(Mapping::Named(below) | Mapping::Keys(below))) => {
            for (key, value) in entries {
                complete(value, below, &trail.key(&key.name), problems);
            }
        }
        (Kind::Sequence(items), _) => {
            if shape.distinct && items.len() > 1 {
                distinct(items, trail, problems);
            }
            let Some(below) = shape.list else { return };
            for (index, item) in items.iter().enumerate() {
                complete(item, below, &trail.item(index), problems);
            }
        }
        _ => {}
    }
}

/// Up to so many items, comparing all with all is cheaper than a table.
const FEW: usize = 16;

/// Whether two items of a list are one thing written twice.
fn says_same(one: &Node, other: &Node) -> bool {
    match (&one.kind, &other.kind) {
        (Kind::Scalar { text, .. }, Kind::Scalar { text: other, .. }) => text == other,
        (Kind::Sequence(items), Kind::Sequence(others)) => {
            items.len() == others.len() && items.iter().zip(others).all(|(one, other)| means_same(one, other))
        }
        (Kind::Mapping(entries), Kind::Mapping(others)) => {
            let in_other = |(key, value): (&Key, &Node)| others.get(key).is_some_and(|other| means_same(value, other));
            entries.len() == others.len() && entries.iter().all(in_other)
        }
        _ => false,
    }
}

/// As [`says_same`]; what is in quotes is not the number that it looks like.
fn means_same(one: &Node, other: &Node) -> bool {
    match (one.scalar(), other.scalar()) {
        (Some(one), Some(other)) => one == other,
        _ => says_same(one, other),
    }
}

fn distinct(items: &[Node], trail: &Trail<'_>, problems: &mut Problems) {
    let repeated: Vec<(&Node, &Node)> = if items.len() <= FEW {
        let earlier = |(place, item)| items[..place].iter().rev().find(|first: &&Node| says_same(first, item)).zip(Some(item));
        items.iter().enumerate().filter_map(earlier).collect()
    } else {
        let written = |item: &Node| match &item.kind {
            Kind::Scalar { text, .. } => text.clone(),
            _ => item.to_json().to_string(),
        };
        let mut seen: HashMap<String, &Node> = HashMap::with_capacity(items.len());
        items.iter().filter_map(|item| seen.insert(written(item), item).zip(Some(item))).collect()
    };
    for (first, item) in repeated {
        if problems.are_enough() {
            return;
        }
        let shown = item.text().unwrap_or("this item");
        let text = format!("{trail} has `{}` twice", shown.escape_debug());
        problems.push(
            Diagnostic::error(Code::Conflict, text)
                .at(&item.spot)
                .on(shown)
                .with_note("first here", &first.spot)
                .with_help("remove one of the two"),
        );
    }
}

fn scalar(node: &Node, text: &str, kind: schema::Scalar, trail: &Trail<'_>, problems: &mut Problems) {
    let written = node.scalar().unwrap_or(Scalar::Null);
    let accepted = match written {
        Scalar::Null => false,
        Scalar::Boolean(_) => kind.accepts.contains(&Written::Boolean),
        Scalar::Integer(_) => kind.accepts.contains(&Written::Integer) || kind.accepts.contains(&Written::Number),
        Scalar::Float(number) => {
            kind.accepts.contains(&Written::Number) || kind.accepts.contains(&Written::Integer) && number.fract() == 0.0
        }
        Scalar::Text(_) => kind.accepts.contains(&Written::Text),
        Scalar::Time(_) => false,
    };
    if !accepted {
        problems.push(words::wrong_scalar(node, text, written, kind, trail));
        return;
    }
    warn_of_traps(node, text, written, kind, trail, problems);
    if let Err(expected) = meaning(written, kind.value) {
        let text = format!("{trail} must be {expected}, not `{}`", text.escape_debug());
        let problem = Diagnostic::error(Code::InvalidValue, text).at(&node.spot).on(own_text(node));
        problems.push(words::way_out(problem, own_text(node), kind.value));
    }
}

/// Warns of what means something else than it looks like.
fn warn_of_traps(node: &Node, text: &str, written: Scalar<'_>, kind: schema::Scalar, trail: &Trail<'_>, problems: &mut Problems) {
    let is_octal = text.len() > 1 && text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
    let warning = match (kind.value, written) {
        (Value::Boolean, Scalar::Text(word)) if !matches!(word, "true" | "false") => {
            let Some(meant) = units::switch(word) else { return };
            let message = format!("{trail}: `{}` is a boolean of YAML 1.1 only", word.escape_debug());
            Diagnostic::warning(Code::Deprecated, message).with_help(format!("write `{meant}`"))
        }
        (Value::Text, Scalar::Integer(number)) if is_octal && number.to_string() != text => {
            let message = format!("{trail}: `{text}` is octal, and becomes `{number}`");
            Diagnostic::warning(Code::InvalidValue, message).with_help(format!("put it in quotes: `\"{text}\"`"))
        }
        _ => return,
    };
    problems.push(warning.at(&node.spot).on(text));
}

fn own_text(node: &Node) -> &str {
    match &node.kind {
        Kind::Scalar { text, .. } => text,
        _ => "",
    }
}

/// Tells whether a scalar means something where this is wanted; if not, what was expected.
pub(crate) fn meaning(written: Scalar<'_>, value: Value) -> Result<(), String> {
    let text = || written.to_string();
    match value {
        Value::Text => Ok(()),
        Value::Mode => match mode(written) {
            Some(_) => Ok(()),
            None => Err("permission bits such as `0440`".to_owned()),
        },
        Value::Choice(choices) => match choices.contains(&text().as_str()) {
            true => Ok(()),
            false => Err(format!("one of `{}`", choices.join("`, `"))),
        },
        Value::Checked(check) => check(&text()).map_err(str::to_owned),
        Value::Boolean => match units::switch(&text()) {
            Some(_) => Ok(()),
            None => Err("true or false".to_owned()),
        },
        Value::Integer(least, most) => match whole(written) {
            Some(number) if (least..=most).contains(&number) => Ok(()),
            Some(_) if most == i64::MAX => Err(format!("an integer of at least {least}")),
            Some(_) => Err(format!("an integer from {least} to {most}")),
            None => Err("an integer".to_owned()),
        },
        Value::Fraction => match fraction(written) {
            Some(_) => Ok(()),
            None => Err("a number".to_owned()),
        },
        Value::Size(least) => match size(written) {
            Some(bytes) if bytes >= least => Ok(()),
            Some(_) => Err(format!("a size of at least {least} bytes")),
            None => Err("a size such as `512m`".to_owned()),
        },
        Value::Duration => match units::signed_duration(&text()) {
            Some(_) => Ok(()),
            None => Err("a duration such as `1m30s`".to_owned()),
        },
        Value::Count => match (written, text().eq_ignore_ascii_case("all")) {
            (_, true) | (Scalar::Integer(_), _) => Ok(()),
            (Scalar::Text(text), _) if text.parse::<i64>().is_ok() => Ok(()),
            _ => Err("`all` or an integer".to_owned()),
        },
    }
}

/// A whole number, as a number or as text.
pub(crate) fn whole(written: Scalar<'_>) -> Option<i64> {
    match written {
        Scalar::Integer(number) => Some(number),
        #[expect(clippy::cast_possible_truncation, reason = "cut off on purpose, as numbers with a fraction are")]
        Scalar::Float(number) if number.is_finite() => Some(number as i64),
        Scalar::Text(text) => text.parse().ok(),
        _ => None,
    }
}

/// A fraction, as a number or as text.
pub(crate) fn fraction(written: Scalar<'_>) -> Option<f32> {
    match written {
        #[expect(clippy::cast_precision_loss, reason = "fractions are of single precision")]
        Scalar::Integer(number) => Some(number as f32),
        #[expect(clippy::cast_possible_truncation, reason = "fractions are of single precision")]
        Scalar::Float(number) => Some(number as f32),
        Scalar::Text(text) => text.parse().ok(),
        _ => None,
    }
}

/// Bytes, as a number or as text with a unit.
pub(crate) fn size(written: Scalar<'_>) -> Option<i64> {
    match written {
        Scalar::Integer(number) => Some(number),
        Scalar::Text(text) => text.parse().ok().or_else(|| units::size(text).and_then(|bytes| i64::try_from(bytes).ok())),
        // A number with a fraction is taken for no size at all.
        Scalar::Float(_) => Some(0),
        _ => None,
    }
}

/// Permission bits, as a number or as octal text.
pub(crate) fn mode(written: Scalar<'_>) -> Option<i64> {
    match written {
        Scalar::Integer(number) => Some(number),
        Scalar::Text(text) => i64::from_str_radix(text, 8).ok(),
        _ => None,
    }
}
