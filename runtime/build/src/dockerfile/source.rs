//! From bytes to logical lines: directives, comments, continuations, the bodies of heredocs.

use std::collections::BTreeMap;

use super::heredoc::{self, Heredoc};
use super::problem::{Place, Problem, Rule};

/// A Dockerfile larger than this is none.
const MAX_BYTES: usize = 4 << 20;

/// An instruction's text, its continuation lines joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Logical {
    /// From 1.
    pub(super) first: u32,
    /// The last line that belongs to it, bodies of heredocs included.
    pub(super) last: u32,
    pub(super) text: String,
    /// Where a part of the text begins in the file: offset, place.
    marks: Vec<(usize, Place)>,
    pub(super) heredocs: Vec<Heredoc>,
}

impl Logical {
    /// A line that stands for itself, as an instruction of an image does.
    pub(super) fn of_text(text: &str, place: Place) -> Self {
        Self { first: place.line, last: place.line, text: text.to_owned(), marks: vec![(0, place)], heredocs: Vec::new() }
    }

    /// Where a byte of the text stands in the file.
    pub(super) fn place(&self, offset: usize) -> Place {
        let before = self.marks.iter().rev().find(|(start, _)| *start <= offset);
        before.map_or(Place { line: self.first, column: 1 }, |(start, place)| Place {
            line: place.line,
            column: place.column + u32::try_from(offset - start).unwrap_or(0),
        })
    }
}

/// What stands at the top of a Dockerfile for its reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directives {
    /// Image of a frontend, which is not run: the language is built in.
    pub syntax: Option<String>,
    /// `\` or a backtick.
    pub escape: char,
    /// `skip=A,B;error=true`.
    pub check: Option<String>,
}

impl Default for Directives {
    fn default() -> Self {
        Self { syntax: None, escape: '\\', check: None }
    }
}

/// Reads a file into logical lines; what is wrong is noted, and reading goes on.
pub(super) fn read(bytes: &[u8], problems: &mut Vec<Problem>) -> (Directives, Vec<Logical>) {
    let start = Place { line: 1, column: 1 };
    if bytes.len() > MAX_BYTES {
        problems.push(Problem::error(start, "the file is larger than 4 MiB"));
        return (Directives::default(), Vec::new());
    }
    let text = String::from_utf8_lossy(bytes);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let lines: Vec<&str> = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)).collect();
    let directives = directives(&lines, problems);
    let mut reader = Reader { lines: &lines, next: 0, escape: directives.escape, problems };
    let mut logical = Vec::new();
    while let Some(line) = reader.logical() {
        logical.push(line);
    }
    (directives, logical)
}

/// `# key=value`, at the very top, each key once.
fn directives(lines: &[&str], problems: &mut Vec<Problem>) -> Directives {
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    let mut directives = Directives::default();
    for (number, line) in (1..).zip(lines) {
        let Some((key, value)) = line.trim_start().strip_prefix('#').and_then(|rest| rest.split_once('=')) else { break };
        let (key, value) = (key.trim().to_ascii_lowercase(), value.trim().to_owned());
        if !matches!(key.as_str(), "syntax" | "escape" | "check") {
            break;
        }
        let place = Place { line: number, column: 1 };
        if found.insert(key.clone(), value.clone()).is_some() {
            problems.push(Problem::error(place, format!("only one `{key}` directive can be used")));
        }
        match key.as_str() {
            "syntax" => directives.syntax = Some(value),
            "check" => directives.check = Some(value),
            _ if value == "\\" || value == "`" => directives.escape = value.chars().next().unwrap_or('\\'),
            _ => problems.push(Problem::error(place, format!("`{value}` cannot escape: use \\ or `"))),
        }
    }
    directives
}

struct Reader<'a, 'b> {
    lines: &'a [&'a str],
    /// Index of the line that is read next.
    next: usize,
    escape: char,
    problems: &'b mut Vec<Problem>,
}

fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX).saturating_add(1)
}

impl Reader<'_, '_> {
    fn logical(&mut self) -> Option<Logical> {
        let mut logical: Option<Logical> = None;
        while let Some(line) = self.lines.get(self.next) {
            let (index, trimmed) = (self.next, line.trim_start_matches([' ', '\t', '\u{b}', '\u{c}']));
            self.next += 1;
            if trimmed.starts_with('#') {
                continue;
            }
            if trimmed.trim_end().is_empty() {
                // What follows the last newline is the end of the file, and no line.
                if logical.is_some() && self.next < self.lines.len() {
                    let place = Place { line: number(index), column: 1 };
                    let text = "an empty line continues an instruction; it will be an error";
                    self.problems.push(Problem::warning(place, Rule::NoEmptyContinuation, text));
                }
                continue;
            }
            let (part, goes_on) = self.continued(line);
            let indent = line.len() - trimmed.len();
            let entry = logical.get_or_insert_with(|| Logical {
                first: number(index),
                last: number(index),
                text: String::new(),
                marks: Vec::new(),
                heredocs: Vec::new(),
            });
            // Only the first line loses its indent.
            let (part, column) = if entry.text.is_empty() { (part.get(indent..).unwrap_or(""), indent) } else { (part, 0) };
            entry.marks.push((entry.text.len(), Place { line: number(index), column: number(column) }));
            entry.text.push_str(part);
            entry.last = number(index);
            if !goes_on {
                break;
            }
        }
        let mut logical = logical?;
        logical.text.truncate(logical.text.trim_end().len());
        self.heredocs(&mut logical);
        Some(logical)
    }

    /// Takes the escape character off the end of a line that goes on. Escaped itself it only stands there.
    fn continued<'l>(&self, line: &'l str) -> (&'l str, bool) {
        let end = line.trim_end_matches([' ', '\t']);
        match end.strip_suffix(self.escape) {
            Some(rest) if !rest.ends_with(self.escape) => (rest, true),
            _ => (line, false),
        }
    }

    fn heredocs(&mut self, logical: &mut Logical) {
        for head in heredoc::heads(&logical.text, self.escape) {
            let mut body = String::new();
            let first = number(self.next);
            loop {
                let Some(line) = self.lines.get(self.next) else {
                    let text = format!("the heredoc `{}` has no end", head.name);
                    let hint = format!("end it with a line of `{}` alone", head.name);
                    self.problems.push(Problem::error(logical.place(head.offset), text).hint(hint));
                    break;
                };
                self.next += 1;
                let compared = if head.strips_tabs { line.trim_start_matches('\t') } else { line };
                if compared == head.name {
                    logical.last = number(self.next - 1);
                    break;
                }
                body.push_str(line);
                body.push('\n');
            }
            logical.heredocs.push(Heredoc { body, first, head });
        }
    }
}
