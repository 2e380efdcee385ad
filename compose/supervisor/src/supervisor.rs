//! The supervisor: everything that its parts share.
//!
//! ```text
//! <data>/projects/<name>.json     the ledger: the project as it was last applied
//! <data>/policies/<id>.json       policy and restarts of a container
//! <data>/events/<name>.jsonl      what happened to its containers
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use rcompose_engine::image::{Checked, Image, ImageConfig, Platform, PullProgress, Pushed, Reference, RegistryError};
use rcompose_engine::{Container, Engine, EngineError, State};
use rcompose_model::Project;
use rcompose_model::project::Service;
use rcompose_plan::labels;
use rcompose_plan::observed::Observed;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::Settings;
use crate::events::EventLog;
use crate::keep::{Keeper, Phase};
use crate::messages::{ContainerSummary, Failure, PortSummary, ProjectSummary};
use crate::observe::observe;

/// Everything that the parts share.
pub(crate) struct Supervisor {
    pub(crate) engine: Arc<Engine>,
    pub(crate) keeper: Arc<Keeper>,
    pub(crate) events: Arc<EventLog>,
    pub(crate) registries: rcompose_engine::image::RegistryConfig,
    pub(crate) builder: Arc<rcompose_build::Builder>,
    pub(crate) builds: crate::build::Builds,
    /// Bytes that the build cache may take.
    build_cache_budget: u64,
    /// When the build cache was looked at last.
    tidied: Mutex<Option<std::time::Instant>>,
    /// What is being done for clients that may be gone.
    pub(crate) work: TaskTracker,
    projects: PathBuf,
    /// One command a project at a time.
    locks: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>,
    /// How commands are told that they are not wanted any more, by their tickets.
    cancellations: Mutex<BTreeMap<String, CancellationToken>>,
}

impl Supervisor {
    pub(crate) fn open(settings: &Settings) -> Result<Arc<Self>, EngineError> {
        let pool = |text: &String| {
            text.parse().map_err(|_| EngineError::Invalid {
                container: "address pools".to_owned(),
                text: format!("`{text}` is no subnet"),
            })
        };
        let config = rcompose_engine::Config {
            data_root: settings.data_root.clone(),
            run_root: settings.run_root.clone(),
            pools: settings.pools.iter().map(pool).collect::<Result<_, _>>()?,
            program: PathBuf::from("/proc/self/exe"),
        };
        let engine = Arc::new(Engine::open(config, tokio::runtime::Handle::current())?);
        let (projects, policies) = (settings.data_root.join("projects"), settings.data_root.join("policies"));
        for folder in [&projects, &policies] {
            let made = std::fs::create_dir_all(folder);
            made.map_err(|source| EngineError::System { doing: format!("make {}", folder.display()), source })?;
        }
        let folder = settings.data_root.join("events");
        let events = EventLog::open(folder.clone());
        let events = events.map_err(|source| EngineError::System { doing: format!("open {}", folder.display()), source })?;
        let events = Arc::new(events);
        let keeper = Keeper::new(engine.clone(), events.clone(), policies);
        keeper.adopt();
        let registries = settings.registries.clone();
        // One more than there are processors: a step waits for the disk or the network now and then.
        let steps = std::thread::available_parallelism().map_or(2, std::num::NonZeroUsize::get) + 1;
        let cache = settings.data_root.join("build");
        let builder = rcompose_build::Builder::open(engine.clone(), &cache, steps);
        let builder = builder.map_err(|source| EngineError::System { doing: format!("open {}", cache.display()), source })?;
        // After the build cache has leased what it knows.
        collect_later(&engine, &events);
        let build_cache_budget = settings.build_cache_budget();
        Ok(Arc::new(Self {
            engine,
            keeper,
            events,
            registries,
            builder: Arc::new(builder),
            builds: crate::build::Builds::default(),
            build_cache_budget,
            tidied: Mutex::new(None),
            work: TaskTracker::new(),
            projects,
            locks: Mutex::new(BTreeMap::new()),
            cancellations: Mutex::new(BTreeMap::new()),
        }))
    }

    /// Pulls an image.
    pub(crate) async fn pull(
        &self,
        name: &str,
        platform: Option<&Platform>,
        offline: bool,
        progress: impl Fn(PullProgress) + Send + Sync,
    ) -> Result<Image, Failure> {
        if offline {
            let mut failure = Failure::text(format!("image `{name}` is not in the store, and `--offline` asks no registry"));
            failure.hint = Some("pull it before, or load it with `rcompose image load -i FILE`".to_owned());
            return Err(failure);
        }
        let reference: Reference = name.parse().map_err(|error| Failure::of(&error))?;
        let pulled = self.engine.images().pull(&reference, platform, &self.registries, progress).await;
        pulled.map_err(|error| {
            let hint = match &error {
                error if error.is_unauthorized() => log_in_to(&reference),
                RegistryError::Platform { .. } => "name another platform: `platform:` of the service, or `--platform`".to_owned(),
                RegistryError::Refused { status: 404, .. } => {
                    "check the name and the tag; what was built here is not pulled".to_owned()
                }
                _ => "load it with `rcompose image load -i FILE`, or name a mirror in the configuration".to_owned(),
            };
            failed(format!("failed to pull image `{name}`"), &error, hint)
        })
    }

    /// Pushes an image.
    pub(crate) async fn push(
        &self,
        name: &str,
        offline: bool,
        progress: impl Fn(PullProgress) + Send + Sync,
    ) -> Result<Pushed, Failure> {
        if offline {
            return Err(Failure::text(format!("image `{name}` cannot be pushed: `--offline` asks no registry")));
        }
        let reference: Reference = name.parse().map_err(|error| Failure::of(&error))?;
        let pushed = self.engine.images().push(&reference, &self.registries, progress).await;
        pushed.map_err(|error| {
            let hint = match &error {
                error if error.is_unauthorized() => log_in_to(&reference),
                RegistryError::Store(_) => "build it, or give it this name with `rcompose image tag`".to_owned(),
                _ => "what was sent stays there: push it again".to_owned(),
            };
            failed(format!("failed to push image `{name}`"), &error, hint)
        })
    }

    /// Mends an image; layers that containers run from are left alone.
    pub(crate) async fn repair(&self, checked: &Checked, offline: bool) -> Result<(), String> {
        if offline {
            return Err("`--offline` asks no registry".to_owned());
        }
        let running = self.engine.list().into_iter().filter(|container| container.state == State::Running);
        let images = running.filter_map(|container| self.engine.images().resolve(&container.record.image_id).ok());
        let busy = images.flat_map(|image| image.config.rootfs.diff_ids).collect();
        self.engine.images().repair(checked, &busy, &self.registries).await
    }

    /// Has the build cache keep to its budget, beside whatever else goes on, and not all the time.
    pub(crate) fn tidy_build_cache(self: &Arc<Self>) {
        let mut tidied = self.tidied.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if tidied.is_some_and(|before| before.elapsed() < TIDIED_EVERY) {
            return;
        }
        *tidied = Some(std::time::Instant::now());
        drop(tidied);
        let supervisor = self.clone();
        self.work.clone().spawn_blocking(move || match supervisor.builder.collect(supervisor.build_cache_budget, CACHE_GRACE) {
            Ok(gone) if gone.bytes() == 0 => {}
            Ok(gone) => tracing::info!(bytes = gone.bytes(), steps = gone.steps, "old build cache went"),
            Err(error) => tracing::warn!(%error, "the build cache could not be tidied"),
        });
    }

    /// The lock that commands on one project take.
    pub(crate) fn lock_of(&self, project: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = self.locks.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        locks.entry(project.to_owned()).or_default().clone()
    }

    fn cancellations(&self) -> MutexGuard<'_, BTreeMap<String, CancellationToken>> {
        self.cancellations.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Of the command with a ticket; whoever begins one calls [`Supervisor::done_with`] at its end.
    pub(crate) fn cancellation_of(&self, ticket: &str) -> CancellationToken {
        self.cancellations().entry(ticket.to_owned()).or_default().clone()
    }

    /// Calls a command off, if it is under way.
    pub(crate) fn cancel(&self, ticket: &str) {
        if let Some(token) = self.cancellations().get(ticket) {
            token.cancel();
        }
    }

    /// A command has ended.
    pub(crate) fn done_with(&self, ticket: &str) {
        self.cancellations().remove(ticket);
    }

    /// The project as it was last applied.
    pub(crate) fn applied(&self, name: &str) -> Option<Project> {
        serde_json::from_slice(&std::fs::read(self.projects.join(format!("{name}.json"))).ok()?).ok()
    }

    pub(crate) fn remember(&self, project: &Project) {
        let json = serde_json::to_vec(project).expect("a project has a JSON form");
        let path = self.projects.join(format!("{}.json", project.name));
        let temporary = path.with_extension("new");
        let written = std::fs::write(&temporary, json).and_then(|()| std::fs::rename(&temporary, &path));
        if let Err(error) = written {
            tracing::warn!(%error, project = project.name, "the project could not be remembered");
        }
    }

    pub(crate) fn forget(&self, name: &str) {
        // One that was never applied has none.
        let _ = std::fs::remove_file(self.projects.join(format!("{name}.json")));
    }

    pub(crate) fn observe(&self, name: &str, project: Option<&Project>) -> Observed {
        let applied: BTreeMap<String, Arc<Service>> = self
            .applied(name)
            .map(|it| it.services.into_iter().map(|(key, service)| (key, Arc::new(service))).collect())
            .unwrap_or_default();
        observe(&self.engine, &self.keeper, name, project, &applied)
    }

    /// Containers of a project; of all projects without a name.
    pub(crate) fn containers(&self, project: Option<&str>) -> Vec<Container> {
        let of = |container: &Container| match project {
            Some(name) => container.record.spec.labels.get(labels::PROJECT).map(String::as_str) == Some(name),
            None => true,
        };
        self.engine.list().into_iter().filter(of).collect()
    }

    pub(crate) fn summaries(&self, project: Option<&str>) -> Vec<ContainerSummary> {
        let mut all: Vec<ContainerSummary> = self.containers(project).iter().map(|it| self.summary(it)).collect();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        all
    }

    fn summary(&self, container: &Container) -> ContainerSummary {
        let record = &container.record;
        let spec = &record.spec;
        let id = record.id.to_string();
        let status = self.keeper.status(&id);
        let (state, exit) = match (&container.state, status.map(|status| status.phase)) {
            (State::Removing, _) => ("removing", None),
            (State::Exited(record), Some(Phase::Restarting)) => ("restarting", Some(record)),
            (_, Some(Phase::Restarting)) => ("restarting", None),
            (State::Running, Some(Phase::Paused)) => ("paused", None),
            // Its end has been seen and not been judged yet: in a moment it restarts, or has ended.
            (State::Running, _) | (State::Exited(_), Some(Phase::Running)) => ("running", None),
            (State::Created, _) => ("created", None),
            (State::Exited(record), _) => ("exited", Some(record)),
        };
        let running = container.state == State::Running;
        let label = |name: &str| spec.labels.get(name).cloned().unwrap_or_default();
        let health = status.and_then(|status| status.health).filter(|_| running);
        let image = self.engine.images().open_image(&record.image_id).ok().map(|(_, image, _)| image);
        let command = match (&spec.entrypoint, &spec.command, &image) {
            (Some(entrypoint), command, _) => [entrypoint.clone(), command.clone().unwrap_or_default()].concat(),
            (None, command, Some(image)) => {
                let entrypoint = image.config.entrypoint.clone().unwrap_or_default();
                [entrypoint, command.clone().or_else(|| image.config.cmd.clone()).unwrap_or_default()].concat()
            }
            (None, command, None) => command.clone().unwrap_or_default(),
        };
        let ports = if running { self.ports(&id) } else { Vec::new() };
        ContainerSummary {
            name: spec.name.clone(),
            project: label(labels::PROJECT),
            service: label(labels::SERVICE),
            number: label(labels::CONTAINER_NUMBER).parse().unwrap_or(0),
            image: spec.image.clone(),
            image_id: record.image_id.clone(),
            command,
            created: record.created,
            started_at: record.started_at,
            finished_at: exit.map(|exit| exit.finished_at),
            state: state.to_owned(),
            health: health.map(|health| health.as_str().to_owned()).unwrap_or_default(),
            exit_code: exit.map_or(0, |exit| exit.code),
            oom_killed: exit.is_some_and(|exit| exit.oom_killed),
            restarts: status.map_or(0, |status| status.restarts),
            exposed: exposed(container, image.as_ref(), &ports),
            ports,
            networks: spec.networks.iter().map(|endpoint| endpoint.network.clone()).collect(),
            volumes: spec.mounts.iter().filter_map(volume_name).collect(),
            labels: spec.labels.clone(),
            failure: record.failure.as_ref().map(|(_, text)| text.clone()),
            tty: spec.tty,
            stdin_open: spec.stdin_open,
            id,
        }
    }

    fn ports(&self, id: &str) -> Vec<PortSummary> {
        let Some(attached) = self.engine.networks().attached(id) else { return Vec::new() };
        let mut ports: Vec<PortSummary> = attached
            .ports
            .iter()
            .flat_map(|port| {
                let urls = match port.host {
                    Some(address) => vec![address.to_string()],
                    None => vec!["0.0.0.0".to_owned(), "::".to_owned()],
                };
                let protocol = match port.protocol {
                    rcompose_engine::network::Protocol::Tcp => "tcp",
                    rcompose_engine::network::Protocol::Udp => "udp",
                };
                urls.into_iter().map(move |url| PortSummary {
                    url,
                    target_port: port.container_port,
                    published_port: port.host_port,
                    protocol: protocol.to_owned(),
                })
            })
            .collect();
        ports.sort_by_key(|port| (port.target_port, port.url.contains(':')));
        ports
    }

    /// Every project that has containers.
    pub(crate) fn projects(&self) -> Vec<ProjectSummary> {
        let mut projects: BTreeMap<String, Vec<ContainerSummary>> = BTreeMap::new();
        for container in self.summaries(None).into_iter().filter(|it| !it.project.is_empty()) {
            projects.entry(container.project.clone()).or_default().push(container);
        }
        let summary = |(name, containers): (String, Vec<ContainerSummary>)| {
            let mut states: BTreeMap<&str, u32> = BTreeMap::new();
            for container in &containers {
                *states.entry(&container.state).or_default() += 1;
            }
            let status: Vec<String> = states.into_iter().map(|(state, count)| format!("{state}({count})")).collect();
            let files = containers[0].labels.get(labels::CONFIG_FILES).cloned().unwrap_or_default();
            ProjectSummary { name, status: status.join(", "), config_files: files }
        };
        projects.into_iter().map(summary).collect()
    }
}

/// Layers that no image has are kept so long: the next try of a pull that was cut off finds what it had.
const LAYER_GRACE: std::time::Duration = std::time::Duration::from_secs(7 * 86_400);

/// It is a walk through all files that the build cache holds.
const TIDIED_EVERY: std::time::Duration = std::time::Duration::from_secs(600);
/// What a build used so short a time ago stays, however much there is: the next one is about to use it again.
const CACHE_GRACE: std::time::Duration = std::time::Duration::from_secs(3600);

/// Nobody waits for what is cleared away.
fn collect_later(engine: &Arc<Engine>, events: &Arc<EventLog>) {
    let (engine, events) = (engine.clone(), events.clone());
    tokio::task::spawn_blocking(move || {
        let of = |container: &Container| container.record.spec.labels.get(labels::PROJECT).cloned();
        let projects: BTreeSet<String> = engine.list().iter().filter_map(of).collect();
        events.sweep(|project| projects.contains(project));
        match engine.images().collect(LAYER_GRACE) {
            Ok(collected) if collected.layers.is_empty() => {}
            Ok(collected) => {
                tracing::info!(layers = collected.layers.len(), bytes = collected.bytes, "old layers without an image went")
            }
            Err(error) => tracing::warn!(%error, "layers could not be collected"),
        }
    });
}

fn failed(message: String, error: &RegistryError, hint: String) -> Failure {
    let mut failure = Failure::of(error);
    failure.causes.insert(0, std::mem::replace(&mut failure.message, message));
    failure.hint = Some(hint);
    failure
}

fn log_in_to(reference: &Reference) -> String {
    match reference.registry() {
        "docker.io" => "log in with `rcompose login`, or check the name".to_owned(),
        registry => format!("log in with `rcompose login {registry}`, or check the name"),
    }
}

fn volume_name(mount: &rcompose_engine::container::Mount) -> Option<String> {
    match &mount.source {
        rcompose_engine::container::MountSource::Volume { name, .. } => Some(name.clone()),
        _ => None,
    }
}

/// Ports that the service or its image name, and that are not published.
fn exposed(container: &Container, image: Option<&ImageConfig>, published: &[PortSummary]) -> Vec<String> {
    let of_image = image.into_iter().flat_map(|image| image.config.exposed_ports.keys());
    let named = container.record.spec.expose.iter().chain(of_image);
    let whole = named.map(|port| if port.contains('/') { port.clone() } else { format!("{port}/tcp") });
    let is_open = |port: &String| published.iter().all(|it| format!("{}/{}", it.target_port, it.protocol) != *port);
    whole.filter(is_open).collect::<BTreeSet<String>>().into_iter().collect()
}
