//! Building images for services: from the build section to the builder's request, and the builds that go on.

mod caches;
mod outside;
mod request;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use rcompose_build::{BuildError, BuildEvent, Built, Cancel, StepError};
use rcompose_engine::image::Reference;
use rcompose_model::Project;
use rcompose_model::project::Service;

use crate::execute::Events;
use crate::messages::{BuildOptions, Event, Failure};
use crate::supervisor::Supervisor;
use outside::Puller;
use request::request;

/// Builds that go on, so that they can be told to stop when the supervisor ends.
#[derive(Debug, Default)]
pub(crate) struct Builds {
    running: Mutex<Vec<Cancel>>,
}

impl Builds {
    fn begin(&self) -> Cancel {
        let cancel = Cancel::default();
        self.lock().push(cancel.clone());
        cancel
    }

    /// Gives whether that was the last.
    fn end(&self, cancel: &Cancel) -> bool {
        let mut running = self.lock();
        running.retain(|other| !other.is(cancel));
        running.is_empty()
    }

    /// Tells all of them to stop.
    pub(crate) fn cancel(&self) {
        self.lock().iter().for_each(Cancel::cancel);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Cancel>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Builds the image of a service. A client that goes away takes the build with it; what was finished is kept.
pub(crate) async fn build(
    supervisor: &Arc<Supervisor>,
    project: &Project,
    service: &Service,
    options: &BuildOptions,
    offline: bool,
    events: &Events,
) -> Result<Built, Failure> {
    let (request, warnings) = request(project, service, options, offline)?;
    for text in warnings {
        crate::execute::tell(events, Event::Warning { text }).await;
    }
    let cancel = supervisor.builds.begin();
    let name = service.name.clone();
    let working = {
        let (supervisor, events, cancel, name) = (supervisor.clone(), events.clone(), cancel.clone(), name.clone());
        let runtime = tokio::runtime::Handle::current();
        tokio::task::spawn_blocking(move || {
            let told = events.clone();
            let watch = move |event: BuildEvent| {
                // A client that went away needs to know nothing; its build is told to stop.
                let _ = told.blocking_send(Event::Build { service: name.clone(), what: event });
            };
            let pull = Puller { supervisor: supervisor.clone(), runtime, offline };
            supervisor.builder.build(&request, &pull, &watch, &cancel)
        })
    };
    tokio::pin!(working);
    let outcome = tokio::select! {
        outcome = &mut working => outcome,
        // The build is waited for all the same: it clears away what it began.
        () = events.closed() => {
            cancel.cancel();
            working.await
        }
    };
    if supervisor.builds.end(&cancel) {
        supervisor.tidy_build_cache();
    }
    match outcome {
        Ok(built) => built.map_err(|error| failure(&service.name, &error)),
        Err(error) => Err(Failure::text(format!("the build of `{}` ended unexpectedly: {error}", service.name))),
    }
}

/// Looks at the Dockerfile of a service, and at nothing else.
pub(crate) async fn check(
    supervisor: &Arc<Supervisor>,
    project: &Project,
    service: &Service,
    offline: bool,
    events: &Events,
) -> Result<usize, Failure> {
    let (request, _) = request(project, service, &BuildOptions::default(), offline)?;
    let outside = Puller { supervisor: supervisor.clone(), runtime: tokio::runtime::Handle::current(), offline };
    let checked = tokio::task::spawn_blocking(move || outside.supervisor.builder.check(&request, &outside)).await;
    let checked = checked.map_err(|error| Failure::text(format!("the check ended unexpectedly: {error}")))?;
    let (file, problems) = checked.map_err(|error| failure(&service.name, &error))?;
    let count = problems.len();
    for problem in problems {
        let event = BuildEvent::Problem { file: file.clone(), problem };
        crate::execute::tell(events, Event::Build { service: service.name.clone(), what: event }).await;
    }
    Ok(count)
}

/// The images that a service is built from, as far as its Dockerfile says so; without those that are built here.
pub(crate) async fn bases(
    supervisor: &Arc<Supervisor>,
    project: &Project,
    service: &Service,
) -> Result<BTreeSet<String>, Failure> {
    let (request, _) = request(project, service, &BuildOptions::default(), false)?;
    let own = request.pins.own.clone();
    let outside = Puller { supervisor: supervisor.clone(), runtime: tokio::runtime::Handle::current(), offline: false };
    let found = tokio::task::spawn_blocking(move || outside.supervisor.builder.bases(&request, &outside)).await;
    let found = found.map_err(|error| Failure::text(format!("the look at the Dockerfile ended unexpectedly: {error}")))?;
    let found = found.map_err(|error| failure(&service.name, &error))?;
    let is_own = |name: &String| name.parse::<Reference>().is_ok_and(|reference| own.contains(&reference.to_string()));
    Ok(found.into_iter().filter(|name| !is_own(name)).collect())
}

/// Why a build failed, with the line behind it.
fn failure(service: &str, error: &BuildError) -> Failure {
    let mut failure = Failure::of(error);
    failure.causes.insert(0, std::mem::replace(&mut failure.message, format!("failed to build service `{service}`")));
    // What is told twice is told once.
    failure.causes.dedup_by(|later, earlier| earlier.ends_with(later.as_str()));
    match error {
        BuildError::Dockerfile { problems, .. } => {
            failure.causes.extend(problems.iter().skip(1).map(ToString::to_string));
            failure.hint = problems.iter().find_map(|problem| problem.hint.clone());
        }
        BuildError::Step { failure: step, .. } => {
            failure.hint = match **step {
                StepError::Image { .. } => {
                    Some("load it with `rcompose image load -i FILE`, or name a mirror in the configuration".to_owned())
                }
                StepError::Pin(_) => Some(crate::lock::HINT.to_owned()),
                _ => None,
            }
        }
        _ => {}
    }
    failure
}
