//! The rules of `build --check` that need no values: what is worth a warning, by the names that people know.

use std::collections::BTreeSet;

use super::instruction::{Command, Instruction, Kind};
use super::problem::{Place, Problem, Rule};
use super::{Dockerfile, Stage};

/// Looks at a whole file, and takes away what it switched off. With `error=true` warnings are errors.
pub(super) fn check(file: &Dockerfile, problems: &mut Vec<Problem>) {
    casing(file, problems);
    stages(file, problems);
    for stage in &file.stages {
        in_stage(stage, problems);
    }
    let switches = file.directives.check.as_deref().unwrap_or_default();
    let mut skipped = BTreeSet::new();
    let mut errors = false;
    for (key, value) in switches.split(';').filter_map(|part| part.split_once('=')) {
        match key.trim() {
            "skip" => skipped.extend(value.split(',').map(|rule| rule.trim().to_ascii_lowercase())),
            "error" => errors = value.trim() == "true",
            _ => {}
        }
    }
    let off = |rule: Rule| skipped.contains("all") || skipped.contains(&format!("{rule:?}").to_ascii_lowercase());
    problems.retain(|problem| problem.rule.is_none_or(|rule| !off(rule)));
    if errors && let Some(first) = problems.iter().find(|problem| problem.rule.is_some()) {
        let text = format!("{first}; the file asks for warnings to be errors");
        problems.push(Problem::error(first.place, text).hint("mend it, or take `error=true` out of the `check` directive"));
    }
}

fn instructions(file: &Dockerfile) -> impl Iterator<Item = (Place, &str)> {
    let globals = file.globals.iter().map(|it| (it.place, it.text.as_str()));
    let stages = file.stages.iter().flat_map(|stage| {
        std::iter::once((stage.place, stage.text.as_str()))
            .chain(stage.instructions.iter().map(|it| (it.place, it.text.as_str())))
    });
    globals.chain(stages)
}

fn casing(file: &Dockerfile, problems: &mut Vec<Problem>) {
    let keyword = |text: &str| text.split_whitespace().next().unwrap_or_default().to_owned();
    let words: Vec<(Place, String)> = instructions(file).map(|(place, text)| (place, keyword(text))).collect();
    let upper = words.iter().filter(|(_, word)| word.bytes().all(|byte| byte.is_ascii_uppercase())).count();
    let mostly_upper = upper * 2 >= words.len();
    for (place, word) in words {
        let wanted = if mostly_upper { word.to_ascii_uppercase() } else { word.to_ascii_lowercase() };
        if word != wanted {
            let text = format!("`{word}` is not written as most instructions of the file: `{wanted}`");
            problems.push(Problem::warning(place, Rule::ConsistentInstructionCasing, text));
        }
    }
}

fn stages(file: &Dockerfile, problems: &mut Vec<Problem>) {
    let mut names = BTreeSet::new();
    for stage in &file.stages {
        let Some(name) = &stage.from.name else { continue };
        let mut warn = |rule, text| problems.push(Problem::warning(stage.place, rule, text));
        let lower = name.to_ascii_lowercase();
        if *name != lower {
            warn(Rule::StageNameCasing, format!("the name of stage `{name}` should be lower case"));
        }
        if matches!(lower.as_str(), "scratch" | "context") {
            warn(Rule::ReservedStageName, format!("`{name}` means something else and should not name a stage"));
        }
        if !names.insert(lower) {
            warn(Rule::DuplicateStageName, format!("two stages have the name `{name}`"));
        }
    }
    for stage in &file.stages {
        match stage.from.platform.as_deref() {
            Some("$TARGETPLATFORM" | "${TARGETPLATFORM}") => problems.push(Problem::warning(
                stage.place,
                Rule::RedundantTargetPlatform,
                "the platform is $TARGETPLATFORM anyway",
            )),
            Some(platform) if !platform.contains('$') => {
                let named = stage.from.name.as_deref().is_some_and(|name| platform.rsplit('/').any(|part| name.contains(part)));
                if !named {
                    let text = format!("the platform is always `{platform}`: builds for others will not work");
                    problems.push(Problem::warning(stage.place, Rule::FromPlatformFlagConstDisallowed, text));
                }
            }
            _ => {}
        }
    }
}

fn in_stage(stage: &Stage, problems: &mut Vec<Problem>) {
    let mut seen: Vec<(&str, Place)> = Vec::new();
    let mut shell_is_set = false;
    for instruction in &stage.instructions {
        let mut warn = |rule, text: String| problems.push(Problem::warning(instruction.place, rule, text));
        let single = match &instruction.kind {
            Kind::Cmd(_) => Some("CMD"),
            Kind::Entrypoint(_) => Some("ENTRYPOINT"),
            Kind::Healthcheck(_) => Some("HEALTHCHECK"),
            _ => None,
        };
        if let Some(word) = single {
            if seen.iter().any(|(other, _)| *other == word) {
                warn(Rule::MultipleInstructionsDisallowed, format!("of several {word} in a stage only the last counts"));
            }
            seen.push((word, instruction.place));
        }
        match &instruction.kind {
            Kind::Shell(_) => shell_is_set = true,
            Kind::Cmd(Command::Shell(_)) | Kind::Entrypoint(Command::Shell(_)) if !shell_is_set => {
                let text = "a shell stands between the program and its signals: write its words in JSON form";
                warn(Rule::JSONArgsRecommended, text.to_owned());
            }
            Kind::Env(pairs) => pairs.iter().for_each(|(name, _)| secret(instruction, name, problems)),
            Kind::Arg(arguments) => arguments.iter().for_each(|(name, _)| secret(instruction, name, problems)),
            Kind::Expose(text) => exposed(instruction, text, problems),
            _ => {}
        }
    }
}

/// Values of variables are part of the image's history.
fn secret(instruction: &Instruction, name: &str, problems: &mut Vec<Problem>) {
    const WORDS: [&str; 8] = ["apikey", "auth", "credential", "credentials", "key", "password", "secret", "token"];
    const MORE: [&str; 3] = ["pword", "passwd", "pswd"];
    let lower = name.to_ascii_lowercase();
    let parts: Vec<&str> = lower.split('_').collect();
    let suspicious = parts.iter().any(|part| WORDS.contains(part) || MORE.contains(part)) && !parts.contains(&"public");
    if suspicious {
        let text = format!("`{name}` looks like a secret, and would be readable in the image: use RUN --mount=type=secret");
        problems.push(Problem::warning(instruction.place, Rule::SecretsUsedInArgOrEnv, text));
    }
}

fn exposed(instruction: &Instruction, text: &str, problems: &mut Vec<Problem>) {
    for port in text.split_whitespace().filter(|port| !port.contains('$')) {
        if let Some((_, protocol)) = port.split_once('/')
            && protocol.bytes().any(|byte| byte.is_ascii_uppercase())
        {
            let text = format!("the protocol of `{port}` should be lower case");
            problems.push(Problem::warning(instruction.place, Rule::ExposeProtoCasing, text));
        }
        if port.contains(':') {
            let text = format!("`{port}`: EXPOSE takes ports of the container alone, neither addresses nor ports of the host");
            problems.push(Problem::warning(instruction.place, Rule::ExposeInvalidFormat, text));
        }
    }
}
