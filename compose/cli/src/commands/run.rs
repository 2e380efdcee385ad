//! `run`: one command in a container of its own.
//!
//! What the flags say of the service is one more document, merged after all files: the same words, rules and errors.

use std::io::IsTerminal;
use std::path::Path;

use rcompose_model::{HostFiles, Project};
use rcompose_supervisor::client::Client;
use rcompose_supervisor::messages::{Action, RunOptions};
use serde_json::{Map, Value, json};

use super::attach::DetachKeys;
use super::process::{self, Carry, Outcome, Signals};
use super::up::build_when;
use super::{apply_shown, build, check_names};
use crate::arguments::{PullWhen, Run};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::{self, Progress};
use crate::settings::World;

/// Runs it and ends with its status.
pub(crate) async fn run(world: &World, arguments: Run) -> Result<Exit, CommandError> {
    let services = std::slice::from_ref(&arguments.service);
    let files = world.project_to_start(services, arguments.yes)?;
    check_names(&files, services)?;
    let project = world.project_with(services, document(world, &files, &arguments)?)?;
    let terminals = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let tty = !arguments.no_tty && !arguments.detach && (arguments.tty || terminals);
    let options = RunOptions {
        service: arguments.service.clone(),
        name: arguments.name.clone(),
        no_deps: arguments.no_deps,
        remove_orphans: arguments.remove_orphans,
        use_aliases: arguments.use_aliases,
        tty,
        interactive: arguments.interactive && !arguments.detach,
        pull: arguments.pull.map(PullWhen::policy),
        build: build_when(arguments.build, false),
        build_options: build::on_the_way(world, &project)?,
    };
    let name = project.name.clone();
    let progress = Progress::new(&world.global, "run").quiet_if(arguments.quiet).quiet_pulls_if(arguments.quiet_pull);
    let progress = progress.quiet_builds_if(arguments.quiet_build);
    let making = apply_shown(world, progress, &name, Some(project), Action::Run(options));
    let made = tokio::select! {
        // The supervisor finishes the step that it is in; nothing has been started.
        made = making => made?,
        _ = tokio::signal::ctrl_c() => return Ok(Exit::Interrupted),
    };
    match made {
        Some(id) => start(world, &arguments, &id, tty).await,
        // A dry run.
        None => Ok(Exit::Success),
    }
}

async fn start(world: &World, arguments: &Run, id: &str, tty: bool) -> Result<Exit, CommandError> {
    let mut client = Client::connect(&world.supervisor).await?;
    let Some(stream) = client.start(id, arguments.detach, arguments.rm).await? else {
        output::print(&format!("{id}\n"))?;
        return Ok(Exit::Success);
    };
    // Without a terminal there are no keys, only bytes.
    let detach = if tty { Some(DetachKeys::asked(world, None)?) } else { None };
    let outcome = process::carry(stream, Carry { detach, ..Carry::own(tty, Signals::Forward) }).await?;
    let Outcome::Ended(code) = outcome else { return Ok(Exit::Success) };
    if arguments.rm {
        let mut client = Client::connect(&world.supervisor).await?;
        let _: Value = client.post(&format!("/v1/containers/{id}/removed"), &()).await?;
    }
    Ok(Exit::Status(code))
}

/// What the flags say, as a document of the files' own language.
fn document(world: &World, files: &Project, arguments: &Run) -> Result<String, CommandError> {
    let mut service = Map::new();
    let mut say = |key: &str, value: Value| drop(service.insert(key.to_owned(), value));
    if !arguments.command.is_empty() || arguments.entrypoint.is_some() {
        say("command", literals(&arguments.command));
    }
    let single = [("entrypoint", &arguments.entrypoint), ("user", &arguments.user), ("working_dir", &arguments.workdir)];
    for (key, text) in single.into_iter().filter_map(|(key, text)| Some((key, text.as_ref()?))) {
        say(key, literal(text));
    }
    say("environment", environment(world, arguments)?);
    say("labels", arguments.label.iter().map(|text| pair(text)).collect::<Map<_, _>>().into());
    say("cap_add", literals(&arguments.cap_add));
    say("cap_drop", literals(&arguments.cap_drop));
    let mounts: Vec<String> = arguments.volume.iter().map(|text| from_here(&world.working_dir, text)).collect();
    say("volumes", literals(&mounts));
    let volumes: Map<String, Value> =
        mounts.iter().filter_map(|text| new_volume(files, text)).map(|name| (name.to_owned(), json!({ "name": name }))).collect();
    // A tag is no JSON: the ports of the service are replaced by those of the flags, not added to.
    let ports =
        if arguments.service_ports { String::new() } else { format!("\"ports\": !override {}, ", literals(&arguments.publish)) };
    let (name, rest) = (Value::from(arguments.service.as_str()), Value::from(service).to_string());
    Ok(format!("{{\"services\": {{{name}: {{{ports}{}}}, \"volumes\": {}}}", &rest[1..], Value::from(volumes)))
}

/// Text that means itself: nothing in it is a variable.
fn literal(text: &str) -> Value {
    Value::from(text.replace('$', "$$"))
}

fn literals(texts: &[String]) -> Value {
    texts.iter().map(|text| literal(text)).collect()
}

/// `NAME=value`; a name alone stands for what is set here.
fn pair(text: &str) -> (String, Value) {
    match text.split_once('=') {
        Some((name, value)) => (name.to_owned(), literal(value)),
        None => (text.to_owned(), Value::Null),
    }
}

fn environment(world: &World, arguments: &Run) -> Result<Value, CommandError> {
    let mut all = Map::new();
    for file in &arguments.env_from_file {
        let path = world.working_dir.join(file);
        let read = rcompose_model::read_variables(&path, &HostFiles, &world.environment);
        let entries = read.map_err(|problem| CommandError::Files(vec![problem]))?;
        all.extend(entries.into_iter().map(|(name, value)| (name, literal(&value))));
    }
    all.extend(arguments.env.iter().map(|text| pair(text)));
    Ok(all.into())
}

/// A path that starts with a dot starts where the user stands, not at the files.
fn from_here(working_dir: &Path, text: &str) -> String {
    match text.split_once(':') {
        Some((source, rest)) if source.starts_with('.') => format!("{}:{rest}", working_dir.join(source).display()),
        _ => text.to_owned(),
    }
}

/// The volume that a mount names, if the files do not know it: it keeps its name as it is.
fn new_volume<'a>(files: &Project, text: &'a str) -> Option<&'a str> {
    let (source, _) = text.split_once(':')?;
    let is_name = !source.starts_with(['/', '~']) && !files.volumes.contains_key(source);
    is_name.then_some(source)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_means_itself() {
        assert_eq!(literal("a $B ${C}"), "a $$B $${C}");
        assert_eq!(pair("A=b=$c"), ("A".to_owned(), Value::from("b=$$c")));
        assert_eq!(pair("A"), ("A".to_owned(), Value::Null));
    }

    #[test]
    fn mounts_start_where_the_user_stands() {
        assert_eq!(from_here(Path::new("/here"), "./x:/y:ro"), "/here/./x:/y:ro");
        assert_eq!(from_here(Path::new("/here"), "data:/y"), "data:/y");
        assert_eq!(from_here(Path::new("/here"), "/y"), "/y");
    }
}
