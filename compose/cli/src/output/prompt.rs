//! Questions to whoever sits at the terminal.

use std::io::IsTerminal;

use rcompose_supervisor::messages::Failure;

use super::tell;
use crate::error::CommandError;

/// Asks before something goes for good.
///
/// # Errors
/// Nobody is there to answer: then `--force` has to have been given.
pub(crate) fn confirm_removal(warning: &str) -> Result<bool, CommandError> {
    if !std::io::stdin().is_terminal() {
        let mut failure = Failure::text("this needs an answer, and standard input is no terminal");
        failure.causes.push(warning.to_owned());
        failure.hint = Some("`--force` does it without asking".to_owned());
        return Err(CommandError::Failed(failure));
    }
    tell(&format!("WARNING! {warning}\nAre you sure you want to continue? [y/N] "));
    answered_yes()
}

/// Asks; without a terminal the answer is no.
pub(crate) fn confirmed(question: &str) -> Result<bool, CommandError> {
    tell(&format!("? {question} [yN] "));
    if !std::io::stdin().is_terminal() {
        tell("\n");
        return Ok(false);
    }
    answered_yes()
}

/// Asks for a line.
///
/// # Errors
/// Nobody is there to answer.
pub(crate) fn ask(question: &str) -> Result<String, CommandError> {
    if !std::io::stdin().is_terminal() {
        let text = "this needs an answer, and standard input is no terminal: give a name by `--username`, and the password to \
                    `--password-stdin`";
        return Err(CommandError::Usage(text.to_owned()));
    }
    tell(question);
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    read.map_err(|source| CommandError::System { doing: "read the answer".to_owned(), source })?;
    Ok(answer.trim_end_matches(['\r', '\n']).to_owned())
}

/// What is typed is not shown while this lives.
pub(crate) struct Unshown(Option<rustix::termios::Termios>);

impl Unshown {
    pub(crate) fn new() -> Self {
        let before = rustix::termios::tcgetattr(std::io::stdin()).ok();
        if let Some(mut settings) = before.clone() {
            settings.local_modes -= rustix::termios::LocalModes::ECHO;
            set_terminal(&settings);
        }
        Self(before)
    }
}

impl Drop for Unshown {
    fn drop(&mut self) {
        if let Some(settings) = &self.0 {
            set_terminal(settings);
            tell("\n");
        }
    }
}

fn set_terminal(settings: &rustix::termios::Termios) {
    // A terminal that went away has nothing to show.
    let _ = rustix::termios::tcsetattr(std::io::stdin(), rustix::termios::OptionalActions::Now, settings);
}

/// Whether somebody is there to answer.
pub(crate) fn is_answerable() -> bool {
    std::io::stdin().is_terminal()
}

/// Asks; an empty answer means what `default` says.
///
/// # Errors
/// The answer cannot be read.
pub(crate) fn agreed(question: &str, default: bool) -> Result<bool, CommandError> {
    tell(&format!("{question} [{}] ", if default { "Y/n" } else { "y/N" }));
    match answer()?.as_deref() {
        // Whoever ends the input agrees to nothing.
        None => Ok(false),
        Some("") => Ok(default),
        Some(text) => Ok(matches!(text, "y" | "yes")),
    }
}

fn answered_yes() -> Result<bool, CommandError> {
    Ok(matches!(answer()?.as_deref(), Some("y" | "yes")))
}

/// A line in lower case, `None` at the end of the input.
fn answer() -> Result<Option<String>, CommandError> {
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    let count = read.map_err(|source| CommandError::System { doing: "read the answer".to_owned(), source })?;
    Ok((count > 0).then(|| answer.trim().to_lowercase()))
}
