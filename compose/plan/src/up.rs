//! Making what the files ask for.
//!
//! Order, beside that of services: networks before starts, volumes before creations, the old container stopped and removed
//! between the creation and the start of the new one. Dependents that asked for it (`restart: true`) stop before and start
//! after what they depend on.

mod resources;
pub mod run;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use petgraph::stable_graph::NodeIndex;
use rcompose_model::Project;
use rcompose_model::project::{Condition, NetworkMode, Service};

use crate::cause::Reason;
use crate::diff::{self, Replica, Wanted};
use crate::graph::{Dependencies, Edge};
use crate::observed::{Container, Observed, State};
use crate::operation::ContainerRef;
use crate::{Cause, Operation, Plan, PlanError, naming};

/// More than a machine can run: a slip of the finger is to be an error, not the end of its memory.
const MAX_REPLICAS: u32 = 10_000;

/// What `up`, `create` and `scale` ask for.
#[derive(Debug, Clone, Default)]
pub struct Up {
    /// Only these services and their dependencies; empty is all.
    pub services: Vec<String>,
    /// Only the services named, not what they depend on.
    pub no_deps: bool,
    /// Containers are created but not started.
    pub no_start: bool,
    /// When the services named (or all) are recreated.
    pub recreate: Recreate,
    /// When the dependencies of the services named are recreated.
    pub recreate_dependencies: Recreate,
    /// Containers of services that are gone from the files go too.
    pub remove_orphans: bool,
    /// Nothing is said of containers of services that are not in the files.
    pub ignore_orphans: bool,
    /// Anonymous volumes are made anew when a container is recreated.
    pub renew_anonymous_volumes: bool,
    /// Replicas by service, instead of what the files say.
    pub scale: BTreeMap<String, u32>,
    /// Instead of the grace periods of containers that are stopped.
    pub timeout: Option<Duration>,
}

/// When a container is recreated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Recreate {
    /// When what it was made from changed.
    #[default]
    Changed,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Plans to make what the files ask for.
///
/// # Errors
/// A service or dependency that is not there, a cycle, a fixed name for several replicas, a missing external resource.
pub fn up(project: &Project, observed: &Observed, request: &Up) -> Result<Plan, PlanError> {
    let graph = Dependencies::of_project(project)?;
    let selected = select(project, &graph, &request.services, request.no_deps)?;
    check_scale_targets(project, request)?;
    let mut builder = Builder::new(project, observed, request, &graph, &selected)?;
    for name in graph.in_order().into_iter().filter(|name| selected.contains(name)) {
        builder.add_service(&project.services[name])?;
    }
    builder.order_stops();
    Ok(builder.plan)
}

/// Chooses the services that a command is about.
pub(crate) fn select<'a>(
    project: &'a Project,
    graph: &'a Dependencies,
    names: &'a [String],
    no_deps: bool,
) -> Result<BTreeSet<&'a str>, PlanError> {
    if project.services.is_empty() {
        return Err(PlanError::NothingSelected);
    }
    for name in names {
        known_service(project, name)?;
    }
    Ok(match (names, no_deps) {
        ([], _) => project.services.keys().map(String::as_str).collect(),
        (names, true) => names.iter().map(String::as_str).collect(),
        (names, false) => graph.with_dependencies(names.iter().map(String::as_str)),
    })
}

fn known_service(project: &Project, name: &str) -> Result<(), PlanError> {
    if project.services.contains_key(name) {
        return Ok(());
    }
    let near = project.services.keys().map(|other| (strsim::damerau_levenshtein(name, other), other)).min();
    let suggestion = near.filter(|(distance, _)| *distance <= 1 + name.len() / 4).map(|(_, other)| other.clone());
    Err(PlanError::NoSuchService { name: name.to_owned(), suggestion })
}

fn check_scale_targets(project: &Project, request: &Up) -> Result<(), PlanError> {
    request.scale.keys().try_for_each(|name| known_service(project, name))
}

/// What was planned for one service, so that others can be ordered against it.
#[derive(Default)]
struct PlannedService {
    creates: Vec<NodeIndex>,
    starts: Vec<NodeIndex>,
    stops: Vec<NodeIndex>,
    /// Some container of it is replaced by another.
    recreated: bool,
    /// Some container of it stops and starts.
    restarts: bool,
    replicas: u32,
}

struct Builder<'a> {
    project: &'a Project,
    observed: &'a Observed,
    request: &'a Up,
    graph: &'a Dependencies,
    resources: resources::Resources<'a>,
    plan: Plan,
    services: BTreeMap<&'a str, PlannedService>,
    awaits: BTreeMap<(&'a str, Condition, bool), NodeIndex>,
    orphans: Vec<NodeIndex>,
}

impl<'a> Builder<'a> {
    /// Begins with the resources that `selected` need, and what becomes of orphans.
    fn new(
        project: &'a Project,
        observed: &'a Observed,
        request: &'a Up,
        graph: &'a Dependencies,
        selected: &BTreeSet<&'a str>,
    ) -> Result<Self, PlanError> {
        let mut builder = Self {
            project,
            observed,
            request,
            graph,
            resources: resources::Resources::plan(project, observed, selected)?,
            plan: Plan::default(),
            services: BTreeMap::new(),
            awaits: BTreeMap::new(),
            orphans: Vec::new(),
        };
        builder.resources.add_to(&mut builder.plan, request.timeout);
        builder.handle_orphans();
        Ok(builder)
    }

    fn handle_orphans(&mut self) {
        let orphans: Vec<&Container> =
            self.observed.containers.iter().filter(|container| is_orphan(self.project, container)).collect();
        if self.request.remove_orphans {
            for container in orphans {
                let cause = Cause::new(Reason::Orphan);
                let (_, removed) = remove(&mut self.plan, container, &cause, true, self.request.timeout);
                self.orphans.push(removed);
            }
        } else if !orphans.is_empty() && !self.request.ignore_orphans {
            let names: Vec<&str> = orphans.iter().map(|container| container.name.as_str()).collect();
            self.plan.warn(format!(
                "Found orphan containers ([{}]) for this project. If you removed or renamed this service in your compose \
                 file, you can run this command with the --remove-orphans flag to clean it up.",
                names.join(" ")
            ));
        }
    }

    fn add_service(&mut self, service: &'a Service) -> Result<(), PlanError> {
        let wanted = self.wanted(service)?;
        let replicas = wanted.replicas;
        let decisions = diff::replicas(&wanted, self.observed);
        let restart_cause = self.restart_cause(service);
        let starts = decisions.iter().any(|decision| self.will_start(decision, restart_cause.is_some()));
        let gates = if starts { self.gates(service) } else { Vec::new() };
        let mut planned = PlannedService { replicas, ..PlannedService::default() };
        let runs_on = |decision: &Replica<'_>| {
            matches!(decision, Replica::Keep(it) if it.state.is_alive()) && !self.will_start(decision, restart_cause.is_some())
        };
        let is_first = !decisions.iter().any(runs_on);
        for decision in decisions {
            self.add_replica(service, decision, &gates, restart_cause.as_ref(), &mut planned);
        }
        if is_first {
            self.prepare(service, &planned);
        }
        self.services.insert(&service.name, planned);
        Ok(())
    }

    fn wanted(&self, service: &'a Service) -> Result<Wanted<'a>, PlanError> {
        let replicas = self.request.scale.get(&service.name).copied().unwrap_or(service.scale);
        if let (Some(name), true) = (&service.container_name, replicas > 1) {
            return Err(PlanError::NamedReplicas {
                service: service.name.clone(),
                name: name.clone(),
                replicas,
                place: self.project.origins.find(&format!("services.{}.container_name", service.name)).cloned(),
            });
        }
        if replicas > MAX_REPLICAS {
            return Err(PlanError::TooManyReplicas {
                service: service.name.clone(),
                replicas,
                most: MAX_REPLICAS,
                place: self.project.origins.find(&format!("services.{}", service.name)).cloned(),
            });
        }
        let named = self.request.services.is_empty() || self.request.services.contains(&service.name);
        Ok(Wanted {
            project: self.project,
            service,
            replicas,
            recreate: if named { self.request.recreate } else { self.request.recreate_dependencies },
            parent_recreated: parents(service)
                .into_iter()
                .find(|parent| self.services.get(parent).is_some_and(|planned| planned.recreated)),
        })
    }

    fn will_start(&self, decision: &Replica<'_>, restart: bool) -> bool {
        match decision {
            Replica::Remove { .. } => false,
            Replica::Keep(container) => restart || !container.state.is_alive() || !self.resources.stops_of(container).is_empty(),
            Replica::Create { .. } | Replica::Recreate { .. } | Replica::Finish { .. } => true,
        }
    }

    /// Everything that the containers of `service` wait for before they start.
    fn gates(&mut self, service: &'a Service) -> Vec<NodeIndex> {
        let mut gates = self.resources.needed_to_start(service);
        gates.extend(&self.orphans);
        for edge in self.graph.of(&service.name) {
            gates.extend(self.gate_of(&service.name, edge));
        }
        gates
    }

    fn gate_of(&mut self, dependent: &str, edge: &'a Edge) -> Vec<NodeIndex> {
        let Some(dependency) = self.services.get(edge.service.as_str()) else { return Vec::new() };
        if dependency.replicas == 0 || self.request.no_start {
            return Vec::new();
        }
        if edge.condition == Condition::ServiceStarted {
            return dependency.starts.clone();
        }
        if dependency.starts.is_empty() && already_fulfilled(self.observed, edge) {
            return Vec::new();
        }
        let starts = dependency.starts.clone();
        let key = (edge.service.as_str(), edge.condition, edge.required);
        let place = self.project.origins.find(&format!("services.{dependent}.depends_on.{}", edge.service));
        let node = *self.awaits.entry(key).or_insert_with(|| {
            self.plan.add(
                Operation::Await { service: edge.service.clone(), condition: edge.condition, required: edge.required },
                Cause::at(Reason::NeededBy { services: vec![dependent.to_owned()] }, place),
            )
        });
        for start in starts {
            self.plan.order(start, node);
        }
        vec![node]
    }

    /// Why containers of `service` that could stay as they are have to restart, if they have to.
    fn restart_cause(&self, service: &Service) -> Option<Cause> {
        let restarted = |edge: &&Edge| {
            edge.restart && self.services.get(edge.service.as_str()).is_some_and(|planned| planned.recreated || planned.restarts)
        };
        let edge = self.graph.of(&service.name).iter().find(restarted)?;
        Some(Cause::new(Reason::DependencyRestarted { service: edge.service.clone() }))
    }

    fn add_replica(
        &mut self,
        service: &'a Service,
        decision: Replica<'a>,
        gates: &[NodeIndex],
        restart: Option<&Cause>,
        planned: &mut PlannedService,
    ) {
        match decision {
            Replica::Create { number, cause } => {
                let name = naming::container_name(self.project, service, number);
                let created = self.add_create(service, number, name.clone(), None, cause.clone(), planned);
                self.add_start(reference(service, name), cause, &[created], gates, planned);
            }
            Replica::Recreate { old, cause } => {
                let name = naming::container_name(self.project, service, old.number);
                let temporary = naming::replacement_name(&old.id, &name);
                let created = self.add_create(service, old.number, temporary.clone(), Some(old), cause.clone(), planned);
                self.replace(service, old, reference(service, temporary), name, Some(created), cause, gates, planned);
            }
            Replica::Finish { old, new } => {
                let name = naming::container_name(self.project, service, old.number);
                let cause = Cause::new(Reason::Interrupted);
                self.replace(service, old, existing(new), name, None, cause, gates, planned);
            }
            Replica::Remove { old, cause } => {
                let (stopped, _) = remove(&mut self.plan, old, &cause, true, self.request.timeout);
                planned.stops.extend(stopped);
            }
            Replica::Keep(container) => self.keep(container, gates, restart, planned),
        }
    }

    fn add_create(
        &mut self,
        service: &'a Service,
        number: u32,
        name: String,
        replaces: Option<&Container>,
        cause: Cause,
        planned: &mut PlannedService,
    ) -> NodeIndex {
        let operation = Operation::CreateContainer {
            service: service.name.clone(),
            number,
            name,
            replaces: replaces.map(existing),
            renew_anonymous_volumes: self.request.renew_anonymous_volumes,
        };
        let created = self.plan.add(operation, cause);
        for volume in self.resources.needed_to_create(service) {
            self.plan.order(volume, created);
        }
        if !service.volumes_from.is_empty() {
            // Whose mounts it takes over, also by the name of a container, is there when it is created.
            for dependency in self.graph.of(&service.name).iter().filter_map(|edge| self.services.get(edge.service.as_str())) {
                dependency.creates.iter().for_each(|&earlier| self.plan.order(earlier, created));
            }
        }
        planned.creates.push(created);
        created
    }

    #[expect(clippy::too_many_arguments, reason = "the two ends of a replacement, and what they are ordered against")]
    fn replace(
        &mut self,
        service: &'a Service,
        old: &Container,
        new: ContainerRef,
        name: String,
        created: Option<NodeIndex>,
        cause: Cause,
        gates: &[NodeIndex],
        planned: &mut PlannedService,
    ) {
        planned.recreated = true;
        let replaced = Cause::new(Reason::Replaced);
        let (stopped, removed) = remove(&mut self.plan, old, &replaced, false, self.request.timeout);
        planned.stops.extend(stopped);
        if let Some(created) = created {
            self.plan.order(created, stopped.unwrap_or(removed));
        }
        let replacement = Cause::new(Reason::Replacement { of: old.name.clone() });
        let renamed = self.plan.add(Operation::RenameContainer { container: new, name: name.clone() }, replacement);
        self.plan.order(removed, renamed);
        self.add_start(reference(service, name), cause, &[renamed], gates, planned);
    }

    fn keep(&mut self, container: &'a Container, gates: &[NodeIndex], restart: Option<&Cause>, planned: &mut PlannedService) {
        let network_stops = self.resources.stops_of(container);
        if !network_stops.is_empty() {
            let cause = Cause::new(Reason::Requested);
            return self.add_start(existing(container), cause, &network_stops, gates, planned);
        }
        match (container.state.is_alive(), restart) {
            (true, None) => {}
            (true, Some(cause)) => {
                let operation = Operation::StopContainer {
                    container: existing(container),
                    timeout: self.request.timeout,
                    hooks: container.pre_stop(),
                };
                let stopped = self.plan.add(operation, cause.clone());
                planned.stops.push(stopped);
                planned.restarts = true;
                self.add_start(existing(container), cause.clone(), &[stopped], gates, planned);
            }
            (false, _) => self.add_start(existing(container), Cause::new(Reason::NotRunning), &[], gates, planned),
        }
    }

    fn add_start(
        &mut self,
        container: ContainerRef,
        cause: Cause,
        before: &[NodeIndex],
        gates: &[NodeIndex],
        planned: &mut PlannedService,
    ) {
        if self.request.no_start {
            return;
        }
        let service = self.project.services.get(&container.service);
        let hooks = service.map(|service| service.post_start.clone()).unwrap_or_default();
        let started = self.plan.add(Operation::StartContainer { container, hooks }, cause);
        for &earlier in before.iter().chain(gates) {
            self.plan.order(earlier, started);
        }
        planned.starts.push(started);
    }

    /// Where no container of a service runs, its commands before the first one come before all of them.
    fn prepare(&mut self, service: &'a Service, planned: &PlannedService) {
        let Some(&first) = planned.starts.first().filter(|_| !service.pre_start.is_empty()) else { return };
        let Operation::StartContainer { container, .. } = self.plan.graph()[first].operation.clone() else { return };
        let place = self.project.origins.find(&format!("services.{}.pre_start", service.name));
        let cause = Cause::at(Reason::NeededBy { services: vec![service.name.clone()] }, place);
        let prepared = self.plan.add(Operation::Prepare { container, hooks: service.pre_start.clone() }, cause);
        for &start in &planned.starts {
            let before: Vec<NodeIndex> = self.plan.before(start).filter(|earlier| *earlier != prepared).collect();
            before.into_iter().for_each(|earlier| self.plan.order(earlier, prepared));
            self.plan.order(prepared, start);
        }
    }

    /// Dependents stop before what they depend on.
    fn order_stops(&mut self) {
        for (service, planned) in &self.services {
            for edge in self.graph.of(service) {
                let Some(dependency) = self.services.get(edge.service.as_str()) else { continue };
                for &earlier in &planned.stops {
                    for &later in &dependency.stops {
                        self.plan.order(earlier, later);
                    }
                }
            }
        }
    }
}

/// Adds the operations that take a container away; gives the stop, if it has to be stopped, and the removal.
pub(crate) fn remove(
    plan: &mut Plan,
    container: &Container,
    cause: &Cause,
    volumes: bool,
    timeout: Option<Duration>,
) -> (Option<NodeIndex>, NodeIndex) {
    let stopped = container.state.is_alive().then(|| Operation::StopContainer {
        container: existing(container),
        timeout,
        hooks: container.pre_stop(),
    });
    let stopped = stopped.map(|operation| plan.add(operation, cause.clone()));
    let removed = plan.add(Operation::RemoveContainer { container: existing(container), volumes }, cause.clone());
    if let Some(stopped) = stopped {
        plan.order(stopped, removed);
    }
    (stopped, removed)
}

/// Refers to a container that exists.
pub(crate) fn existing(container: &Container) -> ContainerRef {
    ContainerRef { id: Some(container.id.clone()), name: container.name.clone(), service: container.service.clone() }
}

fn reference(service: &Service, name: String) -> ContainerRef {
    ContainerRef { id: None, name, service: service.name.clone() }
}

/// Tells whether no service of the files, enabled or not, owns the container, or it is a one-off one that has ended.
pub(crate) fn is_orphan(project: &Project, container: &Container) -> bool {
    let service = &container.service;
    let known = project.services.contains_key(service) || project.disabled_services.contains(service);
    if container.one_off { !container.hook && !container.state.is_alive() } else { !known }
}

/// The services with which a service shares namespaces or volumes.
fn parents(service: &Service) -> Vec<&str> {
    let mut parents = Vec::new();
    if let Some(NetworkMode::Service(name)) = &service.network_mode {
        parents.push(name.as_str());
    }
    parents.extend(service.ipc.as_deref().and_then(|mode| mode.strip_prefix("service:")));
    parents.extend(service.pid.as_deref().and_then(|mode| mode.strip_prefix("service:")));
    parents.extend(volume_sources(service));
    parents
}

/// The services whose mounts a service takes over.
fn volume_sources(service: &Service) -> impl Iterator<Item = &str> {
    service.volumes_from.iter().filter(|from| !from.starts_with("container:")).filter_map(|from| from.split(':').next())
}

pub(crate) fn already_fulfilled(observed: &Observed, edge: &Edge) -> bool {
    let mut replicas = observed.replicas(&edge.service).peekable();
    replicas.peek().is_some()
        && replicas.all(|container| match edge.condition {
            Condition::ServiceStarted => true,
            Condition::ServiceHealthy => container.state == State::Running { healthy: Some(true) },
            Condition::ServiceCompletedSuccessfully => container.state == State::Exited { code: 0 },
        })
}
