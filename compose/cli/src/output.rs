//! What people and scripts see: data on standard output, everything else on standard error.

mod builds;
mod lines;
mod listing;
mod progress;
mod prompt;
mod table;
mod template;
pub(crate) mod words;

use std::io::{IsTerminal, Write};

pub(crate) use lines::LogPrinter;
pub(crate) use listing::{Format, Listing, Row, wrong as wrong_template};
pub(crate) use progress::Progress;
pub(crate) use prompt::{confirm_removal, confirmed};
pub(crate) use table::Table;
pub(crate) use template::Template;

use rcompose_model::Diagnostic;

use crate::error::CommandError;

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

/// Shows something to look at.
pub(crate) fn warn(diagnostic: &Diagnostic) {
    warn_text(&diagnostic.to_string().replacen("warning: ", "", 1));
}

/// As logrus writes it: scripts look for it.
pub(crate) fn warn_text(text: &str) {
    if std::io::stderr().is_terminal() {
        tell(&format!("WARN[0000] {text}\n"));
    } else {
        tell(&format!("level=warning msg={text:?}\n"));
    }
}
