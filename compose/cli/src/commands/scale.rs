//! `scale`: how many containers services have.

use rcompose_supervisor::messages::{Action, UpOptions};

use super::{apply, build, or_interrupted, up};
use crate::arguments::Scale;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::settings::World;

pub(crate) async fn scale(world: &World, arguments: Scale) -> Result<Exit, CommandError> {
    let counts = up::scale(&arguments.counts)?;
    let services: Vec<String> = counts.keys().cloned().collect();
    let project = world.project_to_start(&services, false)?;
    let options = UpOptions {
        services,
        no_deps: arguments.no_deps,
        scale: counts,
        build_options: build::on_the_way(world, &project)?,
        ..UpOptions::default()
    };
    let name = project.name.clone();
    or_interrupted(apply(world, "scale", &name, Some(project), Action::Up(options))).await
}
