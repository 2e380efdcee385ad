//! A watch session: what it is asked for, and what it says. What it does is in `watching`.

use futures_util::future::LocalBoxFuture;
use rcompose_model::{Diagnostic, Project};
use rcompose_supervisor::messages::{Event, Failure, UpOptions};
use tokio::sync::mpsc;

use super::lock::Lock;
use super::model;
use super::tasks::Scene;
use super::watching::{Watching, listen};
use crate::error::CommandError;
use crate::settings::World;

/// What is watched, and how.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// Only the rules of these services; empty is all.
    pub(crate) services: Vec<String>,
    /// The rules of `develop.watch` are followed.
    pub(crate) rules: bool,
    /// Changes of the files that make the stack are planned and applied.
    pub(crate) live: bool,
    /// Images that a build leaves without a name are removed.
    pub(crate) prune: bool,
    /// How the stack was brought up, and is again when its files change.
    pub(crate) up: UpOptions,
}

/// What a session has to say.
#[derive(Debug)]
pub(crate) enum Told {
    /// A line about what it does.
    Line(String),
    /// Something failed; watching goes on.
    Trouble(Failure),
    /// Progress of a build, of containers.
    Event(Box<Event>),
    /// Output of a command that a rule runs.
    Output { container: String, text: String },
    /// What another state of the files changes, one operation a line.
    Plan(Vec<String>),
    /// The files cannot be used; the stack stays as it is.
    Broken(Vec<Diagnostic>),
    /// The stack is about to become another one.
    Project(Box<Project>),
}

/// A watch session. It stands still unless [`Session::next`] is waited for, and ends when it is dropped.
pub(crate) struct Session<'a> {
    work: LocalBoxFuture<'a, CommandError>,
    told: mpsc::UnboundedReceiver<Told>,
    _lock: Lock,
}

/// Tells whether there is something to watch.
///
/// # Errors
/// The services have no rules, and nothing else is asked for.
pub(crate) fn check(project: &Project, options: &Options) -> Result<(), CommandError> {
    if options.rules && model::rules(project, options)?.is_empty() {
        let text = "none of the selected services is configured for watch, consider setting a `develop` section";
        return Err(CommandError::Usage(text.to_owned()));
    }
    Ok(())
}

impl<'a> Session<'a> {
    /// Begins to watch. `project` was loaded last, and is brought up before or after: of what changes meanwhile nothing is lost.
    pub(crate) async fn begin(world: &'a World, project: Project, options: Options) -> Result<Self, CommandError> {
        check(&project, &options)?;
        let (events, client) = listen(world, &project.name).await?;
        let lock = Lock::take(world, &project.name)?;
        let (tell, told) = mpsc::unbounded_channel();
        let watching = Watching::begin(Scene { world, project, options, tell }, events, client)?;
        Ok(Self { work: Box::pin(watching.run()), told, _lock: lock })
    }

    /// What it says next.
    ///
    /// # Errors
    /// When it cannot go on.
    ///
    /// # Cancel safety
    /// What is under way stays where it is, and goes on with the next call.
    pub(crate) async fn next(&mut self) -> Result<Told, CommandError> {
        tokio::select! {
            biased;
            // A message of a channel stays there; a future that is not dropped goes on.
            Some(told) = self.told.recv() => Ok(told),
            error = &mut self.work => Err(error),
        }
    }
}
