//! What a stage has come to: layers, the description of the image, arguments in scope.
//!
//! Instructions that make no layer happen here, purely: a state and an instruction to the next state.

use std::cell::RefCell;
use std::collections::BTreeMap;

use rcompose_image::{Digest, Healthcheck as ImageHealthcheck, ImageConfig};
use serde_json::json;

use crate::dockerfile::{Command, Healthcheck, Instruction, Kind, Quotes, Variables, expand, expand_words};
use crate::error::StepError;

/// Arguments that every build has and that are no part of its keys and history.
const PROXIES: [&str; 10] = [
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "FTP_PROXY",
    "ftp_proxy",
    "NO_PROXY",
    "no_proxy",
    "ALL_PROXY",
    "all_proxy",
];

const DEFAULT_SHELL: [&str; 2] = ["/bin/sh", "-c"];

/// What a stage has come to.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    /// Lowest first.
    pub(crate) layers: Vec<Digest>,
    pub(crate) image: ImageConfig,
    /// Declared in this stage, or in one that it is based on.
    pub(crate) args: BTreeMap<String, String>,
    /// CMD stands in this stage; the one of the base goes with a new ENTRYPOINT.
    has_command: bool,
    has_workdir: bool,
}

/// What instructions see besides their stage.
#[derive(Debug)]
pub(crate) struct Scope {
    /// `--build-arg`.
    pub(crate) given: BTreeMap<String, String>,
    /// ARG before the first stage, and the platform arguments.
    pub(crate) globals: BTreeMap<String, String>,
    pub(crate) escape: char,
    /// When everything is said to have happened, RFC 3339.
    pub(crate) epoch: Option<String>,
}

impl Scope {
    /// Proxies that were given.
    pub(crate) fn proxies(&self) -> impl Iterator<Item = (&String, &String)> {
        self.given.iter().filter(|(name, _)| PROXIES.contains(&name.as_str()))
    }

    /// Tells whether an argument is known without being declared.
    pub(crate) fn is_predefined(name: &str) -> bool {
        PROXIES.contains(&name) || name.starts_with("BUILDKIT_") || name == "SOURCE_DATE_EPOCH"
    }
}

/// The variables of a stage at one moment, and those that were asked for in vain.
pub(crate) struct Values<'a> {
    state: &'a State,
    scope: &'a Scope,
    pub(crate) missing: RefCell<Vec<String>>,
}

impl Variables for Values<'_> {
    fn get(&self, name: &str) -> Option<String> {
        let proxy = || self.scope.given.get(name).filter(|_| PROXIES.contains(&name));
        self.state.env(name).or_else(|| self.state.args.get(name).or_else(proxy).cloned())
    }

    fn missing(&self, name: &str) {
        self.missing.borrow_mut().push(name.to_owned());
    }
}

impl State {
    /// Continues an image.
    pub(crate) fn on(image: ImageConfig) -> Self {
        let mut image = image;
        let layers = image.rootfs.diff_ids.clone();
        if image.config.env.is_empty() {
            image.config.env.push("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned());
        }
        Self { layers, image, ..Self::default() }
    }

    /// Continues another stage.
    pub(crate) fn after(stage: &Self) -> Self {
        Self { has_command: false, has_workdir: false, ..stage.clone() }
    }

    pub(crate) fn values<'a>(&'a self, scope: &'a Scope) -> Values<'a> {
        Values { state: self, scope, missing: RefCell::new(Vec::new()) }
    }

    pub(crate) fn env(&self, name: &str) -> Option<String> {
        let entry = self.image.config.env.iter().find_map(|entry| entry.split_once('=').filter(|(own, _)| *own == name));
        entry.map(|(_, value)| value.to_owned())
    }

    /// What shell forms are run by.
    pub(crate) fn shell(&self) -> Vec<String> {
        self.image.config.shell.clone().unwrap_or_else(|| DEFAULT_SHELL.map(str::to_owned).to_vec())
    }

    /// Program and arguments of a command.
    pub(crate) fn words(&self, command: &Command) -> Vec<String> {
        match command {
            Command::Exec(words) => words.clone(),
            Command::Shell(text) => [self.shell(), vec![text.clone()]].concat(),
        }
    }

    /// A path, relative to where the stage works.
    pub(crate) fn resolve(&self, path: &str) -> String {
        let base = if self.image.config.working_dir.is_empty() { "/" } else { &self.image.config.working_dir };
        let joined = if path.starts_with('/') { path.to_owned() } else { format!("{base}/{path}") };
        let mut parts: Vec<&str> = Vec::new();
        for part in joined.split('/') {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        format!("/{}", parts.join("/"))
    }

    /// Takes note of a layer, and of what made it.
    pub(crate) fn add_layer(&mut self, layer: Option<Digest>, created: &str, by: &str) {
        self.image.created = Some(created.to_owned());
        match layer {
            Some(layer) => {
                self.layers.push(layer);
                self.image.history.push(json!({ "created": created, "created_by": by, "comment": "rcompose" }));
            }
            None => self.note(by),
        }
    }

    /// Takes note of an instruction that made no layer. It has happened when the layer below was made: a clock would make another
    /// image of the same file.
    pub(crate) fn note(&mut self, by: &str) {
        let mut entry = json!({ "created_by": by, "comment": "rcompose", "empty_layer": true });
        if let Some(created) = &self.image.created {
            entry["created"] = json!(created);
        }
        self.image.history.push(entry);
    }

    /// Does an instruction that makes no layer; gives the variables that had no value. `None` when it makes one.
    pub(crate) fn apply(&mut self, instruction: &Instruction, scope: &Scope) -> Result<Option<Vec<String>>, StepError> {
        let snapshot = self.clone();
        let values = snapshot.values(scope);
        let one = |text: &str| expand_one(text, scope, &values);
        let config = &mut self.image.config;
        match &instruction.kind {
            Kind::Env(pairs) => {
                for (name, value) in pairs {
                    set_env(&mut config.env, &one(name)?, &one(value)?);
                }
            }
            Kind::Label(pairs) => {
                for (name, value) in pairs {
                    config.labels.insert(one(name)?, one(value)?);
                }
            }
            Kind::Arg(arguments) => {
                self.declare(arguments, scope, &values)?;
                return Ok(Some(values.missing.take()));
            }
            Kind::Cmd(command) => {
                config.cmd = Some(snapshot.words(command));
                self.has_command = true;
            }
            Kind::Entrypoint(command) => {
                config.entrypoint = Some(snapshot.words(command));
                if !self.has_command {
                    config.cmd = None;
                }
            }
            Kind::Maintainer(text) => self.image.author = Some(one(text)?),
            Kind::Expose(text) => {
                for port in expand_words(text, scope.escape, &values).map_err(|error| StepError::Invalid(error.to_string()))? {
                    for port in ports(&port)? {
                        config.exposed_ports.insert(port, json!({}));
                    }
                }
            }
            Kind::Volume(paths) => {
                for path in paths {
                    config.volumes.insert(one(path)?, json!({}));
                }
            }
            Kind::User(user) => config.user = one(user)?,
            Kind::StopSignal(signal) => {
                let signal = one(signal)?;
                if rcompose_engine::parse_signal(&signal).is_none() {
                    return Err(StepError::Invalid(format!("`{signal}` is no signal")));
                }
                config.stop_signal = Some(signal);
            }
            Kind::Healthcheck(check) => config.healthcheck = Some(health(check)),
            Kind::Shell(words) => config.shell = Some(words.clone()),
            Kind::Onbuild(text) => config.on_build.push(text.clone()),
            Kind::Run(_) | Kind::Copy(_) | Kind::Workdir(_) | Kind::From(_) => return Ok(None),
        }
        self.note(&instruction.text);
        Ok(Some(values.missing.take()))
    }

    fn declare(&mut self, arguments: &[(String, Option<String>)], scope: &Scope, values: &Values<'_>) -> Result<(), StepError> {
        for (name, default) in arguments {
            let default = default.as_deref().map(|text| expand_one(text, scope, values)).transpose()?;
            let of_globals = || if default.is_none() { scope.globals.get(name).cloned() } else { None };
            let value = scope.given.get(name).cloned().or_else(of_globals).or_else(|| default.clone());
            let shown = value.as_ref().map_or_else(|| name.clone(), |value| format!("{name}={value}"));
            if let Some(value) = value {
                self.args.insert(name.clone(), value);
            }
            if !PROXIES.contains(&name.as_str()) {
                self.note(&format!("ARG {shown}"));
            }
        }
        Ok(())
    }

    /// Where the stage works from now on; the path as it is written, with values.
    pub(crate) fn work_in(&mut self, text: &str, scope: &Scope) -> Result<(String, bool), StepError> {
        let path = expand_one(text, scope, &self.values(scope))?;
        let relative = !path.starts_with('/') && !self.has_workdir && self.image.config.working_dir.is_empty();
        let resolved = self.resolve(&path);
        self.image.config.working_dir.clone_from(&resolved);
        self.has_workdir = true;
        Ok((resolved, relative))
    }
}

/// Expands a word.
pub(crate) fn expand_one(text: &str, scope: &Scope, values: &Values<'_>) -> Result<String, StepError> {
    expand(text, scope.escape, Quotes::Removed, values).map_err(|error| StepError::Invalid(error.to_string()))
}

fn set_env(env: &mut Vec<String>, name: &str, value: &str) {
    let entry = format!("{name}={value}");
    match env.iter_mut().find(|entry| entry.split_once('=').is_some_and(|(own, _)| own == name)) {
        Some(known) => *known = entry,
        None => env.push(entry),
    }
}

/// `80`, `80/udp`, `8000-8010/tcp`.
fn ports(text: &str) -> Result<Vec<String>, StepError> {
    let invalid = || StepError::Invalid(format!("`{text}` is no port: write 80, 80/udp or 8000-8010"));
    let (range, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = protocol.to_ascii_lowercase();
    if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
        return Err(invalid());
    }
    let range = range.rsplit(':').next().unwrap_or(range);
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let (first, last): (u16, u16) = (first.parse().map_err(|_| invalid())?, last.parse().map_err(|_| invalid())?);
    if first > last {
        return Err(invalid());
    }
    Ok((first..=last).map(|port| format!("{port}/{protocol}")).collect())
}

fn health(check: &Healthcheck) -> ImageHealthcheck {
    let nanoseconds =
        |time: Option<std::time::Duration>| time.map_or(0, |time| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX));
    let test = match &check.command {
        None => vec!["NONE".to_owned()],
        Some(Command::Exec(words)) => [vec!["CMD".to_owned()], words.clone()].concat(),
        Some(Command::Shell(text)) => vec!["CMD-SHELL".to_owned(), text.clone()],
    };
    ImageHealthcheck {
        test,
        interval: nanoseconds(check.interval),
        timeout: nanoseconds(check.timeout),
        start_period: nanoseconds(check.start_period),
        start_interval: nanoseconds(check.start_interval),
        retries: check.retries.unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dockerfile::Dockerfile;

    fn after(lines: &str, given: &[(&str, &str)]) -> State {
        let (file, problems) = Dockerfile::parse(format!("FROM scratch\n{lines}").as_bytes());
        let file = file.unwrap_or_else(|| panic!("{problems:?}"));
        let given = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let globals = BTreeMap::from([("GLOBAL".to_owned(), "of all".to_owned())]);
        let scope = Scope { given, globals, escape: '\\', epoch: None };
        let mut state = State::on(ImageConfig::default());
        for instruction in &file.stages[0].instructions {
            assert!(state.apply(instruction, &scope).unwrap().is_some(), "{}", instruction.text);
        }
        state
    }

    fn env(state: &State) -> String {
        state.image.config.env[1..].join(" ")
    }

    #[test]
    fn values_are_those_from_before_the_instruction() {
        assert_eq!(env(&after("ENV abc=hello\nENV abc=bye def=$abc\nENV ghi=$abc", &[])), "abc=bye def=hello ghi=bye");
    }

    #[test]
    fn arguments_are_known_from_their_line_on_and_env_wins() {
        assert_eq!(env(&after("ENV a=$X\nARG X=1\nENV b=$X", &[])), "a= b=1");
        assert_eq!(env(&after("ARG X=1\nENV b=$X", &[("X", "2")])), "b=2");
        assert_eq!(env(&after("ENV X=3\nARG X=1\nENV b=$X", &[("X", "2")])), "X=3 b=3");
        assert_eq!(env(&after("ARG GLOBAL\nENV b=$GLOBAL", &[])), "b=of all");
        assert_eq!(env(&after("ARG GLOBAL=own\nENV b=$GLOBAL", &[])), "b=own");
        assert_eq!(env(&after("ENV b=$HTTP_PROXY", &[("HTTP_PROXY", "p")])), "b=p");
    }

    #[test]
    fn a_new_entrypoint_drops_the_command_of_the_base_only() {
        let base = State { has_command: false, ..after("CMD [\"a\"]", &[]) };
        assert_eq!(base.image.config.cmd.as_deref(), Some(&["a".to_owned()][..]));
        let mut state = State::after(&base);
        let (file, _) = Dockerfile::parse(b"FROM x\nENTRYPOINT [\"e\"]");
        let scope = Scope { given: BTreeMap::new(), globals: BTreeMap::new(), escape: '\\', epoch: None };
        state.apply(&file.unwrap().stages[0].instructions[0], &scope).unwrap();
        assert_eq!(state.image.config.cmd, None);
        assert!(after("CMD [\"a\"]\nENTRYPOINT [\"e\"]", &[]).image.config.cmd.is_some());
    }

    #[test]
    fn ports_labels_and_the_rest() {
        let state = after(
            "EXPOSE 80 53/udp 8000-8002\nLABEL \"a b\"=\"c d\" e=f\nUSER $U\nSTOPSIGNAL SIGINT\nSHELL [\"/x\"]\nCMD go",
            &[],
        );
        let config = &state.image.config;
        let ports: Vec<&str> = config.exposed_ports.keys().map(String::as_str).collect();
        assert_eq!(ports, ["53/udp", "80/tcp", "8000/tcp", "8001/tcp", "8002/tcp"]);
        assert_eq!(config.labels["a b"], "c d");
        assert_eq!(config.cmd.as_ref().unwrap().join(" "), "/x go");
        assert_eq!(state.image.history.len(), 6);
        assert!(state.image.history.iter().all(|entry| entry["empty_layer"] == true));
    }
}
