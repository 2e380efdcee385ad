//! `builder`: the build cache.

use rcompose_supervisor::client::Client;
use rcompose_supervisor::messages::{BuildCachePrune, BuildCacheUsage};

use super::objects::change_nothing_in_dry_runs;
use crate::arguments::Builder;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::{self, Table, confirm_removal, words};
use crate::settings::World;

/// Shows what the build cache takes, or takes it away.
pub(crate) async fn builder(world: &World, command: Builder) -> Result<Exit, CommandError> {
    match command {
        Builder::Df => usage(world).await,
        Builder::Prune { all, force } => prune(world, all, force).await,
    }
}

async fn usage(world: &World) -> Result<Exit, CommandError> {
    let mut client = Client::connect(&world.supervisor).await?;
    let found: BuildCacheUsage = client.get("/v1/build-cache").await?;
    let mut table = Table::new(&["KIND", "SIZE"]);
    rows(&found).into_iter().for_each(|(kind, size)| table.row(vec![kind, size]));
    output::print(&table.render())?;
    Ok(Exit::Success)
}

/// What takes room, and how much.
pub(super) fn rows(of: &BuildCacheUsage) -> [(String, String); 3] {
    [
        (format!("Layers of {} steps that no image has", of.steps), words::bytes(of.layers)),
        ("Caches of mounts".to_owned(), words::bytes(of.mounts)),
        ("Fetched files".to_owned(), words::bytes(of.fetched)),
    ]
}

async fn prune(world: &World, all: bool, force: bool) -> Result<Exit, CommandError> {
    change_nothing_in_dry_runs(world, true)?;
    let what = if all { "all build cache, caches of mounts too" } else { "all build cache that no image has" };
    if !force && !confirm_removal(&format!("This will remove {what}."))? {
        return Ok(Exit::Failure);
    }
    let mut client = Client::connect(&world.supervisor).await?;
    let gone: BuildCacheUsage = client.post("/v1/build-cache/prune", &BuildCachePrune { all }).await?;
    output::print(&format!("Total reclaimed space: {}\n", words::bytes(gone.layers + gone.mounts + gone.fetched)))?;
    Ok(Exit::Success)
}
