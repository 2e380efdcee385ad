//! What is done to containers as they are: start, stop, restart, kill, pause, unpause, remove.

use rcompose_model::Project;
use rcompose_supervisor::client::Client;
use rcompose_supervisor::messages::{Action, ContainerSummary, LifecycleVerb};

use super::{apply, or_interrupted, ps};
use crate::arguments::{Kill, Rm};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output;
use crate::settings::World;

pub(super) async fn lifecycle(
    world: &World,
    title: &'static str,
    services: Vec<String>,
    what: LifecycleVerb,
    timeout: Option<i64>,
) -> Result<Exit, CommandError> {
    let (name, project) = world.name()?;
    if let Some(project) = &project {
        check_names(project, &services)?;
    }
    or_interrupted(apply(world, title, &name, project, Action::Lifecycle { services, what, timeout })).await
}

pub(super) fn check_names(project: &Project, services: &[String]) -> Result<(), CommandError> {
    let known = |name: &&String| project.services.contains_key(*name) || project.disabled_services.contains(name);
    match services.iter().find(|name| !known(name)) {
        Some(name) => Err(CommandError::Usage(format!("no such service: {name}"))),
        None => Ok(()),
    }
}

pub(super) async fn kill(world: &World, arguments: Kill) -> Result<Exit, CommandError> {
    let alive = chosen(world, &arguments.services, ps::is_alive).await?;
    if alive.is_empty() {
        output::tell("No container to kill\n");
        return Ok(Exit::Success);
    }
    lifecycle(world, "kill", arguments.services, LifecycleVerb::Kill { signal: arguments.signal }, None).await
}

pub(super) async fn remove(world: &World, arguments: Rm) -> Result<Exit, CommandError> {
    let going = chosen(world, &arguments.services, |it| arguments.stop || !ps::is_alive(it)).await?;
    if going.is_empty() {
        output::tell("No stopped containers\n");
        return Ok(Exit::Success);
    }
    let asks = !arguments.force && !world.global.dry_run;
    if asks && !output::confirmed(&format!("Going to remove {}", going.join(", ")))? {
        return Ok(Exit::Success);
    }
    let what = LifecycleVerb::Remove { stop: arguments.stop, volumes: arguments.volumes };
    lifecycle(world, "rm", arguments.services, what, None).await
}

/// Names of the containers of services, of all services if none is named, that are as they should be.
async fn chosen(
    world: &World,
    services: &[String],
    fits: impl Fn(&ContainerSummary) -> bool,
) -> Result<Vec<String>, CommandError> {
    let (name, project) = world.name()?;
    if let Some(project) = &project {
        check_names(project, services)?;
    }
    let mut client = Client::connect(&world.supervisor).await?;
    let all = ps::containers(&mut client, &name).await?.into_iter();
    let named = all.filter(|it| services.is_empty() || services.contains(&it.service));
    Ok(named.filter(|it| fits(it)).map(|it| it.name).collect())
}
