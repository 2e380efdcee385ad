//! How the program is called: by its own name, or as `docker-compose` and as the plugin of `docker compose` are; and spellings of
//! words that were others once.
//!
//! Everything is put into today's words before the command line is read.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use clap::Command;

/// The words of a command line, and what there is to say of them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Called {
    /// By the name of docker compose.
    pub(crate) as_docker_compose: bool,
    /// With the program's name.
    pub(crate) words: Vec<OsString>,
    /// One for each word that has another form now.
    pub(crate) warnings: Vec<String>,
}

/// The question that `docker` asks its plugins.
pub(crate) const METADATA: &str = "docker-cli-plugin-metadata";

impl Called {
    /// Puts words into their form of today. `grammar` tells which flags have values.
    pub(crate) fn new(words: impl IntoIterator<Item = OsString>, grammar: &Command) -> Self {
        let mut words: Vec<OsString> = words.into_iter().collect();
        let name = words.first().map(Path::new).and_then(Path::file_name);
        let as_docker_compose = name == Some(OsStr::new("docker-compose"));
        if as_docker_compose && words.get(1).is_some_and(|word| word == "compose") {
            // As a plugin it is told its own name.
            words.remove(1);
        }
        let mut called = Self { as_docker_compose, words, warnings: Vec::new() };
        called.settle_command(grammar);
        called
    }

    fn settle_command(&mut self, grammar: &Command) {
        let Some(place) = command_place(&self.words, grammar) else { return };
        match self.word(place) {
            Some("alpha") => {
                self.words.remove(place);
                if self.word(place) == Some("dry-run") {
                    self.words[place] = "--dry-run".into();
                    if self.word(place + 1) == Some("--") {
                        self.words.remove(place + 1);
                    }
                }
            }
            Some("down") => self.replace(place, "--volume", "--volumes"),
            Some("up" | "create" | "publish") => self.replace(place, "--y", "--yes"),
            _ => {}
        }
    }

    fn word(&self, place: usize) -> Option<&str> {
        self.words.get(place)?.to_str()
    }

    fn replace(&mut self, command: usize, old: &str, new: &str) {
        for word in self.words.iter_mut().skip(command + 1).take_while(|word| *word != "--").filter(|word| *word == old) {
            *word = new.into();
            self.warnings.push(format!("{old} is deprecated, please use {new}"));
        }
    }
}

/// Where the command stands: the first word that is neither a flag nor the value of one.
fn command_place(words: &[OsString], grammar: &Command) -> Option<usize> {
    let takes_value = |flag: &str| {
        grammar.get_arguments().any(|known| {
            let long = flag.strip_prefix("--").is_some_and(|name| known.get_long() == Some(name));
            let short =
                flag.strip_prefix('-').is_some_and(|name| known.get_short().is_some_and(|short| name == short.to_string()));
            (long || short) && known.get_action().takes_values()
        })
    };
    let mut place = 1;
    while let Some(word) = words.get(place) {
        match word.to_str() {
            Some(flag) if flag.starts_with('-') && flag != "-" => place += if takes_value(flag) { 2 } else { 1 },
            _ => return Some(place),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::arguments::CommandLine;

    fn check(line: &str) -> (String, Vec<String>) {
        let called = Called::new(line.split(' ').map(OsString::from), &CommandLine::command());
        let words: Vec<String> = called.words.iter().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
        (words.join(" "), called.warnings)
    }

    #[test]
    fn older_words_become_those_of_today() {
        for (line, expected) in [
            ("rcompose -f down --dry-run down --volume web", "-f down --dry-run down --volumes web"),
            ("rcompose up --y -d", "up --yes -d"),
            ("rcompose run web --y", "run web --y"),
            ("rcompose -p x alpha viz --ports", "-p x viz --ports"),
            ("rcompose alpha dry-run -- up -d", "--dry-run up -d"),
            ("/usr/bin/docker-compose compose up", "up"),
            ("docker-compose up compose", "up compose"),
            ("rcompose compose up", "compose up"),
            ("rcompose --verbose", "--verbose"),
        ] {
            assert_eq!(check(line).0, expected, "{line}");
        }
        assert_eq!(check("rcompose down --volume").1, ["--volume is deprecated, please use --volumes"]);
        assert_eq!(check("rcompose down --volumes").1, Vec::<String>::new());
    }
}
