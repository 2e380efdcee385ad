//! What the commands on images, networks and volumes have in common.

use rcompose_supervisor::client::{Client, ClientError};
use rcompose_supervisor::messages::{Created, Failure, Named, Removed, ResourceSummary};
use serde_json::Value;

use crate::arguments::Remove;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::{self, Template, words, wrong_template};
use crate::settings::World;

/// `--dry-run` shows plans; a command that makes none, and changes something, does nothing then.
pub(super) fn change_nothing_in_dry_runs(world: &World, changes: bool) -> Result<(), CommandError> {
    if changes && world.global.dry_run {
        return Err(CommandError::Usage("`--dry-run` shows plans, and this command makes none".to_owned()));
    }
    Ok(())
}

/// Shows descriptions: an array, or what a template makes of each.
pub(super) fn inspect(found: Vec<Value>, format: Option<&str>) -> Result<Exit, CommandError> {
    match format {
        None | Some("json") => output::print(&format!("{:#}\n", Value::Array(found)))?,
        Some(text) => {
            let template = Template::parse(text).map_err(|error| wrong_template(&error))?;
            for one in found {
                let filled = template.fill(&one, &one["Labels"]).map_err(|error| wrong_template(&error))?;
                output::print(&format!("{filled}\n"))?;
            }
        }
    }
    Ok(Exit::Success)
}

/// Those that were asked for, by name, id, or the beginning of an id.
pub(super) fn described(all: Vec<ResourceSummary>, kind: &str, names: &[String]) -> Result<Vec<Value>, CommandError> {
    let by_id =
        |it: &&ResourceSummary, name: &str| name.len() >= 4 && it.inspect["Id"].as_str().is_some_and(|id| id.starts_with(name));
    let find = |name: &String| {
        let found = all.iter().find(|it| it.name == *name).or_else(|| all.iter().find(|it| by_id(it, name)));
        let missing = || ClientError::Refused(Failure::text(format!("no such {kind}: {name}")));
        found.map(|it| it.inspect.clone()).ok_or_else(|| missing().into())
    };
    names.iter().map(find).collect()
}

/// Shows what was refused of one of several things, which does not keep the others from being done.
pub(super) fn go_on_after(error: ClientError) -> Result<Exit, CommandError> {
    match CommandError::from(error) {
        refused @ CommandError::Client(ClientError::Refused(_)) => {
            output::tell(&refused.render());
            Ok(Exit::Failure)
        }
        other => Err(other),
    }
}

/// Removes each, and goes on after one that could not be.
pub(super) async fn remove_named(client: &mut Client, path: &str, arguments: Remove) -> Result<Exit, CommandError> {
    let mut exit = Exit::Success;
    for name in arguments.names {
        match client.post::<Removed>(path, &Named { name, force: arguments.force }).await {
            Ok(removed) => removed.deleted.iter().try_for_each(|name| output::print(&format!("{name}\n")))?,
            Err(ClientError::Refused(failure)) if arguments.force && failure.message.contains("not found") => {}
            Err(error) => exit = go_on_after(error)?,
        }
    }
    Ok(exit)
}

/// `KEY=VALUE`s of a command line; a key alone has no value.
pub(super) fn pairs(words: &[String]) -> std::collections::BTreeMap<String, String> {
    let pair = |word: &String| {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        (key.to_owned(), value.to_owned())
    };
    words.iter().map(pair).collect()
}

/// What was made, by which it is known.
pub(super) fn show_created(created: &Created) -> Result<Exit, CommandError> {
    created.warnings.iter().for_each(|text| output::warn_text(text));
    output::print(&format!("{}\n", created.id))?;
    Ok(Exit::Success)
}

/// What went, under a heading, and how many bytes with it where they were counted.
pub(super) fn show_removed(heading: &str, lines: Vec<String>, reclaimed: Option<u64>) -> Result<Exit, CommandError> {
    let mut text = String::new();
    if !lines.is_empty() {
        text = format!("{heading}:\n{}\n\n", lines.join("\n"));
    }
    if let Some(count) = reclaimed {
        text.push_str(&format!("Total reclaimed space: {}\n", words::bytes(count)));
    }
    output::print(&text)?;
    Ok(Exit::Success)
}

/// Labels in one line.
pub(super) fn joined(labels: &Value) -> String {
    let entries = labels.as_object().into_iter().flatten();
    entries.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect::<Vec<_>>().join(",")
}
