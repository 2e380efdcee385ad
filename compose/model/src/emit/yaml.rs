//! Nodes as YAML in blocks, indented by two; texts are quoted where a reader of YAML, also of the older kind, would take them
//! for something else.

use std::borrow::Cow;
use std::fmt::Write;

use super::Dollars;
use crate::node::{Kind, Node};
use crate::scalar::Scalar;

/// The longest key that YAML reads without being told that it is one, bytes.
const MAX_KEY: usize = 1_000;

/// A whole document.
pub(super) fn text(node: &Node, dollars: Dollars) -> String {
    let mut out = String::new();
    match &node.kind {
        Kind::Mapping(entries) if entries.is_empty() => out.push_str("{}\n"),
        _ => block(node, dollars, 0, &mut out),
    }
    out
}

pub(super) fn lines_of_key(name: &str) -> usize {
    if quoted(name).len() > MAX_KEY { 2 } else { 1 }
}

fn indent(depth: usize, out: &mut String) {
    out.extend(std::iter::repeat_n(' ', depth));
}

fn block(node: &Node, dollars: Dollars, depth: usize, out: &mut String) {
    match &node.kind {
        Kind::Mapping(entries) => {
            for (index, (key, value)) in entries.iter().enumerate() {
                // The first key of an item stands beside its dash.
                if index > 0 || !out.ends_with("- ") {
                    indent(depth, out);
                }
                key_before(&quoted(&key.name), depth, out);
                value_after(value, dollars, depth, out);
            }
        }
        Kind::Sequence(items) => {
            for (index, item) in items.iter().enumerate() {
                if index > 0 || !out.ends_with("- ") {
                    indent(depth, out);
                }
                out.push_str("- ");
                match &item.kind {
                    Kind::Mapping(entries) if !entries.is_empty() => block(item, dollars, depth + 2, out),
                    Kind::Sequence(items) if !items.is_empty() => block(item, dollars, depth + 2, out),
                    _ => {
                        inline(item, dollars, depth, out);
                        out.push('\n');
                    }
                }
            }
        }
        Kind::Scalar { .. } => {
            inline(node, dollars, depth, out);
            out.push('\n');
        }
    }
}

/// A key, with the colon. One that is too long to be seen for one says so itself.
fn key_before(key: &str, depth: usize, out: &mut String) {
    if key.len() > MAX_KEY {
        out.push_str("? ");
        out.push_str(key);
        out.push('\n');
        indent(depth, out);
    } else {
        out.push_str(key);
    }
    out.push(':');
}

fn value_after(value: &Node, dollars: Dollars, depth: usize, out: &mut String) {
    match &value.kind {
        Kind::Mapping(entries) if !entries.is_empty() => {
            out.push('\n');
            block(value, dollars, depth + 2, out);
        }
        Kind::Sequence(items) if !items.is_empty() => {
            out.push('\n');
            block(value, dollars, depth + 2, out);
        }
        _ => {
            out.push(' ');
            inline(value, dollars, depth, out);
            out.push('\n');
        }
    }
}

fn inline(node: &Node, dollars: Dollars, depth: usize, out: &mut String) {
    match &node.kind {
        Kind::Mapping(_) => out.push_str("{}"),
        Kind::Sequence(_) => out.push_str("[]"),
        Kind::Scalar { text, plain } => single(&escaped(text, dollars), *plain, depth, out),
    }
}

fn escaped(text: &str, dollars: Dollars) -> Cow<'_, str> {
    match dollars {
        Dollars::Escaped if text.contains('$') => text.replace('$', "$$").into(),
        _ => text.into(),
    }
}

fn single(text: &str, plain: bool, depth: usize, out: &mut String) {
    match if plain { Scalar::of_plain(text) } else { Scalar::Text(text) } {
        Scalar::Null => out.push_str("null"),
        Scalar::Text(text) if text.contains('\n') && may_be_literal(text) => literal(text, depth, out),
        Scalar::Text(text) => out.push_str(&quoted(text)),
        Scalar::Time(text) => out.push_str(&double_quoted(text)),
        Scalar::Float(number) if !number.is_finite() => out.push_str(text),
        scalar => out.push_str(&scalar.to_string()),
    }
}

fn may_be_literal(text: &str) -> bool {
    let odd = |letter: char| letter.is_control() && letter != '\n' && letter != '\t' || letter == '\u{feff}';
    !text.contains(odd) && !text.contains(" \n") && !text.ends_with(' ') && !text.starts_with([' ', '\t', '\n'])
}

/// `|`, with what says how many line ends there are after the last line.
fn literal(text: &str, depth: usize, out: &mut String) {
    out.push('|');
    let body = text.trim_end_matches('\n');
    match text.len() - body.len() {
        0 => out.push('-'),
        1 => {}
        _ => out.push('+'),
    }
    for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
        out.push('\n');
        if !line.is_empty() {
            indent(depth + 2, out);
            out.push_str(line);
        }
    }
}

/// A text in as few quotes as it needs.
fn quoted(text: &str) -> Cow<'_, str> {
    if is_plainly_text(text) {
        return text.into();
    }
    let means_something = !matches!(Scalar::of_plain(text), Scalar::Text(_)) || is_old_boolean(text) || is_base_60(text);
    if means_something || text.contains(|letter: char| letter.is_control() || letter == '\u{feff}') {
        return double_quoted(text).into();
    }
    if needs_quotes(text) { format!("'{}'", text.replace('\'', "''")).into() } else { text.into() }
}

/// What most texts are: longer than every word that means something, and of letters that mean nothing.
fn is_plainly_text(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'/');
    bytes.len() > 5 && bytes[0].is_ascii_alphabetic() && bytes.iter().all(is_plain)
}

fn is_old_boolean(text: &str) -> bool {
    matches!(
        text,
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF"
    ) || matches!(text, "<<" | "=")
}

/// `22:22`, which older YAML takes for minutes and seconds.
fn is_base_60(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let mut parts = digits.split(':');
    let first = parts.next().unwrap_or_default();
    let is_first = first.starts_with(|it: char| it.is_ascii_digit()) && first.bytes().all(|it| it.is_ascii_digit() || it == b'_');
    let mut rest = parts.peekable();
    let mut last_fraction = false;
    is_first
        && rest.peek().is_some()
        && rest.all(|part| {
            let (whole, fraction) = part.split_once('.').map_or((part, None), |(whole, fraction)| (whole, Some(fraction)));
            let valid = !last_fraction
                && (1..=2).contains(&whole.len())
                && whole.bytes().all(|it| it.is_ascii_digit())
                && (whole.len() == 1 || whole.as_bytes()[0] <= b'5')
                && fraction.is_none_or(|it| it.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_'));
            last_fraction = fraction.is_some();
            valid
        })
}

/// Whether the syntax would take a text without quotes for something else.
fn needs_quotes(text: &str) -> bool {
    let bytes = text.as_bytes();
    let blank_at = |at: usize| bytes.get(at).is_none_or(|byte| matches!(byte, b' ' | b'\t' | b'\n'));
    let first = match bytes.first() {
        None => return true,
        Some(b'#' | b',' | b'[' | b']' | b'{' | b'}' | b'&' | b'*' | b'!' | b'|' | b'>' | b'\'' | b'"' | b'%' | b'@' | b'`') => {
            true
        }
        Some(b'-' | b'?' | b':') => blank_at(1),
        Some(_) => false,
    };
    let inside = (1..bytes.len()).any(|at| match bytes[at] {
        b':' => blank_at(at + 1),
        b'#' => bytes[at - 1] == b' ',
        _ => false,
    });
    first || inside || text.starts_with("---") || text.starts_with("...") || text.starts_with(' ') || text.ends_with(' ')
}

fn double_quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\0' => out.push_str("\\0"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            '\u{1b}' => out.push_str("\\e"),
            '\u{85}' => out.push_str("\\N"),
            letter if letter.is_control() && u32::from(letter) < 0x100 => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\x{:02X}", u32::from(letter));
            }
            '\u{feff}' => out.push_str("\\uFEFF"),
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;
    use crate::node::Key;
    use crate::parse::parse;

    #[test]
    fn quotes_what_would_be_something_else() {
        for (given, expected) in [
            ("plain", "plain"),
            ("", "\"\""),
            ("yes", "\"yes\""),
            ("22:22", "\"22:22\""),
            ("0440", "\"0440\""),
            ("1e3", "\"1e3\""),
            ("2024-01-02", "\"2024-01-02\""),
            ("1_000", "\"1_000\""),
            ("# x", "'# x'"),
            ("a: b", "'a: b'"),
            ("a:b", "a:b"),
            ("it's", "it's"),
            ("'", "''''"),
            ("-", "'-'"),
            ("-x", "-x"),
            ("a\tb", "\"a\\tb\""),
        ] {
            assert_eq!(quoted(given), expected, "{given:?}");
        }
    }

    fn again(text: &str) -> String {
        super::text(&parse(text, Path::new("x")).unwrap()[0], Dollars::AsIs)
    }

    #[test]
    fn writes_blocks() {
        let text = "a:\n  - b: 1\n    c:\n      - x\n      - []\n  - - q\n    - z\nd: {}\ne: |\n  one\n\n  two\nf: null\n";
        assert_eq!(again(text), text);
    }

    #[test]
    fn long_keys_are_keys() {
        let spot = parse("a", Path::new("x")).unwrap()[0].spot.clone();
        for length in [999, 1_001, 5_000] {
            let key = |name: String| Key { name, spot: spot.clone() };
            let entries =
                [(key("\t".repeat(length)), Node::text_at("v", &spot)), (key("k".repeat(length)), Node::null_at(&spot))];
            let inner = Node::mapping_at(entries.into_iter().collect(), &spot);
            let node = Node::sequence_at(vec![inner], &spot);
            let written = super::text(&node, Dollars::AsIs);
            assert_eq!(parse(&written, Path::new("x")).unwrap()[0].to_json(), node.to_json(), "{written}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(given in "[-a-z0-9:#'\"\\\\ \n\t,?!&*{}|>%@`.=<~é\u{1}\u{85}]{0,20}") {
            let spot = parse("a", Path::new("x")).unwrap()[0].spot.clone();
            let node = Node::sequence_at(vec![Node::text_at(given.clone(), &spot)], &spot);
            let written = super::text(&node, Dollars::AsIs);
            let read = parse(&written, Path::new("x"));
            prop_assert!(read.is_ok(), "{written:?}: {:?}", read.err());
            prop_assert_eq!(read.unwrap()[0].to_json(), serde_json::json!([given]), "{}", written);
        }
    }
}
