//! Taking a project away.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use petgraph::stable_graph::NodeIndex;
use rcompose_model::Project;

use crate::cause::Reason;
use crate::graph::Dependencies;
use crate::observed::{Container, Observed};
use crate::{Cause, Operation, Plan, PlanError, up};

/// What `down` asks for.
#[derive(Debug, Clone, Default)]
pub struct Down {
    /// Only these services and what depends on them; empty is all.
    pub services: Vec<String>,
    /// Also containers of services that are gone from the files, and one-off ones.
    pub remove_orphans: bool,
    /// Also named volumes of the files, and anonymous ones.
    pub volumes: bool,
    /// Also images.
    pub images: Option<ImageRemoval>,
    /// Instead of the containers' grace periods.
    pub timeout: Option<Duration>,
}

/// Which images `down` removes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageRemoval {
    /// Those without a name of their own in the files.
    Local,
    /// All that the files name.
    All,
}

/// Plans to take away what exists of a project.
///
/// With `project`, what its files know decides what is an orphan and which volumes go; without, everything that was made
/// for the project name.
///
/// # Errors
/// A service that is not there; a cycle in the files.
pub fn down(name: &str, project: Option<&Project>, observed: &Observed, request: &Down) -> Result<Plan, PlanError> {
    let graph = match project {
        Some(project) => Dependencies::of_project(project)?,
        None => Dependencies::of_observed(observed),
    };
    let containers = going(project, &graph, observed, request)?;
    let mut plan = Plan::default();
    let removed = remove_containers(&mut plan, &graph, &containers, request);
    if request.services.is_empty() {
        warn_of_survivors(&mut plan, project, observed, &containers);
        remove_networks(&mut plan, name, observed, &containers, &removed);
        if request.volumes {
            remove_volumes(&mut plan, name, project, observed, &containers, &removed);
        }
        if let (Some(which), Some(project)) = (request.images, project) {
            remove_images(&mut plan, project, which, &removed);
        }
    }
    Ok(plan)
}

/// Chooses the containers that go.
fn going<'a>(
    project: Option<&Project>,
    graph: &Dependencies,
    observed: &'a Observed,
    request: &Down,
) -> Result<Vec<&'a Container>, PlanError> {
    if !request.services.is_empty() {
        for name in &request.services {
            let known = observed.containers.iter().any(|container| container.service == *name)
                || project.is_some_and(|project| project.services.contains_key(name));
            if !known {
                return Err(PlanError::NoSuchService { name: name.clone(), suggestion: None });
            }
        }
        let services = graph.with_dependents(request.services.iter().map(String::as_str));
        return Ok(of_services(observed, &services));
    }
    let goes = |container: &&Container| match project {
        // Kept because it failed, to be looked at until now.
        _ if container.hook => true,
        // What was run once goes whichever profile its service is of.
        _ if request.remove_orphans && container.one_off => true,
        _ if request.remove_orphans => project.is_none_or(|project| !project.disabled_services.contains(&container.service)),
        Some(project) => !container.one_off && project.services.contains_key(&container.service),
        None => !container.one_off,
    };
    Ok(observed.containers.iter().filter(goes).collect())
}

fn of_services<'a>(observed: &'a Observed, services: &BTreeSet<&str>) -> Vec<&'a Container> {
    let goes = |container: &&Container| (!container.one_off || container.hook) && services.contains(container.service.as_str());
    observed.containers.iter().filter(goes).collect()
}

/// Dependents stop before what they depend on. Gives the removals by container id.
fn remove_containers<'a>(
    plan: &mut Plan,
    graph: &Dependencies,
    containers: &[&'a Container],
    request: &Down,
) -> BTreeMap<&'a str, NodeIndex> {
    let mut removed = BTreeMap::new();
    let mut stops: BTreeMap<&str, Vec<NodeIndex>> = BTreeMap::new();
    for container in containers {
        let cause = Cause::new(Reason::Requested);
        let (stop, removal) = up::remove(plan, container, &cause, request.volumes, request.timeout);
        stops.entry(&container.service).or_default().extend(stop);
        removed.insert(container.id.as_str(), removal);
    }
    for (service, earlier) in &stops {
        for edge in graph.of(service) {
            for &later in stops.get(edge.service.as_str()).into_iter().flatten() {
                earlier.iter().for_each(|&stop| plan.order(stop, later));
            }
        }
    }
    removed
}

fn warn_of_survivors(plan: &mut Plan, project: Option<&Project>, observed: &Observed, going: &[&Container]) {
    let stays = |container: &&Container| !going.iter().any(|other| other.id == container.id);
    let survivors: Vec<&Container> = observed.containers.iter().filter(stays).collect();
    let disabled = |container: &Container| project.is_some_and(|it| it.disabled_services.contains(&container.service));
    let (of_profiles, orphans): (Vec<&Container>, Vec<&Container>) =
        survivors.into_iter().partition(|container| disabled(container) && !container.one_off);
    let names = |of: &[&Container]| of.iter().map(|it| it.name.as_str()).collect::<Vec<_>>().join(" ");
    if !of_profiles.is_empty() {
        plan.warn(format!(
            "containers of services that no active profile enables stay ([{}]); name their profiles with `--profile`",
            names(&of_profiles)
        ));
    }
    if !orphans.is_empty() {
        plan.warn(format!(
            "Found orphan containers ([{}]) for this project; `--remove-orphans` removes them too",
            names(&orphans)
        ));
    }
}

fn remove_networks(plan: &mut Plan, name: &str, observed: &Observed, going: &[&Container], removed: &BTreeMap<&str, NodeIndex>) {
    for (network, _) in observed.networks.iter().filter(|(_, network)| network.project.as_deref() == Some(name)) {
        let operation = plan.add(Operation::RemoveNetwork { name: network.clone() }, Cause::new(Reason::Requested));
        for container in going.iter().filter(|container| container.networks.contains(network)) {
            plan.order(removed[container.id.as_str()], operation);
        }
    }
}

fn remove_volumes(
    plan: &mut Plan,
    name: &str,
    project: Option<&Project>,
    observed: &Observed,
    going: &[&Container],
    removed: &BTreeMap<&str, NodeIndex>,
) {
    let named_in_files: Option<BTreeSet<&str>> =
        project.map(|it| it.volumes.values().filter(|volume| !volume.external).map(|volume| volume.name.as_str()).collect());
    for (volume, found) in &observed.volumes {
        let asked = match &named_in_files {
            Some(names) => names.contains(volume.as_str()),
            None => found.project.as_deref() == Some(name),
        };
        if asked {
            let operation = plan.add(Operation::RemoveVolume { name: volume.clone() }, Cause::new(Reason::Requested));
            for container in going.iter().filter(|container| container.volumes.contains(volume)) {
                plan.order(removed[container.id.as_str()], operation);
            }
        }
    }
}

fn remove_images(plan: &mut Plan, project: &Project, which: ImageRemoval, removed: &BTreeMap<&str, NodeIndex>) {
    let references: BTreeSet<String> = project
        .services
        .values()
        .filter_map(|service| match (&service.image, which) {
            // A directory of the host is nobody's to remove.
            (Some(image), ImageRemoval::All) => Some(image.clone()).filter(|image| !image.starts_with("rootfs:")),
            (Some(_), ImageRemoval::Local) => None,
            (None, _) => Some(format!("{}-{}", project.name, service.name)),
        })
        .collect();
    for reference in references {
        let operation = plan.add(Operation::RemoveImage { reference }, Cause::new(Reason::Requested));
        removed.values().for_each(|&removal| plan.order(removal, operation));
    }
}
