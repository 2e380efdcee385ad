//! What to say about a value that is not what it should be: the traps of YAML, and of Compose, by name.

use crate::Diagnostic;
use crate::diagnostic::{Code, nearest};
use crate::node::{Key, Kind, Node};
use crate::scalar::Scalar;
use crate::schema::{self, Field, Mapping, Shape, Value, Written};
use crate::trail::Trail;

/// A key that is none of `fields`.
pub(super) fn unknown_key(key: &Key, node: &Node, fields: &'static [Field], trail: &Trail<'_>) -> Diagnostic {
    let name = key.name.escape_debug();
    let text = match trail.is_top() {
        true => format!("additional properties '{name}' not allowed: Compose has no top-level `{name}`"),
        false => format!("{trail} additional properties '{name}' not allowed"),
    };
    let problem = Diagnostic::error(Code::UnknownKey, text).at(&key.spot).on(&key.name);
    if trail.is_top() && looks_like_a_service(node) && nearest(&key.name, fields.iter().map(|field| field.name)).is_none() {
        return problem
            .with_help(format!("services belong below `services:`; write `services:` above, and indent `{name}` by two spaces"));
    }
    let known = |name: &str| fields.iter().any(|field| field.name == name);
    if key.name == "rootfs" && known("image") {
        let folder = node.text().unwrap_or("/");
        return problem.with_help(format!("a folder is an image too: write `image: rootfs:{folder}`"));
    }
    match nearest(&key.name, fields.iter().map(|field| field.name)) {
        Some(near) => problem.with_help(format!("did you mean `{near}`?")),
        None if trail.is_top() => problem.with_help("an extension of your own begins with `x-`"),
        None => problem.with_help(format!("known here: {}", listed(fields))),
    }
}

fn looks_like_a_service(node: &Node) -> bool {
    ["image", "build", "command", "ports", "volumes", "environment"].iter().any(|name| node.get(name).is_some())
}

fn listed(fields: &'static [Field]) -> String {
    const SHOWN: usize = 12;
    let mut names: Vec<&str> = fields.iter().map(|field| field.name).collect();
    names.sort_unstable();
    let more = if names.len() > SHOWN { ", ..." } else { "" };
    names.truncate(SHOWN);
    format!("{}{more}", names.join(", "))
}

/// A list where a mapping is meant, and the like.
pub(super) fn wrong_type(key: Option<&Key>, node: &Node, shape: &'static Shape, trail: &Trail<'_>) -> Diagnostic {
    let expected = expected(shape);
    let found = match node.text() {
        Some(text) => format!("`{}`", shortened(text)),
        None => node.describe().to_owned(),
    };
    let text = format!("{trail} must be {expected}, not {found}");
    let problem = Diagnostic::error(Code::WrongType, text);
    let problem = match (&node.kind, key) {
        (Kind::Scalar { .. }, _) | (_, None) => problem.at(&node.spot),
        (_, Some(key)) => problem.at(&key.spot).on(&key.name),
    };
    let last = trail.to_string();
    let last = last.rsplit('.').next().unwrap_or_default().to_owned();
    match &node.kind {
        Kind::Scalar { text, .. } => {
            let problem = problem.on(text);
            match (shape.list.is_some(), is_service(shape), node.is_null()) {
                (_, true, false) => {
                    problem.with_help(format!("a service is a mapping: `image: {}` on a line of its own", shortened(text)))
                }
                (true, _, false) => {
                    problem.with_help(format!("make it a list: `- \"{}\"` on a line of its own", shortened(text)))
                }
                (_, _, true) => problem.with_help(format!("give `{last}` a value, or leave it out")),
                _ => problem,
            }
        }
        Kind::Sequence(_) if shape.mapping.is_some() => {
            problem.with_help("write `name:` and its attributes below it, without a dash")
        }
        Kind::Mapping(entries) => match entries.first() {
            Some((inner, value)) if shape.scalar.is_some() && key.is_none() => pair_in_list(problem, inner, value),
            Some(_) if shape.list.is_some() => problem.with_help("each item of a list begins with a dash"),
            _ => problem,
        },
        Kind::Sequence(_) => problem,
    }
}

/// `- KEY: value` where `- KEY=value` is meant.
fn pair_in_list(problem: Diagnostic, key: &Key, value: &Node) -> Diagnostic {
    let problem = problem.on(&key.name);
    match value.scalar() {
        Some(scalar) => problem.with_help(format!("write `- {}={scalar}`, or leave the dashes out", key.name)),
        None => problem,
    }
}

fn is_service(shape: &'static Shape) -> bool {
    matches!(shape.mapping, Some(Mapping::Fields(fields)) if fields.iter().any(|field| field.name == "image") && fields.len() > 50)
}

fn expected(shape: &'static Shape) -> String {
    let mut ways = Vec::new();
    if let Some(kind) = shape.scalar {
        ways.push(expected_scalar(kind));
    }
    if shape.list.is_some() {
        ways.push("a list".to_owned());
    }
    if shape.mapping.is_some() {
        ways.push("a mapping".to_owned());
    }
    ways.join(" or ")
}

fn expected_scalar(kind: schema::Scalar) -> String {
    match kind.value {
        Value::Boolean => "true or false".to_owned(),
        Value::Duration => "a duration such as `30s`".to_owned(),
        Value::Size(_) => "a size such as `512m`".to_owned(),
        Value::Choice(choices) => format!("one of `{}`", choices.join("`, `")),
        Value::Integer(..) => "an integer".to_owned(),
        Value::Fraction => "a number".to_owned(),
        _ if kind.accepts.contains(&Written::Text) => "a string".to_owned(),
        _ => "a number".to_owned(),
    }
}

/// A number where a text is meant, and the like.
pub(super) fn wrong_scalar(node: &Node, text: &str, written: Scalar<'_>, kind: schema::Scalar, trail: &Trail<'_>) -> Diagnostic {
    let message = format!("{trail} must be {}, not {} `{}`", expected_scalar(kind), written.describe(), shortened(text));
    let problem = Diagnostic::error(Code::WrongType, message).at(&node.spot).on(text);
    match (written, kind.value) {
        (Scalar::Integer(_) | Scalar::Float(_), Value::Duration) => problem.with_help(format!("add a unit: `{text}s`")),
        (Scalar::Integer(_) | Scalar::Float(_), Value::Size(_)) => {
            problem.with_help(format!("put it in quotes, with a unit: `\"{text}m\"`"))
        }
        (Scalar::Time(_), _) => problem.with_help(format!("YAML takes it for a date; put it in quotes: `\"{text}\"`")),
        (Scalar::Text(_), Value::Boolean) => problem.with_help("write true or false, without quotes"),
        (Scalar::Text(_), _) => problem.with_help("write it without quotes"),
        _ => problem.with_help(format!("put it in quotes: `\"{text}\"`")),
    }
}

/// Adds what to write instead.
pub(super) fn way_out(problem: Diagnostic, text: &str, value: Value) -> Diagnostic {
    match value {
        Value::Choice(choices) => match nearest(text, choices.iter().copied()) {
            Some(near) => problem.with_help(format!("did you mean `{near}`?")),
            None => problem,
        },
        Value::Duration => match spoken_duration(text) {
            Some(duration) => problem.with_help(format!("write `{duration}`; units are ns, us, ms, s, m, h, d, w")),
            None => problem.with_help("units are ns, us, ms, s, m, h, d, w: `30s`, `1m30s`, `1.5h`"),
        },
        Value::Size(_) => {
            let digits: String = text.chars().take_while(|letter| letter.is_ascii_digit() || *letter == '.').collect();
            let unit = text[digits.len()..].trim_start().chars().next().map(|letter| letter.to_ascii_lowercase());
            match unit.filter(|unit| "bkmgtp".contains(*unit) && !digits.is_empty()) {
                Some(unit) => problem.with_help(format!("write `{digits}{unit}`; units are b, k, m, g, t")),
                None => problem.with_help("units are b, k, m, g, t: `512m`, `1.5g`"),
            }
        }
        Value::Integer(..) => problem.with_help("write an integer, in digits"),
        _ => problem,
    }
}

fn spoken_duration(text: &str) -> Option<String> {
    let (number, unit) = text.split_once(' ')?;
    number.parse::<f64>().ok()?;
    let unit = unit.trim().to_ascii_lowercase();
    let short = [("ms", "millis"), ("s", "sec"), ("m", "min"), ("h", "hour"), ("d", "day"), ("w", "week")]
        .into_iter()
        .find(|(short, long)| unit == *short || unit.starts_with(long))?;
    Some(format!("{number}{}", short.0))
}

fn shortened(text: &str) -> String {
    const SHOWN: usize = 60;
    let cut: String = text.chars().take(SHOWN).collect();
    let more = if text.chars().nth(SHOWN).is_some() { "..." } else { "" };
    format!("{}{more}", cut.escape_debug())
}

/// A name that a container may have.
pub(crate) fn container_name(text: &str) -> Result<(), &'static str> {
    // COMPAT: docker compose looks for such a name anywhere in the text, and lets the engine refuse it.
    let allowed = |byte: u8| byte.is_ascii_alphanumeric();
    let has = text.as_bytes().windows(2).any(|pair| allowed(pair[0]) && (allowed(pair[1]) || b"_.-".contains(&pair[1])));
    if has { Ok(()) } else { Err("a name of at least two letters, digits, `_`, `.` or `-`, the first a letter or digit") }
}

/// What an HTTP probe asks.
pub(crate) fn probe_url(text: &str) -> Result<(), &'static str> {
    crate::project::HttpProbe::parse(text).map(drop)
}

/// When an image is pulled.
pub(crate) fn pull_policy(text: &str) -> Result<(), &'static str> {
    let words = ["always", "never", "build", "if_not_present", "missing", "refresh", "daily", "weekly"];
    let every = |text: &str| {
        let period = text.strip_prefix("every_")?;
        let digits = period.bytes().take_while(u8::is_ascii_digit).count();
        (digits > 0 && period[digits..].starts_with(['w', 'd', 'h', 'm', 's'])).then_some(())
    };
    if words.iter().any(|word| text.contains(word)) || every(text).is_some() {
        Ok(())
    } else {
        Err("one of `always`, `never`, `missing`, `if_not_present`, `build`, `daily`, `weekly`, `every_<duration>`")
    }
}
