//! What people and scripts see: data on standard output, everything else on standard error.

mod block;
mod builds;
pub(crate) mod card;
mod diagnostic;
pub(crate) mod line;
mod lines;
mod listing;
mod progress;
mod prompt;
mod stage;
mod table;
mod template;
pub(crate) mod words;

use std::io::{IsTerminal, Write};
use std::time::Duration;

pub(crate) use lines::{LogForm, LogPrinter, Piece, plain_line};
pub(crate) use listing::{Format, Listing, Row, wrong as wrong_template};
pub(crate) use progress::Progress;
pub(crate) use prompt::{Unshown, agreed, ask, confirm_removal, confirmed, is_answerable};
pub(crate) use table::Table;
pub(crate) use template::Template;

use rcompose_model::Diagnostic;

use crate::arguments::{Ansi, Diagnostics, Global};
use crate::error::CommandError;

/// How often clocks on a terminal go on.
pub(crate) const TICK: Duration = Duration::from_millis(80);

/// Writes data; a reader that went away ends the command quietly.
pub(crate) fn print(text: &str) -> Result<(), CommandError> {
    let mut output = std::io::stdout().lock();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Err(CommandError::OutputClosed),
        Err(source) => Err(CommandError::System { doing: "write to standard output".to_owned(), source }),
    }
}

/// Writes to standard error. Nobody is left to be told when that fails.
pub(crate) fn tell(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// Tells whether data on standard output may have colours.
pub(crate) fn stdout_has_colours(global: &Global) -> bool {
    match global.ansi {
        Ansi::Always => true,
        Ansi::Never => false,
        Ansi::Auto => std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
    }
}

/// Text in a colour (`32`), if it may have one.
pub(crate) fn painted(text: &str, colour: &str, colours: bool) -> String {
    if colours { format!("\u{1b}[{colour}m{text}\u{1b}[0m") } else { text.to_owned() }
}

/// How problems with the files are shown.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Problems {
    format: Diagnostics,
    colored: bool,
}

impl Problems {
    /// As the command line asks, and as standard error is.
    pub(crate) fn asked(global: &Global) -> Self {
        let terminal = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|it| it.is_empty());
        let format = match (global.diagnostics, global.progress) {
            (Diagnostics::Text, crate::arguments::Progress::Json) => Diagnostics::Json,
            (format, _) => format,
        };
        Self { format, colored: global.ansi == Ansi::Always || terminal && global.ansi == Ansi::Auto }
    }

    /// Shows what a command ended with.
    pub(crate) fn show(self, problems: &[Diagnostic]) {
        tell(&self.text(problems));
    }

    /// What is shown.
    pub(crate) fn text(self, problems: &[Diagnostic]) -> String {
        diagnostic::render(problems, self.format, self.colored)
    }

    /// Shows what does not keep a command from going on.
    pub(crate) fn warn(self, problems: &[Diagnostic]) {
        match self.format {
            Diagnostics::Text if !std::io::stderr().is_terminal() => {
                for problem in problems {
                    let place = problem.place.as_ref().map(|place| format!("{place}: ")).unwrap_or_default();
                    let hint = problem.help.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
                    warn_text(&format!("{place}{}{hint}", problem.message));
                }
            }
            _ if problems.is_empty() => {}
            _ => self.show(problems),
        }
    }
}

pub(crate) fn warn_text(text: &str) {
    tell(&warning(text));
}

/// As logrus writes it: scripts look for it.
fn warning(text: &str) -> String {
    if std::io::stderr().is_terminal() {
        return format!("WARN[0000] {text}\n");
    }
    let now = jiff::Timestamp::now().round(jiff::Unit::Second).map(|now| now.to_string()).unwrap_or_default();
    format!("time={now:?} level=warning msg={text:?}\n")
}
