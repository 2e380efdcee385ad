//! `volume`.

use rcompose_supervisor::client::Client;
use rcompose_supervisor::messages::{PruneRequest, Removed, ResourceSummary};
use serde_json::json;

use super::filter::Filters;
use super::{change_nothing_in_dry_runs, described, inspect, joined, pairs, remove_named, show_created, show_removed};
use crate::arguments::{CreateVolume, List, Volume};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::{self, Format, Listing, Row};
use crate::settings::World;

pub(crate) async fn volume(world: &World, command: Volume) -> Result<Exit, CommandError> {
    change_nothing_in_dry_runs(world, matches!(command, Volume::Create(_) | Volume::Rm(_) | Volume::Prune { .. }))?;
    let mut client = Client::connect(&world.supervisor).await?;
    match command {
        Volume::Create(arguments) => create(&mut client, arguments).await,
        Volume::Ls(arguments) => list(&mut client, &arguments).await,
        Volume::Rm(arguments) => remove_named(&mut client, "/v1/volumes/remove", arguments).await,
        Volume::Inspect(arguments) => {
            let all = client.get("/v1/volumes").await?;
            inspect(described(all, "volume", &arguments.names)?, arguments.format.as_deref())
        }
        Volume::Prune { all, force } => prune(&mut client, all, force).await,
    }
}

async fn create(client: &mut Client, arguments: CreateVolume) -> Result<Exit, CommandError> {
    let volume = rcompose_model::project::Volume {
        name: arguments.name.unwrap_or_default(),
        driver: arguments.driver,
        driver_opts: pairs(&arguments.options),
        labels: pairs(&arguments.labels),
        ..rcompose_model::project::Volume::default()
    };
    show_created(&client.post("/v1/volumes/create", &volume).await?)
}

async fn list(client: &mut Client, arguments: &List) -> Result<Exit, CommandError> {
    let format = Format::parse(&arguments.format)?;
    let filters = Filters::parse(&arguments.filter, &["name", "label", "driver", "dangling"])?;
    let mut all: Vec<ResourceSummary> = client.get("/v1/volumes").await?;
    all.retain(|it| {
        filters.fits("name", |name| it.name.contains(name))
            && filters.fits("driver", |driver| it.driver == driver)
            && filters.fits_labels(&it.inspect["Labels"])
            && filters.fits_dangling(it.users.is_empty())
    });
    show(&all, &format, arguments.quiet)
}

/// Shows volumes as `--format` and `-q` say.
pub(super) fn show(all: &[ResourceSummary], format: &Format, quiet: bool) -> Result<Exit, CommandError> {
    if quiet {
        all.iter().try_for_each(|it| output::print(&format!("{}\n", it.name)))?;
        return Ok(Exit::Success);
    }
    let row = |it: &ResourceSummary| Row {
        fields: json!({
            "Driver": it.driver,
            "Labels": joined(&it.inspect["Labels"]),
            "Links": it.users.len().to_string(),
            "Mountpoint": it.inspect["Mountpoint"],
            "Name": it.name,
            "Scope": "local",
        }),
        labels: it.inspect["Labels"].clone(),
    };
    let columns = &[("DRIVER", "Driver"), ("VOLUME NAME", "Name")];
    Listing::new(columns, all.iter().map(row).collect()).print(format)?;
    Ok(Exit::Success)
}

async fn prune(client: &mut Client, all: bool, force: bool) -> Result<Exit, CommandError> {
    let what = if all { "volumes" } else { "anonymous volumes" };
    if !force && !output::confirm_removal(&format!("This will remove all {what} that no container mounts."))? {
        return Ok(Exit::Success);
    }
    let removed: Removed = client.post("/v1/volumes/prune", &PruneRequest { all }).await?;
    show_removed("Deleted Volumes", removed.deleted, Some(removed.reclaimed))
}
