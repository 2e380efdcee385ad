//! Files of variables: `.env`, `env_file` and `label_file`.

use std::collections::HashMap;
use std::path::Path;

use crate::diagnostic::Code;
use crate::interpolate::{self, Fault};
use crate::variables::Lookup;
use crate::{Diagnostic, Place, lines};

/// A line of a file of variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) value: String,
    /// From 1.
    pub(crate) number: u32,
}

/// What the values of one file may come to, bytes.
const MAX_BYTES: usize = 10 << 20;

/// Earlier lines between what is looked up first, and what last.
struct Known<'a> {
    first: &'a dyn Lookup,
    lines: &'a HashMap<String, String>,
    last: &'a dyn Lookup,
}

impl Lookup for Known<'_> {
    fn find(&self, name: &str) -> Option<&str> {
        let earlier = || self.lines.get(name).map(String::as_str);
        self.first.find(name).or_else(earlier).or_else(|| self.last.find(name))
    }
}

/// Reads `NAME=value` lines, with quotes, comments and variables. A name alone takes its value from `variables`, or is
/// passed over. Values see `variables` first, then earlier lines, then `before`, which is what earlier files say.
pub(crate) fn parse(text: &str, file: &Path, variables: &dyn Lookup, before: &dyn Lookup) -> Result<Vec<Line>, Diagnostic> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader { text, at: 0, line: 1, file };
    let mut lines = Vec::new();
    let (mut earlier, mut bytes) = (HashMap::new(), 0);
    while reader.advance_line() {
        let number = reader.line;
        let (name, has_value) = reader.name()?;
        let value = match has_value {
            true => Some(reader.value(&name, &Known { first: variables, lines: &earlier, last: before })?),
            false => variables.find(&name).or_else(|| before.find(&name)).map(str::to_owned),
        };
        let Some(value) = value else { continue };
        bytes += value.len();
        if bytes > MAX_BYTES {
            let message = format!("the values come to more than {MAX_BYTES} bytes when variables are put in");
            return Err(Diagnostic { code: Code::Limit, ..reader.fault(message, &name) });
        }
        earlier.insert(name.clone(), value.clone());
        lines.push(Line { name, value, number });
    }
    Ok(lines)
}

/// Reads as `docker run --env-file` does: no quotes, no variables.
pub(crate) fn parse_raw(text: &str, file: &Path, variables: &dyn Lookup) -> Result<Vec<Line>, Diagnostic> {
    let mut lines = Vec::new();
    let mut next = 1_u32;
    for line in text.split_inclusive('\n') {
        let number = next;
        next = next.saturating_add(lines::ends(line));
        let line = line.strip_suffix('\n').map_or(line, |line| line.strip_suffix('\r').unwrap_or(line)).trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = line.split_once('=').map_or((line, None), |(name, value)| (name, Some(value)));
        if name.is_empty() || name.contains(char::is_whitespace) {
            let text = format!("`{}` is no variable name", name.escape_debug());
            let place = Place { file: file.to_owned(), line: number, column: 1 };
            return Err(Diagnostic::error(Code::Syntax, text)
                .at_place(place)
                .on(line)
                .with_help("write one `NAME=value` a line"));
        }
        if let Some(value) = value.or_else(|| variables.find(name)) {
            lines.push(Line { name: name.to_owned(), value: value.to_owned(), number });
        }
    }
    Ok(lines)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    line: u32,
    file: &'a Path,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// Goes on by so many bytes.
    fn skip(&mut self, length: usize) {
        let passed = &self.text[self.at..self.at + length];
        self.at += length;
        // Of `\r\n` the second half may come later.
        let half = passed.ends_with('\r') && self.rest().starts_with('\n');
        self.line = self.line.saturating_add(lines::ends(passed) - u32::from(half));
    }

    /// Goes on to where something is written that is no comment.
    fn advance_line(&mut self) -> bool {
        loop {
            let rest = self.rest();
            self.skip(rest.len() - rest.trim_start().len());
            if !self.rest().starts_with('#') {
                return !self.rest().is_empty();
            }
            self.skip(self.rest().find('\n').unwrap_or(self.rest().len()));
        }
    }

    fn fault(&self, message: String, focus: &str) -> Diagnostic {
        let start = self.text[..self.at].rfind(['\n', '\r']).map_or(0, |at| at + 1);
        let line = lines::of(&self.text[start..]).next().unwrap_or_default();
        let indent = line.len() - line.trim_start().len();
        let column = u32::try_from(indent + 1).unwrap_or(u32::MAX);
        let place = Place { file: self.file.to_owned(), line: self.line, column };
        Diagnostic::error(Code::Syntax, message).at_place(place).on(focus)
    }

    /// Reads a name, and what ends it; tells whether a value follows.
    fn name(&mut self) -> Result<(String, bool), Diagnostic> {
        if let Some(tail) = self.rest().strip_prefix("export").filter(|tail| tail.starts_with([' ', '\t'])) {
            self.skip("export".len() + tail.len() - tail.trim_start_matches(is_blank).len());
        }
        let rest = self.rest();
        let line = rest.lines().next().unwrap_or_default();
        let end = line.find(['=', ':']).unwrap_or(line.len());
        let name = line[..end].trim_end();
        let valid = |letter: char| letter.is_alphanumeric() || "_.-[]".contains(letter);
        if let Some(odd) = name.chars().find(|letter| !valid(*letter)) {
            let problem = match is_blank(odd) {
                true => self.fault(format!("a key cannot contain a space: `{}`", name.escape_debug()), line.trim_end()),
                false => {
                    let text = format!("unexpected character `{}` in the key `{}`", odd.escape_debug(), name.escape_debug());
                    self.fault(text, line.trim_end())
                }
            };
            return Err(problem.with_help("write one `KEY=value` a line; a comment begins with `#`"));
        }
        let has_value = end < line.len();
        self.skip(end + usize::from(has_value));
        Ok((name.to_owned(), has_value))
    }

    fn value(&mut self, name: &str, known: &Known<'_>) -> Result<String, Diagnostic> {
        let blanks = self.rest().len() - self.rest().trim_start_matches(is_blank).len();
        self.skip(blanks);
        match self.rest().chars().next() {
            Some(quote @ ('"' | '\'')) => self.quoted(name, quote, known),
            _ => self.unquoted(name, known),
        }
    }

    fn unquoted(&mut self, name: &str, known: &Known<'_>) -> Result<String, Diagnostic> {
        let end = self.rest().find('\n').unwrap_or(self.rest().len());
        let line = &self.rest()[..end];
        let value = line.split_once(" #").map_or(line, |(value, _)| value).trim_end();
        let expanded = self.expand(name, value, known)?;
        self.skip(end);
        Ok(expanded)
    }

    fn quoted(&mut self, name: &str, quote: char, known: &Known<'_>) -> Result<String, Diagnostic> {
        let inside = &self.rest()[1..];
        let mut value = String::new();
        let mut escaped = false;
        let mut end = None;
        for (at, letter) in inside.char_indices() {
            match letter {
                letter if letter == quote && !escaped => {
                    end = Some(at);
                    break;
                }
                '\\' if !escaped => {
                    escaped = true;
                    continue;
                }
                letter => {
                    if escaped && letter != quote {
                        value.push('\\');
                    }
                    value.push(letter);
                }
            }
            escaped = false;
        }
        let Some(end) = end else {
            let line = self.rest().lines().next().unwrap_or_default();
            let problem = self.fault(format!("the value of `{name}` has no closing {quote}"), line);
            return Err(problem.with_help("close the quote, or escape quotes inside with a backslash"));
        };
        let value = if quote == '"' { self.expand(name, &unescape(&value), known)? } else { value };
        self.skip(1 + end + 1);
        Ok(value)
    }

    fn expand(&self, name: &str, value: &str, known: &Known<'_>) -> Result<String, Diagnostic> {
        interpolate::text(value, known, &mut Vec::new()).map_err(|fault| match fault {
            Fault::Required { name, message } => {
                let text = format!("required variable {name} is missing a value: {message}");
                Diagnostic { code: Code::Interpolation, ..self.fault(text, &name) }
            }
            Fault::Format(text) => {
                let message = format!("the value of `{name}` has an invalid `{}`", text.escape_debug());
                let problem = Diagnostic { code: Code::Interpolation, ..self.fault(message, &text) };
                problem.with_help("write `${NAME}`, or `$$` for a dollar sign")
            }
            Fault::TooLong => Diagnostic { code: Code::Limit, ..self.fault(format!("the value of `{name}` is too long"), name) },
        })
    }
}

/// A space that ends no line.
fn is_blank(letter: char) -> bool {
    letter.is_whitespace() && letter != '\n'
}

/// What backslashes mean in double quotes. A dollar sign stays one when variables are put in.
fn unescape(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        result.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let Some(letter) = rest.chars().next() else {
            result.push('\\');
            break;
        };
        let octal = rest.get(1..4).filter(|digits| letter == '0' && digits.bytes().all(|byte| (b'0'..b'8').contains(&byte)));
        if let Some(byte) = octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            result.push(char::from(byte));
            rest = &rest[4..];
            continue;
        }
        match letter {
            'a' => result.push('\u{7}'),
            'b' => result.push('\u{8}'),
            'f' => result.push('\u{c}'),
            'n' => result.push('\n'),
            'r' => result.push('\r'),
            't' => result.push('\t'),
            'v' => result.push('\u{b}'),
            '$' => result.push_str("$$"),
            '"' | '\\' => result.push(letter),
            other => result.extend(['\\', other]),
        }
        rest = &rest[letter.len_utf8()..];
    }
    result.push_str(rest);
    result
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::variables::{Source, Variables};

    fn environment() -> Variables {
        let mut variables = Variables::default();
        variables.offer("SET".to_owned(), "s".to_owned(), Source::Environment);
        variables
    }

    fn shown(text: &str) -> String {
        match parse(text, Path::new(".env"), &environment(), &Variables::default()) {
            Ok(lines) => lines.iter().map(|line| format!("{}={}", line.name, line.value)).collect::<Vec<_>>().join("|"),
            Err(problem) => format!("{}: {}", problem.place.unwrap().line, problem.message),
        }
    }

    #[test]
    fn reads_every_form() {
        for (text, expected) in [
            ("A=1\nB: 2\nexport C=3\n", "A=1|B=2|C=3"),
            ("# no\n\n  A = 1 # yes\n", "A=1"),
            ("A=x#y\n", "A=x#y"),
            ("A='$SET \\n' # c\nB=\"$SET\\tx\\$y\"\n", "A=$SET \\n|B=s\tx$y"),
            ("A=\"two\nlines\"\nB=2", "A=two\nlines|B=2"),
            ("A=1\nB=${A}${SET}${C:-d}\n", "A=1|B=1sd"),
            ("SET\nUNSET\nA=1\n", "SET=s|A=1"),
            ("\u{feff}A=1\r\nB=2\r\n", "A=1|B=2"),
            ("A=\nB=\"\"\n", "A=|B="),
            // COMPAT: docker compose takes a value without a name, too.
            ("=x\n", "=x"),
            ("A='it\\'s'\n", "A=it's"),
            ("A=\"\\0101\"", "A=A"),
        ] {
            assert_eq!(shown(text), expected, "{text:?}");
        }
    }

    #[test]
    fn names_the_line_that_is_wrong() {
        for (text, expected) in [
            ("A=1\nnot a setting\n", "2: a key cannot contain a space: `not a setting`"),
            ("A='x\n", "1: the value of `A` has no closing '"),
            ("A=1\n\nB!=2\n", "3: unexpected character `!` in the key `B!`"),
            ("A=${", "1: the value of `A` has an invalid `${`"),
        ] {
            assert_eq!(shown(text), expected, "{text:?}");
        }
    }

    #[test]
    fn raw_files_are_taken_as_they_are() {
        let lines = parse_raw("A='x' # y\n# c\nSET\nUNSET\n", Path::new("f"), &environment()).unwrap();
        let lines: Vec<_> = lines.iter().map(|line| format!("{}={}", line.name, line.value)).collect();
        assert_eq!(lines, ["A='x' # y", "SET=s"]);
        assert!(parse_raw("A B=1\n", Path::new("f"), &environment()).is_err());
    }

    proptest! {
        #[test]
        fn never_panics(text in "[A-C=:'\"\\\\$#{} \n\té0]{0,60}") {
            let _ = parse(&text, Path::new("x"), &environment(), &Variables::default());
            let _ = parse_raw(&text, Path::new("x"), &environment());
        }
    }
}
