//! Containers as they are: start, stop, restart, kill, pause, unpause, remove.
//!
//! The order of services is remembered by their containers, so that these commands work without the files.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use petgraph::stable_graph::NodeIndex;
use rcompose_model::project::Condition;

use crate::cause::Reason;
use crate::graph::{Dependencies, Edge};
use crate::observed::{Container, Observed, State};
use crate::up::{already_fulfilled, existing, remove};
use crate::{Cause, Operation, Plan, PlanError};

/// What is done to the containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lifecycle {
    /// Started, dependencies first.
    Start,
    /// Stopped, dependents first.
    Stop {
        /// Instead of their grace periods.
        timeout: Option<Duration>,
    },
    /// Stopped and started.
    Restart {
        /// Instead of their grace periods.
        timeout: Option<Duration>,
        /// Leaves dependents that were declared with `restart: true` alone.
        no_deps: bool,
    },
    /// Signalled, all at once.
    Kill {
        /// `SIGKILL`, `HUP`, `9`.
        signal: String,
    },
    /// Frozen.
    Pause,
    /// Thawed.
    Unpause,
    /// Removed if they do not run.
    Remove {
        /// Those that run are stopped first.
        stop: bool,
        /// With their anonymous volumes.
        volumes: bool,
    },
}

/// Plans `what` for the containers of `services`; of all services if none is named.
///
/// # Errors
/// A service of which no container exists.
pub fn lifecycle(observed: &Observed, services: &[String], what: &Lifecycle) -> Result<Plan, PlanError> {
    check_services(observed, services, what)?;
    let graph = Dependencies::of_observed(observed);
    let chosen = choose(&graph, observed, services, what);
    let mut plan = Plan::default();
    match what {
        Lifecycle::Start => drop(start(&mut plan, &graph, observed, &idle(&chosen), &BTreeMap::new())),
        Lifecycle::Stop { timeout } => drop(stop(&mut plan, &graph, &alive(&chosen), *timeout)),
        Lifecycle::Restart { timeout, .. } => {
            let stops = stop(&mut plan, &graph, &alive(&chosen), *timeout);
            let replicas: Vec<&Container> = chosen.into_iter().filter(|container| !container.one_off).collect();
            start(&mut plan, &graph, observed, &replicas, &stops);
        }
        Lifecycle::Kill { signal } => {
            for container in alive(&chosen) {
                let operation = Operation::KillContainer { container: existing(container), signal: signal.clone() };
                plan.add(operation, requested());
            }
        }
        Lifecycle::Pause => {
            for container in chosen.iter().filter(|container| matches!(container.state, State::Running { .. })) {
                plan.add(Operation::PauseContainer { container: existing(container) }, requested());
            }
        }
        Lifecycle::Unpause => {
            for container in chosen.iter().filter(|container| container.state == State::Paused) {
                plan.add(Operation::UnpauseContainer { container: existing(container) }, requested());
            }
        }
        Lifecycle::Remove { stop, volumes } => {
            for container in chosen.iter().filter(|container| *stop || !container.state.is_alive()) {
                remove(&mut plan, container, &requested(), *volumes, None);
            }
        }
    }
    Ok(plan)
}

fn requested() -> Cause {
    Cause::new(Reason::Requested)
}

fn check_services(observed: &Observed, services: &[String], what: &Lifecycle) -> Result<(), PlanError> {
    let verb = match what {
        Lifecycle::Start => "start",
        Lifecycle::Restart { .. } => "restart",
        _ => return Ok(()),
    };
    match services.iter().find(|name| observed.replicas(name).next().is_none()) {
        Some(service) => Err(PlanError::NoContainer { service: service.clone(), verb }),
        None => Ok(()),
    }
}

/// One-off containers are only stopped, killed and removed with the others, never started again.
fn choose<'a>(graph: &Dependencies, observed: &'a Observed, services: &[String], what: &Lifecycle) -> Vec<&'a Container> {
    let one_off_too = matches!(what, Lifecycle::Kill { .. } | Lifecycle::Remove { .. });
    let mut names: BTreeSet<&str> = services.iter().map(String::as_str).collect();
    if let Lifecycle::Restart { no_deps: false, .. } = what {
        names = with_restarting_dependents(graph, names);
    }
    observed
        .containers
        .iter()
        .filter(|container| services.is_empty() || names.contains(container.service.as_str()))
        .filter(|container| one_off_too || !container.one_off)
        .collect()
}

fn with_restarting_dependents<'a>(graph: &'a Dependencies, mut names: BTreeSet<&'a str>) -> BTreeSet<&'a str> {
    let dependents = graph.dependents();
    let mut todo: Vec<&str> = names.iter().copied().collect();
    while let Some(service) = todo.pop() {
        for (dependent, edge) in dependents.get(service).into_iter().flatten() {
            if edge.restart && names.insert(dependent) {
                todo.push(dependent);
            }
        }
    }
    names
}

fn alive<'a>(chosen: &[&'a Container]) -> Vec<&'a Container> {
    chosen.iter().copied().filter(|container| container.state.is_alive()).collect()
}

fn idle<'a>(chosen: &[&'a Container]) -> Vec<&'a Container> {
    chosen.iter().copied().filter(|container| !container.state.is_alive()).collect()
}

type ByContainer<'a> = BTreeMap<&'a str, NodeIndex>;

fn stop<'a>(plan: &mut Plan, graph: &Dependencies, containers: &[&'a Container], timeout: Option<Duration>) -> ByContainer<'a> {
    let mut stops = BTreeMap::new();
    for container in containers {
        let operation = Operation::StopContainer { container: existing(container), timeout, hooks: container.pre_stop() };
        stops.insert(container.id.as_str(), plan.add(operation, requested()));
    }
    let by_service = by_service(containers, &stops);
    for (service, earlier) in &by_service {
        for later in graph.of(service).iter().filter_map(|edge| by_service.get(edge.service.as_str())) {
            earlier.iter().for_each(|&earlier| later.iter().for_each(|&later| plan.order(earlier, later)));
        }
    }
    stops
}

fn start<'a>(
    plan: &mut Plan,
    graph: &Dependencies,
    observed: &Observed,
    containers: &[&'a Container],
    stops: &ByContainer<'a>,
) -> ByContainer<'a> {
    let mut starts = BTreeMap::new();
    for container in containers {
        let operation = Operation::StartContainer { container: existing(container), hooks: container.post_start() };
        let started = plan.add(operation, requested());
        if let Some(&stopped) = stops.get(container.id.as_str()) {
            plan.order(stopped, started);
        }
        starts.insert(container.id.as_str(), started);
    }
    let by_service = by_service(containers, &starts);
    let mut awaits = BTreeMap::new();
    for (service, later) in &by_service {
        for edge in graph.of(service) {
            let earlier = by_service.get(edge.service.as_str()).map_or(&[][..], Vec::as_slice);
            for gate in gates(plan, observed, edge, earlier, &mut awaits) {
                later.iter().for_each(|&later| plan.order(gate, later));
            }
        }
    }
    starts
}

fn by_service<'a>(containers: &[&'a Container], operations: &ByContainer<'a>) -> BTreeMap<&'a str, Vec<NodeIndex>> {
    let mut services: BTreeMap<&str, Vec<NodeIndex>> = BTreeMap::new();
    for container in containers {
        services.entry(&container.service).or_default().push(operations[container.id.as_str()]);
    }
    services
}

/// What has to be over before the condition that `edge` sets on its dependency holds; `starts` are those of the dependency.
fn gates<'a>(
    plan: &mut Plan,
    observed: &Observed,
    edge: &'a Edge,
    starts: &[NodeIndex],
    awaits: &mut BTreeMap<(&'a str, Condition), NodeIndex>,
) -> Vec<NodeIndex> {
    if edge.condition == Condition::ServiceStarted || observed.replicas(&edge.service).next().is_none() {
        return starts.to_vec();
    }
    if starts.is_empty() && already_fulfilled(observed, edge) {
        return Vec::new();
    }
    let waited = *awaits.entry((&edge.service, edge.condition)).or_insert_with(|| {
        let (service, condition, required) = (edge.service.clone(), edge.condition, edge.required);
        plan.add(Operation::Await { service, condition, required }, requested())
    });
    starts.iter().for_each(|&start| plan.order(start, waited));
    vec![waited]
}
