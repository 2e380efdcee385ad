//! `volumes`: those of a stack.

use std::collections::BTreeSet;

use rcompose_plan::labels;
use rcompose_supervisor::client::Client;
use rcompose_supervisor::messages::ResourceSummary;

use super::{check_names, ps, volume};
use crate::arguments::Volumes;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::Format;
use crate::settings::World;

pub(crate) async fn volumes(world: &World, arguments: Volumes) -> Result<Exit, CommandError> {
    let format = Format::parse(&arguments.format)?;
    let (name, project) = world.name()?;
    if let Some(project) = &project {
        check_names(project, &arguments.services)?;
    }
    let mut client = Client::connect(&world.supervisor).await?;
    let mut all: Vec<ResourceSummary> = client.get("/v1/volumes").await?;
    if arguments.services.is_empty() {
        all.retain(|it| it.inspect["Labels"][labels::PROJECT].as_str() == Some(&name));
    } else {
        let containers = ps::containers(&mut client, &name).await?.into_iter();
        let named = containers.filter(|it| arguments.services.contains(&it.service));
        let mounted: BTreeSet<String> = named.flat_map(|it| it.volumes).collect();
        all.retain(|it| mounted.contains(&it.name));
    }
    volume::show(&all, &format, arguments.quiet)
}
