//! Variables in values: `$X ${X} ${X:-d} ${X-d} ${X:+r} ${X+r} ${X:?m} ${X?m} $$`, nested.

use std::collections::{BTreeMap, BTreeSet};

use crate::Diagnostic;
use crate::node::{Kind, Node};

/// How deep defaults may hold variables with defaults.
const MAX_DEPTH: usize = 50;

/// What a text may ask for.
pub(crate) type Variables = BTreeMap<String, String>;

/// Why a text cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// `${` without a valid name or end.
    Format,
    /// `${X:?m}` and X is not there.
    Required { name: String, message: String },
}

/// Puts values in place of variables, in every value below `node`; keys stay as they are.
pub(crate) fn node(node: &mut Node, variables: &Variables, problems: &mut Vec<Diagnostic>) {
    let mut unset = BTreeSet::new();
    walk(node, String::new(), variables, &mut unset, problems);
    for name in unset {
        problems.push(Diagnostic::warning(format!("The \"{name}\" variable is not set. Defaulting to a blank string."), None));
    }
}

fn walk(node: &mut Node, path: String, variables: &Variables, unset: &mut BTreeSet<String>, problems: &mut Vec<Diagnostic>) {
    match &mut node.kind {
        Kind::Scalar { text, .. } if text.contains('$') => match interpolate(text, variables, unset) {
            Ok(value) => *text = value,
            Err(fault) => problems.push(explain(&fault, &path, node)),
        },
        Kind::Scalar { .. } => {}
        Kind::Sequence(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                walk(item, format!("{path}[{index}]"), variables, unset, problems);
            }
        }
        Kind::Mapping(entries) => {
            for (key, value) in entries {
                let below = if path.is_empty() { key.name.clone() } else { format!("{path}.{}", key.name) };
                walk(value, below, variables, unset, problems);
            }
        }
    }
}

fn explain(fault: &Fault, path: &str, node: &Node) -> Diagnostic {
    let place = node.place.place();
    match fault {
        Fault::Format => Diagnostic::error(format!("invalid interpolation format for {path}"), Some(&place))
            .with_help("write `${NAME}`, or `$$` for a dollar sign"),
        Fault::Required { name, message } => {
            let text = format!("required variable {name} is missing a value: {message}");
            Diagnostic::error(text, Some(&place)).with_help(format!("set `{name}` in the environment or in `.env`"))
        }
    }
}

/// Puts values in place of variables; names that are not set are noted.
pub(crate) fn interpolate(text: &str, variables: &Variables, unset: &mut BTreeSet<String>) -> Result<String, Fault> {
    expand(text, variables, unset, 0)
}

fn expand(text: &str, variables: &Variables, unset: &mut BTreeSet<String>, depth: usize) -> Result<String, Fault> {
    if depth > MAX_DEPTH {
        return Err(Fault::Format);
    }
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        result.push_str(&rest[..dollar]);
        rest = &rest[dollar + 1..];
        if let Some(tail) = rest.strip_prefix('$') {
            result.push('$');
            rest = tail;
        } else if let Some(tail) = rest.strip_prefix('{') {
            let end = closing(tail).ok_or(Fault::Format)?;
            result.push_str(&braced(&tail[..end], variables, unset, depth)?);
            rest = &tail[end + 1..];
        } else {
            let name = name_at_start(rest);
            if name.is_empty() {
                result.push('$');
            } else {
                result.push_str(&value_or_blank(name, variables, unset));
                rest = &rest[name.len()..];
            }
        }
    }
    result.push_str(rest);
    Ok(result)
}

fn braced(body: &str, variables: &Variables, unset: &mut BTreeSet<String>, depth: usize) -> Result<String, Fault> {
    let name = name_at_start(body);
    if name.is_empty() {
        return Err(Fault::Format);
    }
    let tail = &body[name.len()..];
    let value = variables.get(name);
    let filled = value.filter(|value| !value.is_empty());
    let mut deeper = |text: &str| expand(text, variables, unset, depth + 1);
    if tail.is_empty() {
        return Ok(value_or_blank(name, variables, unset));
    }
    let (colon, operator, argument) = match (tail.strip_prefix(':'), tail) {
        (Some(tail), _) if !tail.is_empty() => (true, &tail[..1], tail.get(1..).unwrap_or_default()),
        (None, tail) if tail.is_char_boundary(1) => (false, &tail[..1], &tail[1..]),
        _ => return Err(Fault::Format),
    };
    let present = if colon { filled } else { value };
    match operator {
        "-" => present.map_or_else(|| deeper(argument), |value| Ok(value.clone())),
        "+" => present.map_or_else(|| Ok(String::new()), |_| deeper(argument)),
        "?" => match present {
            Some(value) => Ok(value.clone()),
            None => Err(Fault::Required { name: name.to_owned(), message: deeper(argument)? }),
        },
        _ => Err(Fault::Format),
    }
}

fn value_or_blank(name: &str, variables: &Variables, unset: &mut BTreeSet<String>) -> String {
    variables.get(name).cloned().unwrap_or_else(|| {
        unset.insert(name.to_owned());
        String::new()
    })
}

fn name_at_start(text: &str) -> &str {
    let valid =
        |(index, letter): (usize, char)| letter == '_' || letter.is_ascii_alphabetic() || (index > 0 && letter.is_ascii_digit());
    let length = text.char_indices().take_while(|at| valid(*at)).count();
    &text[..length]
}

/// Where the brace closes that was opened just before the text.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'$' if bytes.get(at + 1) == Some(&b'{') => {
                depth += 1;
                at += 1;
            }
            b'}' if depth == 0 => return Some(at),
            b'}' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn knows_every_form() {
        for (text, expected) in [
            ("$A-${A}", "a-a"),
            ("${X:-d}${X-d}${EMPTY:-d}${EMPTY-d}", "ddd"),
            ("${A:+r}${A+r}${EMPTY:+r}${EMPTY+r}${X+r}", "rrr"),
            ("$$A $1 $", "$A $1 $"),
            ("${X:-${Y:-${A}}}", "a"),
            ("${X:-a:b-c}", "a:b-c"),
            ("${N1}x$N1", "nxn"),
            ("$X", ""),
        ] {
            let variables: Variables =
                [("A", "a"), ("EMPTY", ""), ("N1", "n")].map(|(name, value)| (name.to_owned(), value.to_owned())).into();
            assert_eq!(interpolate(text, &variables, &mut BTreeSet::new()).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn says_what_is_wrong() {
        let required = Fault::Required { name: "X".to_owned(), message: "set it".to_owned() };
        for (text, fault) in [
            ("${", Fault::Format),
            ("${}", Fault::Format),
            ("${1}", Fault::Format),
            ("${A!}", Fault::Format),
            ("${X:?set it}", required.clone()),
            ("${X?set it}", required),
        ] {
            assert_eq!(interpolate(text, &Variables::new(), &mut BTreeSet::new()), Err(fault), "{text}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in ".*") {
            let _ = interpolate(&text, &Variables::new(), &mut BTreeSet::new());
        }
    }
}
