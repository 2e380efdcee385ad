//! `up`.

mod browser;
mod follow;
mod keyboard;
mod menu;

use std::collections::BTreeMap;

use rcompose_model::Project;
use rcompose_model::project::Service;
use rcompose_supervisor::client::Client;
use rcompose_supervisor::messages::{Action, LifecycleVerb, UpOptions};

use rcompose_plan::BuildWhen;
use rcompose_supervisor::Settings;

use super::{apply, apply_request, apply_requested, build, ps, watch};
use crate::arguments::{Ports, PullWhen, Up};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::{self, Progress};
use crate::settings::World;

/// Brings the stack up, and stays with it unless told not to.
pub(crate) async fn up(world: &World, arguments: Up) -> Result<Exit, CommandError> {
    let mut project = world.project_to_start(&arguments.services, arguments.yes)?;
    if arguments.watch {
        project = watch::built_first(project);
    }
    let name = project.name.clone();
    if let Some(service) = &arguments.exit_code_from
        && !project.services.contains_key(service)
    {
        return Err(CommandError::Usage(format!("no such service: {service}: not found")));
    }
    let options = UpOptions {
        services: arguments.services.clone(),
        no_deps: arguments.no_deps,
        no_start: arguments.no_start,
        force_recreate: arguments.force_recreate,
        no_recreate: arguments.no_recreate,
        always_recreate_deps: arguments.always_recreate_deps,
        remove_orphans: arguments.remove_orphans,
        ignore_orphans: arguments.ignore_orphans,
        renew_anonymous_volumes: arguments.renew_anon_volumes,
        scale: scale(&arguments.scale)?,
        timeout: arguments.timeout,
        wait: arguments.wait,
        wait_timeout: arguments.wait_timeout,
        pull: arguments.pull.map(PullWhen::policy),
        build: build_when(arguments.build, arguments.no_build),
        substitute_ports: arguments.ports == Some(Ports::Auto),
        build_options: build::on_the_way(world, &project)?,
    };
    let watching = watching(&arguments, &options);
    let session = match &watching {
        _ if world.global.dry_run => None,
        // Before anything is built, so that no change is between the two.
        Some(watching) if arguments.watch || arguments.live => {
            Some(watch::Session::begin(world, project.clone(), watching.clone()).await?)
        }
        _ => None,
    };
    let began = jiff::Timestamp::now();
    let detached = arguments.detach || arguments.wait || arguments.no_start || world.global.dry_run;
    let shown = shown(&project, &arguments)?;
    let progress = Progress::new(&world.global, "up");
    let progress = progress.quiet_pulls_if(arguments.quiet_pull).quiet_builds_if(arguments.quiet_build);
    let mut interrupts = follow::Interrupts::listen()?;
    let request = apply_request(world, "up", &name, Some(project.clone()), Action::Up(options));
    let bringing = apply_requested(world, progress, &request);
    tokio::select! {
        // The supervisor finishes the step that it is in; what runs then is stopped below.
        result = bringing => if result.map(|_| detached)? { return Ok(Exit::Success) },
        () = interrupts.next() => {
            cancel(&world.supervisor, &request.ticket).await?;
            if !detached {
                stop(world, &name, arguments.timeout, &mut interrupts).await?;
            }
            return Ok(Exit::Interrupted);
        }
    }
    let since = i64::try_from(began.as_nanosecond()).unwrap_or(0);
    let attach = follow::Attach { world, project, arguments: &arguments, services: shown, since, watching, session };
    follow::follow(attach, &mut interrupts).await
}

/// What is watched meanwhile, from the beginning or when a key asks for it; nothing where images are not to be built.
fn watching(arguments: &Up, up: &UpOptions) -> Option<watch::Options> {
    (!arguments.no_build || arguments.live).then(|| watch::Options {
        services: arguments.services.clone(),
        rules: arguments.watch || !arguments.live,
        live: true,
        prune: true,
        up: UpOptions {
            force_recreate: false,
            renew_anonymous_volumes: false,
            build: build_when(false, arguments.no_build),
            ..up.clone()
        },
    })
}

/// When services with a build section are built.
pub(crate) fn build_when(always: bool, never: bool) -> BuildWhen {
    match (always, never) {
        (true, _) => BuildWhen::Always,
        (false, true) => BuildWhen::Never,
        (false, false) => BuildWhen::AsAsked,
    }
}

/// The services whose output is shown.
fn shown(project: &Project, arguments: &Up) -> Result<Vec<String>, CommandError> {
    for name in arguments.attach.iter().chain(&arguments.no_attach) {
        if !project.services.contains_key(name) {
            return Err(CommandError::Usage(format!("no such service: {name}")));
        }
    }
    let mut with_dependencies = arguments.services.clone();
    let mut position = 0;
    while let Some(service) = with_dependencies.get(position).and_then(|name| project.services.get(name)) {
        let new: Vec<String> = service.depends_on.keys().filter(|name| !with_dependencies.contains(name)).cloned().collect();
        with_dependencies.extend(new);
        position += 1;
    }
    let named = |service: &&Service| match (arguments.attach.as_slice(), arguments.services.as_slice()) {
        ([], []) => service.attach,
        ([], services) if !arguments.attach_dependencies => services.contains(&service.name),
        ([], _) => with_dependencies.contains(&service.name),
        (attach, _) => attach.contains(&service.name),
    };
    let chosen = project.services.values().filter(named).map(|service| service.name.clone());
    Ok(chosen.filter(|name| !arguments.no_attach.contains(name)).collect())
}

/// Reads `web=3`.
pub(crate) fn scale(arguments: &[String]) -> Result<BTreeMap<String, u32>, CommandError> {
    let entry = |text: &String| {
        let parsed = text.split_once('=').and_then(|(service, count)| Some((service.to_owned(), count.parse().ok()?)));
        parsed.ok_or_else(|| CommandError::Usage(format!("invalid --scale option \"{text}\": expected SERVICE=N")))
    };
    arguments.iter().map(entry).collect()
}

async fn exit_code_of(settings: &Settings, name: &str, service: &str) -> Result<i32, CommandError> {
    let mut client = Client::connect(settings).await?;
    let containers = ps::containers(&mut client, name).await?;
    Ok(containers.iter().find(|container| container.service == service).map_or(0, |container| container.exit_code))
}

/// Stops the stack; a second signal kills it.
async fn stop(world: &World, name: &str, timeout: Option<i64>, interrupts: &mut follow::Interrupts) -> Result<(), CommandError> {
    output::tell("\nGracefully Stopping... press Ctrl+C again to force\n");
    let action = Action::Lifecycle { services: Vec::new(), what: LifecycleVerb::Stop, timeout };
    let stopping = apply(world, "stop", name, None, action);
    tokio::select! {
        result = stopping => result.map(drop),
        // The stop goes on in the supervisor; the kill only makes it shorter.
        () = interrupts.next() => kill(&world.supervisor, name, &[]).await,
    }
}

/// What is being done is done, and nothing after it.
async fn cancel(settings: &Settings, ticket: &str) -> Result<(), CommandError> {
    let mut client = Client::connect(settings).await?;
    let _: serde_json::Value = client.post(&format!("/v1/applies/{ticket}/cancel"), &()).await?;
    Ok(())
}

/// Not through the project's lock, which the stop holds.
pub(super) async fn kill(settings: &Settings, name: &str, services: &[String]) -> Result<(), CommandError> {
    let mut client = Client::connect(settings).await?;
    let _: serde_json::Value = client.post(&format!("/v1/projects/{name}/kill"), &services).await?;
    Ok(())
}
