//! Nodes as YAML in blocks, indented by two; texts are quoted where a reader of YAML, also of the older kind, would take them
//! for something else.

use std::fmt::Write;

use crate::node::{Kind, Node};
use crate::scalar::Scalar;

/// A whole document.
pub(super) fn text(node: &Node) -> String {
    let mut out = String::new();
    match &node.kind {
        Kind::Mapping(entries) if entries.is_empty() => out.push_str("{}\n"),
        _ => block(node, 0, &mut out),
    }
    out
}

fn indent(depth: usize, out: &mut String) {
    out.extend(std::iter::repeat_n(' ', depth));
}

fn block(node: &Node, depth: usize, out: &mut String) {
    match &node.kind {
        Kind::Mapping(entries) => {
            for (index, (key, value)) in entries.iter().enumerate() {
                // The first key of an item stands beside its dash.
                if index > 0 || !out.ends_with("- ") {
                    indent(depth, out);
                }
                out.push_str(&quoted(&key.name));
                out.push(':');
                value_after(value, depth, out);
            }
        }
        Kind::Sequence(items) => {
            for (index, item) in items.iter().enumerate() {
                if index > 0 || !out.ends_with("- ") {
                    indent(depth, out);
                }
                out.push_str("- ");
                match &item.kind {
                    Kind::Mapping(entries) if !entries.is_empty() => block(item, depth + 2, out),
                    Kind::Sequence(items) if !items.is_empty() => block(item, depth + 2, out),
                    _ => {
                        inline(item, depth, out);
                        out.push('\n');
                    }
                }
            }
        }
        Kind::Scalar { .. } => {
            inline(node, depth, out);
            out.push('\n');
        }
    }
}

fn value_after(value: &Node, depth: usize, out: &mut String) {
    match &value.kind {
        Kind::Mapping(entries) if !entries.is_empty() => {
            out.push('\n');
            block(value, depth + 2, out);
        }
        Kind::Sequence(items) if !items.is_empty() => {
            out.push('\n');
            block(value, depth + 2, out);
        }
        _ => {
            out.push(' ');
            inline(value, depth, out);
            out.push('\n');
        }
    }
}

fn inline(node: &Node, depth: usize, out: &mut String) {
    match &node.kind {
        Kind::Mapping(_) => out.push_str("{}"),
        Kind::Sequence(_) => out.push_str("[]"),
        Kind::Scalar { text, plain: true } => match Scalar::of_plain(text) {
            Scalar::Null => out.push_str("null"),
            Scalar::Text(text) => out.push_str(&quoted(text)),
            Scalar::Time(text) => out.push_str(&double_quoted(text)),
            Scalar::Float(number) if !number.is_finite() => out.push_str(text),
            scalar => out.push_str(&scalar.to_string()),
        },
        Kind::Scalar { text, plain: false } if text.contains('\n') && may_be_literal(text) => literal(text, depth, out),
        Kind::Scalar { text, plain: false } => out.push_str(&quoted(text)),
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
fn quoted(text: &str) -> String {
    let means_something = !matches!(Scalar::of_plain(text), Scalar::Text(_)) || is_old_boolean(text) || is_base_60(text);
    if means_something || text.contains(|letter: char| letter.is_control() || letter == '\u{feff}') {
        return double_quoted(text);
    }
    if needs_quotes(text) { format!("'{}'", text.replace('\'', "''")) } else { text.to_owned() }
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
        super::text(&parse(text, Path::new("x")).unwrap()[0])
    }

    #[test]
    fn writes_blocks() {
        let text = "a:\n  - b: 1\n    c:\n      - x\n      - []\n  - - q\n    - z\nd: {}\ne: |\n  one\n\n  two\nf: null\n";
        assert_eq!(again(text), text);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(given in "[-a-z0-9:#'\"\\\\ \n\t,?!&*{}|>%@`.=<~é\u{1}\u{85}]{0,20}") {
            let spot = parse("a", Path::new("x")).unwrap()[0].spot.clone();
            let node = Node::sequence_at(vec![Node::text_at(given.clone(), &spot)], &spot);
            let written = super::text(&node);
            let read = parse(&written, Path::new("x"));
            prop_assert!(read.is_ok(), "{written:?}: {:?}", read.err());
            prop_assert_eq!(read.unwrap()[0].to_json(), serde_json::json!([given]), "{}", written);
        }
    }
}
