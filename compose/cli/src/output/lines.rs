//! Output of containers: aligned, coloured names before the lines, and nothing in them that could take the terminal over.

use std::collections::BTreeMap;
use std::io::IsTerminal;

use super::print;
use crate::arguments::{Ansi, Global};
use crate::error::CommandError;

/// In order of first appearance.
const COLOURS: [&str; 5] = ["36", "33", "32", "35", "34"];

/// Prints lines of containers.
pub(crate) struct LogPrinter {
    project: String,
    terminal: bool,
    colour: bool,
    prefix: bool,
    timestamps: bool,
    names: BTreeMap<String, usize>,
    width: usize,
    /// Containers whose last line has not ended.
    open: BTreeMap<String, bool>,
}

impl LogPrinter {
    pub(crate) fn new(global: &Global, project: &str, no_color: bool, prefix: bool, timestamps: bool) -> Self {
        let terminal = std::io::stdout().is_terminal();
        let allowed = !no_color && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let colour = match global.ansi {
            Ansi::Always => !no_color,
            Ansi::Never => false,
            Ansi::Auto => terminal && allowed,
        };
        Self {
            project: project.to_owned(),
            terminal,
            colour,
            prefix,
            timestamps,
            names: BTreeMap::new(),
            width: 0,
            open: BTreeMap::new(),
        }
    }

    /// The name without its project, where it follows the usual form.
    pub(crate) fn short<'a>(&self, container: &'a str) -> &'a str {
        container.strip_prefix(&format!("{}-", self.project)).unwrap_or(container)
    }

    /// Makes room for a name before its first line.
    pub(crate) fn expect(&mut self, container: &str) {
        let short = self.short(container).to_owned();
        self.width = self.width.max(short.len());
        let next = self.names.len();
        self.names.entry(short).or_insert(next);
    }

    pub(crate) fn line(&mut self, container: &str, time: i64, text: &str) -> Result<(), CommandError> {
        self.expect(container);
        let goes_on = self.open.insert(container.to_owned(), !text.ends_with('\n')).unwrap_or(false);
        let mut line = String::new();
        if self.prefix && !goes_on {
            line.push_str(&self.prefix_of(container));
        }
        if self.timestamps && !goes_on {
            let time = jiff::Timestamp::from_nanosecond(i128::from(time)).unwrap_or_default();
            line.push_str(&format!("{time} "));
        }
        line.push_str(&if self.terminal { harmless(text) } else { text.to_owned() });
        print(&line)
    }

    pub(crate) fn ended(&mut self, container: &str, code: i32, restarting: bool) -> Result<(), CommandError> {
        let again = if restarting { " (restarting)" } else { "" };
        print(&format!("{} exited with code {code}{again}\n", self.short(container)))
    }

    fn prefix_of(&self, container: &str) -> String {
        let short = self.short(container);
        let padded = format!("{short:<width$}  | ", width = self.width);
        if self.colour {
            let number = self.names.get(short).copied().unwrap_or(0);
            let bold = if number / COLOURS.len() % 2 == 1 { ";1" } else { "" };
            format!("\u{1b}[{}{bold}m{padded}\u{1b}[0m", COLOURS[number % COLOURS.len()])
        } else {
            padded
        }
    }
}

/// Shows control characters instead of doing them; tabs, line ends and colours are left.
fn harmless(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        if let Some(length) = colour_sequence(rest) {
            result.push_str(&rest[..length]);
            rest = &rest[length..];
            continue;
        }
        match letter {
            '\n' | '\t' => result.push(letter),
            '\r' if rest[1..].starts_with('\n') => {}
            control if control.is_control() => result.extend(control.escape_unicode()),
            other => result.push(other),
        }
        rest = &rest[letter.len_utf8()..];
    }
    result
}

/// The length of `ESC [ numbers m` at the start.
fn colour_sequence(text: &str) -> Option<usize> {
    let body = text.strip_prefix("\u{1b}[")?;
    let end = body.find(|letter: char| !letter.is_ascii_digit() && letter != ';' && letter != ':')?;
    body[end..].starts_with('m').then_some(end + 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_colours_and_shows_the_rest() {
        assert_eq!(harmless("\u{1b}[31mred\u{1b}[0m\tx\r\n"), "\u{1b}[31mred\u{1b}[0m\tx\n");
        assert_eq!(harmless("\u{1b}]52;c;eA==\u{7}"), "\\u{1b}]52;c;eA==\\u{7}");
        assert_eq!(harmless("a\rb"), "a\\u{d}b");
    }
}
