//! Variables in values: `$X ${X} ${X:-d} ${X-d} ${X:+r} ${X+r} ${X:?m} ${X?m} $$`, nested.

use std::collections::BTreeMap;

use crate::Diagnostic;
use crate::diagnostic::{Code, nearest};
use crate::node::{Kind, Node, Spot};
use crate::trail::Trail;
use crate::variables::{Lookup, Variables};

/// How deep defaults may hold variables with defaults.
const MAX_DEPTH: usize = 50;
/// The longest text that a value may come to, bytes.
const MAX_LENGTH: usize = 10 << 20;

/// Why a text cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// `${` without a valid name or end; the text from there on.
    Format(String),
    /// `${X:?m}` and X is not there.
    Required {
        /// The variable.
        name: String,
        /// What the file says about it.
        message: String,
    },
    /// The value has grown beyond all bounds.
    TooLong,
}

/// Names that were asked for and are not set, each with the first place that asks.
pub(crate) type Unset = BTreeMap<String, Option<Spot>>;

/// Puts values in place of variables, in every value below `node`; keys stay as they are.
pub(crate) fn tree(node: &mut Node, variables: &Variables, unset: &mut Unset, problems: &mut Vec<Diagnostic>) {
    walk(node, &Trail::TOP, variables, unset, problems);
}

fn walk(node: &mut Node, trail: &Trail<'_>, variables: &Variables, unset: &mut Unset, problems: &mut Vec<Diagnostic>) {
    match &mut node.kind {
        Kind::Scalar { text, plain } if text.contains('$') => {
            let mut missing = Vec::new();
            match expand(text, variables, &mut missing, 0) {
                Ok(value) => {
                    *text = value;
                    // It was text in the file, so it is text now, whatever it looks like.
                    *plain = false;
                }
                Err(fault) => problems.push(explain(&fault, trail, &node.spot, variables)),
            }
            for name in missing {
                unset.entry(name).or_insert_with(|| Some(node.spot.clone()));
            }
        }
        Kind::Scalar { .. } => {}
        Kind::Sequence(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                walk(item, &trail.item(index), variables, unset, problems);
            }
        }
        Kind::Mapping(entries) => {
            for (key, value) in entries.iter_mut() {
                walk(value, &trail.key(&key.name), variables, unset, problems);
            }
        }
    }
}

/// Says of each variable that is not set that it is blank.
pub(crate) fn warn_of_unset(unset: Unset, variables: &Variables, problems: &mut Vec<Diagnostic>) {
    for (name, spot) in unset {
        let text = format!("The \"{name}\" variable is not set. Defaulting to a blank string.");
        let mut problem = Diagnostic::warning(Code::UnsetVariable, text).on(&name);
        if let Some(spot) = spot {
            problem = problem.at(&spot);
        }
        problems.push(match nearest(&name, variables.names()).filter(|_| name.len() > 3) {
            Some(near) => problem.with_help(format!("did you mean `{near}`, which is set?")),
            None => problem,
        });
    }
}

fn explain(fault: &Fault, trail: &Trail<'_>, spot: &Spot, variables: &Variables) -> Diagnostic {
    match fault {
        Fault::Format(text) => {
            let problem = Diagnostic::error(Code::Interpolation, format!("invalid interpolation format for {trail}"));
            let problem = problem.at(spot).on(text);
            if text.contains('}') {
                problem.with_help("a name is made of letters, digits and `_`; for a dollar sign that is none of ours write `$$`")
            } else {
                problem.with_help("close it with `}`, or write `$$` for a dollar sign")
            }
        }
        Fault::Required { name, message } => {
            let why = if message.is_empty() { String::new() } else { format!(": {message}") };
            let text = format!("required variable {name} is missing a value{why}");
            let problem = Diagnostic::error(Code::Interpolation, text).at(spot).on(format!("${{{name}"));
            match nearest(name, variables.names()) {
                Some(near) => problem
                    .with_help(format!("`{near}` is set; did you mean that? or set `{name}` in the environment or in `.env`")),
                None => problem.with_help(format!("set `{name}` in the environment or in `.env`")),
            }
        }
        Fault::TooLong => {
            let text = format!("{trail} comes to more than {MAX_LENGTH} bytes when its variables are put in");
            Diagnostic::error(Code::Limit, text).at(spot)
        }
    }
}

/// Puts values in place of variables; names that are not set are added to `missing`.
pub(crate) fn text(text: &str, variables: &dyn Lookup, missing: &mut Vec<String>) -> Result<String, Fault> {
    expand(text, variables, missing, 0)
}

fn expand(text: &str, variables: &dyn Lookup, missing: &mut Vec<String>, depth: usize) -> Result<String, Fault> {
    if depth > MAX_DEPTH {
        return Err(Fault::Format(text.to_owned()));
    }
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        result.push_str(&rest[..dollar]);
        rest = &rest[dollar..];
        match next(rest) {
            Token::Dollar(length) => {
                result.push('$');
                rest = &rest[length..];
            }
            Token::Variable(reference, length) => {
                result.push_str(&value(&reference, variables, missing, depth)?);
                rest = &rest[length..];
            }
            Token::Broken => return Err(Fault::Format(broken(rest))),
        }
        if result.len() > MAX_LENGTH {
            return Err(Fault::TooLong);
        }
    }
    result.push_str(rest);
    Ok(result)
}

/// The part of a text that cannot be read, to be shown.
fn broken(text: &str) -> String {
    match text.find('}') {
        Some(end) => text[..=end].to_owned(),
        None => text.lines().next().unwrap_or_default().to_owned(),
    }
}

fn value(reference: &Reference<'_>, variables: &dyn Lookup, missing: &mut Vec<String>, depth: usize) -> Result<String, Fault> {
    let found = variables.find(reference.name);
    let filled = found.filter(|value| !value.is_empty());
    let Some((operator, argument)) = reference.operator else {
        return Ok(found.map(str::to_owned).unwrap_or_else(|| {
            missing.push(reference.name.to_owned());
            String::new()
        }));
    };
    let present = if operator.or_empty { filled } else { found };
    match (operator.action, present) {
        (Action::Default, Some(value)) | (Action::Required, Some(value)) => Ok(value.to_owned()),
        (Action::Default, None) => expand(argument, variables, missing, depth + 1),
        (Action::Alternate, Some(_)) => expand(argument, variables, missing, depth + 1),
        (Action::Alternate, None) => Ok(String::new()),
        (Action::Required, None) => {
            let message = expand(argument, variables, missing, depth + 1)?;
            Err(Fault::Required { name: reference.name.to_owned(), message })
        }
    }
}

/// What a dollar sign begins.
pub(crate) enum Token<'a> {
    /// A dollar sign, of so many bytes.
    Dollar(usize),
    /// A variable, of so many bytes.
    Variable(Reference<'a>, usize),
    /// Nothing that can be read.
    Broken,
}

/// A variable as a text asks for it.
pub(crate) struct Reference<'a> {
    pub(crate) name: &'a str,
    /// What is done about it, with the text that belongs to that.
    pub(crate) operator: Option<(Operator, &'a str)>,
}

/// `:-`, `-`, `:+`, `+`, `:?`, `?`.
#[derive(Clone, Copy)]
pub(crate) struct Operator {
    pub(crate) action: Action,
    /// With a colon: an empty value counts as none.
    pub(crate) or_empty: bool,
}

/// What is done about a variable.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Action {
    Default,
    Alternate,
    Required,
}

/// Reads what the dollar sign at the start of a text begins.
pub(crate) fn next(text: &str) -> Token<'_> {
    let rest = &text[1..];
    if rest.starts_with('$') {
        return Token::Dollar(2);
    }
    let Some(tail) = rest.strip_prefix('{') else {
        let name = name_at_start(rest);
        return match name.is_empty() {
            true => Token::Dollar(1),
            false => Token::Variable(Reference { name, operator: None }, 1 + name.len()),
        };
    };
    let name = name_at_start(tail);
    let Some(end) = closing(tail).filter(|_| !name.is_empty()) else { return Token::Broken };
    let Some(operation) = tail.get(name.len()..end) else { return Token::Broken };
    let length = 2 + end + 1;
    if operation.is_empty() {
        return Token::Variable(Reference { name, operator: None }, length);
    }
    let (or_empty, operation) = operation.strip_prefix(':').map_or((false, operation), |rest| (true, rest));
    let action = match operation.as_bytes().first() {
        Some(b'-') => Action::Default,
        Some(b'+') => Action::Alternate,
        Some(b'?') => Action::Required,
        _ => return Token::Broken,
    };
    Token::Variable(Reference { name, operator: Some((Operator { action, or_empty }, &operation[1..])) }, length)
}

fn name_at_start(text: &str) -> &str {
    let valid =
        |(index, byte): &(usize, u8)| *byte == b'_' || byte.is_ascii_alphabetic() || (*index > 0 && byte.is_ascii_digit());
    let length = text.bytes().enumerate().take_while(valid).count();
    &text[..length]
}

/// Where the brace closes that was opened just before the text: its partner, or where those do not pair, the last one.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 0 => return Some(at),
            b'}' => depth -= 1,
            _ => {}
        }
    }
    text.rfind('}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::variables::Source;

    fn variables(entries: &[(&str, &str)]) -> Variables {
        let mut variables = Variables::default();
        for (name, value) in entries {
            variables.offer((*name).to_owned(), (*value).to_owned(), Source::Environment);
        }
        variables
    }

    fn interpolate(given: &str, variables: &Variables) -> Result<String, Fault> {
        text(given, variables, &mut Vec::new())
    }

    #[test]
    fn knows_every_form() {
        let variables = variables(&[("A", "a"), ("EMPTY", ""), ("N1", "n")]);
        for (given, expected) in [
            ("$A-${A}", "a-a"),
            ("${X:-d}${X-d}${EMPTY:-d}${EMPTY-d}", "ddd"),
            ("${A:+r}${A+r}${EMPTY:+r}${EMPTY+r}${X+r}", "rrr"),
            ("$$A $1 $", "$A $1 $"),
            ("${X:-${Y:-${A}}}", "a"),
            ("${X:-a:b-c}", "a:b-c"),
            ("${X:-{\"k\":\"$A\"}}", "{\"k\":\"a\"}"),
            ("${X:-{}", "{"),
            ("${N1}x$N1", "nxn"),
            ("$X", ""),
        ] {
            assert_eq!(interpolate(given, &variables).as_deref(), Ok(expected), "{given}");
        }
    }

    #[test]
    fn says_what_is_wrong() {
        let none = Variables::default();
        let required = Fault::Required { name: "X".to_owned(), message: "set it".to_owned() };
        assert_eq!(interpolate("${X:?set it}", &none), Err(required.clone()));
        assert_eq!(interpolate("${X?set ${Y:-it}}", &none), Err(required));
        for broken in ["a${", "${}", "${1+2}", "${X", "${X!}", "${ X}"] {
            assert!(matches!(interpolate(broken, &none), Err(Fault::Format(_))), "{broken}");
        }
        let deep = format!("{}{}", "${X:-".repeat(100), "}".repeat(100));
        assert!(interpolate(&deep, &none).is_err());
    }

    proptest! {
        #[test]
        fn never_panics(given in "[${}:?+\\-A-C1 é]{0,40}") {
            let _ = interpolate(&given, &variables(&[("A", "x"), ("B", "")]));
        }

        #[test]
        fn leaves_other_text_alone(given in "[a-z :/.]{0,40}") {
            prop_assert_eq!(interpolate(&given, &Variables::default()), Ok(given));
        }
    }
}
