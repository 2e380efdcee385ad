//! Completion: the shell asks this program, which knows commands and flags, the services and profiles of the files, and the projects
//! that there are. What it cannot find out it does not offer; it never starts anything, and says nothing.

use std::ffi::OsStr;
use std::time::Duration;

use clap::{Arg, Command, CommandFactory, FromArgMatches};
use clap_complete::CompleteEnv;
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use clap_complete::env::Shells;
use rcompose_supervisor::client::Client;
use rcompose_supervisor::messages::ProjectSummary;

use crate::arguments::{CommandLine, Completion};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output;
use crate::settings::World;

/// The variable by which a shell says that it asks.
const ASKED: &str = "RCOMPOSE_COMPLETE";
/// A shell that waits longer feels stuck.
const PATIENCE: Duration = Duration::from_millis(200);

/// Answers a shell, and ends; does nothing if none asks.
pub(super) fn answer() {
    CompleteEnv::with_factory(grammar).var(ASKED).complete();
}

/// The script that has a shell ask.
pub(super) fn script(arguments: &Completion) -> Result<Exit, CommandError> {
    let failed = |source| CommandError::System { doing: "write the script".to_owned(), source };
    let usage = match arguments.shell.as_str() {
        "fish" => "#     rcompose completion fish | source",
        shell => &format!("#     source <(rcompose completion {shell})"),
    };
    let mut script = format!("# Words of rcompose. In the file that your shell reads when it starts:\n{usage}\n").into_bytes();
    if let Some(shell) = Shells::builtins().completer(&arguments.shell) {
        shell.write_registration(ASKED, "rcompose", "rcompose", "rcompose", &mut script).map_err(failed)?;
    }
    output::print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Success)
}

/// The command line, whose words know what they can be.
fn grammar() -> Command {
    CommandLine::command().mut_args(complete).mut_subcommands(|command| {
        let scale = command.get_name() == "scale";
        let command = command.mut_subcommands(|below| below.mut_args(complete));
        command.mut_args(move |arg| match arg.get_id().as_str() {
            "services" | "scale" if scale || arg.get_id() == "scale" => arg.add(ArgValueCompleter::new(scales)),
            _ => complete(arg),
        })
    })
}

fn complete(arg: Arg) -> Arg {
    match arg.get_id().as_str() {
        "services" | "service" | "services_wanted" | "attach" | "no_attach" | "exit_code_from" => {
            arg.add(ArgValueCompleter::new(services))
        }
        "project_name" => arg.add(ArgValueCompleter::new(projects)),
        "profile" => arg.add(ArgValueCompleter::new(profiles)),
        _ => arg,
    }
}

/// The world as the words before the cursor describe it.
fn world() -> Option<World> {
    let words = std::env::args_os().skip_while(|word| word != "--").skip(1);
    let given = CommandLine::command().ignore_errors(true).try_get_matches_from(words).ok()?;
    let mut line = CommandLine::from_arg_matches(&given).ok()?;
    World::look(&mut line, &given).ok()
}

fn fitting(names: impl IntoIterator<Item = String>, current: &OsStr) -> Vec<CompletionCandidate> {
    let begun = current.to_string_lossy();
    names.into_iter().filter(|name| name.starts_with(&*begun)).map(CompletionCandidate::new).collect()
}

fn service_names() -> Vec<String> {
    let project = world().and_then(|world| world.load(&[]).project);
    project.map(|it| it.services.into_keys().chain(it.disabled_services).collect()).unwrap_or_default()
}

fn services(current: &OsStr) -> Vec<CompletionCandidate> {
    fitting(service_names(), current)
}

fn scales(current: &OsStr) -> Vec<CompletionCandidate> {
    fitting(service_names().into_iter().map(|name| format!("{name}=")), current)
}

fn profiles(current: &OsStr) -> Vec<CompletionCandidate> {
    let Some(world) = world() else { return Vec::new() };
    let request = rcompose_model::LoadRequest { profiles: vec!["*".to_owned()], ..world.request(&[]) };
    let project = rcompose_model::load(&request, &world.files).project;
    let names = project.into_iter().flat_map(|it| it.services.into_values()).flat_map(|service| service.profiles);
    fitting(names.collect::<std::collections::BTreeSet<_>>(), current)
}

fn projects(current: &OsStr) -> Vec<CompletionCandidate> {
    let Some(world) = world() else { return Vec::new() };
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return Vec::new() };
    let ask = async {
        let mut client = Client::connect_running(&world.supervisor).await?;
        client.get::<Vec<ProjectSummary>>("/v1/projects").await
    };
    let answer = runtime.block_on(async { tokio::time::timeout(PATIENCE, ask).await });
    fitting(answer.ok().and_then(Result::ok).unwrap_or_default().into_iter().map(|project| project.name), current)
}
