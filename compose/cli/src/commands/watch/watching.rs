//! What a session does: it hears of files and of containers, and begins what follows.
//!
//! ```text
//! watcher (a thread) ── batches ──►  session  ──►  sync: at once, beside everything else
//! supervisor ── events of containers ──►  │   ──►  build, restart, command: one a service at a time, when it is quiet
//! deadlines, ends of tasks ─────────────►  │   ──►  the model: loaded, planned, applied
//! ```
//! What a container lacks is known by a journal: one that was stopped or made anew gets it as soon as it is there.

mod outcome;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Instant;

use futures_util::StreamExt;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;
use rcompose_model::{Origins, Project};
use rcompose_supervisor::client::{Client, ClientError, Lines};
use rcompose_supervisor::messages::{ContainerEvent, ContainerSummary, EventsRequest, Failure, Happening};
use rcompose_watch::{Batch, Filter, Report, Rule, Watcher, decide};
use tokio::sync::mpsc;

use super::deliver::deliver;
use super::model::{self, Sources};
use super::service::{Next, QUIET, Watched};
use super::session::Told;
use super::tasks::Scene;
use crate::commands::ps;
use crate::error::CommandError;
use crate::settings::World;
use outcome::Done;

/// What happens to the containers of a project from now on, and a client for questions.
pub(super) async fn listen(world: &World, project: &str) -> Result<(Lines, Client), CommandError> {
    let request = EventsRequest { project: Some(project.to_owned()), ..EventsRequest::default() };
    let events = Client::connect(&world.supervisor).await?.stream("/v1/events", &request).await?;
    Ok((events, Client::connect(&world.supervisor).await?))
}

pub(super) struct Watching<'a> {
    scene: Scene<'a>,
    sources: Sources,
    rules: Vec<Rule>,
    watcher: Watcher,
    reports: mpsc::Receiver<Report>,
    events: Lines,
    client: Client,
    /// For the next sync.
    idle: Option<Client>,
    services: BTreeMap<String, Watched>,
    /// Replicas of all services.
    containers: Vec<ContainerSummary>,
    tasks: FuturesUnordered<LocalBoxFuture<'a, Done>>,
    /// Rules whose files were all brought once.
    begun: BTreeSet<(String, PathBuf, Option<String>)>,
    /// It was told that changes are seen.
    enabled: bool,
    /// When the files are quiet enough to be read.
    reload_at: Option<Instant>,
    applying: bool,
}

/// Reports that the session may be behind; the watcher waits then, and loses nothing.
const BEHIND: usize = 16;

impl<'a> Watching<'a> {
    pub(super) fn begin(scene: Scene<'a>, events: Lines, client: Client) -> Result<Self, CommandError> {
        let (sender, reports) = mpsc::channel(BEHIND);
        let report = move |report| sender.blocking_send(report).is_ok();
        let (rules, sources) = scene.rules()?;
        let watcher = Watcher::start(Filter::new(rules.clone(), sources.files()), report);
        let watcher = watcher.map_err(|error| CommandError::Failed(Failure::of(&error)))?;
        let mut watching = Self {
            scene,
            sources,
            rules,
            watcher,
            reports,
            events,
            client,
            idle: None,
            services: BTreeMap::new(),
            containers: Vec::new(),
            tasks: FuturesUnordered::new(),
            begun: BTreeSet::new(),
            enabled: false,
            reload_at: None,
            applying: false,
        };
        watching.know_services();
        Ok(watching)
    }

    /// Watches what another project asks for.
    fn take_up(&mut self) -> Result<(), CommandError> {
        (self.rules, self.sources) = self.scene.rules()?;
        self.know_services();
        self.watch();
        Ok(())
    }

    fn know_services(&mut self) {
        let services = &self.scene.project.services;
        self.services.retain(|name, _| services.contains_key(name));
        for service in services.values() {
            self.services.entry(service.name.clone()).or_insert_with(|| Watched::of(service));
        }
    }

    fn watch(&self) {
        self.watcher.watch_instead(Filter::new(self.rules.clone(), self.sources.files()));
    }

    fn tell(&self, told: Told) {
        // The receiver is dropped with this future.
        let _ = self.scene.tell.send(told);
    }

    fn line(&self, text: String) {
        self.tell(Told::Line(text));
    }

    /// Goes on until it cannot.
    pub(super) async fn run(mut self) -> CommandError {
        if let Err(error) = self.look().await {
            return error;
        }
        loop {
            self.advance();
            let due = self.services.values().filter_map(Watched::due_at).chain(self.reload_at.filter(|_| !self.applying)).min();
            let due = due.map(|at| tokio::time::sleep_until(at.into()));
            tokio::select! {
                // Messages of channels and lines of streams stay where they are; tasks are kept by the session.
                report = self.reports.recv() => match report {
                    Some(report) => self.reported(report),
                    None => return CommandError::Usage("files are not watched any more".to_owned()),
                },
                event = self.events.next::<ContainerEvent>() => {
                    if let Err(error) = self.happened(event).await {
                        return error;
                    }
                }
                Some(done) = self.tasks.next() => self.done(done),
                () = async { match due { Some(due) => due.await, None => std::future::pending().await } } => {}
            }
        }
    }

    /// Looks which containers there are.
    async fn look(&mut self) -> Result<(), CommandError> {
        let all = ps::containers(&mut self.client, &self.scene.project.name).await?;
        self.containers = all.into_iter().filter(|it| it.number > 0 && it.state != "removing").collect();
        for (name, watched) in &mut self.services {
            watched.refused.clear();
            let own = self.containers.iter().filter(|it| it.service == *name);
            let keys = own.map(|container| watched.key(container)).collect();
            watched.journal.keep(&keys);
        }
        Ok(())
    }

    async fn happened(&mut self, event: Result<Option<ContainerEvent>, ClientError>) -> Result<(), CommandError> {
        match event {
            Ok(Some(event)) => match event.what {
                Happening::Create | Happening::Start | Happening::Destroy | Happening::Die { .. } => self.look().await,
                _ => Ok(()),
            },
            // The supervisor is gone; its successor knows what there is.
            Ok(None) | Err(ClientError::Connection(_)) => {
                (self.events, self.client) = listen(self.scene.world, &self.scene.project.name).await?;
                self.idle = None;
                self.look().await
            }
            Err(error) => Err(error.into()),
        }
    }

    fn reported(&mut self, report: Report) {
        match report {
            Report::Ready(present) => {
                if !std::mem::replace(&mut self.enabled, true) {
                    self.line("Watch enabled".to_owned());
                }
                let mark = |rule: &Rule| (rule.service.clone(), rule.path.clone(), rule.target.clone());
                let fresh = self.rules.iter().filter(|rule| rule.initial_sync && !self.begun.contains(&mark(rule)));
                let fresh: Vec<Rule> = fresh.cloned().collect();
                self.begun.extend(fresh.iter().map(mark));
                for (service, work) in decide(&fresh, &present) {
                    if let Some(watched) = self.services.get_mut(&service) {
                        watched.journal.note(work.puts);
                    }
                }
            }
            Report::Batch(batch) => self.changed(&batch),
            Report::Problem(error) => {
                let failure = Failure { hint: error.hint().map(str::to_owned), ..Failure::of(&error) };
                self.tell(Told::Trouble(failure));
            }
        }
    }

    fn changed(&mut self, batch: &Batch) {
        let now = Instant::now();
        for (service, work) in decide(&self.rules, &batch.changes) {
            if let Some(watched) = self.services.get_mut(&service) {
                watched.note(work, now);
            }
        }
        for change in &batch.changes {
            if self.sources.model.contains(&change.path) {
                self.reload_at = Some(now + QUIET);
            }
            if change.is_another_file() {
                self.rebind(&change.path);
            }
            for service in self.sources.builds.get(&change.path).into_iter().flatten() {
                if let Some(watched) = self.services.get_mut(service) {
                    watched.note(rcompose_watch::Work { rebuild: [change.path.clone()].into(), ..Default::default() }, now);
                }
            }
        }
    }

    /// Has containers that have a single file mounted see the one that took its name.
    fn rebind(&self, path: &Path) {
        for (service, source) in self.sources.mounted.get(path).into_iter().flatten() {
            let own = self.containers.iter().filter(|it| it.service == *service && it.state == "running");
            let (ids, service, began) = (own.map(|it| it.id.clone()).collect(), service.clone(), Instant::now());
            let (scene, what) = (self.scene.clone(), format!("mounted {} anew", self.short(path)));
            let source = source.clone();
            self.tasks.push(Box::pin(async move {
                let result = scene.rebind(ids, source).await;
                Done::Mounted { service, what, began, result }
            }));
        }
    }

    /// Begins what can be begun.
    fn advance(&mut self) {
        let now = Instant::now();
        let names: Vec<String> = self.services.keys().cloned().collect();
        for name in names {
            self.sync(&name);
            if !self.applying {
                self.act(name, now);
            }
        }
        if self.reload_at.is_some_and(|at| at <= now) && !self.applying && self.services.values().all(|it| !it.busy) {
            self.reload_at = None;
            self.reload();
        }
    }

    fn sync(&mut self, service: &str) {
        let own: Vec<&ContainerSummary> = self.containers.iter().filter(|it| it.service == service).collect();
        let Some(watched) = self.services.get_mut(service).filter(|it| !it.syncing) else { return };
        let Some(due) = watched.due(&own) else { return };
        watched.syncing = true;
        let (settings, client, service) = (&self.scene.world.supervisor, self.idle.take(), service.to_owned());
        let (ids, puts, began) = (due.containers.values().cloned().collect(), due.puts.clone(), Instant::now());
        self.tasks.push(Box::pin(async move {
            let result = deliver(settings, client, ids, puts).await;
            Done::Synced { service, due, began, result }
        }));
    }

    fn act(&mut self, service: String, now: Instant) {
        let own: Vec<ContainerSummary> = self.containers.iter().filter(|it| it.service == service).cloned().collect();
        let all = self.containers.clone();
        let scene = self.scene.clone();
        let Some(watched) = self.services.get_mut(&service) else { return };
        let began = Instant::now();
        let (what, work): (String, LocalBoxFuture<'a, Result<(), CommandError>>) = match watched.next(now) {
            None => return,
            Some(Next::Rebuild(why)) => {
                self.line(format!("{service}: rebuilding, {}", self.why(&why)));
                ("rebuilt".to_owned(), Box::pin(scene.rebuild(service.clone(), all)))
            }
            Some(Next::Restart(why)) => {
                self.line(format!("{service}: restarting, {}", self.why(&why)));
                ("restarted".to_owned(), Box::pin(scene.restart(service.clone())))
            }
            Some(Next::Exec(hooks)) => {
                let commands: Vec<String> = hooks.iter().map(|hook| hook.command.join(" ")).collect();
                let running = own.into_iter().filter(|it| it.state == "running").collect();
                (format!("ran `{}`", commands.join("`, `")), Box::pin(scene.exec(running, hooks)))
            }
        };
        if let Some(watched) = self.services.get_mut(&service) {
            watched.busy = true;
        }
        self.tasks.push(Box::pin(async move {
            let result = work.await;
            Done::Over { service, what, began, result }
        }));
    }

    /// Reads the files that make the stack, and has it become what they say.
    fn reload(&mut self) {
        let Scene { world, project, options, .. } = &self.scene;
        let loaded = model::load(world, options);
        let before = self.sources.files();
        self.sources.model.extend(Sources::of(world, project).model);
        if self.sources.files() != before {
            // Also a file that could not be used may be the one to be mended.
            self.watch();
        }
        let next = match loaded {
            Ok(next) if same(&next, project) => return self.line("the files changed, and the stack does not".to_owned()),
            Ok(next) if next.name != project.name => {
                let text = format!("the project is called `{}` now: start again to bring it up", next.name);
                return self.tell(Told::Trouble(Failure::text(text)));
            }
            Ok(next) => next,
            Err(error) => return self.failed("the stack stays as it is", error),
        };
        let is_gone = |name: &&String| !next.services.contains_key(*name) && !next.disabled_services.contains(*name);
        let gone = project.services.keys().filter(is_gone).cloned().collect();
        let scene = Scene { project: next.clone(), ..self.scene.clone() };
        self.applying = true;
        // Before its containers are there: whoever shows their output misses nothing of it.
        self.tell(Told::Project(Box::new(next.clone())));
        self.tasks.push(Box::pin(async move {
            let result = scene.apply_model(gone).await;
            Done::Applied { project: Box::new(next), result }
        }));
    }
}

/// Tells whether two projects say the same, wherever that is written.
fn same(one: &Project, other: &Project) -> bool {
    let bare = |project: &Project| Project { origins: Origins::default(), ..project.clone() };
    bare(one) == bare(other)
}
