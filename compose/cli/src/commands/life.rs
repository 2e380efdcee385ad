//! What is done to containers as they are: start, stop, restart, kill, pause, unpause, remove.

use std::collections::BTreeSet;

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

/// Containers of services that are gone from the files are left alone, or taken away.
pub(super) async fn kill(world: &World, mut arguments: Kill) -> Result<Exit, CommandError> {
    let (_, project) = world.name()?;
    let is_known = |service: &String| {
        project.as_ref().is_none_or(|it| it.services.contains_key(service) || it.disabled_services.contains(service))
    };
    let all = arguments.services.is_empty();
    let orphans = chosen(world, &[], |it| all && !is_known(&it.service)).await?;
    let alive = chosen(world, &arguments.services, |it| ps::is_alive(it) && is_known(&it.service)).await?;
    if all {
        arguments.services = services_of(&alive);
    }
    if alive.is_empty() {
        output::tell("No container to kill\n");
    } else {
        lifecycle(world, "kill", arguments.services, LifecycleVerb::Kill { signal: arguments.signal }, None).await?;
    }
    if arguments.remove_orphans && !orphans.is_empty() {
        let (name, project) = world.name()?;
        let what = LifecycleVerb::Remove { stop: true, volumes: false };
        let action = Action::Lifecycle { services: services_of(&orphans), what, timeout: Some(0) };
        or_interrupted(apply(world, "kill", &name, project, action)).await?;
    }
    Ok(Exit::Success)
}

fn services_of(containers: &[ContainerSummary]) -> Vec<String> {
    let services: BTreeSet<&String> = containers.iter().map(|it| &it.service).collect();
    services.into_iter().cloned().collect()
}

pub(super) async fn remove(world: &World, arguments: Rm) -> Result<Exit, CommandError> {
    let going = chosen(world, &arguments.services, |it| arguments.stop || !ps::is_alive(it)).await?;
    if going.is_empty() {
        output::tell("No stopped containers\n");
        return Ok(Exit::Success);
    }
    let asks = !arguments.force && !world.global.dry_run;
    let names: Vec<&str> = going.iter().map(|it| it.name.as_str()).collect();
    if asks && !output::confirmed(&format!("Going to remove {}", names.join(", ")))? {
        return Ok(Exit::Success);
    }
    let what = LifecycleVerb::Remove { stop: arguments.stop, volumes: arguments.volumes };
    lifecycle(world, "rm", arguments.services, what, None).await
}

/// The containers of services, of all services if none is named, that are as they should be.
async fn chosen(
    world: &World,
    services: &[String],
    fits: impl Fn(&ContainerSummary) -> bool,
) -> Result<Vec<ContainerSummary>, CommandError> {
    let (name, project) = world.name()?;
    if let Some(project) = &project {
        check_names(project, services)?;
    }
    let mut client = Client::connect(&world.supervisor).await?;
    let all = ps::containers(&mut client, &name).await?.into_iter();
    let named = all.filter(|it| services.is_empty() || services.contains(&it.service));
    Ok(named.filter(|it| fits(it)).collect())
}
