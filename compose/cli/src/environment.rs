//! Variables that stand for flags: `COMPOSE_*`, from the environment or from `.env`. A flag that was given wins.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::ArgMatches;
use clap::ValueEnum;
use clap::parser::ValueSource;
use rcompose_model::{HostFiles, read_variables};

use crate::arguments::{Ansi, Command, CommandLine, Global, Progress};
use crate::error::CommandError;
use crate::output;

/// The environment, by name.
pub(crate) type Environment = BTreeMap<String, String>;

/// Reads the environment, and below it what the files of variables say of `COMPOSE_*`.
pub(crate) fn read(global: &mut Global, working_dir: &Path) -> Environment {
    let variables = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let mut environment: Environment = variables.collect();
    environment.entry("PWD".to_owned()).or_insert_with(|| working_dir.display().to_string());
    if global.env_file.is_empty() {
        global.env_file = environment.get("COMPOSE_ENV_FILES").map(|listed| paths(listed)).unwrap_or_default();
    }
    for path in files_of_variables(global, working_dir, &environment) {
        // What is wrong with a file is told by those who need the project.
        let listed = read_variables(&path, &HostFiles, &environment).unwrap_or_default();
        let ours = listed.into_iter().filter(|(name, _)| name.starts_with("COMPOSE_"));
        let known = environment.clone();
        // The last line of a name counts, and none against the environment.
        environment.extend(ours.filter(|(name, _)| !known.contains_key(name)));
    }
    environment
}

fn paths(listed: &str) -> Vec<PathBuf> {
    listed.split(',').map(str::trim).filter(|path| !path.is_empty()).map(PathBuf::from).collect()
}

fn files_of_variables(global: &Global, working_dir: &Path, environment: &Environment) -> Vec<PathBuf> {
    if !global.env_file.is_empty() {
        // A variable that one file has set is kept: the file that counts most comes first.
        return global.env_file.iter().rev().map(|path| working_dir.join(path)).collect();
    }
    if flag(environment, "COMPOSE_DISABLE_ENV_FILE") == Ok(Some(true)) {
        return Vec::new();
    }
    let folder = global
        .project_directory
        .as_ref()
        .or(global.workdir.as_ref())
        .map_or(working_dir.to_owned(), |folder| working_dir.join(folder));
    vec![folder.join(".env")]
}

/// A variable that is true or false, or not set.
pub(crate) fn flag(environment: &Environment, name: &str) -> Result<Option<bool>, String> {
    let Some(text) = environment.get(name).filter(|text| !text.is_empty()) else { return Ok(None) };
    match text.to_ascii_lowercase().as_str() {
        "1" | "t" | "true" | "y" | "yes" | "on" => Ok(Some(true)),
        "0" | "f" | "false" | "n" | "no" | "off" => Ok(Some(false)),
        _ => Err(format!("invalid {name} `{text}`: expected true or false")),
    }
}

/// Gives flags that were not given the values of their variables, and checks what does not go together.
pub(crate) fn fill_in(line: &mut CommandLine, given: &ArgMatches, environment: &Environment) -> Result<(), CommandError> {
    fill_in_global(&mut line.global, given, environment).map_err(CommandError::Usage)?;
    // That of `image import-docker` has.
    if !matches!(line.command, Some(Command::Image(_))) {
        for name in ["DOCKER_HOST", "DOCKER_CONTEXT"].iter().filter(|name| names_an_engine(environment, name)) {
            output::warn_text(&format!("{name} is set and has no effect: containers run on this machine, without Docker"));
        }
    }
    fill_in_command(line.command.as_mut(), environment).map_err(CommandError::Usage)
}

fn fill_in_global(global: &mut Global, given: &ArgMatches, environment: &Environment) -> Result<(), String> {
    let is_given = |name: &str| given.value_source(name) == Some(ValueSource::CommandLine);
    if let Some(progress) = choice::<Progress>(environment, "COMPOSE_PROGRESS")?.filter(|_| !is_given("progress")) {
        global.progress = progress;
    }
    if let Some(ansi) = choice::<Ansi>(environment, "COMPOSE_ANSI")?.filter(|_| !is_given("ansi")) {
        global.ansi = ansi;
    }
    if let Some(text) = environment.get("COMPOSE_PARALLEL_LIMIT").filter(|text| !text.is_empty() && !is_given("parallel")) {
        let invalid = |_| format!("invalid COMPOSE_PARALLEL_LIMIT `{text}`: expected an integer");
        global.parallel = text.parse().map_err(invalid)?;
    }
    global.compatibility |= flag(environment, "COMPOSE_COMPATIBILITY")?.unwrap_or(false);
    settle_older_flags(global);
    global.status_on_stdout = flag(environment, "COMPOSE_STATUS_STDOUT")?.unwrap_or(false);
    match (global.progress, global.ansi) {
        (Progress::Tty, Ansi::Never) => Err("`--progress tty` cannot be used with `--ansi never`".to_owned()),
        (Progress::Plain, Ansi::Always) => Err("`--progress plain` cannot be used with `--ansi always`".to_owned()),
        _ => Ok(()),
    }
}

/// Flags that have other names now.
fn settle_older_flags(global: &mut Global) {
    if global.no_ansi {
        output::warn_text("--no-ansi is deprecated, please use --ansi never");
        global.ansi = Ansi::Never;
    }
    if let Some(folder) = global.workdir.take() {
        output::warn_text("--workdir is deprecated, please use --project-directory");
        global.project_directory = Some(folder);
    }
}

fn names_an_engine(environment: &Environment, name: &str) -> bool {
    environment.get(name).is_some_and(|value| !value.is_empty() && value != "default")
}

/// One of several words.
fn choice<T: ValueEnum>(environment: &Environment, name: &str) -> Result<Option<T>, String> {
    let Some(text) = environment.get(name).filter(|text| !text.is_empty()) else { return Ok(None) };
    T::from_str(text, false).map(Some).map_err(|_| {
        let known: Vec<String> =
            T::value_variants().iter().filter_map(|it| Some(it.to_possible_value()?.get_name().to_owned())).collect();
        format!("invalid {name} `{text}`: expected {}", known.join(", "))
    })
}

fn fill_in_command(command: Option<&mut Command>, environment: &Environment) -> Result<(), String> {
    let remove = flag(environment, "COMPOSE_REMOVE_ORPHANS")?.unwrap_or(false);
    let ignore = flag(environment, "COMPOSE_IGNORE_ORPHANS")?.unwrap_or(false);
    let menu = flag(environment, "COMPOSE_MENU")?;
    match command {
        Some(Command::Up(up)) => {
            up.remove_orphans |= remove;
            up.ignore_orphans = ignore;
            up.menu = up.menu.or(menu);
            if up.remove_orphans && ignore {
                return Err("COMPOSE_IGNORE_ORPHANS and `--remove-orphans` do not go together".to_owned());
            }
        }
        Some(Command::Create(create)) => create.ignore_orphans = ignore,
        Some(Command::Plan(plan)) => {
            plan.remove_orphans |= remove;
            plan.ignore_orphans = ignore;
        }
        Some(Command::Down(down)) => down.remove_orphans |= remove,
        Some(Command::Kill(kill)) => kill.remove_orphans |= remove,
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, FromArgMatches};

    use super::*;

    fn filled(words: &[&str], variables: &[(&str, &str)]) -> Result<CommandLine, String> {
        let given = CommandLine::command().get_matches_from([&["rcompose"], words].concat());
        let mut line = CommandLine::from_arg_matches(&given).map_err(|error| error.to_string())?;
        let environment = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        fill_in(&mut line, &given, &environment).map_err(|error| error.to_string())?;
        Ok(line)
    }

    fn removes_orphans(words: &[&str], variables: &[(&str, &str)]) -> bool {
        matches!(filled(words, variables).unwrap().command, Some(Command::Up(up)) if up.remove_orphans)
    }

    #[test]
    fn flags_win_over_variables() {
        let modes = |words: &[&str], variables: &[(&str, &str)]| {
            let global = filled(words, variables).unwrap().global;
            (global.progress, global.ansi)
        };
        let variables = [("COMPOSE_PROGRESS", "json"), ("COMPOSE_ANSI", "never")];
        assert_eq!(modes(&["ps"], &variables), (Progress::Json, Ansi::Never));
        assert_eq!(modes(&["--progress", "quiet", "--ansi", "auto", "ps"], &variables), (Progress::Quiet, Ansi::Auto));
        assert_eq!(modes(&["ps"], &[("COMPOSE_PROGRESS", "none"), ("COMPOSE_ANSI", "")]), (Progress::Quiet, Ansi::Auto));
    }

    #[test]
    fn orphans_are_removed_where_a_variable_says_so() {
        assert!(removes_orphans(&["up"], &[("COMPOSE_REMOVE_ORPHANS", "1")]));
        assert!(!removes_orphans(&["up"], &[("COMPOSE_REMOVE_ORPHANS", "false")]));
        assert!(removes_orphans(&["up", "--remove-orphans"], &[("COMPOSE_REMOVE_ORPHANS", "0")]));
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        let refused = |words: &[&str], variables: &[(&str, &str)]| filled(words, variables).unwrap_err();
        assert!(refused(&["ps"], &[("COMPOSE_PROGRESS", "x")]).starts_with("invalid COMPOSE_PROGRESS `x`: expected auto, tty,"));
        assert!(refused(&["ps"], &[("COMPOSE_PARALLEL_LIMIT", "x")]).contains("expected an integer"));
        assert!(refused(&["up"], &[("COMPOSE_REMOVE_ORPHANS", "x")]).contains("expected true or false"));
        assert!(refused(&["up", "--remove-orphans"], &[("COMPOSE_IGNORE_ORPHANS", "1")]).contains("do not go together"));
        assert!(refused(&["--progress", "tty", "ps"], &[("COMPOSE_ANSI", "never")]).contains("cannot be used with"));
        assert!(refused(&["--progress", "plain", "--ansi", "always", "ps"], &[]).contains("cannot be used with"));
    }
}
