//! Output of containers: aligned, coloured names before the lines, and on a terminal nothing that could take it over.

mod harmless;

use std::collections::BTreeMap;

use super::stage::Stage;
use crate::arguments::{Ansi, Global};
use crate::error::CommandError;
use crate::terminal::{self, Stream};
use harmless::Harmless;
pub(crate) use harmless::plain_line;

/// In order of first appearance.
const COLOURS: [&str; 5] = ["36", "33", "32", "35", "34"];

/// How lines are shown.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LogForm {
    pub(crate) no_color: bool,
    pub(crate) prefix: bool,
    pub(crate) timestamps: bool,
}

/// Prints lines of containers, several at once when they come fast: nothing is written before [`LogPrinter::flush`].
pub(crate) struct LogPrinter {
    pub(crate) stage: Stage,
    project: String,
    colour: bool,
    form: LogForm,
    names: BTreeMap<String, usize>,
    width: usize,
    sources: BTreeMap<(String, bool), Source>,
    /// Whose line is open on each output.
    last: BTreeMap<bool, String>,
}

#[derive(Default)]
struct Source {
    harmless: Harmless,
    /// Its last line has not ended.
    open: bool,
}

/// A piece of output.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Piece<'a> {
    pub(crate) container: &'a str,
    /// Nanoseconds since 1970.
    pub(crate) time: i64,
    /// With its newline, unless it goes on.
    pub(crate) text: &'a str,
    /// Where it goes here.
    pub(crate) to: Stream,
}

impl LogPrinter {
    pub(crate) fn new(global: &Global, project: &str, form: LogForm) -> Self {
        let ansi = if form.no_color { Ansi::Never } else { global.ansi };
        Self {
            stage: Stage::new(),
            project: project.to_owned(),
            colour: terminal::is_coloured(ansi, &std::io::stdout()),
            form,
            names: BTreeMap::new(),
            width: 0,
            sources: BTreeMap::new(),
            last: BTreeMap::new(),
        }
    }

    /// The name without its project, where it follows the usual form.
    pub(crate) fn short<'a>(&self, container: &'a str) -> &'a str {
        container.strip_prefix(&format!("{}-", self.project)).unwrap_or(container)
    }

    pub(crate) fn has_colour(&self) -> bool {
        self.colour
    }

    /// Makes room for a name before its first line.
    pub(crate) fn expect(&mut self, container: &str) {
        let short = self.short(container).to_owned();
        self.width = self.width.max(short.len());
        let next = self.names.len();
        self.names.entry(short).or_insert(next);
    }

    /// Takes a piece of output; when it became much it is written.
    pub(crate) fn line(&mut self, piece: Piece<'_>) -> Result<(), CommandError> {
        self.expect(piece.container);
        let is_stderr = piece.to == Stream::Stderr;
        let (colour, on_terminal) = (self.colour, self.stage.is_terminal(piece.to));
        let source = self.sources.entry((piece.container.to_owned(), is_stderr)).or_default();
        let text = if on_terminal { source.harmless.filter(piece.text, colour) } else { piece.text.to_owned() };
        let same = self.last.get(&is_stderr).is_some_and(|last| last == piece.container);
        let goes_on = std::mem::replace(&mut source.open, !piece.text.ends_with('\n')) && same && self.stage.is_open(piece.to);
        let mut line = String::new();
        if !goes_on {
            self.stage.end_line(piece.to);
            line.push_str(&self.beginning(piece));
        }
        line.push_str(&text);
        self.last.insert(is_stderr, piece.container.to_owned());
        self.stage.say(piece.to, &line);
        if self.stage.is_full() { self.flush() } else { Ok(()) }
    }

    /// Says something of our own between the lines.
    pub(crate) fn say(&mut self, to: Stream, text: &str) {
        self.stage.end_line(to);
        self.stage.say(to, text);
    }

    // COMPAT: docker compose begins the line with CR and ESC [K, also where the output is a file.
    pub(crate) fn ended(&mut self, container: &str, code: i32, restarting: bool) {
        let again = if restarting { " (restarting)" } else { "" };
        let text = format!("{} exited with code {code}{again}\n", self.short(container));
        self.say(Stream::Stdout, &text);
    }

    /// Writes what was taken.
    pub(crate) fn flush(&mut self) -> Result<(), CommandError> {
        self.stage.flush()
    }

    fn beginning(&self, piece: Piece<'_>) -> String {
        let mut text = if self.form.prefix { self.prefix_of(piece.container) } else { String::new() };
        if self.form.timestamps {
            let time = jiff::Timestamp::from_nanosecond(i128::from(piece.time)).unwrap_or_default();
            text.push_str(&format!("{time} "));
        }
        text
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
