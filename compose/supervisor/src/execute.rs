//! Carrying a plan out: as wide as its edges allow, each operation told while it runs and when it is done.
//!
//! What waits for something that failed is not tried. What was done stays done: the next plan goes on from there.

mod hook;
mod images;
mod ports;
mod request;
mod wait;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use petgraph::stable_graph::NodeIndex;
use rcompose_engine::network::{NetworkError, NetworkSpec};
use rcompose_engine::volume::VolumeSpec;
use rcompose_engine::{Engine, EngineError};
use rcompose_model::Project;
use rcompose_model::project::{Network, RestartPolicy};
use rcompose_plan::{Cause, ContainerRef, Operation, Plan, Planned, fingerprint, labels};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub(crate) use images::{renewed, show};
pub(crate) use request::apply;

use crate::keep::blocking;
use crate::messages::{Action, ApplyRequest, BuildOptions, Event, Failure, Happening, ProgressStatus, Why};
use crate::resource;
use crate::supervisor::Supervisor;
use crate::translate::{self, Part};

/// Where events go. Bounded: a client that does not read holds its own command up, nobody else's.
pub(crate) type Events = mpsc::Sender<Event>;

pub(crate) async fn tell(events: &Events, event: Event) {
    // A client that went away does not stop what it asked for.
    let _ = events.send(event).await;
}

async fn progress(events: &Events, id: &str, text: &str, status: ProgressStatus) {
    tell(events, Event::Progress { id: id.to_owned(), text: text.to_owned(), status }).await;
}

/// What the operations of one plan share.
struct Run {
    supervisor: Arc<Supervisor>,
    project: Option<Project>,
    project_name: String,
    /// The command that asked for the plan.
    command: String,
    /// Containers that the plan stops; one of them that it starts again is restarted.
    stopped: BTreeSet<String>,
    /// No registry is asked.
    offline: bool,
    events: Events,
    /// How images are built.
    build: BuildOptions,
    /// Where a port is taken another one is published.
    substitute_ports: bool,
    /// Whoever asked does not want it any more.
    cancel: CancellationToken,
}

/// Carries a plan out; gives what failed.
pub(crate) async fn execute(supervisor: &Arc<Supervisor>, plan: Plan, request: &ApplyRequest, events: &Events) -> Vec<Failure> {
    let run = Arc::new(Run {
        supervisor: supervisor.clone(),
        project: request.project.clone(),
        project_name: request.project_name.clone(),
        command: request.command.clone(),
        stopped: plan.graph().node_weights().filter_map(stopped).collect(),
        offline: request.offline,
        events: events.clone(),
        build: request.action.build_options().cloned().unwrap_or_default(),
        substitute_ports: matches!(&request.action, Action::Up(options) if options.substitute_ports),
        cancel: supervisor.cancellation_of(&request.ticket),
    });
    let turns = request.parallel.map(|limit| Arc::new(Semaphore::new(limit.get())));
    let mut waiting: BTreeMap<NodeIndex, usize> =
        plan.in_order().into_iter().map(|index| (index, plan.before(index).count())).collect();
    let mut running: JoinSet<(NodeIndex, Result<(), Failure>)> = JoinSet::new();
    let mut failures = Vec::new();
    let begin = |index: NodeIndex, running: &mut JoinSet<_>| {
        let (run, turns, planned) = (run.clone(), turns.clone(), plan.graph()[index].clone());
        running.spawn(async move {
            // Who only waits takes no turn from those who work.
            let turns = turns.filter(|_| !matches!(planned.operation, Operation::Await { .. }));
            let _turn = match &turns {
                Some(turns) => turns.acquire().await.ok(),
                None => None,
            };
            (index, run.carry_out(&planned).await)
        });
    };
    let ready: Vec<NodeIndex> = waiting.iter().filter(|(_, count)| **count == 0).map(|(index, _)| *index).collect();
    ready.into_iter().for_each(|index| begin(index, &mut running));
    while let Some(done) = running.join_next().await {
        match done {
            Ok((index, Ok(()))) if run.cancel.is_cancelled() => {
                let waits = plan.after(index).next().is_some();
                failures.extend((waits && failures.is_empty()).then(interrupted));
            }
            Ok((index, Ok(()))) => {
                for later in plan.after(index) {
                    if let Some(count) = waiting.get_mut(&later) {
                        *count -= 1;
                        if *count == 0 {
                            begin(later, &mut running);
                        }
                    }
                }
            }
            Ok((_, Err(failure))) => failures.push(failure),
            Err(error) => failures.push(Failure::text(format!("an operation ended unexpectedly: {error}"))),
        }
    }
    failures
}

/// What was begun is done, and no more than that.
fn interrupted() -> Failure {
    Failure::text("interrupted")
}

impl Run {
    async fn carry_out(&self, planned: &Planned) -> Result<(), Failure> {
        let operation = &planned.operation;
        let (id, doing, done) = words::words(operation);
        if !doing.is_empty() {
            progress(&self.events, &id, doing, ProgressStatus::Working).await;
        }
        let result = self.perform(operation, &self.why(&planned.cause)).await;
        match &result {
            Ok(()) if !done.is_empty() => progress(&self.events, &id, done, ProgressStatus::Done).await,
            // What was waited for has a row of its own, which says so.
            Ok(()) | Err(_) if matches!(operation, Operation::Await { .. }) => {}
            Ok(()) => {}
            Err(failure) => {
                let text = std::iter::once(&failure.message).chain(&failure.causes).cloned().collect::<Vec<_>>().join(": ");
                progress(&self.events, &id, &format!("Error {text}"), ProgressStatus::Error).await;
            }
        }
        result
    }

    async fn perform(&self, operation: &Operation, why: &Why) -> Result<(), Failure> {
        let keeper = &self.supervisor.keeper;
        match operation {
            Operation::EnsureImage { reference, policy, platform, optional } => {
                self.ensure_image(reference, policy, platform.as_deref(), *optional).await
            }
            Operation::PushImage { reference } => self.push_image(reference).await,
            Operation::BuildImage { service, reference, missing, pull } => {
                self.build_image(service, reference, *missing, *pull).await
            }
            Operation::CreateNetwork { key, .. } => {
                let (spec, asked) = self.network(key)?;
                for text in resource::network_without_effect(&spec, asked) {
                    tell(&self.events, Event::Warning { text }).await;
                }
                self.with_engine(spec, |engine, spec| engine.networks().create(spec).map(drop).map_err(EngineError::from)).await
            }
            Operation::RemoveNetwork { name } => {
                let removed = self.with_engine_raw(name.clone(), |engine, name| Ok(engine.networks().remove(&name)?)).await;
                self.unless_in_use(&format!("Network {name}"), removed).await
            }
            Operation::CreateVolume { key, .. } => {
                self.with_engine(self.volume_spec(key)?, |engine, spec| {
                    engine.volumes().ensure(spec).map(drop).map_err(EngineError::from)
                })
                .await
            }
            Operation::RemoveVolume { name } => {
                let removed = self.with_engine_raw(name.clone(), |engine, name| engine.remove_volume(&name)).await;
                self.unless_in_use(&format!("Volume {name}"), removed).await
            }
            Operation::RemoveImage { reference } => {
                let removed =
                    self.with_engine_raw(reference.clone(), |engine, name| engine.remove_image(&name, false).map(drop)).await;
                self.unless_in_use(&format!("Image {reference}"), removed).await
            }
            Operation::CreateContainer { service, number, name, replaces, renew_anonymous_volumes } => {
                let inherits = replaces.as_ref().filter(|_| !renew_anonymous_volumes);
                self.create(service, Part::Replica(*number), name, inherits, why).await
            }
            Operation::CreateOneOff { service, one_off } => {
                self.create(service, Part::OneOff(one_off), &one_off.name, None, why).await
            }
            Operation::RenameContainer { container, name } => {
                let id = self.id_of(container)?;
                self.with_engine((id.clone(), name.clone()), |engine, (id, name)| engine.rename(&id, &name)).await?;
                keeper.tell(&id, Happening::Rename { from: container.name.clone() }, Some(why));
                Ok(())
            }
            Operation::Prepare { container, hooks } => self.prepare(container, hooks, why).await,
            Operation::StartContainer { container, hooks } => {
                let id = self.id_of(container)?;
                let policy = if self.is_one_off(&id) { RestartPolicy::No } else { self.policy(&container.service) };
                if self.substitute_ports {
                    self.with_engine(id.clone(), |engine, id| engine.set_substitute_ports(&id, true)).await?;
                }
                keeper.start(&id, policy, why).await.map_err(|error| self.explain(container, &id, &error))?;
                if self.stopped.contains(&id) {
                    keeper.tell(&id, Happening::Restart, Some(why));
                }
                self.tell_substitutes(container, &id).await;
                self.warn_of_what_has_no_effect(container, id.clone()).await;
                self.after_start(container, &id, hooks).await
            }
            Operation::StopContainer { container, timeout, hooks } => {
                let id = self.id_of(container)?;
                self.before_stop(container, &id, hooks).await;
                let row = format!("Container {}", container.name);
                let unheard = async |signal| {
                    let text = format!("its first process does not handle {signal}: killed at once");
                    tell(&self.events, Event::Detail { id: row, text }).await;
                };
                keeper.stop(&id, *timeout, why, unheard).await.map_err(|error| Failure::of(&error))
            }
            Operation::KillContainer { container, signal } => {
                let id = self.id_of(container)?;
                keeper.kill(&id, signal, why).await.map_err(|error| Failure::of(&error))
            }
            Operation::PauseContainer { container } | Operation::UnpauseContainer { container } => {
                let paused = matches!(operation, Operation::PauseContainer { .. });
                let id = self.id_of(container)?;
                keeper.set_paused(&id, paused, why).await.map_err(|error| Failure::of(&error))
            }
            Operation::RemoveContainer { container, volumes } => {
                let id = self.id_of(container)?;
                let (volumes, found) = (*volumes, self.supervisor.engine.get(&id));
                keeper.forget(&id);
                self.with_engine(id, move |engine, id| engine.remove(&id, volumes)).await?;
                if let Ok(found) = found {
                    self.supervisor.events.tell(&found.record, Happening::Destroy, None, Some(why));
                }
                Ok(())
            }
            Operation::Await { service, condition, required } => tokio::select! {
                // It has changed nothing.
                reached = self.wait_for(service, *condition, *required) => reached,
                () = self.cancel.cancelled() => Err(interrupted()),
            },
        }
    }

    async fn with_engine_raw<A: Send + 'static>(
        &self,
        argument: A,
        work: impl FnOnce(&Engine, A) -> Result<(), EngineError> + Send + 'static,
    ) -> Result<(), EngineError> {
        let engine = self.supervisor.engine.clone();
        blocking(move || work(&engine, argument)).await
    }

    async fn with_engine<A: Send + 'static>(
        &self,
        argument: A,
        work: impl FnOnce(&Engine, A) -> Result<(), EngineError> + Send + 'static,
    ) -> Result<(), Failure> {
        self.with_engine_raw(argument, work).await.map_err(|error| Failure::of(&error))
    }

    /// Something that others use stays, and that is no failure; what is gone already is what was wanted.
    async fn unless_in_use(&self, id: &str, result: Result<(), EngineError>) -> Result<(), Failure> {
        match result {
            Err(error) if error.is_in_use() => {
                progress(&self.events, id, "Resource is still in use", ProgressStatus::Warning).await;
                Ok(())
            }
            Err(error) if error.is_not_found() => Ok(()),
            other => other.map_err(|error| Failure::of(&error)),
        }
    }

    fn why(&self, cause: &Cause) -> Why {
        Why { by: self.command.clone(), reason: cause.reason.to_string(), place: cause.place.clone() }
    }

    fn project(&self) -> Result<&Project, Failure> {
        self.project.as_ref().ok_or_else(|| Failure::text("this needs the project's files"))
    }

    fn own_labels(
        &self,
        own: &std::collections::BTreeMap<String, String>,
        key_label: &str,
        key: &str,
        hash: String,
    ) -> BTreeMap<String, String> {
        let mut all = own.clone();
        let ours = [
            (labels::PROJECT, self.project_name.clone()),
            (key_label, key.to_owned()),
            (labels::CONFIG_HASH, hash),
            (labels::VERSION, env!("CARGO_PKG_VERSION").to_owned()),
        ];
        all.extend(ours.map(|(name, value)| (name.to_owned(), value)));
        all
    }

    fn network(&self, key: &str) -> Result<(NetworkSpec, &Network), Failure> {
        let network = self.project()?.networks.get(key).ok_or_else(|| Failure::text(format!("no network `{key}`")))?;
        let labels = self.own_labels(&network.labels, labels::NETWORK, key, fingerprint::network(network));
        Ok((resource::network(network, labels)?, network))
    }

    fn volume_spec(&self, key: &str) -> Result<VolumeSpec, Failure> {
        let volume = self.project()?.volumes.get(key).ok_or_else(|| Failure::text(format!("no volume `{key}`")))?;
        let labels = self.own_labels(&volume.labels, labels::VOLUME, key, fingerprint::volume(volume));
        Ok(resource::volume(volume, labels))
    }

    async fn create(
        &self,
        service: &str,
        part: Part<'_>,
        name: &str,
        replaces: Option<&ContainerRef>,
        why: &Why,
    ) -> Result<(), Failure> {
        let project = self.project()?;
        let service = project.services.get(service).ok_or_else(|| Failure::text(format!("no service `{service}`")))?;
        let mut spec = translate::container(project, service, part, name).map_err(|error| Failure::of(&error))?;
        for from in &mut spec.volumes_from {
            self.name_successor(&mut from.container);
        }
        let inherits = replaces.and_then(|container| container.id.clone());
        let (events, why) = (self.supervisor.events.clone(), why.clone());
        self.with_engine((spec, inherits), move |engine, (spec, inherits)| {
            let record = engine.create(spec, inherits.as_deref())?;
            events.tell(&record, Happening::Create, None, Some(&why));
            Ok(())
        })
        .await
    }

    async fn warn_of_what_has_no_effect(&self, container: &ContainerRef, id: String) {
        let engine = self.supervisor.engine.clone();
        for text in blocking(move || Ok(engine.without_effect(&id))).await.unwrap_or_default() {
            tell(&self.events, Event::Warning { text: format!("container {}: {text}", container.name) }).await;
        }
    }

    /// Names the container that is about to take the place of the one with this name, if there is one.
    fn name_successor(&self, name: &mut String) {
        let Some(old) = self.supervisor.engine.find(name) else { return };
        let successor = rcompose_plan::replacement_name(old.record.id.as_str(), name);
        if self.supervisor.engine.find(&successor).is_some() {
            *name = successor;
        }
    }

    fn id_of(&self, container: &ContainerRef) -> Result<String, Failure> {
        if let Some(id) = &container.id {
            return Ok(id.clone());
        }
        let found = self.supervisor.engine.find(&container.name);
        found.map(|it| it.record.id.to_string()).ok_or_else(|| Failure::text(format!("no container `{}`", container.name)))
    }

    fn is_one_off(&self, id: &str) -> bool {
        let container = self.supervisor.engine.get(id);
        container.is_ok_and(|it| it.record.spec.labels.get(labels::ONE_OFF).map(String::as_str) == Some("True"))
    }

    fn policy(&self, service: &str) -> RestartPolicy {
        let known = self.project.as_ref().and_then(|project| project.services.get(service).map(|service| service.restart));
        let applied = || self.supervisor.applied(&self.project_name)?.services.get(service).map(|service| service.restart);
        known.or_else(applied).unwrap_or_default()
    }

    /// A start that failed, with the line that is behind it.
    fn explain(&self, container: &ContainerRef, id: &str, error: &EngineError) -> Failure {
        let mut failure = Failure::of(error);
        if matches!(error, EngineError::Launch { .. }) {
            failure.card = crate::card::of(&self.supervisor, id).map(Box::new);
        }
        let place =
            self.project.as_ref().and_then(|project| project.origins.find(&format!("services.{}", container.service)).cloned());
        failure.place = place.map(|place| place.to_string());
        if let EngineError::Network(NetworkError::Port(taken)) = error {
            ports::explain(&self.supervisor, taken, &mut failure);
        }
        failure
    }
}

fn stopped(planned: &Planned) -> Option<String> {
    match &planned.operation {
        Operation::StopContainer { container, .. } => container.id.clone(),
        _ => None,
    }
}

/// Seconds of a command line as a time; negative is for ever.
pub(crate) fn seconds(timeout: Option<i64>) -> Option<Duration> {
    timeout.map(|seconds| u64::try_from(seconds).map_or(Duration::from_secs(u64::from(u32::MAX)), Duration::from_secs))
}
