//! What is wrong with a command line, in docker compose's words where scripts look for them.

use clap::Error;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::output;
use crate::exit::Exit;

/// Shows help that was asked for, or what is wrong.
pub(super) fn refuse(error: &Error) -> Exit {
    if !error.use_stderr() {
        // Nobody is left to be told when this fails.
        let _ = error.print();
        return Exit::Success;
    }
    match told(error) {
        Some(text) => output::tell(&text),
        // As above.
        None => drop(error.print()),
    }
    Exit::Failure
}

fn told(error: &Error) -> Option<String> {
    let word = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        Some(ContextValue::Strings(texts)) => texts.last().cloned(),
        _ => None,
    };
    let (message, suggestion) = match error.kind() {
        ErrorKind::UnknownArgument => {
            let flag = word(ContextKind::InvalidArg)?;
            match flag.strip_prefix('-') {
                // More words than the command takes.
                None => return None,
                Some(letter) if !letter.starts_with('-') => {
                    (format!("unknown shorthand flag: '{letter}' in {flag}"), word(ContextKind::SuggestedArg))
                }
                Some(_) => (format!("unknown flag: {flag}"), word(ContextKind::SuggestedArg)),
            }
        }
        ErrorKind::InvalidSubcommand => {
            let command = word(ContextKind::InvalidSubcommand)?;
            (format!("unknown docker command: \"compose {command}\""), word(ContextKind::SuggestedSubcommand))
        }
        _ => return None,
    };
    let hint = match suggestion {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`--help` lists what there is".to_owned(),
    };
    Some(format!("error: {message}\nhint: {hint}\n"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::arguments::CommandLine;

    #[test]
    fn says_what_is_not_known_as_scripts_expect_it() {
        let said = |words: &[&str]| {
            let error = CommandLine::command().try_get_matches_from([&["rcompose"], words].concat()).unwrap_err();
            told(&error).map(|text| text.lines().next().unwrap_or_default().to_owned())
        };
        assert_eq!(said(&["up", "--nothing"]).unwrap(), "error: unknown flag: --nothing");
        assert_eq!(said(&["--nothing=1", "up"]).unwrap(), "error: unknown flag: --nothing");
        assert_eq!(said(&["up", "-Z"]).unwrap(), "error: unknown shorthand flag: 'Z' in -Z");
        assert_eq!(said(&["nothing"]).unwrap(), "error: unknown docker command: \"compose nothing\"");
        assert_eq!(said(&["up", "--parallel"]), Some("error: unknown flag: --parallel".to_owned()));
        assert_eq!(said(&["port", "web"]), None);
    }
}
