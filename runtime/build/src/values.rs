//! What names stand for outside of stages: ARG before the first FROM, the platform, times.

use std::collections::BTreeMap;

use crate::build::Build;
use crate::dockerfile::{Kind, Place, Problem, Quotes, Rule, expand};
use crate::error::BuildError;
use crate::event::BuildEvent;
use crate::platform;
use crate::state::Scope;

impl Build<'_> {
    /// The language is built in; an image that would speak another is named.
    pub(crate) fn frontend(&self) {
        let syntax = self.request.args.get("BUILDKIT_SYNTAX").or(self.file.directives.syntax.as_ref());
        let known = |name: &str| {
            let name = name.strip_prefix("docker.io/").unwrap_or(name);
            ["docker/dockerfile:1", "docker/dockerfile-upstream", "docker/dockerfile"].iter().any(|known| name.starts_with(known))
        };
        if let Some(name) = syntax.filter(|name| !known(name)) {
            let text = format!("`# syntax={name}` names another builder: it is not run, the file is read as a Dockerfile");
            self.tell(BuildEvent::Warning { text });
        }
    }

    /// ARG before the first stage, in order; the platform before all.
    pub(crate) fn global_values(&self) -> Result<BTreeMap<String, String>, BuildError> {
        let target = self.request.target.as_deref().unwrap_or("default");
        let mut globals = platform::arguments(&self.platform, target);
        for (name, value) in &self.request.args {
            if globals.contains_key(name) {
                globals.insert(name.clone(), value.clone());
            }
        }
        for instruction in &self.file.globals {
            let Kind::Arg(arguments) = &instruction.kind else { continue };
            for (name, default) in arguments {
                let value = match (self.request.args.get(name), default) {
                    (Some(given), _) => Some(given.clone()),
                    (None, Some(default)) => Some(self.expand_global(default, &globals, instruction.place)?),
                    (None, None) => None,
                };
                if let Some(value) = value {
                    globals.insert(name.clone(), value);
                }
            }
        }
        Ok(globals)
    }

    /// Expands a text outside of stages.
    fn expand_global(&self, text: &str, globals: &BTreeMap<String, String>, place: Place) -> Result<String, BuildError> {
        let value = |name: &str| {
            globals.get(name).or_else(|| self.request.args.get(name).filter(|_| Scope::is_predefined(name))).cloned()
        };
        let expanded = expand(text, self.file.directives.escape, Quotes::Removed, &value);
        expanded.map_err(|error| BuildError::Dockerfile {
            file: self.file_name.clone(),
            problems: vec![Problem { place, text: error.to_string(), hint: None, rule: None }],
        })
    }

    /// Expands what a FROM says; names without a value are told.
    pub(crate) fn expand_from(&self, text: &str, place: Place) -> Result<String, BuildError> {
        let plain = text.trim_start_matches('$').trim_matches(['{', '}']);
        if text.starts_with('$')
            && !self.globals.contains_key(plain)
            && plain.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        {
            let text = format!("FROM asks for ARG `{plain}`, which has no value before the first stage");
            self.problem(Problem { place, text, hint: None, rule: Some(Rule::UndefinedArgInFrom) });
        }
        self.expand_global(text, &self.globals, place)
    }

    pub(crate) fn scope(&self) -> Scope {
        Scope {
            given: self.request.args.clone(),
            globals: self.globals.clone(),
            escape: self.file.directives.escape,
            epoch: self.epoch().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok()).map(|time| time.to_string()),
        }
    }

    /// When everything is said to have happened, seconds since 1970.
    pub(crate) fn epoch(&self) -> Option<i64> {
        self.request.epoch()
    }

    /// Now, or when everything is said to have happened; RFC 3339.
    pub(crate) fn now(&self) -> String {
        let epoch = self.epoch().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
        epoch.unwrap_or_else(jiff::Timestamp::now).to_string()
    }
}
