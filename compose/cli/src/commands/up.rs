//! `up`.

use std::collections::BTreeMap;

use rcompose_supervisor::client::Client;
use rcompose_supervisor::messages::{Action, LifecycleVerb, LogEvent, LogsRequest, UpOptions};

use super::{apply, ps};
use crate::arguments::Up;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::{self, LogPrinter};
use crate::settings::World;

/// Brings the stack up, and stays with it unless told not to.
pub(crate) async fn up(world: &World, arguments: Up) -> Result<Exit, CommandError> {
    let project = world.project(&arguments.services)?;
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
        renew_anonymous_volumes: arguments.renew_anon_volumes,
        scale: scale(&arguments.scale)?,
        timeout: arguments.timeout,
        wait: arguments.wait,
        wait_timeout: arguments.wait_timeout,
    };
    let began = jiff::Timestamp::now();
    let detached = arguments.detach || arguments.wait || arguments.no_start || world.global.dry_run;
    let shown: Vec<String> =
        project.services.values().filter(|service| service.attach).map(|service| service.name.clone()).collect();
    let bringing = apply(world, "up", &name, Some(project), Action::Up(options));
    tokio::select! {
        // The supervisor finishes the step that it is in; what runs then is stopped below.
        result = bringing => if detached || result.is_err() { return result },
        _ = tokio::signal::ctrl_c() => {
            if !detached {
                stop(world, &name, arguments.timeout).await?;
            }
            return Ok(Exit::Interrupted);
        }
    }
    let since = i64::try_from(began.as_nanosecond()).unwrap_or(0);
    let services = if arguments.services.is_empty() { shown } else { arguments.services.clone() };
    follow(world, &name, &arguments, services, since).await
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
