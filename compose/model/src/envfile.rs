//! Files of variables: `.env` and `env_file`.

use std::collections::BTreeSet;
use std::path::Path;

use crate::interpolate::{self, Variables};
use crate::{Diagnostic, Place};

/// Reads `KEY=VAL` lines. A key alone takes its value from `environment`. Values see `environment` first, then earlier lines.
pub(crate) fn parse(text: &str, file: &Path, environment: &Variables) -> Result<Vec<(String, String)>, Diagnostic> {
    let mut entries: Vec<(String, String)> = Vec::new();
    let mut known = environment.clone();
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut line = 1;
    while !rest.is_empty() {
        let (consumed, entry) = next(rest, file, line, &known)?;
        if let Some((key, value)) = entry {
            let value = match value {
                Some(value) => Some(value),
                None => environment.get(&key).cloned(),
            };
            if let Some(value) = value {
                known.entry(key.clone()).or_insert_with(|| value.clone());
                entries.push((key, value));
            }
        }
        line += u32::try_from(rest[..consumed].matches('\n').count()).unwrap_or(u32::MAX);
        rest = &rest[consumed..];
    }
    Ok(entries)
}

/// Reads as `docker run --env-file` does: no quotes, no variables.
pub(crate) fn parse_raw(text: &str, environment: &Variables) -> Vec<(String, String)> {
    let lines = text.lines().map(str::trim_start).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let entry = |line: &str| match line.split_once('=') {
        Some((key, value)) => Some((key.to_owned(), value.to_owned())),
        None => environment.get(line).map(|value| (line.to_owned(), value.clone())),
    };
    lines.filter_map(entry).collect()
}

type Entry = Option<(String, Option<String>)>;

/// Reads one line, or more where a quoted value spans them; gives how much was read.
fn next(text: &str, file: &Path, line: u32, known: &Variables) -> Result<(usize, Entry), Diagnostic> {
    let end = text.find('\n').map_or(text.len(), |at| at + 1);
    let first = text[..end].trim();
    if first.is_empty() || first.starts_with('#') {
        return Ok((end, None));
    }
    let place = Place { file: file.to_owned(), line, column: 1 };
    let fault = |message: String| Diagnostic::error(message, Some(&place));
    let start = text.len() - text.trim_start().len();
    let body = &text[start..];
    let body_start = body.strip_prefix("export ").map_or(0, |tail| body.len() - tail.trim_start().len());
    let body = &body[body_start..];
    let offset = start + body_start;
    let key_end = body.find(['=', ':', '\n']).unwrap_or(body.len());
    let key = body[..key_end].trim();
    if key.is_empty() || !key.chars().all(|letter| letter.is_ascii_alphanumeric() || "_.-[]".contains(letter)) {
        let text = format!("`{}` is no variable name", key.escape_default());
        return Err(fault(text).with_help("write one `NAME=value` a line"));
    }
    if !matches!(body.as_bytes().get(key_end), Some(b'=' | b':')) {
        return Ok((end, Some((key.to_owned(), None))));
    }
    let value_text = body[key_end + 1..].trim_start_matches([' ', '\t']);
    let value_at = offset + body.len() - value_text.len();
    let mut unset = BTreeSet::new();
    let mut expand = |value: &str| match interpolate::interpolate(value, known, &mut unset) {
        Ok(value) => Ok(value),
        Err(_) => Err(fault(format!("the value of `{key}` has an invalid `${{...}}`"))),
    };
    match value_text.chars().next() {
        Some(quote @ ('\'' | '"')) => {
            let inner = &value_text[1..];
            let close =
                closing_quote(inner, quote).ok_or_else(|| fault(format!("the value of `{key}` has no closing {quote}")))?;
            let value = if quote == '\'' { inner[..close].to_owned() } else { expand(&unescape(&inner[..close]))? };
            let after = value_at + 1 + close + 1;
            let line_end = text[after..].find('\n').map_or(text.len(), |at| after + at + 1);
            Ok((line_end, Some((key.to_owned(), Some(value)))))
        }
        _ => {
            let raw = value_text.split('\n').next().unwrap_or_default();
            let raw = raw.split_once(" #").map_or(raw, |(value, _)| value).trim_end();
            Ok((end, Some((key.to_owned(), Some(expand(raw)?)))))
        }
    }
}

fn closing_quote(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, letter) in text.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' if quote == '"' => escaped = true,
            letter if letter == quote => return Some(at),
            _ => {}
        }
    }
    None
}

fn unescape(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => match letters.next() {
                Some('n') => result.push('\n'),
                Some('r') => result.push('\r'),
                Some('t') => result.push('\t'),
                Some('$') => result.push_str("$$"),
                Some(other @ ('"' | '\\')) => result.push(other),
                Some(other) => result.extend(['\\', other]),
                None => result.push('\\'),
            },
            other => result.push(other),
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entries(text: &str) -> Vec<(String, String)> {
        let environment = Variables::from([("HOME".to_owned(), "/h".to_owned())]);
        parse(text, Path::new(".env"), &environment).unwrap()
    }

    #[test]
    fn reads_what_people_write() {
        let text = "# comment\nA=1\nexport B = two words # note\nC='$A'\nD=\"x\\n$A\"\nE=${A}/${HOME}\nHOME\nNONE\nF: yaml\nG=a#b\nH='two\nlines'\nI=\n";
        let found: Vec<String> = entries(text).into_iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(found, ["A=1", "B=two words", "C=$A", "D=x\n1", "E=1//h", "HOME=/h", "F=yaml", "G=a#b", "H=two\nlines", "I="]);
    }

    #[test]
    fn says_which_line_is_wrong() {
        let error = parse("A=1\nBAD KEY=2\n", Path::new(".env"), &Variables::new()).unwrap_err();
        assert_eq!(error.place.unwrap().line, 2);
        assert!(parse("A='open\n", Path::new(".env"), &Variables::new()).is_err());
    }

    proptest! {
        #[test]
        fn never_panics(text in "(?s).*") {
            let _ = parse(&text, Path::new(".env"), &Variables::new());
        }
    }
}
