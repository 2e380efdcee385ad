//! The commands, a file each where they are more than a question.

mod archive;
mod attach;
mod build;
mod builder;
mod commit;
mod completion;
mod config;
mod cp;
mod debug;
mod events;
mod exec;
mod export;
mod filter;
mod generate;
mod graph;
mod image;
mod images;
mod life;
mod lock;
mod login;
mod logs;
mod ls;
mod manual;
mod network;
mod objects;
mod plan;
mod port;
mod process;
mod ps;
mod publish;
mod replica;
mod run;
mod scale;
mod stats;
pub(crate) mod supervisor;
mod system;
mod test;
mod top;
mod transfer;
mod ui;
mod up;
mod usage;
mod version;
mod volume;
mod volumes;
mod wait;
mod watch;
mod why;

use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU32, Ordering};

use clap::{ArgMatches, CommandFactory, FromArgMatches};
use rcompose_model::Project;
use rcompose_supervisor::client::{Client, Lines};
use rcompose_supervisor::messages::{
    Action, ApplyRequest, DownOptions, Event, LifecycleVerb, PullOptions, PushOptions, UpOptions,
};

use crate::arguments::{Command, CommandLine, Down, Pull, PullWhen, Push, Restart, Services, Start, Stop};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::legacy::{Called, METADATA};
use crate::output::{self, Progress};
use crate::settings::World;
use life::{check_names, lifecycle};
use objects::{
    change_nothing_in_dry_runs, described, go_on_after, inspect, joined, pairs, remove_named, show_created, show_removed,
};

/// Reads the command line and does what it says.
pub(crate) fn main() -> ExitCode {
    completion::answer();
    let grammar = CommandLine::command();
    let called = Called::new(std::env::args_os(), &grammar);
    if called.words.get(1).is_some_and(|word| word == METADATA) {
        return version::metadata().unwrap_or(Exit::Failure).into();
    }
    called.warnings.iter().for_each(|warning| output::warn_text(warning));
    let grammar = if called.as_docker_compose { grammar.name("docker-compose").bin_name("docker-compose") } else { grammar };
    let parsed = grammar.try_get_matches_from(&called.words);
    let parsed = parsed.and_then(|given| CommandLine::from_arg_matches(&given).map(|line| (line, given)));
    let (line, given) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => return usage::refuse(&error).into(),
    };
    if line.global.verbose {
        tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(tracing::Level::TRACE).init();
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    crate::terminal::restore_on_panic();
    let problems = output::Problems::asked(&line.global);
    let as_record = line.global.progress == crate::arguments::Progress::Json;
    let result = match runtime {
        Ok(runtime) => {
            let result = runtime.block_on(run(line, &given, called.as_docker_compose));
            // A terminal that is being read on another thread would hold the end up.
            runtime.shutdown_background();
            result
        }
        Err(source) => Err(CommandError::System { doing: "start".to_owned(), source }),
    };
    match result {
        Ok(exit) => exit.into(),
        Err(CommandError::OutputClosed) => Exit::Success.into(),
        Err(CommandError::Files(diagnostics)) => {
            problems.show(&diagnostics);
            Exit::Failure.into()
        }
        Err(error) => {
            output::tell(&if as_record { error.record() } else { error.render() });
            Exit::Failure.into()
        }
    }
}

async fn run(mut line: CommandLine, given: &ArgMatches, as_docker_compose: bool) -> Result<Exit, CommandError> {
    if line.version {
        let arguments = crate::arguments::Version { format: "pretty".to_owned(), short: false };
        return version::version(&arguments, as_docker_compose);
    }
    if let Some(Command::Version(arguments)) = &line.command {
        // It answers whatever is wrong with the world.
        return version::version(arguments, as_docker_compose);
    }
    if line.command.is_none() {
        output::print(&CommandLine::command().render_help().to_string())?;
        return Ok(Exit::Success);
    }
    match &line.command {
        Some(Command::Completion(arguments)) => return completion::script(arguments),
        Some(Command::Man(arguments)) => return manual::write(&arguments.folder),
        _ => {}
    }
    let world = World::look(&mut line, given)?;
    let Some(command) = line.command else { return Ok(Exit::Success) };
    match command {
        Command::Up(arguments) => up::up(&world, arguments).await,
        Command::Create(arguments) => {
            let project = world.project_to_start(&arguments.services, arguments.yes)?;
            let options = UpOptions {
                services: arguments.services.clone(),
                no_start: true,
                force_recreate: arguments.force_recreate,
                no_recreate: arguments.no_recreate,
                remove_orphans: arguments.remove_orphans,
                ignore_orphans: arguments.ignore_orphans,
                scale: up::scale(&arguments.scale)?,
                build: up::build_when(arguments.build, arguments.no_build),
                build_options: build::on_the_way(&world, &project)?,
                pull: arguments.pull.map(PullWhen::policy),
                ..UpOptions::default()
            };
            let progress = Progress::new(&world.global, "create").quiet_pulls_if(arguments.quiet_pull);
            let name = project.name.clone();
            apply_shown(&world, progress, &name, Some(project), Action::Up(options)).await.map(|_| Exit::Success)
        }
        Command::Down(arguments) => down(&world, arguments).await,
        Command::Plan(arguments) => plan::plan(&world, arguments).await,
        Command::Why(arguments) => why::why(&world, arguments).await,
        Command::Ps(arguments) => ps::ps(&world, &arguments).await,
        Command::Logs(arguments) => logs::logs(&world, arguments).await,
        Command::Watch(arguments) => watch::watch(&world, arguments).await,
        Command::Events(arguments) => events::events(&world, arguments).await,
        Command::Stats(arguments) => stats::stats(&world, arguments).await,
        Command::Attach(arguments) => attach::attach(&world, arguments).await,
        Command::Wait(arguments) => wait::wait(&world, arguments).await,
        Command::Scale(arguments) => scale::scale(&world, arguments).await,
        Command::Volumes(arguments) => volumes::volumes(&world, arguments).await,
        Command::Exec(arguments) => exec::exec(&world, arguments).await,
        Command::Debug(arguments) => debug::debug(&world, arguments).await,
        Command::Run(arguments) => run::run(&world, arguments).await,
        Command::Test(arguments) => test::test(&world, arguments).await,
        Command::Build(arguments) => build::build(&world, arguments).await,
        Command::Pull(arguments) => pull(&world, arguments).await,
        Command::Push(arguments) => push(&world, arguments).await,
        Command::Login(arguments) => login::login(&world, arguments).await,
        Command::Logout(arguments) => login::logout(&world, arguments).await,
        Command::Start(Start { services, wait, wait_timeout }) => {
            lifecycle(&world, "start", services, LifecycleVerb::Start { wait, wait_timeout }, None).await
        }
        Command::Stop(Stop { services, timeout }) => lifecycle(&world, "stop", services, LifecycleVerb::Stop, timeout).await,
        Command::Restart(Restart { services, timeout, no_deps }) => {
            lifecycle(&world, "restart", services, LifecycleVerb::Restart { no_deps }, timeout).await
        }
        Command::Kill(arguments) => life::kill(&world, arguments).await,
        Command::Rm(arguments) => life::remove(&world, arguments).await,
        Command::Pause(Services { services }) => lifecycle(&world, "pause", services, LifecycleVerb::Pause, None).await,
        Command::Unpause(Services { services }) => lifecycle(&world, "unpause", services, LifecycleVerb::Unpause, None).await,
        Command::Lock(arguments) => lock::lock(&world, arguments).await,
        Command::Config(arguments) => config::config(&world, &arguments).await,
        Command::Cp(arguments) => cp::cp(&world, &arguments).await,
        Command::Export(arguments) => export::export(&world, &arguments).await,
        Command::Commit(arguments) => commit::commit(&world, arguments).await,
        Command::Generate(arguments) => generate::generate(&world, &arguments).await,
        Command::Publish(arguments) => publish::publish(&world, &arguments).await,
        Command::Graph(arguments) => graph::graph(&world, &arguments).await,
        Command::Viz(arguments) => graph::viz(&world, &arguments),
        Command::Images(arguments) => images::images(&world, &arguments).await,
        Command::Port(arguments) => port::port(&world, &arguments).await,
        Command::Top(Services { services }) => top::top(&world, &services).await,
        Command::Ls(arguments) => ls::ls(&world, &arguments).await,
        Command::Ui => ui::ui(&world).await,
        // They have been answered.
        Command::Version(_) | Command::Completion(_) | Command::Man(_) => Ok(Exit::Success),
        Command::Builder(command) => builder::builder(&world, command).await,
        Command::Image(command) => image::image(&world, command).await,
        Command::Network(command) => network::network(&world, command).await,
        Command::Volume(command) => volume::volume(&world, command).await,
        Command::System(command) => system::system(&world, command).await,
    }
}

/// Has something done to a project and shows how it goes.
async fn apply(
    world: &World,
    title: &'static str,
    name: &str,
    project: Option<Project>,
    action: Action,
) -> Result<Exit, CommandError> {
    apply_shown(world, Progress::new(&world.global, title), name, project, action).await.map(|_| Exit::Success)
}

/// What `command` asks of the supervisor, as the flags that all commands have say.
fn apply_request(world: &World, command: &str, name: &str, project: Option<Project>, action: Action) -> ApplyRequest {
    ApplyRequest {
        project_name: name.to_owned(),
        project,
        action,
        command: command.to_owned(),
        ticket: ticket(),
        dry_run: world.global.dry_run,
        // Anything below 1 is no limit.
        parallel: usize::try_from(world.global.parallel).ok().and_then(NonZeroUsize::new),
        offline: world.global.offline,
    }
}

/// Different for each request of each process.
fn ticket() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let now = jiff::Timestamp::now().as_nanosecond();
    format!("{}-{now}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// As [`apply`]; gives the id of the container that was made for one command.
async fn apply_shown(
    world: &World,
    progress: Progress,
    name: &str,
    project: Option<Project>,
    action: Action,
) -> Result<Option<String>, CommandError> {
    let request = apply_request(world, progress.title(), name, project, action);
    apply_requested(world, progress, &request).await
}

/// As [`apply_shown`], of what has been put together already.
async fn apply_requested(world: &World, mut progress: Progress, request: &ApplyRequest) -> Result<Option<String>, CommandError> {
    let mut client = Client::connect(&world.supervisor).await?;
    let mut events = client.stream("/v1/apply", request).await?;
    let shown = show_until_done(&mut events, &mut progress).await;
    progress.finish();
    shown
}

/// Gives the id of the container that was made for one command.
async fn show_until_done(events: &mut Lines, progress: &mut Progress) -> Result<Option<String>, CommandError> {
    let mut made = None;
    let mut ticks = tokio::time::interval(output::TICK);
    while let Some(event) = progress.tick_until(&mut ticks, events.next::<Event>()).await? {
        progress.show(&event);
        match event {
            Event::Failed(failure) => return Err(CommandError::Failed(failure)),
            Event::Made { id, .. } => made = Some(id),
            _ => {}
        }
    }
    Ok(made)
}

async fn pull(world: &World, arguments: Pull) -> Result<Exit, CommandError> {
    let project = world.project(&arguments.services)?;
    let options = PullOptions {
        services: arguments.services,
        include_deps: arguments.include_deps,
        ignore_failures: arguments.ignore_pull_failures,
        // What is built here is in no lock.
        ignore_buildable: arguments.ignore_buildable || arguments.locking.locked,
        policy: arguments.policy.map(PullWhen::policy),
    };
    let name = project.name.clone();
    let progress = Progress::new(&world.global, "pull").quiet_if(arguments.quiet);
    let work = apply_shown(world, progress, &name, Some(project), Action::Pull(options));
    or_interrupted(async { work.await.map(|_| Exit::Success) }).await
}

async fn push(world: &World, arguments: Push) -> Result<Exit, CommandError> {
    let project = world.project(&arguments.services)?;
    let options = PushOptions {
        services: arguments.services,
        include_deps: arguments.include_deps,
        ignore_failures: arguments.ignore_push_failures,
    };
    let name = project.name.clone();
    let progress = Progress::new(&world.global, "push").quiet_if(arguments.quiet);
    let work = apply_shown(world, progress, &name, Some(project), Action::Push(options));
    or_interrupted(async { work.await.map(|_| Exit::Success) }).await
}

/// Ctrl-C, or being told to end, cancels the command; what it asked for goes on in the supervisor.
async fn or_interrupted(work: impl Future<Output = Result<Exit, CommandError>>) -> Result<Exit, CommandError> {
    let failed = |source| CommandError::System { doing: "wait for signals".to_owned(), source };
    let mut told = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).map_err(failed)?;
    tokio::select! {
        // An end either way; the supervisor finishes the step that it is in.
        result = work => result,
        _ = tokio::signal::ctrl_c() => Ok(Exit::Interrupted),
        _ = told.recv() => Ok(Exit::Interrupted),
    }
}

async fn down(world: &World, arguments: Down) -> Result<Exit, CommandError> {
    let (name, project) = world.name()?;
    let options = DownOptions {
        services: arguments.services,
        remove_orphans: arguments.remove_orphans,
        volumes: arguments.volumes,
        images: arguments.rmi,
        timeout: arguments.timeout,
    };
    or_interrupted(apply(world, "down", &name, project, Action::Down(options))).await
}
