//! What goes wrong, and how it is shown.

use rcompose_model::Diagnostic;
use rcompose_supervisor::client::ClientError;
use rcompose_supervisor::messages::Failure;

/// Why a command did not work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    /// The files. What is wrong with them has been shown.
    #[error("the compose files cannot be used")]
    Files(Vec<Diagnostic>),
    /// The supervisor, or the way to it.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// What was asked for failed.
    #[error("{}", .0.message)]
    Failed(Failure),
    /// The command line.
    #[error("{0}")]
    Usage(String),
    /// A file, a terminal, a pipe.
    #[error("failed to {doing}")]
    System {
        /// What was being done.
        doing: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The reader of our output went away; nobody is left to be told.
    #[error("the output was closed")]
    OutputClosed,
}

impl CommandError {
    /// `error: ... / caused by: ... / hint: ...`, as text.
    pub(crate) fn render(&self) -> String {
        match self {
            Self::Files(problems) => problems.iter().map(|problem| format!("{problem}\n")).collect(),
            Self::Failed(failure) => render(failure),
            Self::Client(ClientError::Refused(failure)) => render(failure),
            Self::OutputClosed => String::new(),
            other => render(&Failure::of(other)),
        }
    }

    /// As the last record of a command whose progress is JSON.
    pub(crate) fn record(&self) -> String {
        let failure = match self {
            Self::Failed(failure) | Self::Client(ClientError::Refused(failure)) => failure.clone(),
            Self::OutputClosed => return String::new(),
            other => Failure::of(other),
        };
        let record = serde_json::json!({
            "version": 1, "error": true, "message": self.in_one_line(), "place": failure.place, "hint": failure.hint,
            "failure": failure.card,
        });
        format!("{record}\n")
    }

    /// The error and what is behind it, for a message about something else.
    pub(crate) fn in_one_line(&self) -> String {
        let failure = match self {
            Self::Files(problems) => {
                return problems.iter().map(|problem| problem.message.as_str()).collect::<Vec<_>>().join("; ");
            }
            Self::Failed(failure) | Self::Client(ClientError::Refused(failure)) => failure.clone(),
            other => Failure::of(other),
        };
        let parts: Vec<&str> = std::iter::once(&failure.message).chain(&failure.causes).map(String::as_str).collect();
        plain(&parts.join(": "))
    }
}

/// A line of what may hold words of a stranger: no terminal takes orders from it, and it has an end.
pub(crate) fn plain(text: &str) -> String {
    const LONGEST: usize = 2000;
    let escaped = |letter: char| match letter {
        '\n' | '\t' => letter.to_string(),
        letter if letter.is_control() || letter == char::REPLACEMENT_CHARACTER => letter.escape_unicode().to_string(),
        letter => letter.to_string(),
    };
    let shown: String = text.chars().take(LONGEST).map(escaped).collect();
    if text.chars().nth(LONGEST).is_some() { format!("{shown}...") } else { shown }
}

fn render(failure: &Failure) -> String {
    let place = failure.place.as_ref().map(|place| format!("{place}: ")).unwrap_or_default();
    let mut text = format!("{place}error: {}\n", plain(&failure.message));
    for cause in &failure.causes {
        text.push_str(&format!("  caused by: {}\n", plain(cause)));
    }
    if let Some(card) = &failure.card {
        text.push_str(&crate::output::card::whole(card));
    }
    if let Some(hint) = &failure.hint {
        text.push_str(&format!("hint: {hint}\n"));
    }
    text
}
