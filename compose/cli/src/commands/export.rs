//! `export`.

use rcompose_supervisor::client::Client;

use super::archive::{Archive, save};
use super::{or_interrupted, replica};
use crate::arguments::Export;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::settings::World;

pub(super) async fn export(world: &World, arguments: &Export) -> Result<Exit, CommandError> {
    let (name, _) = world.name()?;
    let mut client = Client::connect(&world.supervisor).await?;
    let container = replica::one(&mut client, &name, &arguments.service, arguments.index).await?;
    let path = format!("/v1/containers/{}/export", container.id);
    let what = Archive { of: &format!("container {}", container.name), hint: None };
    or_interrupted(save(&mut client, &path, &(), what, arguments.output.as_deref())).await
}
