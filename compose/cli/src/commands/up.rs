//! `up`.

use std::collections::BTreeMap;

use rcompose_model::Project;
use rcompose_model::project::Service;
use rcompose_supervisor::client::Client;
use rcompose_supervisor::messages::{Action, LifecycleVerb, LogEvent, LogsRequest, UpOptions};

use rcompose_plan::BuildWhen;

use super::{apply, apply_shown, build, ps};
use crate::arguments::{PullWhen, Up};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::{self, LogPrinter, Progress};
use crate::settings::World;

/// Brings the stack up, and stays with it unless told not to.
pub(crate) async fn up(world: &World, arguments: Up) -> Result<Exit, CommandError> {
    let project = world.project_to_start(&arguments.services, arguments.yes)?;
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
        build_options: build::on_the_way(world, &project)?,
    };
    let began = jiff::Timestamp::now();
    let detached = arguments.detach || arguments.wait || arguments.no_start || world.global.dry_run;
    let shown = shown(&project, &arguments)?;
    let progress = Progress::new(&world.global, "up");
    let progress = progress.quiet_pulls_if(arguments.quiet_pull).quiet_builds_if(arguments.quiet_build);
    let bringing = apply_shown(world, progress, &name, Some(project), Action::Up(options));
    tokio::select! {
        // The supervisor finishes the step that it is in; what runs then is stopped below.
        result = bringing => if result.map(|_| detached)? { return Ok(Exit::Success) },
        _ = tokio::signal::ctrl_c() => {
            if !detached {
                stop(world, &name, arguments.timeout).await?;
            }
            return Ok(Exit::Interrupted);
        }
    }
    let since = i64::try_from(began.as_nanosecond()).unwrap_or(0);
    follow(world, &name, &arguments, shown, since).await
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

/// Shows output until everything has ended, or Ctrl-C.
async fn follow(world: &World, name: &str, arguments: &Up, services: Vec<String>, since: i64) -> Result<Exit, CommandError> {
    let mut client = Client::connect(&world.supervisor).await?;
    let mut printer = LogPrinter::new(&world.global, name, arguments.no_color, !arguments.no_log_prefix, arguments.timestamps);
    let mut attached: Vec<String> = Vec::new();
    for container in ps::containers(&mut client, name).await? {
        if services.contains(&container.service) {
            printer.expect(&container.name);
            attached.push(printer.short(&container.name).to_owned());
        }
    }
    attached.sort();
    output::print(&format!("Attaching to {}\n", attached.join(", ")))?;
    let request = LogsRequest {
        project: name.to_owned(),
        services,
        follow: true,
        since: Some(since),
        until_ended: true,
        ..LogsRequest::default()
    };
    let mut lines = client.stream("/v1/logs", &request).await?;
    let mut aborted: Option<i32> = None;
    loop {
        let event = tokio::select! {
            // What has been read of a line stays in the stream's buffer.
            event = lines.next::<LogEvent>() => event?,
            _ = tokio::signal::ctrl_c() => {
                output::print("\nGracefully Stopping... press Ctrl+C again to force\n")?;
                stop(world, name, arguments.timeout).await?;
                return Ok(Exit::Interrupted);
            }
        };
        match event {
            None => break,
            Some(LogEvent::Line { container, time, text, .. }) => printer.line(&container, time, &text)?,
            Some(LogEvent::Exited { container, service, code, restarting }) => {
                printer.ended(&container, code, restarting)?;
                let all = arguments.abort_on_container_exit || arguments.exit_code_from.is_some();
                let abort = !restarting && (all || (arguments.abort_on_container_failure && code != 0));
                if abort && aborted.is_none() {
                    let own = arguments.exit_code_from.as_ref().is_none_or(|wanted| *wanted == service);
                    aborted = Some(if own { code } else { 0 });
                    output::tell("Aborting on container exit...\n");
                    stop(world, name, arguments.timeout).await?;
                    if let Some(wanted) = arguments.exit_code_from.as_ref().filter(|_| !own) {
                        aborted = Some(exit_code_of(world, name, wanted).await?);
                    }
                }
            }
        }
    }
    Ok(aborted.map_or(Exit::Success, Exit::Status))
}

async fn exit_code_of(world: &World, name: &str, service: &str) -> Result<i32, CommandError> {
    let mut client = Client::connect(&world.supervisor).await?;
    let containers = ps::containers(&mut client, name).await?;
    Ok(containers.iter().find(|container| container.service == service).map_or(0, |container| container.exit_code))
}

/// Stops the stack; a second Ctrl-C kills it.
async fn stop(world: &World, name: &str, timeout: Option<i64>) -> Result<(), CommandError> {
    let action = Action::Lifecycle { services: Vec::new(), what: LifecycleVerb::Stop, timeout };
    tokio::select! {
        // The stop goes on in the supervisor; the kill only makes it shorter.
        result = apply(world, "stop", name, None, action) => result.map(drop),
        _ = tokio::signal::ctrl_c() => kill(world, name).await,
    }
}

/// Not through the project's lock, which the stop holds.
async fn kill(world: &World, name: &str) -> Result<(), CommandError> {
    let mut client = Client::connect(&world.supervisor).await?;
    let _: serde_json::Value = client.post(&format!("/v1/projects/{name}/kill"), &()).await?;
    Ok(())
}
