//! `watch`, and what an attached `up` does beside showing output: a [`Session`], which can be begun and dropped at any time.

mod deliver;
mod lock;
mod model;
mod service;
mod session;
mod tasks;
mod watching;
mod words;

use rcompose_model::Project;
use rcompose_model::project::PullPolicy;
use rcompose_supervisor::messages::{Action, UpOptions};

use super::{apply_shown, build, check_names};
use crate::arguments::Watch;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::{self, Progress};
use crate::settings::World;
use crate::terminal::Stream;

pub(crate) use session::{Options, Session, Told, check};
pub(crate) use words::text;

/// Brings the stack up, then follows its rules until it is interrupted.
pub(crate) async fn watch(world: &World, arguments: Watch) -> Result<Exit, CommandError> {
    let project = built_first(world.project_to_start(&arguments.services, false)?);
    check_names(&project, &arguments.services)?;
    let up = UpOptions {
        services: arguments.services.clone(),
        build_options: build::on_the_way(world, &project)?,
        ..UpOptions::default()
    };
    let options =
        Options { services: arguments.services, rules: true, live: !arguments.no_up, prune: arguments.prune, up: up.clone() };
    session::check(&project, &options)?;
    let following = async {
        // Before anything is built, so that no change is between the two.
        let mut session = match world.global.dry_run {
            true => None,
            false => Some(Session::begin(world, project.clone(), options).await?),
        };
        if !arguments.no_up {
            let progress = Progress::new(&world.global, "watch").quiet_builds_if(arguments.quiet);
            apply_shown(world, progress, &project.name, Some(project.clone()), Action::Up(up)).await?;
        }
        let Some(session) = &mut session else { return Ok(Exit::Success) };
        let mut progress = Progress::new(&world.global, "watch").quiet_builds_if(arguments.quiet).in_lines();
        loop {
            match text(world, &mut progress, &session.next().await?) {
                (Stream::Stdout, text) => output::print(&text)?,
                (Stream::Stderr, text) => output::tell(&text),
            }
        }
    };
    super::or_interrupted(following).await
}

/// Images of services that are watched are built before: what is synchronised later is what differs from them.
pub(crate) fn built_first(mut project: Project) -> Project {
    for service in project.services.values_mut() {
        if service.build.is_some() && !service.watch.is_empty() {
            service.pull_policy = Some(PullPolicy::Build);
        }
    }
    project
}
